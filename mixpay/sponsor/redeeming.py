"""The rules of redeeming: what entry relays hand in becomes pool vouchers. No HTTP, no chain, no clock.

  * Only for a period that is over, so that the issuer does not learn when a pass was in use; and only until
    the pool's claim window for it closes.
  * The relay need not prove who it is: a pass pays the relay it draws, whoever hands it in, and its links are
    known only to the entry. A bundle that is worth nothing is named and does not spoil the others.
  * The voucher counts in the period's last epoch, or in that of the relay's newest voucher if later, for the
    pool never goes back to an earlier one. So no pass is in a voucher of an epoch before its own last one:
    the pool relies on that (ISubsidyPool).
  * Passes that a relay redeemed at the pool are counted as if it had handed them in: they are in its total,
    for that is what the pool has paid, and are credited no second time.
  * Bundles are verified first, against the credits of that moment. Then, with no other instance settling for
    the campaign: if those credits are still the same, they are added to the relay's newest total, and that is
    signed. Credits and voucher are on disk together before the voucher is returned. So no total is ever
    signed that is lower than another, or has a pass in it twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mixpay import eip712
from mixpay.crypto.blind_rsa import PublicKey
from mixpay.epochs import Schedule
from mixpay.passes import KIND_ENTRY, PassError, PassRules, RedeemedPass, Redemption, RedemptionBook
from mixpay.sponsor import api
from mixpay.sponsor.keys import Period
from mixpay.sponsor.rules import Campaign, IssuerError
from mixpay.sponsor.store import Settlement, Store, StoredVoucher
from mixpay.types import Account, Amount, Epoch, Position

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RelayInPeriod:
    """What the chain says: the relay's operator and position (None: it has none) and the draw of a period."""

    operator: Account
    position: Position | None
    beacon: bytes = field(repr=False)
    count: int


@dataclass(frozen=True, slots=True)
class RedeemedAtPool:
    """What the pool has paid to a relay's account for passes of one period: the tick of each, by its anchor.

    `tick_value`: what the pool paid for one tick, in token units.
    """

    relay: Account
    period: Period
    ticks: Mapping[bytes, int]
    tick_value: int


class Cashier:
    """What one campaign owes its entry relays. Several may work on one database."""

    def __init__(self, campaign: Campaign, schedule: Schedule, claim_window: int, store: Store) -> None:
        self._campaign, self._schedule, self._claim_window = campaign, schedule, claim_window
        self._store = store
        self._domain = eip712.pool_domain(campaign.chain_id, campaign.pool)

    def redeemable(self, period: Period, now: int) -> None:
        """Check that a period can be redeemed at chain time `now`.

        Raises IssuerError period_open or claim_window_over.
        """
        if now < self._schedule.end(period.last_epoch(self._schedule)):
            raise IssuerError("period_open", "a period can be redeemed when it is over")
        if not self.window_open(period, now):
            raise IssuerError("claim_window_over", "the pool does not pay for this period any more")

    def window_open(self, period: Period, now: int) -> bool:
        """Whether the pool still pays for a period, now or when it is over."""
        return now <= self._window_end(period.last_epoch(self._schedule))

    def _window_end(self, epoch: int) -> int:
        """Until when the pool pays for an epoch, in seconds of chain time."""
        return self._schedule.end(Epoch(epoch)) + self._claim_window

    def redeem(self, request: api.RedeemRequest, relay: RelayInPeriod, now: int) -> api.RedeemAnswer:
        """Credit what a relay hands in and sign its new total.

        Raises IssuerError period_open, claim_window_over, or no_key if there is anything to credit; bundles
        that are worth nothing come back as refused. Raises StoreUnavailable.
        """
        period = Period(request.kind, request.period)
        self.redeemable(period, now)
        while True:
            credited = self._credit(request.bundles, period, relay) if request.bundles else _Credited()
            voucher = self._settle(credited, relay.operator, period, now)
            if voucher is not None:
                break
        if credited.refused:
            reasons = ", ".join(sorted({bundle.reason for bundle in credited.refused}))
            _log.warning("relay %d: %d bundles refused: %s", request.relay, len(credited.refused), reasons)
        return api.RedeemAnswer(
            campaign=self._campaign.number,
            operator=voucher.relay,
            period=voucher.period,
            cumulative=str(voucher.cumulative),
            signature=voucher.signature,
            added=credited.added,
            refused=sorted(credited.refused, key=lambda bundle: bundle.index),
        )

    def count_at_pool(self, redeemed: RedeemedAtPool) -> None:
        """Count what the pool has paid to a relay for passes. Saying it again changes nothing.

        Raises StoreUnavailable.
        """
        period = redeemed.period
        scope = self._campaign.scope(period)
        ticks = {scope.pass_id(anchor): number for anchor, number in redeemed.ticks.items()}
        with self._store.settling() as books:
            if books.counted_at_pool(list(ticks)) == ticks.keys():
                return
            known = {record.pass_id: record.ticks for record in books.redeemed(list(ticks))}
            added = sum(max(0, number - known.get(pass_id, 0)) for pass_id, number in ticks.items())
            credits_ = [RedeemedPass(i, scope, max(number, known.get(i, 0))) for i, number in ticks.items()]
            _, voucher = self._next(books, redeemed.relay, period, added * redeemed.tick_value)
            books.put(credits_, voucher, at_pool=True)
        _log.warning(
            "a relay redeemed %d passes of kind %d, period %d, at the pool: was this service away?",
            len(ticks), period.kind, period.number,
        )  # fmt: skip

    def _settle(
        self, credited: _Credited, operator: Account, period: Period, now: int
    ) -> StoredVoucher | None:
        """Write what was credited; None if somebody credited one of the passes meanwhile.

        Who brings nothing, and that may be anybody, moves no voucher to a later epoch in the first half of
        the time to claim it: two epochs' earnings would fall under one epoch's cap. Later relays do it.
        """
        with self._store.settling() as books:
            if _ticks(books.redeemed(list(credited.asked))) != credited.known:
                return None
            newest = books.voucher(operator)
            stays = newest and now < self._window_end(newest.period) - self._claim_window // 2
            if newest and stays and not credited.changed:
                period = Period(KIND_ENTRY, newest.period)
            newest, voucher = self._next(books, operator, period, credited.amount)
            if credited.changed or voucher != newest:
                books.put(credited.changed.values(), voucher)
            return voucher

    def _next(
        self, books: Settlement, relay: Account, period: Period, more: int
    ) -> tuple[StoredVoucher | None, StoredVoucher]:
        """A relay's newest voucher, and the one for `more` token units than that."""
        newest = books.voucher(relay)
        total = Amount((newest.cumulative if newest else 0) + more)
        epoch = max(period.last_epoch(self._schedule), newest.period if newest else 0)
        message = eip712.PoolVoucher(self._campaign.number, relay, epoch, total)
        signature = eip712.sign(self._campaign.signer_key, message.digest(self._domain))
        return newest, StoredVoucher(relay, epoch, total, signature)

    def _rules(self, period: Period, relay: RelayInPeriod) -> PassRules:
        stored = self._store.key(period.kind, period.number)
        if stored is None:
            raise IssuerError("no_key", "no pass was issued for this period")
        key = PublicKey.from_bytes(stored.modulus)
        return PassRules(self._campaign.scope(period), key, stored.hop_price, relay.beacon, relay.count)

    def _credit(self, bundles: Sequence[bytes], period: Period, relay: RelayInPeriod) -> _Credited:
        result = _Credited()
        scope, redemptions = self._campaign.scope(period), _decode(bundles, result.refused)
        result.asked = {scope.pass_id(r.anchor) for _, r in redemptions}
        known = self._store.redeemed(list(result.asked))
        result.known = _ticks(known)
        # After the credits: they are forgotten together with the key, by another instance perhaps.
        rules = self._rules(period, relay)
        if relay.count == 0:
            # A pass of an epoch without relays draws nobody.
            result.refused += [api.RefusedBundle(index, "wrong_relay") for index, _ in redemptions]
            return result
        book = RedemptionBook.from_records(known, [])
        for index, redemption in redemptions:
            try:
                credit = book.redeem(redemption, rules, relay.operator, relay.position)
            except PassError as error:
                result.refused.append(api.RefusedBundle(index, error.reason))
                continue
            if credit.added:
                result.added += credit.added
                result.changed[credit.redeemed.pass_id] = credit.redeemed
                result.amount = credit.total.cumulative
        return result


@dataclass(slots=True)
class _Credited:
    """What one request changes: ticks, token units, records, and the bundles that were worth nothing.

    `known`: the ticks credited before for those of the passes asked for that were.
    """

    added: int = 0
    amount: int = 0
    asked: set[bytes] = field(default_factory=set)
    known: dict[bytes, int] = field(default_factory=dict)
    changed: dict[bytes, RedeemedPass] = field(default_factory=dict)
    refused: list[api.RefusedBundle] = field(default_factory=list)


def _ticks(records: Sequence[RedeemedPass]) -> dict[bytes, int]:
    return {record.pass_id: record.ticks for record in records}


def _decode(bundles: Sequence[bytes], refused: list[api.RefusedBundle]) -> list[tuple[int, Redemption]]:
    good = []
    for index, bundle in enumerate(bundles):
        try:
            good.append((index, Redemption.decode(bundle)))
        except PassError as error:
            refused.append(api.RefusedBundle(index, error.reason))
    return good
