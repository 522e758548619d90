"""The swap-or-not shuffle (Hoang, Morris, Rogaway: An Enciphering Scheme Based on a Card Shuffle, 2012).

In the arrangement of Ethereum's consensus specification (compute_shuffled_index), with keccak-256 and
big-endian numbers: anybody computes where one position goes without computing where the others go.

Ethereum's 90 rounds are kept: each sends a position, with probability one half, to a uniform place, so what
is left of where it was is 2^-90. The seed is public and drawn after the positions are fixed; an even spread
is all that is needed of it.
"""

from __future__ import annotations

from mixpay.crypto.hashing import keccak256

ROUNDS = 90


class Shuffle:
    """The permutation of `count` positions that a 32-byte seed gives. Keeps the hashes that it has used.

    Raises ValueError if there is no position.
    """

    def __init__(self, seed: bytes, count: int) -> None:
        if count <= 0:
            raise ValueError("there is nothing to shuffle")
        self._count = count
        self._seeds = [seed + bytes([round_]) for round_ in range(ROUNDS)]
        self._pivots = [int.from_bytes(keccak256(s)[:8], "big") % count for s in self._seeds]
        self._bits: list[dict[int, bytes]] = [{} for _ in range(ROUNDS)]

    def forward(self, position: int) -> int:
        """Return where a position goes. Raises ValueError unless 0 <= position < count."""
        return self._walk(position, range(ROUNDS))

    def backward(self, index: int) -> int:
        """Return the position that goes to `index`. Raises ValueError unless 0 <= index < count."""
        return self._walk(index, range(ROUNDS - 1, -1, -1))

    def _walk(self, index: int, rounds: range) -> int:
        count = self._count
        if not 0 <= index < count:
            raise ValueError(f"position {index} of {count}")
        for round_ in rounds:
            flip = (self._pivots[round_] - index) % count
            # The pair decides together, by the bit of the larger one, whether it swaps: hence a permutation.
            place = max(index, flip)
            if self._bit(round_, place):
                index = flip
        return index

    def _bit(self, round_: int, place: int) -> int:
        block, offset = divmod(place, 256)
        bits = self._bits[round_].get(block)
        if bits is None:
            bits = keccak256(self._seeds[round_] + block.to_bytes(4, "big"))
            self._bits[round_][block] = bits
        return bits[offset // 8] >> (offset % 8) & 1
