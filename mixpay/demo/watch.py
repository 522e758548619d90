"""Our end of the guard (guard.py): tells it which process groups there are."""

from __future__ import annotations

import contextlib
import subprocess
import sys


class Guard:
    """The process that outlives us for a moment if we are killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mixpay.demo.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def started(self, group: int) -> None:
        """A process group is there."""
        self._tell(f"+{group}\n")

    def ended(self, group: int) -> None:
        """It is there no more."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # somebody ended it; we can do without
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()

    def dismiss(self) -> None:
        """Nothing is left to guard."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()
