"""Which relays the lost packets have in common. A guess, used to choose other routes and for nothing else.

A relay is suspected if `_ENOUGH` packets or more were lost through it since the last one known to have
arrived through it. Of several that explain the losses, the one that explains most is taken, and its packets
count against no other. What is known of routes stays in memory and ends with the program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mixpay.types import RelayId

_ENOUGH = 2
_MOST = 8_192
"""Packets remembered."""


@dataclass(slots=True)
class _Packet:
    route: tuple[RelayId, ...]
    arrived: bool | None = None


class Suspects:
    """The packets of one program run, in the order they left, by what they carried."""

    def __init__(self) -> None:
        self._packets: dict[tuple[bytes, int], _Packet] = {}

    def sent(self, message_id: bytes, index: int, route: Iterable[RelayId]) -> None:
        """A packet with a piece left through these mixes; what was known of an older one is forgotten."""
        self._packets.pop((message_id, index), None)
        self._packets[message_id, index] = _Packet(tuple(route))
        while len(self._packets) > _MOST:
            del self._packets[next(iter(self._packets))]

    def judge(self, message_id: bytes, index: int, *, arrived: bool) -> None:
        """What became of the newest packet with a piece."""
        packet = self._packets.get((message_id, index))
        if packet is not None:
            packet.arrived = arrived

    def relays(self) -> frozenset[RelayId]:
        """The relays to avoid."""
        last_seen: dict[RelayId, int] = {}
        lost: list[tuple[int, tuple[RelayId, ...]]] = []
        for number, packet in enumerate(self._packets.values()):
            if packet.arrived:
                last_seen.update(dict.fromkeys(packet.route, number))
            elif packet.arrived is not None:
                lost.append((number, packet.route))
        found: set[RelayId] = set()
        while True:
            blame = Counter(
                relay
                for number, route in lost
                if found.isdisjoint(route)
                for relay in route
                if number > last_seen.get(relay, -1)
            )
            worst, count = max(blame.items(), key=lambda item: item[1], default=(None, 0))
            if worst is None or count < _ENOUGH:
                return frozenset(found)
            found.add(worst)
