"""A backup's file: a tar of plain files, which other programs can read, too.

    backup.json   what it is and whose, and name, size and SHA-256 of every other file; comes first
    ...           those files, in the list's order
    SHA256        the checksum of backup.json, in hexadecimal; comes last, so a file that was cut has none

Whoever reads one trusts nothing in it: names are those of a relay's folder, nothing is a link, everything
that is listed is there, once and unchanged, and nothing else is.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from mixpay.errors import UserError
from mixpay.files import make_private_folder
from mixpay.typed import typed

FORMAT, VERSION = "mixpay-relay backup", 1
CONFIG_FILE, DEPLOYMENT_FILE = "relay.toml", "deployment.json"
DATABASE = re.compile(r"relay(-[1-9]\d{0,9})?\.sqlite")
_LIST, _CHECKSUM = "backup.json", "SHA256"
_NAME = re.compile(
    rf"relay\.toml|deployment\.json|keys/([a-z0-9][a-z0-9_-]{{0,63}}\.json|signed-epochs|restored)"
    rf"|{DATABASE.pattern}"
)
_MAX_LIST = 1 << 20
_CHUNK = 1 << 20


class Entry(msgspec.Struct, frozen=True):
    """One file. `sha256` in hexadecimal."""

    name: str
    size: int
    sha256: str


class Contents(msgspec.Struct, frozen=True):
    """What is in a backup, and whose. `made_at`: seconds since 1970; `operator`: the relay's account."""

    made_at: int
    operator: str
    software: str
    files: list[Entry]
    format: str = FORMAT
    version: int = VERSION

    @property
    def databases(self) -> list[str]:
        """Names of the databases in it."""
        return [entry.name for entry in self.files if DATABASE.fullmatch(entry.name)]


class _Head(msgspec.Struct):
    """What says whether the rest can be understood."""

    format: str
    version: int


# ---------------------------------------------------------------------- writing


def entry_of(folder: Path, name: str) -> Entry:
    """What is to be listed of a file. Raises OSError."""
    with (folder / name).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Entry(name, file.tell(), digest.hexdigest())


def write(folder: Path, contents: Contents, target: Path) -> None:
    """Make the file `target`, of mode 0600, from the listed files in `folder`. It is on disk afterwards.

    Raises OSError.
    """
    listed = msgspec.json.encode(contents)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            _add_bytes(tar, _LIST, listed, contents.made_at)
            for entry in contents.files:
                with (folder / entry.name).open("rb") as source:
                    tar.addfile(_info(entry.name, entry.size, contents.made_at), source)
            _add_bytes(tar, _CHECKSUM, _digest(listed), contents.made_at)
        file.flush()
        os.fsync(file.fileno())


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes, made_at: int) -> None:
    tar.addfile(_info(name, len(content), made_at), io.BytesIO(content))


def _info(name: str, size: int, made_at: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, made_at
    return info


def _digest(listed: bytes) -> bytes:
    return hashlib.sha256(listed).hexdigest().encode()


# ---------------------------------------------------------------------- reading


def read(source: Path, folder: Path) -> Contents:
    """Unpack all files into an empty folder, each of mode 0600 and on disk; what they are.

    Raises UserError for whatever is not a whole backup of a version that we know; the folder may then hold a
    part of it.
    """
    with _explained(source), tarfile.open(source, "r:") as tar:
        members = _members(source, tar)
        listed = _content(tar, next(members, None), _LIST)
        contents = _contents(source, listed)
        for entry in contents.files:
            member = next(members, None)
            if member is None or (member.name, member.size) != (entry.name, entry.size):
                raise _bad(source, f"{entry.name} is not in its place")
            if _unpack(tar, member, folder) != entry.sha256:
                raise _bad(source, f"the checksum of {entry.name} does not match")
        if _content(tar, next(members, None), _CHECKSUM) != _digest(listed):
            raise _bad(source, "the checksum of its list does not match")
        if next(members, None) is not None:
            raise _bad(source, "there is more in it than it lists")
    return contents


@contextmanager
def _explained(source: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError):
        raise _bad(source, "it is no tar, or was cut short") from None
    except OSError as error:
        raise UserError(f"cannot read {source}: {error.strerror or error}") from None


def _members(source: Path, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """What is in the tar, as long as it is plain files under the names of a relay's folder, each once."""
    seen = set()
    for member in tar:
        known = member.name in (_LIST, _CHECKSUM) or _NAME.fullmatch(member.name)
        if member.type != tarfile.REGTYPE or not known or member.name in seen:
            raise _bad(source, f"{member.name[:80]!r} does not belong there")
        seen.add(member.name)
        yield member


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo | None, name: str) -> bytes:
    """A small file. Raises TarError if it is not what comes next."""
    if member is None or member.name != name or member.size > _MAX_LIST:
        raise tarfile.ReadError(f"no {name}")
    return _whole(tar, member).read(member.size)


def _whole(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(member)
    if file is None:
        raise tarfile.ReadError(member.name)
    return file


def _contents(source: Path, listed: bytes) -> Contents:
    try:
        head = msgspec.json.decode(listed, type=typed(_Head))
        if head.format != FORMAT:
            raise _bad(source, "it is something else")
        if head.version > VERSION:
            raise UserError(f"{source} was written by a newer release of the relay: install that one")
        return msgspec.json.decode(listed, type=typed(Contents))
    except msgspec.MsgspecError as error:
        raise _bad(source, str(error)) from None


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> str:
    """Write one file; its checksum."""
    target, digest = folder / member.name, hashlib.sha256()
    make_private_folder(target.parent)
    file = _whole(tar, member)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _bad(source: Path, why: str) -> UserError:
    return UserError(
        f"{source} is not a backup of a relay, or not a whole one ({why}): take another copy of it"
    )
