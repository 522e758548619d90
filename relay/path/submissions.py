"""Clients' packets that wait for their first mix's ack. Their number goes with the ticket, as its origin."""

from __future__ import annotations

import asyncio
import secrets
import struct

from mixpay.errors import PeerError
from mixpay.types import RelayId

_NUMBER = struct.Struct(">Q")


class Submissions:
    """Futures by number; each is done once, with an ack (32 bytes) or the reason of the loss."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[RelayId, asyncio.Future[bytes]]] = {}
        # Tickets of an earlier run may be acknowledged in this one: their numbers are none of ours.
        self._number = secrets.randbits(60)

    @staticmethod
    def is_origin(origin: bytes) -> bool:
        """Whether a ticket's origin is a client's packet."""
        return len(origin) == _NUMBER.size

    def add(self, mix: RelayId) -> tuple[bytes, asyncio.Future[bytes]]:
        """A packet for this mix: the origin for its ticket, and the future of its ack."""
        self._number += 1
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = mix, future
        return _NUMBER.pack(self._number), future

    def acknowledge(self, origin: bytes, ack: bytes) -> None:
        """The mix has the packet."""
        future = self._pop(origin)
        if future is not None:
            future.set_result(ack)

    def lose(self, origin: bytes, error: PeerError) -> None:
        """The packet is lost; nothing if it was no client's."""
        future = self._pop(origin) if self.is_origin(origin) else None
        if future is not None:
            future.set_exception(error)

    def lose_all(self, mix: RelayId, error: PeerError) -> None:
        """Everything that waits for this mix is lost."""
        for number in [number for number, (to, _) in self._waiting.items() if to == mix]:
            self.lose(_NUMBER.pack(number), error)

    def _pop(self, origin: bytes) -> asyncio.Future[bytes] | None:
        """The future, if somebody still waits for it."""
        _, future = self._waiting.pop(_NUMBER.unpack(origin)[0], (None, None))
        return None if future is None or future.done() else future
