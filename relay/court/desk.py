"""Carries out the court's plans: reads the chain, tells the books what was judged, sends what is due.

All chain work is done in threads; the data path never waits for it. What fails is said once, named in the
report, and tried again by the next look: every action is decided anew from what the chain says then.

Rules
- What a case demands is on disk before the transaction that opens it leaves; so is the voucher by which we
  admit one. All else is on the chain: a restart reads it there.
- Books are told of an outcome `SETTLED_BLOCKS` after it, when no reorganisation takes it back any more, for
  they forget the receipts. Every outcome may be told again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from mixpay.amounts import shown
from mixpay.book import PayeeBook
from mixpay.chain.contracts import RelayRegistry
from mixpay.chain.errors import NoEther
from mixpay.chain.follower import Batch
from mixpay.errors import ChainError, ChainUnavailable
from mixpay.types import Account, Amount, RelayId
from relay.chainside import Accounts
from relay.config import CourtRules
from relay.court.actions import Action, Admit, Finish, Matter, Open
from relay.court.clerk import Clerk
from relay.court.docket import Docket, Outcome, Pair
from relay.court.facts import Facts, PayeeFacts, PayerFacts, Terms, payee_facts, payer_facts
from relay.court.noticed import Noticed
from relay.court.plan import Plan, make_plan
from relay.court.reader import Reader
from relay.path.books import Books, Side
from relay.store import RelayStore

log = logging.getLogger(__name__)

_ROUNDS = 4
"""Plans in one look at most: what is admitted is answered at once."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an action: `error` is None if it is done."""

    action: Action
    error: str | None


@dataclass(frozen=True, slots=True)
class CourtReport:
    """One look. `trouble`: why it ended early, or why nothing can be sent; None if all went well."""

    results: tuple[Result, ...] = ()
    matters: tuple[Matter, ...] = ()
    trouble: str | None = None


class CourtDesk:
    """One relay in court. All but `run` and `run_once` answers from what the last look found."""

    def __init__(
        self,
        *,
        me: Account,
        reader: Reader,
        clerk: Clerk,
        registry: RelayRegistry,
        accounts: Accounts,
        books: Books,
        store: RelayStore,
        terms: Terms,
        rules: CourtRules,
        clock: Callable[[], float],
    ) -> None:
        self._me = me
        self._reader = reader
        self._clerk = clerk
        self._registry = registry
        self._accounts = accounts
        self._books = books
        self._store = store
        self._terms = terms
        self._rules = rules
        self._clock = clock
        self._docket = Docket(me)
        self._noticed = Noticed(store)
        self._strangers: dict[Account, RelayId] = {}
        self._told = 0
        self._now = 0
        self._warned: set[tuple[RelayId, int, int]] = set()
        self._failing: dict[str, str] = {}
        self._turn = asyncio.Lock()
        self.tried: Counter[tuple[str, str]] = Counter()
        """Actions since the start, by kind and outcome (done, failed)."""
        self.last = CourtReport()
        """The newest look's report."""

    def judged(self, payer: Account, payee: Account) -> Amount:
        """What the court has judged between two accounts, all in all; 0 if nothing."""
        found = self._docket.judged(Pair(payer, payee))
        return found.total if found is not None else Amount(0)

    async def run(self, interval: float) -> None:
        """Look every `interval` seconds, until cancelled."""
        while True:
            await self.run_once()
            await asyncio.sleep(interval)

    async def run_once(self) -> CourtReport:
        """Look, tell the books, do what is due now. Raises StoreFailed only."""
        async with self._turn:
            report = CourtReport()
            for _ in range(_ROUNDS):
                before = len(report.results)
                report = await self._round(report)
                new = report.results[before:]
                if report.trouble is not None or not new or any(result.error for result in new):
                    break
            self.last = report
            return report

    async def _round(self, report: CourtReport) -> CourtReport:
        try:
            for batch in await asyncio.to_thread(lambda: list(self._reader.poll())):
                self._take(batch)
            self._strangers |= await asyncio.to_thread(self._find, self._unknown())
            self._make_lost_books()
            self._tell_books()
            todo = await self._plan()
        except ChainError as error:
            return CourtReport(report.results, report.matters or self.last.matters, str(error))
        self._warn(todo)
        results, trouble = await self._carry_out(todo)
        return CourtReport((*report.results, *results), todo.matters, trouble or todo.hindrance)

    # ------------------------------------------------------------------ what was reported

    def _take(self, batch: Batch) -> None:
        self._docket.take(batch)
        self._now = max(self._now, batch.chain_time)
        if batch.reverted_to is not None:
            self._told = 0  # to tell twice does no harm

    def _unknown(self) -> set[Account]:
        """Whom the reports are about, where no book says so: books may have been lost."""
        known = {book.payer for book in self._books.payees.values()}
        known |= {book.payee for book in self._books.payers.values()}
        named = {account for pair in self._docket.pairs() for account in pair}
        return named - known - self._strangers.keys() - {self._me}

    def _find(self, accounts: set[Account]) -> dict[Account, RelayId]:
        """Whose accounts they are; 0: nobody's. Blocks."""
        found = {account: self._registry.relay_of(account) for account in accounts}
        self._accounts.look_up(relay for relay in found.values() if relay)
        return found

    def _make_lost_books(self) -> None:
        """Have a book of every relay that has a case against us: without one it would go unanswered."""
        for pair in self._docket.pairs():
            if pair.payer == self._me and self._docket.case(pair) is not None:
                relay = self._relay(pair.payee, Side.PAYEE)
                if relay:
                    self._books.payer(relay)

    def _relay(self, account: Account, side: Side) -> RelayId:
        """Whose account it is; 0 if nobody's."""
        books = self._books
        if side is Side.PAYER:
            found = (relay for relay, book in books.payees.items() if book.payer == account)
        else:
            found = (relay for relay, book in books.payers.items() if book.payee == account)
        return next(found, self._strangers.get(account, RelayId(0)))

    def _tell_books(self) -> None:
        """Tell of outcomes that nothing takes back any more, oldest first."""
        outcomes = self._docket.outcomes
        while self._told < len(outcomes) and self._docket.is_settled(outcomes[self._told]):
            self._tell(outcomes[self._told])
            self._told += 1

    def _tell(self, outcome: Outcome) -> None:
        me, case, now = self._me, outcome.case, self._clock()
        side, other = (Side.PAYER, case.payer) if case.payee == me else (Side.PAYEE, case.payee)
        relay = self._relay(other, side)
        if not relay:
            return
        number, value = outcome.number, case.amount
        with self._books.step() as step:
            if side is Side.PAYEE:
                effects = self._books.payer(relay).on_judgement(number, outcome.total, value, outcome.costs)
            elif outcome.signature:
                answer = number, outcome.total, outcome.signature, value
                effects = self._books.payee(relay).on_answer(*answer, now)
            else:
                effects = self._books.payee(relay).on_judgement(number, outcome.total, value, now)
            step.add(side, relay, effects)

    # ------------------------------------------------------------------ planning

    async def _plan(self) -> Plan:
        payers = [
            payer_facts(relay, book, self._docket, self._since(relay, book))
            for relay, book in self._books.payees.items()
        ]
        payees = [payee_facts(relay, book, self._docket) for relay, book in self._books.payers.items()]
        found = tuple(f for f in payers if f is not None), tuple(f for f in payees if f is not None)
        if not any(found):
            return Plan()
        return await asyncio.to_thread(self._complete, *found)

    def _since(self, relay: RelayId, book: PayeeBook) -> int | None:
        """When the batch that has to settle was noticed; None if there is none."""
        if book.unsettled_cut is None:
            self._noticed.settled(relay)
            return None
        return self._noticed.since(relay, book.unsettled_cut, self._now)

    def _complete(self, payers: tuple[PayerFacts, ...], payees: tuple[PayeeFacts, ...]) -> Plan:
        """Plan with what the chain says now. Blocks; raises ChainError."""
        facts = Facts(self._reader.moment(self._now, self._docket.head), payers, payees)
        return make_plan(self._reader.complete(facts), self._terms, self._rules)

    def _warn(self, todo: Plan) -> None:
        """Say once what is in court against us."""
        for matter in todo.matters:
            about = (matter.relay, matter.batch, matter.amount)
            if matter.against_us and about not in self._warned:
                self._warned.add(about)
                log.warning(
                    "in court against us: relay %d, batch %d, %s tokens: %s; %s",
                    matter.relay, matter.batch, shown(matter.amount), matter.state, matter.follows,
                )  # fmt: skip

    # ------------------------------------------------------------------ acting

    async def _carry_out(self, todo: Plan) -> tuple[list[Result], str | None]:
        """One after the other. What a contract refuses does not stop the rest; a silent node does."""
        results: list[Result] = []
        for action in todo.actions:
            try:
                await self._do(action)
            except (ChainUnavailable, NoEther) as error:
                results.append(Result(action, str(error)))
                return results, str(error)
            except ChainError as error:
                results.append(Result(action, str(error)))
                if self._failing.get(action.why) != str(error):
                    self._failing[action.why] = str(error)
                    log.warning("court: %s: %s", action.why, error)
                continue
            results.append(Result(action, None))
            self._failing.pop(action.why, None)
            log.info("court: %s", action.why)
        return results, None

    async def _do(self, action: Action) -> None:
        """Do it, and count how that ended. Raises ChainError, NoEther."""
        outcome = "failed"
        try:
            await self._send(action)
            outcome = "done"
        finally:
            self.tried[type(action).__name__.lower(), outcome] += 1

    async def _send(self, action: Action) -> None:
        """What the books promise by it is on disk before anything is sent."""
        relay, books = action.relay, self._books
        with books.step() as step:
            if isinstance(action, Open):
                step.add(Side.PAYER, relay, books.payee(relay).prepare_case())
            elif isinstance(action, Admit):
                case = action.case
                costs = self._docket.costs(Pair(case.payer, case.payee))
                claim = case.batch.number, case.total, case.amount, costs
                step.add(Side.PAYEE, relay, books.payer(relay).admit(*claim))
        await self._store.written(())
        match action:
            case Admit():
                pass  # the answer follows
            case Open():
                await asyncio.to_thread(self._clerk.open, action, books.payee(relay))
            case Finish():
                await asyncio.to_thread(self._clerk.finish, action, books.payee(relay))
            case _:
                await asyncio.to_thread(self._clerk.simple, action)
