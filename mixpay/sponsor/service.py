"""HTTP around the issuer (aiohttp). It decodes strictly, bounds what waits, and turns errors into answers.

Requests for signatures gather at the `SignDesk`; what the campaign is, is told on a thread of its own, and
everything else runs one after the other on another, so that the event loop stays free to refuse. No address,
no code and no pass is ever logged.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware
from yarl import URL

from mixpay.accounts import parse_account
from mixpay.door.crowd import group_of
from mixpay.errors import ChainError
from mixpay.http import NotJson, read_json
from mixpay.network import NetworkView
from mixpay.registry_replica import NotFrozen
from mixpay.sponsor import api, openapi
from mixpay.sponsor.issuer import Issuer, IssuerError, RelayInPeriod, Wanted
from mixpay.sponsor.keys import Period
from mixpay.sponsor.policy import Asked, Identified, Policies, PolicyRefusal
from mixpay.sponsor.refusals import Refusals
from mixpay.sponsor.signing import SignDesk
from mixpay.sponsor.statuses import MAX_REDEEM_BODY, MAX_SIGN_BODY, STATUS
from mixpay.sponsor.store import StoreUnavailable
from mixpay.types import Account, RelayId

BODY_SECONDS = 30.0
"""How long a request's body may take: 0.7 MB at most, of a relay that redeems."""
MOST_BUNDLES, MOST_BUNDLES_OF_ADDRESS = 64, 24
"""Bodies of bundles that are read, or worked on, at once: 45 MB in all; and so many of one address, so that
none keeps all relays from being paid. Relays ask again."""
_JSON = {"Content-Type": "application/json"}
_ENCODER = msgspec.json.Encoder()
_REFUSALS = web.AppKey("refusals", Refusals)
_T = TypeVar("_T")
_Request = TypeVar("_Request", api.SignRequest, api.RedeemRequest)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """`waiting`: requests that may wait for signatures, and as many for anything else; `behind_proxy`:
    believe X-Forwarded-For's last entry.
    """

    waiting: int = 256
    behind_proxy: bool = False


def application(
    find: Callable[[Account | None], Service],
    heard: Callable[[web.Request], None] = lambda _: None,
    refusals: Refusals | None = None,
) -> web.Application:
    """The HTTP interface of one sponsor's campaigns.

    `find`: the service of the campaign in a pool, None standing for the pool of the release in force. It
    raises IssuerError no_campaign. `heard` is told of each request first, and may raise an HTTPException.
    `refusals` counts what is refused: error labels, and of redeemed bundles `bundle_` and the reason.
    """

    def answering(handler: Callable[[Service, web.Request], Awaitable[web.Response]]) -> _Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            heard(request)
            return await handler(find(_pool(request.rel_url)), request)

        return answer

    refusals = Refusals() if refusals is None else refusals
    app = web.Application(middlewares=[_errors(refusals)])
    app[_REFUSALS] = refusals

    async def describe(request: web.Request) -> web.Response:
        heard(request)
        return web.Response(body=openapi.document(), content_type="application/json")

    app.router.add_get(api.OPENAPI_PATH, describe)
    app.router.add_get(api.CAMPAIGN_PATH, answering(Service.campaign))
    app.router.add_post(api.SIGN_PATH, answering(Service.sign))
    app.router.add_post(api.REDEEM_PATH, answering(Service.redeem))
    return app


def no_campaign() -> IssuerError:
    """The answer to whoever asks for a pool in which there is none."""
    return IssuerError("no_campaign", "this sponsor has no campaign in that release of the network")


@lru_cache(256)
def _pool(url: URL) -> Account | None:
    """The pool that a request names. Our clients' URLs are the same again and again."""
    text = url.query.get(api.POOL_QUERY)
    if text is None:
        return None
    if text == f"0x{bytes(20).hex()}":
        raise no_campaign()
    try:
        return parse_account(text, api.POOL_QUERY)
    except ValueError as error:
        raise IssuerError("malformed", str(error)) from None


class _Line:
    """Work, one after the other on a thread of its own; so much may wait."""

    def __init__(self, name: str, limit: int) -> None:
        self._worker, self._limit, self._waiting = ThreadPoolExecutor(1, name), limit, 0

    async def run(self, work: Callable[..., _T], *arguments: object) -> _T:
        """Raises IssuerError `busy` if too much waits."""
        if self._waiting >= self._limit:
            raise IssuerError("busy", "too many requests are waiting; try again in a moment")
        loop = asyncio.get_running_loop()
        self._waiting += 1
        job = self._worker.submit(work, *arguments)
        # Not when the request ends: a client that goes away leaves its work behind.
        job.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.wrap_future(job)

    def _done(self) -> None:
        self._waiting -= 1

    def close(self) -> None:
        """What was begun is finished first."""
        self._worker.shutdown()


class Service:
    """One campaign's HTTP interface. `policies` say who gets passes; `now`: seconds since 1970."""

    def __init__(
        self,
        issuer: Issuer,
        policies: Policies,
        view: NetworkView,
        limits: ServiceLimits,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._issuer, self._policies, self._view = issuer, policies, view
        self._limits, self._now = limits, now
        # Two of them: anybody may hand in a thousand bundles, and newcomers need the keys meanwhile.
        self._books, self._board = (_Line(name, limits.waiting) for name in ("issuer", "issuer-keys"))
        self._desk = SignDesk(issuer, limits.waiting)
        self._with_bundles = Counter[str]()

    def application(self, refusals: Refusals | None = None) -> web.Application:
        """The aiohttp application of this campaign alone; its clean-up ends the issuer's threads."""
        app = application(self._this, refusals=refusals)
        app.on_cleanup.append(self._close)
        return app

    def _this(self, pool: Account | None) -> Service:
        if pool not in (None, self._view.deployment.pool):
            raise no_campaign()
        return self

    async def run(self, work: Callable[..., _T], *arguments: object) -> _T:
        """Do something on the issuer's thread. Raises IssuerError `busy` if too much waits there."""
        return await self._books.run(work, *arguments)

    async def campaign(self, _: web.Request) -> web.Response:
        """Which campaign, and its keys now."""
        described = self._issuer.describe, self._view.epoch, self._policies.offers()
        return _json(await self._board.run(*described))

    async def sign(self, request: web.Request) -> web.Response:
        """A blind signature, for whom a policy grants it."""
        wanted = await _body(request, api.SignRequest, MAX_SIGN_BODY)
        # First, so that no policy is asked about what cannot be issued.
        self._issuer.issuable(Period(wanted.kind, wanted.period), self._view.epoch)
        identified = await self._identify(wanted, self._remote(request))
        return _json(await self.signed(Wanted(wanted, identified, self._view.epoch)))

    async def signed(self, wanted: Wanted) -> api.SignAnswer:
        """Count and sign, with what others ask for at the same time."""
        return await self._desk.sign(wanted)

    async def _identify(self, wanted: api.SignRequest, remote: str) -> Identified:
        scope = self._issuer.scope(Period(wanted.kind, wanted.period))
        asked = Asked(remote, scope, wanted.blinded, self._now(), wanted.credential)
        try:
            return await self._policies.identify(wanted.policy, asked)
        except PolicyRefusal as refusal:
            raise IssuerError(refusal.label, str(refusal)) from None

    async def redeem(self, request: web.Request) -> web.Response:
        """A pool voucher for what a relay hands in."""
        with self._bundles(group_of(self._remote(request))):
            return await self._redeem(request)

    @contextmanager
    def _bundles(self, group: str) -> Iterator[None]:
        """Hold one of few places: anybody may send a body of 0.7 MB. Raises IssuerError `busy`."""
        inside = self._with_bundles
        if inside.total() >= MOST_BUNDLES or inside[group] >= MOST_BUNDLES_OF_ADDRESS:
            raise IssuerError("busy", "too many relays redeem; try again in a moment")
        inside[group] += 1
        try:
            yield
        finally:
            inside[group] -= 1
            if not inside[group]:
                del inside[group]

    async def _redeem(self, request: web.Request) -> web.Response:
        asked = await _body(request, api.RedeemRequest, MAX_REDEEM_BODY)
        now, period = self._view.chain_time, Period(asked.kind, asked.period)
        # First, so that nobody makes us look for the relays of a period that does not count.
        self._issuer.redeemable(period, now)
        relay = self._relay(RelayId(asked.relay), period)
        answer = await self.run(self._issuer.redeem, asked, relay, now)
        for bundle in answer.refused:
            request.app[_REFUSALS].count(f"bundle_{bundle.reason}")
        return _json(answer)

    def _relay(self, relay: RelayId, period: Period) -> RelayInPeriod:
        try:
            snapshot = self._view.snapshot(period.first_epoch(self._view.schedule))
        except NotFrozen:
            raise IssuerError("unknown_relay", "no relay was registered in this period") from None
        record = snapshot.by_id(relay)
        if record is not None:
            return RelayInPeriod(record.operator, record.position, snapshot.beacon, snapshot.count)
        operator = self._view.operator(relay)
        if operator is None:
            raise IssuerError("unknown_relay", f"there is no relay {relay}")
        return RelayInPeriod(operator, None, snapshot.beacon, snapshot.count)

    def _remote(self, request: web.Request) -> str:
        remote = request.remote or ""
        if self._limits.behind_proxy:
            # Only the last entry, of the last header, is the proxy's own word; the client writes the others.
            remote = request.headers.getall("X-Forwarded-For", [remote])[-1].rsplit(",", 1)[-1].strip()
        return remote

    def close(self) -> None:
        """End the issuer's threads; what they have begun is finished first."""
        self._desk.close()
        self._board.close()
        self._books.close()

    async def _close(self, _: web.Application) -> None:
        await asyncio.to_thread(self.close)


async def _body(request: web.Request, kind: type[_Request], limit: int) -> _Request:
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    came = request.content.is_eof()
    body = await (_read(request, limit) if came else _slow_body(request, limit))
    try:
        return read_json(body, kind)
    except NotJson as error:
        raise IssuerError("malformed", str(error)) from None


async def _slow_body(request: web.Request, limit: int) -> bytes:
    """One that did not come with its request's head: it is waited for, not for ever."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request, limit)
    except TimeoutError:
        raise IssuerError("too_slow", f"the body of a request has {BODY_SECONDS:.0f} s to arrive") from None


async def _read(request: web.Request, limit: int) -> bytes:
    """As `request.read`, which has one limit for all paths."""
    body = bytearray()
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
    except (ConnectionError, web.RequestPayloadError):
        # Whoever goes away in the middle, or writes what is no HTTP: no failure of ours.
        raise IssuerError("malformed", "the request ended before its body did, or that is no HTTP") from None
    return bytes(body)


def _too_large(limit: int) -> IssuerError:
    return IssuerError("too_large", f"a request to this path has at most {limit} bytes")


def _errors(refusals: Refusals) -> Middleware:
    @web.middleware
    async def answer(request: web.Request, handler: _Handler) -> web.StreamResponse:
        allow = None
        try:
            return await handler(request)
        except IssuerError as error:
            refusal = api.ErrorAnswer(error.label, str(error))
        except StoreUnavailable as error:
            _log.warning("a request to %s was not served: %s", request.path, error)
            detail = "the issuer's database does not answer at the moment; try again"
            refusal = api.ErrorAnswer("busy", detail)
        except ChainError as error:
            _log.warning("a request to %s was not served: %s", request.path, error)
            detail = "the issuer cannot see the chain at the moment; try again"
            refusal = api.ErrorAnswer("chain_unavailable", detail)
        except web.HTTPException as error:
            refusal = _refusal(error)
            allow = error.headers.get("Allow")
        except Exception:
            _log.exception("a request to %s failed", request.path)
            detail = "the issuer failed; its operator finds the reason in the log"
            refusal = api.ErrorAnswer("internal", detail)
        refusals.count(refusal.error)
        answered = _json(refusal, STATUS[refusal.error])
        if allow is not None:
            answered.headers["Allow"] = allow
        return answered

    return answer


def _refusal(error: web.HTTPException) -> api.ErrorAnswer:
    """What aiohttp, or the door, says of a request."""
    match error:
        case web.HTTPTooManyRequests():
            return api.ErrorAnswer("too_fast", "too many requests; come again in some seconds")
        case _:
            labels = {404: "not_found", 405: "method_not_allowed"}
            return api.ErrorAnswer(labels.get(error.status, "malformed"), error.reason)


def _json(answer: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(body=_ENCODER.encode(answer), status=status, headers=_JSON)
