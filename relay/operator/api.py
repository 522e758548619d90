"""The operator's HTTP interface: on loopback, for whoever can read the relay's folder.

    GET  /status[?release=N]    → StatusAnswer
    GET  /metrics[?release=N]   → Prometheus text
    POST /settle[?wait=60]      → SettleAnswer, or 202 and ErrorAnswer `running` when it takes longer than
                                  `wait` seconds; asking again joins the settlement under way
    POST /drain[?wait=60]       → DrainAnswer: no new packets are taken, and it is waited for those under way
    POST /resume                → DrainAnswer: packets are taken again
    any error  4xx, 5xx         → ErrorAnswer

Without a release, status and metrics are of the one in force.

`api.json` in the relay's folder (mode 0600) says port and token; every request carries the token as
`Authorization: Bearer ...`. The answers are in `relay/operator/answers.py`.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec
from aiohttp import web

from mixpay.errors import ChainError, MixpayError
from mixpay.keystore import write_private
from relay.operator.answers import ApiFile, DrainAnswer, ErrorAnswer, SettleAnswer, StatusAnswer

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
API_FILE = "api.json"
STATUS_PATH, METRICS_PATH, SETTLE_PATH = "/status", "/metrics", "/settle"
DRAIN_PATH, RESUME_PATH = "/drain", "/resume"
MAX_WAIT = 600.0
_BEARER = "Bearer "


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


class ApiServer:
    """Serves `operations` to holders of the token in `home / api.json`."""

    def __init__(self, home: Path, operations: Operations) -> None:
        self._path = home / API_FILE
        self._operations = operations
        self._token = secrets.token_urlsafe(32)
        self._settling: asyncio.Task[SettleAnswer] | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> int:
        """Listen on loopback and return the port; port 0 takes a free one. Raises OSError if it is taken.

        The caller makes sure that one daemon at a time uses the folder: an older `api.json` is replaced.
        """
        self._runner = self.runner()
        await self._runner.setup()
        listening = socket.create_server((HOST, port))
        await web.SockSite(self._runner, listening).start()
        chosen: int = listening.getsockname()[1]
        self._path.unlink(missing_ok=True)
        write_private(self._path, msgspec.json.encode(ApiFile(port=chosen, token=self._token)))
        return chosen

    def runner(self) -> web.AppRunner:
        """What answers requests, on whatever connection they come."""
        app = web.Application(middlewares=[self._guard], client_max_size=1024)
        app.router.add_get(STATUS_PATH, self._status)
        app.router.add_get(METRICS_PATH, self._metrics)
        app.router.add_post(SETTLE_PATH, self._settle)
        app.router.add_post(DRAIN_PATH, self._drain)
        app.router.add_post(RESUME_PATH, self._resume)
        return web.AppRunner(app, access_log=None, shutdown_timeout=1.0, lingering_time=0)

    async def stop(self) -> None:
        """Answer nobody any more; a settlement under way ends where it is, and loses nothing."""
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.gather(self._settling, return_exceptions=True)
        if self._runner is not None:
            self._path.unlink(missing_ok=True)
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Refuse strangers; turn errors into answers."""
        given = request.headers.get("Authorization", "")
        # Bytes, because compare_digest takes no text beyond ASCII.
        if not hmac.compare_digest(given.encode(errors="surrogateescape"), (_BEARER + self._token).encode()):
            return _error(401, "unauthorized", f"the token in {API_FILE} is needed")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _error(error.status, "not_found" if error.status == 404 else "malformed", error.reason)
        except ChainError as error:
            return _error(503, "chain_unavailable", str(error))
        except MixpayError as error:
            return _error(500, "failed", str(error))
        except Exception:
            log.exception("a request to %s failed", request.path)
            return _error(500, "internal", "the daemon failed; the reason is in its log")

    async def _status(self, request: web.Request) -> web.Response:
        return _json(200, self._operations.status(_release(request)))

    async def _metrics(self, request: web.Request) -> web.Response:
        body = self._operations.metrics(_release(request))
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _settle(self, request: web.Request) -> web.Response:
        wait = _seconds(request)
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._operations.settle())
        done, _ = await asyncio.wait({self._settling}, timeout=wait)
        if not done:
            return _error(202, "running", "the settlement is under way; ask again to wait for it")
        return _json(200, self._settling.result())

    async def _drain(self, request: web.Request) -> web.Response:
        return _json(200, await self._operations.drain(_seconds(request)))

    async def _resume(self, _: web.Request) -> web.Response:
        return _json(200, self._operations.resume())


def _release(request: web.Request) -> int | None:
    """Raises HTTPBadRequest for what is no number."""
    text = request.query.get("release")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise web.HTTPBadRequest(reason="release is the number of a release")
    return int(text)


def _seconds(request: web.Request) -> float:
    """How long a request may be waited for. Raises HTTPBadRequest for what is no number."""
    try:
        seconds = float(request.query.get("wait", "60"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT:
        raise web.HTTPBadRequest(reason=f"wait is a number of seconds from 0 to {MAX_WAIT:.0f}")
    return seconds


def _json(status: int, answer: msgspec.Struct) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(answer), content_type="application/json")


def _error(status: int, error: str, detail: str) -> web.Response:
    return _json(status, ErrorAnswer(error=error, detail=detail))
