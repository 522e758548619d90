"""Where replies wait for clients: each finds its own only, in order, and a flood harms nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.errors import PeerError
from relay.clients.passing import MOST, PassingMailboxes, Waiting

ALICE, BOB, NOBODY = b"alice..!", b"bob....!", b"nobody.!"


def number(count: int) -> bytes:
    return count.to_bytes(8, "big")


@given(st.lists(st.tuples(st.sampled_from([ALICE, BOB, NOBODY]), st.integers(0, 2**64 - 1)), max_size=40))
def test_eachFindsItsOwn_inOrder_once(replies: list[tuple[bytes, int]]) -> None:
    passing = PassingMailboxes()
    boxes = {prefix: passing.open(prefix) for prefix in (ALICE, BOB)}
    for prefix, count in replies:
        dropped = passing.deliver(prefix + number(count), b"payload %d" % count)
        assert dropped == (None if prefix in boxes else "passing_gone")
    for prefix, box in boxes.items():
        for count in [count for to, count in replies if to == prefix]:
            assert box.take() == Waiting(number(count), b"payload %d" % count)
        assert box.take() is None


def test_tooMany_pushOutTheOldest_ofTheSameClientOnly() -> None:
    passing = PassingMailboxes()
    alice, bob = passing.open(ALICE), passing.open(BOB)
    passing.deliver(BOB + number(0), b"for bob")
    found = [passing.deliver(ALICE + number(count), b"") for count in range(MOST + 2)]
    assert found == [None] * MOST + ["passing_full"] * 2
    kept = [waiting.number for waiting in iter(alice.take, None)]
    assert kept == [number(count) for count in range(2, MOST + 2)]
    assert bob.take() == Waiting(number(0), b"for bob")


def test_whoHasLeft_getsNothing_andLeavesNothing() -> None:
    passing = PassingMailboxes()
    box = passing.open(ALICE)
    passing.deliver(ALICE + number(1), b"")
    passing.close(box)
    passing.close(box)
    assert passing.deliver(ALICE + number(2), b"") == "passing_gone"
    assert passing.open(ALICE).take() is None


def test_aTakenPrefix_isRefused_andStaysItsOwners() -> None:
    passing = PassingMailboxes()
    box = passing.open(ALICE)
    with pytest.raises(PeerError, match="passing_taken"):
        passing.open(ALICE)
    passing.deliver(ALICE + number(1), b"mine")
    assert box.take() == Waiting(number(1), b"mine")


def test_nothingOfAReply_isShown() -> None:
    assert repr(Waiting(b"number!!", b"payload")) == "Waiting()"
