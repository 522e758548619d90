"""The database with its one writer: changes in, a commit, and only then what follows from them.

Changes that come while a commit is under way share the next one, so the cost of the disk is divided by the
load. What follows (`then`, or the awaited future) runs in the event loop in the order of the writes.

A failed commit fails the store for good: books assume that what they wrote first is on disk first, so
nothing later may be written. The daemon is told once and must stop; a restart begins from the last commit.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpay.errors import MixpayError
from relay.store import files
from relay.store.ops import Group, Key, Part, StoreOp, Table
from relay.store.sql import carry_out, selection
from relay.store.tables import COUNTERS, MIGRATIONS

log = logging.getLogger(__name__)

_REMEDY = (
    "So the relay ends: what it cannot write down it must not promise, and what it has promised is written. "
    "Look after the disk (room, who else has the file open), then start the relay again"
)
_LAST_ROUNDS = 8
"""How often what follows a commit may write again while the store closes."""

Then = Callable[[], None]


class StoreFailed(MixpayError):
    """The disk let us down: nothing can be promised any more, and the daemon must stop."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Limits of the store. `max_backlog`, `max_group` in changes; `scrub_after`, `gather` in seconds."""

    max_backlog: int = 100_000
    """Changes that wait for the disk before the store says that it is congested."""
    max_group: int = 20_000
    """Changes in one commit, about."""
    scrub_after: float = 60.0
    """Within this time after something was deleted its last traces leave the journal too."""
    gather: float = 0.0
    """So long a first change waits for company: a commit costs as much as opening a packet."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Totals since the start. `seconds` is time spent committing."""

    commits: int = 0
    changes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Write:
    ops: Sequence[StoreOp]
    then: Then | None


class Store:
    """One open database. Writes belong to one event loop; reads are for the start, and for small answers."""

    def __init__(
        self,
        path: Path,
        limits: StoreLimits | None = None,
        *,
        on_failure: Callable[[StoreFailed], None] | None = None,
        migrations: Sequence[str] = MIGRATIONS,
    ) -> None:
        """Open or create the file. Raises UserError when it is in use, damaged, not ours, or too new."""
        self.path = path
        self.stats = StoreStats()
        self._limits = limits or StoreLimits()
        self._on_failure = on_failure
        self._lock = files.FileLock(path)
        try:
            self._database = files.open_writer(path, migrations)
            self._reader = files.open_reader(path)
        except BaseException:
            self._lock.release()
            raise
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._backlog = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._failure: StoreFailed | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._scrub_at: float | None = None

    # ------------------------------------------------------------------ writing

    @property
    def congested(self) -> bool:
        """Whether so much waits for the disk that new work should be refused."""
        return self._backlog > self._limits.max_backlog

    @property
    def backlog(self) -> int:
        """Changes that wait for the disk."""
        return self._backlog

    def write(self, ops: Sequence[StoreOp], then: Then | None = None) -> None:
        """Commit changes; call `then` in the event loop once they, and all before them, are on disk.

        Without changes it only keeps its place in the order. Raises StoreFailed when the store has failed or
        is closed; after that nothing more is called.
        """
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise StoreFailed(f"{self.path} is closed")
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="store", daemon=True)
            self._thread.start()
        self._backlog += len(ops)
        self._queue.put(_Write(tuple(ops), then))

    def written(self, ops: Sequence[StoreOp]) -> asyncio.Future[None]:
        """Commit changes; the future is done when they are on disk. Raises, or carries, StoreFailed."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done() -> None:
            self._waiting.discard(future)
            if not future.done():
                future.set_result(None)

        self.write(ops, done)
        self._waiting.add(future)
        return future

    async def close(self) -> None:
        """Write what waits, and what follows from it, and close the file. Closing again does nothing.

        Whoever writes is stopped before.
        """
        if self._closed:
            return
        with suppress(StoreFailed):
            for _ in range(_LAST_ROUNDS):
                if self._backlog:
                    await self.written(())
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
        if self._failure is None:
            self._scrub()
        self._reader.close()
        self._database.close()
        self._lock.release()

    def abandon(self) -> None:
        """Close the file at once. Only for a store that nothing was written to."""
        self._closed = True
        self._reader.close()
        self._database.close()
        self._lock.release()

    # ------------------------------------------------------------------ reading

    def rows(
        self,
        table: Table,
        prefix: Key = (),
        low: Part | None = None,
        high: Part | None = None,
        *,
        head: int = 0,
    ) -> list[tuple[tuple[Any, ...], bytes]]:
        """Committed rows by key, of keys that begin with `prefix` and whose next part lies in low..high.

        `head`: only so many of the first bytes of each. Raises UserError when the file is damaged.
        """
        rows = self._ask(*selection(table, prefix, low, high, head))
        return [(row[:-1], row[-1]) for row in rows]

    def counters(self) -> dict[str, int]:
        """All counters by name."""
        return dict(self._ask(f"SELECT name, count FROM {COUNTERS}", ()))  # noqa: S608 -- a constant

    def _ask(self, query: str, values: Key) -> list[Any]:
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise files.damaged(self.path, str(error)) from None

    # ------------------------------------------------------------------ the writer's thread

    def _run(self) -> None:
        try:
            while (writes := self._take()) is not None:
                if writes:
                    self._commit(writes)
                elif self._scrub_at is not None:
                    self._scrub()
        except Exception as error:
            log.critical("%s: %s", self.path, error)
            failure = StoreFailed(f"cannot write {self.path}: {error}. {_REMEDY}")
            self._in_loop(lambda: self._failed(failure))

    def _take(self) -> list[_Write] | None:
        """All that waits, at least one write; empty when it is time to scrub, None at the end."""
        wait = None if self._scrub_at is None else max(0.0, self._scrub_at - time.monotonic())
        try:
            first = self._queue.get(timeout=wait)
        except queue.Empty:
            return []
        if first is None:
            return None
        if self._limits.gather and self._queue.empty():
            time.sleep(self._limits.gather)
        writes, size = [first], len(first.ops)
        while size < self._limits.max_group and not self._queue.empty():
            following = self._queue.get()
            if following is None:
                self._queue.put(None)  # seen again, alone, after this group
                break
            writes.append(following)
            size += len(following.ops)
        return writes

    def _commit(self, writes: list[_Write]) -> None:
        began = time.monotonic()
        group = Group()
        for write in writes:
            group.extend(write.ops)
        if group.size:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                carry_out(self._database, group)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
            if group.forgets and self._scrub_at is None:
                self._scrub_at = time.monotonic() + self._limits.scrub_after
        seconds = time.monotonic() - began
        self._in_loop(lambda: self._committed(writes, group.size, seconds))
        if self._scrub_at is not None and time.monotonic() >= self._scrub_at:
            self._scrub()

    def _scrub(self) -> None:
        """Empty the journal, in which deleted rows live on."""
        self._scrub_at = None
        busy = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:  # somebody was reading
            self._scrub_at = time.monotonic() + self._limits.scrub_after

    def _in_loop(self, call: Then) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    # ------------------------------------------------------------------ back in the event loop

    def _committed(self, writes: Iterable[_Write], size: int, seconds: float) -> None:
        self._backlog -= size
        before = self.stats
        self.stats = StoreStats(before.commits + bool(size), before.changes + size, before.seconds + seconds)
        for write in writes:
            if write.then is not None:
                self._call(write.then)

    @staticmethod
    def _call(then: Then) -> None:
        try:
            then()
        except Exception as error:  # one caller's mistake must not take what was promised to the others
            context = {"message": "what follows a commit failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def _failed(self, failure: StoreFailed) -> None:
        self._failure = failure
        for future in self._waiting:
            if not future.done():
                future.set_exception(failure)
        self._waiting.clear()
        if self._on_failure is not None:
            self._on_failure(failure)
