"""A network for clients in one process: nine relays' client ports over real TLS, a sponsor over real HTTP.

The relays are made of the real cores (passes, packets, proof, mailboxes) but have no links: the entry peels
a packet for the whole path itself. What a relay shall do wrong is set on it. In a `World` there is no chain,
its events are given to the view; in a `LiveWorld` there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from aiohttp import WSMsgType, web

from mixpay import eip712, packet, tls
from mixpay.chain import events
from mixpay.chain.contracts import Contracts
from mixpay.chain.deploy import deploy
from mixpay.chain.devchain import DevChain
from mixpay.chain.follower import Batch
from mixpay.chain.rpc import Rpc, connect
from mixpay.chain.sender import Sender
from mixpay.chain.views import Release
from mixpay.client import relays as client_relays
from mixpay.client.identity import Identity
from mixpay.client.issuer import Issuer as IssuerClient
from mixpay.client.profile import FAST
from mixpay.client.receiving import Mailboxes as UserMailboxes
from mixpay.client.sending import Sending
from mixpay.client.store import ClientStore
from mixpay.client.wallet import Wallet
from mixpay.crypto import blind_rsa, x25519
from mixpay.crypto.blind_rsa import PublicKey
from mixpay.crypto.rsa_permutation import ProvenKey
from mixpay.deployment import Deployment
from mixpay.directory import Descriptor, DescriptorBook, Equivocation, sign_descriptor, write_directory
from mixpay.errors import ChainUnavailable, PeerError
from mixpay.mailbox import (
    STORAGE_TICKS,
    Created,
    Delivered,
    Mailboxes,
    Refused,
    Span,
    mailbox_id_of,
    page_ticks,
)
from mixpay.network import NetworkView
from mixpay.parameters import DEMO
from mixpay.passes import (
    KIND_ENTRY,
    EntryPassBook,
    Pass,
    PassRequest,
    PassRules,
    Scope,
    Tick,
    drawn_position,
)
from mixpay.registry_replica import RegistryReplica
from mixpay.sponsor.issuer import Campaign, Issuer
from mixpay.sponsor.keys import PassKeys, Period
from mixpay.sponsor.policies.open import OpenPolicy
from mixpay.sponsor.policy import Policies, Quotas
from mixpay.sponsor.refusals import Refusals
from mixpay.sponsor.service import Service, ServiceLimits
from mixpay.sponsor.store import Store, StoredKey
from mixpay.types import Account, Amount, Epoch, Position, RelayId
from mixpay.wire import client as wire
from mixpay.wire import requests
from registry_samples import name, operator_key
from relay.clients.entry_session import Downlink
from relay.clients.passing import PassingMailboxes
from tickets import check_ticket

RELAYS = 9
GENESIS = 1_000_000
EPOCH = Epoch(2)
CAMPAIGN = 3
PRICE = Amount(10**12)
HASTY = replace(FAST, delay_ms=1, interval=0.001, pause=0.002, longest_pause=0.01)
"""Profile `fast` without the waiting. Answers have as much time as ever, for a machine may be slow."""

PLACE = (0, 0, bytes(32))
DEPLOYMENT = Deployment(
    chain_id=31337,
    block=0,
    token=Account(b"\1" * 20),
    network=Account(b"\2" * 20),
    registry=Account(b"\3" * 20),
    channels=Account(b"\4" * 20),
    court=Account(b"\6" * 20),
    pool=Account(b"\5" * 20),
    genesis=GENESIS,
    parameters=DEMO,
    artifacts={},
)


class View(NetworkView):
    """A view that is fed by the test. Its `refresh` takes what waits in `coming`, or fails as told."""

    def __init__(self) -> None:
        super().__init__(Rpc("http://127.0.0.1:1"), DEPLOYMENT)
        self.block = 0
        self.coming: list[tuple[Iterable[events.Event], Epoch]] = []
        self.outage = False

    def feed(self, happened: Iterable[events.Event], epoch: Epoch) -> None:
        """Take events, and the beginning of an epoch."""
        self.block += 1
        moment = self.schedule.start(epoch) + 10
        self.take(Batch(tuple(happened), None, self.block, self.block, moment), 0)

    def refresh(self) -> list[Batch]:
        """Nothing new comes but what the test prepared."""
        if self.outage:
            raise ChainUnavailable("no answer from the RPC endpoint")
        while self.coming:
            self.feed(*self.coming.pop(0))
        return []


@dataclass
class Faults:
    """What a relay does wrong. Statuses are answered to so many SENDs, before it behaves again."""

    statuses: list[wire.DownStatus] = field(default_factory=list)
    silent: int = 0
    drops: bool = False
    """Takes ticks and throws the packets away."""
    forge_acks: bool = False
    hang_up_after: int | None = None
    hangs_up: bool = False
    """At each packet, having taken its tick."""
    refuse: str = ""
    lag: int = 0
    hold_answers: int = 0
    unreachable: set[RelayId] = field(default_factory=set)
    directory: bytes | None = None
    hidden: set[RelayId] = field(default_factory=set)
    whispered: set[RelayId] = field(default_factory=set)
    """Of whom it shows a second key."""
    lose_made: bool = False
    """Makes the next mailbox, and says that it cannot."""
    refuse_delete: str = ""
    room: int = 1 << 20
    holds: int | None = None
    """The furthest tick that it claims to hold."""
    limit: int = 1 << 20
    """Ticks that the campaign's budget guarantees it."""
    ignores: int = 0
    """Requests that it does nothing about."""
    loses: int = 0
    """Answers to requests that are lost on their way."""
    answers: Callable[[requests.Fetch], list[requests.Answer]] | None = None
    """What it answers to requests, whatever is there."""
    endless: Callable[[int], list[int]] | None = None
    """The sequences of the page behind this one; more of them always wait."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A packet that a relay sends as an entry does."""

    first_mix: RelayId
    key_epoch: Epoch
    lock: bytes
    hint: bytes
    packet: bytes


class LoneRelay:
    """One relay's client port."""

    def __init__(self, world: World, relay: int) -> None:
        self.world, self.id = world, RelayId(relay)
        self.seed, self.key = name("link seed", relay), operator_key(relay)
        self.secret = name("packet key", relay)
        self.passes, self.mailboxes = EntryPassBook(), Mailboxes(self.id)
        self.bodies: dict[tuple[bytes, int], bytes] = {}
        self.tags: set[bytes] = set()
        self.faults = Faults()
        self.runner: web.AppRunner | None = None
        self.clients: list[web.WebSocketResponse] = []
        self.shown_to: list[Pass] = []
        self.served = 0
        self.directories_served = self.deletions = 0
        self.proofs: list[Equivocation] = []
        self.port = 0
        self.passing, self.assembly = PassingMailboxes(), requests.Assembly()
        self.fetches: list[requests.Fetch] = []
        self.kept: dict[bytes, tuple[int, list[bytes]]] = {}
        """Up to where what is in a mailbox was sent, and the blocks that wait."""
        self.visits = self.covers = self.creates = 0
        """Connections of owners who come themselves; packets that are for nobody."""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/directory", self.directory)
        app.router.add_post("/v1/equivocation", self.equivocation)
        app.router.add_get("/v1/entry", self.entry)
        app.router.add_get("/v1/mailbox", self.mailbox)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port, ssl_context=tls.server_context(self.seed))
        await site.start()
        self.port = self.runner.addresses[0][1]

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None

    def registered(self) -> events.Registered:
        operator = eip712.account_of(self.key)
        link_key, endpoint = tls.link_key_of(self.seed), f"127.0.0.1:1:{self.port}"
        return events.Registered(
            *PLACE, self.id, Position(self.id - 1), operator, operator, link_key, endpoint
        )

    async def directory(self, request: web.Request) -> web.Response:
        self.directories_served += 1
        if self.faults.lag:
            self.faults.lag -= 1
            return web.Response(status=404)
        if self.faults.directory is not None:
            return web.Response(body=self.faults.directory)
        epoch, faults = Epoch(int(request.query["epoch"])), self.faults
        return web.Response(body=self.world.directory(epoch, faults.hidden, faults.whispered))

    async def equivocation(self, request: web.Request) -> web.Response:
        self.proofs.append(Equivocation.decode(await request.read()))
        return web.Response(status=204)

    def descriptor(self, epoch: Epoch, *, whispered: bool = False) -> Descriptor:
        """What it signed; whispered: another key than most are given, as validly signed."""
        secret = name("whispered key", self.id) if whispered else self.secret
        return sign_descriptor(
            self.key, self.id, epoch, x25519.public_key(secret), self.world.view.registry_domain
        )

    # ------------------------------------------------------------------ entry

    async def entry(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.clients.append(socket)
        pass_id, held, box, beats, downlink = b"", [], None, None, None
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                break
            frame = wire.decode(message.data)
            if isinstance(frame, wire.PresentPass):
                box = self.passing.open(frame.passing)
                answer, pass_id = self.present(frame)
                await socket.send_bytes(wire.encode(answer))
                downlink = Downlink(box, lambda down: socket.send_bytes(wire.encode(down)), frame.beat / 1000)
                beats = asyncio.create_task(downlink.run())
                continue
            assert isinstance(frame, wire.Send)
            self.served += 1
            if self.served == self.faults.hang_up_after or self.faults.hangs_up:
                break
            down = self.down(pass_id, frame)
            if down is None:
                continue
            if downlink is not None and downlink.has_beat:
                await downlink.answer(down.answers[0])
                continue
            if box is not None and (waiting := box.take()) is not None:
                reply = wire.DownKind.REPLY, waiting.number, waiting.payload
                down = wire.Down(down.answers, *reply)
            if self.faults.hold_answers:
                self.faults.hold_answers -= 1
                held.append(down)
                continue
            await socket.send_bytes(wire.encode(down))
            for late in held:
                await asyncio.sleep(0.05)
                await socket.send_bytes(wire.encode(late))
            held.clear()
        if beats is not None:
            beats.cancel()
        await socket.close()
        return socket

    def present(self, frame: wire.PresentPass) -> tuple[wire.ClientFrame, bytes]:
        shown = self.world.decode(frame.shown)
        self.shown_to.append(shown)
        if self.faults.refuse:
            return wire.PassRefused(self.faults.refuse), b""
        try:
            rules = self.world.rules(shown, ProvenKey(frame.modulus, frame.proof))
            presented = self.passes.present(shown, rules, Position(self.id - 1), self.faults.limit)
        except PeerError as error:
            return wire.PassRefused(error.reason), b""
        furthest = presented.furthest if self.faults.holds is None else self.faults.holds
        return wire.PassOk(furthest, presented.link or wire.NO_LINK), presented.pass_id

    def down(self, pass_id: bytes, frame: wire.Send) -> wire.Down | None:
        status, ack = wire.DownStatus.ACKNOWLEDGED, bytes(32)
        try:
            self.passes.accept_tick(pass_id, Tick(frame.chain, frame.k, frame.link))
        except PeerError as error:
            spent = error.reason == "campaign_limit"
            fault = wire.DownStatus.CAMPAIGN_LIMIT if spent else wire.DownStatus.BAD_TICK
            return _down(frame.seq, fault, ack)
        if self.faults.silent or self.faults.drops:
            if not self.faults.drops:
                self.faults.silent -= 1
                self.world.carry(frame)
            return None
        if self.faults.statuses:
            return _down(frame.seq, self.faults.statuses.pop(0), ack)
        if frame.first_mix in self.faults.unreachable:
            return _down(frame.seq, wire.DownStatus.MIX_UNREACHABLE, ack)
        if frame.key_epoch != self.world.view.epoch:
            return _down(frame.seq, wire.DownStatus.WRONG_EPOCH, ack)
        try:
            ack = self.world.carry(frame)
        except PeerError:
            status = wire.DownStatus.REFUSED_BY_MIX
        return _down(frame.seq, status, os.urandom(32) if self.faults.forge_acks else ack)

    # ------------------------------------------------------------------ mailbox

    async def mailbox(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.visits += 1
        nonce, owner = os.urandom(32), b""
        await socket.send_bytes(wire.encode(wire.Challenge(nonce)))
        async for message in socket:
            match wire.decode(message.data):
                case wire.MailboxCreate() as frame:
                    answer = self.create(frame)
                case wire.MailboxFetch() as frame:
                    owner, answer = frame.mailbox, self.fetch(frame, nonce)
                case wire.MailboxDelete() as frame:
                    answer = self.delete(owner, frame)
                case _:
                    break
            await socket.send_bytes(wire.encode(answer))
        return socket

    def create(self, frame: wire.MailboxCreate) -> wire.ClientFrame:
        shown = self.world.decode(frame.shown)
        if self.faults.refuse:
            return wire.Refused(self.faults.refuse)
        box = mailbox_id_of(frame.fetch_key)
        try:
            rules = self.world.rules(shown, ProvenKey(frame.modulus, frame.proof))
            presented = self.passes.present(shown, rules, Position(self.id - 1), 1 << 20)
            if not presented.furthest:
                self.passes.accept_tick(presented.pass_id, tick(frame.tick), STORAGE_TICKS)
        except PeerError as error:
            return wire.Refused(error.reason)
        if not presented.furthest or self.mailboxes.payer(box) == presented.pass_id:
            made = self.mailboxes.create(box, frame.fetch_key, 1 << 40, 0, presented.pass_id)
            assert isinstance(made, Created)
            if self.faults.lose_made:
                self.faults.lose_made = False
                return wire.Refused("not_ready")
            return self.terms(box)
        return wire.Refused("pass_used")

    def delete(self, owner: bytes, frame: wire.MailboxDelete) -> wire.ClientFrame:
        if self.faults.refuse_delete:
            return wire.Refused(self.faults.refuse_delete)
        pages, payer = page_ticks(self.mailboxes.confirmed(owner, frame.upto, 0)), self.mailboxes.payer(owner)
        standing = self.passes.standing(payer)
        if pages and standing is not None and standing[0].period == self.world.view.term:
            if not frame.tick:
                return wire.Refused("unpaid")
            try:
                self.passes.accept_tick(payer, tick(frame.tick[0]), pages)
            except PeerError as error:
                return wire.Refused(error.reason)
        self.deletions += 1
        self.mailboxes.delete(owner, frame.upto)
        return wire.Done()

    def fetch(self, frame: wire.MailboxFetch, nonce: bytes) -> wire.ClientFrame:
        if not self.mailboxes.authenticate(frame.mailbox, nonce, frame.signature):
            return wire.Refused("not_the_owner")
        if self.faults.endless is not None:
            numbers, body = self.faults.endless(frame.after), os.urandom(2048)
            page = tuple(wire.StoredMessage(number, body) for number in numbers)
            return wire.MailboxMessages(self.terms(frame.mailbox), page, True)
        span = self.mailboxes.fetch(frame.mailbox, frame.after, wire.MAX_MESSAGES, 0)
        if not isinstance(span, Span):
            return wire.Refused(span.reason)
        numbers = range(span.first, span.last + 1)
        found = tuple(wire.StoredMessage(n, self.bodies[frame.mailbox, n]) for n in numbers)
        return wire.MailboxMessages(self.terms(frame.mailbox), found, span.more)

    def terms(self, box: bytes) -> wire.MailboxTerms:
        standing = self.passes.standing(self.mailboxes.payer(box))
        furthest, link = (0, b"") if standing is None else standing[1:]
        if self.faults.holds is not None:
            furthest = self.faults.holds
        return wire.MailboxTerms(
            4096, 604800, 1 << 40, 0, furthest, link or wire.NO_LINK, self.faults.room
        )

    def furthest(self, box: bytes) -> int:
        """The furthest tick of the pass that pays for a mailbox."""
        standing = self.passes.standing(self.mailboxes.payer(box))
        return 0 if standing is None else standing[1]

    # ------------------------------------------------------------------ through the network

    def arrive(self, found: packet.Deliver) -> None:
        """What a relay does with a packet that ends at it."""
        match found.kind:
            case packet.KIND_REPLY:
                self.passing.deliver(found.mailbox_id, found.user_data)
            case packet.KIND_REQUEST:
                self.asked(found.mailbox_id, found.user_data)
            case packet.KIND_COVER:
                self.covers += 1
            case _:
                self.deliver(found.mailbox_id, found.user_data)

    def asked(self, box: bytes, part: bytes) -> None:
        request = self.assembly.take(box, part, 0.0)
        if request is None:
            return
        if isinstance(request, requests.Create):
            self.creates += 1
            if self.faults.ignores:
                self.faults.ignores -= 1
                return
            made = (getattr(request, each.name) for each in fields(wire.MailboxCreate))
            answer = self.create(wire.MailboxCreate(*made))
            assert isinstance(answer, wire.MailboxTerms | wire.Refused)
            self.answer((request.block,), [answer])
            return
        assert self.mailboxes.is_signed(box, request.said(), request.signature)
        self.fetches.append(request)
        if self.faults.ignores:
            self.faults.ignores -= 1
            return
        if self.faults.answers is not None:
            self.answer(request.blocks, self.faults.answers(request))
            return
        try:
            if request.tick:
                self.passes.accept_tick(self.mailboxes.payer(box), tick(request.tick[0]), len(request.blocks))
        except PeerError:
            self.answer(request.blocks, [self.terms(box)])
            return
        self.mailboxes.delete(box, request.after)
        if request.waits:
            self.answer(request.blocks[:1], [self.terms(box)])
            self.kept[box] = request.after, list(request.blocks[1:])
            self.send_kept(box)
        else:
            self.send_page(box, request)

    def send_page(self, box: bytes, request: requests.Fetch) -> None:
        span = self.mailboxes.fetch(box, request.after, len(request.blocks), 0)
        assert isinstance(span, Span)
        last = span.last
        answers: list[requests.Answer] = [
            requests.Message(n, self.bodies[box, n], more=span.more or n != last)
            for n in range(span.first, last + 1)
        ]
        self.answer(request.blocks, answers or [self.terms(box)])

    def send_kept(self, box: bytes) -> None:
        upto, blocks = self.kept.get(box, (0, []))
        span = self.mailboxes.fetch(box, upto, len(blocks), 0)
        if not blocks or not isinstance(span, Span) or span.last < span.first:
            return
        numbers = range(span.first, span.last + 1)
        self.kept[box] = span.last, blocks[len(numbers) :]
        self.answer(blocks, [requests.Message(n, self.bodies[box, n], more=False) for n in numbers])

    def answer(self, blocks: Sequence[bytes], answers: list[requests.Answer]) -> None:
        for block, answer in zip(blocks, answers, strict=False):
            if self.faults.loses:
                self.faults.loses -= 1
                continue
            built = packet.use_surb(packet.ReplyBlock.decode(block), requests.encode_answer(answer))
            epoch = packet.ReplyBlock.decode(block).epoch
            self.world.carry(Reply(built.first_relay, epoch, built.lock, built.hint, built.packet))

    def deliver(self, mailbox_id: bytes, body: bytes) -> None:
        stored = self.mailboxes.deliver(mailbox_id, body, 0)
        assert isinstance(stored, Delivered | Refused)
        if isinstance(stored, Delivered):
            self.bodies[mailbox_id, stored.sequence] = body
            self.send_kept(mailbox_id)

    def hang_up(self) -> list[asyncio.Task[bool]]:
        return [asyncio.ensure_future(client.close()) for client in self.clients]


class World:
    """Nine relays, a sponsor, and the chain's view of them, in epoch 2."""

    deployment = DEPLOYMENT
    campaign = CAMPAIGN

    def __init__(self, folder: Path, keys: PassKeys) -> None:
        self.folder, self.keys = folder, keys
        self.view: NetworkView = View()
        self.relays = [LoneRelay(self, number) for number in range(1, RELAYS + 1)]
        self.told: list[str] = []
        self.dead: set[RelayId] = set()
        """Relays that lose what the mixes before them send."""
        self.url = ""
        self.quotas = Quotas(entry=6, mailbox=6)

    # ------------------------------------------------------------------ chain

    def release(self) -> events.ReleasePublished:
        d = self.deployment
        release = Release(d.registry, d.channels, d.pool, 1, PRICE, Epoch(0))
        return events.ReleasePublished(*PLACE, 0, Epoch(0), release)

    def key_sets(self, *periods: int) -> list[events.KeySet]:
        made = [(kind, period, self.public(kind, period)) for period in periods for kind in (1, 2)]
        return [
            events.KeySet(*PLACE, CAMPAIGN, kind, period, key.key_hash(), PRICE) for kind, period, key in made
        ]

    def frozen(self, epoch: int) -> events.Frozen:
        replica = RegistryReplica()
        for relay in self.relays:
            happened = relay.registered()
            place = happened.id, happened.position
            replica.registered(*place, happened.operator, happened.link_key, happened.endpoint)
        beacon = name("beacon", epoch)
        return events.Frozen(*PLACE, Epoch(epoch), replica.root, replica.count, beacon)

    def public(self, kind: int, period: int) -> PublicKey:
        return self.keys.make(Period(kind, period))

    def decode(self, shown: bytes) -> Pass:
        return Pass.decode(shown, self.deployment.chain_id, self.deployment.pool)

    def rules(self, shown: Pass, proven: ProvenKey) -> PassRules:
        period = self.view.epoch
        snapshot = self.view.snapshot(period)
        scope = replace(shown.scope, campaign=self.campaign, period=period)
        shown.scope.require(scope)
        key = proven.checked()
        registered = self.view.pool_key(self.campaign, scope.kind, period)
        assert registered is not None
        assert registered.key_hash == key.key_hash()
        return PassRules(scope, key, PRICE, snapshot.beacon, snapshot.count)

    def directory(
        self, epoch: Epoch, hidden: Iterable[RelayId] = (), whispered: Iterable[RelayId] = ()
    ) -> bytes:
        book = DescriptorBook(self.view.snapshot(epoch), self.view.registry_domain)
        for relay in self.relays:
            if relay.id not in set(hidden):
                book.add(relay.descriptor(epoch, whispered=relay.id in set(whispered)))
        return write_directory(book.directory())

    # ------------------------------------------------------------------ packets

    def relay(self, relay: RelayId) -> LoneRelay:
        return self.relays[relay - 1]

    def carry(self, frame: wire.Send | Reply) -> bytes:
        """What all relays of a path do with a packet; the ack of the first mix."""
        context = self.view.key_context(Epoch(frame.key_epoch))
        current, lock, hint = frame.first_mix, frame.lock, frame.hint
        layer, moving, acks = 1, frame.packet, []
        while True:
            if layer > 1 and current in self.dead:
                return acks[0]
            relay = self.relay(current)
            secret, public = x25519.SecretKey(relay.secret), x25519.public_key(relay.secret)
            peeled = packet.peel(context, secret, public, layer, moving, relay.tags.__contains__)
            relay.tags.add(peeled.tag)
            last = isinstance(peeled, packet.Deliver)
            check_ticket(peeled, lock, hint)
            acks.append(peeled.ack)
            if last:
                relay.arrive(peeled)
                return acks[0]
            assert self.view.layers(Epoch(frame.key_epoch)).layer(current) == layer
            layer, current = layer + 1, peeled.next_relay
            lock, hint, moving = peeled.next_lock, peeled.next_hint, peeled.packet

    # ------------------------------------------------------------------ sponsor

    @contextlib.asynccontextmanager
    async def sponsor(self) -> AsyncIterator[None]:
        place = self.deployment.chain_id, self.deployment.pool, self.campaign
        store = Store(self.folder / "issuer.db", *place)
        for period in (2, 3):
            for kind in (1, 2):
                store.put_key(StoredKey(kind, period, self.public(kind, period).to_bytes(), PRICE))
        self.issuer = Issuer(
            campaign=Campaign(*place, b"\7" * 32, b"\6" * 32),
            schedule=self.view.schedule,
            claim_window=DEMO.claim_window,
            store=store,
            keys=self.keys,
        )
        policies = Policies([OpenPolicy(self.quotas)])
        service = Service(self.issuer, policies, self.view, ServiceLimits())
        self.refusals = Refusals()
        runner = web.AppRunner(service.application(self.refusals))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()
            store.close()

    # ------------------------------------------------------------------ life

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[World]:
        """Everything serves, in epoch 2."""
        for relay in self.relays:
            await relay.start()
        await asyncio.to_thread(self.settle)
        try:
            async with self.sponsor():
                yield self
        finally:
            for relay in self.relays:
                await relay.stop()

    def settle(self) -> None:
        """Let the chain say all this."""
        assert isinstance(self.view, View)
        self.view.feed([self.release(), *(relay.registered() for relay in self.relays)], Epoch(0))
        self.view.feed([*self.key_sets(2, 3), self.frozen(EPOCH)], EPOCH)

    def next_epoch(self) -> list[events.Event]:
        """What the chain says when epoch 3 begins."""
        return [self.frozen(EPOCH + 1)]


class LiveWorld(World):
    """The same on a development chain, for programs that read the chain themselves."""

    campaign = 1

    def __init__(self, folder: Path, keys: PassKeys, chain: DevChain) -> None:
        super().__init__(folder, keys)
        self.chain, self.rpc = chain, connect(chain.url)
        self.owner = Sender(self.rpc, os.urandom(32))
        chain.fund(self.owner.account, 1_000 * 10**18)
        self.deployment = deploy(self.rpc, self.owner, DEMO)
        self.contracts = Contracts(self.rpc, self.deployment)
        self.view = NetworkView(self.rpc, self.deployment)

    def settle(self) -> None:
        """Register and freeze, up to epoch 2. Blocks."""
        send, contracts, pool = self.owner.send, self.contracts, self.contracts.pool
        send(contracts.token.approve(self.deployment.registry, Amount(RELAYS * DEMO.stake)))
        domain = eip712.registry_domain(self.deployment.chain_id, self.deployment.registry)
        for relay in self.relays:
            r = relay.registered()
            consent = eip712.OperatorConsent(r.operator, self.owner.account).digest(domain)
            signature = eip712.sign(relay.key, consent)
            send(contracts.registry.register(r.operator, r.link_key, r.endpoint, signature))
        send(pool.create_campaign(self.owner.account, Amount(10**24), Amount(10**24)))
        for kind in (1, 2):
            send(pool.set_key(self.campaign, kind, EPOCH, self.public(kind, EPOCH).key_hash()))
        self.chain.advance_time(to=self.view.schedule.start(Epoch(EPOCH - 1)))
        send(contracts.registry.freeze())
        self.chain.advance_time(to=self.view.schedule.start(EPOCH))
        self.view.refresh()


class User:
    """One user of a world: a folder, and the client's parts put together as the program does it."""

    def __init__(self, world: World, folder: str) -> None:
        self.world = world
        path = world.folder / folder
        path.mkdir(mode=0o700, exist_ok=True)
        self.store = ClientStore(path / "state.sqlite")
        self.identity = Identity(name(folder, 0))
        self.told: list[str] = []
        self.http = client_relays.session()
        self.restart()

    def restart(self, **wallet: object) -> None:
        """What a new run of the program begins with."""
        issuer = IssuerClient(self.http, self.world.url, self.world.deployment.pool)
        self.wallet = Wallet(self.store, issuer, self.world.view, os.urandom, tell=self.told.append, **wallet)
        self.mailboxes = UserMailboxes(
            self.http, self.world.view, self.store, self.identity, self.told.append
        )

    def take_pass(self, relay: RelayId, epoch: Epoch = EPOCH) -> None:
        """Have an entry pass that draws this relay, before others, as if the sponsor had signed it."""
        world, snapshot = self.world, self.world.view.snapshot(epoch)
        key = world.keys.get(Period(KIND_ENTRY, epoch))
        assert key is not None
        scope = Scope(world.deployment.chain_id, world.deployment.pool, world.campaign, KIND_ENTRY, epoch)
        drawn = 0
        while drawn != relay:
            request = PassRequest.new(scope, key.public, os.urandom)
            owned = request.finish(blind_rsa.blind_sign(key, request.blinded, os.urandom))
            position = drawn_position(owned.signature, snapshot.beacon, snapshot.count)
            record = snapshot.at(position)
            drawn = record.id if record is not None else 0
        self.store.put_key(KIND_ENTRY, epoch, ProvenKey.of(key))
        self.store.put_pass(owned)

    def sending(self, receiver, profile=HASTY) -> Sending:
        return Sending(
            self.http, self.world.view, self.wallet, receiver, profile, os.urandom, tell=self.told.append
        )

    async def close(self) -> None:
        await self.http.close()
        self.store.close()


def tick(shown: wire.ShownTick) -> Tick:
    return Tick(shown.chain, shown.k, shown.link)


def _down(number: int, status: wire.DownStatus, ack: bytes) -> wire.Down:
    return wire.down([wire.Answered(number, status, ack)])
