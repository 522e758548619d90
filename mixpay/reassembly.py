"""Fragments in any order, some twice, some never, become messages; memory stays bounded whoever sends.

Rules: a fragment that contradicts the others of its message is dropped; the first one seen stands. A message
that made no progress for longest gives way when there are too many. A finished message is remembered for a
while, so that late copies of its fragments do not deliver it twice. No clock: `now` (seconds) is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from mixpay.envelope import MAX_LENGTH, EnvelopeError, Fragment, Message, join


@dataclass(frozen=True, slots=True)
class ReassemblyLimits:
    """Bounds on what strangers can make us keep: messages, bytes of chunks, seconds without progress, ids.

    Raises ValueError if not even one message of full length fits.
    """

    max_incomplete: int = 64
    max_bytes: int = 32 << 20
    idle_seconds: int = 7 * 86400
    remembered_finished: int = 4096

    def __post_init__(self) -> None:
        if self.max_incomplete < 1 or self.max_bytes < MAX_LENGTH or self.remembered_finished < 1:
            raise ValueError("the limits must leave room for one message of full length")


@dataclass(frozen=True, slots=True)
class Progressed:
    """The fragment was kept; `have` of `total` are there. `evicted` names messages that gave way for it."""

    message_id: bytes
    have: int
    total: int
    evicted: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """The fragment was the last one missing, and the digest of the whole is right."""

    message_id: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class Dropped:
    """The fragment was not kept. Reasons: duplicate, finished, inconsistent, preamble, digest."""

    message_id: bytes
    reason: str


Outcome = Progressed | Completed | Dropped


@dataclass(slots=True)
class _Incomplete:
    total: int
    length: int
    progressed_at: int
    chunks: dict[int, bytes] = field(default_factory=dict, repr=False)


class Reassembler:
    """Puts messages together. Feed it every opened fragment, after a restart those of unfinished ones."""

    def __init__(self, limits: ReassemblyLimits | None = None) -> None:
        self._limits = limits or ReassemblyLimits()
        # In order of last progress: the first is the first to give way.
        self._incomplete: OrderedDict[bytes, _Incomplete] = OrderedDict()
        self._finished: OrderedDict[bytes, None] = OrderedDict()
        self._bytes = 0

    def accept(self, fragment: Fragment, now: int) -> Outcome:
        """Take one opened fragment in."""
        message_id = fragment.message_id
        if message_id in self._finished:
            return Dropped(message_id, "finished")
        entry = self._incomplete.get(message_id)
        if entry is not None:
            reason = _contradiction(entry, fragment)
            if reason:
                return Dropped(message_id, reason)
        evicted = self._make_room(message_id, len(fragment.chunk))
        if entry is None:
            entry = self._incomplete[message_id] = _Incomplete(fragment.total, fragment.length, now)
        entry.chunks[fragment.index] = fragment.chunk
        entry.progressed_at = now
        self._bytes += len(fragment.chunk)
        self._incomplete.move_to_end(message_id)
        if len(entry.chunks) < entry.total:
            return Progressed(message_id, len(entry.chunks), entry.total, evicted)
        return self._finish(message_id, entry)

    def pending(self) -> list[tuple[bytes, int, int]]:
        """(message id, fragments there, fragments in all) of every incomplete message."""
        return [(message_id, len(e.chunks), e.total) for message_id, e in self._incomplete.items()]

    def missing(self, message_id: bytes) -> list[int]:
        """Indices of the fragments an incomplete message lacks; empty for an unknown one."""
        entry = self._incomplete.get(message_id)
        return [] if entry is None else [i for i in range(entry.total) if i not in entry.chunks]

    def there(self, message_id: bytes) -> tuple[frozenset[int], int] | None:
        """Indices of the fragments that an incomplete message has, and how many it shall have."""
        entry = self._incomplete.get(message_id)
        return None if entry is None else (frozenset(entry.chunks), entry.total)

    def expire(self, now: int) -> list[bytes]:
        """Forget messages without progress for `idle_seconds`; their ids."""
        last = now - self._limits.idle_seconds
        old = [message_id for message_id, e in self._incomplete.items() if e.progressed_at < last]
        for message_id in old:
            self._forget(message_id)
        return old

    def _finish(self, message_id: bytes, entry: _Incomplete) -> Outcome:
        whole = b"".join(entry.chunks[i] for i in range(entry.total))
        self._forget(message_id)
        self._finished[message_id] = None
        while len(self._finished) > self._limits.remembered_finished:
            self._finished.popitem(last=False)
        try:
            return Completed(message_id, join(whole))
        except EnvelopeError as error:
            return Dropped(message_id, error.reason)

    def _make_room(self, message_id: bytes, size: int) -> tuple[bytes, ...]:
        evicted = []
        new = message_id not in self._incomplete
        for candidate in list(self._incomplete):
            too_many = new and len(self._incomplete) >= self._limits.max_incomplete
            if not too_many and self._bytes + size <= self._limits.max_bytes:
                break
            if candidate != message_id:
                self._forget(candidate)
                evicted.append(candidate)
        return tuple(evicted)

    def _forget(self, message_id: bytes) -> None:
        entry = self._incomplete.pop(message_id)
        self._bytes -= sum(len(chunk) for chunk in entry.chunks.values())


def _contradiction(entry: _Incomplete, fragment: Fragment) -> str:
    if (entry.total, entry.length) != (fragment.total, fragment.length):
        return "inconsistent"
    known = entry.chunks.get(fragment.index)
    if known is None:
        return ""
    return "duplicate" if known == fragment.chunk else "inconsistent"
