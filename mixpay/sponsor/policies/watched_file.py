"""A file of one entry a line, read again when it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from mixpay.errors import UserError
from mixpay.keystore import check_private

T = TypeVar("T")
_Stamp = tuple[int, int, int]
_log = logging.getLogger(__name__)


class Unreadable(ValueError):
    """The text of a file is not what it should be; says why."""


class WatchedFile(Generic[T]):
    """What `parse` makes of the lines of a file; `#` begins a comment, empty lines are left out.

    `what`: the file's content, and `maker`: the command that makes it, for people. Whoever could write to it
    could let himself in. Raises UserError if it cannot be read at first, or can be by others.
    """

    def __init__(self, path: Path, what: str, maker: str, parse: Callable[[list[str]], T]) -> None:
        self._path, self._what, self._parse = path, what, parse
        self._told: _Stamp | None = (0, 0, 0)
        try:
            check_private(path, 0o600)
            self._stamp = self._stamp_now()
            self._content = self._read()
        except FileNotFoundError:
            raise UserError(
                f"cannot read {what} in {path}, for there is no such file: make one with `{maker}`"
            ) from None
        except OSError as error:
            raise UserError(f"cannot read {what} in {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"cannot read {what} in {path}: it is not UTF-8 text") from None
        except Unreadable as error:
            raise UserError(f"cannot read {what} in {path}: {error}") from None

    def content(self) -> T:
        """What stands in it. While the file is being replaced, or is unreadable, what was known stands."""
        stamp = None
        try:
            stamp = self._stamp_now()
            if stamp != self._stamp:
                self._content, self._stamp = self._read(), stamp
        except (OSError, UnicodeDecodeError, Unreadable):
            if stamp != self._told:
                # Whoever took an entry out would believe that it is dead.
                _log.warning("%s cannot be read: what was known of %s stands", self._path, self._what)
            self._told = stamp
        return self._content

    def _stamp_now(self) -> _Stamp:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> T:
        lines = self._path.read_text(encoding="utf-8").splitlines()
        entries = (line.split("#", 1)[0].strip() for line in lines)
        return self._parse([entry for entry in entries if entry])
