"""Makers of credentials, one for each kind of policy, and those that a user's settings are good for."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from mixpay import eip712, eip4361, keystore
from mixpay.accounts import show_account
from mixpay.client.credentials import Configured, Maker, Wanted, nothing
from mixpay.client.errors import IssuerUnavailable
from mixpay.client.home import ClientConfig
from mixpay.crypto import work
from mixpay.eip4361 import Login, LoginError, LoginTerms
from mixpay.errors import UserError
from mixpay.keystore import Secret
from mixpay.sponsor.api import MAX_CREDENTIAL, PolicyOffer
from mixpay.sponsor.binding import DIFFICULTY, bound, difficulty_of, login_nonce
from mixpay.types import Random

Tell = Callable[[str], None]

COMMAND_SECONDS = 60.0
"""How long a command may take that prints a token."""

PROGRESS_SECONDS = 5.0
"""Between two lines that say how far a proof of work is."""

_TRIED_FIRST = 32
"""Attempts after which it is known how long a proof takes."""


def credentials_of(config: ClientConfig, tell: Tell = lambda _: None) -> Configured:
    """What the settings have to show to the sponsor."""
    found: dict[str, Maker] = {"open": nothing, "work": WorkMaker(config.work_seconds, tell)}
    if config.invitation:
        found["invitation"] = text(config.invitation)
    token = _token_of(config)
    if token is not None:
        found["callback"] = token
    if config.wallet_key_file:
        password_file = config.wallet_password_file
        key = key_file(_path(config.wallet_key_file), _path(password_file) if password_file else None)
        found["wallet"] = WalletMaker(config.sponsor_url, key, tell)
    return Configured(config.policy, found, other=token)


def _token_of(config: ClientConfig) -> Maker | None:
    if config.token_file:
        return token_file(_path(config.token_file))
    if config.token_command:
        return token_command(config.token_command)
    return text(config.token) if config.token else None


def _path(text: str) -> Path:
    return Path(text).expanduser()


def text(shown: str) -> Maker:
    """The same text every time."""

    async def show(_offer: PolicyOffer, _wanted: Wanted) -> str:
        return shown

    return show


def token_file(path: Path) -> Maker:
    """What stands in a file now; another program keeps it fresh."""

    async def show(_offer: PolicyOffer, _wanted: Wanted) -> str:
        try:
            return _token(path.read_bytes(), str(path))
        except OSError as error:
            raise UserError(f"cannot read the token in {path}: {error.strerror}") from None

    return show


def token_command(command: Sequence[str]) -> Maker:
    """What a program prints. What it has to say to people goes to stderr."""

    async def show(_offer: PolicyOffer, _wanted: Wanted) -> str:
        pipe, nothing_in = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=nothing_in, stdout=pipe)
        except OSError as error:
            raise UserError(f"cannot start {command[0]} of `token_command`: {error.strerror}") from None
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                printed, _ = await process.communicate()
        except TimeoutError:
            raise UserError(f"{command[0]} prints no token within {COMMAND_SECONDS:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise UserError(f"{command[0]} of `token_command` failed with status {process.returncode}")
        return _token(printed, command[0])

    return show


def _token(content: bytes, where: str) -> str:
    try:
        token = content.decode().strip()
    except UnicodeDecodeError:
        raise UserError(f"the token of {where} is not UTF-8 text") from None
    if not 0 < len(token) <= MAX_CREDENTIAL:
        raise UserError(f"the token of {where} has to have 1 to {MAX_CREDENTIAL} characters")
    return token


class WalletMaker:
    """Signs in with an Ethereum account. `key` opens it, and may take a second; it is asked once.

    Only for the sponsor that the user named: a message for another domain could be used there by whoever runs
    the issuer. So `sponsor_url` must have the domain that the offer says.
    """

    def __init__(
        self,
        sponsor_url: str,
        key: Callable[[], Secret],
        tell: Tell = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._domain, self._load, self._tell, self._now = _authority(sponsor_url), key, tell, now
        self._key: Secret | None = None

    async def __call__(self, offer: PolicyOffer, wanted: Wanted) -> str:
        terms = self._terms(offer)
        if self._key is None:
            self._key = await asyncio.to_thread(self._load)
            account = show_account(eip712.account_of(self._key))
            self._tell(f"signing in at {self._domain} with the account {account}")
        issued = int(self._now())
        nonce, expires = login_nonce(wanted.scope, wanted.blinded), issued + eip4361.MOST_SECONDS
        login = Login(terms, eip712.account_of(self._key), nonce, issued, expires)
        signature = eip4361.sign(login, self._key)
        return json.dumps({"message": login.text(), "signature": f"0x{signature.hex()}"})

    def _terms(self, offer: PolicyOffer) -> LoginTerms:
        try:
            fields = (offer.terms[name] for name in ("domain", "uri", "statement", "chain_id"))
            domain, uri, statement, chain_id = fields
            terms = LoginTerms(domain, uri, int(chain_id), statement)
        except (KeyError, ValueError, LoginError):
            raise IssuerUnavailable("the sponsor's terms for signing in are malformed") from None
        if domain.lower() != self._domain or _authority(uri) != self._domain:
            raise UserError(
                f"the sponsor at {self._domain} asks you to sign in for another domain, {domain}: "
                "nothing was signed, for it could be used there"
            )
        return terms


def key_file(path: Path, password_file: Path | None) -> Callable[[], Secret]:
    """An account's key in a key file of Ethereum (version 3), and its password's private file."""

    def load() -> Secret:
        return keystore.read_key_file(path, keystore.find_password(password_file, os.environ))

    return load


def _authority(url: str) -> str:
    try:
        return urlsplit(url).netloc.rsplit("@", 1)[-1].lower()
    except ValueError:
        return ""


class WorkMaker:
    """Works for a pass, on a thread. Raises UserError if that would take longer than `limit` seconds."""

    def __init__(
        self,
        limit: float,
        tell: Tell = lambda _: None,
        random: Random = os.urandom,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._tell, self._random, self._now = limit, tell, random, now

    async def __call__(self, offer: PolicyOffer, wanted: Wanted) -> str:
        difficulty = _difficulty(offer, wanted)
        loop, over = asyncio.get_running_loop(), threading.Event()

        def tell(line: str) -> None:
            loop.call_soon_threadsafe(self._tell, line)

        pace = _Pace(difficulty, self._limit, tell, self._now, over)
        first = int.from_bytes(self._random(8), "big")
        seed = bound(wanted.scope, wanted.blinded)
        try:
            number = await asyncio.to_thread(work.search, seed, difficulty, first, pace.go_on)
        finally:
            over.set()  # also when the user interrupts: the thread would go on
        if number is None:
            raise UserError(
                f"the sponsor asks for {difficulty:,} attempts of work for a pass, which takes this computer "
                f"about {pace.expected:.0f} s; the limit is {self._limit:.0f} s (`work_seconds`). "
                "Try again later, or take another of its policies"
            )
        return f"{number:016x}"


class _Pace:
    """How a search goes, and whether it goes on. Lives on the searching thread, but for `over`."""

    def __init__(
        self, difficulty: int, limit: float, tell: Tell, now: Callable[[], float], over: threading.Event
    ) -> None:
        self._difficulty, self._limit, self._tell = difficulty, limit, tell
        self._now, self._over = now, over
        self._began = self._told = now()
        self.expected = 0.0

    def go_on(self, made: int) -> bool:
        """Asked before each attempt."""
        if self._over.is_set():
            return False
        if made < _TRIED_FIRST or made % _TRIED_FIRST:
            return True
        now = self._now()
        elapsed = now - self._began
        self.expected = elapsed / made * self._difficulty
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._tell(f"working for a pass: {elapsed:.0f} s of about {self.expected:.0f} s on average")
        # Bad luck may take a few times the average; hopeless is what is above the limit on average.
        return elapsed <= self._limit and self.expected <= self._limit


def _difficulty(offer: PolicyOffer, wanted: Wanted) -> int:
    said = offer.terms.get(difficulty_of(wanted.kind, wanted.period), offer.terms.get(DIFFICULTY, ""))
    if not said.isascii() or not said.isdigit() or len(said) > 30 or int(said) == 0:
        raise IssuerUnavailable("the sponsor's terms for a proof of work are malformed")
    return int(said)
