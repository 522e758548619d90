"""Carries out the treasury's plans: reads what they need from the chain, sends one transaction at a time.

All chain work is done in threads; the data path never waits for it. What fails is said once, named in the
report, and tried again by the next run: every action is decided anew from what the chain says then.

The books learn of the chain with a delay. So before something is sent, the channels it touches are read
again, and the plan is made again with what they hold.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mixpay.chain.contracts import Contracts
from mixpay.chain.errors import NoEther
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.epochs import Schedule
from mixpay.errors import ChainError, ChainUnavailable, TransactionFailed
from mixpay.types import Account, Epoch, RelayId
from relay.config import TreasuryRules
from relay.store import StoredPoolVoucher
from relay.treasury.closing import FinishClose, RequestClose
from relay.treasury.facts import Debts, Facts, Holdings, PayeeFacts, PayerFacts, PoolFacts, pool_facts
from relay.treasury.plan import Action, Claim, ClaimPool, Deposit, Fund, Plan, Postponed, make_plan

log = logging.getLogger(__name__)

_ROUNDS = 4
"""Plans in one run at most: what claims brought may pay for what was short."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an action: `error` is None if it is done."""

    action: Action
    error: str | None


@dataclass(frozen=True, slots=True)
class TreasuryReport:
    """One run. `holdings` as the last plan saw them; `trouble`: why the run ended early, or None."""

    results: tuple[Result, ...] = ()
    postponed: tuple[Postponed, ...] = ()
    holdings: Holdings | None = None
    pool: tuple[PoolFacts, ...] = ()
    trouble: str | None = None
    winding_up: bool = False
    """Whether the last plan was for a relay that serves in no epoch any more."""


class TreasuryDesk:
    """One relay's treasury. `debts` is asked in the event loop; `owner` receives what is swept."""

    def __init__(
        self,
        *,
        rpc: Rpc,
        contracts: Contracts,
        sender: Sender,
        owner: Account,
        rules: TreasuryRules,
        schedule: Schedule,
        claim_window: int,
        debts: Callable[[], Debts],
    ) -> None:
        self._owner = owner
        self._rules = rules
        self._debts = debts
        self._sender = sender
        self._contracts = contracts
        self._reader = _Reader(rpc, contracts, sender.account, schedule, claim_window)
        self._turn = asyncio.Lock()
        self._told: dict[str, str] = {}
        self.last = TreasuryReport()
        """The newest run's report."""

    async def run_once(self, urgent: bool = False) -> TreasuryReport:
        """Do what is due now. `urgent`: claim everything, fund only what vouchers need. Raises nothing."""
        async with self._turn:
            report = TreasuryReport()
            for _ in range(_ROUNDS):
                before = len(report.results)
                report = await self._round(report, urgent)
                new = report.results[before:]
                if report.trouble is not None or not new or any(result.error for result in new):
                    break
            self._tell("chain", report.trouble)
            self.last = report
            return report

    async def _round(self, report: TreasuryReport, urgent: bool) -> TreasuryReport:
        """Plan and carry out once."""
        debts = self._debts()
        try:
            facts, todo = await asyncio.to_thread(self._plan, debts, urgent)
        except ChainError as error:
            return replace(report, trouble=str(error))
        results, trouble = await self._carry_out(todo)
        return TreasuryReport(
            (*report.results, *results),
            todo.postponed,
            facts.holdings,
            facts.pool,
            trouble,
            facts.winding_up,
        )

    # ------------------------------------------------------------------ planning

    def _plan(self, debts: Debts, urgent: bool) -> tuple[Facts, Plan]:
        """Plan until nothing planned rests on what a book says of a channel. Blocks; raises ChainError."""
        read = (self._reader.pool(v) for v in debts.vouchers)
        pool = tuple(replace(found, reserved=found.voucher.campaign in debts.reserved) for found in read)
        holdings = self._reader.holdings()
        facts = Facts(
            debts.price, debts.now, holdings, debts.payees, debts.payers, pool, winding_up=debts.winding_up
        )
        payees: set[RelayId] = {p.relay for p in facts.payees if p.cumulative} if urgent else set()
        payers: set[RelayId] = {p.relay for p in facts.payers if p.cumulative} if urgent else set()
        facts = self._reader.refresh(facts, payees, payers)
        while True:
            todo = make_plan(facts, self._rules, urgent=urgent)
            touched = (a for a in todo.actions if isinstance(a, Fund | RequestClose | FinishClose))
            funded = {action.relay for action in touched} - payees
            claimed = {action.relay for action in todo.actions if isinstance(action, Claim)} - payers
            if not funded and not claimed:
                return facts, todo
            facts = self._reader.refresh(facts, funded, claimed)
            payees |= funded
            payers |= claimed

    # ------------------------------------------------------------------ acting

    async def _carry_out(self, todo: Plan) -> tuple[list[Result], str | None]:
        """Send one after the other. What a contract refuses does not stop the rest; a silent node does."""
        results: list[Result] = []
        for action in todo.actions:
            try:
                await asyncio.to_thread(self._send, action)
            except (ChainUnavailable, NoEther) as error:
                results.append(Result(action, str(error)))
                return results, str(error)
            except (TransactionFailed, ChainError) as error:
                results.append(Result(action, str(error)))
                self._tell(_name(action), str(error))
                continue
            results.append(Result(action, None))
            self._told.pop(_name(action), None)
            log.info("%s: %s", _verb(action), action.why)
        return results, None

    def _send(self, action: Action) -> None:
        """Send an action's transactions and wait until they are mined. Blocks."""
        token, channels, me = self._contracts.token, self._contracts.channels, self._sender.account
        match action:
            case Deposit():
                if token.allowance(me, channels.address) < action.amount:
                    self._sender.send(token.approve(channels.address, action.amount))
                call = channels.deposit(action.amount)
            case Fund():
                call = channels.fund(action.payee, action.amount)
            case Claim() if not action.signature:
                call = channels.claim_judgement(action.payer, me)
            case Claim():
                voucher = (action.cumulative, action.upto_batch, action.signature)
                call = channels.claim(action.payer, me, *voucher)
            case RequestClose():
                call = channels.request_close(action.payee)
            case FinishClose():
                call = channels.finish_close(action.payee)
            case ClaimPool():
                total = (action.period, action.cumulative, action.signature)
                call = self._contracts.pool.claim(action.campaign, *total)
            case _:
                call = channels.withdraw(self._owner, action.amount)
        self._sender.send(call)

    def _tell(self, about: str, trouble: str | None) -> None:
        """Log a trouble once, until it is another one or over."""
        if trouble is None:
            self._told.pop(about, None)
        elif self._told.get(about) != trouble:
            self._told[about] = trouble
            log.warning("treasury: %s: %s", about, trouble)


class _Reader:
    """What the treasury asks the chain. Blocks; raises ChainError."""

    def __init__(
        self, rpc: Rpc, contracts: Contracts, me: Account, schedule: Schedule, claim_window: int
    ) -> None:
        self._rpc = rpc
        self._contracts = contracts
        self._me = me
        self._schedule = schedule
        self._window = claim_window

    def holdings(self) -> Holdings:
        in_flight = self._rpc.nonce(self._me, "pending") - self._rpc.nonce(self._me, "latest")
        return Holdings(
            ledger=self._contracts.channels.balance_of(self._me),
            tokens=self._contracts.token.balance_of(self._me),
            ether=self._rpc.balance(self._me),
            in_flight=max(0, in_flight),
        )

    def pool(self, voucher: StoredPoolVoucher) -> PoolFacts:
        pool, epoch = self._contracts.pool, Epoch(voucher.period)
        return pool_facts(
            voucher,
            pool.campaign(voucher.campaign),
            pool.claimed_by(voucher.campaign, self._me),
            pool.paid_in_period(voucher.campaign, epoch),
            self._schedule.end(epoch),
            self._window,
        )

    def refresh(self, facts: Facts, payees: Iterable[RelayId], payers: Iterable[RelayId]) -> Facts:
        """The same with these channels as the chain has them."""
        funded, claimed = set(payees), set(payers)
        return replace(
            facts,
            payees=tuple(self._payee(p) if p.relay in funded else p for p in facts.payees),
            payers=tuple(self._payer(p) if p.relay in claimed else p for p in facts.payers),
        )

    def _payee(self, payee: PayeeFacts) -> PayeeFacts:
        found = self._contracts.channels.channel(self._me, payee.account)
        return replace(payee, deposit=found.deposit, claimed=found.claimed, closes_at=found.closes_at)

    def _payer(self, payer: PayerFacts) -> PayerFacts:
        found = self._contracts.channels.channel(payer.account, self._me)
        return replace(payer, deposit=found.deposit, claimed=found.claimed, closes_at=found.closes_at)


def _verb(action: Action) -> str:
    match action:
        case Deposit():
            return "deposited"
        case Fund():
            return "funded"
        case Claim() | ClaimPool():
            return "claimed"
        case RequestClose():
            return "gave"
        case FinishClose():
            return "took back"
        case _:
            return "swept"


def _name(action: Action) -> str:
    """An action's kind and peer: one name for all its repetitions."""
    match action:
        case Fund():
            return f"funding relay {action.relay}"
        case RequestClose() | FinishClose():
            return f"closing the channel to relay {action.relay}"
        case Claim():
            return f"claim from relay {action.relay}"
        case ClaimPool():
            return f"claim from campaign {action.campaign}"
        case Deposit():
            return "deposit"
        case _:
            return "sweep"
