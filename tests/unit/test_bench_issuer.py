"""The load on issuers, against a server that answers like one; and turns that medians are taken of."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from aiohttp import web

from bench.issuer import Rate, Scale, take_turns
from bench.issuer_load import Load
from mixpay.sponsor import api

POOL = "0x" + "07" * 20


@pytest.mark.parametrize("rate", [None, 2_000.0])
async def test_load_asksEachRequestOnce_andCountsWhatIsRefused(rate: float | None) -> None:
    seen: list[tuple[bytes, str]] = []

    async def sign(request: web.Request) -> web.Response:
        assert request.query[api.POOL_QUERY] == POOL
        asked = msgspec.json.decode(await request.read(), type=api.SignRequest)
        seen.append((asked.blinded, request.headers["X-Forwarded-For"]))
        return web.Response(text="x" * 100, status=429 if len(seen) == 30 else 200)

    app = web.Application()
    app.router.add_post(api.SIGN_PATH, sign)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    order = {"urls": [f"http://127.0.0.1:{runner.addresses[0][1]}"], "pool": POOL, "kind": 1, "period": 5}
    more = {"requests": 60, "connections": 8, "rate": rate, "warm": 10}
    found = await asyncio.to_thread(lambda: Load({**order, **more}).run())
    await runner.cleanup()
    assert (found["answered"], found["failed"]) == (50, 1)
    assert len({blinded for blinded, _ in seen}) == len({address for _, address in seen}) == 60
    assert 0 < found["p50_ms"] <= found["p99_ms"]


def test_takeTurns_givesTheMedianOfEach() -> None:
    ones, others = iter([(1, 10, 0.1), (5, 50, 0.3), (3, 30, 0.2)]), iter([(9, 0, 1), (8, 1, 1), (7, 2, 1)])
    found = take_turns(Scale(turns=3), one=lambda: Rate(*next(ones)), other=lambda: Rate(*next(others)))
    assert found == {"one": Rate(3, 30, 0.2), "other": Rate(8, 1, 1)}
