"""Messages that are to be acknowledged, from one user's program to another's, over real packets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import client_world
from client_world import EPOCH, HASTY, User, World
from mixpay import envelope
from mixpay.address import Address
from mixpay.chain.rpc import Rpc
from mixpay.client import app, letters
from mixpay.client.home import ClientConfig, Home
from mixpay.client.inbox import Arrived
from mixpay.client.letters import Delivery, send_acknowledged
from mixpay.client.parts import Part, Parts
from mixpay.delivery import outgoing, owed
from mixpay.delivery.outgoing import Patience, State
from mixpay.delivery.owed import OwedLimits
from mixpay.envelope import CHUNK_BYTES, Message, file_message, text_message
from mixpay.errors import UserError
from mixpay.releases import Releases
from mixpay.sponsor.keys import PassKeys
from pass_keys import pass_keys

FILE = bytes(range(256)) * 100
"""Fourteen pieces."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(letters, "_LOOK_SECONDS", 0.01)
    # Paths avoid entry and mailbox: of three mixes in a layer, a dead one could be the only one left.
    monkeypatch.setattr(client_world, "RELAYS", 15)
    # As in service, the receiver speaks before it is asked again.
    patience, limits = Patience(settled=2, question=3, longest_question=3), OwedLimits(quiet=1)
    monkeypatch.setattr(outgoing, "Patience", lambda: patience)
    monkeypatch.setattr(owed, "OwedLimits", lambda: limits)


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: PassKeys) -> AsyncIterator[World]:
    async with World(tmp_path, keys).running() as world:
        yield world


class Program:
    """A user's program, and what it delivered."""

    def __init__(self, world: World, name: str) -> None:
        self.user, self.read = User(world, name), list[bytes]()
        home, view, tell = Home(world.folder / name), world.view, self.user.told.append
        parts = Parts(home, Releases(Rpc("http://127.0.0.1:1"), view), Part(view, self.user.store), tell)
        place = home, ClientConfig("", "", ""), HASTY, parts, view, self.user.store
        self.client = app.Client(*place, self.user.http, self.user.wallet, tell)

    async def address(self) -> Address:
        return await app.make_address(self.client, self.user.identity)

    async def send(self, to: Address, message: Message, wait: float = 300) -> Delivery:
        return await send_acknowledged(self.client, self.user.identity, to, message, wait)

    def receiver(self, *, silent: bool = False) -> app.Receiver:
        def deliver(arrived: Arrived) -> None:
            self.read.append(arrived.message.content)

        return app.Receiver(self.client, self.user.identity, deliver, silent=silent)

    async def receive(self, *, silent: bool = False) -> app.Received:
        receiver = self.receiver(silent=silent)
        await receiver.begin()
        return await receiver.once()


@pytest_asyncio.fixture
async def alice(world: World) -> AsyncIterator[Program]:
    program = Program(world, "alice")
    yield program
    await program.user.close()


@pytest_asyncio.fixture
async def bob(world: World) -> AsyncIterator[Program]:
    program = Program(world, "bob")
    yield program
    await program.user.close()


async def test_aFile_arrivesOnce_thoughAMixIsDead(world: World, alice: Program, bob: Program):
    to, own = await bob.address(), await alice.address()
    others = (mix for mix in world.view.layers(EPOCH).members(2) if mix not in (to.relay, own.relay))
    world.dead = {next(others)}
    receiver = bob.receiver()
    await receiver.begin()
    following = asyncio.create_task(receiver.follow())
    try:
        delivery = await alice.send(to, file_message("f", FILE))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert delivery.sent.state is State.ACKNOWLEDGED
    assert bob.read == [FILE]
    lost = delivery.report.packets_accepted - 14
    assert delivery.sent.outgoing.repeated == lost
    paths = list(delivery.paths())
    assert sum(path.packets for path in paths) == delivery.report.packets_accepted
    assert all(not path.arrived for path in paths if world.dead & set(path.relays[1:4]))
    assert list(alice.client.store.outgoing()) == []


async def test_offlineReceiver_isWaitedFor_byLaterCommands(alice: Program, bob: Program):
    to, _ = await bob.address(), await alice.address()
    delivery = await alice.send(to, text_message("hello"), wait=0)
    assert delivery.sent.state is State.WAITING
    name = delivery.sent.message_id.hex()
    assert str(delivery.sent).startswith(f"message {name} is not acknowledged yet: 1 of its 1 pieces")
    await bob.receive()
    await alice.receive()
    assert bob.read == [b"hello"]
    assert alice.user.told == [f"message {name} has arrived; 0 of its packets were sent again"]
    assert list(alice.client.store.outgoing()) == []


async def test_silentReceiver_tellsNothing(world: World, alice: Program, bob: Program):
    to, own = await bob.address(), await alice.address()
    await alice.send(to, text_message("hello"), wait=0)
    await bob.receive(silent=True)
    assert bob.read == [b"hello"]
    assert not [box for box, _ in world.relay(own.relay).bodies if box == own.mailbox_id]


async def test_plainMessage_showsNoAddress_andIsNotAcknowledged(world: World, alice: Program, bob: Program):
    to, own = await bob.address(), await alice.address()
    await app.send(alice.client, to, text_message("hello"))
    ((_, body),) = list(world.relay(to.relay).bodies.items())
    fragment = envelope.open_fragment(bob.user.identity.secret, to, body)
    assert envelope.reply_of(fragment) is None
    assert own.mailbox_id not in fragment.chunk
    await bob.receive()
    assert bob.read == [b"hello"]
    assert not [box for box, _ in world.relay(own.relay).bodies if box == own.mailbox_id]


async def test_sender_needsAMailbox(alice: Program, bob: Program):
    to = await bob.address()
    with pytest.raises(UserError, match="you need a mailbox of this term: `mixpay address` makes one"):
        await alice.send(to, text_message("hello"))
    assert list(alice.client.store.outgoing()) == []


async def test_messagesThatComeMeanwhile_areKeptForReceive(world: World, alice: Program, bob: Program):
    to, own = await bob.address(), await alice.address()
    for piece in envelope.fragments(file_message("f", bytes(2 * CHUNK_BYTES)), os.urandom):
        world.relay(own.relay).deliver(own.mailbox_id, envelope.seal(piece, own, os.urandom))
    sending = asyncio.create_task(alice.send(to, text_message("hello")))
    while not alice.client.store.taken(own.relay, world.view.term):
        await asyncio.sleep(0.01)
    await bob.receive()
    assert (await sending).sent.state is State.ACKNOWLEDGED
    assert alice.read == []
    await alice.receive()
    assert alice.read == [bytes(2 * CHUNK_BYTES)]


async def test_trouble_isTold_andTheMessageIsKept(world: World, alice: Program, bob: Program):
    to, _ = await bob.address(), await alice.address()
    for relay in world.relays:
        relay.faults.refuse = "too_busy"
    delivery = await alice.send(to, text_message("hello"), wait=0)
    assert delivery.sent.state is State.WAITING
    assert delivery.report.packets_accepted == 0
    assert alice.user.told[-1].endswith("of use; try again later; it is kept, and tried again")
    assert len(list(alice.client.store.outgoing())) == 1
