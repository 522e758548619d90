"""Steps on the stage: named, timed, and failures shown as such."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mixpay.demo.report import Step
from mixpay.demo.stage import Stage


@pytest.fixture
def text() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def stage(text: io.StringIO) -> Stage:
    times = iter([0.0, 1.0, 3.5, 3.5, 10.0])
    return Stage(Console(file=text, width=100), lambda: next(times, 20.0))


def test_step_isTimedAndShown(stage: Stage, text: io.StringIO) -> None:
    with stage.step("build [red]things[/red]") as detail:
        detail("half of it")
    assert stage.steps == [Step("build [red]things[/red]", 2.5)]
    assert "✓  1    2.5 s  build [red]things[/red]" in text.getvalue()


def test_step_showsAFailure(stage: Stage, text: io.StringIO) -> None:
    with pytest.raises(ValueError, match="broken"), stage.step("build"):
        raise ValueError("broken")
    assert stage.steps == []
    assert "✗  1" in text.getvalue()


def test_seconds_countFromTheBeginning(stage: Stage) -> None:
    assert stage.seconds == 1.0
