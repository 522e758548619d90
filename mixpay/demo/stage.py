"""How the demo shows where it is: one line for each step on stderr, with the seconds it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from mixpay.demo.report import Step

Detail = Callable[[str], None]
"""Shows what happens inside a step; only on a terminal, in the step's line."""


class Stage:
    """Where steps are shown. `clock`: any steady clock, in seconds."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.steps: list[Step] = []
        self._clock = clock
        self._began = clock()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._began

    @contextmanager
    def step(self, name: str) -> Iterator[Detail]:
        """Time a step and show it: while it runs (on a terminal), and when it is done or has failed."""
        began, number = self._clock(), len(self.steps) + 1
        with self.console.status(Text(name)) as status:
            try:
                yield lambda text: status.update(Text(f"{name}: {text}"))
            except BaseException:
                self._line("✗", "red", number, name, self._clock() - began)
                raise
        self.steps.append(Step(name, self._clock() - began))
        self._line("✓", "green", number, name, self._clock() - began)

    def say(self, text: str) -> None:
        """A line of its own."""
        self.console.print(Text(text), soft_wrap=True)

    def _line(self, sign: str, style: str, number: int, name: str, seconds: float) -> None:
        self.console.print(
            Text(sign, style=style), f"{number:2} {seconds:6.1f} s ", Text(name), soft_wrap=True
        )
