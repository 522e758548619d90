"""Policy `callback`, with a dApp that answers over real HTTP: well, badly, late, and not at all."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from mixpay.errors import UserError
from mixpay.sponsor.policies.callback import (
    SIGNATURE_HEADER,
    CallbackPolicy,
    Settings,
    checked_url,
    read_secret,
    signature_of,
)
from mixpay.sponsor.policy import PolicyRefusal, Quotas
from policy_world import NOW, SCOPE, asked

SECRET = b"s" * 32
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Dapp:
    """Knows the token "good"; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        known = json.loads(self.bodies[-1])["token"] == "good"
        return web.json_response({"user": "alice"}) if known else web.Response(status=403)


@asynccontextmanager
async def answering(handler: Handler, seconds: float = 5.0) -> AsyncIterator[CallbackPolicy]:
    """A policy that asks this dApp."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/mixpay?app=1"
    policy = CallbackPolicy(Settings(url, seconds=seconds), SECRET, Quotas())
    try:
        yield policy
    finally:
        await policy.close()
        await runner.cleanup()


async def label(policy: CallbackPolicy, credential: str = "good") -> str:
    with pytest.raises(PolicyRefusal) as caught:
        await policy.identify(asked(credential))
    return caught.value.label


async def test_theDapp_saysWhoseTokenItIs_andKnowsWhoAsks() -> None:
    dapp = Dapp()
    async with answering(dapp.answer) as policy:
        found = await policy.identify(asked("good"))
        assert (found.identity, found.policy) == (b"user:alice", "callback")
        assert await label(policy, "bad") == "identity_refused"
        assert await label(policy, "") == "identity_required"
    assert len(dapp.asked) == 2, "nothing is asked without a token"
    request, body = dapp.asked[0], dapp.bodies[0]
    assert hmac.compare_digest(request.headers[SIGNATURE_HEADER], signature_of(SECRET, body))
    assert json.loads(body) == {
        "token": "good",
        "chain_id": SCOPE.chain_id,
        "pool": f"0x{SCOPE.pool.hex()}",
        "campaign": 3,
        "kind": 1,
        "period": 7,
        "time": NOW,
    }


@pytest.mark.parametrize(
    "token",
    ["../../admin", "?app=2", "@evil.example/", "a\r\nHost: evil.example", "#", "%2e%2e/", "💥" * 1000],
)
async def test_aToken_choosesNoPartOfTheRequestButItself(token: str) -> None:
    dapp = Dapp()
    async with answering(dapp.answer) as policy:
        assert await label(policy, token) == "identity_refused"
    (request,) = dapp.asked
    assert request.path_qs == "/mixpay?app=1"
    assert request.host.startswith("127.0.0.1:")
    assert json.loads(dapp.bodies[0])["token"] == token


def saying(body: bytes, status: int = 200, **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=headers)

    return answer


@pytest.mark.parametrize(
    "handler",
    [
        saying(b""),
        saying(b"alice"),
        saying(b'{"user":""}'),
        saying(b'{"user":7}'),
        saying(b'{"user":"a","admin":true}'),
        saying(b'{"user":"\xff"}'),
        saying(b'{"user":"%s"}' % (b"a" * 257)),
        saying(b'{"user":"a"}' + b" " * 5000),
        saying(b'{"user":"a"}', 201),
        saying(b'{"user":"a"}', 401),
        saying(b"", 404),
        saying(b"", 500),
        saying(b'{"user":"a"}', 302, Location="/mixpay?app=1"),
        saying(b'{"user":"a"}', 307, Location="https://dapp.example/"),
    ],
)
async def test_anythingElse_isADappThatDoesNotAnswer(
    handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    asked_for = []

    async def counting(request: web.Request) -> web.StreamResponse:
        asked_for.append(request.path)
        return await handler(request)

    async with answering(counting) as policy:
        assert await label(policy, "a-secret-token") == "policy_unavailable"
    assert len(asked_for) == 1, "no redirect is followed"
    assert "no usable answer" in caplog.text
    assert "a-secret-token" not in caplog.text and "s" * 32 not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        b"the-dapps-secret\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: the-dapps-secret\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nthe-dapps-secret\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"the-dapps-secret":"a"}',
    ],
)
async def test_whatADappSaysThatNobodyUnderstands_isNotLogged_norItsUrl(
    answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        policy = CallbackPolicy(Settings(f"http://127.0.0.1:{port}/?key=opensesame"), SECRET, Quotas())
        assert await label(policy) == "policy_unavailable"
        await policy.close()
    assert "no usable answer" in caplog.text
    assert "the-dapps-secret" not in caplog.text and "opensesame" not in caplog.text


async def test_aSilentDapp_isNotWaitedForLong() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with answering(hang, seconds=0.1) as policy:
        assert await label(policy) == "policy_unavailable"


async def test_aDappThatIsAway_isUnavailable(unused_tcp_port: int) -> None:
    policy = CallbackPolicy(Settings(f"http://127.0.0.1:{unused_tcp_port}/"), SECRET, Quotas())
    assert await label(policy) == "policy_unavailable"
    await policy.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://dapp.example/a?b=c",
        "https://dapp.example:444",
        "http://127.0.0.9:1/",
        "http://[::1]/",
        "http://localhost/x",
    ],
)
def test_urlsThatWillDo(url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dapp.example",
        "http://dapp.example/",
        "http://192.0.2.1/",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1@evil.example/",
        "https://user:word@dapp.example/",
        "https://dapp.example/#a",
        "https://dapp.example/ x",
        "https://dapp.example:port/",
        "https://[::1/",
        "https://",
        "ftp://dapp.example/",
        "file:///etc/passwd",
    ],
)
def test_urlsThatWillNotDo(url: str) -> None:
    with pytest.raises(UserError, match="callback's url"):
        checked_url(url)


def test_theSecret_isLongAndPrivate(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    with pytest.raises(UserError, match="openssl rand -hex 32"):
        read_secret(path)
    path.write_text("short\n")
    path.chmod(0o600)
    with pytest.raises(UserError, match="shorter than 32"):
        read_secret(path)
    path.write_text("x" * 32 + "\nmore\n")
    assert read_secret(path) == b"x" * 32
    path.chmod(0o640)
    with pytest.raises(UserError, match="chmod 600"):
        read_secret(path)
