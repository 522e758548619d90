"""The fork server: forks run as a program that was executed would, and outlive nobody they should not."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mixpay.demo import forks
from mixpay.demo.fork_server import Program
from mixpay.demo.forks import Fork, ForkServer, ForkServerEnded

Run = Callable[[str], tuple[Fork, Path]]
_LIMIT = 30.0
_SHOW = """
import os, signal, sys, threading
print(__name__, sys.argv, os.environ["WORD"], os.getsid(0) == os.getpid(), threading.active_count())
print([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGCHLD)])
print(sorted(os.listdir("/dev/fd"), key=int)[:-1], sys.stdin.read() == "")
"""
"""The last descriptor is the one that lists."""


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    found = ForkServer()
    yield found
    found.close()


@pytest.fixture
def run(server: ForkServer, tmp_path: Path) -> Run:
    """Runs Python text; the fork, and the file of its output and errors."""
    names = iter(range(100))

    def start(text: str) -> tuple[Fork, Path]:
        name = f"forked_{next(names)}"
        (tmp_path / f"{name}.py").write_text(text)
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "WORD": "x"}
        said = tmp_path / f"{name}.txt"
        with said.open("wb") as file:
            descriptor = file.fileno()
            return server.start(name, ["a b", "c"], environment, descriptor, descriptor), said

    return start


def test_fork_isWhatAnExecutedProgramWouldBe(run: Run, tmp_path: Path) -> None:
    fork, said = run(_SHOW)
    assert fork.wait(_LIMIT) == 0
    plain = subprocess.run(
        [sys.executable, "-m", "forked_0", "a b", "c"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "WORD": "x"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=True,
    )
    assert said.read_text() == plain.stdout


@pytest.mark.parametrize(
    ("text", "status"),
    [("", 0), ("raise SystemExit(3)", 3), ("1 / 0", 1), ("import os; os._exit(7)", 7)],
    ids=["end", "exit", "error", "at once"],
)
def test_fork_tellsItsStatus(run: Run, text: str, status: int) -> None:
    fork, _ = run(text)
    assert fork.wait(_LIMIT) == fork.poll() == fork.returncode == status


def test_fork_runsAtItsEndWhatWasAskedFor_andSaysWhatWentWrong(run: Run) -> None:
    fork, said = run("import atexit; atexit.register(print, 'the end'); raise ValueError('no luck')")
    assert fork.wait(_LIMIT) == 1
    assert "the end" in said.read_text()
    assert said.read_text().count("ValueError: no luck") == 1


def test_fork_thatASignalEnds_saysWhich(run: Run) -> None:
    fork, _ = run("import time; time.sleep(60)")
    assert fork.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        fork.wait(0.05)
    os.killpg(fork.pid, signal.SIGKILL)
    assert fork.wait(_LIMIT) == -signal.SIGKILL


def ends(reading: int) -> bool:
    """Whether all that write to a pipe end."""
    return bool(select.select([reading], [], [], _LIMIT)[0]) and os.read(reading, 1) == b""


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[tuple[dict[str, str], int, int]]:
    """The environment of a program `waits`, which waits long, and the ends of a pipe for what it writes."""
    (tmp_path / "waits.py").write_text("import time; time.sleep(60)")
    reading, writing = os.pipe()
    yield {**os.environ, "PYTHONPATH": str(tmp_path)}, reading, writing
    os.close(reading)


def test_programThatWasAskedForByOneWhoIsGone_doesNotRun(
    monkeypatch: pytest.MonkeyPatch, waiting: tuple[dict[str, str], int, int]
) -> None:
    """The attack: the demo is killed while the server loads; the guard has not heard of the program."""
    environment, reading, writing = waiting
    monkeypatch.setattr(forks, "Fork", os.close)
    server = ForkServer()
    server.start("waits", [], environment, writing, writing)
    os.close(writing)
    server.close()
    assert ends(reading)


def test_programThatNobodyWaitsFor_ends(server: ForkServer, waiting: tuple[dict[str, str], int, int]) -> None:
    environment, reading, writing = waiting
    fork = server.start("waits", [], environment, writing, writing)
    os.close(writing)
    parent = int(Path(f"/proc/{fork.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    assert fork.wait(_LIMIT) == 255
    assert ends(reading)


def test_serverThatDoesNotAnswer_isNotWaitedFor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forks, "_PATIENCE", 0.2)
    server = ForkServer()
    server._process.send_signal(signal.SIGSTOP)
    with (tmp_path / "said").open("wb") as file, pytest.raises(ForkServerEnded):
        server.start("waits", [], dict(os.environ), file.fileno(), file.fileno())
    server.close()
    assert server._process.returncode == -signal.SIGKILL


def test_forks_areStartedByManyThreads(run: Run) -> None:
    found: list[tuple[Fork, Path]] = []
    threads = [threading.Thread(target=lambda: found.append(run("print('here')"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [fork.wait(_LIMIT) for fork, _ in found] == [0] * 8
    assert [said.read_text() for _, said in found] == ["here\n"] * 8


def test_fork_staysWhenTheServerEnds_andNoneIsStartedThen(tmp_path: Path) -> None:
    server = ForkServer()
    (tmp_path / "waits.py").write_text("import sys, time; time.sleep(60)")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with (tmp_path / "said").open("wb") as file:
        fork = server.start("waits", [], environment, file.fileno(), file.fileno())
        server.close()
        assert fork.poll() is None
        with pytest.raises(ForkServerEnded):
            server.start("waits", [], environment, file.fileno(), file.fileno())
    os.killpg(fork.pid, signal.SIGTERM)
    assert fork.wait(_LIMIT) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("module", "arguments", "title"),
    [
        ("relay.cli", ["run"], "relay run"),
        ("mixpay.cli.main", ["sponsor", "serve", "--home", "x"], "sponsor serve"),
        ("mixpay.cli.main", ["send", "mix1abc", "--file"], "mixpay send"),
        ("relay.cli", ["register", "--gas"], "relay register"),
        ("relay.cli", [], "relay"),
    ],
)
def test_title_isOfTheCommand_andOfNoSecret(module: str, arguments: list[str], title: str) -> None:
    assert Program(module, arguments, {}).title() == title
