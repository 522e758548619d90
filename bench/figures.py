"""The figures that have goals, what a layer found, and reports/bench.json."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "reports/bench.json"


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure's unit, its limit if it has one (`at_least`: from below), what it is relative to, and
    what it is.
    """

    unit: str
    limit: float | None
    relative_to: str
    meaning: str
    at_least: bool = False

    def met(self, value: float) -> bool | None:
        """Whether a value is within the limit; None if there is none."""
        if self.limit is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit

    @property
    def text(self) -> str:
        """The limit, to be read."""
        return "" if self.limit is None else f"{'≥' if self.at_least else '≤'} {self.limit:g}"


MACHINE = "this machine"
RUN = "the floor in the same run"

GOALS: Mapping[str, Goal] = {
    "floor_us": Goal("µs", None, MACHINE, "one X25519, two secp256k1 base multiplications, one addition"),
    "hop_us": Goal("µs", None, MACHINE, "open a packet, replay, lock, hint; book both tickets; next frame"),
    "hop_over_floor": Goal("×", 1.5, RUN, "hop_us / floor_us"),
    "ack_check_us": Goal("µs", 9, MACHINE, "check one ack of 256"),
    "relay_us_per_packet": Goal("µs", None, MACHINE, "CPU of the whole daemon, as busy as it can be"),
    "relay_over_floor": Goal("×", 2.0, RUN, "relay_us_per_packet / the floor while it runs"),
    "relay_us_no_incentives": Goal(
        "µs", None, MACHINE, "the same frames, no proof of relay, no books, as busy as can be"
    ),
    "incentives_ratio": Goal(
        "×", 2.2, "the relay without incentives", "with them / without, each as busy as can be, by turns"
    ),
    "incentives_ratio_same_load": Goal(
        "×", None, "the relay without incentives", "with them / without, under the same load"
    ),
    "receipts_us": Goal("µs", 12, MACHINE, "what incentives cost beyond curve operations and the ack check"),
    "scaling_2_workers": Goal(
        "×", 1.7, "the daemon without workers", "rate that two cores can carry, by CPU time", at_least=True
    ),
    "overload_kept": Goal(
        "×", 0.8, "the peak rate", "rate forwarded at three times the peak, offered", at_least=True
    ),
    "overload_unaccounted": Goal(
        "packets", 0, "those offered", "offered − forwarded − dropped with a reason"
    ),
    "overload_growth_mb": Goal("MB", 32, "before the overload", "memory of the daemon"),
    "overload_p99_ms": Goal("ms", 2_000, MACHINE, "delay beyond its own of what was accepted in overload"),
    "added_delay_p99_ms": Goal("ms", 20, MACHINE, "delay beyond its own, at 70 % of the peak rate"),
    "settle_100k_s": Goal("s", 4, MACHINE, "CPU of both sides, 100,000 receipts redeemed, rows on disk"),
    "bytes_per_receipt": Goal("bytes", 48, "an empty database", "of the payee's file, in a large batch"),
    "rss_mb": Goal("MB", 250, MACHINE, "all processes, a million receipts and a million replay tags held"),
    "mixer_ks": Goal(
        "×", 1.0, "the critical value at 1 %, n = 10,000", "Kolmogorov–Smirnov, actual delays and exponential"
    ),
}


@dataclass(slots=True)
class Found:
    """What a layer measured: figures with goals by name, and everything else."""

    figures: dict[str, float] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. `slices` of parts that take turns; counts; seconds of a load. Short ones are for
    tests: their figures mean nothing.
    """

    slices: int = 100
    receipts: int = 100_000
    held: int = 1_000_000
    frames: int = 20_000
    delays: int = 10_000
    seconds: float = 4.0
    warm: float = 1.5
    turns: int = 3
    sweep: tuple[float, ...] = (0.1, 0.3, 0.5, 1.0, 1.5, 2.0)
    """Loads of the picture, in peak rates."""
    incentives: bool = True
    """False: whole daemons are not measured, only the relay without incentives."""


SHORT = Scale(slices=3, receipts=500, held=2_000, frames=300, delays=2_000, seconds=0.6, warm=0.5, turns=1,
              sweep=(0.5,))  # fmt: skip


def report(found: Mapping[str, Found], primitives: Mapping[str, float], scale: Scale) -> dict[str, Any]:
    """reports/bench.json."""
    figures = {name: value for layer in found.values() for name, value in layer.figures.items()}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "scale": {"seconds": scale.seconds, "turns": scale.turns, "slices": scale.slices},
        "primitives_us": {name: round(value, 2) for name, value in primitives.items()},
        "figures": {name: _figure(name, figures[name]) for name in GOALS if name in figures},
        "layers": {name: layer.detail for name, layer in found.items()},
    }


def _figure(name: str, value: float) -> dict[str, Any]:
    goal = GOALS[name]
    return {
        "value": round(value, 3),
        "unit": goal.unit,
        "goal": goal.text,
        "met": goal.met(value),
        "relative_to": goal.relative_to,
        "meaning": goal.meaning,
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.machine()


def lines(about: Mapping[str, Any]) -> list[str]:
    """The figures of a report, to be read."""
    found = []
    for name, one in about["figures"].items():
        verdict = {True: "met", False: "NOT MET", None: ""}[one["met"]]
        value = f"{one['value']:>12,.2f} {one['unit']:<8}"
        found.append(f"  {name:<24}{value}{one['goal']:>9}  {verdict:<8}{one['meaning']}")
    return found
