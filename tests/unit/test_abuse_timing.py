"""Matching passes to their issue by time: what fetching ahead is for."""

from __future__ import annotations

import pytest

from abuse.timing import Matched, over, study

USERS = 400


@pytest.fixture(scope="module")
def found() -> dict[str, Matched]:
    return {matched.habit: matched for matched in study(USERS, seed=3)}


def test_passFetchedInNeed_isGivenAwayByItsTime(found: dict[str, Matched]) -> None:
    assert found["in need"].right > 0.9


def test_passFetchedAhead_isGuessedByChance(found: dict[str, Matched]) -> None:
    """By chance one of 400 is right on average; six or more are once in 1,600 times."""
    assert found["ahead"].right * USERS < 6


def test_betweenThem_areKeepersThatStartWithTheComputer_andSpares(found: dict[str, Matched]) -> None:
    for habit in ("at start-up", "spares"):
        assert found["ahead"].right < found[habit].right < 0.2
    assert found["spares"].passes == USERS


def test_study_isTheSameForASeed(found: dict[str, Matched]) -> None:
    assert study(USERS, seed=3) == list(found.values())
    assert study(USERS, seed=4) != list(found.values())


def test_over_isTheMeanOfItsEpochs() -> None:
    both = [study(50, 8), study(50, 9)]
    for mean, *one in zip(over(2, 50, 8), *both, strict=True):
        assert mean.passes == 100
        assert mean.right == pytest.approx((one[0].right + one[1].right) / 2)
        assert mean.chance == 1 / 50
