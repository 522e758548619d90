"""A relay's folder belongs to one process at a time, which runs it or changes its keys."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from mixpay.errors import UserError
from relay.store.files import FileLock


class HomeLock:
    """Held while a daemon runs in a folder, or its key is rotated; the kernel lets it go with the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: FileLock | None = None

    def __enter__(self) -> HomeLock:
        """Raises UserError when another process has it, or there is no such folder."""
        if not self._folder.is_dir():
            raise UserError(f"there is no relay in {self._folder}: run `mixpay-relay init` first")
        self._lock = FileLock(self._folder / "daemon", str(self._folder))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.release()
