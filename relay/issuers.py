"""The way to the issuers that redeem passes (`mixpay.sponsor.api`): HTTP, repeated while it may help.

A redemption may be repeated: the issuer credits a pass once, whatever it is asked.
"""

from __future__ import annotations

import aiohttp
import msgspec
import tenacity

from mixpay.client.http import HTTP_ERRORS, describe, read_at_most
from mixpay.errors import MixpayError, PeerError
from mixpay.sponsor.api import REDEEM_PATH, ErrorAnswer, RedeemAnswer, RedeemRequest

MAX_ANSWER = 1 << 20
"""Bytes of the longest answer that is read."""

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=5)
PATIENCE = 12.0
"""Seconds for one request with all its repetitions: an issuer may see a new epoch some seconds after us."""
_PASSING = frozenset(("busy", "chain_unavailable", "internal", "period_open"))
"""Refusals that may be over in a moment."""


class IssuerSilent(MixpayError):
    """No usable answer. Whether the issuer took what it was asked is not known."""


class IssuerRefused(PeerError):
    """The issuer refused the request as a whole; `reason` is its label."""


async def redeem(url: str, request: RedeemRequest, patience: float = PATIENCE) -> RedeemAnswer:
    """Hand in passes at the issuer with this URL. Raises IssuerSilent, IssuerRefused."""
    attempts = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(_may_pass),
        stop=tenacity.stop_after_delay(patience),
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=2.0),
        reraise=True,
    )
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        body: bytes = await attempts(_post, session, url, msgspec.json.encode(request))
    try:
        return msgspec.json.decode(body, type=RedeemAnswer)
    except msgspec.MsgspecError as error:
        raise IssuerSilent(f"the issuer at {url} answers nonsense: {error}") from None


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> bytes:
    headers = {"Content-Type": "application/json"}
    try:
        async with session.post(
            url.rstrip("/") + REDEEM_PATH, data=body, headers=headers, allow_redirects=False
        ) as response:
            answer = await read_at_most(response, MAX_ANSWER)
    except HTTP_ERRORS as error:
        raise IssuerSilent(f"the issuer at {url} does not answer: {describe(error)}") from None
    if response.status == 200:
        return answer
    try:
        refusal = msgspec.json.decode(answer, type=ErrorAnswer)
    except msgspec.MsgspecError:
        raise IssuerSilent(f"no issuer answers at {url}: HTTP status {response.status}") from None
    raise IssuerRefused(refusal.error, refusal.detail)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, IssuerSilent) or (isinstance(error, IssuerRefused) and error.reason in _PASSING)
