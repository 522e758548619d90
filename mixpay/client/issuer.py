"""The sponsor's issuer as a wallet sees it: what it asks, and what a refusal means to its user."""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
import tenacity

from mixpay.client.errors import IssuerRefused, IssuerUnavailable
from mixpay.errors import UserError
from mixpay.sponsor import remote
from mixpay.sponsor.api import CAMPAIGN_PATH, SIGN_PATH, CampaignAnswer, SignAnswer, SignRequest
from mixpay.types import Account

_TIMEOUT = 20.0
_ATTEMPTS = 3
_ADVICE = {
    "identity_required": "the sponsor asks who you are: put your invitation into the configuration",
    "identity_refused": "the sponsor does not know this invitation: check it in the configuration",
    "quota_exceeded": "you have had all passes of this period: wait for the next one, or ask the sponsor",
    "wrong_period": "the sponsor's clock and the chain's differ: try again",
    "no_key": "the sponsor has registered no key for this period: ask it, or try again in the next one",
}

_Answer = TypeVar("_Answer", CampaignAnswer, SignAnswer)


def checked_url(url: str) -> str:
    """The address of a sponsor. Raises UserError if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets around what is no IPv6 address
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"not the address of a sponsor: {url!r}; it looks like https://sponsor.example")
    return url.rstrip("/")


class Issuer:
    """One sponsor's issuer, for its campaign in a pool.

    `invitation` is sent as bearer token when passes are asked for, never before.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, pool: Account, *, invitation: str = ""
    ) -> None:
        self._remote = remote.RemoteIssuer(
            session, checked_url(url), pool, timeout=_TIMEOUT, bearer=invitation
        )

    async def campaign(self) -> CampaignAnswer:
        """Which campaign, and its keys now. Raises IssuerUnavailable, IssuerRefused."""
        return await self._ask(CAMPAIGN_PATH, None, CampaignAnswer)

    async def sign(self, kind: int, period: int, blinded: bytes) -> SignAnswer:
        """Have a blinded pass (256 bytes) signed. Raises IssuerUnavailable, IssuerRefused."""
        return await self._ask(SIGN_PATH, SignRequest(kind, period, blinded), SignAnswer)

    async def _ask(self, path: str, request: msgspec.Struct | None, answer: type[_Answer]) -> _Answer:
        try:
            stop = tenacity.stop_after_attempt(_ATTEMPTS)
            return await self._remote.ask(path, request, answer, stop=stop)
        except remote.IssuerSilent as error:
            raise IssuerUnavailable(str(error)) from None
        except remote.IssuerRefused as error:
            if error.reason in remote.PASSING:
                raise IssuerUnavailable(f"the sponsor has trouble ({error.reason}): {error.detail}") from None
            advice = _ADVICE.get(error.reason, error.detail)
            raise IssuerRefused(
                error.reason, f"the sponsor gives no pass ({error.reason}): {advice}"
            ) from None
