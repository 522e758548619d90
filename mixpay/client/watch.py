"""A mailbox that is watched through the network: what comes into it is here a moment later.

A FETCH that waits leaves reply blocks with the mailbox's relay, one for each message to come. Others are
brought before those are used up, when one was lost, and now and then, for a relay that was started again has
forgotten them. Each FETCH confirms what is on our disk, and is paid for by the mailbox's pass.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mixpay.client.errors import RelayRefused, RelayUnavailable
from mixpay.client.exchange import Exchange, read
from mixpay.client.line import Moved
from mixpay.client.through import MOST_SILENT, MOST_UNPAID, Through
from mixpay.client.visits import Visit
from mixpay.wire.client import MailboxTerms, Refused
from mixpay.wire.requests import MOST_BLOCKS, Message

LOW = 2
"""Blocks left at which others are brought."""
LATE_SECONDS = 8.0
"""How far a reply may be behind one that was sent after it, until it counts as lost."""
CONFIRM_SECONDS = 120.0
"""How long what was taken waits to be confirmed at most."""
RENEW_SECONDS = 1800.0
"""Age of blocks at which others are brought, for the relay may have lost them."""


@dataclass(slots=True)
class _Held:
    """Blocks that lie with the relay, in the order in which it uses them; times of a steady clock."""

    replies: deque[asyncio.Future[bytes]]
    began: float
    slack: float
    taken_at: float | None = None
    late_since: float | None = None
    broken: bool = False

    def due_at(self) -> float:
        """When others have to be brought."""
        if self.broken or len(self.replies) <= LOW:
            return self.began
        times = [self.began + RENEW_SECONDS]
        if self.taken_at is not None:
            times.append(self.taken_at + CONFIRM_SECONDS)
        if self.late_since is not None:
            times.append(self.late_since + LATE_SECONDS + self.slack)
        return min(times)


class Watch:
    """Watches one mailbox. `visit`: makes what each taking of messages needs."""

    def __init__(self, through: Through, visit: Callable[[], Visit], exchange: Exchange) -> None:
        self._through, self._visit, self._exchange = through, visit, exchange
        self.begun: Callable[[], object] = lambda: None
        """Called when the relay has our blocks."""

    async def run(self) -> None:
        """Until cancelled. Raises RelayUnavailable, RelayRefused, NoPath, NotSent, and what `Line.stay`
        raises; then it can be run again.
        """
        held, renewal = await self._ask(), None
        self.begun()
        try:
            while True:
                self._take(held)
                if renewal is None and held.due_at() <= _now():
                    renewal = asyncio.create_task(self._ask())
                waited = [reply for reply in held.replies if not reply.done()]
                await _first(waited, renewal, held.due_at())
                if renewal is not None and renewal.done():
                    for reply in held.replies:
                        reply.cancel()
                    held, renewal = renewal.result(), None
        finally:
            if renewal is not None:
                renewal.cancel()
                await asyncio.gather(renewal, return_exceptions=True)
            for reply in held.replies:
                reply.cancel()

    async def _ask(self) -> _Held:
        visit, silent, unpaid = self._visit(), 0, 0
        relay = visit.relay.id
        while silent < MOST_SILENT and unpaid < MOST_UNPAID:
            replies = await self._exchange.begin(
                relay, self._through.mailbox_id(visit), self._through.fetch(visit, waits=True), MOST_BLOCKS
            )
            first, *others = replies
            await asyncio.wait([first], timeout=self._exchange.patience)
            try:
                answer = read(first) if first.done() else None
            except Moved:
                continue
            if isinstance(answer, MailboxTerms) and self._through.is_settled(visit, answer):
                return _Held(deque(others), _now(), self._exchange.slack)
            for reply in replies:
                reply.cancel()
            if isinstance(answer, Refused):
                raise RelayRefused(answer.reason)
            silent += answer is None
            unpaid += answer is not None
        if unpaid == MOST_UNPAID:
            raise RelayRefused("unpaid")
        raise RelayUnavailable(f"relay {relay} answers no request")

    def _take(self, held: _Held) -> None:
        """Keep what has come, in order: a message behind one that is missing waits for it."""
        messages: list[Message] = []
        while held.replies and held.replies[0].done():
            try:
                answer = read(held.replies.popleft())
            except Moved:
                answer = None
            if isinstance(answer, Message) and not held.broken:
                messages.append(answer)
            else:
                held.broken = True
        behind = any(reply.done() for reply in held.replies)
        held.late_since = (held.late_since or _now()) if behind else None
        visit = self._visit()
        # What was on its way when these blocks were brought comes once more by them.
        new = [message for message in messages if message.sequence > self._through.known(visit)]
        if new:
            self._through.take(visit, new)
            held.taken_at = held.taken_at or _now()


async def _first(
    replies: list[asyncio.Future[bytes]], renewal: asyncio.Task[_Held] | None, due_at: float
) -> None:
    """Wait for a reply, or the renewal; without one not beyond the time at which it is due."""
    waited: list[asyncio.Future[Any]] = [*replies]
    timeout: float | None = max(0.0, due_at - _now())
    if renewal is not None:
        waited.append(renewal)
        timeout = None
    if waited:
        await asyncio.wait(waited, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


def _now() -> float:
    return asyncio.get_running_loop().time()
