"""Operating-system processes of the demo: started with a log each, ended whatever happens.

Every process leads a group of its own, so Ctrl-C in the terminal reaches the demo alone, which then ends the
others in order. Signals only set a flag, which everything here that waits looks at: so none can strike
between the start of a process and its being known. Only processes started here are ever signalled. If the
demo itself is killed, a guard (guard.py) ends them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mixpay.demo.forks import Fork, fork_server
from mixpay.demo.watch import Guard
from mixpay.errors import MixpayError

T = TypeVar("T")
_POLL = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoFailed(MixpayError):
    """A step of the demo did not come to its end; says which, and where to look."""


class Interrupted(MixpayError):
    """Somebody pressed Ctrl-C, or asked the demo to end in another way."""

    def __init__(self) -> None:
        super().__init__("interrupted")


@dataclass(frozen=True, slots=True)
class Command:
    """A program of ours, as `python -m module arguments`, with what its environment has beside ours."""

    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class Processes:
    """The processes of one demo, with their logs in `folder`. `run` may be called from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._closed = False
        self._guard: Guard | None = None
        self._staying: dict[str, Fork] = {}
        self._passing: set[Fork] = set()
        self._interrupted = False
        """Not an Event: a second signal within its `set` would wait for the first one, forever."""
        self._failed = threading.Event()

    # ------------------------------------------------------------------ interruption

    @contextlib.contextmanager
    def watching_signals(self) -> Iterator[None]:
        """Take Ctrl-C, SIGTERM and SIGHUP as interruptions meanwhile. Only in the main thread."""
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: object) -> None:
        self.interrupt()

    def interrupt(self) -> None:
        """Let everything that waits end with Interrupted."""
        self._interrupted = True

    def check_interrupted(self) -> None:
        """Raise Interrupted if the demo was asked to end."""
        if self._interrupted:
            raise Interrupted

    # ------------------------------------------------------------------ starting

    def start(self, name: str, command: Command) -> None:
        """Start a process that stays; its output goes to `<name>.log`."""
        with self.log_path(name).open("ab") as log:
            self._spawn(command, log.fileno(), log.fileno(), name)

    def run(
        self,
        name: str,
        command: Command,
        *,
        limit: float,
        expect: Collection[int] = (0,),
        meanwhile: Callable[[], None] = lambda: None,
    ) -> str:
        """Run a process to its end and return its standard output; errors go to `<name>.log`.

        `meanwhile` is called again and again until then. Raises DemoFailed when it ends with a status not
        expected, or not within `limit` seconds, or when a process that stays has ended; Interrupted.
        """
        path = self.log_path(name)
        with tempfile.TemporaryFile() as output:
            with path.open("ab") as log:
                process = self._spawn(command, output.fileno(), log.fileno())
            try:
                status = self._finish(process, name, limit, meanwhile)
            finally:
                self._end(process, 0.0)
            output.seek(0)
            found = output.read().decode()
        if status not in expect:
            raise DemoFailed(f"{name} failed: {_last_line(path)} (log: {path})")
        return found

    def _finish(self, process: Fork, name: str, limit: float, meanwhile: Callable[[], None]) -> int:
        deadline = time.monotonic() + limit
        while True:
            try:
                return process.wait(_POLL)
            except subprocess.TimeoutExpired:
                self.check()
            if self._failed.is_set():
                raise DemoFailed(f"{name} was ended because another step failed")
            if time.monotonic() > deadline:
                raise DemoFailed(f"{name} did not finish within {limit:.0f} s (log: {self.log_path(name)})")
            meanwhile()

    def run_all(
        self, jobs: Mapping[str, Command], *, limit: float, expect: Collection[int] = (0,)
    ) -> dict[str, str]:
        """Run several processes at the same time; their standard outputs by name.

        Raises what `run` raises; the others are ended then.
        """
        with ThreadPoolExecutor(len(jobs), "demo") as pool:
            futures = {
                name: pool.submit(self.run, name, job, limit=limit, expect=expect)
                for name, job in jobs.items()
            }
            done, _ = wait(futures.values(), return_when=FIRST_EXCEPTION)
            failed = next((future.exception() for future in done if future.exception()), None)
            if failed is not None:
                self._failed.set()
        if failed is not None:
            self._failed.clear()
            raise failed
        return {name: future.result() for name, future in futures.items()}

    def _spawn(self, command: Command, stdout: int, stderr: int, name: str | None = None) -> Fork:
        with self._lock:
            self.check_interrupted()
            if self._closed:
                raise DemoFailed("the demo is ending")
            self._guard = self._guard or Guard()
            process = fork_server().start(
                command.module, command.arguments, {**os.environ, **command.environment}, stdout, stderr
            )
            self._guard.started(process.pid)
            if name is None:
                self._passing.add(process)
            else:
                self._staying[name] = process
            return process

    # ------------------------------------------------------------------ watching

    def wait_for(self, what: str, condition: Callable[[], T | None], *, limit: float) -> T:
        """Wait until `condition` gives something.

        Raises DemoFailed after `limit` seconds, or at once when a process that stays has ended; Interrupted.
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
        """Raise DemoFailed if a process that should stay has ended; Interrupted."""
        self.check_interrupted()
        for name in self._ended():
            raise DemoFailed(self._obituary(name))

    def take_ended(self) -> dict[str, str]:
        """The processes that should stay and have ended, by name, with what is to be said of each.

        They are told once: from then on nobody expects them to stay.
        """
        ended = self._ended()
        with self._lock:
            for name in ended:
                self._tell_ended(self._staying.pop(name))
        return {name: self._obituary(name) for name in ended}

    def _ended(self) -> list[str]:
        with self._lock:
            return [name for name, process in self._staying.items() if process.poll() is not None]

    def _obituary(self, name: str) -> str:
        path = self.log_path(name)
        return f"{name} ended by itself: {_last_line(path)} (log: {path})"

    def pause(self, seconds: float) -> None:
        """Let time pass. Raises Interrupted at once if that was asked for."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check_interrupted()
            time.sleep(_POLL)

    def log_path(self, name: str) -> Path:
        """Where a process writes."""
        return self.folder / f"{name}.log"

    def pids(self) -> list[int]:
        """Of all that run now."""
        with self._lock:
            processes = [*self._staying.values(), *self._passing]
        return [process.pid for process in processes if process.poll() is None]

    # ------------------------------------------------------------------ ending

    def end(self, name: str, number: signal.Signals = signal.SIGTERM, *, grace: float = 5.0) -> None:
        """End one process that stays. Raises KeyError if there is none of that name."""
        with self._lock:
            process = self._staying.pop(name)
        _signal_group(process, number)
        self._end(process, grace)

    def stop(self, *, grace: float = 8.0) -> None:
        """Ask all processes to end, make those that do not within `grace` seconds, and start no more."""
        with self._lock:
            self._closed = True
            processes = [*self._staying.values(), *self._passing]
            self._staying.clear()
        for process in processes:
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + grace
        for process in processes:
            self._end(process, max(0.0, deadline - time.monotonic()))
        with self._lock:
            guard, self._guard = self._guard, None
        if guard is not None:
            guard.dismiss()

    def _end(self, process: Fork, grace: float) -> None:
        """Wait `grace` seconds for a process's end, then make sure of it."""
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            process.wait()
        with self._lock:
            self._passing.discard(process)
            self._tell_ended(process)

    def _tell_ended(self, process: Fork) -> None:
        if self._guard is not None:
            self._guard.ended(process.pid)


def _signal_group(process: Fork, number: signal.Signals) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):  # it ended between the two lines
            os.killpg(process.pid, number)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "it said nothing"
