"""The clients' door: directories, passes, ticks, mailboxes; and what strangers try at it. Real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import os
import socket as sockets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from nacl.signing import SigningKey

from mixpay import tls
from mixpay.crypto import rsa_permutation, x25519
from mixpay.crypto.blind_rsa import PublicKey
from mixpay.crypto.rsa_permutation import PROOF_SIZE, ROOTS, ProvenKey
from mixpay.descriptors import Equivocation, sign_descriptor
from mixpay.directory import read_directory
from mixpay.door import WebTimes
from mixpay.mailbox import STORAGE_TICKS, mailbox_id_of, sign_challenge
from mixpay.packet import GEOMETRY
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, OwnedPass, PassSpender
from mixpay.types import Epoch, RelayId
from mixpay.wire import client, frames
from registry_samples import operator_key
from relay.clients import gateway
from relay.clients.gateway import Gateway
from relay.config import Strangers
from relay.keys.directories import encode_descriptor
from relay.path.books import Side
from relay_parts import (
    CAMPAIGN,
    EPOCH,
    Node,
    Parts,
    campaign,
    issued,
    link_seed,
    only,
    packet_secret,
    passes_for,
    signing_key,
)

KEY = ProvenKey.of(signing_key(1))
UNPROVEN = ProvenKey(KEY.modulus, bytes(PROOF_SIZE - 1) + b"\1")
CLIENT = "127.0.0.2"
"""Where clients come from; relays are at 127.0.0.1."""


class Talk:
    """A client's WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, *said: client.ClientFrame) -> None:
        for frame in said:
            await self.socket.send_bytes(client.encode(frame))

    async def hear(self) -> client.ClientFrame:
        return client.decode(await self.socket.receive_bytes(timeout=10))

    async def ask(self, frame: client.ClientFrame) -> client.ClientFrame:
        await self.say(frame)
        return await self.hear()

    async def end(self) -> tuple[int | None, str]:
        """How the relay ends it: code and reason."""
        message = await self.socket.receive(timeout=10)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        return self.socket.close_code, message.extra or ""


class Door:
    """A relay's gateway, and a browser in front of it."""

    def __init__(
        self, parts: Parts, node: Node, port: int, http: aiohttp.ClientSession, served: Gateway
    ) -> None:
        self.parts, self.node, self.port, self.http, self.gateway = parts, node, port, http, served
        self.pinned = tls.PinnedKey(tls.link_key_of(link_seed(node.me)))

    async def get(self, path: str) -> tuple[int, bytes]:
        async with self.http.get(f"https://127.0.0.1:{self.port}{path}", ssl=self.pinned) as response:
            return response.status, await response.read()

    async def post(self, path: str, body: bytes | AsyncIterator[bytes], **headers: str) -> int:
        url = f"https://127.0.0.1:{self.port}{path}"
        async with self.http.post(url, ssl=self.pinned, data=body, headers=headers) as response:
            return response.status

    @asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[Talk]:
        url = f"https://127.0.0.1:{self.port}{path}"
        async with self.http.ws_connect(url, ssl=self.pinned, max_msg_size=1 << 20) as socket:
            yield Talk(socket)

    def entry(self) -> object:
        return self.open("/v1/entry")

    @asynccontextmanager
    async def mailbox(self) -> AsyncIterator[tuple[Talk, bytes]]:
        async with self.open("/v1/mailbox") as talk:
            challenge = await talk.hear()
            assert isinstance(challenge, client.Challenge)
            yield talk, challenge.nonce


@asynccontextmanager
async def serving(
    parts: Parts,
    node: Node,
    limit: int = 50,
    times: WebTimes | None = None,
    strangers: Strangers | None = None,
) -> AsyncIterator[Door]:
    served = Gateway(
        node.state, node.router, node.passes, node.mailboxes, node.store, node.metrics, limit,
        strangers or Strangers(),
    )  # fmt: skip
    served.times = times or WebTimes()
    with sockets.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    await served.start("127.0.0.1", port, link_seed(node.me))
    connector = aiohttp.TCPConnector(local_addr=(CLIENT, 0))
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Door(parts, node, port, http, served)
    await served.stop()


@pytest_asyncio.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = Parts(tmp_path)
    made.chain.set_key(signing_key(1), KIND_ENTRY, EPOCH)
    made.chain.set_key(signing_key(1), KIND_MAILBOX, EPOCH)  # a term is an epoch here
    yield made
    await made.close()


@pytest_asyncio.fixture
async def node(parts: Parts) -> Node:
    """The entry of the usual path, which serves the campaign."""
    entry = await parts.node(parts.path()[0])
    entry.state.campaigns[CAMPAIGN] = campaign()
    return entry


@pytest_asyncio.fixture
async def door(parts: Parts, node: Node) -> AsyncIterator[Door]:
    async with serving(parts, node) as found:
        yield found


def present(owned: OwnedPass, key: ProvenKey = KEY) -> client.PresentPass:
    return client.PresentPass(key.modulus, key.proof, owned.shown().encode(), os.urandom(8), 0)


def mine(door: Door, kind: int = KIND_ENTRY) -> OwnedPass:
    """A pass that draws this relay."""
    return passes_for(door.parts.view, door.node.me, kind, EPOCH)[0]


def send(door: Door, owned: OwnedPass, number: int, **changes: object) -> client.Send:
    """A packet along the usual path, paid for with this tick of the pass."""
    spender = PassSpender(owned, number - 1)
    spender.reserve(1)
    tick, built = spender.next_tick(), door.parts.packet()
    sent = client.Send(
        seq=number,
        chain=tick.chain,
        k=tick.k,
        link=tick.link,
        first_mix=built.first_relay,
        key_epoch=EPOCH,
        lock=built.lock,
        hint=built.hint,
        packet=built.packet,
    )
    return replace(sent, **changes)


async def until(condition: Callable[[], bool]) -> None:
    """Let the sockets work until it holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


# ---------------------------------------------------------------------- documents


async def test_directory_isWhatTheChainFroze(door: Door) -> None:
    view = door.parts.view
    for path in ("/v1/directory", f"/v1/directory?epoch={EPOCH}"):
        status, body = await door.get(path)
        assert status == 200
        found = read_directory(body, view.snapshot(EPOCH), view.registry_domain)
        assert list(found.descriptors) == [door.node.me]


@pytest.mark.parametrize("epoch", ["0", "1", "3", "4294967295", "9999999999"])
async def test_directoryOfAnotherEpoch_isNotFound(door: Door, epoch: str) -> None:
    for name in ("directory", "descriptor"):
        status, body = await door.get(f"/v1/{name}?epoch={epoch}")
        assert status == 404
        assert b"wrong_epoch" in body


@pytest.mark.parametrize("epoch", ["", "-1", "2.0", "two", "%C2%B2", "99999999999", "1e9"])
async def test_epochThatIsNoNumber_isABadRequest(door: Door, epoch: str) -> None:
    assert (await door.get(f"/v1/directory?epoch={epoch}"))[0] == 400


async def test_descriptorOfAnother_isServedAsFarAsItIsKnown(door: Door) -> None:
    here, view = door.node.me, door.parts.view
    other = next(relay for relay in range(1, 10) if relay != here)
    assert (await door.get(f"/v1/descriptor?relay={other}"))[0] == 404
    public = x25519.public_key(packet_secret(other))
    said = sign_descriptor(operator_key(other), RelayId(other), EPOCH, public, view.registry_domain)
    door.node.state.directories.learn(said)
    assert await door.get(f"/v1/descriptor?relay={other}&epoch={EPOCH}") == (200, encode_descriptor(said))
    assert (await door.get(f"/v1/descriptor?relay={here}")) == (await door.get("/v1/descriptor"))
    for path, status in (("relay=77", 404), ("relay=x", 400), ("relay=-1", 400), ("relay=1&epoch=3", 404)):
        assert (await door.get(f"/v1/descriptor?{path}"))[0] == status


async def test_proofOfTwoKeys_isTakenFromAnybody(door: Door) -> None:
    liar = next(relay for relay in range(1, 10) if relay != door.node.me)
    keys = [x25519.public_key(packet_secret(number)) for number in (1, 2)]
    domain = door.parts.view.registry_domain
    proof = Equivocation.of(
        *(sign_descriptor(operator_key(liar), RelayId(liar), EPOCH, key, domain) for key in keys)
    )
    forged = replace(proof, epoch=Epoch(EPOCH + 1)).encode()
    for wrong, status in ((b"", 400), (forged, 400), (proof.encode() + b"\0", 400), (bytes(5_000), 413)):
        assert await door.post("/v1/equivocation", wrong) == status
    assert door.node.state.directories.equivocations == {}
    assert door.node.refusals("bad_proof") == 3
    packed = {"Content-Encoding": "gzip"}  # is read as it is: unpacked, it could be any size
    assert await door.post("/v1/equivocation", gzip.compress(proof.encode()), **packed) == 400
    assert door.node.state.directories.equivocations == {}
    for _ in range(2):
        assert await door.post("/v1/equivocation", proof.encode()) == 204
    assert door.node.state.directories.equivocations == {liar: proof}


async def test_proofThatNeverComes_isNotWaitedForLong(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "STRANGER_SECONDS", 0.2)

    async def never() -> AsyncIterator[bytes]:
        yield b"\0"
        await asyncio.sleep(3_600)

    async with asyncio.timeout(5):
        assert await door.post("/v1/equivocation", never()) == 408


async def test_otherPaths_areNotThere(door: Door) -> None:
    for path in ("/", "/v1", "/status", "/metrics", "/v1/../api.json"):
        assert (await door.get(path))[0] == 404


async def test_beforeTheChainWasReadTo_genesis_nothingIsServed(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    node = await parts.node(1)
    parts.view._chain_time = 5
    async with serving(parts, node) as door:
        assert (await door.get("/v1/directory"))[0] == 404
    await parts.close()


# ---------------------------------------------------------------------- passes


async def test_pass_isTakenOnceAndKnownAgain(door: Door) -> None:
    for _ in range(2):
        async with door.entry() as talk:
            assert await talk.ask(present(mine(door))) == client.PassOk(0, client.NO_LINK)
    assert len(door.node.store.passes(31337, door.node.state.pool)) == 1
    owned = mine(door)
    assert door.node.store.pass_key(owned.scope) == signing_key(1).public.to_bytes()  # for the pool


Shown = Callable[[Door], client.PresentPass]


def foreign(door: Door) -> OwnedPass:
    """A pass that draws another relay."""
    other = next(relay for relay in range(1, 10) if relay != door.node.me)
    return passes_for(door.parts.view, other, KIND_ENTRY, EPOCH)[0]


def tampered(door: Door) -> client.PresentPass:
    shown = present(mine(door))
    return replace(shown, shown=shown.shown[:20] + bytes([shown.shown[20] ^ 1]) + shown.shown[21:])


REFUSED: dict[str, tuple[Shown, str]] = {
    "of another relay": (lambda door: present(foreign(door)), "wrong_relay"),
    "of yesterday": (lambda door: present(issued(KIND_ENTRY, EPOCH - 1)), "wrong_period"),
    "of tomorrow": (lambda door: present(issued(KIND_ENTRY, EPOCH + 1)), "wrong_period"),
    "of another campaign": (lambda door: present(issued(KIND_ENTRY, EPOCH, campaign=2)), "wrong_campaign"),
    "of another key": (
        lambda door: present(issued(KIND_ENTRY, EPOCH, key=2), ProvenKey.of(signing_key(2))),
        "wrong_key",
    ),
    "signed with another key": (lambda door: present(issued(KIND_ENTRY, EPOCH, key=2)), "bad_signature"),
    "changed": (tampered, "bad_signature"),
    "for mailboxes": (lambda door: present(mine(door, KIND_MAILBOX)), "wrong_kind"),
    "with a key that is none": (
        lambda door: present(mine(door), replace(KEY, modulus=bytes(256))),
        "wrong_key",
    ),
    "with an even key": (
        lambda door: present(mine(door), replace(KEY, modulus=b"\xff" * 255 + b"\2")),
        "wrong_key",
    ),
    "with a key that nothing proves": (lambda door: present(mine(door), UNPROVEN), "key_not_proven"),
}


async def test_proof_isCheckedOnce_andForThoseWithAPassOnly(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checking takes 30 ms of the relay's only thread: strangers must not have it done."""
    checked = counted(monkeypatch)
    forged = replace(mine(door), signature=bytes(256))
    elsewhere = passes_for(door.parts.view, door.parts.path()[1], KIND_ENTRY, EPOCH)[0]
    for owned, reason in ((forged, "bad_signature"), (elsewhere, "wrong_relay")):
        async with door.entry() as talk:
            assert await talk.ask(present(owned, UNPROVEN)) == client.PassRefused(reason)
    assert not checked
    for key in (KEY, UNPROVEN):  # the second one shows the same key, which is proven by now
        async with door.entry() as talk:
            assert await talk.ask(present(mine(door), key)) == client.PassOk(0, client.NO_LINK)
    assert checked == list(range(ROOTS))


async def test_wrongProof_costsOneNumberEachTime(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or who has one pass shows nearly right ones over and over, and the relay does nothing else."""
    checked = counted(monkeypatch)
    for n in range(3):
        wrong = ProvenKey(KEY.modulus, KEY.proof[:-1] + bytes([KEY.proof[-1] ^ 1 + n]))
        async with door.entry() as talk:
            assert await talk.ask(present(mine(door), wrong)) == client.PassRefused("key_not_proven")
    assert checked == [*range(ROOTS - 1), *[ROOTS - 1] * 3]
    async with door.entry() as talk:
        assert await talk.ask(present(mine(door))) == client.PassOk(0, client.NO_LINK)
    assert len(checked) == ROOTS + 3


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The places of all roots that are checked from now on."""
    checked: list[int] = []

    def is_root(key: PublicKey, place: int, root: bytes) -> bool:
        checked.append(place)
        return really(key, place, root)

    really = rsa_permutation._is_root
    monkeypatch.setattr(rsa_permutation, "_is_root", is_root)
    return checked


@pytest.mark.parametrize("what", REFUSED)
async def test_passThatIsNoGood_isRefusedWithItsReason(door: Door, what: str) -> None:
    make, reason = REFUSED[what]
    async with door.entry() as talk:
        assert await talk.ask(make(door)) == client.PassRefused(reason)
        assert (await talk.end())[0] == aiohttp.WSCloseCode.OK
    async with door.entry() as talk:  # another one may be shown
        assert await talk.ask(present(mine(door))) == client.PassOk(0, client.NO_LINK)
    assert door.node.refusals(reason) == 1
    assert len(door.node.store.passes(31337, door.node.state.pool)) == 1


async def test_campaignWithoutBudget_givesNoMoreThanOnePass(door: Door) -> None:
    door.node.state.campaigns[CAMPAIGN] = campaign(budget=0)
    one, two = passes_for(door.parts.view, door.node.me, KIND_ENTRY, EPOCH, 2)
    door.node.link(Side.PAYEE, door.parts.path()[1])
    async with door.entry() as first, door.entry() as second:
        assert await first.ask(present(one)) == client.PassOk(0, client.NO_LINK)
        assert await second.ask(present(two)) == client.PassOk(0, client.NO_LINK)
        # As if the first pass were spent to its end.
        door.node.passes._totals[one.scope] = 16_384
        down = await second.ask(send(door, two, 1))
        assert down.answers[0].status is client.DownStatus.CAMPAIGN_LIMIT
    async with door.entry() as again:  # before a tick is wasted
        assert await again.ask(present(two)) == client.PassRefused("campaign_limit")
    assert door.node.refusals("campaign_limit") == 2


# ---------------------------------------------------------------------- ticks and packets


async def acknowledged(door: Door, talk: Talk, sent: client.Send) -> client.Down:
    """Send a packet whose first mix takes it; returns what comes down."""
    node, mix1 = door.node, door.parts.path()[1]
    wire = node.wires[Side.PAYEE][mix1]
    await talk.say(sent)
    await until(lambda: bool(only(wire.sent, frames.Packet)))
    (packet,) = only(wire.take(), frames.Packet)
    await door.parts.connect(node.me, mix1)
    door.parts.nodes[mix1].desk.received(Side.PAYER, node.me, [packet])
    await door.parts.flow()
    down = await talk.hear()
    assert isinstance(down, client.Down)
    return down


async def test_packet_isAnsweredByItsFirstMixsAck(door: Door) -> None:
    owned, sent = mine(door), send(door, mine(door), 1)
    door.node.link(Side.PAYEE, door.parts.path()[1])
    async with door.entry() as talk:
        await talk.ask(present(owned))
        down = await acknowledged(door, talk, sent)
    said = down.answers[0].seq, down.answers[0].status, down.kind
    assert said == (1, client.DownStatus.ACKNOWLEDGED, client.DownKind.DUMMY)
    hop = door.parts.nodes[door.parts.path()[1]]
    assert down.answers[0].ack != bytes(32)
    assert door.node.store.roles() == {"entry": 1}
    assert hop.store.roles() == {"mix": 1}


async def test_replies_comeDownWithAnswers_inOrder_toTheirClientOnly(door: Door) -> None:
    alice, bob = map(present, passes_for(door.parts.view, door.node.me, KIND_ENTRY, EPOCH, 2))
    owned, passing = mine(door), door.node.router.passing
    door.node.link(Side.PAYEE, door.parts.path()[1])
    payloads = [door.parts.random(GEOMETRY.payload_size) for _ in range(2)]
    async with door.entry() as talk:
        async with door.entry() as other:
            for each, shown in ((talk, alice), (other, bob)):
                assert await each.ask(shown) == client.PassOk(0, client.NO_LINK)
            for number, payload in enumerate(payloads):
                assert passing.deliver(alice.passing + b"number %d" % number, payload) is None
            assert passing.deliver(bob.passing + b"number 9", payloads[0]) is None
        await until(lambda: door.gateway.clients == 1)
        assert passing.deliver(bob.passing + b"number 9", payloads[0]) == "passing_gone"
        downs = [await acknowledged(door, talk, send(door, owned, tick)) for tick in (1, 2, 3)]
    found = [(down.kind, down.number, down.payload) for down in downs]
    replies = [(client.DownKind.REPLY, b"number %d" % n, payload) for n, payload in enumerate(payloads)]
    assert found == [*replies, (client.DownKind.DUMMY, bytes(8), bytes(GEOMETRY.payload_size))]
    assert len({len(client.encode(down)) for down in downs}) == 1


async def test_replyComesDown_alsoWhereThePacketIsRefused(door: Door) -> None:
    """What a client is answered must not depend on what happens to its own packets."""
    shown = present(mine(door))
    async with door.entry() as talk:
        await talk.ask(shown)
        payload = door.parts.random(GEOMETRY.payload_size)
        door.node.router.passing.deliver(shown.passing + b"number 1", payload)
        down = await talk.ask(send(door, mine(door), 1, first_mix=77))
    assert isinstance(down, client.Down)
    assert (down.answers[0].status, down.payload) == (client.DownStatus.NO_SUCH_MIX, payload)


async def test_passingMailboxThatIsTaken_isRefused_andThePassStaysGood(door: Door) -> None:
    both = passes_for(door.parts.view, door.node.me, KIND_ENTRY, EPOCH, 2)
    first, second = map(present, both)
    async with door.entry() as talk:
        assert await talk.ask(first) == client.PassOk(0, client.NO_LINK)
        async with door.entry() as thief:
            refused = await thief.ask(replace(second, passing=first.passing))
            assert refused == client.PassRefused("passing_taken")
        assert door.node.router.passing.deliver(first.passing + bytes(8), bytes(2064)) is None
    async with door.entry() as talk:
        assert await talk.ask(second) == client.PassOk(0, client.NO_LINK)
    assert len(door.node.store.passes(31337, door.node.state.pool)) == 2


async def test_ticks_areKeptOverARestart(parts: Parts, node: Node) -> None:
    mix1 = parts.path()[1]
    async with serving(parts, node) as door:
        owned = mine(door)
        node.link(Side.PAYEE, mix1)
        async with door.entry() as talk:
            await talk.ask(present(owned))
            await acknowledged(door, talk, send(door, owned, 7))
    again = await parts.restart(node.me)
    again.state.campaigns[CAMPAIGN] = campaign()
    async with serving(parts, again) as door, door.entry() as talk:
        assert await talk.ask(present(owned)) == client.PassOk(7, send(door, owned, 7).link)
        down = await talk.ask(send(door, owned, 7))
        assert down.answers[0].status is client.DownStatus.BAD_TICK
    assert again.refusals("tick_used") == 1


BAD_TICKS: dict[str, tuple[int, dict[str, object], str]] = {
    "used": (1, {}, "tick_used"),
    "far ahead": (16_384, {}, "tick_gap"),
    "of another link": (2, {"link": bytes(32)}, "bad_link"),
    "of no chain": (2, {"chain": 64}, "tick_out_of_range"),
    "of no link": (2, {"k": 0}, "tick_out_of_range"),
    "beyond its chain": (2, {"k": 257}, "tick_out_of_range"),
}


@pytest.mark.parametrize("what", BAD_TICKS)
async def test_badTick_isRefused_andThePacketGoesNowhere(door: Door, what: str) -> None:
    number, changes, reason = BAD_TICKS[what]
    owned, mix1 = mine(door), door.parts.path()[1]
    wire = door.node.link(Side.PAYEE, mix1)
    async with door.entry() as talk:
        await talk.ask(present(owned))
        await acknowledged(door, talk, send(door, owned, 1))
        wire.take()
        down = await talk.ask(send(door, owned, number, **changes))
    assert (down.answers[0].status, down.answers[0].ack) == (client.DownStatus.BAD_TICK, bytes(32))
    assert door.node.refusals(reason) == 1
    assert only(wire.take(), frames.Packet) == []
    assert door.node.store.roles() == {"entry": 1}


async def test_packetThatCannotGo_costsNoTick(door: Door) -> None:
    owned = mine(door)
    door.node.link(Side.PAYEE, door.parts.path()[1])
    wrong_mix = {"first_mix": door.parts.members(3)[0]}
    async with door.entry() as talk:
        await talk.ask(present(owned))
        for changes, status in (
            (wrong_mix, client.DownStatus.NO_SUCH_MIX),
            ({"first_mix": RelayId(77)}, client.DownStatus.NO_SUCH_MIX),
            ({"key_epoch": EPOCH + 1}, client.DownStatus.WRONG_EPOCH),
            ({"key_epoch": 0}, client.DownStatus.WRONG_EPOCH),
        ):
            down = await talk.ask(send(door, owned, 1, **changes))
            assert down.answers[0].status is status
        down = await acknowledged(door, talk, send(door, owned, 1))
        assert down.answers[0].status is client.DownStatus.ACKNOWLEDGED


async def test_firstMixThatHasHadItsShare_isToldAsThat_andCostsNoTick(door: Door) -> None:
    owned, mix1, flows = mine(door), door.parts.path()[1], door.node.router.flows
    for relay in door.parts.members(1):
        door.node.link(Side.PAYEE, relay)
    flows._meters[EPOCH, 0].use(3)
    while flows.allows(EPOCH, 0, mix1):
        flows.add(EPOCH, 0, mix1)
    async with door.entry() as talk:
        await talk.ask(present(owned))
        down = await talk.ask(send(door, owned, 1))
        assert (down.answers[0].seq, down.answers[0].status) == (1, client.DownStatus.FLOW_CAP)
        assert door.node.refusals("flow_cap") == 1
        assert door.node.passes.present(owned.shown(), *check(door.node, owned), 0).furthest == 0


async def test_queueHalfFull_isBusy_andCostsNoTick(parts: Parts) -> None:
    node = await parts.node(parts.path()[0], queue=2)
    node.state.campaigns[CAMPAIGN] = campaign()
    async with serving(parts, node) as door, door.entry() as talk:
        owned = mine(door)
        await talk.ask(present(owned))
        await talk.say(send(door, owned, 1))
        await until(lambda: node.router.waiting(parts.path()[1]) == 1)  # there is no link
        down = await talk.ask(send(door, owned, 2))
        assert (down.answers[0].seq, down.answers[0].status) == (2, client.DownStatus.BUSY)
        assert node.passes.present(owned.shown(), *check(node, owned), 0).furthest == 1


def check(node: Node, owned: OwnedPass) -> tuple[object, object]:
    return node.state.pass_rules(owned.scope, signing_key(1).public), node.state.my_position(KIND_ENTRY)


async def test_mixThatIsNotThere_isUnreachable(door: Door) -> None:
    owned = mine(door)
    async with door.entry() as talk:
        await talk.ask(present(owned))
        await talk.say(send(door, owned, 1))
        await until(lambda: door.node.router.waiting(door.parts.path()[1]) == 1)
        await door.node.pass_time(21)
        assert (await talk.hear()).answers[0].status is client.DownStatus.MIX_UNREACHABLE


@pytest.mark.parametrize("label", ["wrong_hint", "wrong_epoch", "busy", "no_such_mix"])
async def test_mixThatRefuses_isToldAsThat(door: Door, label: str) -> None:
    """Whatever the mix says: its word must not make the client wait, or give its entry up."""
    owned, mix1 = mine(door), door.parts.path()[1]
    wire = door.node.link(Side.PAYEE, mix1)
    async with door.entry() as talk:
        await talk.ask(present(owned))
        await talk.say(send(door, owned, 1))
        await until(lambda: bool(only(wire.sent, frames.Packet)))
        await door.node.hear(Side.PAYEE, mix1, frames.RefuseTickets((frames.RefusedTicket(1, label),)))
        assert (await talk.hear()).answers[0].status is client.DownStatus.REFUSED_BY_MIX


async def test_beats_comeDownWhateverHappens_andBringWhatThereIs(door: Door) -> None:
    owned = mine(door)
    sent = [send(door, owned, number) for number in (1, 2, 3, 4)]
    async with door.entry() as talk:
        assert await talk.ask(replace(present(owned), beat=100)) == client.PassOk(0, client.NO_LINK)
        silent = [await talk.hear() for _ in range(3)]
        assert silent == [client.down([])] * 3
        for one in sent:
            await talk.say(replace(one, key_epoch=0))
        found: list[int] = []
        sizes = {len(client.encode(silent[0]))}
        while len(found) < 4:
            down = await talk.hear()
            sizes.add(len(client.encode(down)))
            answers = [one for one in down.answers if one.status is not client.DownStatus.NOTHING]
            assert all(one.status is client.DownStatus.WRONG_EPOCH for one in answers)
            found += [one.seq for one in answers]
        assert sorted(found) == [1, 2, 3, 4] and len(sizes) == 1


async def test_beatThatIsTooFast_isRefused(door: Door) -> None:
    async with door.entry() as talk:
        asked = replace(present(mine(door)), beat=client.SHORTEST_BEAT - 1)
        assert await talk.ask(asked) == client.PassRefused("bad_beat")
    assert door.node.refusals("bad_beat") == 1


async def test_everySend_hasOneDownOfOneSize(door: Door) -> None:
    owned = mine(door)
    door.node.link(Side.PAYEE, door.parts.path()[1])
    sizes = set()
    async with door.entry() as talk:
        await talk.ask(present(owned))
        sizes.add(len(client.encode(await acknowledged(door, talk, send(door, owned, 1)))))
        for changes in ({}, {"first_mix": RelayId(77)}, {"key_epoch": 9}):
            await talk.say(send(door, owned, 1, **changes))
            sizes.add(len(await talk.socket.receive_bytes(timeout=10)))
    assert len(sizes) == 1


# ---------------------------------------------------------------------- strangers


TICK = client.Send(1, 0, 1, bytes(32), RelayId(1), 2, bytes(20), bytes(65), bytes(GEOMETRY.packet_size))
RUDE: dict[str, tuple[bytes | str, str]] = {
    "text": ("hello", "malformed_frame"),
    "nothing": (b"", "malformed_frame"),
    "no such type": (b"\xff" + bytes(40), "malformed_frame"),
    "cut short": (b"\x01" + bytes(40), "malformed_frame"),
    "too long": (bytes(client.MAX_MESSAGE_BYTES + 10), "malformed_frame"),
    "a relay's frame": (client.encode(client.PassOk(1, bytes(32))), "unexpected_frame"),
    "a tick without a pass": (client.encode(TICK), "unexpected_frame"),
    "a deletion by nobody": (client.encode(client.MailboxDelete(1, ())), "unexpected_frame"),
}


@pytest.mark.parametrize("path", ["/v1/entry", "/v1/mailbox"])
@pytest.mark.parametrize("what", RUDE)
async def test_malformedFrame_closesThatConnectionOnly(door: Door, path: str, what: str) -> None:
    said_to_it, reason = RUDE[what]
    async with door.entry() as good:
        async with door.open(path) as talk:
            if path == "/v1/mailbox":
                await talk.hear()
            await (talk.socket.send_str if isinstance(said_to_it, str) else talk.socket.send_bytes)(
                said_to_it
            )
            code, said = await talk.end()
            if what == "too long":  # it is not read to its end, so TCP may cut the goodbye off
                assert code in (aiohttp.WSCloseCode.MESSAGE_TOO_BIG, aiohttp.WSCloseCode.ABNORMAL_CLOSURE)
            else:
                assert (code, said) == (aiohttp.WSCloseCode.POLICY_VIOLATION, reason)
        assert door.node.refusals(reason) == 1
        assert await good.ask(present(mine(door))) == client.PassOk(0, client.NO_LINK)


async def test_passShownTwiceOnOneConnection_closesIt(door: Door) -> None:
    async with door.entry() as talk:
        await talk.ask(present(mine(door)))
        await talk.say(present(mine(door)))
        assert (await talk.end())[0] == aiohttp.WSCloseCode.POLICY_VIOLATION
    assert door.node.refusals("unexpected_frame") == 1


async def test_tooManyClients_areToldToComeLater(parts: Parts, node: Node) -> None:
    async with serving(parts, node, limit=2) as door:
        async with door.entry(), door.mailbox():
            for path in ("/v1/entry", "/v1/mailbox"):
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    async with door.open(path):
                        pass
                assert caught.value.status == 503
            assert (await door.get("/v1/directory"))[0] == 200
        assert node.refusals("too_many_clients") == 2
        async with asyncio.timeout(10), door.entry() as talk:
            assert await talk.ask(present(mine(door))) == client.PassOk(0, client.NO_LINK)


async def test_manyAtOnce_areLimitedToo(parts: Parts, node: Node) -> None:
    async with serving(parts, node, limit=3) as door:

        async def knock() -> int:
            try:
                async with door.entry() as talk:
                    await asyncio.sleep(0.2)
                    return int(isinstance(await talk.ask(present(mine(door))), client.PassOk))
            except aiohttp.WSServerHandshakeError:
                return 0

        mine(door)
        assert sum(await asyncio.gather(*(knock() for _ in range(9)))) == 3
        assert node.refusals("too_many_clients") == 6


async def test_requestThatIsNoWebSocket_isRefusedAndTakesNoPlace(parts: Parts, node: Node) -> None:
    async with serving(parts, node, limit=1) as door:
        for _ in range(3):
            assert (await door.get("/v1/entry"))[0] == 400
        async with door.entry() as talk:
            assert await talk.ask(present(mine(door))) == client.PassOk(0, client.NO_LINK)


@pytest.mark.parametrize("path", ["/v1/entry", "/v1/mailbox"])
async def test_stranger_isShownOut_howeverMuchItPings(
    door: Door, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "STRANGER_SECONDS", 0.3)
    async with door.open(path) as talk:

        async def ping() -> None:
            while not talk.socket.closed:
                await talk.socket.ping()
                await asyncio.sleep(0.02)

        pinging = asyncio.create_task(ping())
        if path == "/v1/mailbox":
            await talk.hear()
        await talk.end()
        pinging.cancel()
    assert door.node.refusals("client_silent") == 1


async def test_clientWhosePassWasTaken_mayStay_untilItIsSilentForLong(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = mine(door)
    monkeypatch.setattr(gateway, "STRANGER_SECONDS", 0.5)
    monkeypatch.setattr(gateway, "SILENCE_SECONDS", 1.0)
    async with door.entry() as talk:
        began = asyncio.get_running_loop().time()
        assert await talk.ask(present(owned)) == client.PassOk(0, client.NO_LINK)
        await talk.end()
        assert asyncio.get_running_loop().time() - began >= 1.0
    assert door.node.refusals("client_silent") == 1


async def test_connectionThatAsksNothing_isClosed_andSocketsStay(parts: Parts, node: Node) -> None:
    async with serving(parts, node, times=WebTimes(first_request=0.1)) as door, door.entry() as talk:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port, ssl=tls.client_context())
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
        assert await talk.ask(present(mine(door))) == client.PassOk(0, client.NO_LINK)


async def test_oneAddress_takesItsPartOfThePlaces_only(parts: Parts, node: Node) -> None:
    """The attack: one host opens WebSockets and says nothing. Others still come in, and it is shown out."""
    strangers = Strangers(connections_of_address=3, per_second=1_000.0)
    async with serving(parts, node, strangers=strangers) as door, contextlib.AsyncExitStack() as crowd:
        for _ in range(3):
            await crowd.enter_async_context(door.entry())
        with pytest.raises(aiohttp.ClientError):
            await crowd.enter_async_context(door.entry())
        assert node.refusals("too_many_of_one_address") == 1
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", door.port, ssl=tls.client_context(), local_addr=("127.0.0.9", 0)
        )
        writer.write(b"GET /v1/directory HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_documents_areServedAsFastAsIsDecent(parts: Parts, node: Node) -> None:
    async with serving(parts, node, strangers=Strangers(connections_of_address=1, per_second=1.0)) as door:
        statuses = [(await door.get("/v1/directory"))[0] for _ in range(5)]
        assert statuses == [200, 200, 200, 200, 429]  # five at once; the connection was the first
        assert node.refusals("too_fast") == 1


async def test_clientThatDoesNotRead_losesItsPlace(
    parts: Parts, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that nobody takes must not be waited for."""
    monkeypatch.setattr(gateway, "SILENCE_SECONDS", 0.5)
    async with serving(parts, node) as door:
        stuck: list[float] = []

        async def send_bytes(_: object, data: bytes) -> None:
            stuck.append(len(data))
            await asyncio.Event().wait()

        async with door.mailbox() as (talk, nonce):
            monkeypatch.setattr(gateway.web.WebSocketResponse, "send_bytes", send_bytes)
            await talk.say(fetch(door, nonce))
            await until(lambda: node.refusals("client_silent") == 1)
        assert stuck
        await until(lambda: door.gateway.clients == 0)


@pytest.mark.parametrize("header", [b"Upgrade: we\x98socket", b"Sec-WebSocket-Version: \x98"])
async def test_handshakeThatIsNoText_isABadRequest(door: Door, header: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, ssl=tls.client_context())
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nConnection: close\r\nSec-WebSocket-Key: x\r\n"
    writer.write(b"GET /v1/entry HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n" + upgrade + b"\r\n")
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()


async def test_bodyThatNobodyAskedFor_isNotWaitedFor(door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, ssl=tls.client_context())
    writer.write(b"POST /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 404")
    writer.close()


# ---------------------------------------------------------------------- mailboxes

SEED = bytes(range(32))


def fetch_key(seed: bytes) -> bytes:
    return SigningKey(seed).verify_key.encode()


def toll(owned: OwnedPass, number: int) -> client.ShownTick:
    """A tick of a mailbox pass."""
    spender = PassSpender(owned, number - 1)
    spender.reserve(1)
    tick = spender.next_tick()
    return client.ShownTick(tick.chain, tick.k, tick.link)


def create(owned: OwnedPass, seed: bytes = SEED, number: int = STORAGE_TICKS) -> client.MailboxCreate:
    return client.MailboxCreate(
        KEY.modulus, KEY.proof, owned.shown().encode(), fetch_key(seed), toll(owned, number)
    )


def delete(owned: OwnedPass, upto: int, number: int) -> client.MailboxDelete:
    return client.MailboxDelete(upto, (toll(owned, number),))


def fetch(
    door: Door, nonce: bytes, after: int = 0, seed: bytes = SEED, box: bytes = b""
) -> client.MailboxFetch:
    mailbox = box or mailbox_id_of(fetch_key(seed))
    return client.MailboxFetch(mailbox, after, sign_challenge(seed, door.node.me, nonce, mailbox))


def deliver(door: Door, count: int, seed: bytes = SEED) -> list[bytes]:
    """Messages that arrive for a mailbox this moment: they are not on disk yet."""
    bodies = [os.urandom(2048) for _ in range(count)]
    with door.node.books.step() as step:
        for body in bodies:
            now = door.node.state.chain_time
            step.changes.mailbox(
                door.node.mailboxes.deliver(mailbox_id_of(fetch_key(seed)), body, now).effects
            )
    return bodies


async def test_mailbox_isMadeFilledAndEmptied(door: Door) -> None:
    owned = mine(door, KIND_MAILBOX)
    async with door.mailbox() as (talk, nonce):
        terms = await talk.ask(create(owned))
        assert terms.expires == door.node.state.mailbox_expiry(EPOCH)
        bodies = deliver(door, client.MAX_MESSAGES + 3)
        first = await talk.ask(fetch(door, nonce))
        assert [message.sequence for message in first.messages] == list(range(1, client.MAX_MESSAGES + 1))
        assert first.more
        rest = await talk.ask(fetch(door, nonce, after=client.MAX_MESSAGES))
        assert [message.body for message in (*first.messages, *rest.messages)] == bodies
        assert not rest.more
        assert await talk.ask(delete(owned, client.MAX_MESSAGES, STORAGE_TICKS + 1)) == client.Done()
        assert (await talk.ask(fetch(door, nonce))).messages == rest.messages
        assert await talk.ask(delete(owned, 2**64 - 1, STORAGE_TICKS + 2)) == client.Done()
        assert (await talk.ask(fetch(door, nonce))).messages == ()


@pytest.mark.parametrize("after", [1, 2**63 - 1, 2**63, 2**64 - 1])
async def test_fetchBehindTheEnd_isEmpty(door: Door, after: int) -> None:
    async with door.mailbox() as (talk, nonce):
        await talk.ask(create(mine(door, KIND_MAILBOX)))
        deliver(door, 1)
        answer = await talk.ask(fetch(door, nonce, after))
        assert (answer.messages, answer.more) == ((), False)


async def test_mailbox_isKeptOverARestart(parts: Parts, node: Node) -> None:
    async with serving(parts, node) as door, door.mailbox() as (talk, _):
        await talk.ask(create(mine(door, KIND_MAILBOX)))
        bodies = deliver(door, 2)
    again = await parts.restart(node.me)
    async with serving(parts, again) as door, door.mailbox() as (talk, nonce):
        assert [message.body for message in (await talk.ask(fetch(door, nonce))).messages] == bodies


async def test_fetchByAnother_isNotTheOwner(door: Door) -> None:
    async with door.mailbox() as (talk, _):
        await talk.ask(create(mine(door, KIND_MAILBOX)))
    other = bytes(32)
    box = mailbox_id_of(fetch_key(SEED))
    tries: list[Callable[[bytes], client.MailboxFetch]] = [
        lambda nonce: fetch(door, nonce, seed=other, box=box),  # another's key
        lambda _: fetch(door, bytes(32)),  # an answer to another connection's challenge
        lambda nonce: replace(fetch(door, nonce), signature=bytes(64)),
        lambda nonce: fetch(door, nonce, seed=other),  # a mailbox that is not there: the answer does not tell
    ]
    for wrong in tries:
        async with door.mailbox() as (talk, nonce):
            assert await talk.ask(wrong(nonce)) == client.Refused("not_the_owner")
            assert (await talk.end())[0] == aiohttp.WSCloseCode.OK
    assert door.node.refusals("not_the_owner") == len(tries)


async def test_ownerWhoTriesAnothersMailbox_staysOwnerOfItsOwn(door: Door) -> None:
    async with door.mailbox() as (talk, nonce):
        await talk.ask(create(mine(door, KIND_MAILBOX)))
        (body,) = deliver(door, 1)
        await talk.ask(fetch(door, nonce))
        assert await talk.ask(fetch(door, nonce, seed=bytes(32))) == client.Refused("not_the_owner")
        assert [kept.body for kept in (await talk.ask(fetch(door, nonce))).messages] == [body]


async def test_mailboxWhoseTimeIsOver_isUnknown(door: Door) -> None:
    async with door.mailbox() as (talk, nonce):
        await talk.ask(create(mine(door, KIND_MAILBOX)))
        door.parts.chain.at(EPOCH + 2)
        assert await talk.ask(fetch(door, nonce)) == client.Refused("unknown_mailbox")
        door.node.mailboxes.expire(door.node.state.chain_time)
        assert await talk.ask(fetch(door, nonce)) == client.Refused("not_the_owner")
    assert door.node.refusals("unknown_mailbox") == 1


async def test_passOfAnotherKindOrRelay_makesNoMailbox(door: Door) -> None:
    other = next(relay for relay in range(1, 10) if relay != door.node.me)
    for owned, reason in (
        (mine(door), "wrong_kind"),
        (passes_for(door.parts.view, other, KIND_MAILBOX, EPOCH)[0], "wrong_relay"),
        (issued(KIND_MAILBOX, EPOCH + 1), "wrong_period"),
        (issued(KIND_MAILBOX, EPOCH, key=2), "bad_signature"),
    ):
        async with door.mailbox() as (talk, _):
            assert await talk.ask(create(owned)) == client.Refused(reason)
            assert (await talk.end())[0] == aiohttp.WSCloseCode.OK
        assert door.node.refusals(reason) == 1
    assert door.node.mailboxes.counts == (0, 0)


async def test_onePass_makesOneMailbox(door: Door) -> None:
    owned = mine(door, KIND_MAILBOX)
    async with door.mailbox() as (talk, _):
        terms = await talk.ask(create(owned))
        assert await talk.ask(create(owned)) == terms  # the answer may have been lost
        assert await talk.ask(create(owned, bytes(32))) == client.Refused("pass_used")
    assert door.node.mailboxes.counts == (1, 0)


async def test_onePass_makesOneMailbox_afterARestartToo(parts: Parts, node: Node) -> None:
    async with serving(parts, node) as door, door.mailbox() as (talk, _):
        await talk.ask(create(mine(door, KIND_MAILBOX)))
    again = await parts.restart(node.me)
    again.state.campaigns[CAMPAIGN] = campaign()
    async with serving(parts, again) as door, door.mailbox() as (talk, _):
        owned = mine(door, KIND_MAILBOX)
        assert await talk.ask(create(owned, bytes(32))) == client.Refused("pass_used")
        async with door.mailbox() as (retry, _):
            assert isinstance(await retry.ask(create(owned)), client.MailboxTerms)


async def test_fullRelay_doesNotUseThePassUp(door: Door) -> None:
    limits = door.node.mailboxes._limits
    one, two = passes_for(door.parts.view, door.node.me, KIND_MAILBOX, EPOCH, 2)
    async with door.mailbox() as (talk, _):
        door.node.mailboxes._limits = replace(limits, max_mailboxes=1)
        await talk.ask(create(one))
        for _ in range(2):
            assert await talk.ask(create(two, bytes(32))) == client.Refused("full")
        door.node.mailboxes._limits = limits
        assert isinstance(await talk.ask(create(two, bytes(32))), client.MailboxTerms)
        assert await talk.ask(create(two, bytes([1]) * 32)) == client.Refused("pass_used")


# ---------------------------------------------------------------------- what is written down


async def test_log_tellsNothingOfClients(parts: Parts, node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets: list[bytes] = [operator_key(node.me), link_seed(node.me), packet_secret(node.me), SEED]
    async with serving(parts, node, limit=2) as door:
        owned = mine(door)
        node.link(Side.PAYEE, parts.path()[1])
        async with door.entry() as talk:
            sent = send(door, owned, 1)
            await talk.ask(present(owned))
            await acknowledged(door, talk, sent)
            await talk.ask(send(door, owned, 1))
            await talk.say(present(owned))
            await talk.end()
        async with door.mailbox() as (talk, nonce):
            await talk.ask(create(mine(door, KIND_MAILBOX)))
            await talk.ask(fetch(door, nonce))
            await talk.ask(fetch(door, nonce, seed=bytes(32)))
            await talk.socket.send_str("rude")
            await talk.end()
        secrets += [sent.link, sent.lock, sent.packet[:16], owned.signature[:16], owned.seed]
        secrets += [mailbox_id_of(fetch_key(SEED)), mailbox_id_of(fetch_key(bytes(32))), nonce]
        await babble(door)
        await fail(door)
    assert "a client's request failed" in caplog.text
    for secret in secrets:
        assert secret.hex() not in caplog.text
        assert repr(secret)[2:-1] not in caplog.text
    assert CLIENT not in caplog.text
    assert "babble" not in caplog.text


async def babble(door: Door) -> None:
    """Somebody who speaks TLS and no HTTP."""
    for said in (b"babble babble\r\n\r\n", b"GET / HTTP/1.1\r\nbabble\x00: x\r\n\r\n", b"\x16\x03\x01babble"):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", door.port, ssl=tls.client_context(), local_addr=(CLIENT, 0)
        )
        writer.write(said)
        await reader.read(1 << 16)
        writer.close()
    with sockets.create_connection(("127.0.0.1", door.port), source_address=(CLIENT, 0)) as plain:
        plain.sendall(b"babble, without TLS")
        await asyncio.sleep(0.05)


async def fail(door: Door) -> None:
    """A mistake of ours, while a client asks."""
    door.node.state.directories.directory = None  # type: ignore[method-assign,assignment]
    assert (await door.get("/v1/directory"))[0] == 500
