"""Uniform whole numbers from random bytes, without the bias of a plain remainder."""

from __future__ import annotations

from mixpay.types import Random


def below(bound: int, random: Random) -> int:
    """Return a uniform number in [0, bound).

    Draws the fewest bytes that hold `bound - 1`, drops the surplus bits and tries again when the number is
    too large (less than two draws on average), so no number is likelier than another. Raises ValueError if
    `bound` is not positive.
    """
    if bound <= 0:
        raise ValueError("a draw needs at least one number to draw from")
    bits = (bound - 1).bit_length()
    size = (bits + 7) // 8
    while True:
        number = int.from_bytes(random(size), "big") & ((1 << bits) - 1)
        if number < bound:
            return number
