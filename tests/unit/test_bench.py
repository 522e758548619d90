"""The bench cannot rot: every layer in its short form, its page, its bookkeeping; no test asks how fast."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import __main__ as program
from bench import mixer, whole
from bench.figures import GOALS, SHORT, Found, Goal, Scale, lines, report
from bench.hop import Hop
from bench.load import percentiles
from bench.meter import interleaved
from bench.packet import CONTEXT
from bench.page import render
from bench.supply import Supply, number_of
from mixpay import packet, proof
from mixpay.client.profile import FAST, mix_delay
from mixpay.crypto import x25519
from mixpay.packet import Forward
from mixpay.types import RelayId

PURE = ("packet", "proof", "hop", "path", "book", "store", "link", "mixer")
"""Layers that need no chain; the whole one is a test of its own in tests/e2e."""


@pytest.mark.parametrize("layer", PURE)
def test_layer_measuresInItsShortForm(layer: str) -> None:
    found = program.LAYERS[layer](SHORT)
    numbers = [*found.figures.values(), *found.detail.get("us", {}).values()]
    assert numbers
    assert all(number > 0 for number in numbers)
    assert found.figures.keys() <= GOALS.keys()


def test_layers_areAllTested() -> None:
    assert {*PURE, "whole"} == set(program.LAYERS)


# ---------------------------------------------------------------------- figures


def test_goal_isMetAtItsLimit_andNotBeyond() -> None:
    most, least = Goal("µs", 9, "", ""), Goal("×", 1.7, "", "", at_least=True)
    assert [most.met(9), most.met(9.1), least.met(1.7), least.met(1.6)] == [True, False, True, False]
    assert Goal("µs", None, "", "").met(1) is None
    assert (most.text, least.text) == ("≤ 9", "≥ 1.7")


def test_report_hasEachFigureWithItsGoal_andSaysWhatIsNotMet() -> None:
    about = report({"hop": Found({"hop_over_floor": 1.6, "hop_us": 80.0})}, {"X25519": 31.0}, SHORT)
    assert about["figures"]["hop_over_floor"] == {
        "value": 1.6,
        "unit": "×",
        "goal": "≤ 1.5",
        "met": False,
        "relative_to": GOALS["hop_over_floor"].relative_to,
        "meaning": GOALS["hop_over_floor"].meaning,
    }
    assert about["figures"]["hop_us"]["met"] is None
    assert about["primitives_us"] == {"X25519": 31.0}
    assert "NOT MET" in next(line for line in lines(about) if "hop_over_floor" in line)


def test_interleaved_partsTakeTurns_andTheMedianSliceCounts() -> None:
    calls: list[str] = []
    found = interleaved({"a": (lambda: calls.append("a"), 2), "b": (lambda: calls.append("b"), 1)}, 3)
    assert "".join(calls) == "aab" * 3
    assert found.keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("strict", "status"), [([], 0), (["--strict"], 1)], ids=["notStrict_isNoFailure", "strict_isOne"]
)
def test_missedGoal(
    strict: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(program, "LAYERS", {"hop": lambda scale: Found({"hop_over_floor": 9.0})})
    monkeypatch.setattr(program, "REPORT", tmp_path / "reports/bench.json")
    monkeypatch.setattr("sys.argv", ["bench", "hop", "--short", *strict])
    assert program.main() == status
    assert (
        json.loads((tmp_path / "reports/bench.json").read_text())["figures"]["hop_over_floor"]["value"] == 9
    )
    assert "NOT MET" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["nosuch"], ["hop", "--write"], ["--write", "--short"], ["--write", "--no-incentives"]]
)
def test_commandLine_refusesWhatMakesNoSense(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        program.options(words)


# ---------------------------------------------------------------------- packets


def test_supply_packetsAreWhatARelayExpects() -> None:
    """They open, their tickets can be paid, their responses open their locks, and they are known again."""
    random = os.urandom
    secret = random(32)
    public = x25519.public_key(secret)
    supply = Supply(CONTEXT, public, [RelayId(5), RelayId(6)], random)
    tags = set()
    for number in range(3):
        made, behind = supply.make(), supply.behind(number)
        out = packet.peel(CONTEXT, x25519.SecretKey(secret), public, 1, made.packet, lambda tag: False)
        assert isinstance(out, Forward)
        assert (out.next_relay, out.delay_ms) == (5 + number % 2, made.delay_ms)
        proof.check_lock(out.own, made.lock, out.next_hint)
        assert not proof.bad_acks([(out.ack, made.hint)], random)
        assert proof.opens(proof.response(out.own, behind.ack), made.lock)
        assert proof.opens(behind.response, out.next_lock)
        assert (out.next_lock, out.next_hint) == (behind.lock, behind.hint)
        assert number_of(out.packet) == made.number == number
        tags.add(out.tag)
    assert len(tags) == 3


def test_hop_carriesEveryPacketOnce() -> None:
    hop = Hop()
    arrived = hop.arrivals()
    assert len(hop.carry(arrived)) == len(arrived)
    assert hop.carry(arrived) == []  # replays, now


# ---------------------------------------------------------------------- loads


def test_unaccounted_isWhatNeitherCameThroughNorWasDropped() -> None:
    run = {
        "offered": 100,
        "arrived": 60,
        "lost": {"entry_queue_full": 30, "relay_wrong_hint": 4, "next_unsigned_window": 1},
        "dropped_by_relay": {"wrong_hint": 4, "unsigned_window": 1},
    }
    assert whole.unaccounted(run) == 5
    run["lost"]["entry_left_waiting"] = 5  # type: ignore[index]
    assert whole.unaccounted(run) == 0


@pytest.mark.parametrize(
    ("cpu", "rate"),
    [
        ({1: 1.0}, 0.1),  # one process, one core
        ({1: 0.5, 2: 0.25, 3: 0.25}, 0.2),  # two full cores
        ({1: 0.8, 2: 0.1, 3: 0.1}, 0.125),  # the busiest holds all up
    ],
)
def test_twoCoreRate_isBoundByTheBusiestProcess_andByTwoCores(cpu: dict[int, float], rate: float) -> None:
    run = {"cpu": cpu, "packets": 1_000, "floor_us": 100.0}  # 1 s: ten floors a packet
    assert whole.two_core_rate(run) == pytest.approx(rate)


def test_percentiles_areOfTheSample() -> None:
    found = percentiles([n / 1000 for n in range(1, 101)])
    assert {name: round(value, 6) for name, value in found.items()} == {
        "p50": 50,
        "p90": 90,
        "p99": 99,
        "p100": 100,
    }
    assert percentiles([]) == {}


# ---------------------------------------------------------------------- the mixer's delays


def client(dice: Callable[[int], bytes]) -> int:
    """What a client draws, in ms."""
    return mix_delay(FAST, dice)


MEAN = FAST.delay_ms / 1000
COUNT = 10_000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mixerWokenWhenDue_holdsPacketsExponentially(seed: int) -> None:
    held = mixer.actual_delays(COUNT, None, client, seed)
    assert len(held) == COUNT
    assert mixer.distance(held, MEAN) < mixer.critical(COUNT)


def test_pulse_movesDelaysByHalfOfItselfAtMost_andNotOnAverage() -> None:
    """What the daemon's pulse does to a delay: a packet leaves at the pulse nearest to its time."""
    pulse, drawn = 0.01, []

    def noted(dice: Callable[[int], bytes]) -> int:
        drawn.append(client(dice))
        return drawn[-1]

    held = mixer.actual_delays(COUNT, pulse, noted)
    added = [late - early / 1000 for late, early in zip(sorted(held), sorted(drawn), strict=True)]
    assert abs(sum(added) / COUNT) < pulse / 50
    assert all(abs(extra) <= pulse / 2 + 1e-9 for extra in added)
    assert mixer.distance(held, MEAN) < mixer.critical(COUNT)


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("all alike", lambda dice: round(1_000 * MEAN)),
        ("uniform", lambda dice: int.from_bytes(dice(8), "big") % round(2_000 * MEAN)),
        ("a tenth too long", lambda dice: round(1.1 * mix_delay(FAST, dice))),
        ("cut off at two means and a half", lambda dice: min(round(2_500 * MEAN), mix_delay(FAST, dice))),
    ],
)
def test_wrongDelays_areToldFromExponential(name: str, draw: Callable[[Callable[[int], bytes]], int]) -> None:
    assert mixer.distance(mixer.actual_delays(COUNT, None, draw), MEAN) > mixer.critical(COUNT), name


def test_distance_isKolmogorovsAndSmirnovs() -> None:
    """Against a case by hand: one value at the median is half off, on both sides."""
    assert mixer.distance([math.log(2)], 1.0) == pytest.approx(0.5)
    quantiles = [-math.log(1 - (n + 0.5) / 100) for n in range(100)]
    assert mixer.distance(quantiles, 1.0) == pytest.approx(0.005)


# ---------------------------------------------------------------------- the page


def test_page_isMadeFromAReportOfAllLayers() -> None:
    found = {name: program.LAYERS[name](SHORT) for name in ("path", "store", "mixer")}
    run = {"others": 0.25}
    found["whole"] = Found(
        {"relay_over_floor": 2.4},
        {"picture": {"runs": [run]}, "workers": {"by the clock, load on the same cores": 1.23}},
    )
    text = render(report(found, {"X25519": 31.0}, Scale()))
    assert "| relay_over_floor | 2.40 × | ≤ 2 | **not met** |" in text
    assert "Others had 25 to 25 %" in text
    assert "load on the same two cores: 1.23." in text
    assert "| X25519 | 31.0 |" in text
