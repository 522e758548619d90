"""Owners who ask through the network: what they are answered and pay, and what nobody gets for nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from nacl.signing import SigningKey

from mixpay.crypto.rsa_permutation import ProvenKey
from mixpay.epochs import Schedule
from mixpay.mailbox import PAGE_MESSAGES, STORAGE_TICKS, mailbox_id_of
from mixpay.packet import KIND_REQUEST, ReplyKeys, open_reply
from mixpay.passes import KIND_MAILBOX, OwnedPass, PassSpender
from mixpay.passes.entry import MAX_GAP
from mixpay.types import Epoch
from mixpay.wire import client, frames, requests
from mixpay.wire.requests import Message
from relay.clients import mailbox_tolls, request_desk
from relay.clients.mailbox_desk import MailboxDesk
from relay.clients.request_desk import RequestDesk
from relay.path.books import Side
from relay_parts import CAMPAIGN, EPOCH, Node, Parts, campaign, only, passes_for
from relay_parts import signing_key as campaign_key

TERM = 1
"""Two epochs long here: `EPOCH` and the one after it."""
KEY = ProvenKey.of(campaign_key(1))
SEED = bytes(range(32))
FETCH_KEY = SigningKey(SEED).verify_key.encode()
BOX = mailbox_id_of(FETCH_KEY)


class Owner:
    """The owner of a mailbox at a node, which is the first relay of its replies' path."""

    def __init__(self, parts: Parts, node: Node) -> None:
        self.parts, self.node = parts, node
        node.state.campaigns[CAMPAIGN] = campaign()
        about = node.state, node.passes, node.mailboxes, node.store, node.metrics
        self.desk = MailboxDesk(*about)
        self.requests = RequestDesk(
            node.state, node.router, self.desk, node.mailboxes, node.store, node.metrics, node.clock
        )
        node.router.arrivals.asked = self.requests.take
        self.wire = node.link(Side.PAYEE, parts.path()[1])
        (self.owned,) = passes_for(node.view, node.me, KIND_MAILBOX, TERM, 1)
        self.keys: dict[bytes, ReplyKeys] = {}
        self.made_blocks = 0

    def tick(self, number: int) -> client.ShownTick:
        spender = PassSpender(self.owned, number - 1)
        spender.reserve(1)
        tick = spender.next_tick()
        return client.ShownTick(tick.chain, tick.k, tick.link)

    def blocks(self, count: int) -> tuple[bytes, ...]:
        made = []
        for _ in range(count):
            self.made_blocks += 1
            name = b"passing!" + self.made_blocks.to_bytes(8, "big")
            block, self.keys[name] = self.parts.block(name)
            made.append(block.encode())
        return tuple(made)

    def create(self, owned: OwnedPass | None = None, number: int = STORAGE_TICKS) -> requests.Create:
        shown = (owned or self.owned).shown().encode()
        return requests.Create(KEY.modulus, KEY.proof, shown, FETCH_KEY, self.tick(number), *self.blocks(1))

    def fetch(
        self, after: int, blocks: int, tick: int | None, seed: bytes = SEED, *, waits: bool = False
    ) -> requests.Fetch:
        paid = () if tick is None else (self.tick(tick),)
        made = requests.Fetch(after, waits, paid, self.blocks(blocks), bytes(64))
        return made.signed(seed, self.node.me, BOX)

    async def ask(self, request: requests.Request, box: bytes = BOX) -> list[requests.Answer]:
        """Send a request; what comes back, in the order of its blocks."""
        for part in requests.parts_of(request, os.urandom):
            self.requests.take(box, part)
        return await self.heard()

    def _read(self, packet: frames.Packet) -> requests.Answer:
        assert (packet.value, packet.key_epoch) == (4, EPOCH)
        found = self.parts.arrives(packet.packet)
        return requests.decode_answer(open_reply(self.keys.pop(found.mailbox_id), found.user_data))

    async def made(self, messages: int = 0) -> list[bytes]:
        """Have a mailbox with so many messages; their bodies."""
        (terms,) = await self.ask(self.create())
        assert isinstance(terms, client.MailboxTerms)
        bodies = [os.urandom(2048) for _ in range(messages)]
        now = self.node.state.chain_time
        with self.node.books.step() as step:
            for body in bodies:
                step.changes.mailbox(self.node.mailboxes.deliver(BOX, body, now).effects)
        await self.node.written()
        return bodies

    async def arrives(self) -> bytes:
        """A message comes; its body."""
        body = os.urandom(2048)
        with self.node.books.step() as step:
            step.changes.mailbox(self.node.mailboxes.deliver(BOX, body, self.node.state.chain_time).effects)
            step.then(lambda: self.requests.stored(BOX))
        await self.node.written()
        return body

    async def heard(self) -> list[requests.Answer]:
        """What was sent without being asked for just now."""
        while self.requests._tasks:
            await asyncio.gather(*self.requests._tasks)
            await asyncio.sleep(0)
        await self.node.written()
        return [self._read(packet) for packet in only(self.wire.take(), frames.Packet)]

    @property
    def furthest(self) -> int:
        found = self.node.passes.standing(self.owned.shown().id)
        return 0 if found is None else found[1]

    @property
    def stored(self) -> int:
        return self.node.mailboxes.counts[1]


@pytest_asyncio.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = Parts(tmp_path)
    schedule = made.view.schedule
    made.view.schedule = Schedule(schedule.genesis, schedule.epoch_length, 2)
    made.chain.set_key(campaign_key(1), KIND_MAILBOX, TERM)
    for epoch in (EPOCH + 1, EPOCH + 2):
        made.chain.freeze(epoch)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def owner(parts: Parts) -> AsyncIterator[Owner]:
    made = Owner(parts, await parts.node(parts.path()[0]))
    yield made
    await made.requests.stop()


# ---------------------------------------------------------------------- what owners get


async def test_create_makesAMailbox_paidFor_andSaysItsTerms(owner: Owner) -> None:
    (terms,) = await owner.ask(owner.create())
    assert isinstance(terms, client.MailboxTerms)
    assert (terms.stored, terms.furthest, owner.furthest) == (0, STORAGE_TICKS, STORAGE_TICKS)
    assert owner.node.store.mailboxes()[0].mailbox_id == BOX
    (again,) = await owner.ask(owner.create())  # the answer was lost, perhaps
    assert again == terms
    assert owner.node.mailboxes.counts == (1, 0)


async def test_fetch_bringsWhatItsBlocksHoldOneByOne_andConfirmsWhatCameBefore(owner: Owner) -> None:
    bodies = await owner.made(5)
    first = await owner.ask(owner.fetch(0, 3, STORAGE_TICKS + 3))
    assert first == [Message(n, bodies[n - 1], more=True) for n in (1, 2, 3)]
    assert owner.stored == 5
    second = await owner.ask(owner.fetch(3, 3, STORAGE_TICKS + 6))
    assert second == [Message(4, bodies[3], more=True), Message(5, bodies[4], more=False)]
    assert (owner.stored, owner.node.store.messages(BOX, 1, 3)) == (2, [])
    (terms,) = await owner.ask(owner.fetch(5, 1, STORAGE_TICKS + 7))
    assert isinstance(terms, client.MailboxTerms)
    assert (terms.stored, terms.furthest, owner.stored) == (0, STORAGE_TICKS + 7, 0)


async def test_messageThatIsLostOnItsWay_isFetchedAgain(owner: Owner) -> None:
    bodies = await owner.made(2)
    await owner.ask(owner.fetch(0, 2, STORAGE_TICKS + 2))
    again = await owner.ask(owner.fetch(0, 2, STORAGE_TICKS + 4))
    assert [answer.body for answer in again if isinstance(answer, Message)] == bodies


async def test_replies_arePaidOnward_likeAnEntrysPackets(owner: Owner) -> None:
    await owner.made(3)
    issued = owner.node.count("tickets_issued")
    await owner.ask(owner.fetch(0, 3, STORAGE_TICKS + 3))
    assert owner.node.count("tickets_issued") == issued + 3
    assert owner.node.store.roles()["entry"] == 4  # with the answer to CREATE


async def test_packetOfThisKind_isARequest(parts: Parts) -> None:
    """From a link to the desk: what a mix brings is taken apart as it should be."""
    *_, mix3, keeper = parts.path()
    node = await parts.node(keeper)
    node.link(Side.PAYER, mix3)
    heard: list[tuple[bytes, bytes]] = []
    node.router.arrivals.asked = lambda box, part: heard.append((box, part))
    part = os.urandom(2048)
    built = parts.packet(box=BOX, data=part, kind=KIND_REQUEST)
    await node.hear(Side.PAYER, mix3, parts.last_frame(built.packet))
    assert heard == [(BOX, part)]
    assert node.mailboxes.counts == (0, 0)


# ---------------------------------------------------------------------- nothing for nothing


Wrong = Callable[[Owner], requests.Request]
SILENT: dict[str, tuple[Wrong, str]] = {
    "another's signature": (lambda o: o.fetch(0, 1, STORAGE_TICKS + 1, seed=bytes(32)), "not_the_owner"),
    "no signature": (
        lambda o: replace(o.fetch(0, 1, STORAGE_TICKS + 1), signature=bytes(64)),
        "not_the_owner",
    ),
    "a changed request": (lambda o: replace(o.fetch(0, 1, STORAGE_TICKS + 1), after=2), "not_the_owner"),
    "a block that is none": (
        lambda o: replace(o.fetch(0, 1, STORAGE_TICKS + 1), blocks=(b"\7" + bytes(511),)).signed(
            SEED, o.node.me, BOX
        ),
        "block_version",
    ),
    "a pass of another relay": (
        lambda o: o.create(
            passes_for(o.node.view, o.parts.path()[1], KIND_MAILBOX, TERM, 1)[0],
        ),
        "wrong_relay",
    ),
}


@pytest.mark.parametrize("what", SILENT)
async def test_whoDoesNotPay_orIsNotTheOwner_hearsNothing_andChangesNothing(owner: Owner, what: str) -> None:
    make, reason = SILENT[what]
    await owner.made(3)
    before, issued = owner.furthest, owner.node.count("tickets_issued")
    assert await owner.ask(make(owner)) == []
    assert owner.node.refusals(reason) == 1
    assert (owner.stored, owner.furthest) == (3, before)
    assert owner.node.count("tickets_issued") == issued


UNPAID: dict[str, tuple[Wrong, str]] = {
    "no tick": (lambda o: o.fetch(0, 1, None), "unpaid"),
    "a tick for two": (lambda o: o.fetch(0, 3, STORAGE_TICKS + 2), "unpaid"),
    "a used tick": (lambda o: o.fetch(0, 1, STORAGE_TICKS), "tick_used"),
    "a tick too far": (lambda o: o.fetch(0, 1, STORAGE_TICKS + MAX_GAP + 1), "tick_gap"),
    "a tick that waits": (lambda o: o.fetch(0, 3, STORAGE_TICKS + 2, waits=True), "unpaid"),
}


@pytest.mark.parametrize("what", UNPAID)
async def test_ownerWhoDoesNotPay_isToldOnceWhereThePassStands_andNothingChanges(
    owner: Owner, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, reason = UNPAID[what]
    monkeypatch.setattr(mailbox_tolls, "FREE_REPLIES", 2)
    await owner.made(3)
    for _ in range(2):
        (terms,) = await owner.ask(make(owner))
        assert isinstance(terms, client.MailboxTerms)
        assert (terms.furthest, terms.link) == (STORAGE_TICKS, owner.tick(STORAGE_TICKS).link)
    assert (owner.stored, owner.furthest, owner.node.refusals(reason)) == (3, STORAGE_TICKS, 2)
    assert await owner.ask(make(owner)) == [], "what storage cost pays for no more"


async def test_confirming_costsAsMuchAsDirectly_howeverFewBlocksAreShown(owner: Owner) -> None:
    """Else what was fetched directly, for nothing, would be dropped for one tick."""
    await owner.made(3 * PAGE_MESSAGES)
    (terms,) = await owner.ask(owner.fetch(3 * PAGE_MESSAGES, 1, STORAGE_TICKS + 1))
    assert isinstance(terms, client.MailboxTerms) and terms.furthest == STORAGE_TICKS
    assert owner.stored == 3 * PAGE_MESSAGES
    await owner.ask(owner.fetch(3 * PAGE_MESSAGES, 1, STORAGE_TICKS + 3))
    assert owner.stored == 0


# ---------------------------------------------------------------------- blocks that wait


async def test_fetchThatWaits_isToldTheTerms_andBringsWhatComesLater(owner: Owner) -> None:
    await owner.made()
    (terms,) = await owner.ask(owner.fetch(0, 4, STORAGE_TICKS + 4, waits=True))
    assert isinstance(terms, client.MailboxTerms) and terms.furthest == STORAGE_TICKS + 4
    bodies = [await owner.arrives() for _ in range(4)]
    found = await owner.heard()
    assert found == [Message(n, bodies[n - 1], more=False) for n in (1, 2, 3)], "the fourth has no block"
    assert owner.stored == 4
    (_, last) = await owner.ask(owner.fetch(3, 3, STORAGE_TICKS + 7, waits=True))
    assert (last, owner.stored) == (Message(4, bodies[3], more=False), 1)


async def test_fetchThatWaits_bringsWhatIsThere_andThenWhatComes(owner: Owner) -> None:
    bodies = await owner.made(2)
    _, *there = await owner.ask(owner.fetch(0, 4, STORAGE_TICKS + 4, waits=True))
    assert there == [Message(1, bodies[0], more=True), Message(2, bodies[1], more=False)]
    bodies.append(await owner.arrives())
    assert await owner.heard() == [Message(3, bodies[2], more=False)]


async def test_newFetch_takesThePlaceOfBlocksThatWait_andWhatIsNotConfirmedComesAgain(owner: Owner) -> None:
    await owner.made()
    await owner.ask(owner.fetch(0, 3, STORAGE_TICKS + 3, waits=True))
    body = await owner.arrives()
    assert len(await owner.heard()) == 1
    _, again = await owner.ask(owner.fetch(0, 2, STORAGE_TICKS + 5, waits=True))
    assert again == Message(1, body, more=False)
    await owner.arrives()
    assert await owner.heard() == [], "its one block is used, and the older ones are gone"


async def test_blocksThatWait_areNoUseWhenTheirEpochIsOver(owner: Owner) -> None:
    await owner.made()
    await owner.ask(owner.fetch(0, 3, STORAGE_TICKS + 3, waits=True))
    owner.parts.chain.at(EPOCH + 2, 1)
    await owner.arrives()
    await owner.heard()
    assert owner.stored == 1, "it is there for who asks again"


async def test_goodPassThatIsRefused_isToldWhy(owner: Owner) -> None:
    """Its owner has to take another one, and could pay for the answer by what it holds."""
    assert await owner.ask(owner.create(number=1)) == [client.Refused("unpaid")]


async def test_unknownMailbox_hearsNothing(owner: Owner) -> None:
    assert await owner.ask(owner.fetch(0, 1, 1)) == []
    assert owner.node.refusals("not_the_owner") == 1


async def test_blockOfAnEpochThatIsOver_isCounted_andTheOthersAreAnswered(owner: Owner) -> None:
    await owner.made(2)
    asked = owner.fetch(0, 2, STORAGE_TICKS + 2)
    old = bytearray(asked.blocks[0])
    old[1:5] = Epoch(EPOCH - 2).to_bytes(4, "big")
    request = replace(asked, blocks=(bytes(old), asked.blocks[1])).signed(SEED, owner.node.me, BOX)
    (answer,) = await owner.ask(request)
    assert isinstance(answer, Message) and answer.sequence == 2
    assert owner.node.refusals("block_expired") == 1


async def test_blockThroughNoRelayThatServesUs_isRefused(owner: Owner) -> None:
    await owner.made(1)
    asked = owner.fetch(0, 1, STORAGE_TICKS + 1)
    (block,) = asked.blocks
    elsewhere = block[:5] + (77).to_bytes(4, "big") + block[9:]
    assert await owner.ask(replace(asked, blocks=(elsewhere,)).signed(SEED, owner.node.me, BOX)) == []
    assert owner.node.refusals("no_such_mix") == 1


async def test_freeReplies_haveAnEnd_whateverIsAsked(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its term nobody pays; who asks again and again must not empty the relay's channels."""
    monkeypatch.setattr(mailbox_tolls, "FREE_REPLIES", 7)
    await owner.made(3)
    owner.parts.chain.at(EPOCH + 2, 1)
    for _ in range(3):
        assert len(await owner.ask(owner.fetch(0, 2, None))) == 2
    (terms,) = await owner.ask(owner.fetch(0, 2, None))
    assert isinstance(terms, client.MailboxTerms)
    assert await owner.ask(owner.fetch(0, 2, None)) == []
    assert owner.node.refusals("unpaid") == 3
    assert owner.stored == 3  # they can be fetched directly still


async def test_floodOfRequests_isBounded(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_desk, "MOST_UNDER_WAY", 4)
    await owner.made(1)
    for _ in range(10):
        for part in requests.parts_of(owner.fetch(0, 1, None), os.urandom):
            owner.requests.take(BOX, part)
    assert len(owner.requests._tasks) == 4
    assert owner.node.refusals("requests_busy") == 6


async def test_malformedParts_areCounted(owner: Owner) -> None:
    owner.requests.take(BOX, bytes(2048))
    assert owner.node.refusals("malformed_frame") == 1
