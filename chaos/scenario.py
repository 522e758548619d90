"""What a scenario is: one fault in a network of its own, and what must hold all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class NotHeld(AssertionError):
    """What must hold whatever happens did not; says what, and how it was seen."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Scenario:
    """`run` gets an empty folder; it returns when all held and everything that it started has ended.

    Raises NotHeld.
    """

    name: str
    run: Callable[[Path], None]
