"""What the court has reported about one account: its cases, on either side, and what became of them. Pure.

The reports are kept, and everything follows from them: so a reorganised chain, which takes some back, is no
case of its own. They are few: an account goes to court rarely.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from mixpay.chain import events
from mixpay.chain.follower import Batch
from mixpay.chain.views import Case
from mixpay.types import Account, Amount

Report: TypeAlias = (
    events.CaseOpened | events.CaseAnswered | events.CaseAdmitted | events.Judged | events.CaseExpired
)
SETTLED_BLOCKS = 12
"""So much later no reorganisation takes a report back any more."""

_NOTHING = Amount(0)


class Pair(NamedTuple):
    """Who owes, and who is owed."""

    payer: Account
    payee: Account


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case is over: `total` is owed up to batch `number`, by a judgement or the voucher that answered it.
    That is the case's batch, or a later one if the payee has shown a voucher up to that."""

    case: Case
    number: int
    total: Amount
    block: int
    signature: bytes = field(default=b"", repr=False)
    """Of the voucher, 65 bytes; empty for a judgement."""
    costs: Amount = _NOTHING
    """Costs in all that was judged between the two, those of this case included, in token units."""

    @property
    def pair(self) -> Pair:
        """Between whom."""
        return Pair(self.case.payer, self.case.payee)


@dataclass(slots=True)
class _Record:
    """All that follows from the reports."""

    cases: dict[Pair, Case] = field(default_factory=dict)
    admitted: set[Pair] = field(default_factory=set)
    answered: dict[Pair, Case] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    judged: dict[Pair, Outcome] = field(default_factory=dict)
    costs: Counter[Pair] = field(default_factory=Counter)
    expired: Counter[tuple[Pair, int]] = field(default_factory=Counter)

    def add(self, report: Report) -> None:
        pair = Pair(report.payer, report.payee)
        match report:
            case events.CaseOpened():
                self.admitted.discard(pair)
                self.cases[pair] = report.case
            case events.CaseAdmitted():
                self.admitted.add(pair)
            case events.CaseAnswered():
                self._answer(pair, report)
            case events.Judged():
                self._judge(pair, report)
            case events.CaseExpired():
                over = self.cases.pop(pair, None)
                if over is not None:
                    self.expired[pair, over.batch.number] += 1

    def _answer(self, pair: Pair, report: events.CaseAnswered) -> None:
        """The voucher counts, whether it is reported as judged next or an earlier judgement is larger."""
        over = self.cases.pop(pair, None)
        if over is not None:
            self.answered[pair] = over
            told = report.upto_batch, report.cumulative, report.block, report.signature
            self.outcomes.append(Outcome(over, *told, Amount(self.costs[pair])))

    def _judge(self, pair: Pair, report: events.Judged) -> None:
        """Of a case that was proven, or of the voucher that answered one: without costs."""
        proven = self.cases.pop(pair, None)
        over = proven or self.answered.get(pair)
        if over is None:
            return
        if proven is not None:
            self.costs[pair] += self._added(pair, report.total, proven)
        costs = Amount(self.costs[pair])
        self.judged[pair] = Outcome(over, report.number, report.total, report.block, costs=costs)
        self.outcomes.append(self.judged[pair])

    def _added(self, pair: Pair, total: Amount, proven: Case) -> int:
        """What a proven case adds to the costs in the judged totals. These are of one series: one that is
        little above the one before has the same costs in it, not further ones."""
        before = self.judged.get(pair)
        return min(total - proven.total, total - (before.total if before is not None else 0))


class Docket:
    """The court's reports about `me`, from a follower of its events."""

    def __init__(self, me: Account) -> None:
        self._me = me
        self._reports: list[Report] = []
        self._record = _Record()
        self.head = 0
        """Newest block that was read."""

    def take(self, batch: Batch) -> None:
        """What one poll found."""
        self.head = batch.head
        if batch.reverted_to is not None:
            self._reports = [report for report in self._reports if report.block <= batch.reverted_to]
            self._record = _Record()
            for report in self._reports:
                self._record.add(report)
        for event in batch.events:
            if isinstance(event, Report) and self._me in (event.payer, event.payee):
                self._reports.append(event)
                self._record.add(event)

    def case(self, pair: Pair) -> Case | None:
        """The case that is open, as far as reported."""
        return self._record.cases.get(pair)

    def is_admitted(self, pair: Pair) -> bool:
        """Whether the payer has shown a voucher for what the open case claims, up to a later batch."""
        return pair in self._record.cases and pair in self._record.admitted

    def costs(self, pair: Pair) -> Amount:
        """What proven cases have added to the payer's totals, as far as no reorganisation takes it back."""
        outcomes = [outcome for outcome in self.outcomes if outcome.pair == pair and self.is_settled(outcome)]
        return outcomes[-1].costs if outcomes else _NOTHING

    def is_settled(self, outcome: Outcome) -> bool:
        """Whether no reorganisation takes it back any more."""
        return outcome.block + SETTLED_BLOCKS <= self.head

    def pairs(self) -> set[Pair]:
        """All between whom there is a case or a judgement."""
        return {*self._record.cases, *self._record.judged}

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """How cases ended with a total, in order. What is answered is told twice, as answered and as judged,
        unless an earlier judgement is as large."""
        return tuple(self._record.outcomes)

    def judged(self, pair: Pair) -> Outcome | None:
        """The newest judgement, which is the largest."""
        return self._record.judged.get(pair)

    def expired(self, pair: Pair, number: int) -> int:
        """How many cases about a batch ended without a total."""
        return self._record.expired[pair, number]
