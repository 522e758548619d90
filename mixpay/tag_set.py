"""A set of replay tags in little memory: about 30 bytes for each, where Python's set of bytes takes 120.

Open addressing with linear probing in 256 tables, each of which doubles for itself, so that no packet waits
until a million tags have moved. Places come from Python's hash of bytes, which is keyed anew in each process
(SipHash, PEP 456): whoever makes packets cannot choose tags that crowd one place.
"""

from __future__ import annotations

import struct
from array import array

from mixpay.geometry import REPLAY_TAG_SIZE as SIZE

_TABLES = 256
_SMALLEST = 16
_FREE = bytes(SIZE)
_HALVES = struct.Struct("QQ")  # numbers compare in a third of the time that slices of bytes take


class TagSet:
    """Tags of 16 bytes, which are only ever added."""

    __slots__ = ("_counts", "_size", "_tables", "_zero")

    def __init__(self) -> None:
        self._tables = [_table(_SMALLEST) for _ in range(_TABLES)]
        self._counts = [0] * _TABLES
        self._size = 0
        self._zero = False  # the one tag that a table would take for a free place

    def __len__(self) -> int:
        return self._size

    def __contains__(self, tag: bytes) -> bool:
        if tag == _FREE:
            return self._zero
        place = hash(tag)
        table = self._tables[place % _TABLES]
        halves: tuple[int, int] = _HALVES.unpack(tag)
        at = _find(table, *halves, place)
        return (table[at], table[at + 1]) == halves

    def add(self, tag: bytes) -> bool:
        """Add a tag, 16 bytes. Returns False if it was there already."""
        if tag == _FREE:
            added, self._zero = not self._zero, True
            self._size += added
            return added
        place = hash(tag)
        number = place % _TABLES
        table = self._tables[number]
        halves: tuple[int, int] = _HALVES.unpack(tag)
        at = _find(table, *halves, place)
        if (table[at], table[at + 1]) == halves:
            return False
        table[at], table[at + 1] = halves
        self._size += 1
        self._counts[number] += 1
        if self._counts[number] * 8 > len(table) * 3:
            self._tables[number] = _doubled(table)
        return True


def _table(places: int) -> array[int]:
    return array("Q", bytes(places * SIZE))


def _find(table: array[int], first: int, second: int, place: int) -> int:
    """Return where in its table the tag of these halves stands, or the free place for it."""
    end = len(table)
    at = (place // _TABLES * 2) % end
    while (found := table[at]) != first or table[at + 1] != second:
        if not found and not table[at + 1]:
            return at
        at = (at + 2) % end
    return at


def _doubled(table: array[int]) -> array[int]:
    larger = _table(len(table))
    for halves in zip(table[::2], table[1::2], strict=True):
        if halves != (0, 0):
            at = _find(larger, *halves, hash(_HALVES.pack(*halves)))
            larger[at], larger[at + 1] = halves
    return larger
