"""The payee's side of links: takes payers in, one link for each."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from mixpay import tls
from mixpay.door import Arrival, Crowd, CrowdLimits, Door
from mixpay.errors import PeerError
from mixpay.types import Random, RelayId
from mixpay.wire.frames import (
    Batch,
    Hello,
    LinkFrame,
    Packet,
    Prove,
    Samples,
    Voucher,
    Welcome,
)
from relay.links import handshake
from relay.links.connection import Connection
from relay.links.events import (
    REPLACED,
    SHUTTING_DOWN,
    TOO_MANY_LINKS,
    UNEXPECTED_FRAME,
    LinkEvents,
    LinkLimits,
)
from relay.links.handshake import Identity

log = logging.getLogger(__name__)

Authorise = Callable[[RelayId], bytes]
"""The link key (32 bytes) registered for a relay that may be our payer.

Raises PeerError with the reason if none may.
"""


class LinkServer:
    """Listens for payers."""

    def __init__(
        self,
        identity: Identity,
        authorise: Authorise,
        events: LinkEvents,
        limits: LinkLimits | None = None,
        *,
        random: Random = os.urandom,
    ) -> None:
        self.identity = identity
        self.authorise = authorise
        self.events = events
        self.limits = limits or LinkLimits()
        self.random = random
        limits = self.limits
        strangers = CrowdLimits(
            limits.max_handshakes, limits.handshakes_of_address, limits.arrivals_per_second
        )
        self._door = Door(
            Crowd(strangers),
            lambda reason: events.failed(None, reason),
            handshake_timeout=limits.handshake_timeout,
            shutdown_timeout=limits.close_timeout,
        )
        self.strangers = self._door.crowd
        """Those who have not proven yet who they are."""
        self._links: dict[RelayId, PayeeConnection] = {}
        self._shaking: set[PayeeConnection] = set()

    @property
    def links(self) -> Mapping[RelayId, PayeeConnection]:
        """Open links by payer."""
        return MappingProxyType(self._links)

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self._door.port

    async def start(self, host: str, port: int) -> None:
        """Listen. Port 0 takes a free one. Raises OSError when the address is not to be had."""
        context = tls.server_context(self.identity.seed)
        self._door.listen(host, port, context, lambda arrival: PayeeConnection(self, arrival))

    async def stop(self) -> None:
        """Take nobody in any more, and close all links."""
        await self._door.close()
        connections = [*self._links.values(), *self._shaking]
        for connection in connections:
            connection.refuse(SHUTTING_DOWN)
        await asyncio.gather(*(connection.gone() for connection in connections))

    def came(self, connection: PayeeConnection) -> None:
        """A stranger came in."""
        self._shaking.add(connection)

    def admit(self, connection: PayeeConnection, peer: RelayId) -> None:
        """A stranger has proven who it is. Raises PeerError when there are too many links."""
        before = self._links.get(peer)
        if before is None and len(self._links) >= self.limits.max_links:
            raise PeerError(TOO_MANY_LINKS)
        if before is not None:
            # The payer came again, so it knows that the old connection is dead before we do.
            before.end(REPLACED)
        self._shaking.discard(connection)
        self._links[peer] = connection

    def left(self, connection: PayeeConnection) -> None:
        """A connection is over."""
        self._shaking.discard(connection)
        if self._links.get(connection.peer) is connection:
            del self._links[connection.peer]


class PayeeConnection(Connection):
    """A payer's connection, and once open, the link to it."""

    takes = frozenset((Packet, Batch, Samples, Voucher))

    def __init__(self, server: LinkServer, arrival: Arrival | None = None) -> None:
        super().__init__(server.limits)
        self._server = server
        self._arrival = arrival
        self._nonce = server.random(handshake.NONCE_BYTES)
        self.peer = RelayId(0)
        """The payer, once it has proven who it is; before, 0, which no relay has."""

    def __str__(self) -> str:
        return f"link from relay {self.peer}" if self.peer else "stranger"

    def greet(self, transport: asyncio.Transport) -> None:
        identity = self._server.identity
        self._server.came(self)
        self.send_now(Hello(identity.version, identity.relay, self._nonce))

    def shake(self, frame: LinkFrame) -> None:
        if not isinstance(frame, Prove):
            raise PeerError(UNEXPECTED_FRAME, type(frame).__name__)
        server = self._server
        handshake.check(server.identity, server.authorise(frame.relay), self._nonce, frame)
        server.admit(self, frame.relay)
        self._be_no_stranger()
        self.peer = frame.relay
        self.send_now(Welcome())
        self.establish()
        log.info("%s: open", self)
        server.events.opened(self)

    def deliver(self, frames: Sequence[LinkFrame]) -> None:
        self._server.events.received(self, frames)

    def connection_lost(self, exc: Exception | None) -> None:
        self._be_no_stranger()
        super().connection_lost(exc)

    def _be_no_stranger(self) -> None:
        if self._arrival is not None:
            self._arrival.leave()

    def ended(self, reason: str, *, was_open: bool) -> None:
        log.debug("%s: %s", self, reason)
        self._server.left(self)
        if was_open:
            self._server.events.closed(self, reason)
        else:
            self._server.events.failed(self.peer or None, reason)

    def lost(self, reason: str, frames: int) -> None:
        self._server.events.dropped(self.peer, reason, frames)
