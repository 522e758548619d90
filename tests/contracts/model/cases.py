"""IReceiptCourt: cases, judgements, stakes behind them. Whether samples are good is the caller's to say."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from model.ledger import Ledger
from model.refused import require
from model.stakes import Stakes

COURT = "court"


@dataclass
class Case:
    """One claim; `worth` in the token's smallest unit."""

    base: int
    worth: int
    number: int
    opened_at: int
    recorded: bool = False
    admitted: bool = False

    @property
    def bond(self) -> int:
        return (self.worth + 1) // 2


class Court:
    """Over a ledger and stakes; `windows` are answer and finish window, grace, cost."""

    def __init__(self, ledger: Ledger, stakes: Stakes, windows: tuple[int, int, int, int]) -> None:
        self.ledger, self.stakes = ledger, stakes
        self.answer_window, self.finish_window, self.grace, self.cost = windows
        self.cases: dict[tuple[Any, Any], Case] = {}
        self.judgements: dict[tuple[Any, Any], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))

    def open(self, payer: Any, payee: Any, base: int, worth: int, number: int, now: int, signed: int) -> None:
        """`signed`: what the payer signed the batch for, in the same unit."""
        require((payer, payee) not in self.cases, "CaseOpen")
        require(worth <= signed, "ExceedsBatch")
        require(self.judgements[payer, payee][1] < number, "AlreadyJudged")
        require(base + worth > self.ledger.channels[payer, payee].claimed, "NothingClaimed")
        case = Case(base, worth, number, now)
        self.ledger.move(payee, COURT, case.bond)
        self.cases[payer, payee] = case
        self.ledger.hold(payer, payee, self._end(case), now)

    def record(self, payer: Any, payee: Any) -> None:
        case = self._case(payer, payee)
        require(not case.recorded, "SeedRecorded")
        case.recorded = True

    def answer(self, by: Any, payer: Any, payee: Any, total: int, upto: int, now: int) -> None:
        case = self._case(payer, payee)
        require(now < case.opened_at + self.answer_window or by == payee, "AnswerWindowOver")
        enough = upto >= case.number and total >= case.base + case.worth
        require(enough, "InsufficientAnswer")
        if upto != case.number and by != payee:
            case.admitted = True
            return
        self._over(payer, payee, payee)
        self._judge(payer, payee, total, upto, now)

    def finish(self, payer: Any, payee: Any, good: bool, now: int) -> None:
        case = self._case(payer, payee)
        require(case.recorded, "SeedMissing")
        in_time = case.opened_at + self.answer_window <= now < self._end(case)
        require(in_time, "OutsideFinishWindow")
        require(good, "InvalidSamples")
        self._over(payer, payee, payee)
        cost = 0 if case.admitted else self.cost
        self._judge(payer, payee, case.base + case.worth + cost, case.number, now)

    def expire(self, payer: Any, payee: Any, now: int) -> None:
        case = self._case(payer, payee)
        require(now >= self._end(case), "CaseRunning")
        self._over(payer, payee, payer)

    def collect(self, payer: Any, payee: Any, now: int) -> None:
        total, _, judged_at = self.judgements[payer, payee]
        lacking = total - self.ledger.channels[payer, payee].deposit
        require(lacking > 0, "NothingLacking")
        require(now >= judged_at + self.grace, "GraceRunning")
        taken = self.stakes.slash(payer, lacking, now)
        self.ledger.fund_from_stake(payer, payee, taken)
        self.ledger.claim_judgement(payer, payee)

    def _case(self, payer: Any, payee: Any) -> Case:
        require((payer, payee) in self.cases, "NoCase")
        return self.cases[payer, payee]

    def _over(self, payer: Any, payee: Any, winner: Any) -> None:
        case = self.cases.pop((payer, payee))
        self.ledger.move(COURT, winner, case.bond)

    def _judge(self, payer: Any, payee: Any, total: int, number: int, now: int) -> None:
        if total > self.judgements[payer, payee][0]:
            self.judgements[payer, payee] = total, number, now
            self.ledger.judged[payer, payee] = total

    def _end(self, case: Case) -> int:
        return case.opened_at + self.answer_window + self.finish_window
