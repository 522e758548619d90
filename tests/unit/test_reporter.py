"""A relay that signed two keys is brought before the court, once, by one of those who found out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chain_world import ETHER, User, World
from mixpay import eip712
from mixpay.book import Limits
from mixpay.chain.views import NOBODY
from mixpay.crypto import x25519
from mixpay.descriptors import Descriptor, Equivocation, sign_descriptor
from mixpay.errors import UserError
from mixpay.network import NetworkView
from mixpay.parameters import DEMO
from mixpay.snapshot import DirectoryError
from mixpay.types import Epoch, RelayId
from relay.keys.reporter import _TURN
from relay_parts import Clock, Node, Parts

ANY_TURN = 8 * _TURN
"""Seconds after which everybody's turn has come: the chain has less than 128 relays."""


class Court:
    """A chain with four relays; the last one lies, the others are nodes."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.clock = Clock()
        self.operators: dict[RelayId, User] = {}
        self.owner = world.user(tokens=500)
        for _ in range(4):
            operator = world.user()
            self.owner.register(operator, "127.0.0.1:1:2")
            self.operators[world.contracts.registry.relay_of(operator.account)] = operator
        self.epoch = world.join()
        *self.honest, self.liar = self.operators
        self.nodes: dict[RelayId, Node] = {}

    def node(self, relay: RelayId) -> Node:
        view = NetworkView(self.world.rpc, self.world.deployment)
        view.refresh()
        key = self.operators[relay].key
        self.nodes[relay] = Node(view, relay, self.folder, self.clock, Limits(), rpc=self.world.rpc, key=key)
        return self.nodes[relay]

    def patient(self, proof: Equivocation) -> Node:
        """An honest relay whose turn to report comes later: the first would report at once."""
        return next(node for node in map(self.node, self.honest) if node.reporter._turn(proof))

    async def restart(self, relay: RelayId) -> Node:
        await self.nodes.pop(relay).close()
        return self.node(relay)

    def signed(self, key: int, epoch: int | None = None) -> Descriptor:
        """One of the liar's descriptors."""
        public = x25519.public_key(bytes([key]) * 32)
        domain = eip712.registry_domain(self.world.deployment.chain_id, self.world.deployment.registry)
        of = Epoch(self.epoch if epoch is None else epoch)
        return sign_descriptor(self.operators[self.liar].key, self.liar, of, public, domain)

    def proof(self, epoch: int | None = None) -> Equivocation:
        return Equivocation.of(self.signed(1, epoch), self.signed(2, epoch))

    @property
    def reporter(self) -> bytes:
        return self.world.contracts.registry.reporter_of(self.liar)

    def sent(self, relay: RelayId) -> int:
        """Transactions of a relay's operator."""
        return self.world.rpc.nonce(self.operators[relay].account)

    def bounty(self, relay: RelayId) -> int:
        return self.world.contracts.channels.balance_of(self.operators[relay].account)


async def work(node: Node, seconds: float = 0) -> None:
    """A look at the chain, and reports."""
    node.clock.now += seconds
    node.view.refresh()
    await node.reporter.run_once()


@pytest_asyncio.fixture
async def court(world: World, tmp_path: Path) -> AsyncIterator[Court]:
    made = Court(world, tmp_path)
    yield made
    for node in made.nodes.values():
        await node.close()


async def test_twoKeys_areReported_andTheRelayIsOut(court: Court) -> None:
    node = court.node(court.honest[0])
    directories = node.state.directories
    directories.learn(court.signed(1))
    with pytest.raises(DirectoryError, match="equivocation"):
        directories.learn(court.signed(2))
    await work(node)
    await work(node, ANY_TURN)
    assert court.reporter == court.operators[node.me].account
    await work(node)
    assert court.sent(node.me) == 2  # the penalty is settled as well
    assert node.view.relay(court.liar) is None
    assert directories.equivocations  # its epoch is not over, and a chain may go back
    assert node.store.equivocations()
    court.world.join()
    court.world.chain.advance_time(DEMO.key_grace + 1)
    await work(node)
    assert not directories.equivocations and not node.store.equivocations()
    assert court.liar in node.view.condemned and court.sent(node.me) == 2


async def test_onlyTheFirstReportCounts_andTheRaceIsNoError(court: Court) -> None:
    nodes = [court.node(relay) for relay in court.honest]
    for node in nodes:
        node.state.directories.take_proof(court.proof())
        await work(node)
    court.clock.now += ANY_TURN
    for node in nodes:  # with what they knew before
        await node.reporter.run_once()
    assert [court.sent(node.me) for node in nodes].count(1) == 1  # a dry run tells the others
    for node in nodes:
        await work(node)
        assert node.reporter._ours() == ([court.liar] if court.sent(node.me) else [])
        assert "will be reported" not in "".join(node.reporter.notes())


async def test_proof_outlivesTheDaemon(court: Court) -> None:
    proof = court.proof(epoch=0)
    node = court.patient(proof)
    node.state.directories.take_proof(proof)
    await node.reporter.run_once()
    again = await court.restart(node.me)
    assert again.state.directories.equivocations == {court.liar: court.proof(epoch=0)}
    assert again.reporter.notes() == [
        f"relay {court.liar} signed two packet keys for epoch 0: will be reported"
    ]
    await work(again)
    await work(again, ANY_TURN)
    assert court.reporter == court.operators[node.me].account


async def test_turns_areKept(court: Court) -> None:
    nodes = [court.node(relay) for relay in court.honest]
    turn, last = max(((node.reporter._turn(court.proof()), node) for node in nodes), key=lambda pair: pair[0])
    last.state.directories.take_proof(court.proof())
    await work(last)
    await work(last, turn * _TURN - 0.1)
    assert court.reporter == NOBODY
    await work(last, 0.1)
    assert court.reporter == court.operators[last.me].account


async def test_reportThatAReorganisedChainTookBack_isMadeAgain(court: Court) -> None:
    node = court.node(court.honest[0])
    node.state.directories.take_proof(court.proof())
    await work(node)
    before = court.world.rpc.request("evm_snapshot")
    await work(node, ANY_TURN)
    await work(node)
    assert court.liar in node.view.condemned
    court.world.rpc.request("evm_revert", before)
    court.world.chain.mine(3)
    await work(node)
    assert court.reporter == court.operators[node.me].account


async def test_operatorWithoutEther_isToldSo_andReportsLater(court: Court) -> None:
    node = court.patient(court.proof())
    court.world.chain.fund(court.operators[node.me].account, 0)
    node.state.directories.take_proof(court.proof())
    await work(node)
    with pytest.raises(UserError, match="ether"):
        await work(node, ANY_TURN)
    court.world.chain.fund(court.operators[node.me].account, ETHER)
    await work(node)
    assert court.reporter == court.operators[node.me].account


async def test_stakeThatIsPaidOut_isNotReported(court: Court) -> None:
    """A proof of long ago against one who has left."""
    registry = court.world.contracts.registry
    court.owner.send(registry.leave(court.liar))
    court.world.chain.advance_time(registry.unbonding())
    court.owner.send(registry.withdraw_stake(court.liar, court.owner.account))
    node = court.node(court.honest[0])
    node.state.directories.take_proof(court.proof(epoch=0))
    await work(node)
    await work(node, ANY_TURN)
    assert court.sent(node.me) == 0
    assert not node.state.directories.equivocations and not node.store.equivocations()


# ---------------------------------------------------------------------- penalties


async def condemned(court: Court) -> Node:
    node = court.node(court.honest[0])
    node.state.directories.take_proof(court.proof())
    await work(node)
    node.view.refresh()
    if (
        court.liar not in node.view.condemned
    ):  # by chance ours is the first turn; then another look would settle the penalty
        await work(node, ANY_TURN)
        node.view.refresh()
    return node


async def test_penalty_isSettledAtOnce_once(court: Court) -> None:
    node = await condemned(court)
    assert node.reporter.notes() == [
        f"relay {court.liar} was condemned by our report: a share of its penalty is paid to us"
    ]
    assert (court.sent(node.me), court.bounty(node.me)) == (1, 0)
    await work(node)
    assert (court.sent(node.me), court.bounty(node.me)) == (2, DEMO.penalty // 20)
    for _ in range(2):
        await work(node)
    assert court.sent(node.me) == 2
    assert node.reporter.notes() == []


async def test_penaltyThatAnotherHasSettled_isNoError(court: Court) -> None:
    node = await condemned(court)
    court.owner.send(court.world.contracts.registry.settle_penalty(court.liar))
    await node.reporter.run_once()
    assert (court.sent(node.me), court.bounty(node.me)) == (1, DEMO.penalty // 20)


async def test_othersBounties_areTheirs(court: Court) -> None:
    await condemned(court)
    other = court.node(court.honest[1])
    await work(other)
    assert court.sent(other.me) == 0 and other.reporter.notes() == []


async def test_penalty_isThere_whateverJudgementsTook(court: Court) -> None:
    court.world.court_says("slash", court.liar, DEMO.stake)
    node = await condemned(court)
    await work(node)
    assert court.bounty(node.me) == DEMO.penalty // 20


async def test_condemnedRelay_isTold(court: Court) -> None:
    await condemned(court)
    liar = court.node(court.liar)
    assert "this relay is out of the network" in liar.reporter.notes()[0]


# ---------------------------------------------------------------------- turns


async def test_turns_areForTwiceAsManyEach_inAnotherOrderEachTime(tmp_path: Path) -> None:
    parts = Parts(tmp_path, relays=33)
    key = (b"\1" * 32, b"\2" * 32)
    orders = []
    for epoch in (0, 1):
        proof = Equivocation(RelayId(33), Epoch(epoch), key, (bytes(65), bytes(65)))
        turns = []
        for relay in range(1, 33):
            node = (await parts.node(1)) if relay == 1 else parts.nodes[1]
            node.state.me = RelayId(relay)
            turns.append(node.reporter._turn(proof))
        node.state.me = RelayId(1)
        assert [turns.count(turn) for turn in range(6)] == [1, 1, 2, 4, 8, 16]
        orders.append(turns)
    assert orders[0] != orders[1]
    await parts.close()
