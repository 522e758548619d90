"""What a pass of the policy `work` costs to farm: Argon2id over 1 MiB (`mixpay.crypto.work`).

    a pass costs                difficulty ÷ attempts an hour × price of the hour
    the difficulty              the policy's default, doubled after every `raise_after` passes
    an attempt of a core        measured here: the thread's own time, median
    attempts of a card          its memory's bytes a second ÷ bytes that an attempt moves

Prices of machines, a card's memory and the token's price are assumptions, and stand in the report beside what
follows. The card's speed is the most that its memory allows; what a cache or a chip made for this could do
better is not known here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, log2
from typing import Any

from abuse import price
from mixpay.crypto import work
from mixpay.passes.terms import TICKS
from mixpay.sponsor.policies.work import MOST_DOUBLINGS, Settings

TOKEN_PRICE = 1.0
"""Assumed: dollars for a token."""
MOVED = 2 << 20
"""Bytes of memory that an attempt moves: each KiB of its MiB is written once, and one that is far away is
read for it. (The one before, the third that a step touches, is still at hand: RFC 9106 §3.4.)
"""
CARD_BANDWIDTH = 1e12
"""Assumed: bytes a second; about what makers state for the largest consumer's cards."""
CORE_HOUR, CARD_HOUR = 0.04, 0.4
"""Assumed: dollars for an hour; about what clouds ask for one core, and for such a card."""
MEASURED = 300
"""Attempts of which one is the median."""
_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Machine:
    """What tries proofs of work: dollars an hour, and attempts a second."""

    name: str
    hour: float
    attempts: float

    def dollars(self, attempts: float) -> float:
        """What so many attempts cost."""
        return attempts / (self.attempts * _SECONDS) * self.hour

    def stops_at(self, worth: float) -> float:
        """Attempts that cost as much as what a pass brings, in dollars."""
        return worth / self.dollars(1)


def attempt_seconds(attempts: int = MEASURED) -> float:
    """Seconds that an attempt takes of this core; the median, without what other programs take."""
    taken = []
    for number in range(attempts):
        began = time.thread_time()
        work.attempt(bytes(32), number)
        taken.append(time.thread_time() - began)
    return statistics.median(taken)


def machines(seconds: float) -> tuple[Machine, Machine]:
    """A core whose attempt takes so many seconds, and a card."""
    return (
        Machine("one rented core", CORE_HOUR, 1 / seconds),
        Machine("one rented graphics card", CARD_HOUR, CARD_BANDWIDTH / MOVED),
    )


def doublings(settings: Settings, attempts: float) -> int:
    """How often the difficulty doubles until it is at least so much."""
    return max(0, ceil(log2(attempts / settings.difficulty)))


def farmed(settings: Settings, machine: Machine, worth: float) -> tuple[int, float]:
    """Passes of a kind and period that pay whoever takes all, as the difficulty rises, and the dollars that
    these leave; without a limit in `settings`, and above 0 in `raise_after`.
    """
    steps = min(doublings(settings, machine.stops_at(worth)), MOST_DOUBLINGS)
    kept = sum(worth - machine.dollars(settings.difficulty << step) for step in range(steps))
    return steps * settings.raise_after, kept * settings.raise_after


def report(shares: Sequence[float], seconds: float) -> dict[str, Any]:
    """For farmers who take these shares of a pass; an attempt takes a core so many seconds."""
    settings, both = Settings(), machines(seconds)
    worth = price.break_even(max(shares), 1) * TOKEN_PRICE
    return {
        "attempt_seconds": seconds,
        "token_price": TOKEN_PRICE,
        "worth": worth,
        "difficulty": settings.difficulty,
        "raise_after": settings.raise_after,
        "card_bandwidth": CARD_BANDWIDTH,
        "moved": MOVED,
        "machines": [_machine(settings, machine, worth, seconds) for machine in both],
        "steps": [
            _step(settings.difficulty << step, step, both, worth, seconds)
            for step in range(doublings(settings, both[-1].stops_at(worth)) + 1)
        ],
    }


def _machine(settings: Settings, machine: Machine, worth: float, seconds: float) -> dict[str, Any]:
    stops = machine.stops_at(worth)
    passes, kept = farmed(settings, machine, worth)
    return {
        **asdict(machine),
        "stops_at": stops,
        "core_seconds": stops * seconds,
        "doublings": doublings(settings, stops),
        "farmed_passes": passes,
        "farmed_dollars": kept,
    }


def _step(
    difficulty: int, step: int, both: Sequence[Machine], worth: float, seconds: float
) -> dict[str, Any]:
    costs = [machine.dollars(difficulty) for machine in both]
    return {
        "doublings": step,
        "difficulty": difficulty,
        "core_seconds": difficulty * seconds,
        "pass": costs,
        "packet": [cost / TICKS for cost in costs],
        "worth_over_cost": [worth / cost for cost in costs],
    }
