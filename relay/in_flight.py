"""Packets that are in a relay now, counted by where they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InFlight:
    """Packets in the relay, by where they are."""

    opening: int = 0
    held: int = 0
    waiting: int = 0
    """For the link to their next relay, or for its limits."""
    unacknowledged: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.opening + self.held + self.waiting + self.unacknowledged

    def __str__(self) -> str:
        parts = (
            (self.opening, "being opened"),
            (self.held, "held for their delay"),
            (self.waiting, "waiting for a next relay"),
            (self.unacknowledged, "sent and not acknowledged yet"),
        )
        return ", ".join(f"{number} {what}" for number, what in parts if number) or "no packets"

    def __add__(self, other: InFlight) -> InFlight:
        return InFlight(
            self.opening + other.opening,
            self.held + other.held,
            self.waiting + other.waiting,
            self.unacknowledged + other.unacknowledged,
        )
