"""Ticket numbers of a batch: which are in it, in two bits each while they come nearly without gaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_BITS = 64


class Numbers:
    """A set of numbers, u64, that only grows. 64 neighbours share a word."""

    __slots__ = ("_words",)

    def __init__(self) -> None:
        self._words: dict[int, int] = {}

    def __contains__(self, number: int) -> bool:
        return bool(self._words.get(number // _BITS, 0) >> number % _BITS & 1)

    def add(self, number: int) -> None:
        """Put a number in."""
        word, bit = divmod(number, _BITS)
        self._words[word] = self._words.get(word, 0) | 1 << bit


def to_stretches(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return numbers in their order as stretches (first, length) without gaps."""
    stretches: list[tuple[int, int]] = []
    first = length = 0
    for number in numbers:
        if length and number == first + length:
            length += 1
            continue
        if length:
            stretches.append((first, length))
        first, length = number, 1
    if length:
        stretches.append((first, length))
    return tuple(stretches)


def of_stretches(stretches: Iterable[tuple[int, int]]) -> Iterator[int]:
    """The numbers again."""
    for first, length in stretches:
        yield from range(first, first + length)
