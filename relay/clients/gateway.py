"""What a relay offers to clients: one HTTPS port, whose certificate is the registered link key.

    GET  /v1/directory[?epoch=N]    the whole directory of an epoch (mixpay/directory.py)
    GET  /v1/descriptor[?epoch=N]   this relay's own descriptor, for other relays; with &relay=ID, another's
                                    that it knows
    POST /v1/equivocation           two keys that a relay signed for one epoch (mixpay/descriptors.py), found
                                    out by a client: 204, or 400 if it is no proof
    WS   /v1/entry                  PRESENT_PASS, then SEND for each packet; one DOWN of equal size answers it
    WS   /v1/mailbox                CHALLENGE first; then MAILBOX_CREATE, or MAILBOX_FETCH and MAILBOX_DELETE

A WebSocket whose first pass or proof of ownership is refused ends after the answer.

Rules stand in the cores (`mixpay/passes`, `mixpay/mailbox.py`, `relay/path/router.py`); here is the way to
them. A tick is on disk before its packet goes anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import WSCloseCode, WSMsgType, web

from mixpay import tls
from mixpay.descriptors import Equivocation
from mixpay.door import HTTP_LOG, CrowdLimits, WebDoor, WebTimes
from mixpay.errors import MixpayError, PeerError
from mixpay.mailbox import NONCE_BYTES, Mailboxes
from mixpay.passes import EntryPassBook
from mixpay.snapshot import DirectoryError
from mixpay.types import Epoch, RelayId
from mixpay.wire import client
from relay.clients.entry_session import EntrySession
from relay.clients.mailbox_desk import MailboxDesk, MailboxSession
from relay.config import Strangers
from relay.metrics import Metrics
from relay.path.router import Router
from relay.state import State
from relay.store import RelayStore

log = logging.getLogger(__name__)

SILENCE_SECONDS = 300.0
"""Seconds a client may say nothing before its connection is closed."""
STRANGER_SECONDS = 15.0
"""Seconds a WebSocket may stay before a pass was accepted or an owner has proved to be one."""
_MAX_BODY = 1024
"""Bytes of a request's body at most: a proof has 202."""
_DOCUMENT_CONNECTIONS = 256
"""Connections beside the WebSockets: those that fetch documents, or have not asked for anything yet."""

Answer = client.ClientFrame
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """The HTTPS server for clients. `limit` is the number of WebSockets at once."""

    def __init__(
        self,
        state: State,
        router: Router,
        passes: EntryPassBook,
        mailboxes: Mailboxes,
        store: RelayStore,
        metrics: Metrics,
        limit: int,
        strangers: Strangers = Strangers(),  # noqa: B008 -- frozen
    ) -> None:
        self._state = state
        self._router = router
        self._passes = passes
        self._strangers = strangers
        self.mailboxes = MailboxDesk(state, passes, mailboxes, store, metrics)
        self._store = store
        self._metrics = metrics
        self._limit = limit
        self.clients = 0
        """WebSockets."""
        self._runner: web.AppRunner | None = None
        self.door: WebDoor | None = None
        """Where they come in, once it is open."""
        self.times = WebTimes()

    async def start(self, host: str, port: int, seed: bytes) -> None:
        """Listen. Raises OSError when the address is not to be had."""
        self._runner = self.runner()
        await self._runner.setup()
        rules, most = self._strangers, self._limit + _DOCUMENT_CONNECTIONS
        crowd = CrowdLimits(most, rules.connections_of_address, rules.per_second)
        self.door = WebDoor(self._runner, crowd, self._metrics.refused, self.times)
        self.door.listen(host, port, tls.server_context(seed))

    def runner(self) -> web.AppRunner:
        """What answers requests, on whatever connection they come."""
        app = web.Application(middlewares=[self._heard], client_max_size=_MAX_BODY)
        app.router.add_get("/v1/directory", self._directory)
        app.router.add_get("/v1/descriptor", self._descriptor)
        app.router.add_post("/v1/equivocation", self._equivocation)
        app.router.add_get("/v1/entry", self._entry)
        app.router.add_get("/v1/mailbox", self._mailbox)
        return web.AppRunner(
            app,
            access_log=None,
            logger=HTTP_LOG,
            shutdown_timeout=1.0,
            keepalive_timeout=self.times.idle,
            # A body that nobody asked for is not waited for, or a client that left would keep its place.
            lingering_time=0,
            # Nobody's body is unpacked: a stranger's few bytes may become many.
            auto_decompress=False,
        )

    @web.middleware
    async def _heard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if self.door is not None:
            self.door.heard(request)
        return await handler(request)

    async def stop(self) -> None:
        """Close all connections."""
        if self.door is not None:
            await self.door.close()
        if self._runner is not None:
            await self._runner.cleanup()

    # ------------------------------------------------------------------ documents

    async def _directory(self, request: web.Request) -> web.Response:
        return self._document(request, self._state.directories.directory)

    async def _descriptor(self, request: web.Request) -> web.Response:
        relay = _number(request, "relay", self._state.me)
        return self._document(
            request, lambda epoch: self._state.directories.descriptor(epoch, RelayId(relay))
        )

    def _document(self, request: web.Request, make: Callable[[Epoch], bytes]) -> web.Response:
        try:
            epoch = Epoch(_number(request, "epoch", self._state.epoch))
            return web.Response(body=make(epoch), content_type="application/msgpack")
        except MixpayError as error:
            return web.Response(status=404, text=f"{error}\n")

    async def _equivocation(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(STRANGER_SECONDS):
                proof = await request.read()
            self._state.directories.take_proof(Equivocation.decode(proof))
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except DirectoryError as error:
            self._metrics.refused("bad_proof")
            return web.Response(status=400, text=f"{error}\n")
        return web.Response(status=204)

    # ------------------------------------------------------------------ sockets

    @contextlib.asynccontextmanager
    async def _socket(self, request: web.Request) -> AsyncIterator[web.WebSocketResponse]:
        if self.clients >= self._limit:
            self._metrics.refused("too_many_clients")
            raise web.HTTPServiceUnavailable(text="too many clients; try again later\n")
        socket = web.WebSocketResponse(max_msg_size=client.MAX_MESSAGE_BYTES, heartbeat=30.0, compress=False)
        self.clients += 1
        try:
            await _shake(socket, request)
            if self.door is not None:
                self.door.stays(request)
            try:
                yield socket
            except PeerError as error:
                self._metrics.refused(error.reason)
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=error.reason.encode())
            except (TimeoutError, ConnectionError):
                self._metrics.refused("client_silent")
            except MixpayError as error:
                log.error("a client's connection failed: %s", error)
            finally:
                await socket.close()
        finally:
            self.clients -= 1

    @staticmethod
    async def _frames(
        socket: web.WebSocketResponse, is_known: Callable[[], bool]
    ) -> AsyncIterator[client.ClientFrame]:
        """What a client says. Raises TimeoutError when it is silent, or a stranger, for too long."""
        now = asyncio.get_running_loop().time
        known_by = now() + STRANGER_SECONDS
        while True:
            # Not aiohttp's own timeout: each ping and pong begins that anew.
            async with asyncio.timeout_at(now() + SILENCE_SECONDS if is_known() else known_by):
                message = await socket.receive()
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
                return
            if message.type is not WSMsgType.BINARY:
                raise PeerError("malformed_frame", "not binary")
            yield client.decode(message.data)

    async def _entry(self, request: web.Request) -> web.WebSocketResponse:
        async with self._socket(request) as socket:
            session = EntrySession(self._state, self._router, self._passes, self._store, self._metrics)
            await session.serve(self._frames(socket, session.is_known), lambda frame: _say(socket, frame))
        return socket

    async def _mailbox(self, request: web.Request) -> web.WebSocketResponse:
        async with self._socket(request) as socket:
            session = MailboxSession(self.mailboxes, os.urandom(NONCE_BYTES))
            await session.serve(self._frames(socket, session.is_known), lambda frame: _say(socket, frame))
        return socket


async def _shake(socket: web.WebSocketResponse, request: web.Request) -> None:
    """The WebSocket's handshake. Raises HTTPBadRequest if the request asks for none."""
    try:
        await socket.prepare(request)
    except UnicodeEncodeError:  # aiohttp's own answer quotes the header, which is no text
        raise web.HTTPBadRequest(text="no WebSocket handshake\n") from None


def _number(request: web.Request, name: str, default: int) -> int:
    """A number that was asked for. Raises HTTPBadRequest if it is none."""
    asked = request.query.get(name)
    if asked is None:
        return default
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 10):
        raise web.HTTPBadRequest(text=f"{name} must be a number\n")
    return int(asked)


async def _say(socket: web.WebSocketResponse, frame: Answer) -> None:
    """Raises TimeoutError if the client does not read: it must not keep its place by that."""
    async with asyncio.timeout(SILENCE_SECONDS):
        await socket.send_bytes(client.encode(frame))
