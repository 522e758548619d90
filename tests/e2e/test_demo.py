"""The demo as a user types it: real processes, a real chain, a real file; and its end in every way."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from marked import Marked
from mixpay.mailbox import STORAGE_TICKS, page_ticks
from mixpay.types import HOPS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

Start = Callable[..., Marked]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a demo; nothing of it outlives the test."""
    started: list[Marked] = []

    def begin(*arguments: str, stderr: int | None = None) -> Marked:
        report = str(tmp_path / "demo.json")
        started.append(
            Marked(tmp_path / f"run{len(started)}", ["demo", "--report", report, *arguments], stderr)
        )
        return started[-1]

    yield begin
    for marked in started:
        marked.clean_up()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marked]:
    """One whole demo on ganache, which has ended; the other one is on anvil."""
    folder = tmp_path_factory.mktemp("demo")
    arguments = ["--chain", "ganache", "--report", str(folder / "reports" / "demo.json")]
    marked = Marked(folder, ["demo", *arguments])
    try:
        marked.wait_until("ganache", lambda: any("--server.port" in line for line in marked.alive().values()))
        marked.finish(180)
        yield marked
    finally:
        marked.clean_up()


@pytest.fixture(scope="module")
def report(whole: Marked) -> dict[str, Any]:
    assert whole.process.returncode == 0, whole.stderr
    found: dict[str, Any] = json.loads((whole.folder / "reports" / "demo.json").read_text())
    return found


# ---------------------------------------------------------------------- the whole loop


def test_demo_holds(whole: Marked, report: dict[str, Any]) -> None:
    assert whole.process.returncode == 0
    assert report["bytes_equal"] is True
    assert report["invariants"] == {"I1": True, "I8": True}
    assert report["seconds"] > 0


def test_demo_losesNoPacket(report: dict[str, Any]) -> None:
    assert report["packets_sent"] == report["packets_delivered"] > 0


def test_demo_paysEveryRelayToTheUnit(report: dict[str, Any]) -> None:
    price, relays = report["hop_price"], report["relays"]
    assert [relay["id"] for relay in relays] == list(range(1, 10))
    for relay in relays:
        carried = relay["as_entry"] + relay["as_mix"] + relay["as_mailbox"]
        assert relay["earned"] == relay["claimed"] == price * (carried + HOPS * relay["mailbox_ticks"])
        assert relay["unclaimed"] == 0
    earned, kept = (sum(relay[name] for relay in relays) for name in ("earned", "mailbox_ticks"))
    assert kept == STORAGE_TICKS + page_ticks(report["packets_delivered"]), "Bob's mailbox, emptied once"
    assert report["sponsor_paid"] == earned == HOPS * price * (report["packets_sent"] + kept)
    # The sponsor's pays for Alice, whom it invited; the commons for Bob's mailbox, for which he worked.
    assert report["campaigns"] == {"1": HOPS * price * report["packets_sent"], "2": HOPS * price * kept}


def test_demo_costsUsersNothing(report: dict[str, Any]) -> None:
    assert (report["user_paid"], report["users_native_balance"]) == (0, 0)


def test_demo_showsTableAndSteps(whole: Marked) -> None:
    for word in ("entry", "mix", "mailbox", "earned", "claimed", "campaign 2 paid", "users paid", "in all"):
        assert word in whole.stdout
    assert whole.stderr.count("✓") == 15
    assert "✗" not in whole.stderr


def test_demo_leavesNothingBehind(whole: Marked) -> None:
    assert whole.alive() == {}
    assert list(whole.temporary.iterdir()) == []


# ---------------------------------------------------------------------- a relay is killed


def test_demo_survivesARelayThatIsKilled(start: Start, tmp_path: Path) -> None:
    """I1, I8 with packets under way when a mix ends; the sender repeats what was lost."""
    file = tmp_path / "file.bin"
    file.write_bytes(os.urandom(48 << 10))
    marked = start("--kill", "--file", str(file))
    assert marked.finish(900) == 0, marked.stderr
    report = json.loads((tmp_path / "demo.json").read_text())
    assert report["bytes_equal"] is True
    assert report["invariants"] == {"I1": True, "I8": True}
    killing = report["killing"]
    assert killing["in_flight"] > 0
    assert killing["repeated"] > 0
    assert report["packets_sent"] > report["packets_delivered"]
    assert killing["paid"] is True
    (relay,) = (relay for relay in report["relays"] if relay["id"] == killing["relay"])
    assert relay["unclaimed"] == 0
    assert relay["claimed"] > 0
    ticks = sum(relay["as_entry"] + relay["mailbox_ticks"] for relay in report["relays"])
    assert report["sponsor_paid"] == HOPS * report["hop_price"] * ticks
    assert "relay" in marked.stdout and "under way" in marked.stdout
    assert marked.alive() == {}


# ---------------------------------------------------------------------- its other ends


def interrupted(marked: Marked) -> None:
    assert marked.finish(30) == 130
    assert marked.alive() == {}
    assert marked.stderr.rstrip().endswith("interrupted")
    logs = re.search(r"logs and everybody's folders: (\S+)", marked.stderr)
    assert logs is not None
    assert (Path(logs[1]) / "logs" / "anvil.log").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_endsEverything_whileCommandsRun(start: Start, number: signal.Signals) -> None:
    marked = start()
    marked.wait_until("a second process", lambda: len(marked.alive()) > 2)
    marked.process.send_signal(number)
    interrupted(marked)


def test_signals_endEverything_evenWhenRepeated_whileRelaysRun(start: Start) -> None:
    marked = start()
    marked.wait_until("running relays", lambda: _running(marked) >= 5, limit=90)
    marked.process.send_signal(signal.SIGINT)
    for _ in range(20):
        marked.process.send_signal(signal.SIGINT)
    interrupted(marked)


def test_closedTerminal_endsEverything(start: Start) -> None:
    ours, theirs = pty.openpty()
    marked = start(stderr=theirs)
    os.close(theirs)
    marked.wait_until("a second process", lambda: len(marked.alive()) > 2)
    os.close(ours)
    marked.process.send_signal(signal.SIGHUP)
    assert marked.finish(30) != 0
    assert marked.alive() == {}


def test_killedDemo_leavesNothingRunning(start: Start) -> None:
    marked = start()
    marked.wait_until("the sponsor", lambda: any(map(_is_sponsor, marked.alive().values())))
    marked.process.kill()
    marked.process.wait(10)
    deadline = time.monotonic() + 20
    while marked.alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert marked.alive() == {}


def test_deadSponsor_failsTheDemo_andEndsEverything(start: Start) -> None:
    marked = start()
    marked.wait_until("the sponsor", lambda: any(map(_is_sponsor, marked.alive().values())))
    victim = next(pid for pid, line in marked.alive().items() if _is_sponsor(line))
    os.kill(victim, signal.SIGKILL)
    assert marked.finish(30) == 1
    assert marked.alive() == {}
    assert "Error: sponsor ended by itself" in marked.stderr
    assert "logs and everybody's folders" in marked.stderr


def test_fileOverOneMiB_isRefusedBeforeAnythingStarts(start: Start, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes((1 << 20) + 1))
    marked = start("--file", str(large))
    assert marked.finish(20) == 2
    assert marked.stderr.startswith("Error: ")
    assert "1 MiB" in marked.stderr
    assert list(marked.temporary.iterdir()) == []


def _running(marked: Marked) -> int:
    return sum(map(_is_daemon, marked.alive().values()))


def _is_daemon(line: str) -> bool:
    return line.startswith("relay run:")


def _is_sponsor(line: str) -> bool:
    return line.startswith("sponsor serve:")
