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


_Piece = tuple[bytes, int]


@dataclass(slots=True, eq=False)
class _Packet:
    piece: _Piece
    route: tuple[RelayId, ...]
    arrived: bool | None = None


class Suspects:
    """The packets of one program run, in the order they left; which of them have pieces that are missing."""

    def __init__(self) -> None:
        self._packets: deque[_Packet] = deque()
        self._open: dict[_Piece, list[_Packet]] = {}

    def sent(self, message_id: bytes, index: int, route: Iterable[RelayId]) -> None:
        """A packet with a piece that the receiver is not known to have left through these mixes."""
        packet = _Packet((message_id, index), tuple(route))
        self._packets.append(packet)
        self._open.setdefault(packet.piece, []).append(packet)
        if len(self._packets) > _MOST:
            self._forget(self._packets.popleft())

    def judge(self, message_id: bytes, index: int, *, arrived: bool) -> None:
        """What became of a piece: it is there, or all packets with it are lost."""
        piece = message_id, index
        if not arrived:
            for packet in self._open.get(piece, ()):
                packet.arrived = False
        elif len(packets := self._open.pop(piece, [])) == 1:
            packets[0].arrived = True

    def _forget(self, packet: _Packet) -> None:
        packets = self._open.get(packet.piece, [])
        if packet in packets:
            packets.remove(packet)
        if not packets:
            self._open.pop(packet.piece, None)

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
