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

Report: TypeAlias = events.CaseOpened | events.CaseAnswered | events.Judged | events.CaseExpired


class Pair(NamedTuple):
    """Who owes, and who is owed."""

    payer: Account
    payee: Account


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case is over: `total` is owed up to its batch, by a judgement or by the voucher that answered it."""

    case: Case
    total: Amount
    block: int
    signature: bytes = field(default=b"", repr=False)
    """Of the voucher, 65 bytes; empty for a judgement."""

    @property
    def pair(self) -> Pair:
        """Between whom."""
        return Pair(self.case.payer, self.case.payee)


@dataclass(slots=True)
class _Record:
    """All that follows from the reports."""

    cases: dict[Pair, Case] = field(default_factory=dict)
    answered: dict[Pair, Case] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    judged: dict[Pair, Outcome] = field(default_factory=dict)
    expired: Counter[tuple[Pair, int]] = field(default_factory=Counter)

    def add(self, report: Report) -> None:
        pair = Pair(report.payer, report.payee)
        match report:
            case events.CaseOpened():
                self.cases[pair] = report.case
            case events.CaseAnswered():
                self._answer(pair, report)
            case events.Judged():
                over = self.cases.pop(pair, None) or self.answered.get(pair)
                if over is not None:
                    self.judged[pair] = Outcome(over, report.total, report.block)
                    self.outcomes.append(self.judged[pair])
            case events.CaseExpired():
                over = self.cases.pop(pair, None)
                if over is not None:
                    self.expired[pair, over.batch.number] += 1

    def _answer(self, pair: Pair, report: events.CaseAnswered) -> None:
        """What the voucher admits is reported as judged next. If it covers later batches too, an honest payer
        did not sign it: then only that counts."""
        over = self.cases.pop(pair, None)
        if over is None:
            return
        self.answered[pair] = over
        if report.upto_batch == over.batch.number:
            self.outcomes.append(Outcome(over, report.cumulative, report.block, report.signature))


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

    def pairs(self) -> set[Pair]:
        """All between whom there is a case or a judgement."""
        return {*self._record.cases, *self._record.judged}

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """How cases ended with a total, in order. What is answered is told twice: as answered, as judged."""
        return tuple(self._record.outcomes)

    def judged(self, pair: Pair) -> Outcome | None:
        """The newest judgement, which is the largest."""
        return self._record.judged.get(pair)

    def expired(self, pair: Pair, number: int) -> int:
        """How many cases about a batch ended without a total."""
        return self._record.expired[pair, number]
