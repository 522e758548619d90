"""What runs in the process beside the relay of its folder."""

from __future__ import annotations

from typing import Protocol

from relay.draining import Drain


class Beside(Protocol):
    """What runs in the process beside the relay of its folder: relays of retired keys."""

    def drains(self) -> list[Drain]:
        """Of all its daemons."""

    def notes(self) -> list[str]:
        """What the operator should know of it."""


class _Nothing:
    """Nothing else runs."""

    def drains(self) -> list[Drain]:
        return []

    def notes(self) -> list[str]:
        return []


NOTHING_BESIDE = _Nothing()
