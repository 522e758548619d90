"""Which campaign an issuer has in the pool of a later release: asked for, until it answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest_asyncio
from aiohttp import web

from mixpay.sponsor import api
from mixpay.types import Account
from relay.redeem.campaign_issuers import CampaignIssuers

POOL, OLD_POOL = Account(b"\5" * 20), Account(b"\4" * 20)


class Sponsor:
    """Answers with a campaign, or refuses, as the test says; keeps what was asked."""

    def __init__(self) -> None:
        self.campaign, self.pool, self.asked = 0, POOL, list[str]()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.query_string)
        if not self.campaign:
            return web.Response(status=404, body=msgspec.json.encode(api.ErrorAnswer("no_campaign", "none")))
        described = api.CampaignAnswer(1, self.pool, self.campaign, 3, 3, [], [])
        return web.Response(body=msgspec.json.encode(described))


@pytest_asyncio.fixture
async def sponsor() -> AsyncIterator[Sponsor]:
    made, app = Sponsor(), web.Application()
    app.router.add_get(api.CAMPAIGN_PATH, made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def test_inTheDeploymentFilesPool_theSettingsSayIt(sponsor: Sponsor) -> None:
    issuers = CampaignIssuers({7: sponsor.url}, POOL, later=False)
    assert issuers.urls == {7: sponsor.url}
    await issuers.run()
    assert sponsor.asked == []


async def test_inALaterPool_theIssuerIsAsked_untilItHasACampaign(sponsor: Sponsor) -> None:
    issuers = CampaignIssuers({7: sponsor.url}, POOL, later=True, pause=0.01)
    seen = issuers.urls
    task = asyncio.create_task(issuers.run())
    while len(sponsor.asked) < 3:
        await asyncio.sleep(0.01)
    assert seen == {}
    sponsor.campaign, sponsor.pool = 2, OLD_POOL  # a program that knows one pool only names that
    asked = len(sponsor.asked)
    while len(sponsor.asked) < asked + 2:
        await asyncio.sleep(0.01)
    assert seen == {}
    sponsor.pool = POOL
    await asyncio.wait_for(task, 10)
    assert seen == {2: sponsor.url}
    assert set(sponsor.asked) == {f"pool=0x{POOL.hex()}"}


async def test_issuersThatAreAway_holdNobodyUp(sponsor: Sponsor, unused_tcp_port: int) -> None:
    sponsor.campaign = 4
    away = f"http://127.0.0.1:{unused_tcp_port}"
    issuers = CampaignIssuers({1: away, 2: sponsor.url}, POOL, later=True, pause=0.01)
    task = asyncio.create_task(issuers.run())
    while not issuers.urls:
        await asyncio.sleep(0.01)
    assert issuers.urls == {4: sponsor.url}
    assert not task.done()
    task.cancel()
