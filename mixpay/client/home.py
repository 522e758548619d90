"""A user's folder: configuration, keys, state. Only its owner can open it (0700, files 0600).

    config.toml      settings, commented
    keys/            the user's secret (`mixpay.client.identity`), encrypted
    state.sqlite     passes, mailboxes, messages on their way in (`mixpay.client.store`), as the release of
                     the deployment file has them; those of later releases N are in state-N.sqlite
    send.lock        held while sending: the ticks of a pass go out in order
    receive.lock     held while mailboxes are made or emptied
    passes.lock      held while a pass is fetched: none is fetched twice

A command that finds a lock taken waits for it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from mixpay import keystore
from mixpay.client.identity import Identity
from mixpay.errors import UserError
from mixpay.files import load_settings, make_private_folder, quoted

CONFIG = "config.toml"
IDENTITY = "identity"
MOST_AHEAD = 64
"""Entry passes fetched ahead for one epoch, at most."""
_LOCK_SECONDS = 0.1

_TEMPLATE = """\
# Mixpay client. Every setting; the commented ones have this default.

# JSON-RPC endpoint of the chain. It answers which relays there are, so use one that you trust.
rpc_url = {rpc_url}

# The deployment file: which chain, and where the contracts are.
deployment = {deployment}

# The issuer of your passes, and its campaign on chain. Without a number, the first it names is kept for good.
sponsor_url = {sponsor_url}
{campaign}

# Which of the sponsor's ways to get passes to take, by name; "": the first that needs only what stands here.
policy = {policy}

# An invitation code, if the sponsor gave you one.
invitation = {invitation}

# The token of the dApp that you log in at, if that is who pays: itself, a file that holds it, or a program
# that prints a fresh one, as a list of words.
token = {token}
token_file = {token_file}
token_command = {token_command}

# An Ethereum account to sign in with, if the sponsor asks for one: its key file (version 3), and a file with
# the password in its first line; without that file it is MIXPAY_PASSWORD. No transaction is sent.
wallet_key_file = {wallet_key_file}
wallet_password_file = {wallet_password_file}

# Seconds that this computer may work for one pass, if the sponsor asks for that.
work_seconds = {work_seconds}

# Delays and pace; all users of a profile look alike. This release has: fast, strong.
# profile = "fast"

# Entry passes fetched ahead for each epoch, at moments that nothing you do changes; not above the quota.
# Leave it as it is once it is set: a change would show.
# passes_ahead = 1
"""


_WRITTEN = (
    *("rpc_url", "deployment", "sponsor_url", "policy", "invitation", "token", "token_file", "token_command"),
    *("wallet_key_file", "wallet_password_file", "work_seconds"),
)


class ClientConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user's settings."""

    rpc_url: str
    deployment: str
    sponsor_url: str
    campaign: int | None = None
    policy: str = ""
    invitation: str = ""
    token: str = ""
    token_file: str = ""
    token_command: list[str] = []
    wallet_key_file: str = ""
    wallet_password_file: str = ""
    work_seconds: Annotated[float, msgspec.Meta(ge=0.1, le=86_400)] = 300.0
    profile: str = "fast"
    passes_ahead: Annotated[int, msgspec.Meta(ge=1, le=MOST_AHEAD)] = 1

    def __post_init__(self) -> None:
        """Raises UserError if settings contradict each other."""
        if len([way for way in (self.token, self.token_file, self.token_command) if way]) > 1:
            raise UserError("say once where the token comes from: `token`, `token_file` or `token_command`")

    def __repr__(self) -> str:
        """Without the values: there are secrets among them."""
        return "ClientConfig(...)"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder and what lies where in it."""

    folder: Path

    @property
    def config_file(self) -> Path:
        """Settings."""
        return self.folder / CONFIG

    @property
    def state_file(self) -> Path:
        """The database of `mixpay.client.store`."""
        return self.folder / "state.sqlite"

    def later_state_file(self, release: int) -> Path:
        """The same for a release that came after the deployment file's."""
        return self.folder / f"state-{release}.sqlite"

    def ensure(self) -> None:
        """Make the folder. Raises UserError if it cannot be made or others can open it."""
        try:
            make_private_folder(self.folder)
            mode = stat.S_IMODE(self.folder.stat().st_mode)
        except OSError as error:
            raise UserError(f"cannot use the folder {self.folder}: {error.strerror}") from None
        if os.name == "posix" and mode & 0o077:
            raise UserError(f"others can open {self.folder}: run  chmod 700 {self.folder}")

    def write_config(self, config: ClientConfig) -> None:
        """Write the settings of a new folder. Raises UserError if there are some already."""
        self.ensure()
        campaign = "# campaign = 1" if config.campaign is None else f"campaign = {config.campaign}"
        values = {name: _toml(getattr(config, name)) for name in _WRITTEN}
        text = _TEMPLATE.format(campaign=campaign, **values)
        try:
            descriptor = os.open(self.config_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise UserError(f"{self.config_file} exists already: edit it, or remove it first") from None
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)

    def config(self) -> ClientConfig:
        """The settings. Raises UserError naming the file and what is wrong in it."""
        remedy = "run `mixpay init --rpc URL --deployment FILE --sponsor URL`"
        return load_settings(self.config_file, ClientConfig, remedy)

    @property
    def has_identity(self) -> bool:
        """Whether the user's secret was made."""
        return IDENTITY in keystore.names(self._keys)

    @property
    def _keys(self) -> Path:
        return self.folder / "keys"

    def identity(
        self, password: Callable[[bool], str], kdf: keystore.Kdf = keystore.Kdf.STANDARD
    ) -> Identity:
        """The user's secret, made when there is none yet.

        `password` is asked once, with True for a new secret. Raises UserError (wrong password, damaged file).
        """
        folder, new = self._keys, not self.has_identity
        word = password(new)
        if new:
            self.ensure()
            keystore.create(folder, [IDENTITY], word, kdf=kdf)
        return Identity(keystore.load(folder, IDENTITY, word))

    def is_held(self, name: str) -> bool:
        """Whether some command holds `name`.lock."""
        try:
            descriptor = os.open(self.folder / f"{name}.lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not _lock(descriptor)
        finally:
            os.close(descriptor)

    @asynccontextmanager
    async def locked(self, name: str, waiting: Callable[[], None]) -> AsyncIterator[None]:
        """Hold `name`.lock; `waiting` is called once if another command has it."""
        self.ensure()
        descriptor = os.open(self.folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _lock(descriptor):
                waiting()
                # Not a blocking call, which an interrupt would not end.
                while not _lock(descriptor):
                    await asyncio.sleep(_LOCK_SECONDS)
            yield
        finally:
            os.close(descriptor)


def _toml(value: str | float | list[str]) -> str:
    """A setting as TOML. Raises UserError for what is no text."""
    if isinstance(value, list):
        return f"[{', '.join(map(quoted, value))}]"
    return quoted(value) if isinstance(value, str) else str(value)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
