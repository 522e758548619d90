"""Which relays the lost packets have in common. A guess, used to choose other routes and for nothing else.

A relay is suspected if `_ENOUGH` packets or more were lost through it since the last one known to have
arrived through it. Of several that explain the losses, the one that explains most is taken, and its packets
count against no other. Of several packets with the same piece nobody knows which one arrived: that clears no
relay. What is known of routes stays in memory and ends with the program.
"""

from __future__ import annotations

from collections import Counter, deque
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
    """The packets of one program run, in the order they left, and those of which nothing is known yet by what
    they carried.
    """

    def __init__(self) -> None:
        self._packets: deque[_Packet] = deque(maxlen=_MOST)
        self._open: dict[tuple[bytes, int], list[_Packet]] = {}

    def sent(self, message_id: bytes, index: int, route: Iterable[RelayId]) -> None:
        """A packet with a piece that the receiver is not known to have left through these mixes."""
        packet = _Packet(tuple(route))
        self._packets.append(packet)
        self._open.setdefault((message_id, index), []).append(packet)

    def withdraw(self, message_id: bytes, index: int) -> None:
        """The newest packet with a piece was refused before the mixes had it."""
        if packets := self._open.get((message_id, index)):
            packets.pop()

    def judge(self, message_id: bytes, index: int, *, arrived: bool) -> None:
        """What became of a piece: it is there, or all packets with it are lost."""
        packets = self._open.pop((message_id, index), [])
        if not arrived or len(packets) == 1:
            for packet in packets:
                packet.arrived = arrived

    def forget(self, message_id: bytes) -> None:
        """A message is over: of what is open, nothing will be known."""
        for key in [key for key in self._open if key[0] == message_id]:
            del self._open[key]

    def relays(self) -> frozenset[RelayId]:
        """The relays to avoid."""
        last_seen: dict[RelayId, int] = {}
        lost: list[tuple[int, tuple[RelayId, ...]]] = []
        for number, packet in enumerate(self._packets):
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
