"""Relays without sockets and without a chain, for tests of their parts.

Everything of a relay is real, with its database on a real file; only what lies around it is in memory: events
come from `Chain`, frames go from wire to wire through the codec, and the clock moves when told.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random

import gmpy2

from mixpay import eip712, tls
from mixpay.book import Limits
from mixpay.chain import events
from mixpay.chain.contracts import Contracts
from mixpay.chain.follower import Batch
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.chain.views import Campaign, Release
from mixpay.crypto import blind_rsa, x25519
from mixpay.crypto.blind_rsa import SecretKey
from mixpay.deployment import Deployment
from mixpay.descriptors import Descriptor
from mixpay.mailbox import Mailboxes
from mixpay.network import NetworkView
from mixpay.packet import (
    KIND_MESSAGE,
    Built,
    Deliver,
    Forward,
    Hop,
    ReplyBlock,
    ReplyKeys,
    build,
    build_surb,
    peel,
)
from mixpay.parameters import DEMO
from mixpay.passes import EntryPassBook, OwnedPass, PassRequest, Scope, drawn_position
from mixpay.registry_replica import RegistryReplica
from mixpay.replay import TagStore
from mixpay.types import Account, Amount, Epoch, Position, RelayId
from mixpay.wire import WIRE_VERSION, frames
from registry_samples import name, operator_key
from relay.chainside import Accounts, ChainSide
from relay.keys.epoch_keys import PacketKeys
from relay.keys.gossip import Gossip, Heard
from relay.keys.key_desk import KeyDesk
from relay.keys.reporter import Reporter
from relay.keys.signed_epochs import SignedEpochs
from relay.links import Identity, LinkDialer
from relay.metrics import Metrics
from relay.path.books import Books, Purse, Side
from relay.path.desk import Desk, RelayHooks
from relay.path.flows import Flows
from relay.path.mixer import Mixer
from relay.path.opening import InlineOpener
from relay.path.router import Router
from relay.state import State
from relay.store import RelayStore
from tickets import long_form

RELAYS = 9
EPOCH = Epoch(2)
"""The epoch in which everything happens: the first one in which the relays serve."""
PRICE = DEMO.hop_price
CAMPAIGN = 1
DEAD = "http://127.0.0.1:9"
"""An RPC endpoint that nobody asks here."""

DEPLOYMENT = Deployment(
    chain_id=31337,
    block=0,
    token=Account(name("contract", 1)[:20]),
    network=Account(name("contract", 2)[:20]),
    registry=Account(name("contract", 3)[:20]),
    channels=Account(name("contract", 4)[:20]),
    court=Account(name("contract", 6)[:20]),
    pool=Account(name("contract", 5)[:20]),
    genesis=1_700_000_000,
    parameters=DEMO,
    artifacts={},
)


def link_seed(relay: int) -> bytes:
    """Seed of a relay's link key."""
    return name("link seed", relay)


def account(relay: int) -> Account:
    """A relay's operator."""
    return eip712.account_of(operator_key(relay))


def packet_secret(relay: int) -> bytes:
    """A relay's packet key, the same in every epoch."""
    return name("packet key", relay)


class Chain:
    """What a chain would tell: events and time, to a real `NetworkView`."""

    def __init__(self, relays: int = RELAYS) -> None:
        self.view = NetworkView(Rpc(DEAD), DEPLOYMENT)
        self.replica = RegistryReplica()
        self._block = 0
        self._time = DEPLOYMENT.genesis
        self.publish(0)
        for number in range(1, relays + 1):
            self.register(number)

    def _place(self) -> tuple[int, int, bytes]:
        self._block += 1
        return self._block, 0, bytes(32)

    def tell(self, *happened: events.Event, reverted_to: int | None = None) -> Batch:
        """Let the view see a batch of events, and the time."""
        batch = Batch(happened, reverted_to, self._block, self._block, self._time)
        self.view.take(batch, 0)
        return batch

    def publish(self, epoch: int, registry: Account = DEPLOYMENT.registry, price: int = PRICE) -> None:
        """A release from an epoch on."""
        contracts = registry, DEPLOYMENT.channels, DEPLOYMENT.pool
        release = Release(*contracts, WIRE_VERSION, Amount(price), Epoch(epoch))
        self.tell(events.ReleasePublished(*self._place(), 0, Epoch(epoch), release))

    def register(self, relay: int, endpoint: str = "", position: int | None = None) -> None:
        """A relay joins."""
        where = Position(self.replica.count if position is None else position)
        key = tls.link_key_of(link_seed(relay))
        endpoint = endpoint or f"127.0.0.1:{7000 + relay}:{8000 + relay}"
        operator = account(relay)
        self.replica.registered(RelayId(relay), where, operator, key, endpoint)
        self.tell(events.Registered(*self._place(), RelayId(relay), where, operator, operator, key, endpoint))

    def update(self, relay: int, endpoint: str) -> None:
        """A relay moves."""
        key = tls.link_key_of(link_seed(relay))
        self.replica.updated(RelayId(relay), key, endpoint)
        self.tell(events.Updated(*self._place(), RelayId(relay), key, endpoint))

    def leave(self, relay: int, withdrawable_at: int = 2**40) -> None:
        """A relay leaves; its stake is free at that second of chain time."""
        record = self.view.relay(RelayId(relay))
        assert record is not None
        self.replica.left(RelayId(relay), record.position)
        self.tell(events.Left(*self._place(), RelayId(relay), record.position, withdrawable_at))

    def condemn(self, relay: int, reporter: Account) -> None:
        """A relay that signed two keys is shown to the court, and evicted."""
        self.leave(relay)
        self.tell(events.Condemned(*self._place(), RelayId(relay), reporter))

    def freeze(self, epoch: int) -> None:
        """Fix an epoch."""
        root, count = self.replica.root, self.replica.count
        self.tell(events.Frozen(*self._place(), Epoch(epoch), root, count, name("beacon", epoch)))

    def set_key(self, key: SecretKey, kind: int, period: int, campaign: int = CAMPAIGN) -> None:
        """A campaign's key for a period is registered."""
        self.tell(events.KeySet(*self._place(), campaign, kind, period, key.public.key_hash(), Amount(PRICE)))

    def at(self, epoch: int, seconds: int = 0) -> None:
        """A block at a moment of an epoch."""
        self._time = self.view.schedule.start(Epoch(epoch)) + seconds
        self._block += 1
        self.tell()

    def begin(self) -> Chain:
        """Go to EPOCH, after its grace for older keys."""
        self.freeze(EPOCH)
        self.at(EPOCH, DEMO.key_grace + 1)
        return self


class Wire:
    """One end of a link in memory: it keeps what was sent."""

    def __init__(self, peer: int) -> None:
        self.peer = RelayId(peer)
        self.is_open = True
        self.sent: list[frames.LinkFrame] = []
        self.refused: str | None = None

    def send(self, frame: frames.LinkFrame) -> bool:
        """See `Link`."""
        self.sent.append(frames.LINK.decode(frames.LINK.encode(frame)))
        return True

    def refuse(self, reason: str) -> None:
        """See `Link`."""
        self.refused, self.is_open = reason, False

    def pause(self) -> None:
        """See `Link`."""

    def resume(self) -> None:
        """See `Link`."""

    def take(self) -> list[frames.LinkFrame]:
        """What was sent since the last time."""
        taken, self.sent = self.sent, []
        return taken


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Node:
    """One relay's parts, put together as the daemon does, on the file of its folder.

    `rpc` and `key` (the operator's) are for a relay on a real chain.
    """

    def __init__(
        self,
        view: NetworkView,
        relay: int,
        folder: Path,
        clock: Clock,
        limits: Limits,
        random: Callable[[int], bytes] | None = None,
        rpc: Rpc | None = None,
        key: bytes = b"",
        **settings: int,
    ) -> None:
        self.me, self.clock, self.view = RelayId(relay), clock, view
        deployment, key, rpc = view.deployment, key or operator_key(relay), rpc or Rpc(DEAD)
        self.metrics = Metrics()
        self.hooks = RelayHooks(self.metrics)
        self.store = RelayStore(folder / f"relay{relay}.sqlite")
        self.record = SignedEpochs(folder / f"relay{relay}-signed-epochs", view.registry_domain)
        drawn = random or (lambda size: packet_secret(relay))
        keys = PacketKeys(self.store.packet_keys(), drawn, self.record.newest)
        restored = bool(settings.get("restored"))
        self.state = State(self.me, view, keys, key, restored=restored)
        contracts = Contracts(rpc, deployment)
        self.accounts = Accounts(contracts)
        self.accounts.learn(self.state)
        domain = eip712.channels_domain(deployment.chain_id, deployment.channels)
        purse = Purse(key, eip712.account_of(key), domain)
        dice = Random(relay).randbytes  # noqa: S311 - tests repeat
        self.books = Books(
            purse, limits, self.store, self.hooks, self.accounts.of, dice, clock(), restored=restored
        )
        floor = self.state.floor
        self.tags = TagStore(floor, settings.get("tags", 1_000), self.store.tags(floor))
        self.mailboxes = Mailboxes(self.me)
        self.mailboxes.restore(self.store.mailboxes(), self.store.message_index())
        self.passes = EntryPassBook.from_records(self.store.passes(deployment.chain_id, deployment.pool))
        self.mixer: Mixer = Mixer(settings.get("mixer", 1_000))
        self.router = Router(
            self.me, self.books, self.tags, self.mixer, self.mailboxes, self.metrics, clock,
            lambda: self.state.chain_time, self.hooks.link, settings.get("queue", 1_000),
            InlineOpener(dice, self.tags.seen),
            Flows(self.me, self.state.directories.knows, self.store.flows()),
        )  # fmt: skip
        self.hooks.router = self.router
        self.desk = Desk(self.books, self.router, self.metrics, clock)
        self.wires: dict[Side, dict[RelayId, Wire]] = {Side.PAYER: {}, Side.PAYEE: {}}
        self.hooks.links = {side: wires.get for side, wires in self.wires.items()}
        self.dialer = LinkDialer(Identity(self.me, link_seed(relay)), _Nobody())
        self.gossip = Gossip(self.state, clock, dice)
        self.heard = Heard(0, 0)
        """Who answers when this relay asks about itself."""
        self.shown: list[Descriptor] = []
        """What they answer."""
        self.asked: list[Epoch] = []
        self.most_asked: list[int] = []
        """How many others at most, each time."""
        self.keys = KeyDesk(self.state, self.store, self.record, self.router, self._ask, clock)
        sender = Sender(rpc, key)
        self.reporter = Reporter(self.state, contracts, sender, self.store, clock)
        self.chain = ChainSide(
            self.state, contracts, sender, purse.account, self.accounts, self.books, self.dialer, self.keys,
            self.gossip, self.reporter, self.metrics, clock,
        )  # fmt: skip

    async def _ask(self, epoch: Epoch, most: int) -> Heard:
        self.asked.append(epoch)
        self.most_asked.append(most)
        if self.heard.answered:
            for descriptor in self.shown:
                if descriptor.epoch == epoch:
                    self.state.directories.learn(descriptor)
        return self.heard

    async def ready(self) -> Node:
        """Make packet keys, as the daemon does when it has started."""
        await self.keys.make()
        return self

    def link(self, side: Side, peer: int) -> Wire:
        """Open a link: its other end is the test."""
        wire = self.wires[side][RelayId(peer)] = Wire(peer)
        self.desk.opened(side, RelayId(peer))
        return wire

    async def written(self) -> None:
        """Wait until everything is on disk and carried out."""
        for _ in range(2):
            await self.store.written(())

    async def hear(self, side: Side, peer: int, *said: frames.LinkFrame) -> list[frames.LinkFrame]:
        """Frames arrive from a peer; returns what it is answered."""
        self.desk.received(side, RelayId(peer), said)
        await self.written()
        return self.wires[side][RelayId(peer)].take()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and do what is due then."""
        self.clock.now += seconds
        self.router.release()
        self.desk.tick()
        await self.written()

    def count(self, counter: str, **labels: str) -> float:
        """A counter's value; 0 if it was never raised."""
        return self.metrics.registry.get_sample_value(f"mixpay_{counter}_total", labels) or 0.0

    def drops(self, reason: str) -> float:
        """Packets dropped for a reason."""
        return self.count("drops", reason=reason)

    def refusals(self, reason: str) -> float:
        """What was refused for a reason."""
        return self.count("refusals", reason=reason)

    async def close(self) -> None:
        """Stop."""
        await self.dialer.stop()
        await self.store.close()

    async def crash(self) -> None:
        """End as if the power went: what waits for the disk, and what follows from it, is gone."""
        for wires in self.wires.values():
            wires.clear()
        store = self.store
        with suppress(queue.Empty):
            while True:
                store._queue.get_nowait()
        store._backlog = 0
        await self.close()


class _Nobody:
    """Nobody listens to these links."""

    def opened(self, link: object) -> None: ...
    def received(self, link: object, frames: object) -> None: ...
    def closed(self, link: object, reason: str) -> None: ...
    def dropped(self, peer: RelayId, reason: str, frames: int) -> None: ...
    def failed(self, peer: RelayId | None, reason: str) -> None: ...


class Parts:
    """Nodes on one chain, with one clock. Made by need; closed together.

    `random` draws packet keys, if they are not to be those of `packet_secret`.
    """

    def __init__(
        self,
        folder: Path,
        relays: int = RELAYS,
        limits: Limits | None = None,
        random: Callable[[int], bytes] | None = None,
    ) -> None:
        self.folder = folder
        self._random = random
        self.chain = Chain(relays).begin()
        self.view = self.chain.view
        self.clock = Clock()
        self.limits = limits or Limits()
        self.nodes: dict[int, Node] = {}
        self._dice = Random(11)  # noqa: S311 - tests repeat

    async def node(self, relay: int, limits: Limits | None = None, **settings: int) -> Node:
        """A relay, made if it is not there: with `settings` tags, mixer, queue, restored (0 or 1)."""
        if relay not in self.nodes:
            around = self.view, relay, self.folder, self.clock
            node = Node(*around, limits or self.limits, self._random, **settings)
            self.nodes[relay] = await node.ready()
        return self.nodes[relay]

    async def restart(self, relay: int, *, crash: bool = False) -> Node:
        """A relay stops, or crashes, and starts again from its file. Its links are down."""
        node = self.nodes.pop(relay)
        await (node.crash() if crash else node.close())
        for node in self.nodes.values():
            for wires in node.wires.values():
                wires.pop(RelayId(relay), None)
        return await self.node(relay)

    async def close(self) -> None:
        """Stop all."""
        for node in self.nodes.values():
            await node.close()

    # ------------------------------------------------------------------ paths and packets

    def members(self, layer: int) -> tuple[RelayId, ...]:
        """The relays of a layer."""
        return self.view.layers(EPOCH).members(layer)

    def path(self) -> tuple[RelayId, RelayId, RelayId, RelayId, RelayId]:
        """Entry, three mixes and a mailbox, all different."""
        first, second = self.members(1), self.members(2)
        return second[-1], first[0], second[0], self.members(3)[0], first[-1]

    def packet(
        self,
        mixes: Sequence[int] = (),
        mailbox: int = 0,
        *,
        box: bytes = bytes(16),
        delay_ms: int = 10,
        data: bytes | None = None,
        kind: int = KIND_MESSAGE,
    ) -> Built:
        """A packet; without a path, along `path()`."""
        usual = self.path()
        hops = [_hop(relay, delay_ms) for relay in mixes or usual[1:4]]
        body = data or self._dice.randbytes(2048)
        context = self.view.key_context(EPOCH)
        return build(context, hops, _hop(mailbox or usual[4], 0), box, kind, body, self._dice.randbytes)

    def block(self, passing: bytes) -> tuple[ReplyBlock, ReplyKeys]:
        """A reply block along the path of `packet`, for a passing mailbox at its last relay."""
        *_, last = self.path()
        hops, context = [_hop(relay, 10) for relay in self.path()[1:4]], self.view.key_context(EPOCH)
        return build_surb(context, EPOCH, hops, _hop(last, 0), passing, self._dice.randbytes)

    def opened(self, packet: bytes, relay: int, layer: int) -> Forward | Deliver:
        """A packet's layer, as its relay sees it."""
        secret, context = packet_secret(relay), self.view.key_context(EPOCH)
        keys = x25519.SecretKey(secret), x25519.public_key(secret)
        return peel(context, *keys, layer, packet, lambda tag: False)

    def last_frame(self, packet: bytes) -> frames.Packet:
        """What arrives at the last relay of a packet along `path()`."""
        for layer, relay in enumerate(self.path()[1:4], start=1):
            peeled = self.opened(packet, relay, layer)
            assert isinstance(peeled, Forward)
            packet, lock, hint = peeled.packet, peeled.next_lock, long_form(peeled.next_hint)
        return frames.Packet(1, EPOCH, lock, hint, 1, packet)

    def arrives(self, packet: bytes) -> Deliver:
        """What a packet along `path()` holds for its last relay."""
        found = self.opened(self.last_frame(packet).packet, self.path()[4], 4)
        assert isinstance(found, Deliver)
        return found

    def random(self, size: int) -> bytes:
        """Bytes, other ones each time and the same in each run."""
        return self._dice.randbytes(size)

    async def bring(self, node: Node, *packets: frames.Packet) -> list[frames.LinkFrame]:
        """The entry of the usual path brings a mix packets; returns what it is answered."""
        return await node.hear(Side.PAYER, self.path()[0], *packets)

    # ------------------------------------------------------------------ links in memory

    async def connect(self, payer: int, payee: int) -> None:
        """Open the link on which one relay pays another."""
        one, other = await self.node(payer), await self.node(payee)
        one.wires[Side.PAYEE][RelayId(payee)] = Wire(payee)
        other.wires[Side.PAYER][RelayId(payer)] = Wire(payer)
        one.desk.opened(Side.PAYEE, RelayId(payee))
        other.desk.opened(Side.PAYER, RelayId(payer))

    async def flow(self) -> None:
        """Carry frames until all wires are silent."""
        silent = 0
        while silent < 2:
            await asyncio.gather(*(node.written() for node in self.nodes.values()))
            silent = 0 if self.carry() else silent + 1

    def carry(self) -> bool:
        """Carry what is on the wires, once, and wait for no disk. Whether there was anything."""
        moved = False
        for node in list(self.nodes.values()):
            for side, wires in node.wires.items():
                for wire in list(wires.values()):
                    sent = wire.take()
                    if sent and wire.peer in self.nodes:
                        moved = True
                        other = Side.PAYEE if side is Side.PAYER else Side.PAYER
                        self.nodes[wire.peer].desk.received(other, node.me, sent)
        return moved

    async def run(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass everywhere, with everything that happens in it."""
        for _ in range(round(seconds / step)):
            self.pass_time(step)
            await self.flow()

    def pass_time(self, seconds: float) -> None:
        """Let time pass everywhere, and wait for no disk."""
        self.clock.now += seconds
        for node in self.nodes.values():
            node.router.release()
            node.desk.tick()


def _hop(relay: int, delay_ms: int) -> Hop:
    return Hop(RelayId(relay), x25519.public_key(packet_secret(relay)), delay_ms)


def frame(built: Built, seq: int = 1, value: int = 4, epoch: int = EPOCH, **changes: bytes) -> frames.Packet:
    """The PACKET that brings a packet to its first mix; `changes`: lock, hint or packet."""
    parts = {"lock": built.lock, "hint": built.hint, "packet": built.packet} | changes
    return frames.Packet(seq, epoch, parts["lock"], parts["hint"], value, parts["packet"])


def only(found: Iterable[object], kind: type) -> list:
    """Those of one class."""
    return [item for item in found if isinstance(item, kind)]


def reasons(answers: Iterable[frames.LinkFrame]) -> list[str]:
    """Why tickets were refused."""
    refused = only(answers, frames.RefuseTickets)
    return [ticket.reason for answer in refused for ticket in answer.tickets]


# ---------------------------------------------------------------------- passes


@cache
def signing_key(seed: int) -> SecretKey:
    """A campaign's key, the same in every run."""
    numbers = Random(seed)  # noqa: S311 - tests repeat
    p, q = (int(gmpy2.next_prime(numbers.getrandbits(1022) | 3 << 1022)) for _ in range(2))
    return SecretKey(p, q)


def campaign(budget: int = 10**24) -> Campaign:
    """A rich campaign as the pool shows it."""
    nobody = Account(bytes(20))
    return Campaign(nobody, Amount(budget), Amount(budget), Amount(budget), 0, nobody, Amount(0))


@cache
def issued(kind: int, period: int, number: int = 0, key: int = 1, campaign: int = CAMPAIGN) -> OwnedPass:
    """A pass as wallet and issuer make it; `number` tells passes of one scope apart."""
    scope = Scope(DEPLOYMENT.chain_id, DEPLOYMENT.pool, campaign, kind, period)
    secret, random = signing_key(key), Random(number).randbytes  # noqa: S311 - tests repeat
    request = PassRequest.new(scope, secret.public, random)
    return request.finish(blind_rsa.blind_sign(secret, request.blinded, random))


def passes_for(view: NetworkView, relay: int, kind: int, period: int, count: int = 1) -> list[OwnedPass]:
    """Passes that draw a relay."""
    snapshot = view.snapshot(EPOCH)
    found: list[OwnedPass] = []
    number = 0
    while len(found) < count:
        owned = issued(kind, period, number)
        drawn = snapshot.at(drawn_position(owned.signature, snapshot.beacon, snapshot.count))
        if drawn is not None and drawn.id == relay:
            found.append(owned)
        number += 1
    return found
