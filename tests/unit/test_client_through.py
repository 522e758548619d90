"""Mailboxes emptied through the network: what is lost is asked for again, and no relay sees who asks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from client_world import EPOCH, HASTY, LoneRelay, User, World
from mixpay import envelope
from mixpay.address import Address
from mixpay.client import exchange as exchanges
from mixpay.client.exchange import Exchange
from mixpay.client.inbox import Arrived, Inbox
from mixpay.client.line import Line
from mixpay.client.profile import Pace
from mixpay.client.session import Session
from mixpay.client.through import MOST_SILENT, MOST_UNPAID
from mixpay.client.visits import Round
from mixpay.client.wallet import CAMPAIGN_LIMIT, BudgetSpent
from mixpay.envelope import file_message, text_message
from mixpay.mailbox import STORAGE_TICKS
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, TICKS
from mixpay.sponsor.keys import PassKeys
from mixpay.types import Term
from mixpay.wire import client as wire
from mixpay.wire import requests
from pass_keys import pass_keys

FILE = os.urandom(12_000)
PROFILE = replace(HASTY, ack_timeout=1.0)
PACE = Pace("hasty", 0.02, 0)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PassKeys:
    return pass_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "PATIENCE", 1.5)


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: PassKeys) -> AsyncIterator[World]:
    async with World(tmp_path, keys).running() as world:
        yield world


@pytest_asyncio.fixture
async def bob(world: World) -> AsyncIterator[User]:
    user = User(world, "bob")
    yield user
    await user.close()


class Looking:
    """One run of `receive`: what was delivered, and what was not in order."""

    def __init__(self, bob: User) -> None:
        self.bob, world = bob, bob.world
        self.inbox, self.round = Inbox(bob.store, bob.identity, world.view.mark), Round()
        self.session = Session(bob.http, world.view, bob.wallet, os.urandom, bob.told.append)
        self.got: list[Arrived] = []

    @asynccontextmanager
    async def exchange(self) -> AsyncIterator[Exchange]:
        view, wallet = self.bob.world.view, self.bob.wallet
        async with Line(self.session, view, wallet, PROFILE, PACE, os.urandom) as line:
            yield Exchange(line, os.urandom)

    async def once(self, *, patient: bool = False) -> list[bytes]:
        """Look; the contents of all messages that have come by now."""
        async with self.exchange() as exchange:
            await self.bob.mailboxes.empty(
                self.inbox, 0, self.deliver, self.round, patient=patient, exchange=exchange
            )
        return [arrived.message.content for arrived in self.got]

    def deliver(self, arrived: list[Arrived]) -> None:
        for message in arrived:
            self.got.append(message)
            self.inbox.saved(message.message_id, 0)


class Box:
    """Bob's mailbox, its relay, and what lies there."""

    def __init__(self, world: World, at: Address) -> None:
        self.at, self.keeper, self.visits = at, world.relay(at.relay), world.relay(at.relay).visits

    def put(self, *messages: envelope.Message) -> None:
        for message in messages:
            for piece in envelope.fragments(message, os.urandom):
                self.keeper.deliver(self.at.mailbox_id, envelope.seal(piece, self.at, os.urandom))

    @property
    def left(self) -> int:
        return self.keeper.mailboxes.counts[1]

    @property
    def paid(self) -> int:
        """Ticks behind those for storage."""
        return self.keeper.furthest(self.at.mailbox_id) - STORAGE_TICKS

    def was_not_visited(self) -> bool:
        return self.keeper.visits == self.visits


@pytest_asyncio.fixture
async def box(world: World, bob: User) -> Box:
    return Box(world, await bob.mailboxes.make(bob.wallet))


def texts(count: int) -> list[envelope.Message]:
    return [text_message(f"message {number}") for number in range(count)]


def entries(world: World) -> list[LoneRelay]:
    """Those that were shown an entry pass."""
    return [relay for relay in world.relays if any(shown.scope.kind == 1 for shown in relay.shown_to)]


async def test_make_opensAMailbox_andItsRelaySeesNobody(world: World, bob: User):
    looking = Looking(bob)
    async with looking.exchange() as exchange:
        at = await bob.mailboxes.make(bob.wallet, exchange)
    keeper = world.relay(at.relay)
    assert (keeper.visits, keeper.creates, keeper.mailboxes.counts) == (0, 1, (1, 0))
    assert keeper.furthest(at.mailbox_id) == STORAGE_TICKS
    assert bob.mailboxes.current() == at


async def test_make_asksAgain_whenTheAnswerIsLost_andPaysOnce(world: World, bob: User):
    keeper = world.relay((await bob.wallet.draw(KIND_MAILBOX)).relay.id)
    keeper.faults.loses = 1
    looking = Looking(bob)
    async with looking.exchange() as exchange:
        at = await bob.mailboxes.make(bob.wallet, exchange)
    assert (at.relay, keeper.creates, keeper.visits) == (keeper.id, 2, 0)
    assert keeper.furthest(at.mailbox_id) == STORAGE_TICKS


async def test_make_takesAnotherPass_whenTheRelayIgnoresUs_orRefuses(world: World, bob: User):
    first = world.relay((await bob.wallet.draw(KIND_MAILBOX)).relay.id)
    first.faults.ignores = 10**6
    looking = Looking(bob)
    async with looking.exchange() as exchange:
        at = await bob.mailboxes.make(bob.wallet, exchange)
    assert at.relay != first.id and first.creates == MOST_SILENT
    assert any("answers no request" in line for line in bob.told)


async def test_empty_bringsEverything_confirmsIt_andNobodyCame(world: World, bob: User, box: Box):
    messages = [*texts(4), file_message("f", FILE)]
    box.put(*messages)
    stored = box.left
    looking = Looking(bob)
    assert await looking.once() == [message.content for message in messages]
    assert (box.left, looking.round.fetched, looking.round.troubles) == (0, stored, [])
    assert box.was_not_visited()
    # A block each, three where there was more, and one that brought the terms.
    asked = [len(fetch.blocks) for fetch in box.keeper.fetches]
    assert asked[0] == asked[-1] == 1 and set(asked[1:-1]) <= {1, 3}
    assert box.paid == sum(asked) <= stored + 3
    assert len(entries(world)) == 1
    assert sum(relay.covers for relay in world.relays) > 0


async def test_empty_asksOnce_whereNothingIs(bob: User, box: Box):
    looking = Looking(bob)
    assert await looking.once() == []
    assert (len(box.keeper.fetches), box.paid, looking.round.troubles) == (1, 1, [])


async def test_patientLook_confirmsWithTheNextOne(bob: User, box: Box):
    box.put(*texts(2))
    looking = Looking(bob)
    await looking.once(patient=True)
    assert box.left == 1  # the second request has confirmed the first message
    before = len(box.keeper.fetches)
    await looking.once(patient=True)
    assert (box.left, len(box.keeper.fetches)) == (0, before + 1)
    assert len(looking.got) == 2


@pytest.mark.parametrize("lost", [1, 2])
async def test_answersThatAreLost_areAskedForAgain_andNothingComesTwice(bob: User, box: Box, lost: int):
    messages = texts(7)
    box.put(*messages)
    box.keeper.faults.loses = lost
    looking = Looking(bob)
    found = await looking.once()
    assert sorted(found) == [message.content for message in messages]
    assert (box.left, looking.round.troubles) == (0, [])


async def test_newProgram_takesWhatWasNotConfirmed_once(bob: User, box: Box):
    box.put(*texts(1))
    await Looking(bob).once(patient=True)
    bob.restart()
    again = Looking(bob)
    assert await again.once() == []  # it is known, by the disk
    assert box.left == 0


async def test_relayThatIgnoresRequests_isSaid_andCostsFewTicks(bob: User, box: Box):
    box.put(*texts(1))
    box.keeper.faults.ignores = 10**6
    looking = Looking(bob)
    before = bob.store.pass_of_mailbox(box.at.relay, Term(EPOCH)).counter
    assert await looking.once() == []
    assert "answers no request" in looking.round.troubles[0]
    assert len(box.keeper.fetches) == MOST_SILENT
    after = bob.store.pass_of_mailbox(box.at.relay, Term(EPOCH)).counter
    assert after - before == MOST_SILENT
    box.keeper.faults.ignores = 0
    assert await looking.once() == [b"message 0"], "the ticks that were lost are no hindrance"


Answers = Callable[[requests.Fetch], list[requests.Answer]]
BODY = bytes(2048)
WRONG: dict[str, tuple[Answers, str]] = {
    "the same one again": (
        lambda fetch: [requests.Message(1, BODY, more=True)],
        "it sent message 1 behind 1",
    ),
    "in falling order": (
        lambda fetch: [requests.Message(n, BODY, more=True) for n in (9, 8, 7)][: len(fetch.blocks)],
        "it sent message 9 behind 9",
    ),
    "a refusal": (lambda fetch: [wire.Refused("unknown_mailbox")], "unknown_mailbox"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_relayThatAnswersNonsense_isSaid_andDoesNotKeepUs(bob: User, box: Box, what: str):
    box.keeper.faults.answers, said = WRONG[what]
    looking = Looking(bob)
    assert await looking.once() == []
    assert said in looking.round.troubles[0]
    assert len(box.keeper.fetches) <= 3


async def test_ticksThatWereLost_areNoHindrance_howeverMany(bob: User, box: Box):
    """More are missing than a relay takes as a gap; it says, and shows, which one it holds."""
    stored = bob.store.pass_of_mailbox(box.at.relay, Term(EPOCH))
    bob.store.set_counter(stored.row, STORAGE_TICKS + 2_000)
    box.put(*texts(1))
    looking = Looking(bob)
    assert await looking.once() == [b"message 0"]
    assert (looking.round.troubles, box.left) == ([], 0)


async def test_relayThatClaimsTicksItWasNotShown_getsNoneForThem(bob: User, box: Box):
    box.put(*texts(1))
    box.keeper.faults.holds = TICKS - 1
    box.keeper.faults.answers = lambda fetch: [box.keeper.terms(box.at.mailbox_id)]
    looking = Looking(bob)
    assert await looking.once() == []
    assert "was never shown" in looking.round.troubles[0]
    assert len(box.keeper.fetches) == 1


async def test_relayThatTakesNoTick_isAskedFewTimes(bob: User, box: Box):
    box.put(*texts(1))
    box.keeper.faults.answers = lambda fetch: [box.keeper.terms(box.at.mailbox_id)]
    looking = Looking(bob)
    assert await looking.once() == []
    assert "unpaid" in looking.round.troubles[0]
    assert len(box.keeper.fetches) == MOST_UNPAID


async def test_campaignThatPaysForNoMore_isSaid(bob: User, box: Box):
    box.keeper.faults.room = 0
    box.keeper.faults.answers = lambda fetch: [box.keeper.terms(box.at.mailbox_id)]
    looking = Looking(bob)
    await looking.once()
    assert CAMPAIGN_LIMIT in looking.round.troubles[0]


async def test_passThatIsUsedUp_isSaid(bob: User, box: Box):
    stored = bob.store.pass_of_mailbox(box.at.relay, Term(EPOCH))
    bob.store.set_counter(stored.row, TICKS)
    looking = Looking(bob)
    await looking.once()
    assert "unpaid" in looking.round.troubles[0]
    assert not box.keeper.fetches


async def test_mailboxOfATermThatIsOver_isFree(bob: User, box: Box, monkeypatch: pytest.MonkeyPatch):
    box.put(*texts(1))
    monkeypatch.setattr(type(bob.world.view), "term", property(lambda _: Term(EPOCH + 1)))
    assert await Looking(bob).once() == [b"message 0"]
    assert {fetch.tick for fetch in box.keeper.fetches} == {()}
    assert (box.left, box.paid) == (0, 0)


# ---------------------------------------------------------------------- entries


async def test_entryThatForgesAcks_isLeft_andTheNextOneCarriesTheRequest(world: World, bob: User, box: Box):
    box.put(*texts(2))
    first = await bob.wallet.draw(KIND_ENTRY)
    world.relay(first.relay.id).faults.forge_acks = True
    assert len(await Looking(bob).once()) == 2
    held = [stored.row for stored in bob.store.passes(KIND_ENTRY, EPOCH)]
    assert first.stored.row not in held, "it is given up"


@pytest.mark.parametrize("fault", ["hangs_up", "drops"])
async def test_entryThatCarriesNothing_doesNotKeepUsForEver(world: World, bob: User, box: Box, fault: str):
    box.put(*texts(1))
    for relay in world.relays:
        setattr(relay.faults, fault, True)
    looking = Looking(bob)
    assert await looking.once() == []
    assert looking.round.troubles


async def test_refusedParts_goByOtherPaths(world: World, bob: User, box: Box):
    box.put(*texts(3))
    entry = world.relay((await bob.wallet.draw(1)).relay.id)
    entry.faults.statuses = [wire.DownStatus.MIX_UNREACHABLE] * 3
    assert len(await Looking(bob).once()) == 3


async def test_budgetThatIsUsedUp_isSaidAsThat(world: World, bob: User, box: Box):
    for relay in world.relays:
        relay.faults.refuse = CAMPAIGN_LIMIT
    with pytest.raises(BudgetSpent):
        await Looking(bob).once()
