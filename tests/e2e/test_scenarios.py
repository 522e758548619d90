"""The short form of `make chaos`: the fault scenarios that take least time, one of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.scenario import NotHeld, Scenario, require, scenario
from chaos.scenarios import SCENARIOS

SHORT = ("frames_truncated", "wallet_without_gas", "responses_wrong")


@pytest.mark.parametrize("name", SHORT)
def test_propertyHolds_whateverFails(name: str, tmp_path: Path) -> None:
    (chosen,) = [each for each in SCENARIOS if each.name == name]
    chosen.run(tmp_path)


def test_scenarios_haveNamesOfTheirOwn() -> None:
    names = [each.name for each in SCENARIOS]
    assert len(set(names)) == len(names)


def _told(story: object) -> Scenario:
    async def tell(folder: Path) -> None:
        if isinstance(story, Exception):
            raise story
        require(story, "it was false")

    return scenario("told", tell)


@pytest.mark.parametrize("story", [False, TimeoutError("waited in vain")])
def test_whatDoesNotHold_isSaid(story: object, tmp_path: Path) -> None:
    with pytest.raises(NotHeld, match=r"it was false|waited in vain"):
        _told(story).run(tmp_path)


def test_whatHolds_saysNothing(tmp_path: Path) -> None:
    _told(True).run(tmp_path)
