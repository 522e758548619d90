"""Acknowledgements: one form, many messages in each, and nobody but the receiver can make one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay import envelope
from mixpay.address import Address
from mixpay.delivery.acks import Entry, messages, read
from mixpay.envelope import MAX_LENGTH, EnvelopeError, Kind, Message, Reply, fragment_count
from mixpay.types import RelayId

HERE = Address(b"mark", RelayId(3), bytes(16), b"\7" * 32)
REPLY = Reply(HERE, b"\1" * 16)
MOST = fragment_count(MAX_LENGTH)

ids = st.binary(min_size=16, max_size=16)
haves = st.integers(1, MOST).flatmap(
    lambda total: st.tuples(st.none() | st.frozensets(st.integers(0, total - 1)), st.just(total))
)


@given(st.lists(st.tuples(ids, haves), max_size=100))
def test_entries_comeBackAsTheyWere_inFragmentsOfTheirOwn(told: list[tuple[bytes, tuple]]) -> None:
    entries = [Entry.of(message_id, REPLY, have, total) for message_id, (have, total) in told]
    sent = messages(entries)
    assert all(len(envelope.cut(message, bytes(16), None)) == 1 for message in sent)
    found = [entry for message in sent for entry in read(message.content)]
    assert found == entries
    for entry, (_, (have, total)) in zip(found, told, strict=True):
        assert entry.have(total) == have
        assert entry.proves(HERE, REPLY.key)


def test_oneAcknowledgement_tellsOfManyMessages() -> None:
    whole = [Entry.of(bytes([n]) * 16, REPLY, None, 1) for n in range(58)]
    assert len(messages(whole)) == 1
    part = [Entry.of(bytes([n]) * 16, REPLY, frozenset([5]), MOST) for n in range(19)]
    assert len(messages(part)) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda e: replace(e, message_id=bytes(16)),
        lambda e: replace(e, bits=b""),
        lambda e: replace(e, bits=b"\3"),
        lambda e: replace(e, proof=bytes(16)),
    ],
)
def test_proof_failsIfAnythingElseIsSaid(change) -> None:
    entry = Entry.of(b"\2" * 16, REPLY, frozenset([0]), 2)
    assert entry.proves(HERE, REPLY.key)
    assert not change(entry).proves(HERE, REPLY.key)


def test_proof_failsWithoutTheKey_andAtAnotherAddress() -> None:
    entry = Entry.of(b"\2" * 16, REPLY, None, 2)
    assert not entry.proves(HERE, b"\2" * 16)
    assert not entry.proves(replace(HERE, relay=RelayId(4)), REPLY.key)


@given(st.binary(max_size=200))
def test_read_takesOneFormOnly(content: bytes) -> None:
    try:
        entries = read(content)
    except EnvelopeError as error:
        assert error.reason == "ack"
        return
    assert b"".join(message.content for message in messages(entries)) == content


@pytest.mark.parametrize("bits", [b"\1", b"\1\0\0", b"\xff\xff"])
def test_have_failsForAnotherNumberOfFragments(bits: bytes) -> None:
    with pytest.raises(EnvelopeError, match="ack"):
        Entry(bytes(16), bits, bytes(16)).have(9)


def test_acknowledgement_isNeverShownAsAMessage() -> None:
    (message,) = messages([Entry.of(bytes(16), REPLY, None, 1)])
    assert message == Message(Kind.ACK, "", message.content)
    assert "\\x01" not in repr(Entry.of(bytes(16), REPLY, None, 1))


def test_acknowledgement_knownAnswer() -> None:
    """docs/formats.md: message id, proof, size of the bits, bits 0 and 9 of ten."""
    (message,) = messages([Entry.of(b"\2" * 16, REPLY, frozenset([0, 9]), 10)])
    assert message.content.hex() == ("02020202020202020202020202020202013bfd490d6abea2edbc624e8e6183f7020102")
