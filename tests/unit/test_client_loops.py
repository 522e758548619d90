"""Who loses loops: found soon, and nobody else suspected."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.client.cover import ONE_LOOP_IN
from mixpay.client.loops import CHANCE, FEWEST, WINDOW, LoopScores, at_least
from mixpay.client.profile import FOREGROUND

LAYERS = ((1, 2, 3), (4, 5, 6), (7, 8, 9))
PER_SECOND = 1 / (FOREGROUND.interval * ONE_LOOP_IN)


def dice(seed: int) -> Random:
    return Random(seed)  # noqa: S311 the same each time


def run(dice: Random, seconds: float, lost_by: dict[int, float], everywhere: float = 0.0) -> LoopScores:
    """Loops in the foreground: `lost_by`: what relays lose; `everywhere`: what is lost at each mix."""
    scores, now = LoopScores(), 0.0
    while (now := now + dice.expovariate(PER_SECOND)) < seconds:
        mixes = [dice.choice(layer) for layer in LAYERS]
        back = all(dice.random() >= lost_by.get(mix, everywhere) for mix in mixes)
        scores.add(mixes, now, back=back)
    return scores


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("bad", [1, 5, 9])
def test_relayThatLosesAFifth_isFoundWithinTenMinutes_byOneClientAlone(bad: int, share: float) -> None:
    found = [run(dice(seed), 600, {bad: share}).suspects(600) for seed in range(20)]
    assert set().union(*found) == {bad}
    assert sum(bool(one) for one in found) >= (18 if share < 0.5 else 20)


@pytest.mark.parametrize("bad", [2, 4, 8])
def test_relayThatLosesHalf_isFoundWithinFiveMinutes(bad: int) -> None:
    found = [run(dice(seed), 300, {bad: 0.5}).suspects(300) for seed in range(20)]
    assert all(one == {bad} for one in found)


def test_severalBadRelays_areAllFound() -> None:
    for seed in range(10):
        assert run(dice(seed), 600, {1: 1.0, 6: 1.0}).suspects(600) == {1, 6}


@pytest.mark.parametrize("everywhere", [0.0, 0.003, 0.05])
def test_whereAllLoseAlike_nobodyIsSuspected(everywhere: float) -> None:
    """False alarms: fewer than one in a hundred runs of ten minutes."""
    alarms = sum(bool(run(dice(seed), 600, {}, everywhere).suspects(600)) for seed in range(200))
    assert alarms <= 2


def test_loopsAreForgotten_soThatARelayIsTriedAgain() -> None:
    scores = run(dice(1), 300, {1: 1.0})
    assert scores.suspects(300) == {1}
    assert scores.suspects(300 + WINDOW) == frozenset()
    assert (scores.sent, scores.lost) == (0, 0)


def test_fewLostLoops_sayNothing() -> None:
    scores = LoopScores()
    for number in range(FEWEST - 1):
        scores.add((1, 4, 7), float(number), back=False)
    assert scores.suspects(10.0) == frozenset()


@given(st.integers(0, 60), st.integers(0, 61), st.floats(0.0, 0.999))
def test_atLeast_isTheBinomialTail(tries: int, count: int, chance: float) -> None:
    exact = sum(
        math.comb(tries, hits) * chance**hits * (1 - chance) ** (tries - hits)
        for hits in range(count, tries + 1)
    )
    assert at_least(count, tries, chance) == pytest.approx(exact, abs=CHANCE / 1000)
