"""The tags of packets already processed, by key epoch: none is processed twice (invariant I9).

Rules, for the host that owns the disk:

1. A tag is added when its packet was found good, and before anything is done because of it.
2. An added tag is written, and the write committed, before its packet's ack or copy leaves the relay. A crash
   in between loses tags only of packets that had no effect.
3. On start, the store is built from all tags on disk, with the same or a later floor.
4. The floor is the oldest key epoch whose packets are still accepted. It only rises; below it every packet is
   refused, so the tags there can be forgotten (on disk too, together with the key).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from mixpay.errors import PeerError
from mixpay.geometry import REPLAY_TAG_SIZE
from mixpay.tag_set import TagSet
from mixpay.types import Epoch


class TagRefused(PeerError):
    """A packet that the store cannot vouch for. `reason` is "expired_key" or "tags_full"."""


class TagStore:
    """Tags of 16 bytes by key epoch. Pure: the host owns the disk."""

    def __init__(self, floor: Epoch, capacity: int, tags: Iterable[tuple[Epoch, bytes]] = ()) -> None:
        """Start from the tags on disk, in any order; those below `floor` are skipped.

        capacity: tags kept for each epoch at most (more on disk are kept all the same). Raises ValueError for
        a capacity below 1 or a tag of another size.
        """
        if capacity < 1:
            raise ValueError("a tag store holds at least one tag")
        self._floor = floor
        self._capacity = capacity
        self._tags: defaultdict[Epoch, TagSet] = defaultdict(TagSet)
        for epoch, tag in tags:
            _check_size(tag)
            if epoch >= floor:
                self._tags[epoch].add(tag)

    @property
    def floor(self) -> Epoch:
        """Oldest key epoch that is still accepted."""
        return self._floor

    def count(self, epoch: Epoch) -> int:
        """Number of tags kept for a key epoch."""
        return len(self._tags.get(epoch, ()))

    def seen(self, epoch: Epoch, tag: bytes) -> bool:
        """Say whether a packet must be refused: its tag was added before, or its key epoch has expired."""
        return epoch < self._floor or tag in self._tags.get(epoch, ())

    def add(self, epoch: Epoch, tag: bytes) -> bool:
        """Add a tag; False if it was there already, and the packet must be dropped.

        Raises TagRefused "expired_key" below the floor, "tags_full" at capacity; ValueError for another size.
        """
        _check_size(tag)
        if epoch < self._floor:
            raise TagRefused("expired_key", f"epoch {epoch} is over")
        tags = self._tags[epoch]
        if len(tags) >= self._capacity and tag not in tags:
            raise TagRefused("tags_full", f"{self._capacity} packets in epoch {epoch}")
        return tags.add(tag)

    def raise_floor(self, floor: Epoch) -> list[Epoch]:
        """Refuse key epochs below `floor` from now on; return those whose tags were forgotten, ascending.

        A floor below the present one changes nothing.
        """
        self._floor = max(self._floor, floor)
        forgotten = sorted(epoch for epoch in self._tags if epoch < self._floor)
        for epoch in forgotten:
            del self._tags[epoch]
        return forgotten


def _check_size(tag: bytes) -> None:
    if len(tag) != REPLAY_TAG_SIZE:
        raise ValueError(f"a tag has {REPLAY_TAG_SIZE} bytes")
