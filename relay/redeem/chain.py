"""Redeems passes at the pool itself, when their issuer does not pay in full.

Rules (docs/design.md §8, ISubsidyPool.redeemPasses; times in `redeem_rules.py`)
- The pool takes no passes of a period for which the relay has claimed a voucher, or has been paid for a later
  one. So a voucher of an earlier epoch is claimed first; and until all of a scope is done that is worth gas,
  no later scope is redeemed and no voucher of its last epoch or a later one is claimed (`holds`).
- A call is paid in full or not at all: the passes that are worth most go first, as many as caps and budget
  leave.
- That the pool was asked is on disk before it is. What a crash or a reorganised chain made of it, the pool
  says: it knows each pass that it has paid for. Such a pass is kept until that is `_SETTLED` seconds old.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mixpay.amounts import shown
from mixpay.chain.errors import Reverted
from mixpay.passes import EntryPassBook, HeldPass, Scope
from mixpay.types import Amount, Epoch
from relay.redeem.dues import Dues
from relay.redeem.pool_view import PoolView
from relay.redeem.rules import RedeemRules, worth
from relay.store import RelayStore, StoredPoolVoucher, StoreOp

log = logging.getLogger(__name__)

_SETTLED = 900
"""Seconds of chain time after which the chain is not expected to take a payment back."""
_PASSES_A_CALL = 32
"""About 2.3 million gas."""


@dataclass(frozen=True, slots=True)
class AtThePool:
    """What was redeemed there: passes, and token units."""

    passes: int
    amount: Amount


class PoolRedeemer:
    """One relay's redemptions at the pool."""

    def __init__(
        self, rules: RedeemRules, passes: EntryPassBook, store: RelayStore, dues: Dues, pool: PoolView
    ) -> None:
        self._rules, self._passes, self._store = rules, passes, store
        self._dues, self._pool = dues, pool
        self._prices: dict[Scope, Amount] = {}
        self._redeemed: dict[Scope, frozenset[bytes]] = {}
        self._closed: set[Scope] = set()

    # ------------------------------------------------------------------ what is known

    async def look(self, scope: Scope) -> Amount:
        """Ask which passes the pool has paid for, if it was ever asked to; returns the scope's hop price.

        Raises ChainError.
        """
        if scope not in self._prices:
            self._prices[scope] = await asyncio.to_thread(self._pool.hop_price, scope)
        if self._dues.since(scope) is not None:
            self._redeemed[scope] = await asyncio.to_thread(self._ask, scope, self._passes.held(scope))
        return self._prices[scope]

    def _ask(self, scope: Scope, held: Sequence[HeldPass]) -> frozenset[bytes]:
        return frozenset(p.pass_id for p in held if self._pool.is_redeemed(scope.digest(p.anchor)))

    def unpaid(self, scope: Scope) -> list[HeldPass]:
        """The passes of a scope that the pool has not paid for, as far as known."""
        redeemed = self._redeemed.get(scope, frozenset())
        return [held for held in self._passes.held(scope) if held.pass_id not in redeemed]

    def paid(self, scope: Scope) -> Amount:
        """What it has paid for those of a scope, as far as known."""
        redeemed = self._redeemed.get(scope, frozenset())
        held = [held for held in self._passes.held(scope) if held.pass_id in redeemed]
        return worth(held, self._prices[scope]) if held else Amount(0)

    def candidates(self, scope: Scope) -> list[HeldPass]:
        """The passes that it has not paid for and that are worth gas. None if less than that is missing."""
        due, price = self._dues.due(scope), self._prices.get(scope)
        if due is not None and price is not None and due < self._rules.least * price:
            return []
        if self._store.pass_key(scope) is None:
            return []
        return [held for held in self.unpaid(scope) if self._rules.is_worth_gas(held)]

    def is_settled(self, scope: Scope, now: int) -> bool:
        """Whether what the pool paid is old enough."""
        since = self._dues.since(scope)
        return since is None or now >= since + _SETTLED

    def holds(self, scope: Scope, now: int) -> bool:
        """Whether later scopes and vouchers of its campaign have to wait for this one."""
        if now >= self._rules.hopeless(scope):
            return False
        wanted = scope not in self._closed and bool(self.candidates(scope))
        return wanted or (bool(self.paid(scope)) and not self.is_settled(scope, now))

    def forget(self, scope: Scope) -> None:
        """The scope is done."""
        self._prices.pop(scope, None)
        self._redeemed.pop(scope, None)
        self._closed.discard(scope)

    # ------------------------------------------------------------------ redeeming

    async def redeem(self, scope: Scope, voucher: StoredPoolVoucher | None, now: int) -> AtThePool | None:
        """Redeem what is worth gas, as far as caps and budget leave it; None if there is nothing, or no way.

        `voucher`: the campaign's newest. Raises ChainError, NoEther; nothing is lost then.
        """
        price, modulus = await self.look(scope), self._store.pass_key(scope)
        candidates = self.candidates(scope)
        if modulus is None or not candidates:
            return None
        if voucher is not None and voucher.period < self._rules.last_epoch(scope):
            await asyncio.to_thread(self._claim_before, voucher, now)
        chosen, obstacle = await asyncio.to_thread(self._choose, scope, candidates, price)
        self._tell(scope, obstacle)
        if not chosen:
            return None
        await self._store.written(self._before(scope, price, now))
        epoch = self._rules.first_epoch(scope)
        for start in range(0, len(chosen), _PASSES_A_CALL):
            some = [self._passes.redemption(p.pass_id) for p in chosen[start : start + _PASSES_A_CALL]]
            await asyncio.to_thread(self._pool.redeem, scope, modulus, epoch, some)
        await self.look(scope)
        return AtThePool(len(chosen), worth(chosen, price))

    def _choose(
        self, scope: Scope, candidates: Sequence[HeldPass], price: Amount
    ) -> tuple[list[HeldPass], str]:
        """What can be redeemed; if nothing, why. Blocks."""
        epoch, campaign = self._rules.last_epoch(scope), scope.campaign
        paid = self._pool.paid(campaign)
        if paid.period > epoch or (paid.period == epoch and paid.vouchered):
            return [], f"the pool has paid for epoch {paid.period} already, and takes no passes any more"
        left = self._pool.left(campaign, epoch)
        chosen = _fitting(candidates, price, left)
        return chosen, "" if chosen else f"budget and caps leave {shown(left)} tokens, too little for a pass"

    def _claim_before(self, voucher: StoredPoolVoucher, now: int) -> None:
        """Claim a voucher of an earlier epoch: after passes were redeemed it would be worth nothing.
        Blocks."""
        campaign, epoch = voucher.campaign, Epoch(voucher.period)
        paid = self._pool.paid(campaign)
        lapsed = now > self._rules.schedule.end(epoch) + self._rules.window or epoch < paid.period
        if voucher.cumulative <= paid.claimed or lapsed or not self._pool.left(campaign, epoch):
            return
        try:
            self._pool.claim(voucher)
        except Reverted as error:
            log.error("campaign %d: its voucher was not claimed: %s", campaign, error)

    def _before(self, scope: Scope, price: Amount, now: int) -> list[StoreOp]:
        """What is on disk before the pool is asked."""
        ops = [self._dues.since_op(scope, now)]
        if self._dues.due(scope) is None:
            ops.append(self._dues.due_op(scope, worth(self._passes.held(scope), price)))
        return ops

    def _tell(self, scope: Scope, obstacle: str) -> None:
        if not obstacle:
            self._closed.discard(scope)
        elif scope not in self._closed:
            self._closed.add(scope)
            log.error("campaign %d, period %d: %s", scope.campaign, scope.period, obstacle)


def _fitting(candidates: Iterable[HeldPass], price: Amount, left: Amount) -> list[HeldPass]:
    """Those that are worth most, as many as `left` pays in full."""
    chosen: list[HeldPass] = []
    for held in sorted(candidates, key=lambda held: -held.number):
        if worth([held], price) <= left:
            chosen.append(held)
            left = Amount(left - worth([held], price))
    return chosen
