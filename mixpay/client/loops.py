"""Which relays lose loops. A pure core.

Each loop went through three mixes and came back in time, or did not. A relay is suspected when so many of the
loops through it were lost that one whose loops are lost as often as all others' would show this once in
`1 / CHANCE` times (binomial test). Of several the worst is taken first, and its loops count against no other.
A relay that is avoided carries no more loops: it is forgotten, and tried again, once `WINDOW` is over.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from mixpay.types import RelayId

WINDOW = 600.0
"""Seconds a loop counts."""
CHANCE = 1e-5
"""Of suspecting a relay that is as good as the others, each time it is asked."""
FEWEST = 4
"""Lost loops below which nobody is suspected."""
_BASE = 0.01
"""Share of loops that a network without any bad relay may lose."""


@dataclass(frozen=True, slots=True)
class _Seen:
    at: float
    mixes: tuple[RelayId, ...]
    back: bool


class LoopScores:
    """The loops of one program run."""

    def __init__(self) -> None:
        self._seen: deque[_Seen] = deque()

    def add(self, mixes: Iterable[RelayId], now: float, *, back: bool) -> None:
        """A loop through these mixes is over; `now`: seconds of a steady clock."""
        self._seen.append(_Seen(now, tuple(mixes), back))
        self._forget(now)

    @property
    def sent(self) -> int:
        """Loops that count now."""
        return len(self._seen)

    @property
    def lost(self) -> int:
        """Those of them that did not come back."""
        return sum(not seen.back for seen in self._seen)

    def suspects(self, now: float) -> frozenset[RelayId]:
        """The relays to avoid."""
        self._forget(now)
        found: set[RelayId] = set()
        while (worst := self._worst(found)) is not None:
            found.add(worst)
        return frozenset(found)

    def _worst(self, found: set[RelayId]) -> RelayId | None:
        """The relay that most surely loses loops, among those not explained yet."""
        sent: defaultdict[RelayId, int] = defaultdict(int)
        lost: defaultdict[RelayId, int] = defaultdict(int)
        seen = [loop for loop in self._seen if found.isdisjoint(loop.mixes)]
        for loop in seen:
            for mix in loop.mixes:
                sent[mix] += 1
                lost[mix] += not loop.back
        all_lost = sum(not loop.back for loop in seen)

        def luck(mix: RelayId) -> float:
            others = len(seen) - sent[mix]
            share = max(_BASE, (all_lost - lost[mix]) / others if others else 0.0)
            return at_least(lost[mix], sent[mix], share)

        candidates = [mix for mix, count in lost.items() if count >= FEWEST]
        worst = min(candidates, key=luck, default=None)
        return worst if worst is not None and luck(worst) < CHANCE else None

    def _forget(self, now: float) -> None:
        while self._seen and self._seen[0].at <= now - WINDOW:
            self._seen.popleft()


def at_least(count: int, tries: int, chance: float) -> float:
    """The probability of `count` or more hits in `tries` independent ones of this chance, below 1."""
    odds = chance / (1 - chance) if chance < 1 else math.inf
    term, below = (1 - chance) ** tries, 0.0
    for hits in range(count):
        below += term
        term *= (tries - hits) / (hits + 1) * odds
    return max(0.0, 1.0 - below) if below > 0.5 else 1.0 - below
