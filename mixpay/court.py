"""What the court is shown of a batch's receipts (docs/design.md §4; contracts/lib/ReceiptSamples.sol).

The receipts' values, laid end to end, are a line. The court draws points on it from a seed; the samples are
the receipts under the points, and the nodes beside their paths in both trees, in the order of one walk from
left to right:

    number n u8 ‖ n positions u32 ‖ the walk
    at a leaf              response 32 ‖ value u64 ‖ lock 20
    at a child without
    any of the positions   hash 32 ‖ sum u64 ‖ node of the locks' tree 32
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mixpay.crypto.hashing import keccak256
from mixpay.merkle import SumTree, levels, lock_leaf
from mixpay.types import Value

POINTS = 16
"""Points that the court draws."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A ticket at its place in a batch: lock 20 bytes, value in hop prices, response 32 bytes (or none)."""

    lock: bytes
    value: Value
    response: bytes | None = field(repr=False)


def draw_points(seed: bytes, amount: int) -> tuple[int, ...]:
    """Return the points below `amount` that a seed of 32 bytes draws, in ascending order."""
    return tuple(
        sorted(int.from_bytes(keccak256(seed + k.to_bytes(32, "big")), "big") % amount for k in range(POINTS))
    )


class Evidence:
    """One batch before the court: both trees, and what is read out of them.

    `tree` is that of the receipts, of the same tickets in the same order. Raises ValueError if not.
    """

    def __init__(self, receipts: Sequence[Receipt], tree: SumTree) -> None:
        self._receipts = tuple(receipts)
        self._tree = tree
        self._locks = list(levels([lock_leaf(receipt.lock, receipt.value) for receipt in receipts]))
        if not receipts or len(self._locks) != tree.height + 1:
            raise ValueError("the receipts' tree is not of these tickets")

    @property
    def locks_root(self) -> bytes:
        """Root of the locks' tree, 32 bytes."""
        return self._locks[-1][0]

    def samples(self, seed: bytes) -> bytes:
        """Return what `finish` takes for this seed. Raises IndexError if no receipt has a value."""
        points = draw_points(seed, self._tree.total) if self._tree.total else ()
        positions = sorted({self._tree.open(point).position for point in points})
        if not positions:
            raise IndexError("there is no receipt to sample")
        head = bytes((len(positions),)) + b"".join(place.to_bytes(4, "big") for place in positions)
        return head + b"".join(self._walk(len(self._locks) - 1, 0, positions))

    def _walk(self, level: int, index: int, positions: Sequence[int]) -> Iterator[bytes]:
        """Read the subtree of this height and place from the left, which holds these positions."""
        if not positions:
            hash_, sum_ = self._tree.node(level, index)
            yield hash_ + sum_.to_bytes(8, "big") + self._locks[level][index]
        elif level == 0:
            receipt = self._receipts[index]
            yield (receipt.response or b"") + receipt.value.to_bytes(8, "big") + receipt.lock
        else:
            middle = bisect_left(positions, (2 * index + 1) << (level - 1))
            yield from self._walk(level - 1, 2 * index, positions[:middle])
            yield from self._walk(level - 1, 2 * index + 1, positions[middle:])
