"""Processes of the bench: the daemon, the relay without incentives, and the load on either."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.world import World
from mixpay.demo.status import NoStatus, read_status

_STOP = 30.0
_UP = 600.0


class BenchFailed(Exception):
    """A process of the bench ended, or said nothing; names its log."""


class Process:
    """A program of ours, `python -m module arguments`; its output goes to a log in the folder."""

    def __init__(self, folder: Path, name: str, module: str, *arguments: str, pipes: bool = False) -> None:
        self.log = folder / f"{name}.log"
        pipe = subprocess.PIPE if pipes else None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=pipe,
                stdout=pipe or log,
                stderr=log,
                text=True,
            )
        self.pid = self._process.pid

    def check(self) -> None:
        """Raise BenchFailed if it has ended."""
        if self._process.poll() is not None:
            last = (self.log.read_text().strip().splitlines() or ["it said nothing"])[-1]
            raise BenchFailed(f"{self.log.stem} ended: {last} (log: {self.log})")

    def stop(self) -> None:
        """Ask it to end, and wait; make it, if it does not."""
        self._process.terminate()
        try:
            self._process.wait(_STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Daemon(Process):
    """`mixpay-relay run` of the relay under test."""

    def __init__(self, world: World, name: str) -> None:
        home, password = str(world.me.folder), str(world.password_file)
        super().__init__(world.folder, name, "relay.cli", "run", "--home", home, "--password-file", password)
        self._home = world.me.folder

    def drops(self) -> dict[str, int]:
        """Packets it dropped or refused since its start, by reason."""
        return dict(read_status(self._home).drops)

    def wait(self) -> None:
        """Until its operator's interface answers. Raises BenchFailed."""
        end = time.monotonic() + _UP
        while True:
            self.check()
            try:
                read_status(self._home)
                return
            except NoStatus:
                if time.monotonic() > end:
                    raise BenchFailed(f"the daemon does not answer (log: {self.log})") from None
            time.sleep(0.1)


class Ordered(Process):
    """A process that carries out orders, one at a time: a line of JSON each, and one for its answer."""

    def __init__(self, folder: Path, name: str, module: str, *arguments: str) -> None:
        super().__init__(folder, name, module, *arguments, pipes=True)

    def order(
        self,
        order: dict[str, Any],
        meanwhile: Callable[[], object] = lambda: time.sleep(0.02),
        limit: float = _UP,
    ) -> dict[str, Any]:
        """`meanwhile` is called again and again while it is carried out. Raises BenchFailed."""
        if self._process.stdin is None:
            raise BenchFailed(f"{self.log.stem} takes no orders")
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self.answer(meanwhile, limit)

    def answer(self, meanwhile: Callable[[], object], limit: float) -> dict[str, Any]:
        """What it says next."""
        output, end = self._process.stdout, time.monotonic() + limit
        if output is None:
            raise BenchFailed(f"{self.log.stem} gives no answers")
        while not select.select([output], [], [], 0)[0]:
            self.check()
            if time.monotonic() > end:
                raise BenchFailed(f"{self.log.stem} did not answer in {limit:.0f} s (log: {self.log})")
            meanwhile()
        answer: dict[str, Any] = json.loads(output.readline() or "{}")
        if not answer and self._process.poll() is not None:
            self.check()
        return answer


class LoadProcess(Ordered):
    """`bench.load`: one order at a time; `meanwhile` is called again and again while it is carried out."""

    def __init__(self, folder: Path, name: str, script: Path, *options: str) -> None:
        super().__init__(folder, name, "bench.load", str(script), *options)

    def ready(self) -> None:
        """Wait until all its links are open."""
        self.answer(lambda: time.sleep(0.02), _UP)

    def prepare(self, packets: int) -> None:
        """Have packets made."""
        self.order({"do": "prepare", "packets": packets})

    def run(
        self, pid: int, rate: float | None, seconds: float, warm: float, meanwhile: Callable[[], object]
    ) -> dict[str, Any]:
        """See `bench.load`."""
        order = {"do": "run", "rate": rate, "seconds": seconds, "warm": warm, "pid": pid}
        return self.order(order, meanwhile, seconds + warm + _UP)
