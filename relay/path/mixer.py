"""The mixer: keeps packets until their time has come. A pure core.

The sender has drawn each packet's delay (docs/design.md §5), so nothing is random here: a packet leaves
when it is due, in the order of due times, whatever order packets came in. The host takes what is due when
`next_due` has come; or a pulse apart, so that many leave in one transaction: then each packet leaves at the
pulse nearest to its time, and pulses lengthen no delay on average.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, TypeVar

Item = TypeVar("Item")

PULSE = 0.01
"""Seconds between the daemon's looks at its mixer."""

MIXER_FULL = "mixer_full"
"""Reason of a packet dropped because too many are being held."""


class Mixer(Generic[Item]):
    """Holds at most `capacity` items. Times and delays in seconds, of one clock that never goes back.

    pulse: seconds between two looks; 0 for a host that looks when an item is due.
    """

    def __init__(self, capacity: int, pulse: float = 0.0) -> None:
        if capacity < 1:
            raise ValueError("a mixer holds at least one packet")
        self._capacity = capacity
        self._early = pulse / 2
        self._heap: list[tuple[float, int, Item]] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> float | None:
        """When the next item leaves; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def add(self, now: float, delay: float, item: Item) -> bool:
        """Hold an item for `delay`. False when the mixer is full: the caller drops it, for `MIXER_FULL`.

        A full mixer turns away the new packet, not one it holds: its place in the crowd must not be bought
        by others.
        """
        if len(self._heap) >= self._capacity:
            return False
        # The counter keeps items of equal times apart, which may not be comparable.
        self._added += 1
        heappush(self._heap, (now + max(delay, 0.0), self._added, item))
        return True

    def due(self, now: float) -> list[Item]:
        """Take out the items whose time is come, or nearer to this pulse than the next; earliest first."""
        items, until = [], now + self._early
        while self._heap and self._heap[0][0] <= until:
            items.append(heappop(self._heap)[2])
        return items

    def drain(self) -> list[Item]:
        """Take out all items, earliest first: the relay stops."""
        return self.due(float("inf"))
