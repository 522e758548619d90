"""What the court is shown, read back as the contract reads it."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay.court import POINTS, Evidence, Receipt, draw_points
from mixpay.crypto import secp256k1
from mixpay.crypto.hashing import keccak256
from mixpay.merkle import NO_RESPONSE, SumTree, depth, lock_leaf, root


def receipt(place, opened=True, value=None):
    response = secp256k1.scalar_from(keccak256(place.to_bytes(4, "big")) + bytes(16))
    lock = secp256k1.base_address(response)
    return Receipt(lock, 1 + place % 4 if value is None else value, response if opened else None)


def evidence_of(receipts):
    leaves = [(r.response, r.value) if r.response else (NO_RESPONSE, 0) for r in receipts]
    tree = SumTree(leaves)
    return tree, Evidence(receipts, tree)


class Reader:
    """The walk of contracts/lib/ReceiptSamples.sol: both roots and the sum, and the points that it meets."""

    def __init__(self, samples, points):
        self.data, self.points, self.sum, self.hit = samples, list(points), 0, 0
        number = samples[0]
        self.positions = struct.unpack_from(f">{number}I", samples, 1)
        self.at = 1 + 4 * number

    def take(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def node(self, level, first, last):
        if first == last:
            hash_, total, locks = self.take(">32sQ32s")
            self.sum += total
            assert self.hit == POINTS or self.points[self.hit] >= self.sum
            return hash_, total, locks
        if level == 0:
            response, value, lock = self.take(">32sQ20s")
            assert last - first == 1
            assert secp256k1.base_address(response) == lock
            self.sum += value
            while self.hit < POINTS and self.points[self.hit] < self.sum:
                self.hit += 1
            leaf = keccak256(response + value.to_bytes(8, "big"))
            return leaf, value, lock_leaf(lock, value)
        middle = first
        while middle < last and not self.positions[middle] >> (level - 1) & 1:
            middle += 1
        left, right = self.node(level - 1, first, middle), self.node(level - 1, middle, last)
        joined = b"".join(part for side in (left, right) for part in (side[0], side[1].to_bytes(8, "big")))
        return keccak256(joined), left[1] + right[1], keccak256(left[2] + right[2])


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=90),
    st.binary(min_size=32, max_size=32),
)
def test_samples_giveBothRootsAndTheSum_andCoverEveryPoint(tickets, seed):
    receipts = [receipt(place, opened, value) for place, (opened, value) in enumerate(tickets)]
    tree, evidence = evidence_of(receipts)
    locks = root([lock_leaf(r.lock, r.value) for r in receipts])
    assert evidence.locks_root == locks
    if not tree.total:
        with pytest.raises(IndexError):
            evidence.samples(seed)
        return
    samples = evidence.samples(seed)
    reader = Reader(samples, draw_points(seed, tree.total))
    assert reader.node(depth(len(receipts)), 0, len(reader.positions)) == (tree.root, tree.total, locks)
    assert reader.hit == POINTS
    assert reader.at == len(samples)


def test_points_areBelowTheAmount_inOrder_andOfTheSeedOnly():
    points = draw_points(bytes(32), 1000)
    assert len(points) == POINTS
    assert list(points) == sorted(points)
    assert 0 <= points[0] <= points[-1] < 1000
    assert draw_points(bytes(32), 1000) == points != draw_points(b"\1" * 32, 1000)


def test_aTreeOfOtherTickets_isNoEvidence():
    receipts = [receipt(place) for place in range(4)]
    tree, _ = evidence_of(receipts)
    with pytest.raises(ValueError, match="not of these tickets"):
        Evidence([*receipts, receipt(4)], tree)
    with pytest.raises(ValueError, match="not of these tickets"):
        Evidence([], SumTree([]))


def test_repr_showsNoResponse():
    assert receipt(1).response.hex() not in repr(receipt(1))
