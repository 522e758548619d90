"""What a relay reads on its links: frames however they arrive, and the handshake at both ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import cast

from fuzz import world
from fuzz.target import Target, chunks, require
from fuzz.wires import Wire, run, settle
from mixpay.errors import PeerError
from mixpay.geometry import GEOMETRY
from mixpay.types import RelayId
from mixpay.wire import WIRE_VERSION, frames
from relay.links import handshake
from relay.links.connection import Connection
from relay.links.dialer import LinkDialer, PayerLink, _PayerConnection
from relay.links.events import Link, LinkLimits
from relay.links.handshake import Identity
from relay.links.server import LinkServer, PayeeConnection

PAYER, PAYEE = RelayId(1), RelayId(2)
_LIMITS = LinkLimits(close_timeout=1e-9)
"""No timer outlives its input."""


@cache
def samples() -> tuple[frames.LinkFrame, ...]:
    """Every kind of frame, some in two sizes."""
    a, signature = world.name("a"), bytes(range(65))
    ack = frames.Ack(1, 2, 3, a)
    opening = frames.Opening(1, a, 5, (frames.Sibling(a, 7),) * 3)
    packet = bytes(range(256)) * 9 + bytes(GEOMETRY.packet_size - 9 * 256)
    return (
        frames.Hello(WIRE_VERSION, PAYEE, bytes(32)),
        frames.Prove(WIRE_VERSION, PAYER, bytes(64)),
        frames.Welcome(),
        frames.Packet(1, 2, a[:20], b"\4" + a + a, 4, packet),
        frames.Acks((ack,)),
        frames.Acks((ack,) * 9),
        frames.RefuseTickets((frames.RefusedTicket(4, "wrong_lock"), frames.RefusedTicket(5, "busy"))),
        frames.Batch(1, 2, a, signature),
        frames.Cut(1, 2),
        frames.Redeem(1, a, 99),
        frames.Samples(1, tuple(range(frames.SAMPLES))),
        frames.Openings(1, (opening, frames.Opening(2, a, 1, ()))),
        frames.Voucher(10**18, 1, signature),
        frames.Refuse("shutting_down"),
        frames.Ping(7),
        frames.Pong(7),
    )


# ------------------------------------------------------------------ frames


def _frame_seeds() -> list[bytes]:
    single = [bytes((number % 5,)) + frames.encode(frame) for number, frame in enumerate(samples())]
    return [*single, b"\7" + b"".join(map(frames.encode, samples()))]


def _read(deframer: frames.Deframer, pieces: Sequence[bytes]) -> tuple[list[frames.LinkFrame], bool]:
    """The frames in a stream, and whether it is good to its end."""
    found: list[frames.LinkFrame] = []
    try:
        for piece in pieces:
            found.extend(deframer.feed(piece))
            kept = len(deframer._rest)
            require(kept < frames.LENGTH_BYTES + deframer.limit, "a deframer keeps less than one frame")
    except PeerError:
        return found, False
    return found, True


def run_frames(data: bytes) -> None:
    """First byte: bit 0 the limit, the others how the stream is cut."""
    if not data:
        return
    limit = frames.MAX_HANDSHAKE_BYTES if data[0] & 1 else frames.MAX_FRAME_BYTES
    stream = data[1:]
    found, good = _read(frames.Deframer(limit), [stream])
    if data[0] > 1:
        again = _read(frames.Deframer(limit), chunks(stream, data[0] >> 1))
        require(again == (found, good), "how a stream is cut changes nothing")
    encoded = b"".join(map(frames.encode, found))
    require(stream.startswith(encoded), "a frame has one encoding")


# ------------------------------------------------------------------ connections


class _Events:
    """What a relay is told of its links."""

    def __init__(self) -> None:
        self.ends = 0

    def opened(self, link: Link) -> None: ...
    def dropped(self, peer: RelayId, reason: str, frames: int) -> None: ...
    def received(self, link: Link, found: Sequence[frames.LinkFrame]) -> None:
        for frame in found:
            frames.encode(frame)

    def closed(self, link: Link, reason: str) -> None:
        self.ends += 1

    def failed(self, peer: RelayId | None, reason: str) -> None:
        self.ends += 1


@cache
def _identity(relay: RelayId) -> Identity:
    return Identity(relay, world.link_seed(relay))


@cache
def _proof() -> bytes:
    """The PROVE of PAYER to PAYEE, whose nonces are zeros here."""
    hello = frames.Hello(WIRE_VERSION, PAYEE, bytes(handshake.NONCE_BYTES))
    return frames.encode(handshake.prove(_identity(PAYER), PAYEE, _identity(PAYEE).link_key, hello))


def _authorise(relay: RelayId) -> bytes:
    if relay > world.RELAYS:
        raise PeerError("unknown_relay")
    return _identity(relay).link_key


async def _talk(connection: Connection, events: _Events, first: bytes, data: bytes) -> None:
    """The stranger says `first`, then `data` in pieces, and is gone."""
    wire = Wire()
    connection.connection_made(wire)
    for piece in [first, *chunks(data[1:], data[0] >> 1)]:
        if wire.closed:
            break
        connection.data_received(piece)
    await settle(1)
    connection.connection_lost(None)
    await settle(2)
    require(events.ends == 1, "a connection ends once")
    require(len(wire.written) <= 512 + len(data), "answers are no longer than what they answer")


async def _to_payee(data: bytes) -> None:
    events = _Events()
    server = LinkServer(_identity(PAYEE), _authorise, events, _LIMITS, random=bytes)
    await _talk(PayeeConnection(server), events, _proof() if data[0] & 1 else b"", data)
    require(not server.links and not server._shaking, "a server forgets who is gone")


class _ToPayee(_PayerConnection):
    """TLS has compared the link key already."""

    def greet(self, transport: asyncio.Transport) -> None: ...


class _Target:
    """What a payer's connection knows of its link."""

    def __init__(self, events: _Events) -> None:
        self.peer, self.target = PAYEE, ("payee.example", 1, _identity(PAYEE).link_key)
        self.dialer = LinkDialer(_identity(PAYER), events, _LIMITS)


async def _to_payer(data: bytes) -> None:
    events = _Events()
    hello, welcome = frames.encode(samples()[0]), frames.encode(frames.Welcome())
    link = cast(PayerLink, _Target(events))
    await _talk(_ToPayee(link), events, hello + welcome if data[0] & 1 else b"", data)


def run_payee(data: bytes) -> None:
    """A stranger, or with bit 0 of the first byte a registered payer, talks to a payee."""
    if data:
        run(_to_payee(data))


def run_payer(data: bytes) -> None:
    """A payee, with bit 0 of the first byte after the handshake, talks to a payer."""
    if data:
        run(_to_payer(data))


def _payee_seeds() -> list[bytes]:
    spoken = [frame for frame in samples() if type(frame) in PayeeConnection.takes]
    spoken += [frames.Ping(1), frames.Pong(1), frames.Refuse("busy")]
    said = b"".join(map(frames.encode, spoken))
    return [
        b"\0" + _proof() + said,
        b"\1" + said,
        b"\x0f" + said,
        *(b"\1" + frames.encode(f) for f in samples()),
    ]


def _payer_seeds() -> list[bytes]:
    spoken = [frame for frame in samples() if type(frame) in _PayerConnection.takes]
    spoken += [frames.Ping(1), frames.Pong(1), frames.Refuse("busy")]
    said = b"".join(map(frames.encode, spoken))
    start = frames.encode(samples()[0]) + frames.encode(frames.Welcome())
    return [
        b"\0" + start + said,
        b"\1" + said,
        b"\x0f" + said,
        *(b"\1" + frames.encode(f) for f in samples()),
    ]


TARGETS = (
    Target("link_frames", 20, 8192, _frame_seeds, run_frames),
    Target("link_payee", 3, 8192, _payee_seeds, run_payee),
    Target("link_payer", 3, 8192, _payer_seeds, run_payer),
)
