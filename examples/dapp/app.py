"""A small dApp whose users send Mixpay messages for free: it has accounts and a login; its sponsor pays.

A user's program (`user.py`) logs in, gets a token that is good for some minutes, and with it passes, in one
of two ways. README.md says who learns what by each.

  through us  it asks us (/mixpay/v1/...), and we ask the issuer with our key: policy `api-key`
  by callback it asks the issuer and shows the token; the issuer asks us whose it is: policy `callback`
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import html
import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import click
import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from cryptography.fernet import Fernet, InvalidToken

from mixpay.errors import UserError
from mixpay.http import HTTP_ERRORS, NotJson, read_json
from mixpay.sponsor import api
from mixpay.sponsor.policies.callback import SIGNATURE_HEADER, Question, read_secret, signature_of

SESSION_SECONDS, TOKEN_SECONDS = 12 * 3600, 600
CLOCKS_DIFFER = 60.0
"""Seconds after which what the issuer asked counts as a copy of an old question."""
SESSION = "session"
CAMPAIGN = "/mixpay" + api.CAMPAIGN_PATH
SIGN = "/mixpay" + api.SIGN_PATH

PAGE = """<!doctype html><title>A dApp</title><h1>A dApp</h1>{body}"""
LOGIN = """<p>{note}</p><form method=post action=/login><input name=name placeholder=name>
<input name=password type=password placeholder=password><button>Log in</button></form>"""
HOME = """<p>Hello, {name}. Your token, for ten minutes; <code>user.py</code> fetches its own.</p>
<pre>{token}</pre><form method=post action=/logout><button>Log out</button></form>"""


class Accounts:
    """Who can log in: names and what scrypt makes of passwords, in an SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._open()) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name UNIQUE, salt, hash)")

    def add(self, name: str, password: str) -> None:
        """Raises sqlite3.IntegrityError if there is one of that name."""
        salt = os.urandom(16)
        with closing(self._open()) as db, db:
            row = (name, salt, _scrypt(password, salt))
            db.execute("INSERT INTO users (name, salt, hash) VALUES (?, ?, ?)", row)

    def check(self, name: str, password: str) -> bool:
        """Takes as long for a name that nobody has."""
        with closing(self._open()) as db:
            row = db.execute("SELECT salt, hash FROM users WHERE name = ?", (name,)).fetchone()
        salt, expected = row or (bytes(16), b"")
        return hmac.compare_digest(_scrypt(password, salt), expected)

    def number(self, name: str) -> str | None:
        """What the issuer is told of a user: a number, no name. None for one who is no user any more."""
        with closing(self._open()) as db:
            row = db.execute("SELECT id FROM users WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path)


class Sealed:
    """Texts that we give out and know again: encrypted, authenticated, and good for a while (Fernet)."""

    def __init__(self, key_file: Path) -> None:
        if not key_file.exists():
            with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(Fernet.generate_key())
        self._fernet = Fernet(key_file.read_bytes())

    def seal(self, purpose: str, name: str) -> str:
        """A session is no token, nor the other way round: the purpose is sealed too."""
        return self._fernet.encrypt(f"{purpose}:{name}".encode()).decode()

    def open(self, purpose: str, text: str, seconds: int) -> str | None:
        """The name, None if it is not ours, of another purpose, or too old."""
        try:
            found = self._fernet.decrypt(text.encode(errors="replace"), ttl=seconds).decode()
        except InvalidToken:
            return None
        return found.removeprefix(f"{purpose}:") if found.startswith(f"{purpose}:") else None


class Dapp:
    """The handlers. `api_key`, `secret`: what the issuer knows us by, in either way; None: not that way."""

    def __init__(self, folder: Path, sponsor: str, api_key: str | None, secret: bytes | None) -> None:
        self._accounts, self._sealed = Accounts(folder / "accounts.sqlite"), Sealed(folder / "sealing.key")
        self._sponsor, self._api_key, self._secret = sponsor, api_key, secret
        # scrypt takes memory: strangers who try passwords wait for each other.
        self._checking = asyncio.Semaphore(2)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[own_pages_only], client_max_size=1 << 16)
        app.router.add_get("/", self.home)
        app.router.add_post("/login", self.login)
        app.router.add_post("/logout", self.logout)
        app.router.add_post("/token", self.token)
        app.router.add_post("/whose-token", self.whose_token)
        if self._api_key is not None:
            app.router.add_get(CAMPAIGN, self.campaign)
            app.router.add_post(SIGN, self.sign)
        return app

    # ------------------------------------------------------------------ people

    async def home(self, request: web.Request) -> web.Response:
        name = self._user(request)
        if name is None:
            return _page(LOGIN.format(note="Log in to send messages for free."))
        return _page(HOME.format(name=html.escape(name), token=self._sealed.seal("token", name)))

    async def login(self, request: web.Request) -> web.Response:
        # Whatever strangers send is text afterwards, and nothing but one small form is read.
        form = dict(parse_qsl((await request.read()).decode(errors="replace")))
        name, password = form.get("name", ""), form.get("password", "")
        async with self._checking:
            right = await asyncio.to_thread(self._accounts.check, name, password)
        if not right:
            return _page(LOGIN.format(note="Name or password is wrong."), status=403)
        answer = web.Response(status=303, headers={"Location": "/"})
        # Strict: no other site's page can act in this user's name. No script reads it.
        sealed, secure = self._sealed.seal("session", name), request.secure
        answer.set_cookie(
            SESSION, sealed, max_age=SESSION_SECONDS, httponly=True, samesite="Strict", secure=secure
        )
        return answer

    async def logout(self, _: web.Request) -> web.Response:
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.del_cookie(SESSION)
        return answer

    async def token(self, request: web.Request) -> web.Response:
        """What `user.py` asks for when it needs a pass."""
        name = self._user(request)
        if name is None:
            return web.json_response({"error": "log in first"}, status=401)
        return web.json_response({"token": self._sealed.seal("token", name), "seconds": TOKEN_SECONDS})

    def _user(self, request: web.Request) -> str | None:
        return self._sealed.open("session", request.cookies.get(SESSION, ""), SESSION_SECONDS)

    def _owner(self, token: str) -> str | None:
        """The number of the user whose token it is."""
        name = self._sealed.open("token", token, TOKEN_SECONDS)
        return None if name is None else self._accounts.number(name)

    # ------------------------------------------------------------------ by callback

    async def whose_token(self, request: web.Request) -> web.Response:
        """The issuer asks. Only it knows the secret, which signs the question."""
        body = await request.read()
        shown = request.headers.get(SIGNATURE_HEADER, "").encode(errors="replace")
        if self._secret is None or not hmac.compare_digest(signature_of(self._secret, body).encode(), shown):
            return web.json_response({"error": "the signature is wrong"}, status=401)
        question = msgspec.json.decode(body, type=Question)
        if abs(time.time() - question.time) > CLOCKS_DIFFER:
            return web.json_response({"error": "an old question"}, status=401)
        number = self._owner(question.token)
        if number is None:
            return web.json_response({"error": "no such token"}, status=403)
        return web.json_response({"user": number})

    # ------------------------------------------------------------------ through us

    async def campaign(self, request: web.Request) -> web.Response:
        """What the issuer says of its campaign, unchanged: programs check it against the chain."""
        return await self._ask("GET", api.CAMPAIGN_PATH, request, None)

    async def sign(self, request: web.Request) -> web.Response:
        """A user's request for a pass: instead of the token it gets our key, and whose it is."""
        try:
            wanted = read_json(await request.read(), api.SignRequest)
        except NotJson as error:
            return _refused(400, "malformed", str(error))
        number = self._owner(wanted.credential)
        if number is None:
            return _refused(403, "identity_refused", "the token is not known any more: log in again")
        credential = json.dumps({"key": self._api_key, "user": number})
        asked = msgspec.structs.replace(wanted, policy="api-key", credential=credential)
        return await self._ask("POST", api.SIGN_PATH, request, msgspec.json.encode(asked))

    async def _ask(self, method: str, path: str, request: web.Request, body: bytes | None) -> web.Response:
        # A session for each: passes are asked for a few times a day. `query` names the pool, if anything.
        url, timeout = self._sponsor + path, aiohttp.ClientTimeout(total=15)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.request(method, url, params=request.query, data=body) as answer,
            ):
                return web.Response(
                    status=answer.status, body=await answer.read(), content_type="application/json"
                )
        except HTTP_ERRORS:
            return _refused(503, "policy_unavailable", "the sponsor does not answer just now")


@web.middleware
async def own_pages_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Browsers say which site's page sends a form: only ours may, logging in included."""
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin is not None and origin.partition("://")[2] != request.host:
        raise web.HTTPForbidden(text="sent from another site's page")
    return await handler(request)


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=1 << 14, r=8, p=1)


def _page(body: str, status: int = 200) -> web.Response:
    text, rule = PAGE.format(body=body), "default-src 'none'; form-action 'self'"
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": rule}
    return web.Response(text=text, content_type="text/html", status=status, headers=headers)


def _refused(status: int, label: str, detail: str) -> web.Response:
    """An error as the issuer's are, so that programs understand it."""
    answer = msgspec.json.encode(api.ErrorAnswer(label, detail))
    return web.Response(status=status, body=answer, content_type="application/json")


# ---------------------------------------------------------------------- commands

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_folder = click.option(
    "--folder", type=click.Path(path_type=Path), required=True, help="Accounts, and a key."
)


@click.group()
def main() -> None:
    """A dApp whose users send for free."""


@main.command()
@_folder
@click.argument("names", nargs=-1, required=True)
def add_user(folder: Path, names: tuple[str, ...]) -> None:
    """Make accounts; their password is DAPP_PASSWORD, or asked for."""
    password = os.environ.get("DAPP_PASSWORD") or click.prompt("Password", hide_input=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        try:
            Accounts(folder / "accounts.sqlite").add(name, password)
        except sqlite3.IntegrityError:
            raise click.ClickException(f"there is a {name} already") from None


@main.command()
@_folder
@click.option("--port", type=int, default=8080, show_default=True)
@click.option("--sponsor", required=True, help="Where the issuer is.")
@click.option("--api-key-file", type=_file, help="Get passes for users with this key.")
@click.option("--secret-file", type=_file, help="Answer callbacks signed with this.")
def serve(
    folder: Path, port: int, sponsor: str, api_key_file: Path | None, secret_file: Path | None
) -> None:
    """Serve on 127.0.0.1. A proxy with TLS before it shall pass Host on; then set the cookie's `secure`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    key = api_key_file.read_text().strip() if api_key_file else None
    try:
        secret = read_secret(secret_file) if secret_file else None
    except UserError as error:
        raise click.ClickException(str(error)) from None
    # In the loop that will serve.
    web.run_app(_made(folder, sponsor.rstrip("/"), key, secret), host="127.0.0.1", port=port, access_log=None)


async def _made(folder: Path, sponsor: str, key: str | None, secret: bytes | None) -> web.Application:
    return Dapp(folder, sponsor, key, secret).application()


if __name__ == "__main__":
    main()
