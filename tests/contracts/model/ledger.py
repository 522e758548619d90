"""IChannels: balances, and the channels between them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from model.refused import require


@dataclass
class Channel:
    """All-time totals; when a close can be finished, or 0."""

    deposit: int = 0
    claimed: int = 0
    closes_at: int = 0
    held: bool = False


class Ledger:
    """`judged` is the court's newest total by (payer, payee)."""

    def __init__(self, notice: int) -> None:
        self.notice = notice
        self.balance: dict[Any, int] = defaultdict(int)
        self.channels: dict[tuple[Any, Any], Channel] = defaultdict(Channel)
        self.judged: dict[tuple[Any, Any], int] = defaultdict(int)
        self.tokens = 0

    def deposit(self, who: Any, amount: int) -> None:
        self.balance[who] += amount
        self.tokens += amount

    def withdraw(self, who: Any, amount: int) -> None:
        self.debit(who, amount)
        self.tokens -= amount

    def debit(self, who: Any, amount: int) -> None:
        require(self.balance[who] >= amount, "InsufficientBalance")
        self.balance[who] -= amount

    def move(self, who: Any, to: Any, amount: int) -> None:
        self.debit(who, amount)
        self.balance[to] += amount

    def fund(self, payer: Any, parts: list[tuple[Any, int]]) -> None:
        self.debit(payer, sum(amount for _, amount in parts))
        for payee, amount in parts:
            c = self.channels[payer, payee]
            c.deposit, c.closes_at, c.held = c.deposit + amount, 0, False

    def claim(self, payer: Any, payee: Any, total: int) -> int:
        c = self.channels[payer, payee]
        paid = max(0, min(total, c.deposit) - c.claimed)
        c.claimed += paid
        self.balance[payee] += paid
        return paid

    def claim_judgement(self, payer: Any, payee: Any) -> int:
        return self.claim(payer, payee, self.judged[payer, payee])

    def request_close(self, payer: Any, payee: Any, now: int) -> None:
        c = self.channels[payer, payee]
        require(not c.closes_at, "CloseAlreadyRequested")
        require(c.deposit != c.claimed, "ChannelEmpty")
        c.closes_at = now + self.notice

    def finish_close(self, payer: Any, payee: Any, now: int) -> None:
        c = self.channels[payer, payee]
        require(c.closes_at != 0, "CloseNotRequested")
        require(now >= c.closes_at, "NoticeRunning")
        self.release(payer, payee)

    def release(self, payer: Any, payee: Any) -> None:
        self.claim_judgement(payer, payee)
        c = self.channels[payer, payee]
        self.balance[payer] += c.deposit - c.claimed
        c.deposit, c.closes_at, c.held = c.claimed, 0, False

    def hold(self, payer: Any, payee: Any, until: int, now: int) -> None:
        c = self.channels[payer, payee]
        if now < c.closes_at < until and not c.held:
            c.closes_at, c.held = until, True

    def fund_from_stake(self, payer: Any, payee: Any, amount: int) -> None:
        self.tokens += amount
        self.channels[payer, payee].deposit += amount
