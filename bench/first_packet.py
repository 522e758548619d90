"""How long a newcomer waits: from an empty home directory to the entry's acceptance of the first paid packet.

`mixpay devnet` is the network, on loopback; a newcomer types what it prints: `mixpay init`, which makes the
home, and `mixpay send`, which reads the chain, fetches a pass, shows it to the entry that it draws and spends
its first tick. `send` ends when the entry has answered that packet with mix 1's acknowledgement; that is what
is timed, with the start of both programs.
"""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.running import BenchFailed, Process

_UP = 300.0
_LIMIT = 60.0
_PASSWORD = "devnet"  # noqa: S105 -- what the devnet itself proposes


class Devnet(Process):
    """The network, and the commands that it prints."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "devnet", "mixpay.cli.main", "devnet")
        self.lines = self._wait()

    def _wait(self) -> list[str]:
        end = time.monotonic() + _UP
        while time.monotonic() < end:
            self.check()
            lines = self.log.read_text().splitlines()
            if any(line.startswith("  kill -USR1") for line in lines):
                return [line.strip() for line in lines if line.startswith("  ")]
            time.sleep(0.2)
        raise BenchFailed(f"the devnet does not begin to serve (log: {self.log})")

    def words(self, command: str) -> list[str]:
        """The first printed command of that beginning, without the program."""
        line = next(line for line in self.lines if command in line)
        return shlex.split(line.split("$(", 1)[-1].split(")", 1)[0])[1:]


@contextmanager
def devnet(folder: Path) -> Iterator[Devnet]:
    """The network, while it is used."""
    network = Devnet(folder)
    try:
        yield network
    finally:
        network.stop()


def mixpay(words: list[str]) -> str:
    """Run the program; its output. Raises BenchFailed."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mixpay.cli.main", *words],
            env={**os.environ, "MIXPAY_PASSWORD": _PASSWORD},
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"mixpay {words[0]} did not end in {_LIMIT:.0f} s") from None
    if done.returncode:
        raise BenchFailed(f"mixpay {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def at_home(words: list[str], home: Path) -> list[str]:
    """The same with another home."""
    place = words.index("--home") + 1
    return [*words[:place], str(home), *words[place + 1 :]]


def measure(folder: Path, newcomers: int) -> dict[str, float]:
    """Medians in seconds: all of it, and of that `mixpay init`."""
    with devnet(folder) as network:
        init, bob = network.words("mixpay init"), folder / "bob"
        mixpay(at_home(init, bob))
        address = mixpay(at_home(network.words("mixpay address"), bob))
        found, inits = [], []
        for number in range(newcomers):
            home, began = folder / f"newcomer{number}", time.perf_counter()
            mixpay(at_home(init, home))
            inits.append(time.perf_counter() - began)
            mixpay(["send", "--home", str(home), address, "hello"])
            found.append(time.perf_counter() - began)
    return {"first_packet_s": statistics.median(found), "of_that_init_s": statistics.median(inits)}
