"""How much is simulated, and intervals of confidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, sqrt
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "reports/abuse.json"

_Z = 1.96
_FEW = 50
_MISS = 0.05
"""Intervals hold with 95 %."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """An epoch: passes of honest users, and of a farmer's, for each relay of the registry."""

    name: str
    honest: float
    fakes: float


SCENARIOS = (
    Scenario("thin, a tenth more is fake", 1, 0.1),
    Scenario("thin, half is fake", 1, 1),
    Scenario("busy, 0.1 % more is fake", 100, 0.1),
    Scenario("busy, 1 % more is fake", 100, 1),
    Scenario("busy, a tenth more is fake", 100, 10),
    Scenario("busy, half is fake", 100, 100),
    Scenario("busy, all is fake", 0, 100),
)
"""Thin: a user for each relay. Busy: a hundred, which is a million on 10,000 relays."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes. The short one is for tests: a small registry, where thin traffic is what is seen most."""

    relays: int = 10_000
    stakes: tuple[float, ...] = (0.001, 0.01, 0.05, 0.2)
    scenarios: tuple[Scenario, ...] = SCENARIOS
    signed: int = 3_000
    """Passes that are really signed, for the statistics of the draw."""
    spent: int = 3
    """Of these, so many are spent to their last tick, and redeemed."""
    checked: int = 4
    """Relays of each role at which a farm's packets are sent one by one, where it has a pass for each entry
    at most.
    """
    busy: int = 100
    """Passes for each relay where honest traffic is dense."""
    paths: int = 6
    """Users whose whole pass goes along paths of the client's own drawing."""
    timed: int = 1_000
    """Users of a campaign whose passes are matched by times."""
    epochs: int = 20
    """In so many epochs."""


SHORT = Scale(
    relays=150,
    stakes=(0.02, 0.2),
    scenarios=(Scenario("thin, half is fake", 1, 1), Scenario("busy, a tenth more is fake", 20, 2)),
    signed=60,
    spent=1,
    checked=2,
    busy=4,
    paths=1,
    timed=200,
    epochs=2,
)


def around(hits: int, tries: int) -> tuple[float, float]:
    """Wilson's interval of a share, 95 %."""
    share, spread = hits / tries, _Z**2 / tries
    middle = share + spread / 2
    width = _Z * sqrt(share * (1 - share) / tries + spread / (4 * tries))
    return (middle - width) / (1 + spread), (middle + width) / (1 + spread)


def at_most(hits: int, tries: int) -> float:
    """The upper bound of a share, 95 %: where so few hits become unlikely (Poisson), or Wilson's for many."""
    if hits > _FEW:
        return around(hits, tries)[1]
    low, high = float(hits), hits + 10 * sqrt(hits + 1) + 10
    for _ in range(60):
        mean = (low + high) / 2
        low, high = (mean, high) if _chance_of_few(hits, mean) > _MISS else (low, mean)
    return high / tries


def _chance_of_few(hits: int, mean: float) -> float:
    term = total = exp(-mean)
    for number in range(1, hits + 1):
        term *= mean / number
        total += term
    return total


Tell = Callable[[str], None]
"""Takes one line about what is going on."""
