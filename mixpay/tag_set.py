"""A set of replay tags in little memory: about 30 bytes for each, where Python's set of bytes takes 120.

Open addressing with linear probing in 256 tables, each of which doubles for itself, so that no packet waits
until a million tags have moved. Places come from Python's hash of bytes, which is keyed anew in each process
(SipHash, PEP 456): whoever makes packets cannot choose tags that crowd one place.
"""

from __future__ import annotations

from mixpay.geometry import REPLAY_TAG_SIZE as SIZE

_TABLES = 256
_SMALLEST = 16
_FREE = bytes(SIZE)


class TagSet:
    """Tags of 16 bytes, which are only ever added."""

    __slots__ = ("_counts", "_size", "_tables", "_zero")

    def __init__(self) -> None:
        self._tables = [bytearray(_SMALLEST * SIZE) for _ in range(_TABLES)]
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
        at = _find(table, tag, place)
        return table[at : at + SIZE] == tag

    def add(self, tag: bytes) -> bool:
        """Add a tag, 16 bytes. Returns False if it was there already."""
        if tag == _FREE:
            added, self._zero = not self._zero, True
            self._size += added
            return added
        place = hash(tag)
        number = place % _TABLES
        table = self._tables[number]
        at = _find(table, tag, place)
        if table[at : at + SIZE] == tag:
            return False
        table[at : at + SIZE] = tag
        self._size += 1
        self._counts[number] += 1
        if self._counts[number] * SIZE * 4 > len(table) * 3:
            self._tables[number] = _doubled(table)
        return True


def _find(table: bytearray, tag: bytes, place: int) -> int:
    """Return where in its table the tag stands, or the free place for it."""
    end = len(table)
    at = (place // _TABLES * SIZE) % end
    while table[at : at + SIZE] not in (tag, _FREE):
        at = (at + SIZE) % end
    return at


def _doubled(table: bytearray) -> bytearray:
    larger = bytearray(2 * len(table))
    for start in range(0, len(table), SIZE):
        tag = bytes(table[start : start + SIZE])
        if tag != _FREE:
            at = _find(larger, tag, hash(tag))
            larger[at : at + SIZE] = tag
    return larger
