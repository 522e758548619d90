"""Delivery from end to end over a network that does its worst: exactly once, and both sides come to rest."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery_world import ROUTE, Crash, Person, Wires
from mixpay import envelope
from mixpay.address import UnusableAddress
from mixpay.client.route import NoPath
from mixpay.delivery.acks import Entry, messages
from mixpay.delivery.outgoing import Patience, State
from mixpay.envelope import CHUNK_BYTES, Message, Reply, file_message, text_message
from mixpay.types import RelayId

FATES = ("keep", "keep", "keep", "lose", "lose", "twice", "late", "before", "after")
STEPS = ("send", "fetch", "answer", "hear", "settle", "wait")


@contextmanager
def two(fate: Callable[[], str] = lambda: "keep") -> Iterator[tuple[Wires, Person, Person]]:
    """Alice, who writes, and Bob."""
    with tempfile.TemporaryDirectory() as folder:
        wires = Wires(fate)
        alice, bob = (Person(wires, Path(folder) / str(n), n) for n in (1, 2))
        with closing(alice), closing(bob):
            yield wires, alice, bob


def write(alice: Person, bob: Person, message: Message) -> bytes:
    return alice.courier.outbox.put(message, bob.address, alice.address, os.urandom, alice.wires.now)


def perform(step: str, alice: Person, bob: Person) -> None:
    """One step of one of the two, who begins anew if it crashes."""
    actor = alice if step in ("send", "hear") else bob
    try:
        match step:
            case "send":
                _run(alice.courier.send_due())
            case "fetch":
                bob.fetch()
            case "answer":
                _run(bob.courier.acknowledge(last=True))
            case "hear":
                alice.fetch()
            case "settle":
                alice.mailbox.settle()
                bob.mailbox.settle()
            case _:
                alice.wires.now += 7
    except Crash:
        quiet, actor.crash = actor.crash, lambda: False
        actor.start()
        actor.crash = quiet


def come_to_rest(alice: Person, bob: Person) -> None:
    """The network is well again: everybody looks every 40 seconds for an hour."""
    for _ in range(90):
        for step in (*STEPS, "hear", "fetch"):
            perform(step, alice, bob)
        alice.wires.now += 33


def _run(steps: Coroutine[None, None, None]) -> None:
    """Nothing in this world waits, so no loop is needed."""
    with suppress(StopIteration):
        steps.send(None)
        raise AssertionError("it waits for something")


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 4 * CHUNK_BYTES), min_size=1, max_size=3),
    fates=st.lists(st.sampled_from(FATES), max_size=80),
    steps=st.lists(st.sampled_from(STEPS), max_size=60),
    crashes=st.lists(st.booleans(), max_size=30),
)
def test_everyMessageArrivesOnce_andAllComesToRest_whateverHappens(sizes, fates, steps, crashes) -> None:
    """Loss, repetition, delay and reordering of packets, and a crash at any step of either side."""
    coming, ending = iter(fates), iter(crashes)
    with two(lambda: next(coming, "keep")) as (wires, alice, bob):
        alice.crash = bob.crash = lambda: next(ending, False)
        sent = [file_message("f", os.urandom(size)) for size in sizes]
        for message in sent:
            write(alice, bob, message)
        for step in steps:
            perform(step, alice, bob)
        come_to_rest(alice, bob)
        assert sorted(bob.read) == sorted(message.content for message in sent)
        assert list(alice.courier.outbox.waiting()) == []
        assert alice.read == []
        before = len(wires.posted)
        come_to_rest(alice, bob)
        assert len(wires.posted) == before, "nothing goes to and fro when all is done"
        assert bob.mailbox.bodies == alice.mailbox.bodies == []


def test_oneAcknowledgement_isForAllMessages() -> None:
    with two() as (wires, alice, bob):
        for number in range(5):
            write(alice, bob, text_message(f"message {number}"))
        perform("send", alice, bob)
        perform("fetch", alice, bob)
        perform("answer", alice, bob)
        assert [to for to, _ in wires.posted].count(alice.address) == 1
        perform("hear", alice, bob)
        assert [end.state for end in alice.courier.ended] == [State.ACKNOWLEDGED] * 5


def test_onlyWhatIsMissing_isSentAgain() -> None:
    lost = iter(["keep", "keep", "lose", "keep", "keep", "keep", "keep", "lose", "keep", "keep"])
    with two(lambda: next(lost, "keep")) as (wires, alice, bob):
        write(alice, bob, file_message("f", bytes(5 * CHUNK_BYTES)))
        for step in ("send", "fetch", "answer", "hear"):
            perform(step, alice, bob)
        first = len(wires.posted)
        wires.now += Patience().settled
        perform("send", alice, bob)
        again = [index for to, index in wires.posted[first:] if to == bob.address]
        assert again == [1, 4]


def test_deadMix_isAvoided_thoughAQuestionThroughItSeemsToHaveArrived() -> None:
    dead, well = (RelayId(1), RelayId(4), RelayId(7)), (RelayId(2), RelayId(5), RelayId(8))
    with two() as (wires, alice, bob):

        def send(route: tuple[RelayId, ...], fates: dict[int, str]) -> list[int]:
            before = len(wires.posted)
            wires.route, wires.fate = lambda index: route, lambda: fates.get(wires.posted[-1][1], "keep")
            perform("send", alice, bob)
            wires.fate = lambda: "keep"
            return [index for _, index in wires.posted[before:]]

        def answer() -> None:
            wires.now += Patience().settled
            for step in ("settle", "fetch", "answer", "hear"):
                perform(step, alice, bob)

        write(alice, bob, file_message("f", bytes(2 * CHUNK_BYTES)))
        assert send(dead, {1: "lose", 2: "lose"}) == [0, 1, 2]
        bob.mailbox.bodies.clear()
        wires.now += Patience().question
        assert send(well, {}) == [0]
        answer()
        assert send(well, {1: "lose", 2: "late"}) == [1, 2]
        (suspect,) = wires.avoided[-1]
        assert suspect in dead
        wires.now += Patience().question
        assert send(dead, {0: "lose"}) == [0], "a question"
        answer()
        assert send(well, {}) == [1]
        assert suspect in wires.avoided[-1]


def test_whoAsksAgain_isAnsweredTwice_byDifferentMixes() -> None:
    """One mix is dead, and nobody has said so: only one of two ways leads through it."""
    with two() as (wires, alice, bob):
        write(alice, bob, file_message("f", bytes(3 * CHUNK_BYTES)))
        perform("send", alice, bob)
        del bob.mailbox.bodies[2]
        wires.fate = lambda: "lose"
        perform("fetch", alice, bob)
        wires.now += 5
        perform("answer", alice, bob)
        assert [to for to, _ in wires.posted].count(alice.address) == 1
        wires.fate = lambda: "keep"
        wires.now += Patience().question
        perform("send", alice, bob)  # its first piece again: the question
        perform("fetch", alice, bob)
        wires.now += 5
        perform("answer", alice, bob)
        told = zip(wires.posted, wires.avoided, strict=True)
        answers = [ways for (to, _), ways in told if to == alice.address]
        assert answers == [set(), set(), set(ROUTE)]
        assert len(alice.mailbox.bodies) == 2


def test_aRefetchAfterACrash_isNotAcknowledgedAgain() -> None:
    with two() as (wires, alice, bob):
        write(alice, bob, text_message("hello"))
        perform("send", alice, bob)
        kept = list(bob.mailbox.bodies)
        for _ in range(5):
            bob.mailbox.bodies = list(kept)  # the deletion was lost
            perform("fetch", alice, bob)
            perform("answer", alice, bob)
        assert [to for to, _ in wires.posted].count(alice.address) == 1
        assert bob.read == [b"hello"]


def test_whatIsNotSafeYet_isNotAcknowledged() -> None:
    with two() as (wires, alice, bob):
        write(alice, bob, text_message("hello"))
        perform("send", alice, bob)
        bob.crash = iter((False, False, True)).__next__  # between fetching it and writing it down
        with pytest.raises(Crash):
            bob.fetch()
        perform("answer", alice, bob)
        assert [to for to, _ in wires.posted].count(alice.address) == 0
        bob.crash = lambda: False
        bob.start()
        perform("answer", alice, bob)
        assert [to for to, _ in wires.posted].count(alice.address) == 1
        assert bob.read == [b"hello"]


def test_offlineReceiver_findsTheMessageOnce_andAFewQuestions() -> None:
    with two() as (wires, alice, bob):
        write(alice, bob, file_message("f", bytes(100 * CHUNK_BYTES)))
        for _ in range(3 * 24 * 60):
            perform("send", alice, bob)
            wires.now += 60
        assert len(bob.mailbox.bodies) <= 101 + 20
        come_to_rest(alice, bob)
        assert [len(content) for content in bob.read] == [100 * CHUNK_BYTES]
        assert alice.courier.ended[0].state is State.ACKNOWLEDGED


def test_aReceiverThatNeverAnswers_isGivenUp_withAReport() -> None:
    with two() as (wires, alice, bob):
        message_id = write(alice, bob, file_message("f", bytes(3 * CHUNK_BYTES)))
        for _ in range(8 * 24):
            perform("send", alice, bob)
            wires.now += 3_600
        assert len(wires.posted) < 28
        text = f"message {message_id.hex()} is given up: 4 of its 4 pieces were never acknowledged"
        assert alice.told == [text]


# ---------------------------------------------------------------------- hostile people


def forged(message_id: bytes, alice: Person, key: bytes) -> bytes:
    (ack,) = messages([Entry.of(message_id, Reply(alice.address, key), None, 1)])
    return ack.content


def test_stranger_cannotForgeAnAcknowledgement() -> None:
    """Not even one who knows the message's id and the sender's address."""
    with two() as (_, alice, bob):
        message_id = write(alice, bob, text_message("hello"))
        perform("send", alice, bob)
        for content in (forged(message_id, alice, bytes(16)), b"", os.urandom(33), os.urandom(500)):
            alice.courier.hear(content)
        assert [number for number, _ in alice.courier.outbox.waiting()] == [message_id]
        assert alice.courier.ended == []


def test_acknowledgement_isGoodForItsMessageOnly() -> None:
    with two() as (_, alice, bob):
        mine, other = (write(alice, bob, text_message(text)) for text in ("one", "two"))
        letter = alice.courier.outbox.letter(mine)
        assert letter is not None
        alice.courier.hear(forged(other, alice, letter.ack_key))
        assert len(list(alice.courier.outbox.waiting())) == 2
        alice.courier.hear(forged(mine, alice, letter.ack_key))
        assert [number for number, _ in alice.courier.outbox.waiting()] == [other]


def test_hostileReceiver_getsAFewCopies_atItsOwnAddress_andNoMore() -> None:
    """It says again and again that it has nothing."""
    with two() as (wires, alice, bob):
        message_id = write(alice, bob, file_message("f", bytes(3 * CHUNK_BYTES)))
        letter = alice.courier.outbox.letter(message_id)
        assert letter is not None
        entry = Entry.of(message_id, letter.reply, frozenset(), 4)
        (nothing,) = messages([entry])
        for _ in range(7 * 24 * 12):
            perform("send", alice, bob)
            alice.courier.hear(nothing.content)
            wires.now += 300
        perform("send", alice, bob)
        assert {to for to, _ in wires.posted} == {bob.address}
        assert len(wires.posted) <= 4 * Patience().copies + 24
        assert [end.state for end in alice.courier.ended] == [State.GIVEN_UP]


def test_hostileSender_getsNoMorePacketsOut_thanItSendsIn() -> None:
    """It names somebody else as the one to tell, in every message."""
    with two() as (wires, alice, bob):
        victim = alice.address
        for _ in range(40):
            for piece in envelope.fragments(text_message("x"), os.urandom, Reply(victim, bytes(16))):
                bob.mailbox.put(envelope.seal(piece, bob.address, os.urandom))
            perform("fetch", alice, bob)
            for _ in range(3):
                perform("answer", alice, bob)
        assert len(wires.posted) == 40


def test_hostileSender_whoAsksAgainAndAgain_getsLessThanTwiceAsManyOut() -> None:
    """In the name of somebody else: doubled answers are the price of a mix that is dead."""
    with two() as (wires, alice, bob):
        (piece,) = envelope.fragments(text_message("x"), os.urandom, Reply(alice.address, bytes(16)))
        for asked in range(1, 100):
            bob.mailbox.put(envelope.seal(piece, bob.address, os.urandom))
            perform("fetch", alice, bob)
            perform("answer", alice, bob)
            assert len(wires.posted) == min(2 * asked - 1, 64)


def test_hostileMailboxRelay_thatRepeatsABody_isNotAnsweredForEver() -> None:
    with two() as (wires, alice, bob):
        write(alice, bob, text_message("hello"))
        perform("send", alice, bob)
        ((_, body),) = bob.mailbox.bodies
        for _ in range(200):
            perform("fetch", alice, bob)
            perform("answer", alice, bob)
            bob.mailbox.put(body)
        assert [to for to, _ in wires.posted].count(alice.address) == 64
        assert bob.read == [b"hello"]


def test_addressOfAnotherNetwork_isToldNothing() -> None:
    with two() as (wires, alice, bob):
        elsewhere = Reply(type(alice.address)(b"else", *_parts(alice.address)), bytes(16))
        for piece in envelope.fragments(text_message("x"), os.urandom, elsewhere):
            bob.mailbox.put(envelope.seal(piece, bob.address, os.urandom))
        perform("fetch", alice, bob)
        perform("answer", alice, bob)
        assert (wires.posted, bob.told, bob.courier.inbox.debts()) == ([], [], [])


def _parts(address):
    return address.relay, address.mailbox_id, address.identity


# ---------------------------------------------------------------------- trouble, and what is on disk


def test_trouble_isToldOnce_andOutlasted() -> None:
    with two() as (wires, alice, bob):
        write(alice, bob, text_message("hello"))
        wires.trouble = "no pass"
        for _ in range(100):
            perform("send", alice, bob)
            wires.now += 10
        assert alice.told == ["no pass; it is kept, and tried again"]
        wires.trouble, wires.now = None, wires.now + 600
        come_to_rest(alice, bob)
        assert bob.read == [b"hello"]


def test_aReceiverThatCannotBeReached_keepsNobodyElseWaiting() -> None:
    """Its relay has left, or is down; or it gave an address whose key is no key."""
    for trouble in (UnusableAddress("its relay has left"), NoPath("its relay is down")):
        with two() as (wires, alice, bob):
            gone = replace(bob.address, relay=RelayId(77))
            wires.troubles[gone] = trouble
            for _ in range(8):  # whatever the order in which messages are looked through
                alice.courier.outbox.put(text_message("x"), gone, alice.address, os.urandom, wires.now)
            write(alice, bob, text_message("hello"))
            perform("send", alice, bob)
            perform("fetch", alice, bob)
            assert bob.read == [b"hello"]
            assert alice.told == [f"{trouble}; it is kept, and tried again"]
            for _ in range(600):
                perform("send", alice, bob)
                wires.now += 1
            assert wires.asked.count(gone) < 12, "it is tried more and more seldom"


def test_aStrangerWhoCannotBeToldAnything_keepsNobodyElseWaiting() -> None:
    """Twenty messages that name a place to which nothing can be sent: more than are answered at once."""
    for trouble in (UnusableAddress("no valid key"), NoPath("its relay is down")):
        with two() as (wires, alice, bob):
            for number in range(20):
                nowhere = replace(alice.address, relay=RelayId(77 + number))
                wires.troubles[nowhere] = trouble
                for piece in envelope.fragments(text_message("x"), os.urandom, Reply(nowhere, bytes(16))):
                    bob.mailbox.put(envelope.seal(piece, bob.address, os.urandom))
            write(alice, bob, text_message("hello"))
            for step in ("send", "fetch", "answer", "answer", "hear"):
                perform(step, alice, bob)
            assert [end.state for end in alice.courier.ended] == [State.ACKNOWLEDGED]


def test_store_tellsNobody_whoWritesToWhom_orWhat(tmp_path: Path) -> None:
    wires = Wires()
    alice, bob = Person(wires, tmp_path / "alice", 1), Person(wires, tmp_path / "bob", 2)
    write(alice, bob, file_message("secret-name.txt", b"secret content"))
    perform("send", alice, bob)
    bob.fetch()
    found = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (b"secret", *_parts(bob.address)[1:], *_parts(alice.address)[1:]):
        assert secret not in found
    for person in (alice, bob):
        person.close()


def test_outbox_saysSo_whenItIsAnotherUsers(tmp_path: Path) -> None:
    wires = Wires()
    alice, bob = Person(wires, tmp_path / "alice", 1), Person(wires, tmp_path / "bob", 2)
    write(alice, bob, text_message("hello"))
    alice.identity = bob.identity
    alice.start()
    with pytest.raises(Exception, match="keys and state belong together"):
        list(alice.courier.outbox.waiting())
    for person in (alice, bob):
        person.close()
