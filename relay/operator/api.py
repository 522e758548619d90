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
`Authorization: Bearer ...`. The answers are in `relay/operator/answers.py`. The token in `metrics.token` is
good for /metrics only; it is made once and kept.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec
from aiohttp import web

from mixpay.door import HTTP_LOG, CrowdLimits, WebDoor
from mixpay.errors import ChainError, MixpayError, UserError
from mixpay.keystore import check_private, write_private
from relay.operator.answers import ApiFile, DrainAnswer, ErrorAnswer, SettleAnswer, StatusAnswer

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
API_FILE = "api.json"
METRICS_TOKEN_FILE = "metrics.token"  # noqa: S105 -- its name
STATUS_PATH, METRICS_PATH, SETTLE_PATH = "/status", "/metrics", "/settle"
DRAIN_PATH, RESUME_PATH = "/drain", "/resume"
MAX_WAIT = 600.0
_BEARER = "Bearer "
_SHORTEST = 32
_CROWD = CrowdLimits(at_once=64, of_address=64, per_second=100.0)
"""Whoever is on this machine can connect; without the token it gets no further than that."""


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
        self._metrics_token: str | None = None
        self._settling: asyncio.Task[SettleAnswer] | None = None
        self._runner: web.AppRunner | None = None
        self._door: WebDoor | None = None

    async def start(self, port: int) -> int:
        """Listen on loopback and return the port; port 0 takes a free one. Raises OSError if it is taken,
        UserError if others could read the token for metrics.

        The caller makes sure that one daemon at a time uses the folder: an older `api.json` is replaced.
        """
        self._metrics_token = metrics_token(self._path.parent)
        self._runner = self.runner()
        await self._runner.setup()
        self._door = WebDoor(
            self._runner, _CROWD, lambda reason: log.debug("a request was refused: %s", reason)
        )
        self._door.listen(HOST, port, None)
        chosen = self._door.port
        self._path.unlink(missing_ok=True)
        write_private(self._path, msgspec.json.encode(ApiFile(port=chosen, token=self._token)))
        return chosen

    def runner(self) -> web.AppRunner:
        """What answers requests, on whatever connection they come."""
        app = web.Application(middlewares=[self._heard, self._guard], client_max_size=1024)
        app.router.add_get(STATUS_PATH, self._status)
        app.router.add_get(METRICS_PATH, self._metrics)
        app.router.add_post(SETTLE_PATH, self._settle)
        app.router.add_post(DRAIN_PATH, self._drain)
        app.router.add_post(RESUME_PATH, self._resume)
        return web.AppRunner(app, access_log=None, logger=HTTP_LOG, shutdown_timeout=1.0, lingering_time=0)

    async def stop(self) -> None:
        """Answer nobody any more; a settlement under way ends where it is, and loses nothing."""
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.gather(self._settling, return_exceptions=True)
        if self._door is not None:
            await self._door.close()
        if self._runner is not None:
            self._path.unlink(missing_ok=True)
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _heard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if self._door is not None:
            try:
                self._door.heard(request)
            except web.HTTPException as error:
                return _refusal(error)
        return await handler(request)

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Refuse strangers; turn errors into answers."""
        given = request.headers.get("Authorization", "")
        tokens = [self._token]
        if request.path == METRICS_PATH and self._metrics_token is not None:
            tokens.append(self._metrics_token)
        # All of them, and bytes, because compare_digest takes no text beyond ASCII.
        said = given.encode(errors="surrogateescape")
        if not sum(hmac.compare_digest(said, (_BEARER + token).encode()) for token in tokens):
            return _error(401, "unauthorized", f"the token in {API_FILE} is needed")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _refusal(error)
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


def metrics_token(home: Path) -> str:
    """What opens /metrics and nothing else; made if there is none.

    Raises UserError if others could read the file.
    """
    path = home / METRICS_TOKEN_FILE
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode())
    check_private(path, 0o600)
    token = path.read_text(encoding="ascii", errors="replace").strip()
    if len(token) < _SHORTEST:
        raise UserError(f"{path} holds no token: remove it, and a new one is made")
    return token


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


def _refusal(error: web.HTTPException) -> web.Response:
    labels = {404: "not_found", 429: "too_fast"}
    return _error(error.status, labels.get(error.status, "malformed"), error.reason)


def _error(status: int, error: str, detail: str) -> web.Response:
    return _json(status, ErrorAnswer(error=error, detail=detail))
