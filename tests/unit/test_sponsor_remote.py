"""Asking an issuer: what is repeated, what is told apart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest
import tenacity
from aiohttp import web

from mixpay.client.errors import IssuerUnavailable
from mixpay.client.issuer import Issuer
from mixpay.sponsor import api
from mixpay.sponsor.remote import MAX_ANSWER, IssuerRefused, IssuerSilent, RemoteIssuer
from mixpay.types import Account

POOL = Account(b"\5" * 20)
REQUEST = api.SignRequest(1, 2, bytes(256))
SIGNED = api.SignAnswer(bytes(256), 3)
BUSY = (503, msgspec.json.encode(api.ErrorAnswer("busy", "later")))
GOOD = (200, msgspec.json.encode(SIGNED))
Reply = tuple[int, bytes]


class Script:
    """Answers one after the other, the last one for ever; keeps what was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies, self.asked = list(replies), list[str]()

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.asked.append(request.method)
        status, body = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return web.Response(status=status, body=body)


@asynccontextmanager
async def served(script: Script) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as session:
            yield session, f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def ask(script: Script, attempts: int = 2) -> api.SignAnswer:
    async with served(script) as (session, url):
        issuer = RemoteIssuer(session, url, POOL, timeout=5)
        stop = tenacity.stop_after_attempt(attempts)
        return await issuer.ask(api.SIGN_PATH, REQUEST, api.SignAnswer, stop=stop)


async def test_ask_repeatsWhatMayPass() -> None:
    script = Script(BUSY, (502, b"bad gateway"), GOOD)
    assert await ask(script, attempts=3) == SIGNED
    assert script.asked == ["POST"] * 3


async def test_ask_saysWhatStaysAfterTheLastAttempt() -> None:
    script = Script(BUSY)
    with pytest.raises(IssuerRefused, match="busy: later"):
        await ask(script)
    assert len(script.asked) == 2


async def test_ask_doesNotRepeatARefusal() -> None:
    script = Script((429, msgspec.json.encode(api.ErrorAnswer("quota_exceeded", "enough"))))
    with pytest.raises(IssuerRefused) as refusal:
        await ask(script)
    assert (refusal.value.reason, len(script.asked)) == ("quota_exceeded", 1)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ((404, b"<html>"), "no sponsor answers at .*HTTP status 404"),
        ((200, b"<html>"), "answers nonsense"),
        ((200, b'{"\xff":1}'), "answers nonsense"),
        ((400, b'{"error":"\xff"}'), "no sponsor answers at .*HTTP status 400"),
        ((302, b""), "HTTP status 302"),
        ((200, bytes(MAX_ANSWER + 1)), "does not answer: more than"),
    ],
)
async def test_ask_takesNoAnswerForSilence(reply: Reply, text: str) -> None:
    with pytest.raises(IssuerSilent, match=text):
        await ask(Script(reply))


async def test_client_callsABusySponsorUnavailable() -> None:
    async with served(Script(BUSY)) as (session, url):
        with pytest.raises(IssuerUnavailable, match=r"has trouble \(busy\): later"):
            await Issuer(session, url, POOL).campaign()
