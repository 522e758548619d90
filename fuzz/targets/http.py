"""HTTP and WebSockets: bytes on a connection, through aiohttp, to the handlers of our three servers.

TLS is not here; everything behind it is what runs in production, on a transport in memory. An answer with
status 500 is a crash: it means that a handler failed in a way that nobody thought of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from aiohttp import web

from fuzz import world
from fuzz.target import Target, chunks, require
from fuzz.targets import clients, directories, passes
from fuzz.wires import Wire, loop, run, settle, until
from mixpay.errors import ChainUnavailable
from mixpay.mailbox import Mailboxes
from mixpay.passes import KIND_ENTRY, EntryPassBook, PassError, Redemption, Scope
from mixpay.sponsor import api, service
from mixpay.sponsor.issuer import Issuer, IssuerError, RelayInPeriod, Wanted
from mixpay.sponsor.keys import Period
from mixpay.sponsor.policies.open import OpenPolicy
from mixpay.sponsor.policy import Policies
from mixpay.types import Epoch
from mixpay.wire import client
from relay.clients.gateway import Gateway
from relay.metrics import Metrics
from relay.operator.answers import SettleAnswer, StatusAnswer
from relay.operator.api import ApiServer, Operations
from relay.path.router import Router
from relay.store import RelayStore

_T = TypeVar("_T")


class _Quiet(logging.Handler):
    """A log that is read by nobody: what goes wrong shows in the answers."""

    def emit(self, record: logging.LogRecord) -> None: ...


def _server(runner: web.AppRunner) -> web.Server:
    """A server that is set up, and does not listen."""
    for name in ("aiohttp.server", "relay", "mixpay", "asyncio"):
        logger = logging.getLogger(name)
        logger.propagate, logger.handlers = False, [_Quiet()]
    loop().run_until_complete(runner.setup())
    if runner.server is None:
        raise RuntimeError("a runner that is set up has a server")
    return runner.server


async def _request(server: web.Server, data: bytes) -> bytes:
    """One connection, from its first byte to its end: what it was answered. First byte: how it is cut."""
    wire, handler = Wire(), server()
    handler.connection_made(wire)
    for piece in chunks(data[1:], data[0] & 0x7F):
        if wire.closed:
            break
        handler.data_received(piece)
        await settle(2)
    await settle(8)
    handler.connection_lost(None)
    await until(lambda: not server.connections)
    require(
        b"HTTP/1.1 500" not in wire.written[:16] and b"\nHTTP/1.1 500" not in wire.written, "no handler fails"
    )
    require(not server.connections, "a connection that is over is forgotten")
    return bytes(wire.written)


def asked(server: web.Server, data: bytes) -> bytes:
    """What a server of ours answers to a seed."""
    return run(_request(server, data))


def _http(line: str, body: bytes = b"", *headers: str, step: int = 0) -> bytes:
    """A request: first line, headers, body."""
    lines = [f"{line} HTTP/1.1", "Host: relay.example", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return bytes((step,)) + "\r\n".join((*lines, "", "")).encode() + body


# ------------------------------------------------------------------ the gateway


@cache
def _gateway() -> tuple[web.Server, Gateway]:
    state, store, metrics = world.state(KIND_ENTRY), cast(RelayStore, clients.Store()), Metrics()
    path, boxes = cast(Router, clients.Path()), Mailboxes(state.me)
    made = Gateway(state, path, EntryPassBook(), boxes, store, metrics, 8)
    return _server(made.runner()), made


def run_gateway(data: bytes) -> None:
    """A connection to a relay's port for clients."""
    if not data:
        return
    server, gateway = _gateway()
    # What an earlier input left is forgotten: an input does the same whatever came before it.
    gateway._passes = EntryPassBook()
    gateway._state.directories.equivocations.clear()
    run(_request(server, data))
    require(gateway.clients == 0, "a client that left is not counted")


_UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + "A" * 22 + "==",
)


def _framed(*messages: bytes, opcode: int = 2) -> bytes:
    """Messages as a browser sends them; the mask is zero, so that they can be read in a seed."""
    out = b""
    for message in messages:
        size = len(message)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        out += bytes((0x80 | opcode,)) + length + bytes(4) + message
    return out


def _gateway_seeds() -> list[bytes]:
    proof = directories.proofs()[0].encode()
    said = [client.encode(frame) for frame in clients.samples()]
    entry, mailbox = (_http(f"GET /v1/{path}", b"", *_UPGRADE) for path in ("entry", "mailbox"))
    return [
        _http("GET /v1/directory"),
        _http("GET /v1/directory?epoch=2"),
        _http("GET /v1/directory?epoch=99999999999"),
        _http(f"GET /v1/descriptor?epoch=2&relay={world.me(KIND_ENTRY)}"),
        _http("GET /v1/descriptor?relay=%ff%00"),
        _http("POST /v1/equivocation", proof),
        _http("POST /v1/equivocation", proof[:-1], step=9),
        _http("POST /v1/equivocation", b"", "Transfer-Encoding: chunked")
        + b"ca\r\n"
        + proof
        + b"\r\n0\r\n\r\n",
        entry + _framed(said[0], said[1]),
        entry + _framed(b"text", opcode=1) + _framed(b"", opcode=8),
        mailbox + _framed(said[4], said[5], said[6]),
        mailbox + _framed(b"", opcode=9) + b"\x82\xff" + bytes(12),
        _http("GET /v1/entry"),
    ]


# ------------------------------------------------------------------ the sponsor


class _Here(service._Line):
    """Work is done where it is asked for, instead of on a thread."""

    def __init__(self) -> None:
        super().__init__("nothing", 0)

    async def run(self, work: Callable[..., _T], *arguments: object) -> _T:
        return work(*arguments)


class _Inline(service.Service):
    """The same for the whole service."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._books = self._board = _Here()

    async def signed(self, wanted: Wanted) -> api.SignAnswer:
        return cast(_Issuer, self._issuer).sign(wanted)


class _Issuer:
    """An issuer without a database: it reads what a real one reads."""

    def describe(self, epoch: Epoch, policies: list[api.PolicyOffer]) -> api.ErrorAnswer:
        return api.ErrorAnswer("none", "this is a test")

    def issuable(self, period: Period, epoch: Epoch) -> None:
        if period.number > world.EPOCH:
            raise IssuerError("wrong_period", "passes are issued for the current period only")

    def scope(self, period: Period) -> Scope:
        return Scope(1, bytes(20), 1, period.kind, period.number)

    def sign(self, wanted: Wanted) -> api.SignAnswer:
        require(wanted.identified.policy == "open", "nobody is let in by a policy that is not there")
        return api.SignAnswer(wanted.request.blinded, 1)

    def redeemable(self, period: Period, now: int) -> None:
        if period.number > world.EPOCH:
            raise IssuerError("period_open", "a period can be redeemed when it is over")

    def redeem(self, request: api.RedeemRequest, relay: RelayInPeriod, now: int) -> api.RedeemAnswer:
        refused = []
        for index, bundle in enumerate(request.bundles):
            try:
                Redemption.decode(bundle)
            except PassError as error:
                refused.append(api.RefusedBundle(index, error.reason))
        return api.RedeemAnswer(1, relay.operator, request.period, "0", bytes(65), 0, refused)


@cache
def _sponsor() -> web.Server:
    limits = service.ServiceLimits(behind_proxy=True)
    made = _Inline(cast(Issuer, _Issuer()), Policies([OpenPolicy()]), world.view(), limits)
    # A sponsor waits ten seconds for the rest of a body that it has refused, so that its answer arrives.
    return _server(web.AppRunner(made.application(), access_log=None, lingering_time=0))


def run_sponsor(data: bytes) -> None:
    """A connection to a sponsor's service."""
    if data:
        run(_request(_sponsor(), data))


def _sponsor_seeds() -> list[bytes]:
    pool, bodies = "0x" + world.DEPLOYMENT.pool.hex(), passes.body_seeds()
    return [
        _http("GET /v1/campaign"),
        _http(f"GET /v1/campaign?pool={pool}"),
        _http("GET /v1/campaign?pool=%ed%a0%80"),
        _http("POST /v1/sign", bodies[0][1:], "X-Forwarded-For: a, ::1"),
        _http("POST /v1/sign", b'{"kind":1,"period":2,"blinded":"\xff"}'),
        _http("POST /v1/redeem", bodies[1][1:], step=99),
        _http("POST /v1/redeem", b"", "Content-Length: 99999999999999999999"),
        _http("DELETE /v1/redeem"),
    ]


# ------------------------------------------------------------------ the operator's


class _Operations:
    """A daemon that has no chain: its answers are not what is fuzzed."""

    def status(self, release: int | None = None) -> StatusAnswer:
        raise ChainUnavailable("this is a test")

    def metrics(self, release: int | None = None) -> bytes:
        return b"" if release is None else str(release).encode()

    async def settle(self) -> SettleAnswer:
        raise ChainUnavailable("this is a test")


@cache
def _operator() -> web.Server:
    made = ApiServer(Path("nowhere"), cast(Operations, _Operations()))
    made._token = "token"  # noqa: S105 - the stranger of this target has the real one, or none
    return _server(made.runner())


def run_operator(data: bytes) -> None:
    """A connection to the operator's interface, from a program on the same machine."""
    if data:
        run(_request(_operator(), data))


def _operator_seeds() -> list[bytes]:
    known = "Authorization: Bearer token"
    return [
        _http("GET /metrics?release=1", b"", known),
        _http("GET /metrics?release=%d9%a1", b"", known),
        _http("POST /settle?wait=nan", b"", known),
        _http("POST /settle?wait=1e400", b"{}", known),
        _http("GET /status", b"", "Authorization: Bearer \xff"),
        _http("GET /nothing", b"", known),
    ]


TARGETS = (
    Target("http_gateway", 1, 8192, _gateway_seeds, run_gateway),
    Target("http_sponsor", 1, 4096, _sponsor_seeds, run_sponsor),
    Target("http_operator", 1, 1024, _operator_seeds, run_operator),
)
