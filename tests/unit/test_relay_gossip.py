"""Descriptors fetched from other relays: honest ones, silent ones, and ones that answer what they like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from mixpay import tls
from mixpay.crypto import x25519
from mixpay.descriptors import sign_descriptor
from mixpay.types import Epoch, RelayId
from registry_samples import operator_key
from relay import gossip
from relay.epoch_keys import PacketKeys
from relay.gossip import Gossip
from relay.state import MAX_DESCRIPTOR, State, encode_descriptor
from relay_parts import EPOCH, Chain, Clock, link_seed, packet_secret

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
ME = 1


class Peer:
    """A relay's HTTPS port; it answers what it is told to."""

    def __init__(self, relay: int, seed: bytes) -> None:
        self.relay, self.seed = relay, seed
        self.asked: list[str] = []
        self.answer: Answer = self.honest
        self.port = 0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Peer]:
        app = web.Application()
        app.router.add_get("/v1/descriptor", self._got)
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
        self.gossip = Gossip(self.state, self.clock)

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
    assert near.state.missing(EPOCH) == [ME]  # our own comes from `publish`
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
    assert near.state.missing(EPOCH) == [ME, 2]
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
        assert near.state.missing(EPOCH) == [ME, 2]


async def test_peerThatHangs_isGivenUp(near: Neighbours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gossip, "_TIMEOUT", aiohttp.ClientTimeout(total=0.3))
    over = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    near.one.answer = hang
    assert await near.after(0) == 1
    assert near.state.missing(EPOCH) == [ME, 2]
    over.set()


async def test_secondDescriptorOfARelay_isNotTaken(near: Neighbours) -> None:
    """A relay that splits its clients: whoever knows one key keeps it."""
    await near.after(0)
    first = near.state.directory(EPOCH)
    key, domain = x25519.public_key(packet_secret(9)), near.chain.view.registry_domain
    other = sign_descriptor(operator_key(2), RelayId(2), EPOCH, key, domain)
    near.one.answer = lambda request: says(encode_descriptor(other))
    await near.after(100)
    assert near.state.directory(EPOCH) == first
