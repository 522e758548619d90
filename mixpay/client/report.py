"""What sending took, as the client counted it."""

from __future__ import annotations

from dataclasses import dataclass, field

from mixpay.client.route import Packed
from mixpay.types import RelayId


@dataclass(slots=True)
class Duties:
    """How many of the accepted packets a relay carried in each role."""

    entry: int = 0
    mix: int = 0
    mailbox: int = 0


@dataclass(slots=True)
class Report:
    """What sending took. For the user's eyes only: it says where the packets went."""

    message_id: bytes
    fragments: int
    packets_sent: int = 0
    packets_accepted: int = 0
    ticks: int = 0
    hops: dict[RelayId, Duties] = field(default_factory=dict)
    carried: list[tuple[int, tuple[RelayId, ...]]] = field(default_factory=list)
    """Of each accepted packet the fragment, and the five relays of its path."""

    def accept(self, fragment: int, packed: Packed) -> None:
        """Count an acknowledged packet."""
        self.packets_accepted += 1
        self.carried.append((fragment, (packed.entry, *packed.mixes, packed.mailbox)))
        self._duties(packed.entry).entry += 1
        self._duties(packed.mailbox).mailbox += 1
        for mix in packed.mixes:
            self._duties(mix).mix += 1

    def add(self, other: Report) -> None:
        """Count what a further run took."""
        self.packets_sent += other.packets_sent
        self.packets_accepted += other.packets_accepted
        self.ticks += other.ticks
        self.carried += other.carried
        for relay, duties in other.hops.items():
            mine = self._duties(relay)
            mine.entry, mine.mix = mine.entry + duties.entry, mine.mix + duties.mix
            mine.mailbox += duties.mailbox

    def _duties(self, relay: RelayId) -> Duties:
        return self.hops.setdefault(relay, Duties())
