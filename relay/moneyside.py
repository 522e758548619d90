"""The money's part of the daemon's life: what we owe and are owed becomes transactions, at its own pace.

    campaigns    budgets and limits of the sponsors whose passes we take
    redeemer     passes of periods that are over → pool vouchers, or payment by the pool itself
    treasury     channels opened and topped up; vouchers claimed; earnings swept to the owner

`settle` does it all at once: with every payer, with every issuer, then on the chain.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from mixpay.chain.contracts import Contracts
from mixpay.errors import ChainError, UserError
from mixpay.passes import EntryPassBook
from mixpay.types import Account, Amount, RelayId
from relay.clients.exposure import renew_limits
from relay.path.books import Books
from relay.path.desk import Desk, RelayHooks
from relay.path.router import Router
from relay.redeem.redeemer import PassRedeemer, RedeemReport
from relay.state import State
from relay.treasury import Debts, TreasuryDesk, TreasuryReport
from relay.treasury.facts import payee_facts, payer_facts

log = logging.getLogger(__name__)

_SETTLE_LIMIT = 45.0
"""Seconds that a settlement may take: three times what last responses are waited for."""
_POLL = 0.1


@dataclass(frozen=True, slots=True)
class Settled:
    """What one `settle` did. `unsettled`: payers that were too slow, and what they owe (hop prices)."""

    unsettled: dict[RelayId, int]
    redeemed: RedeemReport
    treasury: TreasuryReport


Judged = Callable[[Account, Account], Amount]
"""What the court has judged between a payer and a payee, all in all."""


def debts(
    state: State, books: Books, router: Router, redeemer: PassRedeemer, judged: Judged = lambda *_: Amount(0)
) -> Debts:
    """What the treasury plans with."""
    price = state.hop_price
    payees = (
        payee_facts(relay, book, price, router.waiting(relay), judged(book.payer, book.payee))
        for relay, book in books.payers.items()
    )
    payers = (
        payer_facts(relay, book, price, book.state.signature, judged(book.payer, book.payee))
        for relay, book in books.payees.items()
    )
    vouchers = tuple(redeemer.vouchers.values())
    owed = tuple(payees), tuple(payers), vouchers
    reserved = frozenset(v.campaign for v in vouchers if redeemer.is_reserved(v))
    over = state.is_over, state.is_overdue
    return Debts(price, state.chain_time, *owed, *over, reserved)


class MoneySide:
    """One relay's earnings and debts."""

    def __init__(
        self,
        state: State,
        contracts: Contracts,
        books: Books,
        desk: Desk,
        hooks: RelayHooks,
        redeemer: PassRedeemer,
        treasury: TreasuryDesk,
        passes: EntryPassBook,
        campaigns: Collection[int],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._contracts = contracts
        self._books = books
        self._desk = desk
        self._hooks = hooks
        self.redeemer = redeemer
        self.treasury = treasury
        self._passes = passes
        self._campaigns = campaigns
        self._clock = clock

    async def run(self, interval: float) -> None:
        """Look after the money every `interval` seconds, and when a channel closes, until cancelled."""
        while True:
            self._hooks.claims.clear()
            try:
                if self._state.is_over:
                    self._desk.settle()  # there is no more traffic to wait for
                await self.read_campaigns()
                await self.redeemer.run_once(self._state.chain_time)
                await self.treasury.run_once()
            # UserError: the network has moved to a release that this program does not know.
            except (ChainError, UserError) as error:
                log.debug("money waits for the chain: %s", error)  # chainside says it to the operator
            until = self._clock() + interval
            while self._clock() < until and not self._hooks.claims:
                await asyncio.sleep(min(interval, _POLL))

    async def read_campaigns(self) -> None:
        """Read budgets and limits of our campaigns, and what we have claimed of them. Raises ChainError."""
        for campaign in tuple(self._campaigns):  # others may be added meanwhile
            # In this order: what is claimed between the two counts as unclaimed still.
            await self.redeemer.read_claimed(campaign)
            found = await asyncio.to_thread(self._contracts.pool.campaign, campaign)
            self._state.campaigns[campaign] = found
        renew_limits(self._state, self._passes)

    async def settle(self) -> Settled:
        """Settle with every payer, redeem what is over, claim everything."""
        self._desk.settle()
        deadline = self._clock() + _SETTLE_LIMIT
        while self._owed() and self._clock() < deadline:
            await asyncio.sleep(_POLL)
        redeemed = await self.redeemer.run_once(self._state.chain_time, urgent=True)
        treasury = await self.treasury.run_once(urgent=True)
        return Settled(self._owed(), redeemed, treasury)

    def _owed(self) -> dict[RelayId, int]:
        owed = {relay: book.totals(Amount(1)).unsettled for relay, book in self._books.payees.items()}
        return {relay: value for relay, value in owed.items() if value}
