"""Following: messages as they come, through a chain and relays that are away for a while."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from client_world import HASTY, User, World
from mixpay import envelope
from mixpay.address import Address
from mixpay.chain.rpc import Rpc
from mixpay.client import app
from mixpay.client.home import ClientConfig, Home
from mixpay.client.inbox import Arrived
from mixpay.client.parts import Part, Parts
from mixpay.envelope import text_message
from mixpay.errors import ChainUnavailable, UserError
from mixpay.releases import Releases
from mixpay.sponsor.keys import PassKeys
from pass_keys import pass_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("keys"))


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: PassKeys) -> AsyncIterator[World]:
    async with World(tmp_path, keys).running() as world:
        yield world


@pytest_asyncio.fixture
async def bob(world: World) -> AsyncIterator[User]:
    user = User(world, "bob")
    yield user
    await user.close()


def client(bob: User) -> app.Client:
    home, view, tell = Home(bob.world.folder / "bob"), bob.world.view, bob.told.append
    parts = Parts(home, Releases(Rpc("http://127.0.0.1:1"), view), Part(view, bob.store), tell)
    config = ClientConfig("", "", "")
    return app.Client(home, config, HASTY, parts, view, bob.store, bob.http, bob.wallet, tell)


def put(world: World, to: Address, text: str) -> None:
    for piece in envelope.fragments(text_message(text), os.urandom):
        world.relay(to.relay).deliver(to.mailbox_id, envelope.seal(piece, to, os.urandom))


class Inbox:
    """Collects what is delivered, and lets a test wait for it."""

    def __init__(self) -> None:
        self.texts: asyncio.Queue[bytes] = asyncio.Queue()

    def __call__(self, arrived: Arrived) -> None:
        self.texts.put_nowait(arrived.message.content)

    async def next(self) -> bytes:
        return await asyncio.wait_for(self.texts.get(), 10)


async def test_follow_deliversWhatComes_andOutlastsTroubles(
    world: World, bob: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(app, "POLL_SECONDS", 0.01)
    to = await app.make_address(client(bob), bob.identity)
    inbox = Inbox()
    receiver = app.Receiver(client(bob), bob.identity, inbox)
    await receiver.begin()
    following = asyncio.create_task(receiver.follow())
    put(world, to, "one")
    assert await inbox.next() == b"one"
    world.view.outage = True  # type: ignore[attr-defined]
    await world.relay(to.relay).stop()
    while len(bob.told) < 2:
        await asyncio.sleep(0.01)
    world.view.outage = False  # type: ignore[attr-defined]
    await world.relay(to.relay).start()
    put(world, to, "two")
    assert await inbox.next() == b"two"
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert len(bob.told) == len(set(bob.told)), "each trouble is told once"


async def test_follow_outlastsAChainThatIsAwayWhenALaterReleaseIsReadOf(
    world: World, bob: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(app, "POLL_SECONDS", 0.01)
    to = await app.make_address(client(bob), bob.identity)
    inbox, opened = Inbox(), client(bob)
    receiver, there = app.Receiver(opened, bob.identity, inbox), opened.parts.there
    await receiver.begin()
    away = iter((True,))

    async def read() -> list[Part]:
        if next(away, False):
            raise ChainUnavailable("no answer from the RPC endpoint")
        return await there()

    monkeypatch.setattr(opened.parts, "there", read)
    put(world, to, "hello")
    following = asyncio.create_task(receiver.follow())
    assert await inbox.next() == b"hello"
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert bob.told == ["no answer from the RPC endpoint; trying on"]


async def test_begin_needsAMailbox(bob: User):
    with pytest.raises(UserError, match="`mixpay address` makes one"):
        await app.Receiver(client(bob), bob.identity, Inbox()).begin()


async def test_once_handsOverWhatAnEarlierRunCouldNotDeliver(world: World, bob: User):
    to = await app.make_address(client(bob), bob.identity)
    put(world, to, "kept")

    def full(_: Arrived) -> None:
        raise UserError("the disk is full")

    receiver = app.Receiver(client(bob), bob.identity, full)
    await receiver.begin()
    with pytest.raises(UserError, match="disk is full"):
        await receiver.once()
    inbox = Inbox()
    receiver = app.Receiver(client(bob), bob.identity, inbox)
    await receiver.begin()
    assert await inbox.next() == b"kept"
    assert (await receiver.once()).packets == 0
