"""Reassembly: any order, copies, losses, contradictions, and bounded memory."""

from __future__ import annotations

import random as seeded

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay.envelope import CHUNK_BYTES, MAX_LENGTH, Fragment, Message, file_message, fragments
from mixpay.reassembly import Completed, Dropped, Progressed, Reassembler, ReassemblyLimits

RANDOM = seeded.Random(3).randbytes  # noqa: S311 tests repeat themselves exactly
NOW = 1_000_000


def pieces(size: int, name: str = "f") -> tuple[Message, list[Fragment]]:
    message = file_message(name, RANDOM(size))
    return message, fragments(message, RANDOM)


@given(st.integers(0, 6 * CHUNK_BYTES), st.integers(0, 2 * CHUNK_BYTES), st.data())
@settings(max_examples=60, deadline=None)
def test_accept_completesEachMessageOnceInAnyOrderWithCopies(a: int, b: int, data: st.DataObject) -> None:
    (first, some), (second, others) = pieces(a), pieces(b)
    arrivals = data.draw(st.permutations(2 * some + 2 * others))
    reassembler = Reassembler()
    outcomes = [reassembler.accept(piece, NOW) for piece in arrivals]
    done = [outcome.message for outcome in outcomes if isinstance(outcome, Completed)]
    assert len(done) == 2 and first in done and second in done
    dropped = [outcome.reason for outcome in outcomes if isinstance(outcome, Dropped)]
    assert len(dropped) == len(some) + len(others)
    assert set(dropped) <= {"duplicate", "finished"}
    assert reassembler.pending() == []


def test_missing_namesTheFragmentsThatDidNotArrive() -> None:
    _, some = pieces(4 * CHUNK_BYTES)
    reassembler = Reassembler()
    reassembler.accept(some[3], NOW)
    assert reassembler.accept(some[1], NOW) == Progressed(some[0].message_id, 2, 5)
    assert reassembler.missing(some[0].message_id) == [0, 2, 4]
    assert reassembler.pending() == [(some[0].message_id, 2, 5)]
    assert reassembler.missing(bytes(16)) == []


def test_accept_dropsContradictionsAndKeepsTheFirst() -> None:
    message, some = pieces(2 * CHUNK_BYTES)
    one = some[0]
    reassembler = Reassembler()
    reassembler.accept(one, NOW)
    longer = Fragment(one.message_id, 1, one.total, one.length + 1, some[1].chunk)
    other = Fragment(one.message_id, 0, one.total, one.length, bytes(len(one.chunk)))
    assert reassembler.accept(longer, NOW) == Dropped(one.message_id, "inconsistent")
    assert reassembler.accept(other, NOW) == Dropped(one.message_id, "inconsistent")
    reassembler.accept(some[1], NOW)
    assert reassembler.accept(some[2], NOW) == Completed(one.message_id, message)


def test_accept_refusesAWholeWithAWrongDigest() -> None:
    _, some = pieces(CHUNK_BYTES)
    last = some[1]
    forged = Fragment(last.message_id, 1, 2, last.length, bytes(len(last.chunk)))
    reassembler = Reassembler()
    reassembler.accept(some[0], NOW)
    assert reassembler.accept(forged, NOW) == Dropped(last.message_id, "digest")
    assert reassembler.accept(last, NOW) == Dropped(last.message_id, "finished")


def test_accept_evictsWhatMadeNoProgressForLongest() -> None:
    reassembler = Reassembler(ReassemblyLimits(max_incomplete=2))
    a, b, c = (pieces(2 * CHUNK_BYTES)[1] for _ in range(3))
    reassembler.accept(a[0], NOW)
    reassembler.accept(b[0], NOW)
    reassembler.accept(a[1], NOW)
    outcome = reassembler.accept(c[0], NOW)
    assert outcome == Progressed(c[0].message_id, 1, 3, evicted=(b[0].message_id,))
    assert [entry[0] for entry in reassembler.pending()] == [a[0].message_id, c[0].message_id]


def test_accept_keepsBytesWithinTheLimit() -> None:
    reassembler = Reassembler(ReassemblyLimits(max_bytes=MAX_LENGTH))
    _, big = pieces(1 << 20)
    _, small = pieces(CHUNK_BYTES)
    reassembler.accept(small[0], NOW)
    for piece in big[:-1]:
        assert isinstance(reassembler.accept(piece, NOW), Progressed)
    assert [entry[0] for entry in reassembler.pending()] == [big[0].message_id]
    assert isinstance(reassembler.accept(big[-1], NOW), Completed)
    assert reassembler._bytes == 0


def test_expire_forgetsWhatStoodStill() -> None:
    reassembler = Reassembler(ReassemblyLimits(idle_seconds=100))
    _, some = pieces(2 * CHUNK_BYTES)
    reassembler.accept(some[0], NOW)
    assert reassembler.expire(NOW + 100) == []
    assert reassembler.expire(NOW + 101) == [some[0].message_id]
    assert reassembler.pending() == []


def test_finishedIdsAreRememberedUpToALimit() -> None:
    reassembler = Reassembler(ReassemblyLimits(remembered_finished=1))
    first, second = pieces(1)[1], pieces(1)[1]
    reassembler.accept(first[0], NOW)
    reassembler.accept(second[0], NOW)
    assert isinstance(reassembler.accept(second[0], NOW), Dropped)
    assert isinstance(reassembler.accept(first[0], NOW), Completed)


def test_limits_failIfNoMessageFits() -> None:
    with pytest.raises(ValueError):
        ReassemblyLimits(max_bytes=MAX_LENGTH - 1)
