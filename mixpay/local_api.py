"""HTTP on loopback for whoever runs a program, and for its command line: for who can read its folder.

`api.json` in the folder (mode 0600) says port and token; every request carries the token as
`Authorization: Bearer ...`. The token in `metrics.token` is good for /metrics only; it is made once and kept.
Any error is answered by an `ErrorAnswer`.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
from aiohttp import web

from mixpay.door import HTTP_LOG, CrowdLimits, WebDoor
from mixpay.errors import ChainError, MixpayError, UserError
from mixpay.keystore import check_private, write_private

HOST = "127.0.0.1"
API_FILE = "api.json"
METRICS_TOKEN_FILE = "metrics.token"  # noqa: S105 -- its name
METRICS_PATH = "/metrics"
CROWD = CrowdLimits(at_once=64, of_address=64, per_second=100.0)
"""Whoever is on this machine can connect; without the token it gets no further than that."""
_BEARER = "Bearer "
_SHORTEST = 32

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiFile(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `api.json`."""

    port: int
    token: str


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A label for programs, a sentence for people."""

    error: str
    detail: str


class LocalServer:
    """Serves `routes` to holders of the token in `home / api.json`. `program`: what users call it.

    A handler's ChainError and MixpayError become answers; it gives what it has as `answer`.
    """

    def __init__(
        self,
        home: Path,
        routes: Sequence[web.RouteDef],
        *,
        program: str,
        log: logging.Logger,
        crowd: CrowdLimits = CROWD,
    ) -> None:
        self._path, self._routes, self._program, self._log = home / API_FILE, routes, program, log
        self._crowd = crowd
        self._token = secrets.token_urlsafe(32)
        self._metrics_token: str | None = None
        self._runner: web.AppRunner | None = None
        self._door: WebDoor | None = None

    async def start(self, port: int) -> int:
        """Listen on loopback and return the port; port 0 takes a free one. Raises OSError if it is taken,
        UserError if others could read the token for metrics.

        The caller makes sure that one program at a time uses the folder: an older `api.json` is replaced.
        """
        self._metrics_token = metrics_token(self._path.parent)
        self._runner = self.runner()
        await self._runner.setup()
        self._door = WebDoor(
            self._runner, self._crowd, lambda reason: self._log.debug("a request was refused: %s", reason)
        )
        self._door.listen(HOST, port, None)
        chosen = self._door.port
        self._path.unlink(missing_ok=True)
        write_private(self._path, msgspec.json.encode(ApiFile(port=chosen, token=self._token)))
        return chosen

    def runner(self) -> web.AppRunner:
        """What answers requests, on whatever connection they come."""
        app = web.Application(middlewares=[self._heard, self._guard], client_max_size=1024)
        app.router.add_routes(self._routes)
        return web.AppRunner(
            app,
            access_log=None,
            logger=HTTP_LOG,
            shutdown_timeout=1.0,
            lingering_time=0,
            auto_decompress=False,
        )

    async def stop(self) -> None:
        """Answer nobody any more."""
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
            return failure(401, "unauthorized", f"the token in {API_FILE} is needed")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _refusal(error)
        except ChainError as error:
            return failure(503, "chain_unavailable", str(error))
        except MixpayError as error:
            return failure(500, "failed", str(error))
        except Exception:
            self._log.exception("a request to %s failed", request.path)
            return failure(500, "internal", f"the {self._program} failed; the reason is in its log")


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


def asked_release(request: web.Request) -> int | None:
    """The number in `?release=N`. Raises HTTPBadRequest for what is no number."""
    text = request.query.get("release")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise web.HTTPBadRequest(reason="release is the number of a release")
    return int(text)


def answer(status: int, value: object) -> web.Response:
    """A struct or a dictionary as JSON."""
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


def failure(status: int, error: str, detail: str) -> web.Response:
    """An `ErrorAnswer`."""
    return answer(status, ErrorAnswer(error=error, detail=detail))


def metrics_answer(body: bytes) -> web.Response:
    """Prometheus text."""
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _refusal(error: web.HTTPException) -> web.Response:
    labels = {404: "not_found", 429: "too_fast"}
    return failure(error.status, labels.get(error.status, "malformed"), error.reason)
