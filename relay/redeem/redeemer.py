"""Turns passes of periods that are over into money: pool vouchers from the issuers of their campaigns, or
payment by the pool itself (`redeem_chain.py`).

Rules (docs/design.md §8)
- Only after its period, by chain time: the issuer must not learn when a pass was in use.
- What a scope must bring is known here: ticks * `TICK_VALUE` * the hop price the pool fixed with its key.
- Voucher stored and passes forgotten are one transaction. A crash before it repeats everything; the issuer
  credits each pass once and answers with its total.
- A voucher that brings less than it must is kept, so are the passes, and what is missing is stored beside: it
  is asked for again, and said to the operator, until the claim window is over. If what is missing is worth
  redeeming at the pool, the voucher is not kept: once claimed, it would end the right to do so.
- A campaign's scopes are redeemed in the order in which their periods end. One whose answer was lost or is no
  voucher holds the later ones back, for its credit may hide in their total; one that got too little does not.
- When a scope is due, what its issuer has not paid is redeemed at the pool. The issuer counts that into its
  total, and the totals of later vouchers must include it.
- A voucher that is not paid yet is renewed, without passes, before the window of its period closes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mixpay.amounts import moment, shown
from mixpay.chain.errors import NoEther
from mixpay.errors import ChainError, MixpayError, PeerError
from mixpay.passes import KIND_ENTRY, EntryPassBook, HeldPass, Scope
from mixpay.sponsor.api import RefusedBundle
from mixpay.sponsor.remote import IssuerSilent
from mixpay.types import Amount, Epoch
from relay.redeem.chain import PoolRedeemer
from relay.redeem.dues import Dues
from relay.redeem.issuer_desk import IssuerDesk, VoucherError
from relay.redeem.pool_view import PoolView
from relay.redeem.rules import RedeemRules, worth
from relay.store import RelayStore, StoredPoolVoucher, StoreOp, forget_pass_ops, pool_voucher_op
from relay.waits import Matter, Wait, Waiting, Waits

log = logging.getLogger(__name__)

_PAUSE_UNANSWERED = 60
_PAUSE_SHORT = 3_600
"""Seconds of chain time until the next try, unless told to."""


class Short(PeerError):
    """The issuer's voucher is good and brings less than it must. Reason: `short`."""


class Settling(MixpayError):
    """All passes of a scope were redeemed at the pool: they are kept until the chain has settled."""


class NotAsked(MixpayError):
    """The issuer of an earlier scope has to answer first."""


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Passes that became a voucher, or were redeemed at the pool. `amount` in token units."""

    campaign: int
    period: int
    passes: int
    amount: Amount
    at_pool: bool = False


@dataclass(frozen=True, slots=True)
class RedeemReport:
    """What one run did, and what waits."""

    redeemed: tuple[Redeemed, ...] = ()
    waiting: tuple[Waiting, ...] = ()


class PassRedeemer:
    """One relay's redemptions. `vouchers` holds the newest voucher of each campaign, as stored."""

    def __init__(
        self,
        rules: RedeemRules,
        passes: EntryPassBook,
        store: RelayStore,
        issuers: IssuerDesk,
        pool: PoolView,
    ) -> None:
        self._rules, self._passes, self._store = rules, passes, store
        self._issuers, self._pool = issuers, pool
        self._dues = Dues(store)
        self._totals = self._dues.totals()
        self._at_pool = PoolRedeemer(rules, passes, store, self._dues, pool)
        self._turn = asyncio.Lock()
        self._waits = Waits()
        self._reserved: dict[int, Epoch] = {}
        self._fresh: set[int] = set()
        self.vouchers: dict[int, StoredPoolVoucher] = store.pool_vouchers()
        self._claimed: dict[int, Amount] = {}
        self.last = RedeemReport()
        """The newest run's report."""

    async def run_once(self, now: int, *, urgent: bool = False) -> RedeemReport:
        """Redeem what is over at chain time `now`. `urgent`: also what was tried a short while ago.

        Raises StoreFailed only; everything else waits, with its reason, for the next run.
        """
        async with self._turn:
            redeemed: list[Redeemed] = []
            over = [scope for scope in self._passes.scopes() if now >= self._rules.ends(scope)]
            for scope in over:
                self._passes.close(scope.kind, scope.period)
            unanswered: set[int] = set()
            reserved: dict[int, Epoch] = {}
            for scope in sorted(over, key=lambda s: (s.campaign, self._rules.ends(s), s.kind)):
                if scope.campaign not in reserved and (urgent or self._waits.is_due(_of(scope), now)):
                    redeemed += await self._try(scope, now, ask=scope.campaign not in unanswered)
                if self._waits.is_unanswered(_of(scope)):
                    unanswered.add(scope.campaign)
                if scope in self._passes.scopes() and self._at_pool.holds(scope, now):
                    reserved.setdefault(scope.campaign, self._rules.last_epoch(scope))
            for voucher in list(self.vouchers.values()):
                if voucher.campaign not in unanswered and voucher.campaign not in reserved:
                    await self._renew(voucher, now, urgent)
            self._reserved, self._fresh = reserved, set()
            self.last = RedeemReport(tuple(redeemed), tuple(self._waits.all()))
            return self.last

    async def read_claimed(self, campaign: int) -> None:
        """Read what we have claimed of a campaign's voucher. Raises ChainError."""
        if campaign in self.vouchers:
            self._claimed[campaign] = (await asyncio.to_thread(self._pool.paid, campaign)).claimed

    def unclaimed(self, campaign: int) -> int:
        """What a campaign's newest voucher promises beyond what was claimed, as far as was read."""
        voucher = self.vouchers.get(campaign)
        return 0 if voucher is None else max(0, voucher.cumulative - self._claimed.get(campaign, 0))

    def ends(self, scope: Scope) -> int:
        """The first second after a scope's period: before it nobody is asked."""
        return self._rules.ends(scope)

    def is_reserved(self, voucher: StoredPoolVoucher) -> bool:
        """Whether a voucher must not be claimed yet: passes that it might cover are redeemed at the pool
        first."""
        if (
            voucher.campaign in self._fresh
        ):  # a run is not over: what else there is of its period is not known
            return True
        first = self._reserved.get(voucher.campaign)
        return first is not None and voucher.period >= first

    def paid_at_pool(self) -> dict[int, Amount]:
        """All that the pool ever paid for passes, by campaign, as far as known."""
        totals = dict(self._totals)
        for scope in self._passes.scopes():
            if paid := self._at_pool.paid(scope):
                totals[scope.campaign] = Amount(totals.get(scope.campaign, 0) + paid)
        return totals

    # ------------------------------------------------------------------ redeeming

    async def _try(self, scope: Scope, now: int, *, ask: bool) -> list[Redeemed]:
        matter = _of(scope)
        try:
            done = await self._redeem(scope, now, ask)
        except Settling as error:
            wait = Wait(now + _PAUSE_UNANSWERED, str(error))
        except Short as error:
            wait = Wait(now + _PAUSE_SHORT, error.detail)
        except NotAsked as error:
            wait = Wait(now, str(error), unanswered=True)
        except (IssuerSilent, VoucherError) as error:
            wait = Wait(now + _PAUSE_UNANSWERED, str(error), unanswered=True)
        except (ChainError, PeerError) as error:
            wait = Wait(now + _PAUSE_UNANSWERED, str(error))
        else:
            self._waits.drop(matter)
            return done
        redeemed, wait = await self._turn_to_pool(scope, now, wait)
        self._waits.put(matter, wait)
        return redeemed

    async def _redeem(self, scope: Scope, now: int, ask: bool) -> list[Redeemed]:
        if not self._passes.held(scope):
            await self._forget(scope)
            return []
        price, rest = await self._at_pool.look(scope), self._at_pool.unpaid(scope)
        if now > self._rules.closes(scope):
            await self._give_up(scope, rest, price)
            return []
        if not rest:
            if not self._at_pool.is_settled(scope, now):
                raise Settling("redeemed at the pool; its passes are kept until the chain has settled")
            await self._forget(scope, beyond=self._due(scope, price))
            return []
        if not ask:
            raise NotAsked("its issuer has to answer for an earlier period first")
        known, beyond = self._known(scope.campaign), self._dues.beyond(scope.campaign)
        redemptions = [self._passes.redemption(held.pass_id) for held in rest]
        voucher, refused = await self._issuers.hand_in(scope, redemptions, known, now)
        missing = known + beyond + self._due(scope, price) - voucher.cumulative
        if missing > 0:
            await self._keep_short(scope, voucher, missing, price, now)
            raise Short("short", _shortfall(missing, refused))
        await self._forget(scope, voucher)
        amount = worth(rest, price)
        log.info("campaign %d, period %d: %s tokens", scope.campaign, scope.period, shown(amount))
        return [Redeemed(scope.campaign, scope.period, len(rest), amount)]

    def _due(self, scope: Scope, price: Amount) -> Amount:
        """What the scope must add to the campaign's total."""
        stored = self._dues.due(scope)
        return stored if stored is not None else worth(self._passes.held(scope), price)

    def _known(self, campaign: int) -> Amount:
        voucher = self.vouchers.get(campaign)
        return voucher.cumulative if voucher is not None else Amount(0)

    async def _keep_short(
        self, scope: Scope, voucher: StoredPoolVoucher, missing: int, price: Amount, now: int
    ) -> None:
        """Keep a voucher that brings too little, unless the pool can be made to pay what is missing."""
        if self._at_pool.holds(scope, now) and missing >= self._rules.least * price:
            return
        due, beyond = self._dues.due_op(scope, missing), self._dues.beyond_op(scope.campaign, 0)
        await self._keep(voucher, [due, beyond])

    async def _turn_to_pool(self, scope: Scope, now: int, wait: Wait) -> tuple[list[Redeemed], Wait]:
        """What the pool pays, now or later, for a scope that its issuer did not pay in full."""
        candidates = self._at_pool.candidates(scope)
        if not candidates or now > self._rules.closes(scope):
            return [], wait
        due = self._rules.due(scope)
        if now < due:
            later = f"{len(candidates)} passes are redeemed at the pool from {moment(due)} on"
            return [], replace(wait, until=min(wait.until, due), why=f"{wait.why}; {later}")
        try:
            done = await self._at_pool.redeem(scope, self.vouchers.get(scope.campaign), now)
        except (ChainError, NoEther) as error:
            return [], replace(wait, why=f"{wait.why}; redeeming at the pool: {error}")
        if done is None:
            return [], wait
        said = f"{done.passes} passes, {shown(done.amount)} tokens, were redeemed at the pool"
        log.info("campaign %d, period %d: %s", scope.campaign, scope.period, said)
        redeemed = Redeemed(scope.campaign, scope.period, done.passes, done.amount, at_pool=True)
        return [redeemed], replace(wait, why=f"{wait.why}; {said}")

    # ------------------------------------------------------------------ the disk

    async def _keep(self, voucher: StoredPoolVoucher, ops: list[StoreOp]) -> None:
        await self._store.written([pool_voucher_op(voucher), *ops])
        self._fresh.add(voucher.campaign)
        self.vouchers[voucher.campaign] = voucher

    async def _give_up(self, scope: Scope, rest: Sequence[HeldPass], price: Amount) -> None:
        """The pool pays nothing more for this period."""
        if rest:
            log.error(
                "campaign %d, period %d: the claim window is over; %d passes were not paid in full",
                scope.campaign, scope.period, len(rest),
            )  # fmt: skip
        beyond = max(0, self._due(scope, price) - worth(rest, price)) if self._at_pool.paid(scope) else 0
        await self._forget(scope, beyond=Amount(beyond))

    async def _forget(
        self, scope: Scope, voucher: StoredPoolVoucher | None = None, beyond: Amount | None = None
    ) -> None:
        """Drop a scope's passes, in the transaction that keeps what they brought.

        `voucher`: includes all of it. `beyond`: what the pool paid that the next voucher has to include.
        """
        campaign, dues, ops = scope.campaign, self._dues, self._dues.forget_ops(scope)
        if paid := self._at_pool.paid(scope):
            self._totals[campaign] = Amount(self._totals.get(campaign, 0) + paid)
            ops.append(dues.total_op(campaign, self._totals[campaign]))
        if voucher is not None and dues.beyond(campaign):
            ops.append(dues.beyond_op(campaign, 0))
        elif beyond:
            ops.append(dues.beyond_op(campaign, dues.beyond(campaign) + beyond))
        ops += forget_pass_ops(self._passes.forget(scope))
        if voucher is not None:
            await self._keep(voucher, ops)
        else:
            await self._store.written(ops)
        self._at_pool.forget(scope)

    # ------------------------------------------------------------------ renewing

    async def _renew(self, voucher: StoredPoolVoucher, now: int, urgent: bool) -> None:
        """Ask for the same total in a later period, when the voucher's own is about to lapse unpaid."""
        schedule, window = self._rules.schedule, self._rules.window
        campaign, newest = voucher.campaign, schedule.epoch_at(now) - 1
        lapses = schedule.end(Epoch(voucher.period)) + window
        if now < lapses - window // 2 or newest <= voucher.period:
            return
        matter = Matter(campaign, voucher.period, "voucher")
        if not self._issuers.knows(campaign) or not (urgent or self._waits.is_due(matter, now)):
            return
        try:
            if (await asyncio.to_thread(self._pool.paid, campaign)).claimed < voucher.cumulative:
                known = voucher.cumulative
                renewed, _ = await self._issuers.ask(campaign, KIND_ENTRY, newest, [], known, now)
                await self._keep(renewed, [])
        except (ChainError, PeerError, IssuerSilent) as error:
            self._waits.put(matter, Wait(now + _PAUSE_UNANSWERED, f"its voucher lapses unpaid: {error}"))
        else:
            self._waits.drop(matter)


def _of(scope: Scope) -> Matter:
    return Matter(scope.campaign, scope.period, f"passes of kind {scope.kind}")


def _shortfall(missing: int, refused: list[RefusedBundle]) -> str:
    reasons = ", ".join(sorted({bundle.reason for bundle in refused}))
    said = f"{len(refused)} passes refused: {reasons}" if refused else "without saying why"
    return f"the issuer credited {shown(missing)} tokens too little, {said}; asking again"
