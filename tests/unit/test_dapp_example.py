"""examples/dapp/app.py against people and programs that try what they should not."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from examples.dapp import app
from examples.dapp.app import Accounts, Dapp, Sealed
from mixpay.demo.ports import free_ports
from mixpay.sponsor import api
from mixpay.sponsor.policies.callback import SIGNATURE_HEADER, Question, signature_of

SECRET, KEY, PASSWORD = b"s" * 32, "the key", "correct horse"
SIGN = api.SignRequest(1, 7, b"\1" * 256, "whatever")


class Site:
    """The dApp and an issuer that notes what it is asked, both served."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[tuple[str, bytes]]()
        Accounts(folder / "accounts.sqlite").add("alice", PASSWORD)
        self.sealed = Sealed(folder / "sealing.key")

    async def issuer(self, request: web.Request) -> web.Response:
        self.asked.append((str(request.rel_url), await request.read()))
        return web.Response(status=429, body=b'{"error":"quota_exceeded","detail":"all used"}')

    async def post(self, path: str, **options: object) -> tuple[int, str]:
        async with self.http.post(self.dapp.make_url(path), allow_redirects=False, **options) as answer:  # type: ignore[arg-type]
            return answer.status, await answer.text()

    async def log_in(self, name: str = "alice", password: str = PASSWORD, **options: object) -> int:
        return (await self.post("/login", data={"name": name, "password": password}, **options))[0]


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made, issuer = Site(tmp_path), web.Application()
    issuer.router.add_route("*", "/{tail:.*}", made.issuer)
    async with TestServer(issuer) as there:
        dapp = Dapp(tmp_path, str(there.make_url("")).rstrip("/"), KEY, SECRET)
        http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        async with TestServer(dapp.application()) as made.dapp, http as made.http:
            yield made


async def test_login_givesASession_andThatATokens(site: Site) -> None:
    assert (await site.post("/token"))[0] == 401
    assert await site.log_in(password="guessed") == 403
    assert await site.log_in(name="nobody") == 403
    assert await site.log_in() == 303
    (cookie,) = site.http.cookie_jar
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
    status, text = await site.post("/token")
    assert (status, site.sealed.open("token", json.loads(text)["token"], 60)) == (200, "alice")
    async with site.http.get(site.dapp.make_url("/")) as page:
        assert "Hello, alice" in await page.text()
        assert page.headers["Cache-Control"] == "no-store"
    assert (await site.post("/logout"))[0] == 303
    assert (await site.post("/token"))[0] == 401


async def test_formsOfOtherSites_areRefused(site: Site) -> None:
    elsewhere, here = {"Origin": "https://evil.example"}, {"Origin": str(site.dapp.make_url("")).rstrip("/")}
    for origin in (elsewhere["Origin"], "null", "", "http://[x", f"{here['Origin']}.evil.example"):
        assert await site.log_in(headers={"Origin": origin}) == 403
    assert await site.log_in(headers=here) == 303
    assert (await site.post("/token", headers=elsewhere))[0] == 403


async def test_names_areShownAsText(site: Site) -> None:
    Accounts(site.folder / "accounts.sqlite").add("<script>", PASSWORD)
    assert await site.log_in(name="<script>") == 303
    async with site.http.get(site.dapp.make_url("/")) as page:
        assert "Hello, &lt;script&gt;" in await page.text()


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, b"name=\xff&password=%ed%a0%80%00"),
        (f"{FORM}; charset=utf-7", b"name=+2AA-"),
        (f"{FORM}; charset=nonsense", b"name=alice"),
        ("multipart/form-data", b"--x"),
        ("multipart/form-data; boundary=x", b"--x\r\nnonsense"),
    ],
)
async def test_formThatIsNone_isAWrongPassword(site: Site, kind: str, body: bytes) -> None:
    assert (await site.post("/login", data=body, headers={"Content-Type": kind}))[0] == 403


async def test_bodiesThatNobodyNeeds_areNotRead(site: Site) -> None:
    assert (await site.post("/login", data=b"name=" + bytes(1 << 17)))[0] == 413


def test_secretThatIsMissing_orTooShort_isSaid(tmp_path: Path) -> None:
    words = ["serve", "--folder", str(tmp_path / "dapp"), "--sponsor", "http://127.0.0.1:9", "--secret-file"]
    path = tmp_path / "secret"
    assert "does not exist" in CliRunner().invoke(app.main, [*words, str(path)]).output
    path.write_text("short")
    path.chmod(0o600)
    assert "is shorter than" in CliRunner().invoke(app.main, [*words, str(path)]).output


def test_passwordsAreNotKept_andKeysAreTheOwners(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (row,) = sqlite3.connect(site.folder / "accounts.sqlite").execute("SELECT * FROM users")
    assert PASSWORD.encode() not in (site.folder / "accounts.sqlite").read_bytes()
    assert len(row[2]) == 16 and len(row[3]) == 64
    assert (site.folder / "sealing.key").stat().st_mode & 0o777 == 0o600


def test_whatIsSealed_isGoodForOnePurpose_andAWhile(tmp_path: Path, monkeypatch) -> None:
    sealed = Sealed(tmp_path / "key")
    text = sealed.seal("token", "alice")
    assert sealed.open("token", text, 60) == "alice"
    assert sealed.open("session", text, 60) is None
    assert Sealed(tmp_path / "other").open("token", text, 60) is None
    assert sealed.open("token", text[:-2], 60) is None
    assert sealed.open("token", "\ud800é", 60) is None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert sealed.open("token", text, 60) is None


# ---------------------------------------------------------------------- the issuer asks


def question(site: Site, token: str, ago: float = 0.0) -> bytes:
    asked = Question(token, 31337, "0x" + "05" * 20, 1, 1, 7, int(time.time() - ago))
    return msgspec.json.encode(asked)


async def test_callback_saysWhoseTokenItIs_toTheIssuerOnly(site: Site) -> None:
    async def ask(body: bytes, signature: str | None) -> tuple[int, str]:
        headers = {} if signature is None else {SIGNATURE_HEADER: signature}
        return await site.post("/whose-token", data=body, headers=headers)

    body = question(site, site.sealed.seal("token", "alice"))
    right = signature_of(SECRET, body)
    assert await ask(body, right) == (200, '{"user": "1"}')
    for forged in (None, "", "sha256=", right[:-1], signature_of(b"x" * 32, body), "é"):
        assert (await ask(body, forged))[0] == 401
    other = question(site, site.sealed.seal("token", "bob"))
    assert (await ask(other, right))[0] == 401, "signed is another question"
    assert (await ask(other, signature_of(SECRET, other)))[0] == 403, "there is no Bob"
    session = question(site, site.sealed.seal("session", "alice"))
    assert (await ask(session, signature_of(SECRET, session)))[0] == 403
    old = question(site, site.sealed.seal("token", "alice"), ago=app.CLOCKS_DIFFER + 5)
    assert (await ask(old, signature_of(SECRET, old)))[0] == 401


async def test_withoutASecret_nobodyIsTold(tmp_path: Path) -> None:
    site = Site(tmp_path)
    dapp = Dapp(tmp_path, "http://127.0.0.1:9", None, None)
    async with TestServer(dapp.application()) as site.dapp, aiohttp.ClientSession() as site.http:
        body = question(site, site.sealed.seal("token", "alice"))
        headers = {SIGNATURE_HEADER: signature_of(b"", body)}
        assert (await site.post("/whose-token", data=body, headers=headers))[0] == 401
        assert (await site.post(app.SIGN, data=msgspec.json.encode(SIGN)))[0] == 404


# ---------------------------------------------------------------------- through the dApp


async def test_requests_goOnWithTheKey_insteadOfTheToken(site: Site) -> None:
    token = site.sealed.seal("token", "alice")
    shown = msgspec.structs.replace(SIGN, credential=token)
    status, text = await site.post(f"{app.SIGN}?pool=0x01", data=msgspec.json.encode(shown))
    assert (status, json.loads(text)["error"]) == (429, "quota_exceeded"), "the issuer's answer, unchanged"
    ((path, body),) = site.asked
    asked = msgspec.json.decode(body, type=api.SignRequest)
    assert path == "/v1/sign?pool=0x01"
    assert (asked.kind, asked.period, asked.blinded, asked.policy) == (1, 7, SIGN.blinded, "api-key")
    assert json.loads(asked.credential) == {"key": KEY, "user": "1"}
    assert token.encode() not in body


async def test_anIssuerThatIsDown_isSaid_asTheIssuerWould(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (port,) = free_ports(1)
    dapp = Dapp(tmp_path, f"http://127.0.0.1:{port}", KEY, None)
    async with TestServer(dapp.application()) as site.dapp, aiohttp.ClientSession() as site.http:
        shown = msgspec.structs.replace(SIGN, credential=site.sealed.seal("token", "alice"))
        status, text = await site.post(app.SIGN, data=msgspec.json.encode(shown))
        assert (status, json.loads(text)["error"]) == (503, "policy_unavailable")


async def test_whoHasNoToken_getsNothingAskedFor(site: Site) -> None:
    for credential in ("", "guessed", site.sealed.seal("session", "alice"), site.sealed.seal("token", "bob")):
        shown = msgspec.structs.replace(SIGN, credential=credential)
        status, text = await site.post(app.SIGN, data=msgspec.json.encode(shown))
        assert (status, json.loads(text)["error"]) == (403, "identity_refused")
    assert (await site.post(app.SIGN, data=b"nonsense"))[0] == 400
    assert site.asked == []
