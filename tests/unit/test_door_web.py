"""HTTP connections that ask nothing, never end, or are too many. Real sockets, with TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from mixpay import tls
from mixpay.door import HTTP_LOG, CrowdLimits, WebDoor, WebTimes

FEW = CrowdLimits(at_once=10, of_address=10, per_second=1_000.0)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """An application behind `WebDoor`, which answers at `/` as soon as `go` is set."""

    def __init__(self) -> None:
        self.go, self.port = asyncio.Event(), 0
        self.go.set()
        self.door: WebDoor
        self.refused: list[str] = []
        self.size = 4

    async def answer(self, _: web.Request) -> web.Response:
        await self.go.wait()
        return web.Response(text="here".ljust(self.size))

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.door.stays(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async def connect(self, context: ssl.SSLContext | None) -> Stream:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context)


@asynccontextmanager
async def serving(limits: CrowdLimits, times: WebTimes | None = None) -> AsyncIterator[Server]:
    server = Server()

    @web.middleware
    async def heard(request: web.Request, handler) -> web.StreamResponse:
        server.door.heard(request)
        return await handler(request)

    app = web.Application(middlewares=[heard])
    app.router.add_get("/", server.answer)
    app.router.add_get("/socket", server.socket)
    idle = (times or WebTimes()).idle
    runner = web.AppRunner(app, logger=HTTP_LOG, shutdown_timeout=0.1, keepalive_timeout=idle)
    await runner.setup()
    server.door = WebDoor(runner, limits, server.refused.append, times)
    server.door.listen("127.0.0.1", 0, tls.server_context(bytes(32)))
    server.port = server.door.port
    yield server
    await server.door.close()
    await runner.cleanup()


@pytest_asyncio.fixture
async def hasty() -> AsyncIterator[Server]:
    async with serving(FEW, WebTimes(handshake=0.2, first_request=0.1)) as server:
        yield server


async def ended(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of a connection; whether nothing came before it."""
    async with asyncio.timeout(5):
        try:
            return await reader.read() == b""
        except ConnectionError:
            return True


@pytest.mark.parametrize("said", [b"", b"G", GET[:-1]])
async def test_connectionWithoutAWholeRequest_isClosed(hasty: Server, said: bytes) -> None:
    reader, writer = await hasty.connect(tls.client_context())
    writer.write(said)
    assert await ended(reader)
    writer.close()


async def test_connectionWithoutTls_isClosed(hasty: Server) -> None:
    reader, writer = await hasty.connect(None)
    assert await ended(reader)
    writer.close()


async def test_requestThatTakesLonger_isAnswered(hasty: Server) -> None:
    hasty.go.clear()
    reader, writer = await hasty.connect(tls.client_context())
    writer.write(GET)
    asyncio.get_running_loop().call_later(0.3, hasty.go.set)
    assert (await reader.readuntil(b"here")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_connectionThatAskedOnce_isClosedWhenIdle() -> None:
    async with serving(FEW, WebTimes(idle=0.1)) as server:
        reader, writer = await server.connect(tls.client_context())
        writer.write(GET)
        await reader.readuntil(b"here")
        assert await ended(reader)
        writer.close()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (CrowdLimits(at_once=2, of_address=9, per_second=1_000.0), "too_many_strangers"),
        (CrowdLimits(at_once=9, of_address=2, per_second=1_000.0), "too_many_of_one_address"),
    ],
)
async def test_tooManyConnections_areCutOff_untilOthersLeave(limits: CrowdLimits, reason: str) -> None:
    async with serving(limits) as server:
        first, second = [await server.connect(tls.client_context()) for _ in range(2)]
        for _, writer in (first, second):
            writer.write(GET)
        for reader, _ in (first, second):
            await reader.readuntil(b"here")
        with pytest.raises(OSError):
            await server.connect(tls.client_context())
        assert server.refused == [reason]
        first[1].close()
        async with asyncio.timeout(5):
            while server.door.crowd.total == 2:
                await asyncio.sleep(0.002)
        reader, writer = await server.connect(tls.client_context())
        writer.write(GET)
        await reader.readuntil(b"here")
        writer.close()
        second[1].close()
    assert server.refused == [reason]


@pytest.mark.parametrize(
    "header",
    [b"X: " + b"a" * 20_000, b"X: a\r\n" * 20_000, b"a" * 100_000],
    ids=["one", "many", "no_name"],
)
async def test_hugeHeaders_areRefused_andCostLittleMemory(hasty: Server, header: bytes) -> None:
    reader, writer = await hasty.connect(tls.client_context())
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + header)
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):  # cut off while it still wrote
            assert (await reader.read())[8:12] in (b" 400", b"")
    writer.close()
    await left(hasty)


async def left(server: Server) -> None:
    """Wait until nobody is inside any more."""
    async with asyncio.timeout(5):
        while server.door.crowd.total or server.door._visits:
            await asyncio.sleep(0.002)


async def test_headersThatTrickle_areNotWaitedFor(hasty: Server) -> None:
    reader, writer = await hasty.connect(tls.client_context())

    async def trickle() -> None:
        writer.write(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"X: a\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)

    trickling = asyncio.create_task(trickle())
    assert await ended(reader)
    trickling.cancel()
    writer.close()
    assert hasty.refused == ["no_request"]
    await left(hasty)


async def test_answerThatIsNotRead_isNotWaitedForForEver() -> None:
    async with serving(FEW, WebTimes(whole=0.3)) as server:
        server.size = 32 << 20
        _, writer = await server.connect(tls.client_context())
        writer.transport.pause_reading()
        writer.write(GET)
        await left(server)
        assert server.refused == ["too_slow"]
        writer.close()


async def test_webSocket_mayStay_longerThanAnyRequest() -> None:
    async with serving(FEW, WebTimes(first_request=0.2, whole=0.2)) as server:
        url = f"https://127.0.0.1:{server.port}/socket"
        async with aiohttp.ClientSession() as http, http.ws_connect(url, ssl=False) as socket:
            again, waits = asyncio.Event(), asyncio.get_running_loop()
            waits.call_later(0.5, again.set)
            await again.wait()
            await socket.send_str("still here")
            assert (await socket.receive_str()) == "still here"
        assert server.refused == []


async def test_requestsThatComeTooFast_areRefused_untilTimeHasPassed() -> None:
    async with serving(CrowdLimits(at_once=9, of_address=9, per_second=20.0, burst=4)) as server:
        url = f"https://127.0.0.1:{server.port}/"
        async with aiohttp.ClientSession() as http:

            async def ask() -> int:
                async with http.get(url, ssl=False) as response:
                    return response.status

            asked = [await ask() for _ in range(3)]  # the connection was the first of four
            assert asked == [200, 200, 200]
            async with asyncio.timeout(5):
                while await ask() != 429:
                    pass
                assert "too_fast" in server.refused
                while await ask() != 200:
                    await asyncio.sleep(0.01)
