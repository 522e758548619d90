"""The rules of issuing and redeeming. No HTTP, no chain, no clock: what they know is given as arguments.

Signing
  * A pass is signed for the current or the next period of its kind, if the key for it is registered.
  * While the sponsor has paused it, nothing is signed. What was signed before stays good.
  * It is counted, on disk, before it is signed. Asking again with the same bytes gives the same signature and
    counts once, while this process remembers it (in memory only: blinded messages are never written).

Redeeming
  * Only for a period that is over, so that the issuer does not learn when a pass was in use; and only until
    the pool's claim window for it closes.
  * The relay need not prove who it is: a pass pays the relay it draws, whoever hands it in, and its links are
    known only to the entry. A bundle that is worth nothing is named and does not spoil the others.
  * The voucher counts in the period's last epoch, or in that of the relay's newest voucher if later, for the
    pool never goes back to an earlier one. So no pass is in a voucher of an epoch before its own last one:
    the pool relies on that (ISubsidyPool). Credits and voucher are on disk before the voucher is returned.
  * Passes that a relay redeemed at the pool are counted as if it had handed them in: they are in its total,
    for that is what the pool has paid, and are credited no second time.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mixpay import eip712
from mixpay.crypto import blind_rsa, rsa_permutation
from mixpay.crypto.blind_rsa import BlindRsaError, PublicKey
from mixpay.epochs import Schedule
from mixpay.errors import MixpayError
from mixpay.passes import PassError, PassRules, RedeemedPass, Redemption, RedemptionBook, Scope
from mixpay.sponsor import api
from mixpay.sponsor.keys import KeyFolder, Period, current_periods
from mixpay.sponsor.policy import Identified, counted_identity
from mixpay.sponsor.store import Store, StoredKey, StoredVoucher
from mixpay.types import Account, Amount, Epoch, Position, Random

_REMEMBERED = 4096
_ANY = (1 << 63) - 1
"""A quota that nobody uses up."""
_log = logging.getLogger(__name__)


class IssuerError(MixpayError):
    """A request is refused. `label` is for programs (see `api`), the text for people."""

    def __init__(self, label: str, detail: str) -> None:
        super().__init__(detail)
        self.label = label


@dataclass(frozen=True, slots=True)
class Campaign:
    """Which campaign this is, and the two secrets (32 bytes each) of its issuer."""

    chain_id: int
    pool: Account
    number: int
    signer_key: bytes = field(repr=False)
    identity_key: bytes = field(repr=False)


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


class Issuer:
    """One campaign's issuer. One thread at a time."""

    def __init__(
        self,
        *,
        campaign: Campaign,
        schedule: Schedule,
        claim_window: int,
        store: Store,
        keys: KeyFolder,
        random: Random,
    ) -> None:
        self._campaign, self._schedule, self._claim_window = campaign, schedule, claim_window
        self._store, self._keys, self._random = store, keys, random
        self._domain = eip712.pool_domain(campaign.chain_id, campaign.pool)
        self._recent: OrderedDict[bytes, None] = OrderedDict()
        self._proofs: dict[bytes, bytes] = {}
        self.is_paused = False
        """Whether passes are refused: what `Store.is_paused` said last."""

    def describe(self, epoch: Epoch, policies: list[api.PolicyOffer]) -> api.CampaignAnswer:
        """The campaign as users see it: ways to get passes, the keys of the current and the next periods."""
        wanted = self._issuable(epoch)
        keys = [
            api.PeriodKey(key.kind, key.period, key.modulus, proof, str(key.hop_price))
            for key in self._store.period_keys()
            if Period(key.kind, key.period) in wanted and (proof := self._proof(key))
        ]
        campaign, term = self._campaign, self._schedule.term_of(epoch)
        place = campaign.chain_id, campaign.pool, campaign.number
        return api.CampaignAnswer(*place, epoch, term, policies, keys)

    def scope(self, period: Period) -> Scope:
        """What passes of a period are good for."""
        campaign = self._campaign
        return Scope(campaign.chain_id, campaign.pool, campaign.number, period.kind, period.number)

    def issuable(self, period: Period, epoch: Epoch) -> None:
        """Check that passes of a period are issued now. Raises IssuerError paused, wrong_period."""
        if self.is_paused:
            raise IssuerError(
                "paused", "the sponsor has paused giving out passes; those that were given out stay good"
            )
        if period not in self._issuable(epoch):
            raise IssuerError("wrong_period", "passes are issued for the current and the next period only")

    def sign(self, request: api.SignRequest, identified: Identified, epoch: Epoch) -> api.SignAnswer:
        """Sign a blinded pass for whom a policy let in, within its quotas.

        Raises IssuerError: paused, wrong_period, no_key, quota_exceeded, share_exceeded, malformed.
        """
        period = Period(request.kind, request.period)
        self.issuable(period, epoch)
        key = self._keys.get(period) if self._store.key(period.kind, period.number) else None
        if key is None:
            raise IssuerError("no_key", "the campaign has no registered key for this period")
        if int.from_bytes(request.blinded, "big") >= key.public.n:
            raise IssuerError("malformed", "the blinded message is not below the modulus")
        left = self._count(period, request.blinded, identified)
        try:
            return api.SignAnswer(blind_rsa.blind_sign(key, request.blinded, self._random), left)
        except BlindRsaError as error:
            raise IssuerError("malformed", str(error)) from None

    def redeemable(self, period: Period, now: int) -> None:
        """Check that a period can be redeemed at chain time `now`.

        Raises IssuerError period_open or claim_window_over.
        """
        ends = self._schedule.end(period.last_epoch(self._schedule))
        if now < ends:
            raise IssuerError("period_open", "a period can be redeemed when it is over")
        if now > ends + self._claim_window:
            raise IssuerError("claim_window_over", "the pool does not pay for this period any more")

    def redeem(self, request: api.RedeemRequest, relay: RelayInPeriod, now: int) -> api.RedeemAnswer:
        """Credit what a relay hands in and sign its new total.

        Raises IssuerError period_open, claim_window_over, or no_key if there is anything to credit; bundles
        that are worth nothing come back as refused.
        """
        period = Period(request.kind, request.period)
        self.redeemable(period, now)
        credited = self._credit(request.bundles, period, relay) if request.bundles else _Credited()
        newest = self._store.voucher(relay.operator)
        owed = (newest.cumulative if newest else 0) + credited.amount
        epoch = max(period.last_epoch(self._schedule), newest.period if newest else 0)
        voucher = self._voucher(relay.operator, epoch, Amount(owed))
        if credited.changed or voucher != newest:
            self._store.put_credits(credited.changed.values(), voucher)
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
        """Count what the pool has paid to a relay for passes. Saying it again changes nothing."""
        period, campaign = redeemed.period, self._campaign
        scope = Scope(campaign.chain_id, campaign.pool, campaign.number, period.kind, period.number)
        ticks = {scope.pass_id(anchor): number for anchor, number in redeemed.ticks.items()}
        known = {record.pass_id: record.ticks for record in self._store.redeemed(list(ticks))}
        if self._store.counted_at_pool(list(ticks)) == ticks.keys():
            return
        added = sum(max(0, number - known.get(pass_id, 0)) for pass_id, number in ticks.items())
        newest = self._store.voucher(redeemed.relay)
        owed = (newest.cumulative if newest else 0) + added * redeemed.tick_value
        epoch = max(period.last_epoch(self._schedule), newest.period if newest else 0)
        credits_ = [RedeemedPass(i, scope, max(number, known.get(i, 0))) for i, number in ticks.items()]
        voucher = self._voucher(redeemed.relay, epoch, Amount(owed))
        self._store.put_credits(credits_, voucher, at_pool=True)
        _log.warning(
            "a relay redeemed %d passes of kind %d, period %d, at the pool: was this service away?",
            len(ticks), period.kind, period.number,
        )  # fmt: skip

    def prune(self, epoch: Epoch, now: int) -> None:
        """Forget what has no more use: secret keys and counts of past periods, credits past their window."""
        current = current_periods(self._schedule, epoch)
        for period in self._keys.delete_before(current):
            self._proofs.clear()
            _log.info("deleted the blind-signing key of kind %d, period %d", period.kind, period.number)
        for period in current:
            first = period
            while first.number and self._window_open(Period(first.kind, first.number - 1), now):
                first = Period(first.kind, first.number - 1)
            self._store.prune(period.kind, period.number, first.number)

    def _proof(self, key: StoredKey) -> bytes | None:
        """The proof for a registered key; None if its secret half is not here."""
        secret = self._keys.get(Period(key.kind, key.period))
        if secret is None:
            return None
        if key.modulus not in self._proofs:
            self._proofs[key.modulus] = rsa_permutation.prove(secret)
        return self._proofs[key.modulus]

    def _issuable(self, epoch: Epoch) -> set[Period]:
        current = current_periods(self._schedule, epoch)
        return {Period(p.kind, p.number + step) for p in current for step in (0, 1)}

    def _window_open(self, period: Period, now: int) -> bool:
        return now <= self._schedule.end(period.last_epoch(self._schedule)) + self._claim_window

    def _count(self, period: Period, blinded: bytes, identified: Identified) -> int:
        """Count the pass against its identity's quota, unless it was counted just before; what is left."""
        quota = identified.quotas.of(period.kind)
        identity = self._counted(identified, identified.identity, period)
        asked = hashlib.blake2b(identity + blinded, digest_size=16).digest()
        if asked in self._recent:
            self._recent.move_to_end(asked)
            return max(quota - self._store.issues(identity), 0)
        shares = [(share, self._counted(identified, share.identity, period)) for share in identified.shares]
        for share, counted in shares:
            if share.quota is not None and self._store.issues(counted) >= share.quota:
                raise IssuerError("share_exceeded", "all passes of this period have been issued for now")
        count = self._store.count_issue(identity, period.kind, period.number, quota)
        if count is None:
            raise IssuerError("quota_exceeded", f"all {quota} passes of this period have been issued to you")
        for share, counted in shares:
            share.told(self._store.count_issue(counted, period.kind, period.number, _ANY) or 0)
        self._recent[asked] = None
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)
        return quota - count

    def _counted(self, identified: Identified, identity: bytes, period: Period) -> bytes:
        key = self._campaign.identity_key
        return counted_identity(key, identified.policy, identity, period.kind, period.number)

    def _rules(self, period: Period, relay: RelayInPeriod) -> PassRules:
        stored = self._store.key(period.kind, period.number)
        if stored is None:
            raise IssuerError("no_key", "no pass was issued for this period")
        campaign = self._campaign
        scope = Scope(campaign.chain_id, campaign.pool, campaign.number, period.kind, period.number)
        key = PublicKey.from_bytes(stored.modulus)
        return PassRules(scope, key, stored.hop_price, relay.beacon, relay.count)

    def _credit(self, bundles: Sequence[bytes], period: Period, relay: RelayInPeriod) -> _Credited:
        rules = self._rules(period, relay)
        result = _Credited()
        if relay.count == 0:
            # A pass of an epoch without relays draws nobody.
            result.refused += [api.RefusedBundle(index, "wrong_relay") for index in range(len(bundles))]
            return result
        redemptions = _decode(bundles, result.refused)
        known = self._store.redeemed([rules.scope.pass_id(r.anchor) for _, r in redemptions])
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

    def _voucher(self, operator: Account, epoch: int, total: Amount) -> StoredVoucher:
        message = eip712.PoolVoucher(self._campaign.number, operator, epoch, total)
        signature = eip712.sign(self._campaign.signer_key, message.digest(self._domain))
        return StoredVoucher(operator, epoch, total, signature)


@dataclass(slots=True)
class _Credited:
    """What one request changed: ticks, token units, records, and the bundles that were worth nothing."""

    added: int = 0
    amount: int = 0
    changed: dict[bytes, RedeemedPass] = field(default_factory=dict)
    refused: list[api.RefusedBundle] = field(default_factory=list)


def _decode(bundles: Sequence[bytes], refused: list[api.RefusedBundle]) -> list[tuple[int, Redemption]]:
    good = []
    for index, bundle in enumerate(bundles):
        try:
            good.append((index, Redemption.decode(bundle)))
        except PassError as error:
            refused.append(api.RefusedBundle(index, error.reason))
    return good
