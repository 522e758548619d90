"""An issuer as users and relays reach it: HTTP (see `api`), repeated while that may help.

Every request may be repeated: the issuer counts a blinded pass once, and credits a pass once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import aiohttp
import msgspec
import tenacity

from mixpay.errors import MixpayError, PeerError
from mixpay.http import HTTP_ERRORS, NotJson, describe, read_at_most, read_json
from mixpay.sponsor.api import POOL_QUERY, ErrorAnswer
from mixpay.types import Account

MAX_ANSWER = 1 << 20
"""Bytes of the longest answer that is read."""

PASSING = frozenset(("busy", "chain_unavailable", "internal", "policy_unavailable", "too_fast"))
"""Refusals that may be over in a moment."""

Answer = TypeVar("Answer")


class IssuerSilent(MixpayError):
    """No usable answer. Whether the issuer took what it was asked is not known."""


class IssuerRefused(PeerError):
    """The issuer refused the request as a whole; `reason` is its label."""


class RemoteIssuer:
    """One issuer, for its campaign in a pool. `timeout`: seconds for one request."""

    def __init__(self, session: aiohttp.ClientSession, url: str, pool: Account, *, timeout: float) -> None:
        self._session, self._url = session, url.rstrip("/")
        self._query = {POOL_QUERY: f"0x{pool.hex()}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=5)

    async def ask(
        self,
        path: str,
        request: msgspec.Struct | None,
        answer: type[Answer],
        *,
        stop: tenacity.stop.stop_base,
        passing: Collection[str] = PASSING,
    ) -> Answer:
        """Post a request (None: get), and again until `stop` while there is silence or a `passing` refusal.

        Raises IssuerSilent, IssuerRefused.
        """

        def may_pass(error: BaseException) -> bool:
            return isinstance(error, IssuerSilent) or (
                isinstance(error, IssuerRefused) and error.reason in passing
            )

        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(may_pass),
            stop=stop,
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2.0),
            reraise=True,
        )
        body = None if request is None else msgspec.json.encode(request)
        received: bytes = await attempts(self._once, path, body)
        try:
            return read_json(received, answer)
        except NotJson as error:
            raise IssuerSilent(f"the sponsor at {self._url} answers nonsense: {error}") from None

    async def _once(self, path: str, body: bytes | None) -> bytes:
        method, headers = "GET", {}
        if body is not None:
            method, headers = "POST", {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method,
                self._url + path,
                params=self._query,
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                received = await read_at_most(response, MAX_ANSWER)
        except HTTP_ERRORS as error:
            raise IssuerSilent(f"the sponsor at {self._url} does not answer: {describe(error)}") from None
        if response.status == 200:
            return received
        try:
            refusal = read_json(received, ErrorAnswer)
        except NotJson:
            raise IssuerSilent(
                f"no sponsor answers at {self._url}: HTTP status {response.status}; is the address right?"
            ) from None
        raise IssuerRefused(refusal.error, refusal.detail)
