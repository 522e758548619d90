"""Policy `callback`: the dApp is asked over HTTP whose token this is.

Credential: any token of the dApp, which its users' programs get where they log in (`login_url`). The issuer
posts JSON to the dApp's URL, and none of it stands in the URL:

    {"token": "...", "chain_id": 1, "pool": "0x...", "campaign": 1, "kind": 1, "period": 7, "time":
    1800000000} Mixpay-Signature: sha256=<HMAC-SHA-256 of the body under the shared secret, hexadecimal>

The dApp checks the signature (`signature_of`) and the time, and answers 200 with {"user": "..."}, 1 to 256
characters that it tells its users apart by, or 403: no pass for this token. Whatever else it says, or if it
says nothing, the user is told to try again. A redirect is not followed.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
import msgspec

from mixpay.errors import UserError
from mixpay.http import HTTP_ERRORS, NotJson, TooLong, describe, read_at_most, read_json
from mixpay.keystore import check_private
from mixpay.sponsor.policies.api_key import User
from mixpay.sponsor.policies.interface import Surroundings
from mixpay.sponsor.policy import IDENTIFY_SECONDS, Asked, Identified, PolicyRefusal, Quotas

SIGNATURE_HEADER = "Mixpay-Signature"
SECRET = "callback-secret.txt"  # noqa: S105 a file's name
_MAX_ANSWER = 4096
_SHORTEST_SECRET = 32
_FORBIDDEN, _OK = 403, 200
_log = logging.getLogger(__name__)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`url`: the dApp's. `secret`: the file of the shared secret. `seconds`: for its answer.

    `login_url`: where users get a token, for people; public.
    """

    url: str
    secret: str = SECRET
    seconds: Annotated[float, msgspec.Meta(ge=0.1, le=IDENTIFY_SECONDS)] = 5.0
    login_url: str = ""


class Question(msgspec.Struct, frozen=True):
    """What the dApp is asked; `time`: seconds since 1970."""

    token: str
    chain_id: int
    pool: str
    campaign: int
    kind: int
    period: int
    time: int

    def __repr__(self) -> str:
        """Without the token."""
        return f"Question(campaign={self.campaign}, kind={self.kind}, period={self.period})"


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What it says."""

    user: User


class CallbackPolicy:
    """The users that a dApp knows. `secret`: at least 32 bytes. Raises UserError for a URL that will not
    do."""

    kind = "callback"

    def __init__(
        self, settings: Settings, secret: bytes, quotas: Quotas, name: str = "callback"
    ) -> None:
        self.quotas, self.name, self._settings = quotas, name, settings
        self._url, self._secret = checked_url(settings.url), secret
        self._session: aiohttp.ClientSession | None = None

    def terms(self) -> Mapping[str, str]:
        return {"login_url": self._settings.login_url} if self._settings.login_url else {}

    async def identify(self, asked: Asked) -> Identified:
        if not asked.credential:
            raise PolicyRefusal("identity_required", "log in at the dApp, and show the token that it gives")
        scope = asked.scope
        pool = f"0x{scope.pool.hex()}"
        question = Question(
            asked.credential, scope.chain_id, pool, scope.campaign, scope.kind, scope.period, int(asked.now)
        )
        try:
            body = msgspec.json.encode(question)
        except UnicodeEncodeError:
            raise PolicyRefusal("identity_refused", "a token is text") from None
        user = self._user(*await self._ask(body))
        return Identified(self.name, b"user:" + user.encode(), self.quotas)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(self, body: bytes) -> tuple[int, bytes]:
        headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            SIGNATURE_HEADER: signature_of(self._secret, body),
        }
        timeout = aiohttp.ClientTimeout(total=self._settings.seconds)
        if self._session is None:
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(cookie_jar=jar, auto_decompress=False)
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return response.status, await read_at_most(response, _MAX_ANSWER)
        except HTTP_ERRORS as error:
            # Other errors quote what was said, or the URL.
            plain = isinstance(error, aiohttp.ClientConnectorError | TimeoutError | TooLong)
            raise self._unavailable(describe(error) if plain else type(error).__name__) from None

    def _user(self, status: int, body: bytes) -> str:
        if status == _FORBIDDEN:
            raise PolicyRefusal("identity_refused", "the dApp does not know this token: log in again")
        if status != _OK:
            raise self._unavailable(f"HTTP status {status}")
        try:
            return read_json(body, Answer).user
        except NotJson:
            raise self._unavailable("it is not {user} in JSON") from None

    def _unavailable(self, why: str) -> PolicyRefusal:
        # Neither the URL nor what it answered: secrets stand in both.
        _log.warning("the policy %s: the dApp gives no usable answer: %s", self.name, why)
        return PolicyRefusal("policy_unavailable", "the dApp does not say who you are just now; try again")


def make(name: str, quotas: Quotas, settings: Settings, around: Surroundings) -> CallbackPolicy:
    """From the settings. Raises UserError for a URL or a secret that will not do."""
    return CallbackPolicy(settings, read_secret(around.path(settings.secret)), quotas, name)


def signature_of(secret: bytes, body: bytes) -> str:
    """The header's text. Compare it in constant time (hmac.compare_digest)."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


def read_secret(path: Path) -> bytes:
    """The secret in a private file: its first line. Raises UserError."""
    if not path.is_file():
        raise UserError(
            f"there is no shared secret in {path}: write {_SHORTEST_SECRET} or more random letters into it "
            f"and give them to the dApp:  (umask 077; openssl rand -hex 32 > {path})"
        )
    check_private(path, 0o600)
    secret = path.read_bytes().split(b"\n", 1)[0].strip()
    if len(secret) < _SHORTEST_SECRET:
        raise UserError(f"the shared secret in {path} is shorter than {_SHORTEST_SECRET} characters")
    return secret


def checked_url(url: str) -> str:
    """A URL that may be asked: https, or http of this machine. Raises UserError."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise UserError("the callback's url is none") from None
    if not host or parts.username is not None or parts.fragment or not re.fullmatch(r"[!-~]+", url):
        raise UserError("the callback's url is not like https://dapp.example/mixpay (no user, no fragment)")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(host)):
        raise UserError("the callback's url must begin with https, or name this machine")
    return url


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
