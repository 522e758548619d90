"""The operator's HTTP interface: on loopback, for whoever can read the relay's folder.

    GET  /status[?release=N]    → StatusAnswer
    GET  /metrics[?release=N]   → Prometheus text
    POST /settle[?wait=60]      → SettleAnswer, or 202 and ErrorAnswer `running` when it takes longer than
                                  `wait` seconds; asking again joins the settlement under way
    POST /drain[?wait=60]       → DrainAnswer: no new packets are taken, and it is waited for those under way
    POST /resume                → DrainAnswer: packets are taken again

Without a release, status and metrics are of the one in force.

Who may ask, and how, is said in `mixpay/local_api.py`; the answers are in `relay/operator/answers.py`.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Protocol

from aiohttp import web

from mixpay.local_api import (
    CROWD,
    METRICS_PATH,
    LocalServer,
    answer,
    asked_release,
    failure,
    metrics_answer,
)
from relay.operator.answers import DrainAnswer, SettleAnswer, StatusAnswer

log = logging.getLogger(__name__)

STATUS_PATH, SETTLE_PATH, DRAIN_PATH, RESUME_PATH = "/status", "/settle", "/drain", "/resume"
MAX_WAIT = 600.0
_CROWD = CROWD


class Operations(Protocol):
    """What the daemon does for its operator. All is called in the event loop."""

    def status(self, release: int | None = None) -> StatusAnswer:
        """Everything about the relay in a release (None: the one in force), without I/O.

        Raises ChainUnavailable before the chain was read, UserError if no relay runs there.
        """

    def metrics(self, release: int | None = None) -> bytes:
        """Prometheus text exposition. Raises UserError likewise."""

    async def settle(self) -> SettleAnswer:
        """Settle with all payers, redeem periods that are over, claim everything. Bounded in time."""

    async def drain(self, wait: float) -> DrainAnswer:
        """Take no new packets, and wait up to so many seconds for those that are here to be gone."""

    def resume(self) -> DrainAnswer:
        """Take packets again."""


class ApiServer(LocalServer):
    """Serves `operations` to holders of the token in the relay's folder."""

    def __init__(self, home: Path, operations: Operations) -> None:
        self._operations = operations
        self._settling: asyncio.Task[SettleAnswer] | None = None
        routes = [
            web.get(STATUS_PATH, self._status),
            web.get(METRICS_PATH, self._metrics),
            web.post(SETTLE_PATH, self._settle),
            web.post(DRAIN_PATH, self._drain),
            web.post(RESUME_PATH, self._resume),
        ]
        super().__init__(home, routes, program="daemon", log=log, crowd=_CROWD)

    async def stop(self) -> None:
        """Answer nobody any more; a settlement under way ends where it is, and loses nothing."""
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.gather(self._settling, return_exceptions=True)
        await super().stop()

    async def _status(self, request: web.Request) -> web.Response:
        return answer(200, self._operations.status(asked_release(request)))

    async def _metrics(self, request: web.Request) -> web.Response:
        return metrics_answer(self._operations.metrics(asked_release(request)))

    async def _settle(self, request: web.Request) -> web.Response:
        wait = _seconds(request)
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._operations.settle())
        done, _ = await asyncio.wait({self._settling}, timeout=wait)
        if not done:
            return failure(202, "running", "the settlement is under way; ask again to wait for it")
        return answer(200, self._settling.result())

    async def _drain(self, request: web.Request) -> web.Response:
        return answer(200, await self._operations.drain(_seconds(request)))

    async def _resume(self, _: web.Request) -> web.Response:
        return answer(200, self._operations.resume())


def _seconds(request: web.Request) -> float:
    """How long a request may be waited for. Raises HTTPBadRequest for what is no number."""
    try:
        seconds = float(request.query.get("wait", "60"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT:
        raise web.HTTPBadRequest(reason=f"wait is a number of seconds from 0 to {MAX_WAIT:.0f}")
    return seconds
