"""A port and strangers who waste its time, over real sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from mixpay import tls
from mixpay.door import Arrival, Crowd, CrowdLimits, Door, door

MANY = CrowdLimits(at_once=20, of_address=20, per_second=1_000.0)


class Echo(asyncio.Protocol):
    """Somebody inside, who says what he is told."""

    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.arrival.leave()


class House:
    def __init__(self, limits: CrowdLimits, handshake: float) -> None:
        self.refused: list[str] = []
        self.crowd = Crowd(limits)
        self.door = Door(self.crowd, self.refused.append, handshake_timeout=handshake)

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.door.port)

    async def guest(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Comes in, and is answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.door.port, ssl=tls.client_context())
        writer.write(b"x")
        async with asyncio.timeout(5):
            assert await reader.readexactly(1) == b"x"
        return reader, writer


@asynccontextmanager
async def house(limits: CrowdLimits = MANY, handshake: float = 10.0) -> AsyncIterator[House]:
    made = House(limits, handshake)
    made.door.listen("127.0.0.1", 0, tls.server_context(bytes(32)), Echo)
    yield made
    await made.door.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.002)


async def silent(reader: asyncio.StreamReader) -> bool:
    """Wait for the end; whether nothing came before."""
    async with asyncio.timeout(10):
        try:
            return await reader.read() == b""
        except ConnectionError:
            return True


async def test_handshakeThatNeverComes_isCounted_andEnds() -> None:
    """The attack: connections that begin no TLS. They take their own address's places, for a short time."""
    async with house(CrowdLimits(at_once=9, of_address=3, per_second=1_000.0), handshake=0.3) as it:
        slow = [await it.raw() for _ in range(3)]
        await until(lambda: it.crowd.total == 3)
        reader, writer = await it.raw()
        assert await silent(reader)
        assert it.refused == ["too_many_of_one_address"]
        await until(lambda: it.crowd.total == 0)
        assert it.refused == ["too_many_of_one_address"] + 3 * ["tls_timeout"]
        for reader, other in slow:
            assert await silent(reader)
            other.close()
        writer.close()
        _, guest = await it.guest()
        guest.close()


async def test_handshakeThatTrickles_endsAtItsTime() -> None:
    async with house(handshake=0.4) as it:
        reader, writer = await it.raw()

        async def trickle() -> None:
            for byte in b"\x16\x03\x01\x02\x00" + bytes(1_000):
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        await silent(reader)
        trickling.cancel()
        await until(lambda: it.crowd.total == 0)
        assert it.refused == ["tls_timeout"]
        writer.close()


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x16\x03\x01\xff\xff" + bytes(70_000)]
)
async def test_whatIsNoTls_isCutOff(said: bytes) -> None:
    async with house() as it:
        reader, writer = await it.raw()
        writer.write(said)
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                await reader.read()
        await until(lambda: it.crowd.total == 0)
        assert it.refused == ["tls_failed"]
        writer.close()


async def test_whoLeavesDuringTheHandshake_givesThePlaceBack() -> None:
    async with house() as it:
        _, writer = await it.raw()
        await until(lambda: it.crowd.total == 1)
        writer.close()
        await until(lambda: it.crowd.total == 0)
        assert it.refused == ["tls_failed"]


async def test_whoIsInside_isServed_whileOthersAreRefused() -> None:
    async with house(CrowdLimits(at_once=2, of_address=2, per_second=1_000.0)) as it:
        (reader, writer), (_, second) = await it.guest(), await it.guest()
        for _ in range(20):
            other, closing = await it.raw()
            assert await silent(other)
            closing.close()
        assert it.refused == 20 * ["too_many_strangers"]
        writer.write(b"y")
        assert await reader.readexactly(1) == b"y"
        second.close()
        await until(lambda: it.crowd.total == 1)
        (await it.guest())[1].close()
        writer.close()


async def test_whoHasProvenWhoItIs_takesNoStrangersPlace() -> None:
    inside: list[Echo] = []

    def known(arrival: Arrival) -> Echo:
        arrival.leave()
        inside.append(Echo(arrival))
        return inside[-1]

    it = House(CrowdLimits(at_once=1, of_address=1, per_second=1_000.0), 10.0)
    it.door.listen("127.0.0.1", 0, tls.server_context(bytes(32)), known)
    guests = [await it.guest() for _ in range(3)]
    assert it.crowd.total == 0
    for _, writer in guests:
        writer.close()
    await until(lambda: all(echo.transport.is_closing() for echo in inside))
    assert it.crowd.total == 0  # and gives it back once
    await it.door.close()


async def test_systemWithoutFiles_isWaitedOut(monkeypatch: pytest.MonkeyPatch) -> None:
    """EMFILE must not end the accepting, nor make it spin."""
    loop, tries = asyncio.get_running_loop(), 0
    real = loop.sock_accept

    async def accept(listening: socket.socket) -> tuple[socket.socket, object]:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise OSError(errno.EMFILE, "Too many open files")
        if tries == 3:
            raise ConnectionAbortedError
        return await real(listening)

    monkeypatch.setattr(door, "_PAUSE", 0.01)
    monkeypatch.setattr(loop, "sock_accept", accept)
    async with house() as it:
        _, writer = await it.guest()
        writer.close()
        assert it.refused == 2 * ["no_files_left"]


async def test_closing_givesUpHandshakesUnderWay() -> None:
    async with house() as it:
        reader, writer = await it.raw()
        await until(lambda: it.crowd.total == 1)
        port = it.door.port
        await it.door.close()
        assert await silent(reader)
        assert it.crowd.total == 0
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(RuntimeError):
            assert it.door.port
        writer.close()


async def test_withoutTls_strangersAreCountedTheSame() -> None:
    it = House(CrowdLimits(at_once=1, of_address=1, per_second=1_000.0), 10.0)
    it.door.listen("::1" if socket.has_ipv6 else "127.0.0.1", 0, None, Echo)
    host = "::1" if socket.has_ipv6 else "127.0.0.1"
    reader, writer = await asyncio.open_connection(host, it.door.port)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    other, closing = await asyncio.open_connection(host, it.door.port)
    assert await silent(other)
    closing.close()
    writer.close()
    await until(lambda: it.crowd.total == 0)
    await it.door.close()


def test_arrival_showsNobodysAddress() -> None:
    assert repr(Arrival(Crowd(MANY), "192.0.2.1")) == "Arrival()"
