"""`mixpay devnet` as somebody uses it: its printed commands are run as they are; and its end."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from marked import Marked
from mixpay.cli.common import INTERRUPTED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

_PROGRAMS = {"mixpay": "mixpay.cli.main", "mixpay-relay": "relay.cli"}
_ARRIVAL = 40.0
"""Seconds that a message may take, its user's commands included, on a busy machine."""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with both commands as programs, those of this checkout."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, module in _PROGRAMS.items():
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {module} "$@"\n')
        path.chmod(0o755)
    return folder


@pytest.fixture
def devnet(tmp_path: Path) -> Iterator[Marked]:
    marked = Marked(tmp_path / "run", ["devnet"])
    try:
        yield marked
    finally:
        marked.clean_up()


class Terminal:
    """Another terminal, into which printed lines are pasted. It remembers the variables that they set."""

    def __init__(self, tools: Path) -> None:
        self._tools = tools
        self._environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
        self._variables = ""

    def paste(self, line: str, *, expect: tuple[int, ...] = (0,)) -> str:
        """Run a line; its output."""
        done = subprocess.run(
            ["bash", "-c", f"set -e\n{self._variables}\n{line}"],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode in expect, f"{line}: {done.stderr}"
        return done.stdout

    def background(self, line: str) -> subprocess.Popen[bytes]:
        """Run one command, and do not wait for it."""
        return subprocess.Popen(
            shlex.split(line),
            executable=str(self._tools / shlex.split(line)[0]),
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def assign(self, line: str) -> None:
        """Run a line that sets variables."""
        names = "address MIXPAY_PASSWORD"
        found = self.paste(f"{line} >/dev/null\ndeclare -p {names} 2>/dev/null || true")
        self._variables = found


def commands(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.startswith("  ")]


def one(lines: list[str], beginning: str) -> str:
    (found,) = [line for line in lines if line.startswith(beginning)]
    return found


def send(terminal: Terminal, lines: list[str], text: str) -> None:
    """Bob's address, Alice's message: with the printed lines."""
    terminal.assign(one(lines, "address="))
    terminal.paste(one(lines, "mixpay send ").replace('"hello"', shlex.quote(text)))


def receive(terminal: Terminal, lines: list[str], text: str) -> None:
    """The message's arrival, with the printed line."""
    fetch, deadline = one(lines, "mixpay receive "), time.monotonic() + _ARRIVAL
    while terminal.paste(fetch).strip() != text:
        assert time.monotonic() < deadline, "the message did not arrive"


def served(marked: Marked) -> list[str]:
    """What is printed once the network serves."""
    marked.wait_until("the commands", lambda: "kill -USR1" in marked.stdout, limit=180)
    return commands(marked.stdout)


def test_devnet_isUsedByWhatItPrints_andLeavesNothing(devnet: Marked, tools: Path) -> None:
    lines, terminal = served(devnet), Terminal(tools)
    terminal.assign(one(lines, "export "))
    for line in lines:
        if line.startswith("mixpay init "):
            terminal.paste(line)
    send(terminal, lines, "hello")
    receive(terminal, lines, "hello")
    assert "epoch 2" in terminal.paste(one(lines, "mixpay-relay status "))
    assert "settled" in terminal.paste(one(lines, "mixpay-relay claim "), expect=(0, 1))

    assert ",staked," in terminal.paste(one(lines, "mixpay-relay income "))
    send(terminal, lines, "under way")
    terminal.paste(one(lines, "kill -USR1 "))
    devnet.wait_until("epoch 3", lambda: "epoch 3: all relays are ready" in devnet.stderr, limit=120)
    receive(terminal, lines, "under way")
    send(terminal, lines, "hello again")
    receive(terminal, lines, "hello again")

    _lose_a_relay(devnet, terminal)
    devnet.process.send_signal(signal.SIGINT)
    for _ in range(20):
        devnet.process.send_signal(signal.SIGINT)
    assert devnet.finish(60) == 0, devnet.stderr
    assert "removed: " in devnet.stderr
    assert devnet.alive() == {}
    assert list(devnet.temporary.iterdir()) == []


def _lose_a_relay(devnet: Marked, terminal: Terminal) -> None:
    """A relay dies: that is said, and how to start it again, which works; the others go on."""
    running = {pid: line for pid, line in devnet.alive().items() if line.startswith("relay run:")}
    os.kill(next(iter(running)), signal.SIGKILL)
    again = re.compile(r"(relay-\d) ended by itself: .*; to start it again:\n  (mixpay-relay run .*)\n")
    devnet.wait_until("the report", lambda: again.search(devnet.stderr) is not None)
    assert len(running) - 1 == sum(line.startswith("relay run:") for line in devnet.alive().values())
    found = again.search(devnet.stderr)
    assert found is not None
    home = one(commands(devnet.stdout), "mixpay-relay status ").replace("relay-1", found[1])
    started = terminal.background(found[2])
    try:
        devnet.wait_until("the relay to be back", lambda: "epoch 3" in terminal.paste(home, expect=(0, 1, 2)))
    finally:
        started.terminate()
        started.wait(30)


def test_devnet_interruptedBeforeItServes_leavesNothing(devnet: Marked) -> None:
    devnet.wait_until("a second process", lambda: len(devnet.alive()) > 2)
    devnet.process.send_signal(signal.SIGTERM)
    assert devnet.finish(60) == INTERRUPTED
    assert devnet.alive() == {}
    assert list(devnet.temporary.iterdir()) == []


def test_devnet_endsWithItsChain_andKeepsTheLogs(devnet: Marked) -> None:
    served(devnet)
    chain = next(pid for pid, line in devnet.alive().items() if line.startswith("anvil:"))
    os.kill(chain, signal.SIGKILL)
    assert devnet.finish(120) == 1
    assert "Error: the chain has ended" in devnet.stderr
    logs = re.search(r"logs and everybody's folders: (\S+)", devnet.stderr)
    assert logs is not None and (Path(logs[1]) / "logs" / "anvil.log").exists()
    assert devnet.alive() == {}
