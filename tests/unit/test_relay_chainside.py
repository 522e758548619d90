"""What a relay does about its chain, through outages, reorganisations, nonsense endpoints, and epochs."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chain_world import User, World
from mixpay.book import Limits
from mixpay.book.rows import Channel
from mixpay.chain import follower
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import Release
from mixpay.errors import ChainUnavailable, PeerError
from mixpay.network import NetworkView
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Account, Amount, Epoch, RelayId
from mixpay.wire import WIRE_VERSION, frames
from relay.chainside import Accounts, next_hops
from relay.path.books import Side
from relay_parts import EPOCH, PRICE, RELAYS, Clock, Node, Parts

# ---------------------------------------------------------------------- a real chain


class Weak(Rpc):
    """A node that gives no answer to the requests it is told to fail."""

    def __init__(self, url: str) -> None:
        super().__init__(url, attempts=1)
        self.fails: dict[str, int] = {}
        """How many more requests of a method get their answer; then one gets none."""
        self.asked: list[str] = []

    def request_once(self, method: str, *params: object) -> object:
        self.asked.append(method)
        if method in self.fails:
            self.fails[method] -= 1
            if self.fails[method] < 0:
                del self.fails[method]
                raise ChainUnavailable("no answer")
        return super().request_once(method, *params)


class Relay:
    """A registered relay on the world's chain, and its operator's account."""

    def __init__(self, world: World, operator: User, number: RelayId) -> None:
        self.operator, self.number = operator, number
        self.rpc = Weak(world.chain.url)
        self.view = NetworkView(self.rpc, world.deployment)


@pytest.fixture(scope="module")
def relays(world: World) -> list[Relay]:
    """Three relays, in their first epoch."""
    owner = world.user(tokens=400)
    found = []
    for number in (1, 2, 3):
        operator = world.user(tokens=10)
        owner.register(operator, f"127.0.0.1:{number}:{10 + number}")
        found.append(Relay(world, operator, RelayId(number)))
        operator.send(world.contracts.channels.deposit(Amount(5 * TOKEN)))
    for _ in range(2):
        to_next_epoch(world)
        world.deployer.send(world.contracts.registry.freeze())
    return found


def to_next_epoch(world: World) -> int:
    epoch = world.contracts.network.current_epoch() + 1
    world.chain.advance_time(to=world.deployment.genesis + epoch * DEMO.epoch_length + DEMO.key_grace + 1)
    return epoch


class Pair:
    """A payer's account on the chain, and its payee as a node."""

    def __init__(self, world: World, payer: Relay, payee: Node, rpc: Weak) -> None:
        self.world, self.payer, self.payee, self.rpc = world, payer.operator, payee, rpc
        self.channels = world.contracts.channels
        self.book = payee.books.payee(payer.number)

    def fund(self, amount: int) -> None:
        self.payer.send(self.channels.fund(self.book.payee, Amount(amount)))

    def request_close(self) -> None:
        self.payer.send(self.channels.request_close(self.book.payee))

    @property
    def on_chain(self) -> Channel:
        found = self.channels.channel(self.book.payer, self.book.payee)
        return Channel(found.deposit, found.claimed, found.closes_at)


@pytest_asyncio.fixture
async def pair(world: World, relays: list[Relay], tmp_path: Path) -> AsyncIterator[Pair]:
    payer, payee = relays[0], relays[1]
    payee.view.refresh()
    key = payee.operator.key
    node = Node(payee.view, payee.number, tmp_path, Clock(), Limits(), rpc=payee.rpc, key=key)
    pair = Pair(world, payer, node, payee.rpc)
    await node.chain.once()
    yield pair
    payee.rpc.fails.clear()
    await node.close()


async def test_books_learnOfTheirChannels(pair: Pair) -> None:
    assert pair.book.channel == pair.on_chain
    pair.fund(7)
    await pair.payee.chain.once()
    assert pair.book.channel == pair.on_chain
    pair.request_close()
    await pair.payee.chain.once()
    assert pair.book.channel == pair.on_chain
    assert pair.book.channel.closes_at > 0
    pair.fund(1)  # which takes the close back
    await pair.payee.chain.once()
    assert pair.book.channel.closes_at == 0


async def test_payer_countsOnGoodNews_whenItsPayeeHasSeenItToo(
    world: World, relays: list[Relay], tmp_path: Path
) -> None:
    """A payee that reads the chain after us refuses tickets under a deposit that it has not seen."""
    me, payee, _ = relays
    me.view.refresh()
    clock, channels = Clock(), world.contracts.channels
    node = Node(me.view, me.number, tmp_path, clock, Limits(), rpc=me.rpc, key=me.operator.key)
    book = node.books.payer(payee.number)

    async def later(seconds: float) -> int:
        clock.now += seconds
        await node.chain.once()
        return book.channel.deposit

    found = channels.channel(me.operator.account, book.payee).deposit
    assert await later(0) == found  # it was there before us
    me.operator.send(channels.fund(book.payee, Amount(1_000)))
    assert [await later(0), await later(9.9)] == [found, found]
    assert await later(0.2) == found + 1_000
    me.rpc.asked.clear()
    assert await later(0) == found + 1_000
    assert "eth_call" not in me.rpc.asked

    me.operator.send(channels.request_close(book.payee))
    await later(0)
    assert book.channel.closes_at > 0, "bad news counts at once"
    me.operator.send(channels.fund(book.payee, Amount(1)))  # which takes the close back
    await later(0)
    assert book.channel.closes_at > 0 and book.channel.deposit == found + 1_000
    assert await later(10) == found + 1_001
    assert book.channel.closes_at == 0
    await node.close()


async def test_payer_countsOnADepositBelowItsCredit_atOnce(
    world: World, relays: list[Relay], tmp_path: Path
) -> None:
    """It ends the credit: a payee that has read of it refuses what only the credit allows."""
    payee, _, me = relays
    me.view.refresh()
    clock, limits = Clock(), Limits()
    node = Node(me.view, me.number, tmp_path, clock, limits, rpc=me.rpc, key=me.operator.key)
    book = node.books.payer(payee.number)
    await node.chain.once()
    assert book.channel.deposit == 0
    credit = limits.credit_limit * DEMO.hop_price
    me.operator.send(world.contracts.channels.fund(book.payee, Amount(credit - 1)))
    await node.chain.once()
    assert book.channel.deposit == credit - 1
    assert book.totals(DEMO.hop_price).room == credit - 1
    me.operator.send(world.contracts.channels.fund(book.payee, Amount(1)))
    await node.chain.once()
    assert book.channel.deposit == credit - 1, "from there on it is good news as any"
    clock.now += 10.0
    await node.chain.once()
    assert book.channel.deposit == credit
    await node.close()


async def test_channels_areReadOnlyWhenSomethingHappened(pair: Pair) -> None:
    pair.rpc.asked.clear()
    await pair.payee.chain.once()
    assert "eth_call" not in pair.rpc.asked


async def test_closingThatTheNodeHidOnce_isReadTheNextTime(pair: Pair) -> None:
    """The event came, the channel's reading failed: the news must not be lost with it."""
    pair.fund(1)
    await pair.payee.chain.once()
    pair.request_close()
    pair.rpc.fails["eth_call"] = 0
    with pytest.raises(ChainUnavailable):
        await pair.payee.chain.once()
    assert pair.book.channel.closes_at == 0
    await pair.payee.chain.once()
    assert pair.book.channel == pair.on_chain
    assert pair.book.channel.closes_at > 0


async def test_newsReadBeforeARefreshFailed_isNotLost(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look takes several polls, the first brings the event, the second fails."""
    pair.fund(1)
    await pair.payee.chain.once()
    monkeypatch.setattr(follower, "_SPAN", 1)
    monkeypatch.setattr(follower, "_SPANS_A_POLL", 1)
    pair.payee.view._follower._span = 1
    pair.request_close()
    pair.world.chain.mine(3)
    pair.rpc.fails["eth_getLogs"] = 1
    with pytest.raises(ChainUnavailable):
        await pair.payee.chain.once()
    await pair.payee.chain.once()
    assert pair.book.channel == pair.on_chain
    assert pair.book.channel.closes_at > 0


async def test_closingThatTheNodeKeepsToItself_isReadInItsNotice(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: a node, and a payer that closes, against a payee that trusts events."""
    pair.fund(1)
    await pair.payee.chain.once()
    monkeypatch.setattr(pair.rpc, "logs", lambda *args: [])
    pair.request_close()
    await pair.payee.chain.once()
    assert pair.book.channel.closes_at == 0
    pair.world.chain.advance_time(DEMO.notice // 8)
    await pair.payee.chain.once()
    assert pair.book.channel.closes_at == pair.on_chain.closes_at > pair.payee.state.chain_time


async def test_depositThatAReorganisedChainTookBack_isForgotten(pair: Pair) -> None:
    before = pair.on_chain
    snapshot = pair.world.rpc.request("evm_snapshot")
    pair.fund(1_000)
    await pair.payee.chain.once()
    assert pair.book.channel.deposit == before.deposit + 1_000
    pair.world.rpc.request("evm_revert", snapshot)
    pair.world.chain.mine(3)
    await pair.payee.chain.once()
    assert pair.book.channel == pair.on_chain == before


async def test_ticketOnAClosingChannel_isRefused_andWhatIsOwedIsDue(pair: Pair) -> None:
    pair.fund(100 * PRICE)
    await pair.payee.chain.once()
    payer = RelayId(1)
    pair.payee.link(Side.PAYER, payer)
    pair.request_close()
    await pair.payee.chain.once()
    assert pair.book.refusal(1, 4, PRICE) == "channel_closing"
    pair.fund(1)
    await pair.payee.chain.once()
    assert pair.book.refusal(1, 4, PRICE) is None


async def test_networkThatMoves_endsPackets_notWhatIsOwed(pair: Pair) -> None:
    """A release with other contracts is about to come: what is owed on ours is looked after."""
    world, deployment = pair.world, pair.world.deployment
    snapshot = world.rpc.request("evm_snapshot")
    epoch = Epoch(world.contracts.network.current_epoch() + 1)
    moved = Release(
        Account(b"\1" * 20), deployment.channels, deployment.pool, WIRE_VERSION, Amount(PRICE), epoch
    )
    world.deployer.send(world.contracts.network.publish(moved))
    pair.fund(1)
    await pair.payee.chain.once()
    assert pair.book.channel == pair.on_chain
    assert pair.payee.state.hop_price == DEMO.hop_price
    world.rpc.request("evm_revert", snapshot)
    world.chain.mine(9)


async def test_nextEpoch_isFixedByOneRelayInItsTurn(
    world: World, relays: list[Relay], tmp_path: Path
) -> None:
    nodes = []
    for relay in relays:
        relay.view.refresh()
        node = Node(
            relay.view, relay.number, tmp_path, Clock(), Limits(), rpc=relay.rpc, key=relay.operator.key
        )
        nodes.append(node)
    epoch = to_next_epoch(world)
    registry, senders = world.contracts.registry, []
    for seconds in (0, 3, 3, 3):
        for relay, node in zip(relays, nodes, strict=True):
            node.clock.now += seconds
            nonce = world.rpc.nonce(relay.operator.account)
            await look(node)
            if world.rpc.nonce(relay.operator.account) > nonce:
                senders.append(relay.number)
    assert registry.is_frozen(Epoch(epoch + 1))
    assert len(senders) == 1
    for node in nodes:
        await node.close()


async def test_operatorWithoutEther_isToldSo_andTheRestGoesOn(
    world: World, relays: list[Relay], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    relay = relays[2]
    world.chain.fund(relay.operator.account, 0)
    relay.view.refresh()
    node = Node(relay.view, relay.number, tmp_path, Clock(), Limits(), rpc=relay.rpc, key=relay.operator.key)
    to_next_epoch(world)
    await look(node)
    for _ in range(3):
        node.clock.now += 100
        await look(node)
    assert node.chain.trouble is not None and "ether" in node.chain.trouble
    assert len([record for record in caplog.records if "ether" in record.message]) == 1
    assert set(node.dialer.links) == next_hops(node.me, list(node.state.epoch_keys().values())[-1])
    world.chain.fund(relay.operator.account, 10**18)
    await look(node)
    assert node.chain.trouble is None
    await node.close()


async def look(node: Node) -> None:
    """One look, and the fixing of the next epoch beside it."""
    await node.chain.once()
    await node.chain._beside["fixing the next epoch"]


async def test_outage_isToldOnceAndThenOver(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    running = asyncio.create_task(pair.payee.chain.run(0.01))
    for _ in range(3):
        pair.rpc.fails["eth_getBlockByNumber"] = 0
        async with asyncio.timeout(10):
            while pair.payee.chain.trouble is None or "eth_getBlockByNumber" in pair.rpc.fails:
                await asyncio.sleep(0.005)
    assert "no answer" in pair.payee.chain.trouble
    assert ["rpc_url" in note for note in pair.payee.chain.notes()] == [True]
    async with asyncio.timeout(10):
        while pair.payee.chain.trouble is not None:
            await asyncio.sleep(0.005)
    assert pair.payee.chain.notes() == []
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_peerThatHangs_doesNotHoldUpTheNextLook(pair: Pair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections and says nothing
        port = silent.getsockname()[1]
        link_key = b"\7" * 32
        registry = pair.world.contracts.registry
        pair.payer.send(registry.update(RelayId(1), link_key, f"127.0.0.1:1:{port}"))
        to_next_epoch(pair.world)
        pair.payer.send(registry.freeze())
        to_next_epoch(pair.world)
        async with asyncio.timeout(5):
            for _ in range(3):
                await pair.payee.chain.once()
            asking = pair.payee.chain._beside["gossip"]
            await asyncio.sleep(0.05)
            assert not asking.done()
        asking.cancel()


# ---------------------------------------------------------------------- links


def dialled(node: Node) -> set[RelayId]:
    """Relays to which links are kept."""
    return set(node.dialer.links)


def duties(node: Node) -> set[RelayId]:
    """Relays to which links are needed for packets."""
    return set().union(*(next_hops(node.me, keys) for keys in node.state.epoch_keys().values()))


async def test_links_goToAllNextHops_andToNobodyElse(parts: Parts) -> None:
    for relay in (1, 2, 3):
        node = await parts.node(relay)
        node.chain.dial()
        layer = parts.view.layers(EPOCH).layer(node.me)
        after = parts.members(layer + 1) if layer < 3 else range(1, RELAYS + 1)
        assert dialled(node) == {*parts.members(1), *after} - {node.me}


async def test_peerWithNonsenseEndpoint_isIgnoredUntilItMendsIt(parts: Parts) -> None:
    node = await parts.node(1)
    victim = min(duties(node))
    parts.chain.update(victim, "nonsense\udcff")
    node.chain.dial()
    assert dialled(node) == duties(node) - {victim}
    parts.chain.update(victim, "127.0.0.1:7:8")
    node.chain.dial()
    assert node.dialer.links[victim].target[:2] == ("127.0.0.1", 7)


async def test_relayThatMoved_isDialledThere(parts: Parts) -> None:
    node = await parts.node(1)
    moved = min(duties(node))
    node.chain.dial()
    parts.chain.update(moved, "127.0.0.1:7:8")
    node.chain.dial()
    assert node.dialer.links[moved].target[:2] == ("127.0.0.1", 7)


async def test_relayThatLeft_isStillDialledInItsLastEpoch(parts: Parts) -> None:
    node = await parts.node(1)
    left = min(duties(node))
    parts.chain.leave(left)
    node.chain.dial()
    assert left in dialled(node)


async def test_creditor_keepsItsLinkWhenItsEpochIsOver(parts: Parts) -> None:
    """Layers change with the term: a payee that is no next hop any more has not been paid yet."""
    payer, payee, *_ = parts.path()
    await parts.connect(payer, payee)
    node = parts.nodes[payer]
    built = parts.packet()
    node.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet)
    await parts.flow()
    node.chain.dial()
    await to_an_epoch_without(parts, node, payee)
    node.chain.dial()
    parts.clock.now += 1_000
    node.chain.dial()
    assert payee in dialled(node)

    await parts.run(1)
    await settle_all(parts)
    node.chain.dial()
    assert payee in dialled(node)  # the voucher may have been lost
    parts.clock.now += 61
    node.chain.dial()
    assert dialled(node) == duties(node)


async def test_payeeThatBrokeTheRules_isDialledNoMore(parts: Parts) -> None:
    payer, payee, *_ = parts.path()
    node = await parts.node(payer)
    node.chain.dial()
    node.link(Side.PAYEE, payee)
    built = parts.packet()
    node.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet).cancel()
    await node.hear(Side.PAYEE, payee, frames.Acks((frames.Ack(1, 0, 1, bytes(32)),)))
    assert node.books.payers[payee].refused == "bad_ack"
    for seconds in (0, 61):
        parts.clock.now += seconds
        node.chain.dial()
    assert dialled(node) == duties(node) - {payee}


async def to_an_epoch_without(parts: Parts, node: Node, payee: RelayId) -> None:
    """An epoch in which the relay is no next hop of the node."""
    epoch = EPOCH
    while payee in duties(node):
        epoch = Epoch(epoch + 1)
        parts.chain.freeze(epoch)
        parts.chain.at(epoch, DEMO.key_grace + 1)
        await node.keys.make()


async def settle_all(parts: Parts) -> None:
    """Everybody settles with everybody."""
    for node in parts.nodes.values():
        node.desk.settle()
    await parts.flow()
    await parts.run(parts.limits.response_timeout + 1)


async def test_linkThatIsNeededAgain_stays(parts: Parts) -> None:
    node = await parts.node(1)
    node.dialer.dial(RelayId(77), "127.0.0.1", 9, bytes(32))
    node.chain.dial()
    assert RelayId(77) in dialled(node)
    parts.clock.now += 61
    node.chain.dial()
    assert RelayId(77) not in dialled(node)
    node.dialer.dial(RelayId(77), "127.0.0.1", 9, bytes(32))
    node.chain.dial()
    assert RelayId(77) in dialled(node)  # its time begins anew


# ---------------------------------------------------------------------- accounts


async def test_strangersAccount_isUnknown(parts: Parts) -> None:
    node = await parts.node(1)
    with pytest.raises(PeerError, match="unknown_relay"):
        node.accounts.of(RelayId(77))
    with pytest.raises(PeerError, match="unknown_relay"):
        node.desk.opened(Side.PAYER, RelayId(77))


async def test_accountOfARelayThatLeftLongAgo_isAskedFor(world: World, relays: list[Relay]) -> None:
    accounts = Accounts(world.contracts)
    accounts.look_up([relays[0].number])
    assert accounts.of(relays[0].number) == relays[0].operator.account


# ---------------------------------------------------------------------- other contracts; the last test


async def test_epochOfOtherContracts_isFixedByNobody(
    world: World, relays: list[Relay], tmp_path: Path
) -> None:
    """The next epoch is fixed here already; the one after it is of a release with other contracts."""
    relay, deployment = relays[0], world.deployment
    epoch = Epoch(world.contracts.network.current_epoch() + 2)
    moved = Release(
        Account(b"\1" * 20), deployment.channels, deployment.pool, WIRE_VERSION, Amount(PRICE), epoch
    )
    world.deployer.send(world.contracts.network.publish(moved))
    to_next_epoch(world)
    relay.view.refresh()
    node = Node(relay.view, relay.number, tmp_path, Clock(), Limits(), rpc=relay.rpc, key=relay.operator.key)
    for _ in range(3):
        node.clock.now += 100
        await look(node)
    assert node.chain.trouble is None
    assert not world.contracts.registry.is_frozen(epoch)
    await node.close()
