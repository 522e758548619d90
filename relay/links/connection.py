"""One TLS connection between two relays: what both ends have in common.

Life of a connection: *shaking* until both sides have proven their link keys, *open* while frames flow,
*ended* for one reason. Whatever goes wrong ends this connection and no other.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import ClassVar, cast

from mixpay.errors import PeerError
from mixpay.types import RelayId
from mixpay.wire.frames import (
    LENGTH_BYTES,
    LINK,
    MAX_FRAME_BYTES,
    MAX_HANDSHAKE_BYTES,
    Deframer,
    LinkFrame,
    Packet,
    Ping,
    Pong,
    Refuse,
    encode,
)
from relay.links.events import (
    CONNECTION_LOST,
    DEAD_PEER,
    HANDSHAKE_TIMEOUT,
    LINK_DOWN,
    LINK_LOST,
    PEER_CLOSED,
    QUEUE_FULL,
    REFUSED_BY_PEER,
    UNEXPECTED_FRAME,
    LinkLimits,
)

log = logging.getLogger(__name__)

PACKET_FRAME_BYTES = LENGTH_BYTES + LINK.size_of(Packet)


class Connection(ABC, asyncio.Protocol):
    """Frames over one transport. The two ends say how they shake hands and whom they tell."""

    takes: ClassVar[frozenset[type]]
    """Frame types that may come over the open connection, beside REFUSE, PING and PONG."""

    def __init__(self, limits: LinkLimits) -> None:
        self.limits = limits
        self.is_open = False
        self.reason: str | None = None
        """Why the connection ended; None before."""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._deframer = Deframer(MAX_HANDSHAKE_BYTES)
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._packet_room = limits.max_queued_packets * PACKET_FRAME_BYTES
        self._flush_due = self._write_blocked = self._read_paused = False
        self._refused = False
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._pings = 0
        self._gone = asyncio.Event()

    # What each end does in its own way.

    peer: RelayId
    """Who is at the other end; 0 while that is not proven."""

    @abstractmethod
    def greet(self, transport: asyncio.Transport) -> None:
        """TLS is up."""

    @abstractmethod
    def shake(self, frame: LinkFrame) -> None:
        """A frame came before the connection was open. Raises PeerError to end it."""

    @abstractmethod
    def deliver(self, frames: Sequence[LinkFrame]) -> None:
        """Frames came over the open connection. Raises PeerError to end it."""

    @abstractmethod
    def ended(self, reason: str, *, was_open: bool) -> None:
        """The connection is over."""

    @abstractmethod
    def lost(self, reason: str, frames: int) -> None:
        """So many of our frames will not arrive."""

    # What the ends use.

    def establish(self) -> None:
        """Both sides have proven who they are: frames flow from here on."""
        self.is_open = True
        self._deframer.limit = MAX_FRAME_BYTES
        self._watch()

    def send_now(self, frame: LinkFrame) -> None:
        """Write a frame of the handshake, or a last word."""
        if self._transport is not None:
            self._transport.write(encode(frame))

    def send(self, frame: LinkFrame) -> bool:
        """See `events.Link.send`."""
        if not self.is_open:
            self.lost(LINK_DOWN, 1)
            return False
        data = encode(frame)
        if type(frame) is Packet:
            if self._queued_bytes >= self._packet_room:
                self.lost(QUEUE_FULL, 1)
                return False
        elif self._queued_bytes + len(data) > self.limits.max_queued_bytes:
            # A control frame lost in silence would stall the books; after a new start they put each other
            # right.
            self.lost(QUEUE_FULL, 1)
            self.end(QUEUE_FULL, abort=True)
            return False
        self._queue.append(data)
        self._queued_bytes += len(data)
        if not self._flush_due and not self._write_blocked:
            self._flush_due = True
            self._loop.call_soon(self._flush)
        return True

    def refuse(self, reason: str) -> None:
        """See `events.Link.refuse`."""
        self.end(reason, last_word=Refuse(reason))

    def pause(self) -> None:
        """See `events.Link.pause`."""
        self._read_paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """See `events.Link.resume`."""
        self._read_paused = False
        self._heard = self._loop.time()
        if self._transport is not None:
            self._transport.resume_reading()

    def end(self, reason: str, *, last_word: LinkFrame | None = None, abort: bool = False) -> None:
        """End the connection, once: the first reason stands."""
        if self.reason is not None:
            return
        goodbye = encode(last_word) if last_word else b""
        self.reason, was_open, self.is_open = reason, self.is_open, False
        if self._timer is not None:
            self._timer.cancel()
        self._leave(goodbye, abort)
        if self._queue:
            self.lost(LINK_LOST, len(self._queue))
            self._queue.clear()
        self.ended(reason, was_open=was_open)

    async def gone(self) -> None:
        """Wait until the socket of an ended connection is closed."""
        if self._transport is not None:
            await self._gone.wait()

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        if self.reason is not None:
            transport.abort()
            return
        self._transport = transport
        transport.set_write_buffer_limits(high=self.limits.max_write)
        self._timer = self._loop.call_later(self.limits.handshake_timeout, self._too_slow)
        try:
            self.greet(transport)
        except PeerError as error:
            self._fault(error)

    def data_received(self, data: bytes) -> None:
        if self.reason is not None:
            return
        self._heard = self._loop.time()
        frames: list[LinkFrame] = []
        fault = None
        try:
            for frame in self._deframer.feed(data):
                self._sort(frame, frames)
                if self.reason is not None or self._refused:
                    break
        except PeerError as error:
            fault = error
        try:
            if frames and self.is_open:
                self.deliver(frames)
        except PeerError as error:
            fault = error
        if fault is not None:
            self._fault(fault)
        elif self._refused:
            self.end(REFUSED_BY_PEER)

    def pause_writing(self) -> None:
        self._write_blocked = True

    def resume_writing(self) -> None:
        self._write_blocked = False
        self._flush()

    def eof_received(self) -> None:
        self.end(PEER_CLOSED)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._gone.set()
        self.end(PEER_CLOSED if exc is None else CONNECTION_LOST)

    # Details.

    def _sort(self, frame: LinkFrame, frames: list[LinkFrame]) -> None:
        kind = type(frame)
        if kind in self.takes and self.is_open:
            frames.append(frame)
        elif isinstance(frame, Refuse):
            log.log(self._level, "%s: the peer refuses: %s", self, frame.reason)
            self._refused = True
            frames.append(frame)
        elif not self.is_open:
            self.shake(frame)
        elif isinstance(frame, Ping):
            self.send(Pong(frame.number))
        elif not isinstance(frame, Pong):
            raise PeerError(UNEXPECTED_FRAME, kind.__name__)

    @property
    def _level(self) -> int:
        """What strangers do at our door they can do at will: it is counted, and not written down."""
        return logging.INFO if self.peer else logging.DEBUG

    def _fault(self, error: PeerError) -> None:
        log.log(self._level, "%s: %s", self, error)
        self.refuse(error.reason)

    def _flush(self) -> None:
        self._flush_due = False
        transport, queue = self._transport, self._queue
        while queue and transport is not None and not self._write_blocked and self.reason is None:
            taken, size = [], 0
            while queue and size < self.limits.max_write:
                data = queue.popleft()
                taken.append(data)
                size += len(data)
            self._queued_bytes -= size
            transport.write(b"".join(taken))

    def _leave(self, goodbye: bytes, abort: bool) -> None:
        transport = self._transport
        if transport is None:
            return
        if abort:
            transport.abort()
            return
        if not self._write_blocked:
            transport.write(b"".join(self._queue) + goodbye)
            self._queue.clear()
        transport.close()
        self._loop.call_later(self.limits.close_timeout, transport.abort)

    def _too_slow(self) -> None:
        self.end(HANDSHAKE_TIMEOUT, abort=True)

    def _watch(self) -> None:
        """Look after the peer: asks after a silence, gives up after a longer one."""
        if self._timer is not None:
            self._timer.cancel()
        silence = 0.0 if self._read_paused else self._loop.time() - self._heard
        if silence >= self.limits.dead_after:
            self.end(DEAD_PEER, abort=True)
            return
        if silence >= self.limits.ping_after:
            self._pings += 1
            self.send(Ping(self._pings))
        wait = min(self.limits.ping_after, self.limits.dead_after - silence)
        self._timer = self._loop.call_later(wait, self._watch)
