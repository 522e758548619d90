"""A port: accepts connections, refuses before any work is done for them, and shakes hands.

asyncio's own server tells nobody of a connection before its TLS handshake is over. One that never ends it
would be counted nowhere; so connections are accepted here, counted, and only then given to TLS.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine

from mixpay.door.crowd import Crowd, group_of

log = logging.getLogger(__name__)

TLS_FAILED = "tls_failed"
TLS_TIMEOUT = "tls_timeout"
NO_FILES_LEFT = "no_files_left"

_BACKLOG = 256
_PAUSE = 0.5
"""Seconds until the next try when the system has no files left for connections."""


class Arrival:
    """One who was let in, until it leaves. Who it is cannot be read from it."""

    __slots__ = ("_crowd", "_group")

    def __init__(self, crowd: Crowd, group: str) -> None:
        self._crowd: Crowd | None = crowd
        self._group = group

    def __repr__(self) -> str:
        return "Arrival()"

    def leave(self) -> None:
        """Give the place back; again does nothing. For one who is gone, or has proven who it is."""
        if self._crowd is not None:
            self._crowd.leave(self._group)
            self._crowd = None

    def may_work(self, now: float) -> bool:
        """Whether one more piece of work may be done for it: see `Crowd`."""
        return self._crowd is None or self._crowd.may_work(self._group, now)


Factory = Callable[[Arrival], asyncio.Protocol]


class Door:
    """Listens. `refused` is told why somebody was sent away; times in seconds."""

    def __init__(
        self,
        crowd: Crowd,
        refused: Callable[[str], None],
        *,
        handshake_timeout: float = 10.0,
        shutdown_timeout: float = 5.0,
    ) -> None:
        self.crowd = crowd
        self._refused = refused
        self._handshake_timeout, self._shutdown_timeout = handshake_timeout, shutdown_timeout
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port it listens on, once it does."""
        if self._socket is None:
            raise RuntimeError("this door is closed")
        port: int = self._socket.getsockname()[1]
        return port

    def listen(self, host: str, port: int, context: ssl.SSLContext | None, factory: Factory) -> None:
        """Accept connections; `context`: for TLS. `factory` makes what serves one, which lets its `Arrival`
        leave when the connection is lost. Raises OSError when the address is not to be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._socket.setblocking(False)
        self._begin(self._accept(self._socket, context, factory))

    async def close(self) -> None:
        """Accept no more, and give up handshakes under way. Those inside are the host's to close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(
        self, listening: socket.socket, context: ssl.SSLContext | None, factory: Factory
    ) -> None:
        loop, failing = asyncio.get_running_loop(), False
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except ConnectionError:
                continue  # gone before it was accepted
            except OSError as error:
                if not failing:
                    log.warning("no connection can be accepted: %s; allow the daemon more files", error)
                failing = True
                self._refused(NO_FILES_LEFT)
                await asyncio.sleep(_PAUSE)
                continue
            failing = False
            group = group_of(str(address[0]))
            reason = self.crowd.enter(group, loop.time())
            if reason is None:
                self._take(accepted, Arrival(self.crowd, group), context, factory)
            else:
                accepted.close()
                self._refused(reason)
            await asyncio.sleep(0)  # a flood of connections is not all there is to do

    def _take(
        self, accepted: socket.socket, arrival: Arrival, context: ssl.SSLContext | None, factory: Factory
    ) -> None:
        def done(shaking: asyncio.Task[None]) -> None:
            if shaking.cancelled() or shaking.exception() is not None:
                arrival.leave()
                accepted.close()

        self._begin(self._shake(accepted, arrival, context, factory)).add_done_callback(done)

    async def _shake(
        self, accepted: socket.socket, arrival: Arrival, context: ssl.SSLContext | None, factory: Factory
    ) -> None:
        loop = asyncio.get_running_loop()
        times = (self._handshake_timeout, self._shutdown_timeout) if context else (None, None)
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.connect_accepted_socket(
                lambda: factory(arrival),
                accepted,
                ssl=context,
                ssl_handshake_timeout=times[0],
                ssl_shutdown_timeout=times[1],
            )
        except OSError as error:  # SSLError is one
            arrival.leave()
            self._refused(TLS_TIMEOUT if isinstance(error, ConnectionAbortedError) else TLS_FAILED)
