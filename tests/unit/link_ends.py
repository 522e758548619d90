"""Both ends of links, for tests: relays that only remember, and strangers who say what they like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from mixpay import tls
from mixpay.errors import PeerError
from mixpay.packet import GEOMETRY
from mixpay.types import RelayId
from mixpay.wire import frames
from relay.links import Identity, Link, LinkLimits, LinkServer, handshake
from relay.links.dialer import LinkDialer, PayerLink

PAYEE = Identity(RelayId(1), bytes([1]) * 32)
PAYER = Identity(RelayId(2), bytes([2]) * 32)
THIRD = Identity(RelayId(3), bytes([3]) * 32)
KEYS = {identity.relay: identity.link_key for identity in (PAYEE, PAYER, THIRD)}

LIMITS = LinkLimits(retry_first=0.01, retry_most=0.05, close_timeout=0.5)
PACKET = frames.Packet(1, 7, bytes(20), bytes(65), 4, bytes(GEOMETRY.packet_size))
ACKS = frames.Acks((frames.Ack(1, 0, 1, bytes(32)),))


def authorise(relay: RelayId) -> bytes:
    if relay not in KEYS:
        raise PeerError("unknown_relay")
    return KEYS[relay]


class Listener:
    """A relay that only remembers what its links told it."""

    def __init__(self) -> None:
        self.opened_links: list[Link] = []
        self.frames: list[frames.LinkFrame] = []
        self.reads = 0
        self.closed_for: list[str] = []
        self.drops: list[tuple[RelayId, str, int]] = []
        self.failures: list[tuple[RelayId | None, str]] = []
        self.objection: PeerError | None = None
        self._changed = asyncio.Event()

    def opened(self, link: Link) -> None:
        self.opened_links.append(link)
        self._changed.set()

    def received(self, link: Link, frames: Sequence[frames.LinkFrame]) -> None:
        self.frames += frames
        self.reads += 1
        self._changed.set()
        if self.objection is not None:
            raise self.objection

    def closed(self, link: Link, reason: str) -> None:
        assert not link.is_open
        self.closed_for.append(reason)
        self._changed.set()

    def dropped(self, peer: RelayId, reason: str, frames: int) -> None:
        self.drops.append((peer, reason, frames))
        self._changed.set()

    def failed(self, peer: RelayId | None, reason: str) -> None:
        self.failures.append((peer, reason))
        self._changed.set()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something it was told makes the condition true."""
        async with asyncio.timeout(10):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


class Pair:
    """A payee that listens, and a payer that dials it."""

    def __init__(self, payee: LinkLimits = LIMITS, payer: LinkLimits = LIMITS) -> None:
        self.at_payee, self.at_payer = Listener(), Listener()
        self.server = LinkServer(PAYEE, authorise, self.at_payee, payee)
        self.dialer = LinkDialer(PAYER, self.at_payer, payer)

    def dial(self, link_key: bytes = PAYEE.link_key) -> PayerLink:
        return self.dialer.dial(PAYEE.relay, "127.0.0.1", self.server.port, link_key)

    async def connect(self) -> PayerLink:
        link = self.dial()
        await self.at_payer.until(lambda: link.is_open)
        await self.at_payee.until(lambda: self.at_payee.opened_links)
        return link


@asynccontextmanager
async def pair(payee: LinkLimits = LIMITS, payer: LinkLimits = LIMITS) -> AsyncIterator[Pair]:
    both = Pair(payee, payer)
    await both.server.start("127.0.0.1", 0)
    try:
        yield both
    finally:
        await both.dialer.stop()
        await both.server.stop()


class Stranger:
    """The raw end of a TLS connection to a payee: it may say what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._frames: list[frames.LinkFrame] = []
        self._deframer = frames.Deframer()

    @classmethod
    @asynccontextmanager
    async def at(cls, port: int) -> AsyncIterator[Stranger]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls.client_context())
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    def say(self, *said: frames.LinkFrame) -> None:
        self.write(b"".join(map(frames.encode, said)))

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def hear(self) -> frames.LinkFrame | None:
        """The next frame, or None at the end, however rude."""
        async with asyncio.timeout(10):
            while not self._frames:
                try:
                    data = await self._reader.read(1 << 16)
                except ConnectionError:
                    return None
                if not data:
                    return None
                self._frames += self._deframer.feed(data)
        return self._frames.pop(0)

    async def shake(self, identity: Identity) -> None:
        hello = await self.hear()
        assert isinstance(hello, frames.Hello)
        self.say(handshake.prove(identity, PAYEE.relay, PAYEE.link_key, hello))
        assert await self.hear() == frames.Welcome()
