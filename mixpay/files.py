"""Files that are read or written whole: settings (TOML), and what must never be seen in part."""

from __future__ import annotations

import os
import tempfile
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from mixpay.errors import UserError
from mixpay.typed import typed

_Settings = TypeVar("_Settings")


def load_settings(path: Path, kind: type[_Settings], remedy: str) -> _Settings:
    """Read a TOML file; `remedy` says what makes one that is not there.

    Raises UserError naming the file and the setting that is wrong.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"no configuration at {path}: {remedy} first") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    return decode_settings(content, kind, str(path))


def decode_settings(content: bytes, kind: type[_Settings], name: str) -> _Settings:
    """Read TOML. Raises UserError, beginning with `name`, for what is wrong in it."""
    try:
        return msgspec.toml.decode(content, type=typed(kind))
    except (msgspec.MsgspecError, ValueError) as error:
        raise UserError(f"{name}: {error}") from None


def quoted(text: str) -> str:
    """A TOML string: JSON's are TOML's basic strings. Raises UserError for what is no text."""
    try:
        return msgspec.json.encode(text).decode()
    except UnicodeEncodeError:
        raise UserError(f"{text!r} cannot be written into a settings file") from None


def literal(value: str) -> str:
    """A value as TOML has it: numbers and truth values as they are, everything else as a string."""
    try:
        kind = type(tomllib.loads(f"x = {value}")["x"])
    except tomllib.TOMLDecodeError:
        return quoted(value)
    return value if kind in (int, float, bool, str) and "\n" not in value else quoted(value)


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can open, and every missing folder above it likewise.

    A folder that is there stays as it is. Raises OSError.
    """
    # mkdir gives the folders above the usual mode; another program of ours may want one of them as its home.
    for place in (*reversed(folder.parents), folder):
        if not place.is_dir():
            place.mkdir(mode=0o700, exist_ok=True)


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file at once: nobody reads half of it, not even after a crash. It is on disk afterwards.

    Raises UserError when that is impossible.
    """
    draft = None
    try:
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(mode)
        Path(draft).replace(path)
        sync(path.parent)
    except OSError as error:
        if draft is not None:
            Path(draft).unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def sync(folder: Path) -> None:
    """Have the names in a folder on disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
