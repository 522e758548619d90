"""Carries out the treasury's plans: reads what they need from the chain, sends one transaction at a time.

All chain work is done in threads; the data path never waits for it. What fails is said once, named in the
report, and tried again by the next run: every action is decided anew from what the chain says then.

Vouchers are claimed together. The contract takes all of them or none; what it refuses, or what there is too
little ether for, is halved until each stands alone. So one bad voucher, or a low account, keeps no other from
being paid. A refusal is found by a dry run, and costs nothing.

The books learn of the chain with a delay. So before something is sent, the channels it touches are read
again, and the plan is made again with what they hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mixpay.chain.contracts import Contracts
from mixpay.chain.errors import NoEther
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.epochs import Schedule
from mixpay.errors import ChainError, ChainUnavailable
from mixpay.types import Account, Amount, Epoch, RelayId
from relay.config import TreasuryRules
from relay.store import StoredPoolVoucher
from relay.treasury.actions import (
    Action,
    Claim,
    ClaimPool,
    Deposit,
    Fund,
    Postponed,
    Subject,
    Together,
    kind,
    name,
    verb,
)
from relay.treasury.claims import in_transactions
from relay.treasury.closing import FinishClose, RequestClose
from relay.treasury.facts import Debts, Facts, Holdings, PayeeFacts, PayerFacts, PoolFacts, pool_facts
from relay.treasury.plan import Plan, make_plan

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

    def why_postponed(self, subject: Subject, number: int) -> list[str]:
        """Why something about a subject waits."""
        return [item.why for item in self.postponed if (item.subject, item.number) == (subject, number)]


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
        stuck_after: float = 60.0,
    ) -> None:
        """`stuck_after`: seconds after which an earlier run's transaction that is in no block is replaced."""
        self._stuck_after = stuck_after
        self._stuck_since: float | None = None
        self._owner = owner
        self._rules = rules
        self._debts = debts
        self._sender = sender
        self._contracts = contracts
        self._reader = _Reader(rpc, contracts, sender.account, schedule, claim_window)
        self._turn = asyncio.Lock()
        self._told: dict[str, str] = {}
        self.tried: Counter[tuple[str, str]] = Counter()
        """Actions since the start, by kind and outcome (done, failed)."""
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
            await self._look_after_stuck(facts.holdings.in_flight)
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

    async def _look_after_stuck(self, in_flight: int) -> None:
        """Nothing is planned while a transaction is in no block; and nobody raises an earlier run's fee.

        Raises ChainError.
        """
        now = time.monotonic()
        if not in_flight:
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        elif now - self._stuck_since >= self._stuck_after:
            with contextlib.suppress(NoEther):  # the plan says so
                if await asyncio.to_thread(self._sender.clear) is not None:
                    log.info("a transaction of an earlier run was stuck: an empty one took its place")

    # ------------------------------------------------------------------ planning

    def _plan(self, debts: Debts, urgent: bool) -> tuple[Facts, Plan]:
        """Plan until nothing planned rests on what a book says of a channel. Blocks; raises ChainError."""
        read = (self._reader.pool(v) for v in debts.vouchers)
        pool = tuple(replace(found, reserved=found.voucher.campaign in debts.reserved) for found in read)
        holdings = self._reader.holdings()
        facts = Facts(
            debts.price,
            debts.now,
            holdings,
            debts.payees,
            debts.payers,
            pool,
            debts.winding_up,
            debts.overdue,
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
        queue = deque(in_transactions(todo.actions))
        while queue:
            sent = queue.popleft()
            error = await self._try(sent)
            if isinstance(sent, Together) and not isinstance(error, ChainUnavailable | None):
                log.debug("claimed by halves, for together they failed: %s", error)
                queue.extendleft(reversed(sent.halves()))
                continue
            actions = sent.claims if isinstance(sent, Together) else (sent,)
            results += (self._result(action, error) for action in actions)
            if isinstance(error, ChainUnavailable | NoEther):
                return results, str(error)
        return results, None

    async def _try(self, sent: Action | Together) -> ChainError | NoEther | None:
        """What came in the way, if anything did."""
        try:
            await asyncio.to_thread(self._send, sent)
        except (ChainError, NoEther) as error:
            return error
        return None

    def _result(self, action: Action, error: ChainError | NoEther | None) -> Result:
        """What is reported of an action, and logged: trouble with the chain itself is the whole run's."""
        self.tried[kind(action), "done" if error is None else "failed"] += 1
        if error is None:
            self._told.pop(name(action), None)
            log.info("%s: %s", verb(action), action.why)
            return Result(action, None)
        if not isinstance(error, ChainUnavailable | NoEther):
            self._tell(name(action), str(error))
        return Result(action, str(error))

    def _send(self, sent: Action | Together) -> None:
        """Send an action's transactions and wait until they are mined. Blocks."""
        token, channels, me = self._contracts.token, self._contracts.channels, self._sender.account
        match sent:
            case Deposit():
                if token.allowance(me, channels.address) < sent.amount:
                    self._sender.send(token.approve(channels.address, sent.amount))
                call = channels.deposit(sent.amount)
            case Fund():
                call = channels.fund(sent.payee, sent.amount)
            case Together():
                call = channels.claim_many(me, [(claim.payer, *_voucher(claim)) for claim in sent.claims])
            case Claim() if not sent.signature:
                call = channels.claim_judgement(sent.payer, me)
            case Claim():
                call = channels.claim(sent.payer, me, *_voucher(sent))
            case RequestClose():
                call = channels.request_close(sent.payee)
            case FinishClose():
                call = channels.finish_close(sent.payee)
            case ClaimPool():
                total = (sent.period, sent.cumulative, sent.signature)
                call = self._contracts.pool.claim(sent.campaign, *total)
            case _:
                call = channels.withdraw(self._owner, sent.amount)
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


def _voucher(claim: Claim) -> tuple[Amount, int, bytes]:
    return claim.cumulative, claim.upto_batch, claim.signature
