"""The payer's side of links: finds the payee, keeps the link up, comes back after a failure."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from mixpay import tls
from mixpay.errors import PeerError
from mixpay.types import Random, RelayId
from mixpay.wire.frames import (
    Acks,
    Cut,
    Hello,
    LinkFrame,
    Openings,
    Redeem,
    RefuseTickets,
    Welcome,
)
from relay.links import handshake
from relay.links.connection import Connection
from relay.links.events import CLOSED, LINK_DOWN, UNEXPECTED_FRAME, UNREACHABLE, LinkEvents, LinkLimits
from relay.links.handshake import Identity

log = logging.getLogger(__name__)


class LinkDialer:
    """All links this relay pays on, by payee."""

    def __init__(
        self,
        identity: Identity,
        events: LinkEvents,
        limits: LinkLimits | None = None,
        *,
        random: Random = os.urandom,
    ) -> None:
        self.identity = identity
        self.events = events
        self.limits = limits or LinkLimits()
        self.random = random
        self.context = tls.client_context()
        self._links: dict[RelayId, PayerLink] = {}

    @property
    def links(self) -> Mapping[RelayId, PayerLink]:
        """Links by payee, up or down."""
        return MappingProxyType(self._links)

    def dial(self, peer: RelayId, host: str, port: int, link_key: bytes) -> PayerLink:
        """The link to a payee, which from now on is kept up. A changed address or key replaces the link."""
        link = self._links.get(peer)
        if link is not None:
            if link.target == (host, port, link_key):
                return link
            link.hang_up()
        link = self._links[peer] = PayerLink(self, peer, host, port, link_key)
        return link

    def want(self, peers: Iterable[RelayId]) -> None:
        """Packets wait for these payees, or acks from them, or they are back: links that are down come back
        soon, or as soon as they can.
        """
        for peer in peers:
            if peer in self._links:
                self._links[peer].want()

    def hang_up(self, peer: RelayId) -> None:
        """Close the link to a payee, if there is one, and do not come back."""
        link = self._links.pop(peer, None)
        if link is not None:
            link.hang_up()

    async def stop(self) -> None:
        """Close all links."""
        links = list(self._links.values())
        for link in links:
            self.hang_up(link.peer)
        await asyncio.gather(*(link.finished() for link in links))


class PayerLink:
    """A link to one payee: the same object through all its connections. Made by `LinkDialer.dial`."""

    def __init__(self, dialer: LinkDialer, peer: RelayId, host: str, port: int, link_key: bytes) -> None:
        self.peer = peer
        self.target = (host, port, link_key)
        self.dialer = dialer
        self._connection: _PayerConnection | None = None
        self._wanted = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._keep_up(), name=f"link to relay {peer}")

    def __str__(self) -> str:
        return f"link to relay {self.peer}"

    @property
    def is_open(self) -> bool:
        """Whether frames flow."""
        return self._connection is not None and self._connection.is_open

    def send(self, frame: LinkFrame) -> bool:
        """See `events.Link.send`."""
        if self._connection is None:
            self.dialer.events.dropped(self.peer, LINK_DOWN, 1)
            return False
        return self._connection.send(frame)

    def refuse(self, reason: str) -> None:
        """See `events.Link.refuse`. The link comes back later, unless `LinkDialer.hang_up` is called."""
        if self._connection is not None:
            self._connection.refuse(reason)

    def pause(self) -> None:
        """See `events.Link.pause`."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """See `events.Link.resume`."""
        if self._connection is not None:
            self._connection.resume()

    def want(self) -> None:
        """Cut the present pause between two attempts to `retry_wanted`."""
        self._wanted.set()

    def hang_up(self) -> None:
        """Close the connection and stop to come back."""
        self._task.cancel()
        if self._connection is not None:
            self._connection.end(CLOSED)

    async def finished(self) -> None:
        """Wait until a link that hung up is at rest."""
        await asyncio.wait([self._task])
        if self._connection is not None:
            await self._connection.gone()

    async def _keep_up(self) -> None:
        failures = 0
        while True:
            stood = await self._connect()
            failures = 1 if stood >= self.dialer.limits.stable_after else failures + 1
            await self._pause(retry_after(failures, self.dialer.limits, self.dialer.random))

    async def _pause(self, seconds: float) -> None:
        """Wait before the next attempt; no longer than `retry_wanted` while packets wait for it."""
        shortest = min(seconds, self.dialer.limits.retry_wanted)
        self._wanted.clear()  # whoever waits still says so again
        await asyncio.sleep(shortest)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds - shortest):
                await self._wanted.wait()

    async def _connect(self) -> float:
        """One connection from beginning to end; how many seconds it stood open."""
        loop, limits = asyncio.get_running_loop(), self.dialer.limits
        host, port, _ = self.target
        connection = self._connection = _PayerConnection(self)
        try:
            async with asyncio.timeout(limits.handshake_timeout):
                await loop.create_connection(
                    lambda: connection,
                    host,
                    port,
                    ssl=self.dialer.context,
                    ssl_handshake_timeout=limits.handshake_timeout,
                    ssl_shutdown_timeout=limits.close_timeout,
                )
        # A registered address may be nonsense: names that do not encode, ports that do not exist.
        except (OSError, ValueError, OverflowError) as error:
            log.debug("%s: %s", self, error)
            connection.end(UNREACHABLE)
        await connection.over.wait()
        return connection.stood


def retry_after(failures: int, limits: LinkLimits, random: Random) -> float:
    """Seconds to wait after so many failures, from 1: doubled each time, and spread at random between half
    and whole, so that not all relays come back to one at the same moment.
    """
    longest = min(limits.retry_most, limits.retry_first * 2.0 ** min(failures - 1, 32))
    return longest * (0.5 + int.from_bytes(random(4), "big") / 2**33)


class _PayerConnection(Connection):
    """One connection of a link to a payee."""

    takes = frozenset((Acks, RefuseTickets, Cut, Redeem, Openings))

    def __init__(self, link: PayerLink) -> None:
        super().__init__(link.dialer.limits)
        self._link, self.peer = link, link.peer
        self._proven = False
        self._opened_at: float | None = None
        self.stood = 0.0
        """How many seconds the connection was open."""
        self.over = asyncio.Event()

    def __str__(self) -> str:
        return str(self._link)

    def greet(self, transport: asyncio.Transport) -> None:
        tls.check_link_key(transport.get_extra_info("ssl_object"), self._link.target[2])

    def shake(self, frame: LinkFrame) -> None:
        link = self._link
        if isinstance(frame, Hello) and not self._proven:
            self._proven = True
            self.send_now(handshake.prove(link.dialer.identity, link.peer, link.target[2], frame))
        elif isinstance(frame, Welcome) and self._proven:
            self._opened_at = asyncio.get_running_loop().time()
            self.establish()
            log.info("%s: open", link)
            link.dialer.events.opened(link)
        else:
            raise PeerError(UNEXPECTED_FRAME, type(frame).__name__)

    def deliver(self, frames: Sequence[LinkFrame]) -> None:
        self._link.dialer.events.received(self._link, frames)

    def ended(self, reason: str, *, was_open: bool) -> None:
        link = self._link
        if self._opened_at is not None:
            self.stood = asyncio.get_running_loop().time() - self._opened_at
        self.over.set()
        if was_open:
            log.debug("%s: %s", link, reason)
            link.dialer.events.closed(link, reason)
        elif reason != CLOSED:  # we hung up before it was open
            link.dialer.events.failed(link.peer, reason)

    def lost(self, reason: str, frames: int) -> None:
        self._link.dialer.events.dropped(self._link.peer, reason, frames)
