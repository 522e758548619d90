"""A target: one parser, inputs to begin with, and what must hold whatever a stranger sends.

`run` returns for everything that is taken or refused as it should be. Whatever else it raises is a crash: an
error that no caller expects, or `Broken`, when a property does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


class Broken(AssertionError):
    """A property that must hold for every input does not."""


@dataclass(frozen=True, slots=True)
class Target:
    """`share`: its part of a campaign's inputs, relative to the others'; slow targets have small ones.

    `longest`: bytes of an input at most. `seeds` makes real encodings, by the code itself.
    """

    name: str
    share: int
    longest: int
    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[bytes], None]


def require(holds: bool, what: str) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(what)


def chunks(data: bytes, step: int) -> list[bytes]:
    """`data` as a network may deliver it: cut into pieces whose sizes follow from `step` (0: one piece)."""
    pieces, at, size = [], 0, step or len(data)
    while at < len(data):
        pieces.append(data[at : at + size])
        at += size
        size = 1 + size * 5 % 251 if step else size
    return pieces
