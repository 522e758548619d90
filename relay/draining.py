"""Draining: no new packets are taken, and those that are in the relay go on their way, so that it can stop.

    closed      tickets of payers are refused for a while (`draining`), packets of clients are told to come
                again: nobody has promised anything for them
    in flight   opened, held for their delay, waiting for a link, sent and not acknowledged yet
    drained     nothing of that is left: to stop now loses no packet

What is owed is on disk all the time and needs no draining; a restart goes on with it. Draining itself is not
on disk: a daemon that is started takes packets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict

from mixpay.parameters import LONGEST_PATH_DELAY
from relay.in_flight import InFlight
from relay.operator.answers import DrainAnswer
from relay.path.books import Books
from relay.path.router import MAX_WAIT, Router
from relay.store import RelayStore

log = logging.getLogger(__name__)

LONGEST = LONGEST_PATH_DELAY / 3 + MAX_WAIT + 10.0
"""Seconds that draining can take: the longest delay that a packet may ask for, the longest wait for a next
link, and the time after which a missing acknowledgement counts as a loss, twice."""
_LOOK = 0.02


class Drain:
    """One relay's draining."""

    def __init__(self, router: Router, books: Books, store: RelayStore) -> None:
        self._router = router
        self._books = books
        self._store = store

    @property
    def begun(self) -> bool:
        """Whether no new packets are taken."""
        return self._router.arrivals.closed

    def begin(self) -> None:
        """Take no new packets from now on."""
        self._router.arrivals.closed = True

    def resume(self) -> None:
        """Take packets again."""
        self._router.arrivals.closed = False

    def in_flight(self) -> InFlight:
        """What is left."""
        router = self._router
        return InFlight(
            opening=router.arrivals.under_way,
            held=router.held,
            waiting=sum(map(router.waiting, router.awaited())),
            unacknowledged=sum(book.under_way for book in self._books.payers.values() if not book.refused),
        )

    async def empty(self) -> None:
        """Wait until nothing is left. Raises StoreFailed."""
        while True:
            while self.in_flight().total:
                await asyncio.sleep(_LOOK)
            # A packet is counted again, as held, only when its ticket is on disk.
            await self._store.written(())
            if not self.in_flight().total:
                return


class Draining:
    """The draining of all relays in a process. `drains`: those that run now."""

    def __init__(self, drains: Callable[[], Sequence[Drain]]) -> None:
        self._drains = drains
        self._task: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether no new packets are taken."""
        return self._task is not None

    async def drain(self, wait: float) -> None:
        """Take no new packets, and wait up to `wait` seconds for those that are here.

        Asking again waits on.
        """
        if self._task is None:
            log.info("draining: no new packets are taken")
        if self._task is None or (self._task.done() and self._task.exception() is not None):
            for drain in self._drains():
                drain.begin()
            self._task = asyncio.create_task(self._empty())
        await asyncio.wait((self._task,), timeout=wait)

    async def _empty(self) -> None:
        await asyncio.gather(*(drain.empty() for drain in self._drains()))

    def stop(self) -> None:
        """Wait for nothing any more."""
        if self._task is not None:
            self._task.cancel()

    def resume(self) -> None:
        """Take packets again."""
        if self._task is None:
            return
        self._task.cancel()
        self._task = None
        for drain in self._drains():
            drain.resume()
        log.info("packets are taken again")

    def answer(self) -> DrainAnswer:
        """How far it has come."""
        left = sum((drain.in_flight() for drain in self._drains()), InFlight())
        task = self._task
        complete = task is not None and task.done() and not task.cancelled() and task.exception() is None
        return DrainAnswer(draining=self.begun, complete=complete and not left.total, **asdict(left))
