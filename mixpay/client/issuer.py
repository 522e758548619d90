"""The sponsor's issuer over HTTP (`mixpay.sponsor.api`): what a wallet asks it.

Both requests may be repeated: the issuer counts a blinded pass once. So they are, while it does not answer.
"""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
import tenacity

from mixpay.client.errors import IssuerRefused, IssuerUnavailable
from mixpay.client.http import HTTP_ERRORS, describe, read_at_most
from mixpay.errors import UserError
from mixpay.sponsor.api import (
    CAMPAIGN_PATH,
    SIGN_PATH,
    CampaignAnswer,
    ErrorAnswer,
    SignAnswer,
    SignRequest,
)

MAX_ANSWER = 1 << 20
"""Bytes of the longest answer that is read."""

_TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=5)
_ATTEMPTS = 3
_ADVICE = {
    "identity_required": "the sponsor asks who you are: put your invitation into the configuration",
    "identity_refused": "the sponsor does not know this invitation: check it in the configuration",
    "quota_exceeded": "you have had all passes of this period: wait for the next one, or ask the sponsor",
    "wrong_period": "the sponsor's clock and the chain's differ: try again",
    "no_key": "the sponsor has registered no key for this period: ask it, or try again in the next one",
}

Answer = TypeVar("Answer", CampaignAnswer, SignAnswer)


class _Unreachable(IssuerUnavailable):
    """Worth another attempt."""


def checked_url(url: str) -> str:
    """The address of a sponsor. Raises UserError if it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"not the address of a sponsor: {url!r}; it looks like https://sponsor.example")
    return url.rstrip("/")


class Issuer:
    """One sponsor's issuer. `invitation` is sent as bearer token when passes are asked for, never before."""

    def __init__(self, session: aiohttp.ClientSession, url: str, invitation: str = "") -> None:
        self._session, self._url = session, checked_url(url)
        self._headers = {"Authorization": f"Bearer {invitation}"} if invitation else {}

    async def campaign(self) -> CampaignAnswer:
        """Which campaign, and its keys now. Raises IssuerUnavailable, IssuerRefused."""
        return await self._ask("GET", CAMPAIGN_PATH, None, CampaignAnswer)

    async def sign(self, kind: int, period: int, blinded: bytes) -> SignAnswer:
        """Have a blinded pass (256 bytes) signed. Raises IssuerUnavailable, IssuerRefused."""
        body = msgspec.json.encode(SignRequest(kind, period, blinded))
        return await self._ask("POST", SIGN_PATH, body, SignAnswer)

    async def _ask(self, method: str, path: str, body: bytes | None, kind: type[Answer]) -> Answer:
        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_Unreachable),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2.0),
            reraise=True,
        )
        status, answer = 0, b""
        async for attempt in attempts:
            with attempt:
                status, answer = await self._once(method, path, body)
        if status != 200:
            raise self._refusal(status, answer)
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.MsgspecError as error:
            raise IssuerUnavailable(f"the sponsor at {self._url} answers nonsense: {error}") from None

    async def _once(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        if body is not None:
            headers |= self._headers
        try:
            async with self._session.request(
                method,
                self._url + path,
                data=body,
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as response:
                answer = await read_at_most(response, MAX_ANSWER)
        except HTTP_ERRORS as error:
            raise _Unreachable(f"the sponsor at {self._url} does not answer: {describe(error)}") from None
        if response.status >= 500:
            raise _Unreachable(f"the sponsor at {self._url} has trouble: HTTP status {response.status}")
        return response.status, answer

    def _refusal(self, status: int, answer: bytes) -> Exception:
        try:
            refusal = msgspec.json.decode(answer, type=ErrorAnswer)
        except msgspec.MsgspecError:
            return IssuerUnavailable(
                f"no sponsor answers at {self._url}: HTTP status {status}; is the address right?"
            )
        advice = _ADVICE.get(refusal.error, "")
        text = f"the sponsor gives no pass ({refusal.error}): {advice or refusal.detail}"
        return IssuerRefused(refusal.error, text)
