"""The link layer: frames over TLS on loopback, both ends in one process."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

from bench.figures import Found, Scale
from mixpay.geometry import GEOMETRY
from mixpay.types import RelayId
from mixpay.wire import frames
from relay.links import Identity, Link, LinkDialer, LinkServer

_PAYER, _PAYEE = RelayId(1), RelayId(2)
_AT_ONCE = 32


class _End:
    """Counts frames of one end."""

    def __init__(self) -> None:
        self.got = 0
        self.link: Link | None = None
        self.up = asyncio.Event()
        self.enough = asyncio.Event()
        self.wanted = 0

    def opened(self, link: Link) -> None:
        self.link = link
        self.up.set()

    def received(self, link: Link, arrived: Sequence[frames.LinkFrame]) -> None:
        self.got += len(arrived)
        if self.got >= self.wanted:
            self.enough.set()

    def closed(self, link: Link, reason: str) -> None:
        self.enough.set()

    def dropped(self, peer: RelayId, reason: str, frames: int) -> None:
        raise RuntimeError(f"a frame of the bench was dropped: {reason}")

    def failed(self, peer: RelayId | None, reason: str) -> None:
        raise RuntimeError(f"the bench's link failed: {reason}")


def measure(scale: Scale) -> Found:
    """µs of a PACKET frame from `send` at one end to `received` at the other; CPU of both ends."""
    return Found(detail={"us": asyncio.run(_measure(scale.frames)), "frames": scale.frames})


async def _measure(count: int) -> dict[str, float]:
    payer, payee = (Identity(relay, os.urandom(32)) for relay in (_PAYER, _PAYEE))
    ends = _End(), _End()
    server = LinkServer(payee, lambda relay: payer.link_key, ends[1])
    await server.start("127.0.0.1", 0)
    dialer = LinkDialer(payer, ends[0])
    dialer.dial(_PAYEE, "127.0.0.1", server.port, payee.link_key)
    await asyncio.gather(*(asyncio.wait_for(end.up.wait(), 10) for end in ends))
    packet = frames.Packet(1, 1, bytes(20), bytes(65), 4, os.urandom(GEOMETRY.packet_size))
    ack = frames.Acks(tuple(frames.Ack(1, n, n, bytes(32)) for n in range(_AT_ONCE)))
    there = await _send(ends[0], ends[1], packet, count)
    back = await _send(ends[1], ends[0], ack, count // _AT_ONCE)
    await dialer.stop()
    await server.stop()
    return {"PACKET, both ends": there, f"ACK, {_AT_ONCE} a frame, both ends": back / _AT_ONCE}


async def _send(sender: _End, receiver: _End, frame: frames.LinkFrame, count: int) -> float:
    if sender.link is None:
        raise RuntimeError("the bench has no link")
    began, first = time.process_time(), receiver.got
    for start in range(0, count, _AT_ONCE):
        wanted = min(start + _AT_ONCE, count)
        receiver.wanted = first + wanted
        receiver.enough.clear()
        for _ in range(start, wanted):
            sender.link.send(frame)
        await asyncio.wait_for(receiver.enough.wait(), 10)
    return (time.process_time() - began) / count * 1e6
