"""A user who stays: one line into the network, mailboxes watched, messages sent and acknowledged.

    line ▶ watch of each mailbox ▶ inbox ▶ deliver
    messages, acknowledgements ▶ parcels ▶ line

What fails is told, once, and tried again; what was taken or is to be sent is on disk first, and outlasts this
program. Whoever watches the user's wire sees the same, whether messages come and go or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from functools import partial

from mixpay.address import Address
from mixpay.client import app
from mixpay.client.app import PRESENCE, Client, Deliver, Receiver
from mixpay.client.courier import Courier
from mixpay.client.errors import ClientError
from mixpay.client.exchange import Exchange
from mixpay.client.identity import Identity
from mixpay.client.line import Line, Parcel, Stay
from mixpay.client.parts import Parts
from mixpay.client.profile import Pace
from mixpay.client.report import Report
from mixpay.client.route import Packed, Packer
from mixpay.client.sending import Leaving
from mixpay.client.session import Session
from mixpay.client.through import Through
from mixpay.client.visits import Round, Visit
from mixpay.client.watch import Watch
from mixpay.envelope import Fragment
from mixpay.errors import ChainError, UserError
from mixpay.snapshot import RelayRecord
from mixpay.types import RelayId, Term

CHAIN_SECONDS = 5.0
"""Between two looks at the chain, for a new epoch."""
COURIER_SECONDS = 1.0
"""Between two looks at what is to be sent again, or acknowledged."""
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 1800.0
"""Seconds after a failure, doubled by each further one: what asks a silent relay costs ticks."""
_TROUBLES = (ClientError, UserError, ChainError)


class LinePost:
    """Fragments leave by a line: `courier.Network`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.line: Line | None = None

    def check(self, receiver: Address) -> None:
        """Raise UnusableAddress for one of another release or network."""
        self._parts.check(receiver)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Everybody's: parcels wait in one queue."""
        yield

    async def post(
        self,
        receiver: Address,
        pieces: Sequence[Fragment],
        leaving: Leaving,
        avoided: Collection[RelayId],
        report: Report,
    ) -> None:
        """Send fragments; returns when first mixes have taken all of them. Raises ClientError, UserError."""
        if self.line is None:
            raise ClientError("there is no line into the network")
        taken = []
        for piece in pieces:
            pack = partial(_pack, receiver, piece, avoided)
            future = asyncio.get_running_loop().create_future()
            parcel = Parcel(pack, future, partial(_left, leaving, piece, report))
            self.line.put(parcel)
            taken.append((piece, parcel.taken))
        try:
            for piece, one in taken:
                report.accept(piece.index, await one)
        finally:
            for _, one in taken:
                one.cancel()


def _pack(receiver: Address, piece: Fragment, avoided: Collection[RelayId], stay: Stay) -> Packed:
    packer = Packer(stay.paths, stay.relay, receiver)
    for relay in avoided:
        packer.avoid(relay)
    return packer.pack(piece, os.urandom)


def _left(leaving: Leaving, piece: Fragment, report: Report, packed: Packed) -> None:
    leaving(piece.index, packed)
    report.packets_sent += 1
    report.ticks += 1


async def _all(*work: Coroutine[None, None, None]) -> None:
    """Until one fails, which ends the others, and is raised."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Presence:
    """One user's, in the release in force. `deliver` gets each complete message, and returns when it is safe.
    `silent`: senders are told nothing of what arrives.
    """

    def __init__(
        self, client: Client, identity: Identity, deliver: Deliver, pace: Pace, *, silent: bool = False
    ) -> None:
        self._client, self._identity, self._pace, self._silent = client, identity, pace, silent
        self.post = LinePost(client.parts)
        """How fragments leave."""
        self._receiver = Receiver(client, identity, deliver, silent=silent, direct=False, post=self.post)
        self._through = Through(client.view, client.store, identity)
        self._told: set[str] = set()
        self.here = asyncio.Event()
        """Set while there is a line."""
        self.watched = asyncio.Event()
        """Set once a mailbox is watched."""

    @property
    def courier(self) -> Courier:
        """What is sent and acknowledged."""
        return self._receiver.courier(self._client.view)

    async def run(self) -> None:
        """Stay until cancelled. Raises UserError if there is no mailbox, or another one stays already."""
        home, say = self._client.home, partial(self._client.tell, "waiting for another command")
        app.require_alone(home)
        async with home.locked(PRESENCE, say), home.locked("send", say), home.locked("receive", say):
            await self._receiver.begin()
            looking = self._every(CHAIN_SECONDS, self._client.parts.refresh)
            await _all(self._again(self._stay), looking, self._carry())

    async def _stay(self) -> None:
        client = self._client
        session = Session(client.http, client.view, client.wallet, os.urandom, client.tell)
        line = Line(session, client.view, client.wallet, client.profile, self._pace, os.urandom)
        async with line:
            self.post.line = line
            self.here.set()
            exchange = Exchange(line, os.urandom)
            known = client.mailboxes(self._identity).known()
            watches = [self._again(partial(self._watch, exchange, *which)) for which in known]
            try:
                await _all(line.ended(), *watches)
            finally:
                self.here.clear()
                self.post.line = None

    async def _watch(self, exchange: Exchange, relay: RelayId, term: Term) -> None:
        record = self._client.view.relay(relay)
        if record is None:
            raise UserError(f"relay {relay}, which keeps a mailbox of yours, has left the network")
        watch = Watch(self._through, partial(self._visit, record, term), exchange)
        watch.begun = self.watched.set
        await watch.run()

    def _visit(self, relay: RelayRecord, term: Term) -> Visit:
        inbox = self.courier.inbox
        handing = partial(self._receiver.hand_over, self.courier)
        return Visit(relay, term, inbox, int(time.time()), handing, Round(), patient=True)

    async def _carry(self) -> None:
        while True:
            await asyncio.sleep(COURIER_SECONDS)
            await self.here.wait()
            await self.courier.send_due()
            if not self._silent:
                await self.courier.acknowledge(last=False)

    async def _every(self, seconds: float, what: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await what()
            except _TROUBLES as error:
                self._trouble(error)

    async def _again(self, what: Callable[[], Awaitable[None]]) -> None:
        pause = _FIRST_PAUSE
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await what()
            except _TROUBLES as error:
                self._trouble(error)
            if asyncio.get_running_loop().time() - began > pause:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _trouble(self, error: Exception) -> None:
        if str(error) not in self._told:
            self._told.add(str(error))
            self._client.tell(f"{error}; trying on")
