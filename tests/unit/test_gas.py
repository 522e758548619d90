"""The page and the snapshot of gas are of each other, and what is compared is compared."""

import json

from scripts.gas.__main__ import PAGE, SNAPSHOT, differences, missed
from scripts.gas.goals import GOALS
from scripts.gas.page import render


def test_page_isMadeFromTheSnapshot():
    assert PAGE.read_text() == render(json.loads(SNAPSHOT.read_text()))


def test_snapshot_hasEveryGoal_andMeetsIt():
    figures = json.loads(SNAPSHOT.read_text())
    assert GOALS.keys() <= figures.keys()
    assert missed(figures) == []


def test_differences_namesWhatMoved_appearedAndVanished():
    old = {"a": 100_000, "b": 100_000, "gone": 1}
    assert differences({"a": 100_400, "b": 101_000, "new": 1}, old) == [
        "b: 101,000, the snapshot says 100,000",
        "gone: not measured any more",
        "new: not in the snapshot",
    ]


def test_missed_namesTheGoal():
    assert missed(dict.fromkeys(GOALS, 1) | {"deposit": 50_001}) == ["deposit: 50,001, the goal is 50,000"]
