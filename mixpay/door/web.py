"""HTTP behind a door: how long a connection may ask nothing, and how long one may last.

aiohttp waits for a connection's first request for ever, and for a reader that does not read; so a stranger
could take all our sockets with connections that say nothing.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from mixpay.door.crowd import Crowd, CrowdLimits
from mixpay.door.door import Arrival, Door


class _Anonymous(logging.Filter):
    """The HTTP library's errors without what it says of clients: who came is not written down."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            return False  # a stranger who does not speak HTTP; its text quotes what came
        record.msg, record.args = "a client's request failed", ()
        return True


HTTP_LOG = logging.getLogger(f"{__name__}.http")
"""For every server that strangers reach, as aiohttp's `logger`."""
HTTP_LOG.addFilter(_Anonymous())


@dataclass(frozen=True, slots=True)
class WebTimes:
    """In seconds."""

    handshake: float = 5.0
    """How long a client may take for the TLS handshake."""
    first_request: float = 10.0
    """How long after it a connection may be without a whole request."""
    idle: float = 20.0
    """How long a connection may stay without a further one. Our clients drop idle connections after 15."""
    whole: float = 600.0
    """How long a connection may last that is no WebSocket: for the slowest of honest readers."""


class WebDoor:
    """Listens for the application of `runner`, which is set up."""

    def __init__(
        self,
        runner: web.AppRunner,
        limits: CrowdLimits,
        refused: Callable[[str], None],
        times: WebTimes | None = None,
    ) -> None:
        server = runner.server
        if server is None:
            raise ValueError("the runner is not set up")
        self._server = server
        self.times = times or WebTimes()
        self.crowd = Crowd(limits)
        self._refused = refused
        self._door = Door(self.crowd, refused, handshake_timeout=self.times.handshake)
        self._visits: dict[asyncio.BaseProtocol, _Visit] = {}

    @property
    def port(self) -> int:
        """The port it listens on, once it does."""
        return self._door.port

    def listen(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        """Accept connections. Raises OSError when the address is not to be had."""
        self._door.listen(host, port, context, lambda arrival: _Visit(self, self._server(), arrival))

    async def close(self) -> None:
        """Accept no more; the runner closes those that are open."""
        await self._door.close()
        for visit in self._visits.values():
            visit.rest()
        self._visits.clear()

    def heard(self, request: web.Request) -> None:
        """A whole request has come on its connection. Raises HTTPTooManyRequests if its address asks for
        too much.
        """
        visit = self._visits.get(request.protocol)
        if visit is None:
            return  # not through this door
        visit.heard()
        if not visit.arrival.may_work(asyncio.get_running_loop().time()):
            self._refused("too_fast")
            raise web.HTTPTooManyRequests(text="too many requests; come again in some seconds\n")

    def stays(self, request: web.Request) -> None:
        """The connection has become a WebSocket: whoever serves it looks after its times."""
        visit = self._visits.get(request.protocol)
        if visit is not None:
            visit.rest()

    def came(self, visit: _Visit) -> None:
        """A handshake is done."""
        self._visits[visit.handler] = visit

    def left(self, visit: _Visit) -> None:
        """A connection is lost."""
        self._visits.pop(visit.handler, None)

    def expired(self, reason: str) -> None:
        """A connection was cut off."""
        self._refused(reason)


class _Visit(asyncio.Protocol):
    """One connection: passes everything on to aiohttp, with a timer beside."""

    def __init__(self, door: WebDoor, handler: web.RequestHandler, arrival: Arrival) -> None:
        self.handler, self.arrival = handler, arrival
        self._door = door
        self._timer: asyncio.TimerHandle | None = None
        self._until, self._reason = 0.0, ""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._door.came(self)
        self._wait(self._door.times.first_request, "no_request")
        self.handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.handler.data_received(data)

    def eof_received(self) -> bool | None:
        self.handler.eof_received()
        return None

    def pause_writing(self) -> None:
        self.handler.pause_writing()

    def resume_writing(self) -> None:
        self.handler.resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.rest()
        self._door.left(self)
        self.arrival.leave()
        self.handler.connection_lost(exc)

    def heard(self) -> None:
        """A request is here: from now on its whole time counts."""
        self._wait(self._door.times.whole, "too_slow")

    def rest(self) -> None:
        """Look after it no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float, reason: str) -> None:
        """Cut it off then. A timer for an earlier moment stays, for each request puts this off."""
        loop = asyncio.get_running_loop()
        self._until, self._reason = loop.time() + seconds, reason
        if self._timer is None or self._timer.when() > self._until:
            self.rest()
            self._timer = loop.call_at(self._until, self._expire)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._until:
            self._timer = loop.call_at(self._until, self._expire)
            return
        self._door.expired(self._reason)
        self.handler.force_close()
        if self._transport is not None:
            self._transport.abort()  # one who says nothing need not answer our goodbye either
