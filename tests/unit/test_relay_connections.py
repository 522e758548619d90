"""Connections that ask nothing, or are too many. Real sockets, with TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiohttp import web

from mixpay import tls
from relay.clients import connections
from relay.clients.connections import Connections

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """An application behind `Connections`, which answers at `/` as soon as `go` is set."""

    def __init__(self) -> None:
        self.go, self.port = asyncio.Event(), 0
        self.go.set()

    async def answer(self, _: web.Request) -> web.Response:
        await self.go.wait()
        return web.Response(text="here")

    async def connect(self, context: ssl.SSLContext | None) -> Stream:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=context)


@asynccontextmanager
async def serving(most: int) -> AsyncIterator[Server]:
    server, inside = Server(), list[Connections]()

    @web.middleware
    async def heard(request: web.Request, handler) -> web.StreamResponse:
        inside[0].heard(request)
        return await handler(request)

    app = web.Application(middlewares=[heard])
    app.router.add_get("/", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, keepalive_timeout=connections.IDLE_SECONDS)
    await runner.setup()
    inside.append(Connections(runner, most))
    await inside[0].listen("127.0.0.1", 0, tls.server_context(bytes(32)))
    server.port = inside[0]._listener.sockets[0].getsockname()[1]
    yield server
    inside[0].close()
    await runner.cleanup()


@pytest_asyncio.fixture
async def hasty(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(connections, "FIRST_REQUEST_SECONDS", 0.1)
    monkeypatch.setattr(connections, "HANDSHAKE_SECONDS", 0.2)
    async with serving(10) as server:
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


async def test_connectionThatAskedOnce_isClosedWhenIdle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.1)
    async with serving(10) as server:
        reader, writer = await server.connect(tls.client_context())
        writer.write(GET)
        await reader.readuntil(b"here")
        assert await ended(reader)
        writer.close()


async def test_tooManyConnections_areCutOff_untilOthersLeave() -> None:
    async with serving(2) as server:
        first, second = [await server.connect(tls.client_context()) for _ in range(2)]
        for _, writer in (first, second):
            writer.write(GET)
        for reader, _ in (first, second):
            await reader.readuntil(b"here")
        reader, writer = await server.connect(tls.client_context())
        assert await ended(reader)
        writer.close()
        first[1].close()
        async with asyncio.timeout(5):
            while True:
                reader, writer = await server.connect(tls.client_context())
                writer.write(GET)
                try:
                    await reader.readuntil(b"here")
                except (asyncio.IncompleteReadError, ConnectionError):
                    writer.close()
                    continue
                break
        writer.close()
        second[1].close()
