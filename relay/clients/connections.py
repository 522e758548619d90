"""The connections of clients, before and around HTTP: how many there are, and how long one may ask nothing.

aiohttp waits for a connection's first request for ever, and so a stranger could take all our sockets with
connections that say nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from aiohttp import web

HANDSHAKE_SECONDS = 5.0
"""How long a client may take for the TLS handshake."""
FIRST_REQUEST_SECONDS = 10.0
"""How long after it a connection may be without a whole request."""
IDLE_SECONDS = 20.0
"""How long a connection may stay without a further one. Our clients drop idle connections after 15."""


class Connections:
    """Listens for the application of `runner`, which is set up; at most `most` connections at once."""

    def __init__(self, runner: web.AppRunner, most: int) -> None:
        server = runner.server
        if server is None:
            raise ValueError("the runner is not set up")
        self._server, self._most = server, most
        self._listener: asyncio.Server | None = None
        self._unheard: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}

    async def listen(self, host: str, port: int, context: ssl.SSLContext) -> None:
        """Accept connections. Raises OSError when the address is not to be had."""
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: _Arrival(self), host, port, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )

    def close(self) -> None:
        """Accept no more; the runner closes those that are open."""
        if self._listener is not None:
            self._listener.close()
        for timer in self._unheard.values():
            timer.cancel()
        self._unheard.clear()

    def heard(self, request: web.Request) -> None:
        """A whole request has come on its connection."""
        timer = self._unheard.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()

    def arrived(self, transport: asyncio.Transport) -> None:
        """Hand a connection, whose handshake is done, to HTTP; or cut it off if there are too many."""
        if len(self._server.connections) >= self._most:
            transport.abort()
            return
        handler = self._server()
        loop = asyncio.get_running_loop()
        self._unheard[handler] = loop.call_later(FIRST_REQUEST_SECONDS, self._expire, handler)
        transport.set_protocol(handler)
        handler.connection_made(transport)

    def _expire(self, handler: web.RequestHandler) -> None:
        del self._unheard[handler]
        transport = handler.transport
        handler.force_close()
        if transport is not None:
            transport.abort()  # one who says nothing need not answer our goodbye either


class _Arrival(asyncio.Protocol):
    """A connection until the end of its TLS handshake."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.arrived(cast(asyncio.Transport, transport))
