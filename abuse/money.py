"""Who has what the pool paid. Whole hop prices only.

The pool pays the entry `HOPS` for a tick; each relay hands on one less than it got, to the next. Once the
first relay of the farmer's has got its money, nobody has to be paid any more: those behind it are the
farmer's too, or are not there. So a tick is known by the place of that relay.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mixpay.types import HOPS

ENTRY, MIX1, MIX2, MIX3, MAILBOX, NOBODY = range(HOPS + 1)
"""Place of the farmer's first relay on a path; the last: none is."""
PLACES = ("entry", "mix 1", "mix 2", "mix 3", "mailbox", "nobody")


def incomes(first: int) -> tuple[int, ...]:
    """What each place of a path keeps of one tick, in hop prices, if the farmer's first relay is at `first`.

    A relay's income is what it was handed, less what it hands on.
    """
    kept, purse = [], HOPS
    for place in range(HOPS):
        handed_on = 0 if place >= first else HOPS - place - 1
        kept.append(purse - handed_on)
        purse = handed_on
    return tuple(kept)


@dataclass(slots=True)
class Tally:
    """Ticks spent, by the place of the farmer's first relay."""

    ticks: list[int] = field(default_factory=lambda: [0] * (HOPS + 1))

    def add(self, first: int, ticks: int) -> None:
        """So many more. Raises ValueError if they are fewer than none."""
        if ticks < 0:
            raise ValueError("a tick cannot be taken back")
        self.ticks[first] += ticks

    @property
    def pool(self) -> int:
        """What left the pool, in hop prices."""
        return HOPS * sum(self.ticks)

    @property
    def farmer(self) -> int:
        """What the farmer's relays have of it."""
        return sum(
            ticks * kept
            for first, ticks in enumerate(self.ticks)
            for place, kept in enumerate(incomes(first))
            if place >= first
        )

    @property
    def others(self) -> int:
        """What other relays earned by carrying, or by being passed on the way."""
        return sum(
            ticks * kept
            for first, ticks in enumerate(self.ticks)
            for place, kept in enumerate(incomes(first))
            if place < first
        )

    @property
    def share(self) -> float:
        """The farmer's part of what left the pool."""
        return self.farmer / self.pool

    @property
    def share_without_mailbox(self) -> float:
        """The same, if a path paid four hops and the mailbox were paid by a pass that draws it."""
        taken = sum(ticks * max(0, MAILBOX - first) for first, ticks in enumerate(self.ticks))
        return taken / (MAILBOX * sum(self.ticks))

    def by_place(self) -> dict[str, int]:
        """The farmer's part by where its first relay stood, in hop prices."""
        return {
            PLACES[first]: ticks * (HOPS - first) for first, ticks in enumerate(self.ticks) if first < NOBODY
        }
