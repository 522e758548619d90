"""The way to the issuers that redeem passes."""

from __future__ import annotations

import aiohttp
import tenacity

from mixpay.sponsor.api import CAMPAIGN_PATH, REDEEM_PATH, CampaignAnswer, RedeemAnswer, RedeemRequest
from mixpay.sponsor.remote import PASSING, IssuerSilent, RemoteIssuer
from mixpay.types import Account

PATIENCE = 12.0
"""Seconds for one request with all its repetitions: an issuer may see a new epoch some seconds after us."""

_TIMEOUT = 60.0


async def redeem(url: str, pool: Account, request: RedeemRequest, patience: float = PATIENCE) -> RedeemAnswer:
    """Hand in passes of a pool at the issuer with this URL. Raises IssuerSilent, IssuerRefused."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        return await RemoteIssuer(session, url, pool, timeout=_TIMEOUT).ask(
            REDEEM_PATH,
            request,
            RedeemAnswer,
            stop=tenacity.stop_after_delay(patience),
            passing=PASSING | {"period_open"},
        )


async def campaign_of(url: str, pool: Account) -> int:
    """The number of an issuer's campaign in a pool. Raises IssuerSilent, IssuerRefused `no_campaign`."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        answer = await RemoteIssuer(session, url, pool, timeout=_TIMEOUT).ask(
            CAMPAIGN_PATH, None, CampaignAnswer, stop=tenacity.stop_after_attempt(1)
        )
    if answer.pool != pool:
        raise IssuerSilent(f"the sponsor at {url} knows nothing of later releases")
    return answer.campaign
