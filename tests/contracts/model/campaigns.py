"""ISubsidyPool: one campaign's money, claimed by vouchers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from model.ledger import Ledger
from model.refused import require

POOL = "pool"


class Campaign:
    """`caps`: of a period, and of a relay and period; `epoch`, `window`, `notice` in seconds."""

    def __init__(self, ledger: Ledger, caps: tuple[int, int], window: int, notice: int) -> None:
        self.ledger = ledger
        self.period_cap, self.relay_cap = caps
        self.window, self.notice = window, notice
        self.budget = 0
        self.withdrawal = 0
        self.withdrawable_at = 0
        self.paid_in: dict[int, int] = defaultdict(int)
        self.claimed: dict[Any, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))

    def fund(self, amount: int) -> None:
        self.budget += amount
        self.ledger.deposit(POOL, amount)

    def claim(self, relay: Any, period: int, total: int, ends_at: int, current: int, now: int) -> int:
        require(period <= current, "PeriodInFuture")
        require(now <= ends_at + self.window, "ClaimWindowOver")
        claimed, latest, in_period = self.claimed[relay]
        require(period >= latest, "PeriodTooOld")
        in_period = in_period if period == latest else 0
        wanted = max(0, total - claimed)
        left = min(self.relay_cap - in_period, self.period_cap - self.paid_in[period], self.budget)
        paid = min(wanted, left)
        if paid:
            self.budget -= paid
            self.paid_in[period] += paid
            self.claimed[relay] = claimed + paid, period, in_period + paid
            self.ledger.move(POOL, relay, paid)
        return paid

    def request_withdrawal(self, amount: int, now: int) -> None:
        require(amount <= self.budget, "ExceedsBudget")
        self.withdrawal, self.withdrawable_at = amount, now + self.notice if amount else 0

    def finish_withdrawal(self, now: int) -> None:
        require(self.withdrawable_at != 0, "WithdrawalNotRequested")
        require(now >= self.withdrawable_at, "NoticeRunning")
        amount = min(self.withdrawal, self.budget)
        self.budget -= amount
        self.withdrawal = self.withdrawable_at = 0
        self.ledger.withdraw(POOL, amount)
