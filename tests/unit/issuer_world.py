"""A sponsor's running service on a real chain, and the ways to talk to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from mixpay.crypto.blind_rsa import PublicKey
from mixpay.passes import OwnedPass, PassRequest, Scope
from mixpay.sponsor import api, app
from mixpay.types import Epoch, RelayId
from sponsor_world import PASSWORD, World


@dataclass
class Issuer:
    """A running service and the ways to talk to it."""

    url: str
    session: aiohttp.ClientSession
    world: World
    stop: asyncio.Event

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path) as response:
            return response.status, await response.json()

    async def post(self, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
        async with self.session.post(self.url + path, data=body, headers=headers) as response:
            return response.status, await response.json()

    async def campaign(self) -> api.CampaignAnswer:
        status, answer = await self.get(api.CAMPAIGN_PATH)
        assert status == 200
        return msgspec.convert(answer, api.CampaignAnswer)

    async def until_epoch(self, epoch: Epoch) -> api.CampaignAnswer:
        """Wait until the service has seen an epoch."""
        async with asyncio.timeout(10):
            while (answer := await self.campaign()).epoch != epoch:
                await asyncio.sleep(0.02)
        return answer

    async def buy(self, kind: int = 1, policy: str = "", credential: str = "") -> OwnedPass:
        """A pass of the current period."""
        answer = await self.campaign()
        period = answer.epoch if kind == 1 else answer.term
        (found,) = [k for k in answer.keys if (k.kind, k.period) == (kind, period)]
        public = PublicKey.from_bytes(found.modulus)
        on_chain = self.world.contracts.pool.key(answer.campaign, kind, period)
        assert (on_chain.key_hash, str(on_chain.hop_price)) == (public.key_hash(), found.hop_price)
        scope = Scope(answer.chain_id, answer.pool, answer.campaign, kind, period)
        wanted = PassRequest.new(scope, public, os.urandom)
        body = msgspec.json.encode(api.SignRequest(kind, period, wanted.blinded, policy, credential))
        status, signed = await self.post(api.SIGN_PATH, body)
        assert status == 200, signed
        return wanted.finish(msgspec.convert(signed, api.SignAnswer).signature)

    async def redeem(self, relay: RelayId, kind: int, period: int, *bundles: bytes) -> tuple[int, Any]:
        return await self.post(
            api.REDEEM_PATH, msgspec.json.encode(api.RedeemRequest(relay, kind, period, list(bundles)))
        )


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[Issuer]:
    """The service of the world's home, as `app.serve` runs it."""
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(app.serve(world.home, PASSWORD, stop, ready.set_result))
    try:
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        async with aiohttp.ClientSession() as session:
            yield Issuer(ready.result(), session, world, stop)
    finally:
        stop.set()
        await asyncio.wait_for(task, 15)
