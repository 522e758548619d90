"""Snapshots, descriptors and the directory document, as a stranger may send it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay import eip712
from mixpay.directory import (
    Descriptor,
    DescriptorBook,
    Directory,
    DirectoryError,
    Equivocation,
    RelayRecord,
    document_limit,
    read_descriptors,
    read_directory,
    sign_descriptor,
    write_directory,
)
from mixpay.types import Account, Epoch, Position, RelayId
from registry_samples import DOMAIN, descriptor, frozen, name, operator_key, packet_key, record, snapshot

RECORDS = [record(1, 0), record(5, 1), record(3, 3), record(4, 6)]
SNAPSHOT = snapshot(RECORDS, count=8, epoch=9)
FROZEN = frozen(SNAPSHOT)


def directory(*relays: int) -> Directory:
    book = DescriptorBook(SNAPSHOT, DOMAIN)
    for relay in relays:
        book.add(descriptor(relay, 9))
    return book.directory()


DOCUMENT = write_directory(directory(1, 5, 4))


def refused(reason: str, action: Callable[[], object]) -> None:
    with pytest.raises(DirectoryError) as caught:
        action()
    assert caught.value.reason == reason


# ---------------------------------------------------------------- snapshot


def test_snapshot_findsRelays() -> None:
    assert SNAPSHOT.by_id(RelayId(3)) is RECORDS[2]
    assert SNAPSHOT.by_id(RelayId(2)) is None
    assert SNAPSHOT.at(Position(3)) is RECORDS[2]
    assert [SNAPSHOT.at(Position(p)) for p in (2, 7, 8, 99)] == [None] * 4
    assert SNAPSHOT.by_operator(RECORDS[3].operator) is RECORDS[3]
    assert SNAPSHOT.by_operator(Account(bytes(20))) is None


def test_snapshot_verifiesItsRoot() -> None:
    SNAPSHOT.verify()
    snapshot([]).verify()
    forged = dataclasses.replace(RECORDS[1], link_key=bytes(32))
    for relays in (RECORDS[1:], [RECORDS[0], forged, *RECORDS[2:]], []):
        refused("wrong_root", lambda r=relays: dataclasses.replace(SNAPSHOT, relays=tuple(r)).verify())
    refused("wrong_root", lambda: dataclasses.replace(SNAPSHOT, count=9).verify())


@pytest.mark.parametrize(
    "relays",
    [
        [RECORDS[1], RECORDS[0]],
        [RECORDS[0], RECORDS[0]],
        [RECORDS[0], dataclasses.replace(RECORDS[0], position=Position(1))],
        [dataclasses.replace(RECORDS[0], position=Position(8))],
    ],
)
def test_snapshot_refusesDisorder(relays: list[RelayRecord]) -> None:
    refused("malformed", lambda: dataclasses.replace(SNAPSHOT, relays=tuple(relays)).verify())


@pytest.mark.parametrize(
    "field, value",
    [
        ("id", 0),
        ("id", 2**32),
        ("position", -1),
        ("position", 2**32),
        ("operator", bytes(19)),
        ("link_key", bytes(33)),
        ("endpoint", ""),
        ("endpoint", "x" * 129),
        ("endpoint", "\u20ac" * 43),
    ],
)
def test_record_refusesWhatDoesNotFit(field: str, value: Any) -> None:
    refused("malformed", lambda: dataclasses.replace(RECORDS[0], **{field: value}))


# ---------------------------------------------------------------- descriptors


def test_descriptor_isSignedByItsOperator() -> None:
    good = descriptor(1, 9)
    good.check(RECORDS[0].operator, DOMAIN)
    other_domain = eip712.registry_domain(1, b"\x77" * 20)
    bad = (
        lambda: good.check(RECORDS[1].operator, DOMAIN),
        lambda: good.check(RECORDS[0].operator, other_domain),
        lambda: dataclasses.replace(good, epoch=Epoch(10)).check(RECORDS[0].operator, DOMAIN),
        lambda: dataclasses.replace(good, relay=RelayId(5)).check(RECORDS[0].operator, DOMAIN),
        lambda: dataclasses.replace(good, packet_key=bytes(31)).check(RECORDS[0].operator, DOMAIN),
        lambda: dataclasses.replace(good, packet_key=name("other", 0)).check(RECORDS[0].operator, DOMAIN),
        lambda: dataclasses.replace(good, signature=bytes(65)).check(RECORDS[0].operator, DOMAIN),
        lambda: dataclasses.replace(good, software="x" * 33).check(RECORDS[0].operator, DOMAIN),
        lambda: dataclasses.replace(good, software="\x1b[31m").check(RECORDS[0].operator, DOMAIN),
        lambda: dataclasses.replace(good, capacity=-1).check(RECORDS[0].operator, DOMAIN),
        lambda: dataclasses.replace(good, capacity=2**32).check(RECORDS[0].operator, DOMAIN),
    )
    for check in bad:
        refused("bad_descriptor", check)
    dataclasses.replace(good, capacity=2**32 - 1).check(RECORDS[0].operator, DOMAIN)


LOW_ORDER = (
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    ((1 << 255) - 20).to_bytes(32, "little"),
    ((1 << 255) - 19).to_bytes(32, "little"),
    ((1 << 255) - 18).to_bytes(32, "little"),
)


@pytest.mark.parametrize("key", LOW_ORDER)
def test_descriptor_refusesKeyWithoutSecrets(key: bytes) -> None:
    """With a point of small order everybody would know the shared secret (RFC 7748, section 6.1)."""
    signed = sign_descriptor(operator_key(1), RelayId(1), Epoch(9), key, DOMAIN)
    refused("bad_descriptor", lambda: signed.check(RECORDS[0].operator, DOMAIN))


SECOND_ENCODINGS = (
    (9 + (1 << 255)).to_bytes(32, "little"),
    (9 + (1 << 255) - 19).to_bytes(32, "little"),
    packet_key(1, 9)[:31] + bytes([packet_key(1, 9)[31] | 0x80]),
)


@pytest.mark.parametrize("key", SECOND_ENCODINGS)
def test_descriptor_refusesKeyInAnotherEncoding(key: bytes) -> None:
    """A client refuses to build packets for such a key: one that was signed would stop whoever drew it."""
    signed = sign_descriptor(operator_key(1), RelayId(1), Epoch(9), key, DOMAIN)
    refused("bad_descriptor", lambda: signed.check(RECORDS[0].operator, DOMAIN))


def test_book_refusesWhatDoesNotBelongThere() -> None:
    book = DescriptorBook(SNAPSHOT, DOMAIN)
    assert book.add(descriptor(1, 9)) is True
    assert book.add(descriptor(1, 9)) is False
    refused("bad_descriptor", lambda: book.add(dataclasses.replace(second(1), signature=bytes(65))))
    refused("bad_descriptor", lambda: book.add(dataclasses.replace(second(1), packet_key=b"")))
    refused("wrong_epoch", lambda: book.add(descriptor(1, 8)))
    refused("unknown_relay", lambda: book.add(descriptor(2, 9)))
    assert book.directory() == Directory(SNAPSHOT, {RelayId(1): descriptor(1, 9)})


# ---------------------------------------------------------------- equivocation


def second(relay: int, key: bytes = name("second", 0)) -> Descriptor:
    """Another key that the relay signed for epoch 9."""
    return sign_descriptor(operator_key(relay), RelayId(relay), Epoch(9), key, DOMAIN)


PROOF = Equivocation.of(descriptor(1, 9), second(1))


def test_book_thatIsShownTwoKeys_hasTheProofAndNeither() -> None:
    for one, other in permutations((descriptor(1, 9), second(1))):
        book = DescriptorBook(SNAPSHOT, DOMAIN)
        book.add(descriptor(5, 9))
        book.add(one)
        refused("equivocation", lambda b=book, d=other: b.add(d))
        for late in (one, other, second(1, name("third", 0))):
            refused("equivocation", lambda b=book, d=late: b.add(d))
        assert book.get(RelayId(1)) is None
        found = book.directory()
        assert found.descriptors == {5: descriptor(5, 9)}
        assert found.equivocations == {1: PROOF}  # the first pair stays; its order does not matter


def test_secondKeyThatCannotBeUsed_isAProofToo() -> None:
    """The court looks at signatures only."""
    book = DescriptorBook(SNAPSHOT, DOMAIN)
    book.add(descriptor(1, 9))
    refused("equivocation", lambda: book.add(second(1, LOW_ORDER[0])))


def test_sameKeySignedAgain_isNoEquivocation() -> None:
    """A key that is known costs no look at its signature."""
    book = DescriptorBook(SNAPSHOT, DOMAIN)
    book.add(descriptor(1, 9))
    assert book.add(dataclasses.replace(descriptor(1, 9), signature=bytes(65))) is False
    with pytest.raises(ValueError, match="different keys"):
        Equivocation.of(descriptor(1, 9), descriptor(1, 9))


def test_otherHints_areNoEquivocation() -> None:
    """They are not signed: whoever hands a descriptor on could accuse its relay."""
    one = descriptor(1, 9)
    other = dataclasses.replace(one, software="other", capacity=one.capacity + 1)
    book = DescriptorBook(SNAPSHOT, DOMAIN)
    book.add(one)
    assert book.add(other) is False
    assert book.directory() == Directory(SNAPSHOT, {RelayId(1): one})
    with pytest.raises(ValueError, match="different keys"):
        Equivocation.of(one, other)


def test_proof_isTheSame_whateverTheHints() -> None:
    hinted = dataclasses.replace(second(1), software="other", capacity=7)
    assert Equivocation.of(descriptor(1, 9), hinted) == PROOF


def test_book_saysAnotherCapacity_ofARelayThatItKnows() -> None:
    book = DescriptorBook(SNAPSHOT, DOMAIN)
    book.add(descriptor(1, 9))
    for relay in (1, 5):
        book.say_capacity(RelayId(relay), 77)
    assert book.directory().descriptors == {1: dataclasses.replace(descriptor(1, 9), capacity=77)}


@pytest.mark.parametrize("other", [descriptor(5, 9), descriptor(1, 8)])
def test_descriptorsOfDifferentRelaysOrEpochs_areNoProof(other: Descriptor) -> None:
    with pytest.raises(ValueError, match="one relay and epoch"):
        Equivocation.of(descriptor(1, 9), other)


def test_proof_isReadAgain_andChecked() -> None:
    encoded = PROOF.encode()
    assert len(encoded) == 202
    assert Equivocation.decode(encoded) == PROOF
    PROOF.check(RECORDS[0].operator, DOMAIN)


def test_forgedProof_isRefused() -> None:
    first, other = PROOF.signatures
    forged = [
        dataclasses.replace(PROOF, relay=RelayId(5)),
        dataclasses.replace(PROOF, epoch=Epoch(8)),
        dataclasses.replace(PROOF, signatures=(other, first)),
        dataclasses.replace(PROOF, signatures=(first, first)),
        dataclasses.replace(PROOF, keys=(PROOF.keys[0], b"\xff" * 32)),
    ]
    for proof in forged:
        refused("bad_descriptor", lambda p=proof: p.check(RECORDS[0].operator, DOMAIN))
    refused("bad_descriptor", lambda: PROOF.check(RECORDS[1].operator, DOMAIN))
    swapped = dataclasses.replace(PROOF, keys=PROOF.keys[::-1], signatures=PROOF.signatures[::-1]).encode()
    same = dataclasses.replace(PROOF, keys=PROOF.keys[:1] * 2, signatures=(first, first)).encode()
    for data in (b"", PROOF.encode()[:-1], PROOF.encode() + b"\0", swapped, same):
        refused("malformed", lambda d=data: Equivocation.decode(d))


@given(st.binary(min_size=202, max_size=202))
def test_proof_hasOneEncoding(data: bytes) -> None:
    try:
        proof = Equivocation.decode(data)
    except DirectoryError:
        return
    assert proof.encode() == data


# ---------------------------------------------------------------- document


def test_descriptorsAlone_areReadUnchecked() -> None:
    two_faced = Directory(SNAPSHOT, {**directory(5).descriptors, RelayId(1): second(1)})
    assert read_descriptors(write_directory(two_faced), Epoch(9), 8) == [second(1), descriptor(5, 9)]
    stranger = record(77, 0)
    elsewhere = Directory(snapshot([stranger], epoch=9), {RelayId(77): descriptor(77, 9)})
    assert read_descriptors(write_directory(elsewhere), Epoch(9), 8) == [descriptor(77, 9)]
    refused("wrong_epoch", lambda: read_descriptors(DOCUMENT, Epoch(8), 8))
    refused("malformed", lambda: read_descriptors(DOCUMENT[:-1], Epoch(9), 8))
    refused("malformed", lambda: read_descriptors(DOCUMENT, Epoch(9), 0))


def test_document_roundTrips() -> None:
    read = read_directory(DOCUMENT, FROZEN, DOMAIN)
    assert read.snapshot == SNAPSHOT
    assert dict(read.descriptors) == {relay: descriptor(relay, 9) for relay in (1, 5, 4)}
    assert read.descriptors[RelayId(4)].packet_key == packet_key(4, 9)
    assert read.descriptors[RelayId(4)].capacity == 1_004
    assert write_directory(read) == DOCUMENT
    empty = snapshot([])
    assert read_directory(write_directory(Directory(empty, {})), frozen(empty), DOMAIN).snapshot == empty


def test_document_carriesEndpointsThatAreNotText() -> None:
    odd = dataclasses.replace(RECORDS[0], endpoint=b"\xff\xfe\xed\xa0\x80".decode("utf-8", "surrogateescape"))
    of = snapshot([odd])
    assert read_directory(write_directory(Directory(of, {})), frozen(of), DOMAIN).snapshot == of


def test_document_limit_holdsTheLargest() -> None:
    long = [dataclasses.replace(r, id=RelayId(2**32 - 1 - r.id), endpoint="x" * 128) for r in RECORDS]
    of = snapshot(long, count=7)
    signed = [
        dataclasses.replace(
            descriptor(1), relay=relay.id, packet_key=bytes(32), software="x" * 32, capacity=2**32 - 1
        )
        for relay in long
    ]
    data = write_directory(Directory(of, {d.relay: d for d in signed}))
    assert len(data) <= document_limit(len(long))


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"root": bytes(32)}, "wrong_root"),
        ({"count": 9}, "wrong_root"),
        ({"count": 16}, "wrong_root"),
        ({"count": 4}, "malformed"),
        ({"count": 0}, "malformed"),
        ({"epoch": Epoch(10)}, "wrong_epoch"),
    ],
)
def test_read_refusesWhatTheChainDoesNotSay(change: dict[str, Any], reason: str) -> None:
    refused(reason, lambda: read_directory(DOCUMENT, dataclasses.replace(FROZEN, **change), DOMAIN))


def edited(edit: Callable[[dict[str, Any]], object]) -> bytes:
    """The good document with one thing changed."""
    document = msgspec.msgpack.decode(DOCUMENT)
    edit(document)
    return msgspec.msgpack.encode(document)


def put(relay: int, column: int, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["relays"][relay].__setitem__(column, value)


EDITS: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("malformed", lambda d: d.update(version=2)),
    ("malformed", lambda d: d.update(more=1)),
    ("malformed", lambda d: d.pop("epoch")),
    ("malformed", lambda d: d.update(epoch=-1)),
    ("malformed", lambda d: d.update(epoch=2**32)),
    ("malformed", lambda d: d.update(epoch="9")),
    ("wrong_epoch", lambda d: d.update(epoch=8)),
    ("malformed", lambda d: d.update(relays={})),
    ("wrong_root", lambda d: d.update(relays=[])),
    ("wrong_root", lambda d: d["relays"].pop()),
    ("malformed", lambda d: d["relays"].append(d["relays"][0])),
    ("malformed", lambda d: d["relays"].reverse()),
    ("malformed", lambda d: d["relays"][0].append(1)),
    ("malformed", lambda d: d["relays"][0].pop()),
    ("malformed", put(0, 0, 0)),
    ("malformed", put(0, 0, 2**32)),
    ("malformed", put(0, 0, 5)),
    ("wrong_root", put(0, 0, 2)),
    ("malformed", put(0, 1, 8)),
    ("malformed", put(0, 1, -1)),
    ("malformed", put(0, 2, bytes(19))),
    ("wrong_root", put(0, 2, bytes(20))),
    ("malformed", put(0, 3, bytes(33))),
    ("malformed", put(0, 3, "x" * 32)),
    ("wrong_root", put(0, 3, bytes(32))),
    ("malformed", put(0, 4, b"")),
    ("malformed", put(0, 4, b"x" * 129)),
    ("wrong_root", put(0, 4, b"evil.example:1:2")),
    ("malformed", put(0, 5, bytes(31))),
    ("bad_descriptor", put(0, 5, name("other", 0))),
    ("bad_descriptor", put(0, 5, None)),
    ("malformed", put(0, 6, bytes(64))),
    ("bad_descriptor", put(0, 6, bytes(65))),
    ("bad_descriptor", put(0, 6, None)),
    ("malformed", put(0, 7, "x" * 33)),
    ("malformed", put(0, 7, None)),
    ("bad_descriptor", put(0, 7, "\x1b[2J")),
    ("malformed", put(0, 8, -1)),
    ("malformed", put(0, 8, 2**32)),
    ("malformed", put(0, 8, 1.5)),
    ("malformed", put(0, 8, None)),
]


@pytest.mark.parametrize("number", range(len(EDITS)))
def test_read_refusesEditedDocument(number: int) -> None:
    reason, edit = EDITS[number]
    refused(reason, lambda: read_directory(edited(edit), FROZEN, DOMAIN))


def test_read_refusesDescriptorsOfOthers() -> None:
    def swap(document: dict[str, Any]) -> None:
        first, second = document["relays"][0], document["relays"][1]
        first[5:7], second[5:7] = second[5:7], first[5:7]

    refused("bad_descriptor", lambda: read_directory(edited(swap), FROZEN, DOMAIN))


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=120), cut=st.integers(0, len(DOCUMENT) - 1), flip=st.integers(1, 255))
def test_read_neverFailsOtherwise(data: bytes, cut: int, flip: int) -> None:
    flipped = DOCUMENT[:cut] + bytes([DOCUMENT[cut] ^ flip]) + DOCUMENT[cut + 1 :]
    for document in (data, DOCUMENT[:cut], flipped, DOCUMENT + data + b"\0", b"\x93" * 900):
        try:
            read = read_directory(document, FROZEN, DOMAIN)
        except DirectoryError:
            continue
        # Only the unsigned hints may differ.
        assert read.snapshot == SNAPSHOT
        assert {d.packet_key for d in read.descriptors.values()} == {packet_key(r, 9) for r in (1, 5, 4)}
