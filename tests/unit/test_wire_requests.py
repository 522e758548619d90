"""Requests through the network: parts in any order make the request again, and nothing else does."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from mixpay.crypto.rsa_permutation import PROOF_SIZE
from mixpay.errors import PeerError
from mixpay.geometry import GEOMETRY
from mixpay.mailbox import Created, Mailboxes, mailbox_id_of
from mixpay.passes.terms import PASS_SIZE
from mixpay.types import RelayId
from mixpay.wire import client, requests
from mixpay.wire.requests import (
    BLOCKS_OF_ONE_PACKET,
    MOST_BLOCKS,
    MOST_PARTS,
    Assembly,
    Create,
    Fetch,
    Message,
)

DICE = Random(1).randbytes  # noqa: S311 -- the same in every run
BOX = bytes(range(16))
TICK = client.ShownTick(3, 4, bytes(range(32)))
SEED = bytes(range(32))
RELAY = RelayId(7)


def create() -> Create:
    block = DICE(512)
    return Create(DICE(256), DICE(PROOF_SIZE), DICE(PASS_SIZE), DICE(32), TICK, block)


def fetch(blocks: int = 1, after: int = 5) -> Fetch:
    return Fetch(after, False, (TICK,), tuple(DICE(512) for _ in range(blocks)), bytes(64))


def test_sizes_areThoseOfTheDesign() -> None:
    assert len(requests.parts_of(fetch(BLOCKS_OF_ONE_PACKET), DICE)) == 1
    assert len(requests.parts_of(fetch(MOST_BLOCKS), DICE)) == 2
    assert len(requests.parts_of(create(), DICE)) == MOST_PARTS == 3
    assert {len(part) for part in requests.parts_of(create(), DICE)} == {GEOMETRY.user_size}


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, MOST_BLOCKS), st.booleans())
def test_partsOfSeveral_inAnyOrder_makeEachAgain_once(order: Random, blocks: int, twice: bool) -> None:
    wanted = [create(), fetch(blocks), create()]
    parts = [part for one in wanted for part in requests.parts_of(one, DICE)]
    parts += [parts[0]] if twice else []
    order.shuffle(parts)
    assembly = Assembly()
    found = [whole for part in parts if (whole := assembly.take(BOX, part, 0.0)) is not None]
    assert sorted(found, key=repr) == sorted(wanted, key=repr)


def test_partsForAnotherMailbox_orTooLate_areNoPartOfIt() -> None:
    first, second, third = requests.parts_of(create(), DICE)
    assembly = Assembly(seconds=60)
    assert assembly.take(BOX, first, 0.0) is None
    assert assembly.take(bytes(16), second, 0.0) is None
    assert assembly.take(BOX, second, 60.0) is None  # the first one is forgotten
    assert assembly.take(BOX, third, 60.0) is None


def test_manyBeginnings_pushOutTheOldest() -> None:
    assembly = Assembly(most=4)
    started = [requests.parts_of(create(), DICE) for _ in range(5)]
    for parts in started:
        for part in parts[:2]:
            assert assembly.take(BOX, part, 0.0) is None
    assert [assembly.take(BOX, parts[2], 0.0) is not None for parts in started[1:]] == [True] * 4
    assert assembly.take(BOX, started[0][2], 0.0) is None


def test_partsThatContradict_areRefused() -> None:
    first, second, _ = requests.parts_of(create(), DICE)
    for other in (first[:30] + bytes([first[30] ^ 1]) + first[31:], second[:17] + b"\2" + second[18:]):
        assembly = Assembly()
        assert assembly.take(BOX, first, 0.0) is None
        with pytest.raises(PeerError, match="malformed_frame"):
            assembly.take(BOX, other, 0.0)


@given(st.dictionaries(st.integers(16, 2047), st.integers(0, 255), max_size=4))
def test_whateverIsCalledAPart_isRefused_orReadAsItStands(changes: dict[int, int]) -> None:
    part = bytearray(requests.parts_of(fetch(), DICE)[0])
    for at, byte in changes.items():
        part[at] = byte
    try:
        found = Assembly().take(BOX, bytes(part), 0.0)
    except PeerError as error:
        assert error.reason == "malformed_frame"
        return
    if found is not None:
        assert requests.parts_of(found, lambda size: bytes(part[:16])) == [bytes(part)]


# ---------------------------------------------------------------------- signatures


def mailboxes() -> Mailboxes:
    made = Mailboxes(RELAY)
    key = SigningKey(SEED).verify_key.encode()
    assert isinstance(made.create(mailbox_id_of(key), key, 2**40, 0), Created)
    return made


def test_signature_isTheOwners_forThisRelayMailboxAndRequest() -> None:
    boxes, box = mailboxes(), mailbox_id_of(SigningKey(SEED).verify_key.encode())
    good = fetch(2).signed(SEED, RELAY, box)
    assert boxes.is_signed(box, good.said(), good.signature)
    wrong = [
        fetch(2).signed(bytes(32), RELAY, box),
        fetch(2).signed(SEED, RelayId(8), box),
        fetch(2).signed(SEED, RELAY, bytes(16)),
        fetch(2),
    ]
    for one in wrong:
        assert not boxes.is_signed(box, one.said(), one.signature)
    assert not boxes.is_signed(box, good.said() + b"\0", good.signature)
    assert not boxes.is_signed(bytes(16), good.said(), good.signature)


# ---------------------------------------------------------------------- answers


TERMS = client.MailboxTerms(1, 2, 3, 4, 5, bytes(32), 6)


@given(st.integers(1, 2**56 - 1), st.booleans(), st.binary(max_size=2048))
def test_messages_goThere_andBack(sequence: int, more: bool, data: bytes) -> None:
    answer = Message(sequence, data.ljust(2048, b"\0"), more)
    encoded = requests.encode_answer(answer)
    assert len(encoded) == GEOMETRY.reply_size
    assert requests.decode_answer(encoded) == answer


@pytest.mark.parametrize("answer", [TERMS, client.Refused("unknown_mailbox")])
def test_otherAnswers_goThere_andBack(answer: requests.Answer) -> None:
    encoded = requests.encode_answer(answer)
    assert len(encoded) == GEOMETRY.reply_size
    assert requests.decode_answer(encoded) == answer


@pytest.mark.parametrize("sequence", [0, 2**56])
def test_messagesThatFitNoAnswer_areOurOwnMistake(sequence: int) -> None:
    with pytest.raises(ValueError, match="56 bits"):
        requests.encode_answer(Message(sequence, bytes(2048), more=False))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(2055),
        bytes(2056),
        b"\1" + bytes(2055),
        b"\3" + bytes(6) + b"\1" + bytes(2048),
        bytes(7) + b"\1" + requests.encode_answer(TERMS)[8:],
        requests.encode_answer(TERMS)[:-1] + b"\1",
        (bytes(8) + client.encode(client.Done())).ljust(2056, b"\0"),
    ],
)
def test_otherBytes_areNoAnswer(data: bytes) -> None:
    with pytest.raises(PeerError, match="malformed_frame"):
        requests.decode_answer(data)
