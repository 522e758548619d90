"""Mutations for the short form, where no fuzzer is: without coverage, the same in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

_EDGES = (
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\0\0",
    b"\xff\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
)


def _flip(data: bytearray, dice: Random) -> None:
    if data:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _set(data: bytearray, dice: Random) -> None:
    if data:
        data[dice.randrange(len(data))] = dice.randrange(256)


def _edge(data: bytearray, dice: Random) -> None:
    at, edge = dice.randrange(len(data) + 1), dice.choice(_EDGES)
    data[at : at + len(edge)] = edge


def _cut(data: bytearray, dice: Random) -> None:
    at = dice.randrange(len(data) + 1)
    del data[at : at + 1 + dice.randrange(16)]


def _insert(data: bytearray, dice: Random) -> None:
    at = dice.randrange(len(data) + 1)
    data[at:at] = dice.randbytes(1 + dice.randrange(8))


def _repeat(data: bytearray, dice: Random) -> None:
    at = dice.randrange(len(data) + 1)
    data[at:at] = data[at : at + 1 + dice.randrange(32)]


def _end(data: bytearray, dice: Random) -> None:
    del data[dice.randrange(len(data) + 1) :]


_MUTATIONS: Sequence[Callable[[bytearray, Random], None]] = (_flip, _set, _edge, _cut, _insert, _repeat, _end)


def mutants(seeds: Sequence[bytes], count: int, longest: int, number: int) -> Iterator[bytes]:
    """`count` inputs that follow from the seeds, by up to four mutations, at times joined with another."""
    dice = Random(number)  # noqa: S311 - the same in every run
    for _ in range(count):
        data = bytearray(dice.choice(seeds))
        if dice.randrange(8) == 0:
            other = dice.choice(seeds)
            data[dice.randrange(len(data) + 1) :] = other[dice.randrange(len(other) + 1) :]
        for _ in range(1 + dice.randrange(4)):
            dice.choice(_MUTATIONS)(data, dice)
        yield bytes(data[:longest])
