"""Descriptors fetched from other relays: honest ones, silent ones, and ones that answer what they like."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

import registry_samples as samples
from mixpay import tls
from mixpay.crypto import x25519
from mixpay.descriptors import Descriptor, Equivocation, sign_descriptor
from mixpay.directory import Directory, write_directory
from mixpay.types import Epoch, RelayId
from registry_samples import operator_key
from relay.keys import gossip
from relay.keys.directories import MAX_DESCRIPTOR, encode_descriptor
from relay.keys.epoch_keys import PacketKeys
from relay.keys.gossip import Gossip, Heard, _session
from relay.state import State
from relay_parts import EPOCH, Chain, Clock, link_seed, packet_secret

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
ME = 1


async def refuse(request: web.Request) -> web.StreamResponse:
    """A relay without this document."""
    return web.Response(status=404)


class Peer:
    """A relay's HTTPS port; it answers what it is told to."""

    def __init__(self, relay: int, seed: bytes) -> None:
        self.relay, self.seed = relay, seed
        self.asked: list[str] = []
        self.answer: Answer = self.honest
        self.compared = 0
        self.directory: Answer = refuse
        self.port = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Peer]:
        app = web.Application()
        app.router.add_get("/v1/descriptor", self._got)
        app.router.add_get("/v1/directory", self._got_directory)
        app.router.add_get("/elsewhere", self.honest)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.server_context(self.seed))
        await site.start()
        self.port = runner.addresses[0][1]
        yield self
        await runner.cleanup()

    async def _got(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.query["epoch"])
        return await self.answer(request)

    async def _got_directory(self, request: web.Request) -> web.StreamResponse:
        self.compared += 1
        return await self.directory(request)

    def descriptor(self, relay: int = 0, epoch: int = EPOCH) -> bytes:
        number = relay or self.relay
        key, domain = x25519.public_key(packet_secret(number)), Chain(0).view.registry_domain
        return encode_descriptor(
            sign_descriptor(operator_key(number), RelayId(number), Epoch(epoch), key, domain)
        )

    async def honest(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.descriptor(epoch=int(request.query.get("epoch", EPOCH))))


class Neighbours:
    """This relay's gossip, with two peers."""

    def __init__(self, chain: Chain, one: Peer, two: Peer) -> None:
        self.chain, self.one, self.two = chain, one, two
        self.clock = Clock()
        self.state = State(
            RelayId(ME), chain.view, PacketKeys({}, lambda _: packet_secret(ME)), operator_key(ME)
        )
        self.gossip = Gossip(self.state, self.clock, os.urandom)

    async def after(self, seconds: float) -> int:
        self.clock.now += seconds
        return await self.gossip.run_once()


@pytest_asyncio.fixture
async def near() -> AsyncIterator[Neighbours]:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(Peer(2, link_seed(2)).serve())
        two = await stack.enter_async_context(Peer(3, link_seed(3)).serve())
        chain = Chain(relays=1)
        for peer in (one, two):
            chain.register(peer.relay, f"127.0.0.1:1:{peer.port}")
        yield Neighbours(chain.begin(), one, two)


async def test_everyDescriptor_isFetchedOnce(near: Neighbours) -> None:
    assert await near.after(0) == 2
    assert near.state.directories.missing(EPOCH) == [ME]  # our own comes from `publish`
    assert await near.after(100) == 0
    assert near.one.asked == near.two.asked == [str(EPOCH)]


async def test_nextEpoch_isFetchedAsSoonAsItIsFixed(near: Neighbours) -> None:
    await near.after(0)
    near.chain.freeze(EPOCH + 1)
    assert await near.after(1) == 2
    assert near.one.asked == [str(EPOCH), str(EPOCH + 1)]


async def says(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status)


HOSTILE: dict[str, Callable[[Peer], Answer]] = {
    "refuses": lambda peer: lambda request: says(b"", 404),
    "fails": lambda peer: lambda request: says(b"", 500),
    "is empty": lambda peer: lambda request: says(b""),
    "is rubbish": lambda peer: lambda request: says(b"\xff" * 100),
    "is too long": lambda peer: lambda request: says(peer.descriptor() + bytes(MAX_DESCRIPTOR)),
    "is another's": lambda peer: lambda request: says(peer.descriptor(relay=3)),
    "is a stranger's": lambda peer: lambda request: says(peer.descriptor(relay=77)),
    "is another epoch's": lambda peer: lambda request: says(peer.descriptor(epoch=EPOCH + 1)),
}


@pytest.mark.parametrize("how", HOSTILE)
async def test_peerThatAnswersWrongly_isLeftAlone_othersAreNot(near: Neighbours, how: str) -> None:
    near.one.answer = HOSTILE[how](near.one)
    assert await near.after(0) == 1
    assert near.state.directories.missing(EPOCH) == [ME, 2]
    assert await near.after(0.1) == 0
    assert len(near.one.asked) == 1
    near.one.answer = near.one.honest
    assert await near.after(100) == 1


async def test_redirect_isNotFollowed(near: Neighbours) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/elsewhere")

    near.one.answer = elsewhere
    assert await near.after(0) == 1


async def test_answerInPieces_isReadWhole(near: Neighbours) -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for byte in near.one.descriptor():
            await response.write(bytes([byte]))
            await asyncio.sleep(0)
        return response

    near.one.answer = slowly
    assert await near.after(0) == 2


async def test_pause_isDoubledUpToAMinute(near: Neighbours) -> None:
    near.one.answer = HOSTILE["refuses"](near.one)
    await near.after(0)
    pauses = []
    for _ in range(9):
        before, waited = len(near.one.asked), 0.0
        while len(near.one.asked) == before:
            waited += 0.5
            await near.after(0.5)
        pauses.append(waited)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


async def test_keyThatIsNotTheRegisteredOne_isNoRelay() -> None:
    async with Peer(2, link_seed(99)).serve() as peer:
        chain = Chain(relays=1)
        chain.register(2, f"127.0.0.1:1:{peer.port}")
        near = Neighbours(chain.begin(), peer, peer)
        assert await near.after(0) == 0
        assert peer.asked == []  # it was not even asked


@pytest.mark.parametrize(
    "endpoint",
    ["nonsense", "127.0.0.1:99999:1", "a:1:1", "[::1:1:2", "\udcff\udcfe:1:2", "-.-:1:2", "x" * 128],
)
async def test_peerWithNonsenseEndpoint_isIgnored(endpoint: str) -> None:
    async with Peer(3, link_seed(3)).serve() as peer:
        chain = Chain(relays=1)
        chain.register(2, endpoint)
        chain.register(3, f"127.0.0.1:1:{peer.port}")
        near = Neighbours(chain.begin(), peer, peer)
        assert await near.after(0) == 1
        assert near.state.directories.missing(EPOCH) == [ME, 2]


async def test_peerThatHangs_isGivenUp(near: Neighbours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gossip, "_TIMEOUT", aiohttp.ClientTimeout(total=0.3))
    over = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    near.one.answer = hang
    assert await near.after(0) == 1
    assert near.state.directories.missing(EPOCH) == [ME, 2]
    over.set()


# ---------------------------------------------------------------------- comparing


def signed(near: Neighbours, relay: int, key: int = 0, epoch: int = EPOCH) -> Descriptor:
    """What a relay signs; `key`: another than its own."""
    public, domain = x25519.public_key(packet_secret(key or relay)), near.chain.view.registry_domain
    return sign_descriptor(operator_key(relay), RelayId(relay), Epoch(epoch), public, domain)


def shows(near: Neighbours, *said: Descriptor, relays: Sequence[int] = ()) -> Answer:
    """A directory that says this; of other relays than there are."""
    snapshot = near.chain.view.snapshot(EPOCH)
    if relays:
        snapshot = samples.snapshot([samples.record(r, i) for i, r in enumerate(relays)], epoch=EPOCH)
    document = write_directory(Directory(snapshot, {one.relay: one for one in said}))
    return lambda request: says(document)


async def test_directories_areComparedAgainAndAgain_everRarer(near: Neighbours) -> None:
    near.one.directory = near.two.directory = shows(near)
    await near.after(0)
    pauses = []
    for _ in range(13):
        before, waited = near.one.compared + near.two.compared, 0
        while near.one.compared + near.two.compared == before:
            waited += 1
            await near.after(1)
        pauses.append(waited)
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]
    assert near.one.compared and near.two.compared


async def test_relayThatWhispers_isFoundOut(near: Neighbours) -> None:
    """It gave us one key, and another to relay 3."""
    near.two.directory = near.one.directory = shows(near, signed(near, 2, key=33), signed(near, 3))
    assert await near.after(0) == 2
    assert near.state.directories.equivocations == {}
    assert await near.after(2) == 0
    assert near.state.directories.equivocations == {2: Equivocation.of(signed(near, 2), signed(near, 2, 33))}
    near.one.asked.clear()
    await near.after(100)
    assert near.one.asked == []  # nor is it asked any more


async def test_directoryWithAWhisperedKey_isReadToItsEnd(near: Neighbours) -> None:
    near.two.answer = refuse
    near.two.directory = near.one.directory = shows(near, signed(near, 2, key=33), signed(near, 3))
    assert await near.after(0) == 1
    assert await near.after(2) == 1
    assert near.state.directories.missing(EPOCH) == [ME]


async def test_whatWeLack_isLearnedFromOthers(near: Neighbours) -> None:
    near.one.answer = refuse
    near.one.directory = near.two.directory = shows(near, signed(near, 2))
    await near.after(0)
    assert near.state.directories.missing(EPOCH) == [ME, 2]
    assert await near.after(2) == 1
    assert near.state.directories.missing(EPOCH) == [ME]


LIES: dict[str, Callable[[Neighbours], Answer]] = {
    "there is none": lambda near: refuse,
    "it fails": lambda near: lambda request: says(b"", 500),
    "it is rubbish": lambda near: lambda request: says(b"\xff" * 100),
    "it is too long": lambda near: lambda request: says(bytes(10_000)),
    "of another epoch": lambda near: (
        lambda request: says(
            write_directory(Directory(replace(near.chain.view.snapshot(EPOCH), epoch=Epoch(9)), {}))
        )
    ),
    "of strangers": lambda near: shows(near, signed(near, 77), signed(near, 3), relays=(77, 3)),
    "forged": lambda near: shows(near, replace(signed(near, 3, 33), relay=RelayId(2)), signed(near, 3)),
}


@pytest.mark.parametrize("how", LIES)
async def test_directoryThatIsWrong_teachesNothing_andIsNoReasonToCompareLess(
    near: Neighbours, how: str
) -> None:
    near.one.answer = near.two.answer = refuse
    near.one.directory = near.two.directory = LIES[how](near)
    await near.after(0)
    for compared in (1, 2, 3):
        assert await near.after(2) == 0
        assert near.one.compared + near.two.compared == compared
    assert near.state.directories.missing(EPOCH) == [ME, 2, 3]
    assert near.state.directories.equivocations == {}


async def test_directoryOfManyRelays_leavesRoomForOtherWork(near: Neighbours) -> None:
    """Signatures take time; the data path must not wait for them."""
    for number in range(4, 304):
        near.chain.register(number)
    near.chain.freeze(EPOCH + 1)
    near.chain.at(EPOCH + 1, 2_000)
    epoch = Epoch(EPOCH + 1)
    many = [signed(near, number, epoch=epoch) for number in range(2, 304)]
    document = write_directory(Directory(near.chain.view.snapshot(epoch), {one.relay: one for one in many}))
    turns = 0

    async def other_work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with _session() as http:
        near.two.directory = lambda request: says(document)
        record = near.chain.view.relay(RelayId(3))
        assert record is not None
        working = asyncio.create_task(other_work())
        learned = near.state.directories.learn
        at: list[int] = []

        def learn(said: Descriptor) -> bool:
            at.append(turns)
            return learned(said)

        near.state.directories.learn = learn  # type: ignore[method-assign]
        assert await near.gossip._read_directory(http, record, epoch) == 302
        working.cancel()
    assert max(at.count(turn) for turn in at) <= 64


# ---------------------------------------------------------------------- ourselves


async def test_othersAreAskedAboutUs(near: Neighbours) -> None:
    near.one.answer = near.two.answer = refuse
    assert await near.gossip.ask_about_me(EPOCH, 5) == Heard(2, 2)
    assert near.state.directories.foreign == set()
    near.two.answer = lambda request: says(encode_descriptor(signed(near, int(request.query["relay"]))))
    assert await near.gossip.ask_about_me(EPOCH, 5) == Heard(2, 2)
    assert near.state.directories.foreign == {EPOCH}
    assert near.state.keys.newest == EPOCH


async def test_whoDoesNotAnswerAboutUs_isNotCounted(near: Neighbours) -> None:
    for how, answer in HOSTILE.items():
        if how == "refuses":  # which says that it knows none
            continue
        near.one.answer = answer(near.one)
        near.two.answer = refuse
        assert await near.gossip.ask_about_me(EPOCH, 5) == Heard(2, 1), how
    near.one.answer = lambda request: says(encode_descriptor(replace(signed(near, 3), relay=RelayId(ME))))
    assert await near.gossip.ask_about_me(EPOCH, 5) == Heard(2, 1)
    assert near.state.directories.foreign == set()


async def test_soManyAreAskedAboutUs_orAllThereAre() -> None:
    async with Peer(2, link_seed(2)).serve() as peer:
        chain = Chain(relays=9)
        alone = Chain(relays=1)
        gossip = Neighbours(chain.begin(), peer, peer).gossip
        for most, asked in ((5, 5), (64, 8)):
            assert (await gossip.ask_about_me(EPOCH, most)).asked == asked
        assert await Neighbours(alone.begin(), peer, peer).gossip.ask_about_me(EPOCH, 64) == Heard(0, 0)
