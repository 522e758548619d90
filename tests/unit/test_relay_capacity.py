"""The start-up self-check: what is measured, what is made of it, and a computer that opens no packets."""

from __future__ import annotations

import itertools
import os

import pytest

from mixpay.errors import UserError
from relay import capacity
from relay.capacity import REST, measure
from relay.operator.answers import CapacityAnswer
from relay.operator.status_text import status_text
from test_relay_api import STATUS


def ticking(step: float) -> object:
    """A clock that moves by so much each time it is read."""
    return itertools.count(0.0, step).__next__


def test_measure_opensPacketsUntilItsTimeIsOver_andTakesTheMedian() -> None:
    found = measure(0, 2, random=os.urandom, clock=ticking(0.0032))  # type: ignore[arg-type]
    assert found.open_us == pytest.approx(100)  # 32 packets in 3.2 ms
    assert found.packets == pytest.approx(1e6 / (100 * (1 + REST)), abs=1)


@pytest.mark.parametrize(
    ("workers", "cores", "packets"),
    [
        (1, 8, 10_000),  # what one worker opens
        (2, 2, 2 / (1e-4 * (1 + REST))),  # two cores, all of them used
        (16, 64, 1 / (1e-4 * REST)),  # what the daemon itself does for each
    ],
)
def test_workers_raiseTheCapacity_asFarAsCoresAndTheDaemonGo(
    workers: int, cores: int, packets: float
) -> None:
    found = measure(workers, cores, random=os.urandom, clock=ticking(0.0032))  # type: ignore[arg-type]
    assert found.packets == pytest.approx(packets, rel=0.001)


def test_measure_withTheRealClock_saysSomethingPlausible() -> None:
    found = measure(0, seconds=0.001)
    assert 1 < found.open_us < 1e6
    assert found.packets > 0


def test_aComputerThatOpensNoPackets_isRefused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "open_all", lambda keys, jobs, random: ["wrong_lock" for _ in jobs])
    with pytest.raises(UserError, match=r"self-check: a good packet was refused \(wrong_lock\)"):
        measure(0)


def test_status_showsTheCapacity_onceItIsMeasured() -> None:
    import msgspec

    measured = msgspec.structs.replace(STATUS, capacity=CapacityAnswer(4_321, 98.6))
    assert "capacity: about 4321 packets a second (one is opened in 99 µs)" in status_text(measured)
    assert "capacity" not in status_text(STATUS)
