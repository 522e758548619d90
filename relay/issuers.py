"""The way to the issuers that redeem passes."""

from __future__ import annotations

import aiohttp
import tenacity

from mixpay.sponsor.api import REDEEM_PATH, RedeemAnswer, RedeemRequest
from mixpay.sponsor.remote import PASSING, RemoteIssuer

PATIENCE = 12.0
"""Seconds for one request with all its repetitions: an issuer may see a new epoch some seconds after us."""

_TIMEOUT = 60.0


async def redeem(url: str, request: RedeemRequest, patience: float = PATIENCE) -> RedeemAnswer:
    """Hand in passes at the issuer with this URL. Raises IssuerSilent, IssuerRefused."""
    async with aiohttp.ClientSession() as session:
        return await RemoteIssuer(session, url, timeout=_TIMEOUT).ask(
            REDEEM_PATH,
            request,
            RedeemAnswer,
            stop=tenacity.stop_after_delay(patience),
            passing=PASSING | {"period_open"},
        )
