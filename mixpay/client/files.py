"""Writing a stranger's file: whole, on disk when it is said to be, and never over another one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from mixpay.errors import UserError

_MOST_BYTES = 255
"""Longest file name that common file systems take."""


def save_new(folder: Path, name: str, content: bytes) -> Path:
    """Write a new file into `folder`, numbered if the name is taken; its path.

    `name` is a base name that is safe to create (`envelope.safe_name`). After a crash the file is there
    whole, empty, or not at all, never in part. Raises UserError if the folder cannot be written.
    """
    draft = folder / f".mixpay-{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # The name is taken first, so that the rename replaces nobody's file. A link would do both at
        # once, but not every file system has them.
        path = _take(folder, name)
        draft.replace(path)
        _sync(folder)
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error.strerror}; the message is kept") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return path


def _take(folder: Path, name: str) -> Path:
    for candidate in numbered(name):
        path = folder / candidate
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            return path
    raise AssertionError("the numbers never end")


def numbered(name: str) -> Iterator[str]:
    """name.txt, name (1).txt, name (2).txt, …: each at most 255 bytes."""
    yield name
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    number = 0
    while True:
        number += 1
        tail = f" ({number}){dot}{suffix}"
        if len(tail.encode()) > _MOST_BYTES // 2:
            stem, tail = name, f" ({number})"
        kept = stem
        while len((kept + tail).encode()) > _MOST_BYTES:
            kept = kept[:-1]
        yield kept + tail


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
