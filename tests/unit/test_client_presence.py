"""Users who stay: what comes into their mailboxes is there a moment later, and they are asked for nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from client_world import HASTY, User, World
from mixpay import envelope
from mixpay.address import Address
from mixpay.chain.rpc import Rpc
from mixpay.client import app, watch
from mixpay.client import exchange as exchanges
from mixpay.client import presence as presences
from mixpay.client.home import ClientConfig, Home
from mixpay.client.inbox import Arrived
from mixpay.client.parts import Part, Parts
from mixpay.client.presence import Presence
from mixpay.client.profile import Pace
from mixpay.delivery.outgoing import State
from mixpay.envelope import text_message
from mixpay.errors import UserError
from mixpay.mailbox import STORAGE_TICKS
from mixpay.releases import Releases
from mixpay.sponsor.keys import PassKeys
from mixpay.wire.requests import MOST_BLOCKS
from pass_keys import pass_keys

PACE = Pace("hasty", 0.03, 100)
PROFILE = replace(HASTY, ack_timeout=2.0)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "PATIENCE", 3.0)
    monkeypatch.setattr(watch, "LATE_SECONDS", 0.5)
    monkeypatch.setattr(presences, "CHAIN_SECONDS", 3_600.0)
    monkeypatch.setattr(presences, "COURIER_SECONDS", 0.1)
    monkeypatch.setattr(presences, "_FIRST_PAUSE", 0.1)


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: PassKeys) -> AsyncIterator[World]:
    async with World(tmp_path, keys).running() as world:
        yield world


class Staying:
    """A user with a mailbox, and what was delivered."""

    def __init__(self, user: User, name: str) -> None:
        self.user, world = user, user.world
        home = Home(world.folder / name)
        releases, part = Releases(Rpc("http://127.0.0.1:1"), world.view), Part(world.view, user.store)
        parts = Parts(home, releases, part, user.told.append)
        mine = home, ClientConfig("", "", ""), PROFILE, parts, world.view, user.store, user.http, user.wallet
        self.client = app.Client(*mine, user.told.append)
        self.got: list[str] = []
        self.presence = Presence(self.client, user.identity, self.deliver, PACE)

    def deliver(self, arrived: Arrived) -> None:
        self.got.append(arrived.text)

    @asynccontextmanager
    async def here(self) -> AsyncIterator[Presence]:
        """Stay meanwhile."""
        running = asyncio.create_task(self.presence.run())
        try:
            await until(lambda: self.presence.watched.is_set() or running.done())
            assert not running.done() or running.result()
            yield self.presence
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def staying(world: World, name: str) -> AsyncIterator[tuple[Staying, Address]]:
    user = User(world, name)
    try:
        at = await user.mailboxes.make(user.wallet)
        yield Staying(user, name), at
    finally:
        await user.close()


def put(world: World, to: Address, text: str) -> None:
    for piece in envelope.fragments(text_message(text), os.urandom):
        world.relay(to.relay).deliver(to.mailbox_id, envelope.seal(piece, to, os.urandom))


async def until(condition: Callable[[], bool], limit: float = 30.0) -> None:
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.01)


async def test_whatComes_isDelivered_inOrder_onceEach_andNobodyCame(world: World):
    async with staying(world, "bob") as (bob, to), bob.here():
        keeper, texts = world.relay(to.relay), [f"message {number}" for number in range(3 * MOST_BLOCKS)]
        visits = keeper.visits
        for text in texts:
            put(world, to, text)
            await asyncio.sleep(0.05)
        await until(lambda: len(bob.got) >= len(texts))
        assert bob.got == texts
        assert keeper.visits == visits
        paid = keeper.furthest(to.mailbox_id) - STORAGE_TICKS
        assert paid == sum(len(fetch.blocks) for fetch in keeper.fetches)


async def test_whatWasThereBefore_comesFirst(world: World):
    async with staying(world, "bob") as (bob, to):
        for number in range(10):
            put(world, to, f"{number}")
        async with bob.here():
            await until(lambda: len(bob.got) == 10)
            assert bob.got == [f"{number}" for number in range(10)]


async def test_whatWasTaken_isConfirmed_inTime(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "CONFIRM_SECONDS", 0.5)
    async with staying(world, "bob") as (bob, to), bob.here():
        put(world, to, "hello")
        await until(lambda: world.relay(to.relay).mailboxes.counts[1] == 0)
        assert bob.got == ["hello"]


async def test_replyThatIsLost_comesAgain_andNothingIsShownTwice(world: World):
    async with staying(world, "bob") as (bob, to), bob.here():
        world.relay(to.relay).faults.loses = 1
        texts = ["lost", "two", "three"]
        for text in texts:
            put(world, to, text)
        await until(lambda: len(bob.got) >= 3)
        assert bob.got == texts


async def test_entryThatIsGone_takesTheBlocksAlong_andOthersAreBrought(world: World):
    async with staying(world, "bob") as (bob, to), bob.here():
        for text in ("one", "two"):
            await asyncio.gather(*(end for relay in world.relays for end in relay.hang_up()))
            put(world, to, text)
            await until(lambda text=text: text in bob.got)
        assert bob.got == ["one", "two"]


async def test_relayThatHasForgottenTheBlocks_isBroughtOthers(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "RENEW_SECONDS", 1.0)
    async with staying(world, "bob") as (bob, to), bob.here():
        world.relay(to.relay).kept.clear()
        put(world, to, "hello")
        await until(lambda: bob.got == ["hello"])


async def test_silentRelay_isSaid_andTriedAgain(world: World):
    async with staying(world, "bob") as (bob, to):
        keeper = world.relay(to.relay)
        keeper.faults.ignores = 3
        async with bob.here():
            assert any("answers no request" in line for line in bob.user.told)
            put(world, to, "hello")
            await until(lambda: bob.got == ["hello"])


async def test_twoWhoStay_talk_andEachHearsThatItArrived(world: World):
    async with (
        staying(world, "alice") as (alice, home),
        staying(world, "bob") as (bob, to),
        alice.here() as presence,
        bob.here(),
    ):
        courier = presence.courier
        courier.outbox.put(text_message("hello"), to, home, os.urandom, courier.clock())
        await until(lambda: bool(courier.ended))
        assert bob.got == ["hello"]
        assert [sent.state for sent in courier.ended] == [State.ACKNOWLEDGED]


async def test_whoHasNoMailbox_isToldSo(world: World):
    user = User(world, "bob")
    with pytest.raises(UserError, match="no mailbox yet"):
        await Staying(user, "bob").presence.run()
    await user.close()
