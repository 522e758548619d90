"""Processes of the demo: output, logs, limits, and an end for every one of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mixpay.demo.processes import Command, DemoFailed, Interrupted, Processes

Make = Callable[[str], Command]
_SLEEP = "import time; time.sleep(60)"
_STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); "


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(tmp_path / "logs")
    yield found
    found.stop(grace=1.0)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Turns Python text into a command that runs it."""
    names = iter(range(100))

    def command(text: str) -> Command:
        name = f"demo_program_{next(names)}"
        (tmp_path / f"{name}.py").write_text(text)
        return Command(name, [], {"PYTHONPATH": str(tmp_path)})

    return command


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_run_returnsOutputAndLogsErrors(processes: Processes, make: Make) -> None:
    program = make("import sys; print('result'); print('trouble', file=sys.stderr)")
    assert processes.run("job", program, limit=20) == "result\n"
    assert processes.log_path("job").read_text() == "trouble\n"
    assert processes.pids() == []


def test_run_passesArgumentsAndEnvironment(processes: Processes, make: Make) -> None:
    program = make("import os, sys; print(sys.argv[1:], os.environ['WORD'])")
    command = Command(program.module, ["a", "b c"], {**program.environment, "WORD": "x"})
    assert processes.run("job", command, limit=20) == "['a', 'b c'] x\n"


def test_command_doesNotShowItsEnvironment() -> None:
    assert "hunter2" not in repr(Command("m", [], {"MIXPAY_PASSWORD": "hunter2"}))


def test_run_failsIfTheStatusIsNotExpected(processes: Processes, make: Make) -> None:
    program = make("import sys; print('no luck', file=sys.stderr); sys.exit(2)")
    with pytest.raises(DemoFailed, match=r"job failed: no luck .*job\.log"):
        processes.run("job", program, limit=20)
    assert processes.run("job", program, limit=20, expect=(2,)) == ""


def test_run_failsIfItTakesTooLong(processes: Processes, make: Make) -> None:
    with pytest.raises(DemoFailed, match="did not finish within 0 s"):
        processes.run("job", make(_SLEEP), limit=0.2)
    assert processes.pids() == []


def test_runAll_returnsAllOutputs(processes: Processes, make: Make) -> None:
    jobs = {f"job{n}": make(f"print({n})") for n in range(4)}
    found = processes.run_all(jobs, limit=20)
    assert found == {f"job{n}": f"{n}\n" for n in range(4)}


def test_runAll_endsTheOthersIfOneFails(processes: Processes, make: Make) -> None:
    jobs = {"good": make(_SLEEP), "bad": make("raise SystemExit('broken')")}
    began = time.monotonic()
    with pytest.raises(DemoFailed, match="bad failed: broken"):
        processes.run_all(jobs, limit=60)
    assert time.monotonic() - began < 20
    assert processes.pids() == []


def test_waitFor_returnsWhatIsFound(processes: Processes) -> None:
    answers = iter([None, None, 7])
    assert processes.wait_for("an answer", lambda: next(answers), limit=20) == 7


def test_waitFor_failsAfterItsLimit(processes: Processes) -> None:
    with pytest.raises(DemoFailed, match="waited 0 s for rain"):
        processes.wait_for("rain", lambda: None, limit=0.1)


def test_waitFor_failsIfAProcessEndsByItself(processes: Processes, make: Make) -> None:
    processes.start("daemon", make("raise SystemExit('out of luck')"))
    with pytest.raises(DemoFailed, match="daemon ended by itself: out of luck"):
        processes.wait_for("rain", lambda: None, limit=20)


def test_run_failsIfAProcessThatStaysEnds(processes: Processes, make: Make) -> None:
    processes.start("daemon", make("raise SystemExit('out of luck')"))
    with pytest.raises(DemoFailed, match="daemon ended by itself"):
        processes.run("job", make(_SLEEP), limit=60)
    assert processes.pids() == []


def test_interrupt_endsWhatWaits(processes: Processes, make: Make) -> None:
    timer = threading.Timer(0.3, processes.interrupt)
    timer.start()
    with pytest.raises(Interrupted):
        processes.run_all({"a": make(_SLEEP), "b": make(_SLEEP)}, limit=60)
    assert processes.pids() == []
    with pytest.raises(Interrupted):
        processes.start("daemon", make(_SLEEP))
    with pytest.raises(Interrupted):
        processes.wait_for("rain", lambda: None, limit=20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_interruptAndAreGivenBack(processes: Processes, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with processes.watching_signals():
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted):
            processes.wait_for("the signal", lambda: None, limit=20)
    assert signal.getsignal(number) == before


def test_stop_endsEverything_evenWhatRefuses(processes: Processes, make: Make) -> None:
    processes.start("tame", make(_SLEEP))
    processes.start("stubborn", make(_STUBBORN + "time.sleep(60)"))
    log = processes.log_path("stubborn")
    processes.wait_for("the stubborn one", lambda: log.read_text() or None, limit=20)
    pids = processes.pids()
    assert len(pids) == 2
    processes.stop(grace=0.5)
    assert [pid for pid in pids if is_alive(pid)] == []
    with pytest.raises(DemoFailed, match="ending"):
        processes.start("late", make(_SLEEP))


def test_end_endsOneOnly(processes: Processes, make: Make) -> None:
    for name in ("one", "two"):
        processes.start(name, make(_SLEEP))
    first, second = processes.pids()
    processes.end("one", signal.SIGKILL)
    assert not is_alive(first)
    assert processes.pids() == [second]
    processes.check()


# ---------------------------------------------------------------------- processes that may end


def test_takeEnded_tellsOnce_andNobodyExpectsThemAnyMore(processes: Processes, make: Make) -> None:
    processes.start("brief", make("print('my last word')"))
    processes.start("lasting", make(_SLEEP))
    deadline = time.monotonic() + 20
    while not (ended := processes.take_ended()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert list(ended) == ["brief"]
    assert "brief ended by itself: my last word" in ended["brief"]
    assert processes.take_ended() == {}
    processes.check()


def test_pause_endsWithAnInterruption(processes: Processes) -> None:
    processes.pause(0.01)
    processes.interrupt()
    with pytest.raises(Interrupted):
        processes.pause(60)
