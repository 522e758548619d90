"""The stored tree against the plain one, under any sequence of changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay import merkle
from mixpay.crypto.hashing import keccak256
from mixpay.registry_tree import EMPTY, RegistryTree, relay_leaf
from registry_samples import name


def naive_root(leaves: list[bytes]) -> bytes:
    """The definition, written down once more: pad to a power of two, hash pairs."""
    if not leaves:
        return bytes(32)
    size = 1 << (len(leaves) - 1).bit_length()
    level = leaves + [bytes(32)] * (size - len(leaves))
    while len(level) > 1:
        level = [keccak256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


@settings(max_examples=60, deadline=None)
@given(moves=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=80))
def test_tree_isTheNaiveOne_whateverChanges(moves: list[tuple[int, bool]]) -> None:
    tree, leaves = RegistryTree(), list[bytes]()
    for number, (place, clear) in enumerate(moves):
        position = min(place, len(leaves))
        if clear and position < len(leaves):
            tree.clear(position)
            leaves[position] = EMPTY
        else:
            leaf = name("leaf", number)
            tree.set(position, leaf)
            leaves[position : position + 1] = [leaf]
        assert tree.count == len(leaves)
        assert tree.root == naive_root(leaves) == merkle.root(leaves)
        assert [tree.leaf(at) for at in range(tree.count)] == leaves


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 8, 9, 33])
def test_of_buildsAnySize(count: int) -> None:
    leaves = [name("leaf", number) for number in range(count)]
    assert RegistryTree.of(leaves).root == naive_root(leaves)


def test_clear_keepsDepth() -> None:
    """The contract's tree never shrinks: nine relays of which eight left still make depth four."""
    tree = RegistryTree.of(name("leaf", number) for number in range(9))
    for position in range(1, 9):
        tree.clear(position)
    root = tree.leaf(0)
    for height in range(4):
        root = keccak256(root + merkle.EMPTY_SUBTREES[height])
    assert (tree.count, tree.root) == (9, root)


def test_copy_changesOnItsOwn() -> None:
    tree = RegistryTree.of([name("leaf", 0), name("leaf", 1)])
    root = tree.root
    twin = tree.copy()
    twin.set(0, name("leaf", 2))
    twin.set(2, name("leaf", 3))
    assert tree.root == root and tree.count == 2
    assert twin.root == naive_root([name("leaf", 2), name("leaf", 1), name("leaf", 3)])


def test_positions_mustBeKnownOrNext() -> None:
    tree = RegistryTree.of([name("leaf", 0)])
    for position in (-1, 2):
        with pytest.raises(IndexError):
            tree.set(position, name("leaf", 1))
    with pytest.raises(IndexError):
        tree.clear(1)
    with pytest.raises(IndexError):
        tree.leaf(1)


def test_relay_leaf_isAsSpecified() -> None:
    operator, link_key, endpoint = b"\x11" * 20, b"\x22" * 32, b"a:1:2"
    expected = keccak256(b"\0\0\0\x07" + operator + link_key + keccak256(endpoint))
    assert relay_leaf(7, operator, link_key, endpoint) == expected
