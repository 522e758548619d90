"""Turns passes of periods that are over into pool vouchers, through the issuers of their campaigns.

Rules (docs/design.md §8)
- Only after its period, by chain time: the issuer must not learn when a pass was in use.
- What a scope must bring is known here: ticks * `TICK_VALUE` * the hop price the pool fixed with its key. A
  voucher counts if the campaign's signer on chain signed it, for our account, and its total did not fall.
- Voucher stored and passes forgotten are one transaction. A crash before it repeats everything; the issuer
  credits each pass once and answers with its total.
- A voucher that brings less than it must is kept, so are the passes, and what is missing is stored beside: it
  is asked for again, and said to the operator, until the claim window is over.
- A campaign's scopes are redeemed in the order of their periods. One whose answer was lost or is no voucher
  holds the later ones back, for its credit may hide in their total; one that got too little does not.
- A voucher that is not paid yet is renewed, without passes, before the window of its period closes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from mixpay import eip712
from mixpay.amounts import shown
from mixpay.epochs import Schedule
from mixpay.errors import ChainError, PeerError
from mixpay.passes import KIND_ENTRY, TICK_VALUE, EntryPassBook, Redemption, Scope
from mixpay.sponsor.api import MAX_BUNDLES, RedeemAnswer, RedeemRequest, RefusedBundle
from mixpay.sponsor.remote import IssuerRefused, IssuerSilent
from mixpay.types import Account, Amount, Epoch, RelayId, Term
from relay.issuers import PATIENCE, redeem
from relay.pool_view import PoolView
from relay.store import (
    Delete,
    RelayStore,
    StoredPoolVoucher,
    StoreOp,
    forget_pass_ops,
    pool_voucher_op,
    setting_op,
)
from relay.store.tables import SETTINGS
from relay.waits import Matter, Wait, Waiting, Waits

log = logging.getLogger(__name__)

_PAUSE_UNANSWERED = 60
_PAUSE_SHORT = 3_600
"""Seconds of chain time until the next try, unless told to."""


class VoucherError(PeerError):
    """The issuer's answer is no voucher for us. Reasons: `wrong_voucher`, `forged_voucher`, `fallen_total`,
    `future_voucher`."""


class Short(PeerError):
    """The issuer's voucher is good and brings less than it must. Reason: `short`."""


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A scope that is done: its passes are forgotten. `amount` in token units."""

    campaign: int
    period: int
    passes: int
    amount: Amount


@dataclass(frozen=True, slots=True)
class RedeemReport:
    """What one run did, and what waits."""

    redeemed: tuple[Redeemed, ...] = ()
    waiting: tuple[Waiting, ...] = ()


@dataclass(frozen=True, slots=True)
class RelayIdentity:
    """Who redeems: the relay, its operator's account, and the EIP-712 domain of pool vouchers."""

    relay: RelayId
    operator: Account
    domain: eip712.Domain


class PassRedeemer:
    """One relay's redemptions. `issuers`: URLs by campaign number, more of which may come; `claim_window` in
    seconds; `patience`: seconds that an issuer is asked again and again.

    `vouchers` holds the newest voucher of each campaign, as stored.
    """

    def __init__(
        self,
        *,
        me: RelayIdentity,
        issuers: Mapping[int, str],
        schedule: Schedule,
        claim_window: int,
        passes: EntryPassBook,
        store: RelayStore,
        pool: PoolView,
        patience: float = PATIENCE,
    ) -> None:
        self._me = me
        self._urls = issuers
        self._patience = patience
        self._schedule = schedule
        self._window = claim_window
        self._passes = passes
        self._store = store
        self._pool = pool
        self._turn = asyncio.Lock()
        self._waits = Waits()
        self.vouchers: dict[int, StoredPoolVoucher] = store.pool_vouchers()
        self.last = RedeemReport()
        """The newest run's report."""

    async def run_once(self, now: int, *, urgent: bool = False) -> RedeemReport:
        """Redeem what is over at chain time `now`. `urgent`: also what was tried a short while ago.

        Raises StoreFailed only; everything else waits, with its reason, for the next run.
        """
        async with self._turn:
            redeemed: list[Redeemed] = []
            over = [scope for scope in self._passes.scopes() if now >= self._ends(scope)]
            for scope in over:
                self._passes.close(scope.kind, scope.period)
            held: set[int] = set()
            for scope in sorted(over, key=lambda scope: (scope.campaign, scope.period)):
                if scope.campaign not in held and (urgent or self._waits.is_due(_of(scope), now)):
                    redeemed += await self._try(scope, now)
                if self._waits.is_unanswered(_of(scope)):
                    held.add(scope.campaign)
            for voucher in list(self.vouchers.values()):
                if voucher.campaign not in held:
                    await self._renew(voucher, now, urgent)
            self.last = RedeemReport(tuple(redeemed), tuple(self._waits.all()))
            return self.last

    def _ends(self, scope: Scope) -> int:
        """The first second after the scope's period."""
        if scope.kind == KIND_ENTRY:
            return self._schedule.end(Epoch(scope.period))
        return self._schedule.end(self._schedule.last_epoch(Term(scope.period)))

    # ------------------------------------------------------------------ redeeming

    async def _try(self, scope: Scope, now: int) -> list[Redeemed]:
        soon, matter = now + _PAUSE_UNANSWERED, _of(scope)
        try:
            done = await self._redeem(scope, now)
        except Short as error:
            self._waits.put(matter, Wait(now + _PAUSE_SHORT, error.detail))
        except (IssuerSilent, VoucherError) as error:
            self._waits.put(matter, Wait(soon, str(error), unanswered=True))
        except (ChainError, PeerError) as error:
            self._waits.put(matter, Wait(soon, str(error)))
        else:
            self._waits.drop(matter)
            return done
        return []

    async def _redeem(self, scope: Scope, now: int) -> list[Redeemed]:
        redemptions = [redemption for _, redemption in self._passes.redemptions(scope)]
        if not redemptions:
            await self._forget(scope)
            return []
        if now > self._ends(scope) + self._window:
            log.error(
                "campaign %d, period %d: the claim window is over; %d passes were not paid in full",
                scope.campaign, scope.period, len(redemptions),
            )  # fmt: skip
            await self._forget(scope)
            return []
        price = await asyncio.to_thread(self._pool.hop_price, scope)
        worth = Amount(sum(r.tick.number for r in redemptions) * TICK_VALUE * price)
        voucher, refused = await self._hand_in(scope, redemptions, now)
        missing = self._missing(scope, worth, voucher.cumulative)
        if missing > 0:
            kept = setting_op(_short_name(scope), missing.to_bytes(12, "big"))
            await self._keep(voucher, [kept])
            raise Short("short", _shortfall(missing, refused))
        await self._forget(scope, voucher)
        log.info("campaign %d, period %d: %s tokens", scope.campaign, scope.period, shown(worth))
        return [Redeemed(scope.campaign, scope.period, len(redemptions), worth)]

    async def _hand_in(
        self, scope: Scope, redemptions: list[Redemption], now: int
    ) -> tuple[StoredPoolVoucher, list[RefusedBundle]]:
        """All passes of a scope, as many requests as it takes; the last answer's voucher counts."""
        refused: list[RefusedBundle] = []
        voucher = None
        for start in range(0, len(redemptions), MAX_BUNDLES):
            bundles = [r.encode() for r in redemptions[start : start + MAX_BUNDLES]]
            try:
                voucher, answer = await self._ask(scope.campaign, scope.kind, scope.period, bundles, now)
            except IssuerRefused as error:
                if voucher is not None:  # what came before has been credited
                    raise IssuerSilent(str(error)) from None
                raise
            refused += answer.refused
        if voucher is None:
            raise ValueError("there is nothing to hand in")
        return voucher, refused

    def _missing(self, scope: Scope, worth: Amount, total: Amount) -> int:
        """What the total lacks: of this scope's worth, or of what it lacked the last time."""
        stored = self._store.setting(_short_name(scope))
        due = worth if stored is None else int.from_bytes(stored, "big")
        return self._known(scope.campaign) + due - total

    async def _ask(
        self, campaign: int, kind: int, period: int, bundles: list[bytes], now: int
    ) -> tuple[StoredPoolVoucher, RedeemAnswer]:
        """One request, and its voucher checked."""
        url = self._urls.get(campaign)
        if url is None:
            raise PeerError("no_issuer", f"no issuer is configured for campaign {campaign}")
        signer = await asyncio.to_thread(self._pool.signer, campaign)
        request = RedeemRequest(self._me.relay, kind, period, bundles)
        answer = await redeem(url, Account(self._me.domain.contract), request, self._patience)
        if (answer.campaign, answer.operator) != (campaign, self._me.operator):
            raise VoucherError("wrong_voucher", "the issuer's voucher is for another campaign or relay")
        message = eip712.PoolVoucher(campaign, self._me.operator, answer.period, answer.amount)
        if not eip712.signed_by(signer, message, self._me.domain, answer.signature):
            raise VoucherError("forged_voucher", "the campaign's signer did not sign the issuer's voucher")
        if answer.amount < self._known(campaign):
            known, told = shown(self._known(campaign)), shown(answer.amount)
            raise VoucherError("fallen_total", f"the issuer's total fell from {known} to {told} tokens")
        if answer.period > self._schedule.epoch_at(now):
            raise VoucherError(
                "future_voucher", f"the voucher counts in epoch {answer.period}, not begun yet"
            )
        return StoredPoolVoucher(campaign, answer.period, answer.amount, answer.signature), answer

    def _known(self, campaign: int) -> Amount:
        voucher = self.vouchers.get(campaign)
        return voucher.cumulative if voucher is not None else Amount(0)

    # ------------------------------------------------------------------ the disk

    async def _keep(self, voucher: StoredPoolVoucher, ops: list[StoreOp]) -> None:
        await self._store.written([pool_voucher_op(voucher), *ops])
        self.vouchers[voucher.campaign] = voucher

    async def _forget(self, scope: Scope, voucher: StoredPoolVoucher | None = None) -> None:
        """Drop a scope's passes, in the transaction that keeps what they brought."""
        ops: list[StoreOp] = forget_pass_ops(self._passes.forget(scope))
        ops.append(Delete(SETTINGS, (_short_name(scope),)))
        if voucher is not None:
            await self._keep(voucher, ops)
        else:
            await self._store.written(ops)

    # ------------------------------------------------------------------ renewing

    async def _renew(self, voucher: StoredPoolVoucher, now: int, urgent: bool) -> None:
        """Ask for the same total in a later period, when the voucher's own is about to lapse unpaid."""
        campaign, newest = voucher.campaign, self._schedule.epoch_at(now) - 1
        lapses = self._schedule.end(Epoch(voucher.period)) + self._window
        if now < lapses - self._window // 2 or newest <= voucher.period:
            return
        matter = Matter(campaign, voucher.period, "voucher")
        if campaign not in self._urls or not (urgent or self._waits.is_due(matter, now)):
            return
        try:
            if await asyncio.to_thread(self._pool.claimed, campaign) < voucher.cumulative:
                renewed, _ = await self._ask(campaign, KIND_ENTRY, newest, [], now)
                await self._keep(renewed, [])
        except (ChainError, PeerError, IssuerSilent) as error:
            self._waits.put(matter, Wait(now + _PAUSE_UNANSWERED, f"its voucher lapses unpaid: {error}"))
        else:
            self._waits.drop(matter)


def _of(scope: Scope) -> Matter:
    return Matter(scope.campaign, scope.period, f"passes of kind {scope.kind}")


def _short_name(scope: Scope) -> str:
    return f"short:{scope.campaign}:{scope.kind}:{scope.period}"


def _shortfall(missing: int, refused: list[RefusedBundle]) -> str:
    reasons = ", ".join(sorted({bundle.reason for bundle in refused}))
    said = f"{len(refused)} passes refused: {reasons}" if refused else "without saying why"
    return f"the issuer credited {shown(missing)} tokens too little, {said}; asking again"
