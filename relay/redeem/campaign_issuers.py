"""Which issuer redeems the passes of which campaign, in the pool of one release.

The settings name campaigns by their numbers in the pool of the deployment file. A later release has another
pool, where a sponsor's campaign has another number: its issuer, at the same URL, is asked for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from mixpay.errors import PeerError
from mixpay.sponsor.remote import IssuerSilent
from mixpay.types import Account
from relay.redeem.issuers import campaign_of

log = logging.getLogger(__name__)

_PAUSE = 20.0
"""Seconds between two questions to an issuer that has no campaign there yet, or does not answer."""


class CampaignIssuers:
    """The issuers of one pool. `later`: the pool is not the deployment file's.

    `urls` holds the URL of each campaign's issuer, as far as known; whoever needs one looks there each time.
    """

    def __init__(
        self, configured: Mapping[int, str], pool: Account, *, later: bool, pause: float = _PAUSE
    ) -> None:
        self.urls: dict[int, str] = {} if later else dict(configured)
        self._pool, self._pause = pool, pause
        self._unknown = sorted(set(configured.values())) if later else []

    async def run(self) -> None:
        """Ask until every issuer has answered with a campaign."""
        while self._unknown:
            for url in list(self._unknown):
                try:
                    campaign = await campaign_of(url, self._pool)
                except (IssuerSilent, PeerError) as error:
                    log.debug("the issuer at %s names no campaign yet: %s", url, error)
                    continue
                log.info("the issuer at %s has campaign %d in this release", url, campaign)
                self.urls[campaign] = url
                self._unknown.remove(url)
            await asyncio.sleep(self._pause if self._unknown else 0)
