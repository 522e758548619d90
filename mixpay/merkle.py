"""Hash trees that relays and contracts compute alike (docs/design.md §4, §6, §7).

Binary tree (registry, locks, heads of a pass): node = keccak(left 32 ‖ right 32), depth = ceil(log2(count)).
Leaves that are missing on the right are empty: 32 zero bytes. One leaf is its own root; no leaf at all has
the root 32 zero bytes.

Merkle-sum tree (receipts): every node carries a sum too, and a node commits *both* children's hashes and
*both* sums, node = keccak(left hash 32 ‖ left sum u64 ‖ right hash 32 ‖ right sum u64). With one sum alone a
prover could move value between the children. A missing leaf has hash 0 and sum 0. A batch's two trees have
the same shape, so one position names a lock in the one and its receipt in the other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mixpay.crypto.hashing import keccak256

HASH_SIZE = 32
EMPTY = bytes(HASH_SIZE)
"""A leaf that is not there."""

NO_RESPONSE = bytes(32)
"""What the receipts tree holds for a ticket without its response, with value 0."""

MAX_SUM = 2**64 - 1
"""Sums are u64."""

_MAX_DEPTH = 32
_SUM_NODE = struct.Struct(">32sQ32sQ")
_SUM_HALF = struct.Struct(">32sQ")
_PAIR = _SUM_NODE.size
_VALUE = struct.Struct(">Q")
_BOTTOM = 4
"""Levels of a tree of receipts below this one are not kept."""
_GROUP = 1 << _BOTTOM


def depth(count: int) -> int:
    """Levels above the leaves: ceil(log2(count)), 0 for one leaf or none."""
    return (count - 1).bit_length() if count else 0


def _empty_subtrees() -> tuple[bytes, ...]:
    hashes = [EMPTY]
    for _ in range(_MAX_DEPTH):
        hashes.append(keccak256(hashes[-1] * 2))
    return tuple(hashes)


EMPTY_SUBTREES = _empty_subtrees()
"""Hash of a subtree without leaves, by its height."""


def lock_leaf(lock: bytes, value: int) -> bytes:
    """Leaf of a ticket: keccak(lock 20 ‖ value u64)."""
    return keccak256(lock + _VALUE.pack(value))


def receipt_leaf(response: bytes, value: int) -> bytes:
    """Leaf of a receipt: keccak(response 32 ‖ value u64)."""
    return keccak256(response + _VALUE.pack(value))


def levels(leaves: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Every level below the root, bottom up, each padded to an even length."""
    level = list(leaves)
    for height in range(depth(len(leaves))):
        if len(level) % 2:
            level.append(EMPTY_SUBTREES[height])
        yield level
        level = [keccak256(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    yield level


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root, 32 bytes, of leaves of 32 bytes each."""
    if not leaves:
        return EMPTY
    *_, top = levels(leaves)
    return top[0]


def proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the siblings of leaf `index`, bottom up. Raises IndexError if there is no such leaf."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    *below, _ = levels(leaves)
    return tuple(level[(index >> height) ^ 1] for height, level in enumerate(below))


def verify(root: bytes, leaf: bytes, index: int, count: int, proof: Sequence[bytes]) -> bool:
    """Say whether `leaf` stands at `index` of the tree of `count` leaves with this root."""
    if not 0 <= index < count or len(proof) != depth(count):
        return False
    if len(leaf) != HASH_SIZE or any(len(sibling) != HASH_SIZE for sibling in proof):
        return False
    node = leaf
    for height, sibling in enumerate(proof):
        node = keccak256(sibling + node) if index >> height & 1 else keccak256(node + sibling)
    return node == root


class Frontier:
    """A binary tree that only grows on the right: keeps one hash a level, so a root costs O(log n)."""

    __slots__ = ("_left", "count")

    def __init__(self) -> None:
        self.count = 0
        self._left: list[bytes] = []  # the newest complete left subtree of each height

    @classmethod
    def of(cls, count: int, left: Sequence[bytes]) -> Frontier:
        """Return the frontier that had this count and these hashes."""
        frontier = cls()
        frontier.count, frontier._left = count, list(left)
        return frontier

    @property
    def left(self) -> tuple[bytes, ...]:
        """The newest complete left subtree of each height, 32 bytes each."""
        return tuple(self._left)

    def append(self, leaf: bytes) -> None:
        """Add a leaf of 32 bytes."""
        node, height, count = leaf, 0, self.count
        while count & 1:
            node = keccak256(self._left[height] + node)
            height, count = height + 1, count >> 1
        if height == len(self._left):
            self._left.append(node)
        else:
            self._left[height] = node
        self.count += 1

    def root(self) -> bytes:
        """Return the root of the leaves so far, 32 bytes."""
        levels = depth(self.count)
        if self.count == 1 << levels:
            return self._left[levels]
        # The path of the first missing leaf: what is left of it is complete, what is right of it is empty.
        node = EMPTY
        for height in range(levels):
            if self.count >> height & 1:
                node = keccak256(self._left[height] + node)
            else:
                node = keccak256(node + EMPTY_SUBTREES[height])
        return node

    def copy(self) -> Frontier:
        """Return a frontier that grows on its own."""
        twin = Frontier()
        twin.count, twin._left = self.count, self._left.copy()
        return twin


@dataclass(frozen=True, slots=True)
class Opening:
    """A leaf of a receipts tree with its path: siblings are (hash 32, sum u64), bottom up."""

    position: int
    response: bytes = field(repr=False)
    value: int
    siblings: tuple[tuple[bytes, int], ...] = field(repr=False)


class SumTree:
    """The Merkle-sum tree over the receipts of one batch.

    `receipts` are (response 32, value u64) by position; a ticket without its response is (NO_RESPONSE, 0).
    Kept are the receipts, 40 bytes each, and the levels from `_BOTTOM` up, whose nodes (hash 32 ‖ sum u64)
    are 5 bytes more for each receipt; what is below is computed when a leaf is opened. A relay may have a
    million receipts in trees that wait for a neighbour.
    Raises ValueError if the values add up to more than a u64.
    """

    __slots__ = ("_levels", "_receipts", "height", "root", "total")

    def __init__(self, receipts: Sequence[tuple[bytes, int]]) -> None:
        self.total = sum(value for _, value in receipts)
        if self.total > MAX_SUM:
            raise ValueError("the receipts' values exceed 64 bits")
        self._receipts = b"".join([_SUM_HALF.pack(*one) for one in receipts])
        self.height = depth(len(receipts))
        """Levels above the leaves."""
        groups = range(-(-len(receipts) // _GROUP))
        tops = b"".join([self._bottom(group)[-1] for group in groups])
        self._levels = _sum_levels(tops, min(_BOTTOM, self.height), self.height)
        self.root = self._levels[-1][:HASH_SIZE] or EMPTY

    def _bottom(self, group: int) -> list[bytes]:
        """The levels up to `_BOTTOM` over some neighbours' receipts."""
        size = _SUM_HALF.size
        receipts = self._receipts[group * _GROUP * size : (group + 1) * _GROUP * size]
        found = (receipts[at : at + size] for at in range(0, len(receipts), size))
        leaves = b"".join([keccak256(receipt) + receipt[HASH_SIZE:] for receipt in found])
        return _sum_levels(leaves, 0, min(_BOTTOM, self.height))

    def node(self, height: int, index: int) -> tuple[bytes, int]:
        """Return a node's hash, 32 bytes, and sum."""
        if height >= _BOTTOM:
            level = self._levels[height - _BOTTOM]
        else:
            group, index = divmod(index, _GROUP >> height)
            level = self._bottom(group)[height]
        hash_, total = _SUM_HALF.unpack_from(level, index * _SUM_HALF.size)
        return hash_, total

    def open(self, point: int) -> Opening:
        """Return the leaf that `point` falls on when the values are laid end to end.

        Raises IndexError unless 0 <= point < total.
        """
        if not 0 <= point < self.total:
            raise IndexError(f"point {point} of {self.total}")
        position, siblings = 0, []
        for height in reversed(range(self.height)):
            position *= 2
            left, right = self.node(height, position), self.node(height, position + 1)
            if point < left[1]:
                siblings.append(right)
            else:
                point -= left[1]
                position += 1
                siblings.append(left)
        response, value = _SUM_HALF.unpack_from(self._receipts, position * _SUM_HALF.size)
        return Opening(position, response, value, tuple(reversed(siblings)))


def _sum_levels(level: bytes, height: int, top: int) -> list[bytes]:
    """The levels from one at `height` up to `top`; all but the last are padded to an even number of nodes.

    A pair of nodes is what their parent hashes.
    """
    found = [level]
    for below in range(height, top):
        if len(level) % _PAIR:
            level = found[-1] = level + _SUM_HALF.pack(_EMPTY_SUM_SUBTREES[below], 0)
        pairs = [level[at : at + _PAIR] for at in range(0, len(level), _PAIR)]
        level = b"".join([_SUM_HALF.pack(*_parent(pair)) for pair in pairs])
        found.append(level)
    return found


def verify_opening(root: bytes, total: int, count: int, point: int, opening: Opening) -> bool:
    """Say whether `opening` is the leaf that `point` falls on in the tree of `count` leaves with this root
    and total.

    Walking up, the sums on the left of the path are added: the leaf must cover exactly the stretch that the
    point lies in. A tree whose sums do not add up has points that no opening satisfies.
    """
    if not 0 <= opening.position < count or len(opening.siblings) != depth(count):
        return False
    if not 0 <= point < total <= MAX_SUM or not 0 <= opening.value <= total or len(opening.response) != 32:
        return False
    node, before = (receipt_leaf(opening.response, opening.value), opening.value), 0
    for height, sibling in enumerate(opening.siblings):
        # A sum inside cannot exceed the total, so nothing overflows on the way up.
        if len(sibling[0]) != HASH_SIZE or not 0 <= sibling[1] <= total - node[1]:
            return False
        if opening.position >> height & 1:
            before += sibling[1]
            node = _join(sibling, node)
        else:
            node = _join(node, sibling)
    return node == (root, total) and before <= point < before + opening.value


def _join(left: tuple[bytes, int], right: tuple[bytes, int]) -> tuple[bytes, int]:
    return _parent(_SUM_NODE.pack(*left, *right))


def _parent(pair: bytes) -> tuple[bytes, int]:
    _, left, _, right = _SUM_NODE.unpack(pair)
    return keccak256(pair), left + right


def _empty_sum_subtrees() -> tuple[bytes, ...]:
    node = (EMPTY, 0)
    hashes = [node[0]]
    for _ in range(_MAX_DEPTH):
        node = _join(node, node)
        hashes.append(node[0])
    return tuple(hashes)


_EMPTY_SUM_SUBTREES = _empty_sum_subtrees()
