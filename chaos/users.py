"""Users who send all the time: one at each entry, each to all mailboxes, with the client's own parts.

    passes ▶ entry, mailboxes ▶ packets, a Poisson process ▶ acks, checked ▶ mailboxes emptied

They keep no message: each packet is one of its own, so that what became of it can be told. When a relay dies
they come back to it, with the same pass. Now and then one sends a packet once more that was acknowledged
before, byte for byte: no relay may take it again, however often it was killed since (I9).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
from collections import deque
from dataclasses import replace
from random import Random

from chaos.ledger import Ledger
from mixpay import envelope
from mixpay.address import Address
from mixpay.client import app
from mixpay.client.directories import collect
from mixpay.client.entry import EntryLink
from mixpay.client.errors import RelayRefused, RelayUnavailable
from mixpay.client.identity import Identity
from mixpay.client.issuer import Issuer
from mixpay.client.relays import MailboxSocket
from mixpay.client.route import Packed, Packer, Paths
from mixpay.client.wallet import DrawnPass, NoPass, Ticks, Wallet
from mixpay.directory import Directory
from mixpay.envelope import EnvelopeError, Kind, Message
from mixpay.mailbox import STORAGE_TICKS
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, PassExhausted, Tick
from mixpay.types import RelayId
from mixpay.wire.client import Down, DownStatus

WINDOW = 32
"""Packets of one user without an answer: what the client's profile allows."""
DRAIN_LIMIT = 12.0
"""Seconds in which answers come, if they come."""
_AGAIN_EVERY = 20
"""One packet in so many is sent once more."""
_KEPT = 500
_PAUSE = 0.2
_COLLECT_EVERY = 2.0
_TEXT = b"chaos"


class Users:
    """All users, in one event loop."""

    def __init__(
        self, client: app.Client, identity: Identity, ledger: Ledger, rate: float, seed: int
    ) -> None:
        self.client, self.identity, self.ledger = client, identity, ledger
        self.dice = Random(seed)  # noqa: S311 - the pace and the choice of mailboxes, nothing secret
        self.rate = rate
        self.going = asyncio.Event()
        self.addresses: list[Address] = []
        self._directory: Directory | None = None
        self._entries: dict[RelayId, DrawnPass] = {}
        self._mailboxes: dict[RelayId, DrawnPass] = {}
        self._flows: list[Flow] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.kept: deque[Packed] = deque(maxlen=_KEPT)
        """Packets that were acknowledged, to be sent once more by anybody."""

    async def prepare(self, relays: int) -> None:
        """A pass for every entry, a mailbox at every relay."""
        self._entries = await self._draw(KIND_ENTRY, relays)
        self._mailboxes = await self._draw(KIND_MAILBOX, relays)
        for relay, drawn in self._mailboxes.items():
            key = self.identity.fetch_key(self.client.view.mark, relay, self.client.view.term)
            async with MailboxSocket.open(self.client.http, drawn.relay) as socket:
                shown = drawn.stored.owned.shown().encode()
                await socket.create(drawn.stored.key, shown, key, self._toll(drawn, STORAGE_TICKS))
            self.addresses.append(self._address(relay))
        view = self.client.view
        snapshot = view.snapshot(view.epoch)
        first, *others = snapshot.relays
        self._directory = await collect(self.client.http, snapshot, view.registry_domain, first, others)

    def begin(self) -> None:
        """Send, and empty the mailboxes."""
        self._flows = [Flow(self, drawn) for drawn in self._entries.values()]
        self.rate /= len(self._flows)
        self.going.set()
        self._tasks = [asyncio.ensure_future(flow.run()) for flow in self._flows]
        self._tasks.append(asyncio.ensure_future(self._keep_collecting()))

    def check(self) -> None:
        """See `Traffic.check`."""
        for task in self._tasks:
            if task.done():
                task.result()
                raise RuntimeError("a user stopped sending")

    async def pause(self) -> None:
        """See `Traffic.pause`."""
        self.going.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_LIMIT):
                while any(flow.on_way for flow in self._flows):
                    await asyncio.sleep(_PAUSE)

    async def end(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ------------------------------------------------------------------ passes

    def wallet(self) -> Wallet:
        """A wallet over the folder's passes."""
        client = self.client
        issuer = Issuer(client.http, client.config.sponsor_url, client.view.deployment.pool)
        return Wallet(client.store, issuer, client.view, os.urandom)

    async def _draw(self, kind: int, relays: int) -> dict[RelayId, DrawnPass]:
        """Passes until every relay was drawn."""
        found: dict[RelayId, DrawnPass] = {}
        aside: list[DrawnPass] = []
        while len(found) < relays:
            drawn = await self.another(kind, aside)
            aside.append(drawn)
            found.setdefault(drawn.relay.id, drawn)
        return found

    async def another(self, kind: int, aside: list[DrawnPass]) -> DrawnPass:
        """A pass that is not one of those."""
        while True:
            wallet = self.wallet()
            for drawn in aside:
                wallet.set_aside(drawn, "")
            with contextlib.suppress(NoPass):
                return await wallet.draw(kind)

    def _toll(self, drawn: DrawnPass, count: int) -> Tick:
        """What pays a mailbox."""
        kind, period = KIND_MAILBOX, drawn.stored.owned.scope.period
        found = self.client.store.passes(kind, period)
        stored = next(stored for stored in found if stored.row == drawn.stored.row)
        return Ticks(self.client.store, stored, 0).further(count)

    def newest(self, drawn: DrawnPass) -> DrawnPass:
        """The same pass, as far as it is spent by now. Raises PassExhausted."""
        period = drawn.stored.owned.scope.period
        for stored in self.client.store.passes(KIND_ENTRY, period):
            if stored.row == drawn.stored.row:
                return replace(drawn, stored=stored)
        raise PassExhausted("all its ticks are spent")

    # ------------------------------------------------------------------ packets

    def packers(self, entry: RelayId) -> list[Packer]:
        """What makes packets from an entry to each address."""
        if self._directory is None:
            raise RuntimeError("there is no directory yet")
        view, profile = self.client.view, self.client.profile
        paths = Paths(self._directory, view.layers(view.epoch), view.key_context(view.epoch), profile)
        return [Packer(paths, entry, address) for address in self.addresses]

    def gap(self) -> float:
        """Seconds to a user's next packet."""
        return self.dice.expovariate(self.rate)

    # ------------------------------------------------------------------ mailboxes

    async def collect(self) -> None:
        """See `Traffic.collect`."""
        for drawn in self._mailboxes.values():
            await self._empty(drawn)

    async def _keep_collecting(self) -> None:
        while True:
            await asyncio.sleep(_COLLECT_EVERY)
            for drawn in self._mailboxes.values():
                with contextlib.suppress(RelayUnavailable, RelayRefused):
                    await self._empty(drawn)

    async def _empty(self, drawn: DrawnPass) -> None:
        relay, view = drawn.relay, self.client.view
        seed = self.identity.fetch_seed(view.mark, relay.id, view.term)
        address = self._address(relay.id)
        async with MailboxSocket.open(self.client.http, relay) as socket:
            after, more = 0, True
            while more:
                page = await socket.fetch(address.mailbox_id, after, seed)
                for message in page.messages:
                    self.ledger.found(relay.id, message.sequence, self._opened(address, message.body))
                    after = message.sequence
                if page.messages:
                    await socket.delete(after, self._toll(drawn, 1))
                more = page.more

    def _opened(self, address: Address, body: bytes) -> bytes | None:
        try:
            return envelope.open_fragment(self.identity.secret, address, body).message_id
        except EnvelopeError:
            return None

    def _address(self, relay: RelayId) -> Address:
        return self.identity.address(self.client.view.mark, relay, self.client.view.term)


class Flow:
    """One user's packets at one entry."""

    def __init__(self, users: Users, drawn: DrawnPass) -> None:
        self._users, self._drawn = users, drawn
        self._packers: list[Packer] = []
        self._numbers = 0
        self.on_way: dict[int, tuple[Packed, bool]] = {}
        """Packets without an answer, and whether they were acknowledged before."""
        self._pass_id = b""

    async def run(self) -> None:
        """Send, and come back when the entry was away, until cancelled."""
        while True:
            with contextlib.suppress(RelayUnavailable, RelayRefused):
                await self._serve()
            self.on_way.clear()
            await asyncio.sleep(_PAUSE)

    async def _serve(self) -> None:
        users = self._users
        try:
            self._drawn = users.newest(self._drawn)
        except PassExhausted:
            self._drawn, self._packers = await users.another(KIND_ENTRY, [self._drawn]), []
        self._packers = self._packers or users.packers(self._drawn.relay.id)
        self._pass_id = self._drawn.stored.owned.shown().id
        link = await EntryLink.open(users.client.http, users.wallet(), self._drawn, os.urandom(8))
        listener = asyncio.ensure_future(self._listen(link))
        try:
            await self._send(link, listener)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
            await link.close()

    async def _send(self, link: EntryLink, listener: asyncio.Future[None]) -> None:
        users = self._users
        while not listener.done():
            await users.going.wait()
            await asyncio.sleep(users.gap())
            if len(self.on_way) >= WINDOW or not users.going.is_set():
                continue  # the stroke passes unused
            packed, again = self._next()
            self._numbers += 1
            self.on_way[self._numbers] = packed, again
            try:
                await link.send(self._numbers, packed)
            except PassExhausted:
                return
        listener.result()

    def _next(self) -> tuple[Packed, bool]:
        users = self._users
        if users.kept and users.dice.randrange(_AGAIN_EVERY) == 0:
            users.ledger.again += 1
            return users.dice.choice(users.kept), True
        packer = users.dice.choice(self._packers)
        fragment = envelope.fragments(Message(Kind.TEXT, "", _TEXT), os.urandom)[0]
        packed = packer.pack(fragment, os.urandom)
        users.ledger.to[fragment.message_id] = packed.mailbox
        return packed, False

    async def _listen(self, link: EntryLink) -> None:
        while True:
            self._answered(await link.answer())

    def _answered(self, down: Down) -> None:
        packed, again = self.on_way.pop(down.answers[0].seq, (None, False))
        if packed is None or down.answers[0].status is not DownStatus.ACKNOWLEDGED:
            return
        ledger = self._users.ledger
        if again:
            ledger.accepted_again += 1
        elif hmac.compare_digest(down.answers[0].ack, packed.built.first_ack):
            ledger.accepted[packed.built.first_relay] += 1
            ledger.by_pass[self._pass_id] += 1
            self._users.kept.append(packed)
