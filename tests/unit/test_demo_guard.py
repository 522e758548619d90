"""The guard ends the groups that are left, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mixpay.demo import guard

_IGNORE = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
_WAIT = "import time; print('up', flush=True); time.sleep(60)"
_SLEEP = [sys.executable, "-c", _WAIT]
_STUBBORN = [sys.executable, "-c", _IGNORE + _WAIT]


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Three processes, each in a group of its own; the last one does not heed SIGTERM."""
    found = [
        subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        for command in (_SLEEP, _SLEEP, _STUBBORN)
    ]
    for process in found:
        assert process.stdout is not None
        process.stdout.readline()
    yield found
    for process in found:
        process.kill()
        process.communicate()


def test_left_areThoseThatHaveNotEnded() -> None:
    assert guard.left(["+7\n", "+8\n", "-7\n", "-9\n", "+10\n"]) == {8, 10}


def test_end_endsTheGroups_andNoOthers(sleepers: list[subprocess.Popen[bytes]]) -> None:
    tame, other, stubborn = sleepers
    guard.end({tame.pid, stubborn.pid}, grace=0.2)
    assert tame.wait(10) == -signal.SIGTERM
    assert stubborn.wait(10) == -signal.SIGKILL
    assert other.poll() is None


def test_guard_endsWhatIsLeft_whenItsInputEnds(sleepers: list[subprocess.Popen[bytes]]) -> None:
    left, ended, _ = sleepers
    program = subprocess.Popen(
        [sys.executable, "-m", "mixpay.demo.guard"], stdin=subprocess.PIPE, env=dict(os.environ)
    )
    program.communicate(f"+{left.pid}\n+{ended.pid}\n-{ended.pid}\n".encode())
    assert program.returncode == 0
    assert left.wait(10) == -signal.SIGTERM
    assert ended.poll() is None
