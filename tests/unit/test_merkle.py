"""Trees against a plain model: pad with empty leaves to a power of two, then hash pairs."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay import merkle
from mixpay.crypto.hashing import keccak256

COUNTS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 64, 65]


def leaves_of(count):
    return [keccak256(index.to_bytes(4, "big")) for index in range(count)]


def padded(items, filler):
    size = 1
    while size < len(items):
        size *= 2
    return list(items) + [filler] * (size - len(items))


def model_root(leaves):
    level = padded(leaves, bytes(32))
    while len(level) > 1:
        level = [keccak256(a + b) for a, b in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def model_sum_root(receipts):
    leaves = [(keccak256(response + struct.pack(">Q", value)), value) for response, value in receipts]
    level = padded(leaves, (bytes(32), 0))
    while len(level) > 1:
        level = [
            (keccak256(struct.pack(">32sQ32sQ", *a, *b)), a[1] + b[1])
            for a, b in zip(level[::2], level[1::2], strict=True)
        ]
    return level[0]


def receipts_of(values):
    return [
        (keccak256(b"response" + bytes((i % 256,))), value) if value else (merkle.NO_RESPONSE, 0)
        for i, value in enumerate(values)
    ]


@pytest.mark.parametrize("count", COUNTS)
def test_root_isTheModels(count):
    assert merkle.root(leaves_of(count)) == model_root(leaves_of(count))


def test_root_ofNoLeafAndOneLeaf():
    assert merkle.root([]) == bytes(32)
    assert merkle.root([b"\x07" * 32]) == b"\x07" * 32


@pytest.mark.parametrize(("count", "levels"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1025, 11)])
def test_depth(count, levels):
    assert merkle.depth(count) == levels


@pytest.mark.parametrize("count", COUNTS[1:])
def test_proof_verifiesForEveryLeaf_andForNoOther(count):
    leaves = leaves_of(count)
    root = merkle.root(leaves)
    for index, leaf in enumerate(leaves):
        path = merkle.proof(leaves, index)
        assert merkle.verify(root, leaf, index, count, path)
        assert not merkle.verify(root, keccak256(leaf), index, count, path)
        assert not merkle.verify(root, leaf, (index + 1) % count, count, path) or count == 1
        assert not merkle.verify(root, leaf, index, count, (*path, bytes(32)))


def test_proof_failsIfThereIsNoSuchLeaf():
    for index in (-1, 3):
        with pytest.raises(IndexError):
            merkle.proof(leaves_of(3), index)
    assert not merkle.verify(merkle.root(leaves_of(3)), bytes(32), 3, 3, merkle.proof(leaves_of(3), 2))
    assert not merkle.verify(b"\x07" * 32, b"\x07" * 31, 0, 1, ())


def test_frontier_hasTheRootOfEveryPrefix():
    leaves = leaves_of(70)
    frontier = merkle.Frontier()
    assert frontier.root() == bytes(32)
    for index, leaf in enumerate(leaves):
        frontier.append(leaf)
        assert (frontier.count, frontier.root()) == (index + 1, model_root(leaves[: index + 1]))


def test_frontier_copyGrowsOnItsOwn():
    one = merkle.Frontier()
    for leaf in leaves_of(3):
        one.append(leaf)
    twin = one.copy()
    twin.append(bytes(range(32)))
    assert one.root() == model_root(leaves_of(3))
    assert twin.root() == model_root([*leaves_of(3), bytes(range(32))])


@pytest.mark.parametrize("count", COUNTS[1:])
def test_sumTree_isTheModels(count):
    receipts = receipts_of([(i * 7) % 5 for i in range(count)])
    tree = merkle.SumTree(receipts)
    assert (tree.root, tree.total) == model_sum_root(receipts)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_everyPointOpensTheLeafItFallsOn(values):
    receipts = receipts_of(values)
    tree = merkle.SumTree(receipts)
    owner = [position for position, value in enumerate(values) for _ in range(value)]
    for point in range(tree.total):
        opening = tree.open(point)
        assert opening.position == owner[point]
        assert (opening.response, opening.value) == receipts[opening.position]
        assert merkle.verify_opening(tree.root, tree.total, len(values), point, opening)


def test_verifyOpening_failsForAnotherPointOrAnythingChanged():
    values = [3, 0, 2, 4, 1]
    tree = merkle.SumTree(receipts_of(values))
    for point in range(tree.total):
        good = tree.open(point)
        side, width = good.siblings[0]
        bad = [
            replace(good, position=good.position ^ 1),
            replace(good, position=good.position + 8),
            replace(good, value=good.value + 1),
            replace(good, response=keccak256(good.response)),
            replace(good, siblings=good.siblings[:-1]),
            replace(good, siblings=((side, width + 1), *good.siblings[1:])),
            replace(good, siblings=((side, 2**64 - 1), *good.siblings[1:])),
            replace(good, siblings=((side, -1), *good.siblings[1:])),
            replace(good, siblings=((side[:31], width), *good.siblings[1:])),
        ]
        for opening in bad:
            assert not merkle.verify_opening(tree.root, tree.total, len(values), point, opening)
        assert not merkle.verify_opening(tree.root, tree.total + 1, len(values), point, good)
        others = [p for p in range(tree.total) if tree.open(p).position != good.position]
        for other in others:
            assert not merkle.verify_opening(tree.root, tree.total, len(values), other, good)


def test_openingOutsideTheTotalIsAnIndexError():
    tree = merkle.SumTree(receipts_of([1, 2]))
    for point in (-1, 3):
        with pytest.raises(IndexError):
            tree.open(point)


def test_sumTree_failsIfTheValuesExceed64Bits():
    with pytest.raises(ValueError, match="64 bits"):
        merkle.SumTree([(bytes(32), 2**64 - 1), (bytes(32), 1)])


def test_repr_hidesResponses():
    assert "response" not in repr(merkle.SumTree(receipts_of([4])).open(0))
