"""The crowd's numbers: draws have the promised means and bounds."""

from __future__ import annotations

import random as stdlib_random

import pytest

from mixpay.client.profile import FAST, MAX_DELAY_MS, exponential, mix_delay, named
from mixpay.errors import UserError


def seeded(seed: int = 1):
    return stdlib_random.Random(seed).randbytes  # noqa: S311 - a repeatable test, not a secret


def test_exponential_hasTheMeanAndTheTailOfItsDistribution():
    source = seeded()
    draws = sorted(exponential(200, source) for _ in range(20_000))
    assert sum(draws) / len(draws) == pytest.approx(200, rel=0.03)
    # The 90 % point of an exponential distribution is ln(10) times its mean.
    assert draws[18_000] == pytest.approx(460.5, rel=0.05)


def test_exponential_isFinite_atBothEndsOfTheRandomNumber():
    assert exponential(200, bytes) < 200 * 45
    assert exponential(200, lambda size: b"\xff" * size) == 0


def test_mixDelay_fitsTheHeader_evenForTheRarestDraw():
    assert mix_delay(FAST, lambda size: b"\xff" * size) == 0
    assert 0 < mix_delay(FAST, bytes) <= MAX_DELAY_MS


def test_fast_keepsThePromisedLatency():
    source = seeded()
    sums = sorted(sum(mix_delay(FAST, source) for _ in range(3)) for _ in range(20_000))
    assert sums[19_800] < 2_000


def test_named_saysWhichProfilesThereAre():
    assert named("fast") is FAST
    with pytest.raises(UserError, match=r"no profile 'quick'.*fast"):
        named("quick")
