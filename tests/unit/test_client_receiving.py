"""Mailboxes: made once, emptied through the disk, by a program that may stop at any moment."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from client_world import EPOCH, User, World
from mixpay import envelope
from mixpay.address import Address
from mixpay.client import receiving, wallet
from mixpay.client.identity import Identity
from mixpay.client.inbox import REMEMBERED_SECONDS, Arrived, Inbox, Incomplete
from mixpay.client.receiving import PATIENCE_SECONDS, Unconfirmed
from mixpay.client.store import ClientStore
from mixpay.client.visits import Round
from mixpay.client.wallet import NoPass
from mixpay.envelope import Kind, file_message, text_message
from mixpay.mailbox import PAGE_MESSAGES, STORAGE_TICKS
from mixpay.passes import TICKS
from mixpay.sponsor.keys import PassKeys
from mixpay.types import Epoch, RelayId, Term
from pass_keys import pass_keys

FILE = os.urandom(150_000)


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


class Looking:
    """One run of `receive`: what was delivered, and what was not in order."""

    def __init__(self, bob: User, now: int = 0) -> None:
        self.bob, self.now = bob, now
        self.inbox, self.round = Inbox(bob.store, bob.identity, bob.world.view.mark), Round()
        self.got: list[Arrived] = []

    async def once(self, *, patient: bool = False) -> Looking:
        self.deliver(self.inbox.restore(self.now))
        await self.bob.mailboxes.empty(self.inbox, self.now, self.deliver, self.round, patient=patient)
        return self

    def deliver(self, arrived: list[Arrived]) -> None:
        for message in arrived:
            self.got.append(message)
            self.inbox.saved(message.message_id, self.now)

    @property
    def contents(self) -> list[bytes]:
        return [arrived.message.content for arrived in self.got]


def put(world: World, to: Address, message: envelope.Message, leave_out: int | None = None) -> list[bytes]:
    """Lay a message into a mailbox; the bodies."""
    pieces = envelope.fragments(message, os.urandom)
    bodies = [envelope.seal(piece, to, os.urandom) for piece in pieces if piece.index != leave_out]
    for body in bodies:
        world.relay(to.relay).deliver(to.mailbox_id, body)
    return bodies


def left(world: World, to: Address) -> int:
    return world.relay(to.relay).mailboxes.counts[1]


async def test_make_opensAMailboxAtTheDrawnRelay_once(world: World, bob: User):
    assert bob.mailboxes.current() is None
    to = await bob.mailboxes.make(bob.wallet)
    assert bob.mailboxes.current() == to
    bob.restart()
    assert bob.mailboxes.current() == to
    assert world.relay(to.relay).mailboxes.counts == (1, 0)


async def test_make_isRepeatedAfterACrash_withTheSameAddress(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    bob.store.drop_mailbox(to.relay, Term(EPOCH))
    bob.restart()
    assert await bob.mailboxes.make(bob.wallet) == to
    assert world.relay(to.relay).mailboxes.counts == (1, 0)


async def test_make_takesAnotherPass_whenTheRelayIsDownOrRefuses(world: World, bob: User):
    first = world.relay((await bob.wallet.draw(2)).relay.id)
    await first.stop()
    second = world.relay((await bob.mailboxes.make(bob.wallet)).relay)
    assert second.id != first.id
    assert any(f"relay {first.id} at" in line for line in bob.told)


async def test_make_givesUp_whenAllRefuse(world: World, bob: User):
    for relay in world.relays:
        relay.faults.refuse = "full"
    with pytest.raises(NoPass):
        await bob.mailboxes.make(bob.wallet)
    assert all("full" in line for line in bob.told)


async def test_empty_deliversAndDeletes_overSeveralPages(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    count = len(put(world, to, file_message("a.bin", FILE)))
    put(world, to, text_message("hello"))
    looking = await Looking(bob).once()
    assert looking.contents == [FILE, b"hello"]
    assert looking.got[0].message.name == "a.bin"
    assert count > 64
    assert left(world, to) == 0
    assert (await Looking(bob).once()).contents == []


async def test_empty_keepsWhatIsIncomplete_andCompletesItLater(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    message = file_message("a.bin", FILE[:5_000])
    pieces = envelope.fragments(message, os.urandom)
    sealed = [envelope.seal(piece, to, os.urandom) for piece in pieces]
    for body in sealed[1:]:
        world.relay(to.relay).deliver(to.mailbox_id, body)
    looking = await Looking(bob).once()
    assert looking.contents == []
    assert looking.inbox.incomplete() == [Incomplete(pieces[0].message_id, len(pieces) - 1, len(pieces))]
    assert left(world, to) == 0, "it is on our disk"
    world.relay(to.relay).deliver(to.mailbox_id, sealed[0])
    assert (await Looking(bob).once()).contents == [FILE[:5_000]]
    assert list(bob.store.bodies()) == []


async def test_empty_losesNothing_whenTheProgramDiesBeforeDelivery(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    put(world, to, text_message("hello"))

    class Died(Exception):
        pass

    def die(_: list[Arrived]) -> None:
        raise Died

    inbox = Inbox(bob.store, bob.identity, bob.world.view.mark)
    with pytest.raises(Died):
        await bob.mailboxes.empty(inbox, 0, die, Round())
    assert left(world, to) == 0
    assert (await Looking(bob).once()).contents == [b"hello"]
    assert (await Looking(bob).once()).contents == []


async def test_empty_losesNothing_whenTheDiskFails(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    put(world, to, text_message("hello"))
    broken = ClientStore(world.folder / "broken.sqlite")
    inbox = Inbox(broken, bob.identity, bob.world.view.mark)
    broken.close()
    with pytest.raises(sqlite3.Error):
        await bob.mailboxes.empty(inbox, 0, lambda _: None, Round())
    assert left(world, to) == 1
    assert (await Looking(bob).once()).contents == [b"hello"]


async def test_empty_deliversOnce_whatWasFetchedAndNotDeleted(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    bodies = put(world, to, text_message("hello"))
    assert (await Looking(bob).once()).contents == [b"hello"]
    # The relay forgot the deletion, and a copy of the packet came as well.
    world.relay(to.relay).deliver(to.mailbox_id, bodies[0])
    looking = await Looking(bob).once()
    assert looking.contents == []
    assert looking.inbox.dropped["finished"] == 1


async def test_empty_dropsWhatIsNotForUs(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    world.relay(to.relay).deliver(to.mailbox_id, os.urandom(2048))
    put(world, to, text_message("hello"))
    looking = await Looking(bob).once()
    assert looking.contents == [b"hello"]
    assert sum(looking.inbox.dropped.values()) == 1
    assert left(world, to) == 0


async def test_empty_saysWhichMailboxDidNotAnswer_andEmptiesTheOthers(world: World, bob: User):
    first = await bob.mailboxes.make(bob.wallet)
    other = next(relay for relay in world.relays if relay.id != first.relay)
    bob.store.put_mailbox(other.id, Term(EPOCH), None)
    put(world, first, text_message("hello"))
    await other.stop()
    looking = await Looking(bob).once()
    assert looking.contents == [b"hello"]
    (trouble,) = looking.round.troubles
    assert trouble.startswith(f"the mailbox at relay {other.id}:")
    await other.start()
    assert "not_the_owner" in (await Looking(bob).once()).round.troubles[0], "there is no such mailbox"


@pytest.mark.parametrize(
    "page",
    [
        lambda _: [1],
        lambda after: [after],
        lambda after: [after + 2, after + 1],
        lambda after: [after + 1] * 2,
        lambda _: [1 << 63],
    ],
    ids=["the first again", "the last again", "falling", "twice", "more than a database can count"],
)
async def test_empty_refusesSequencesThatDoNotRise(world: World, bob: User, page: Callable[[int], list[int]]):
    to = await bob.mailboxes.make(bob.wallet)
    world.relay(to.relay).faults.endless = page
    looking = await Looking(bob).once()
    (trouble,) = looking.round.troubles
    assert "does not speak our protocol: it sent message" in trouble
    assert looking.round.fetched <= 1


async def test_empty_ends_atARelayThatAlwaysHasMore(world: World, bob: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(receiving, "MAX_PAGES", 3)
    to = await bob.mailboxes.make(bob.wallet)
    world.relay(to.relay).faults.endless = lambda after: [after + 1, after + 5]
    looking = await Looking(bob).once()
    (trouble,) = looking.round.troubles
    assert "more than 3 pages" in trouble
    assert looking.round.fetched == 6


# ---------------------------------------------------------------------- paying


def paid(world: World, to: Address) -> int:
    """The furthest tick that the mailbox's relay holds."""
    return world.relay(to.relay).furthest(to.mailbox_id)


def spent(bob: User, to: Address) -> int:
    stored = bob.store.pass_of_mailbox(to.relay, Term(EPOCH))
    assert stored is not None
    return stored.counter


async def test_make_paysForStorage_andNeverShowsALinkTwice(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    assert (paid(world, to), spent(bob, to)) == (STORAGE_TICKS, STORAGE_TICKS)
    bob.store.drop_mailbox(to.relay, Term(EPOCH))  # it died before it noted the mailbox
    bob.restart()
    assert await bob.mailboxes.make(bob.wallet) == to
    assert (paid(world, to), spent(bob, to)) == (STORAGE_TICKS, STORAGE_TICKS + 1)
    await Looking(bob).once()
    put(world, to, text_message("hello"))
    await Looking(bob).once()
    assert paid(world, to) == spent(bob, to) == STORAGE_TICKS + 2


async def test_make_asksAgain_whenTheAnswerWasLost(world: World, bob: User):
    relay = world.relay((await bob.wallet.draw(2)).relay.id)
    relay.faults.lose_made = True
    to = await bob.mailboxes.make(bob.wallet)
    assert to.relay == relay.id
    assert relay.mailboxes.counts == (1, 0)
    assert paid(world, to) == STORAGE_TICKS


async def test_make_keepsThePass_whenTheRelayHasNoRoom(world: World, bob: User):
    relay = world.relay((await bob.wallet.draw(2)).relay.id)
    relay.faults.refuse = "full"
    other = await bob.mailboxes.make(bob.wallet)
    assert other.relay != relay.id
    relay.faults.refuse = ""
    bob.restart()
    rows = [stored.counter for stored in bob.store.passes(2, EPOCH)]
    assert len(rows) > 1 and set(rows) == {STORAGE_TICKS}, "none is given up"


async def test_empty_paysATickForEachPage(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    count = len(put(world, to, file_message("a.bin", FILE)))
    await Looking(bob).once()
    assert paid(world, to) == spent(bob, to) == STORAGE_TICKS + -(-count // PAGE_MESSAGES)
    bob.restart()
    for _ in range(3):
        world.relay(to.relay).deliver(to.mailbox_id, os.urandom(2048))  # junk costs as much, page by page
    await Looking(bob).once()
    await Looking(bob).once()
    assert paid(world, to) == STORAGE_TICKS + -(-count // PAGE_MESSAGES) + 1
    assert left(world, to) == 0


async def test_empty_waitsForAPageToFill_whenItLooksAgainSoon(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    for number in range(3):
        put(world, to, text_message(f"{number}"))
        looking = await Looking(bob, number).once(patient=True)
        assert (looking.contents, looking.round.fetched) == ([b"%d" % number], 1), "nothing comes twice"
    assert (paid(world, to), left(world, to)) == (STORAGE_TICKS, 3)
    await Looking(bob, PATIENCE_SECONDS - 1).once(patient=True)
    assert left(world, to) == 3
    await Looking(bob, PATIENCE_SECONDS).once(patient=True)
    assert (paid(world, to), left(world, to)) == (STORAGE_TICKS + 1, 0)
    put(world, to, file_message("a", bytes(2048 * PAGE_MESSAGES)))
    looking = await Looking(bob, PATIENCE_SECONDS + 1).once(patient=True)
    assert left(world, to) == looking.round.fetched - PAGE_MESSAGES
    assert paid(world, to) == STORAGE_TICKS + 2


async def test_empty_confirmsWhatAnEarlierRunLeft(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    put(world, to, text_message("hello"))
    assert (await Looking(bob).once(patient=True)).contents == [b"hello"]
    bob.restart()
    looking = await Looking(bob).once()
    assert (looking.contents, looking.round.fetched, left(world, to)) == ([], 1, 0)


async def test_empty_goesOnReading_whenNothingCanBePaid(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    faults = world.relay(to.relay).faults
    faults.room = 0
    for number in range(3):
        put(world, to, text_message(f"{number}"))
        looking = await Looking(bob, number).once()
        assert looking.contents == [b"%d" % number]
        assert [("campaign_limit" in trouble) for trouble in looking.round.troubles] == [True][number:]
    assert (left(world, to), spent(bob, to)) == (3, STORAGE_TICKS), "no tick is wasted on it"
    faults.room = 10
    looking = await Looking(bob, PATIENCE_SECONDS).once()
    assert (looking.round.troubles, left(world, to)) == ([], 0)
    assert spent(bob, to) == STORAGE_TICKS + 1


async def test_empty_goesOnReading_whenThePassIsSpent(
    world: World, bob: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wallet, "MOST_UNANSWERED", TICKS)
    to = await bob.mailboxes.make(bob.wallet)
    stored = bob.store.pass_of_mailbox(to.relay, Term(EPOCH))
    assert stored is not None
    bob.store.set_counter(stored.row, TICKS)
    put(world, to, text_message("hello"))
    looking = await Looking(bob).once()
    assert looking.contents == [b"hello"]
    assert "1 messages that you have are not deleted there" in looking.round.troubles[0]


async def test_relayThatTakesNoTicks_isShownFewOfThem_againAndAgain(
    world: World, bob: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wallet, "MOST_UNANSWERED", 5)
    to = await bob.mailboxes.make(bob.wallet)
    world.relay(to.relay).faults.refuse_delete = "unpaid"
    put(world, to, text_message("hello"))
    for number in range(10):
        await Looking(bob, number * PATIENCE_SECONDS).once()
    assert paid(world, to) < spent(bob, to) <= paid(world, to) + 6
    assert left(world, to) == 1


async def test_confirming_costsNoMoreThanAMailboxHolds(world: World, bob: User):
    """Or what was not confirmed for long, and is gone by age, would be paid, beyond what a relay takes at
    once; and one that refuses, and makes up messages, would get a whole pass by a single tick.
    """
    to = await bob.mailboxes.make(bob.wallet)
    put(world, to, text_message("hello"))
    bob.mailboxes._due[to.relay, Term(EPOCH)] = Unconfirmed(1_000_000, 0, 0, None)
    await Looking(bob).once()
    assert spent(bob, to) == paid(world, to) == STORAGE_TICKS + 4096 // PAGE_MESSAGES
    assert left(world, to) == 0


@pytest.mark.parametrize("claimed", [STORAGE_TICKS + 1, TICKS - 1, TICKS, (1 << 32) - 1])
async def test_relayThatClaimsTicksItWasNotShown_getsNone(world: World, bob: User, claimed: int):
    """The next one would pay for all before it."""
    to = await bob.mailboxes.make(bob.wallet)
    world.relay(to.relay).faults.holds = claimed
    put(world, to, text_message("hello"))
    looking = await Looking(bob).once()
    assert looking.contents == [b"hello"]
    assert "not deleted there" in looking.round.troubles[0]
    assert (spent(bob, to), left(world, to)) == (STORAGE_TICKS, 1)


async def test_walletFromAnOlderCopy_stepsOverWhatTheRelayHolds(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    put(world, to, text_message("one"))
    await Looking(bob).once()
    stored = bob.store.pass_of_mailbox(to.relay, Term(EPOCH))
    assert stored is not None
    bob.store.set_counter(stored.row, 0)
    put(world, to, text_message("two"))
    looking = await Looking(bob).once()
    assert (looking.contents, looking.round.troubles) == ([b"two"], [])
    assert paid(world, to) == spent(bob, to) == STORAGE_TICKS + 2


async def test_oldMailbox_isEmptiedForNothing(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    put(world, to, text_message("in time"))
    await Looking(bob).once(patient=True)
    put(world, to, text_message("late"))
    world.view.feed(world.next_epoch(), Epoch(EPOCH + 1))
    bob.wallet.forget_past()
    looking = await Looking(bob).once(patient=True)
    assert (looking.contents, looking.round.troubles, left(world, to)) == ([b"late"], [], 0)
    assert paid(world, to) == STORAGE_TICKS


async def test_known_forgetsAMailbox_aQuarterOfATermAfterItsTerm(world: World, bob: User):
    to = await bob.mailboxes.make(bob.wallet)
    schedule = world.view.schedule
    world.view.feed(world.next_epoch(), Epoch(EPOCH + 1))
    assert bob.mailboxes.known() == [(to.relay, EPOCH)]
    assert bob.mailboxes.current() is None, "a new term has a new address"
    world.view._chain_time = schedule.end(EPOCH) + schedule.epoch_length // 4
    assert bob.mailboxes.known() == []
    assert bob.store.mailboxes() == []


async def test_make_givesAnotherAddressInTheNextTerm_andBothAreEmptied(world: World, bob: User):
    old = await bob.mailboxes.make(bob.wallet)
    world.view.feed(world.next_epoch(), Epoch(EPOCH + 1))
    new = await bob.mailboxes.make(bob.wallet)
    assert new.mailbox_id != old.mailbox_id
    assert new.identity == old.identity
    put(world, old, text_message("to the old one"))
    put(world, new, text_message("to the new one"))
    assert sorted((await Looking(bob).once()).contents) == [b"to the new one", b"to the old one"]


def test_restore_forgetsWhatMadeNoProgressForAWeek(tmp_path: Path):
    user = Lonely(tmp_path)
    inbox = Inbox(user.store, user.identity, user.address.mark)
    pieces = envelope.fragments(file_message("a", FILE[:5_000]), os.urandom)
    body = envelope.seal(pieces[0], user.address, os.urandom)
    inbox.restore(0)
    assert inbox.take(user.address.relay, user.term, [(1, body)], 100) == []
    later = Inbox(user.store, user.identity, user.address.mark)
    later.restore(100 + 7 * 86400)
    assert len(later.incomplete()) == 1
    later = Inbox(user.store, user.identity, user.address.mark)
    later.restore(101 + 7 * 86400)
    assert later.incomplete() == []
    assert list(user.store.bodies()) == []


def test_take_dropsAMessageWhoseDigestIsWrong_forGood(tmp_path: Path):
    user = Lonely(tmp_path)
    inbox = Inbox(user.store, user.identity, user.address.mark)
    inbox.restore(0)
    pieces = envelope.fragments(file_message("a", FILE[:5_000]), os.urandom)
    last = pieces[-1]
    forged = envelope.Fragment(last.message_id, last.index, last.total, last.length, bytes(len(last.chunk)))
    bodies = [envelope.seal(piece, user.address, os.urandom) for piece in [*pieces[:-1], forged]]
    assert inbox.take(user.address.relay, user.term, list(enumerate(bodies, 1)), 0) == []
    assert inbox.dropped == {"digest": 1}
    assert list(user.store.bodies()) == []
    again = envelope.seal(pieces[0], user.address, os.urandom)
    assert inbox.take(user.address.relay, user.term, [(9, again)], 0) == []
    assert inbox.incomplete() == []


def test_finishedMessages_areRememberedForAWhile(tmp_path: Path):
    user = Lonely(tmp_path)
    inbox = Inbox(user.store, user.identity, user.address.mark)
    body = envelope.seal(envelope.fragments(text_message("x"), os.urandom)[0], user.address, os.urandom)
    (arrived,) = inbox.take(user.address.relay, user.term, [(1, body)], 0)
    assert arrived.message.kind is Kind.TEXT
    inbox.saved(arrived.message_id, 0)
    inbox.restore(REMEMBERED_SECONDS)
    assert inbox.take(user.address.relay, user.term, [(2, body)], 0) == []
    inbox.restore(REMEMBERED_SECONDS + 1)
    assert not user.store.is_finished(arrived.message_id)


def test_twoCommands_putAMessageTogether_whoeverFetchesItsPieces(tmp_path: Path):
    """`receive --follow`, and a `send` that waits for its acknowledgement, in one folder."""
    user = Lonely(tmp_path)
    one, other = (Inbox(user.store, user.identity, user.address.mark) for _ in range(2))
    for inbox in (one, other):
        inbox.restore(0)
    pieces = envelope.fragments(file_message("a", FILE[:5_000]), os.urandom)
    for sequence, (inbox, piece) in enumerate(zip((one, other, one), pieces, strict=True), 1):
        body = envelope.seal(piece, user.address, os.urandom)
        assert inbox.take(user.address.relay, user.term, [(sequence, body)], 0) == []
    (arrived,) = one.catch_up(0)
    assert arrived.message.content == FILE[:5_000]
    one.saved(arrived.message_id, 0)
    assert one.catch_up(0) == []
    assert other.catch_up(0) == []
    assert other.incomplete() == [], "it was delivered by the first one"


class Lonely:
    """A user without a network."""

    def __init__(self, folder: Path) -> None:
        self.store, self.identity, self.term = ClientStore(folder / "state"), Identity(b"\1" * 32), Term(4)
        self.address = self.identity.address(b"mark", RelayId(5), self.term)
