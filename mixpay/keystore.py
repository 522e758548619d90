"""Secrets on disk: one folder (0700), one file a secret (0600), as Ethereum's key files (version 3, scrypt).

Any secret of 32 bytes goes in: an operator's secp256k1 key, a link key's Ed25519 seed, an X25519 key. A file
is written whole or not at all, and an existing one is never replaced. The password is never stored.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path

from mixpay.crypto.secp256k1 import N
from mixpay.errors import UserError
from mixpay.files import make_private_folder
from mixpay.types import Random

SECRET_BYTES = 32
PASSWORD_VARIABLE = "MIXPAY_PASSWORD"  # noqa: S105 the name of the variable, not what it holds
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Kdf(IntEnum):
    """scrypt's cost N (r = 8, p = 1): 256 MiB and about a second, or 4 MiB for tests and demonstrations."""

    STANDARD = 1 << 18
    LIGHT = 1 << 12


class Secret(bytes):
    """Bytes that do not show themselves in logs and error messages."""

    def __repr__(self) -> str:
        return f"Secret({len(self)} bytes)"

    __str__ = __repr__


def create(
    folder: Path,
    names: Sequence[str],
    password: str,
    *,
    random: Random = os.urandom,
    kdf: Kdf = Kdf.STANDARD,
) -> None:
    """Make a fresh secret of 32 bytes under each name; each is also a valid secp256k1 key.

    Raises UserError, before anything is written, if one of the names is taken.
    """
    taken = [name for name in names if _path(folder, name).exists()]
    if taken:
        raise _exists(folder, taken[0])
    for name in names:
        secret = random(SECRET_BYTES)
        while not 0 < int.from_bytes(secret, "big") < N:
            secret = random(SECRET_BYTES)
        put(folder, name, secret, password, kdf=kdf)


def put(folder: Path, name: str, secret: bytes, password: str, *, kdf: Kdf = Kdf.STANDARD) -> None:
    """Store an existing secret of 32 bytes, 0 < secret < n of secp256k1 (the format's own rule).

    Raises UserError for a taken name, an empty password or a folder others can read; ValueError for another
    secret.
    """
    if not password:
        raise UserError("the key store's password must not be empty")
    if len(secret) != SECRET_BYTES or not 0 < int.from_bytes(secret, "big") < N:
        raise ValueError("the secret is not a number of 32 bytes between 0 and the order of secp256k1")
    path = _path(folder, name)
    make_private_folder(folder)
    check_private(folder, 0o700)
    if path.exists():
        raise _exists(folder, name)
    from eth_account import Account  # noqa: PLC0415 -- slow to load, and not every command needs a key

    keyfile = Account.encrypt(bytes(secret), password, kdf="scrypt", iterations=int(kdf))
    try:
        write_private(path, json.dumps(keyfile).encode())
    except FileExistsError:
        raise _exists(folder, name) from None


def load(folder: Path, name: str, password: str) -> Secret:
    """The secret stored under a name.

    Raises UserError if there is none, if others can read it, if the password is wrong or the file is damaged.
    """
    path = _path(folder, name)
    if not path.exists():
        raise UserError(f"there is no key {name!r} in {folder}")
    check_private(folder, 0o700)
    return _read(path, password, f"the key {name!r} in {folder}")


def read_key_file(path: Path, password: str) -> Secret:
    """The secret in a key file that other programs made, too. Raises UserError, as `load`."""
    if not path.is_file():
        raise UserError(f"there is no key file {path}")
    return _read(path, password, str(path))


def _read(path: Path, password: str, what: str) -> Secret:
    check_private(path, 0o600)
    try:
        keyfile = json.loads(path.read_bytes())
        if not isinstance(keyfile, dict) or keyfile.get("version") != 3:
            raise KeyError("version")
    except (ValueError, KeyError):
        raise UserError(f"{path} is not a key file of version 3: put back a copy of it") from None
    from eth_account import Account  # noqa: PLC0415 -- as above

    try:
        secret = Secret(Account.decrypt(keyfile, password))
    except ValueError:
        raise UserError(f"wrong password for {what}") from None
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged: put back a copy of it") from None
    if len(secret) != SECRET_BYTES:
        raise UserError(f"{path} holds a secret of {len(secret)} bytes instead of {SECRET_BYTES}")
    return secret


def names(folder: Path) -> list[str]:
    """The names of all secrets in a folder, sorted; empty if there is no folder."""
    return sorted(path.stem for path in folder.glob("*.json"))


def find_password(
    password_file: Path | None, environ: Mapping[str, str], ask: Callable[[], str] | None = None
) -> str:
    """The password: from the file if one is named (first line), else from MIXPAY_PASSWORD, else by asking.

    Raises UserError if there is none, or if others can read the file.
    """
    if password_file is not None:
        if not password_file.is_file():
            raise UserError(f"there is no password file {password_file}")
        check_private(password_file, 0o600)
        password = password_file.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
    else:
        password = environ.get(PASSWORD_VARIABLE) or (ask() if ask else "")
    if not password:
        raise UserError(f"no password: set {PASSWORD_VARIABLE} or name a file with --password-file")
    return password


def _path(folder: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a key")
    return folder / f"{name}.json"


def _exists(folder: Path, name: str) -> UserError:
    return UserError(f"there is a key {name!r} in {folder} already; it was not replaced")


def check_private(path: Path, mode: int) -> None:
    """Raise UserError, naming the mode to set, if others can read or change a file or folder of secrets."""
    # Whoever can swap a file can swap a key, so writing counts as much as reading.
    if os.name != "posix":
        return
    status = path.stat()
    if status.st_uid != os.getuid():
        raise UserError(f"{path} belongs to another user; copy it to a place of your own")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise UserError(f"others can open {path}: run  chmod {mode:o} {path}")


def write_private(path: Path, data: bytes) -> None:
    """Write a new file of mode 0600, whole or not at all even in a crash. Raises FileExistsError."""
    draft = path.with_suffix(f".{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # A hard link fails if the name is taken, where a rename would replace what is there.
        path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
