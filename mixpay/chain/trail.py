"""How far a follower has read, and what of it still holds: the pure core of `follower`.

Rules:
- A *checkpoint* is the number and hash of a block whose events, and those of all blocks before it, were read.
- A block's hash covers all blocks before it. So if a checkpoint is still on the chain, everything up to it
  holds; if it is not, the chain was reorganised at or below it, and the next older checkpoint is asked.
- When no kept checkpoint is on the chain any more, everything since the origin is read again.
- A node whose newest block is below a checkpoint says nothing about it: it may only lag. What it can answer
  for decides; when that agrees, nothing is reverted, and the checkpoint is asked for again later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

KEEP = 128
"""Checkpoints kept: a reorganisation that reaches below all of them is re-read from the origin."""


@dataclass(frozen=True, slots=True, order=True)
class Checkpoint:
    """A block up to which everything was read."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Trail:
    """Where a follower stands. `origin` is the last block before the first that matters; checkpoints rise."""

    origin: int
    checkpoints: tuple[Checkpoint, ...] = ()

    @property
    def head(self) -> int:
        """Last block that was read."""
        return self.checkpoints[-1].number if self.checkpoints else self.origin

    def extended(self, new: Iterable[Checkpoint]) -> Trail:
        """After further blocks were read. Raises ValueError for one at or below the head."""
        added = sorted(set(new))
        if added and added[0].number <= self.head:
            raise ValueError(f"block {added[0].number} was read already, up to {self.head}")
        if len({checkpoint.number for checkpoint in added}) != len(added):
            raise ValueError("one block has two hashes")
        return Trail(self.origin, (*self.checkpoints, *added)[-KEEP:])

    def reverted(self, newest: int, hash_at: Callable[[int], bytes | None]) -> Trail:
        """What still holds on a chain whose newest block is `newest`; the trail itself if all of it does.

        `hash_at` gives the hash of a block on that chain, None if it has none of that number.
        """
        wrong = False
        for position in range(len(self.checkpoints) - 1, -1, -1):
            checkpoint = self.checkpoints[position]
            if checkpoint.number > newest:
                continue
            found = hash_at(checkpoint.number)
            if found == checkpoint.hash:
                return Trail(self.origin, self.checkpoints[: position + 1]) if wrong else self
            wrong = wrong or found is not None
        return Trail(self.origin) if wrong else self
