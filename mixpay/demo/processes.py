"""Operating-system processes of the demo: started with a log each, ended whatever happens.

Every process leads a group of its own, so Ctrl-C in the terminal reaches the demo alone, which then ends the
others in order. Only processes started here are ever signalled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mixpay.errors import MixpayError

T = TypeVar("T")
_POLL = 0.05


class DemoFailed(MixpayError):
    """A step of the demo did not come to its end; says which, and where to look."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program of ours, as `python -m module arguments`, with what its environment has beside ours."""

    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str]

    def argv(self) -> list[str]:
        """What is executed: this interpreter, so that the demo runs what is installed beside it."""
        return [sys.executable, "-m", self.module, *self.arguments]


class Processes:
    """The processes of one demo, with their logs in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Command) -> None:
        """Start a process that stays; its output goes to `<name>.log`."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = self._spawn(command, log.fileno(), log.fileno())

    def run(self, name: str, command: Command, *, limit: float) -> str:
        """Run a process to its end and return its standard output; errors go to `<name>.log`.

        Raises DemoFailed when it ends with another status than 0, or not within `limit` seconds.
        """
        path = self.folder / f"{name}.log"
        with path.open("ab") as log:
            process = self._spawn(command, subprocess.PIPE, log.fileno())
        self._running[name] = process
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"{name} did not finish within {limit:.0f} s; its log is {path}") from None
        del self._running[name]
        if process.returncode != 0:
            raise DemoFailed(f"{name} failed: {_last_line(path)} (log: {path})")
        return output.decode()

    @staticmethod
    def _spawn(command: Command, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command.argv(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **command.environment},
            start_new_session=True,
        )

    def wait_for(self, what: str, condition: Callable[[], T | None], *, limit: float) -> T:
        """Wait until `condition` gives something.

        Raises DemoFailed after `limit` seconds, or at once when one of the processes has ended.
        """
        deadline = time.monotonic() + limit
        while True:
            self.check()
            found = condition()
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise DemoFailed(f"waited {limit:.0f} s for {what}; the logs are in {self.folder}")
            time.sleep(_POLL)

    def check(self) -> None:
        """Raise DemoFailed if a process that should stay has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                path = self.folder / f"{name}.log"
                raise DemoFailed(f"{name} ended by itself: {_last_line(path)} (log: {path})")

    def stop(self, *, grace: float = 5.0) -> None:
        """Ask all processes to end, and make those that do not within `grace` seconds."""
        for process in self._running.values():
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + grace
        for process in self._running.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                process.wait()
        self._running.clear()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass  # it ended between the two lines


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "it said nothing"
