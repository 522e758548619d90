"""The sponsor's issuer as a wallet sees it: what it asks, and what a refusal means to its user."""

from __future__ import annotations

import time
from typing import TypeVar

import aiohttp
import msgspec
import tenacity

from mixpay.client.credentials import NOTHING, CredentialSource, Wanted
from mixpay.client.errors import IssuerRefused, IssuerUnavailable
from mixpay.sponsor import remote
from mixpay.sponsor.api import CAMPAIGN_PATH, SIGN_PATH, CampaignAnswer, SignAnswer, SignRequest
from mixpay.types import Account
from mixpay.urls import sponsor_url

_TIMEOUT = 20.0
_ATTEMPTS = 3
_RECENT = 30.0
_ADVICE = {
    "policy_required": "the sponsor has several ways to get passes: set `policy` in the configuration",
    "policy_unknown": "the sponsor does not have this way to get passes any more: try again",
    "identity_required": "the sponsor asks who you are: put what it asks for into the configuration",
    "share_exceeded": "the sponsor has given all passes that it has for this way to get them: wait for the "
    "next period, or ask it",
    "quota_exceeded": "you have had all passes of this period: wait for the next one, or ask the sponsor",
    "wrong_period": "the sponsor's clock and the chain's differ: try again",
    "paused": "the sponsor has paused giving out passes. Those that you have stay good; without one, try "
    "again later, or ask the sponsor",
    "no_key": "the sponsor has registered no key for this period: ask it, or try again in the next one",
}

_Answer = TypeVar("_Answer", CampaignAnswer, SignAnswer)


class Issuer:
    """One sponsor's issuer, for its campaign in a pool. `credentials`: what is shown to get a pass."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        pool: Account,
        credentials: CredentialSource = NOTHING,
    ) -> None:
        self._remote = remote.RemoteIssuer(session, sponsor_url(url), pool, timeout=_TIMEOUT)
        self._credentials = credentials
        self._described: tuple[float, CampaignAnswer] | None = None

    async def campaign(self) -> CampaignAnswer:
        """Which campaign, and its keys now. Raises IssuerUnavailable, IssuerRefused."""
        answer = await self._ask(CAMPAIGN_PATH, None, CampaignAnswer)
        self._described = time.monotonic(), answer
        return answer

    async def sign(self, kind: int, period: int, blinded: bytes) -> SignAnswer:
        """Have a blinded pass (256 bytes) signed.

        Raises IssuerUnavailable, IssuerRefused, and what the source of credentials raises.
        """
        shown = await self._credentials(Wanted(await self._recent(), kind, period, blinded))
        request = SignRequest(kind, period, blinded, shown.policy, shown.credential)
        return await self._ask(SIGN_PATH, request, SignAnswer)

    async def _recent(self) -> CampaignAnswer:
        """What the sponsor said of its policies, not long ago: what they ask for changes."""
        if self._described is not None and time.monotonic() - self._described[0] < _RECENT:
            return self._described[1]
        return await self.campaign()

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
