"""Processes that carry a mark in their environment, which all processes that they start inherit."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

VARIABLE = "MIXPAY_TEST_MARK"


class Marked:
    """One `mixpay` command, or another program, under a mark; its temporary folders are in `folder`."""

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[str],
        stderr: int | None = None,
        *,
        program: Sequence[str] = (sys.executable, "-m", "mixpay.cli.main"),
        stdin: int = subprocess.DEVNULL,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        self._mark = f"{VARIABLE}={secrets.token_hex(8)}"
        name, _, value = self._mark.partition("=")
        self.process = subprocess.Popen(
            [*program, *arguments],
            stdin=stdin,
            stdout=(folder / "stdout").open("wb"),
            stderr=(folder / "stderr").open("wb") if stderr is None else stderr,
            env={**os.environ, **(environment or {}), name: value, "TMPDIR": str(self.temporary)},
            start_new_session=True,
        )

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        path = self.folder / "stderr"
        return path.read_text() if path.exists() else "it went to another place"

    def alive(self) -> dict[int, str]:
        """Process id, name and command line of all that carries the mark now, the command itself included."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                environment = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
                name = (folder / "comm").read_text(errors="replace").strip()
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has ended, or is not ours to look into
            if self._mark in environment and line:
                found[int(folder.name)] = f"{name}: {line}"
        return found

    def wait_until(self, what: str, condition: Callable[[], bool], limit: float = 60.0) -> None:
        deadline = time.monotonic() + limit
        while not condition():
            assert self.process.poll() is None, f"it ended before {what}: {self.stderr}"
            assert time.monotonic() < deadline, f"no {what} after {limit} s: {self.stderr}"
            time.sleep(0.05)

    def finish(self, limit: float) -> int:
        """Its exit status, once it has ended by itself."""
        return self.process.wait(limit)

    def clean_up(self) -> None:
        """End whatever is left, so that a failing test leaves nothing behind."""
        for pid in self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
