"""Measure, write reports/gas.json, compare with the committed snapshot.

python -m scripts.gas            measure; fail where a figure differs from the snapshot or misses its goal
python -m scripts.gas --write    measure, write the snapshot and docs/gas.md
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from scripts.gas import channels, court, pool, registry
from scripts.gas.goals import GOALS
from scripts.gas.page import render
from scripts.gas.stage import stage

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "reports" / "gas.json"
SNAPSHOT = ROOT / "docs" / "gas-snapshot.json"
PAGE = ROOT / "docs" / "gas.md"
TOLERANCE = 0.005
"""Part by which a figure may differ: signatures have zero bytes by chance."""
LOOSE = {"court_finish": 0.02, "redeem_pass": 0.01}
"""Where more is left to chance: the paths of the points drawn, an RSA key and its signature."""


def measure() -> dict[str, int]:
    """Every figure by its name."""
    with stage() as chain:
        return channels.measure(chain) | court.measure(chain) | registry.measure(chain) | pool.measure(chain)


def differences(figures: dict[str, int], snapshot: dict[str, int]) -> list[str]:
    """What is not as the snapshot says, in words."""
    found = [f"{name}: not in the snapshot" for name in figures.keys() - snapshot.keys()]
    found += [f"{name}: not measured any more" for name in snapshot.keys() - figures.keys()]
    for name in figures.keys() & snapshot.keys():
        old, new = snapshot[name], figures[name]
        if abs(new - old) > LOOSE.get(name, TOLERANCE) * old:
            found.append(f"{name}: {new:,}, the snapshot says {old:,}")
    return sorted(found)


def missed(figures: dict[str, int]) -> list[str]:
    """Goals that are not met, in words."""
    over = {name: goal for name, goal in GOALS.items() if figures[name] > goal}
    return [f"{name}: {figures[name]:,}, the goal is {goal:,}" for name, goal in over.items()]


def main() -> int:
    """Exit status: 0, or 1 when something changed or misses its goal."""
    parser = argparse.ArgumentParser(description="gas of whole transactions")
    parser.add_argument("--write", action="store_true", help="make the figures the snapshot")
    write = parser.parse_args().write
    figures = measure()
    for name, gas in figures.items():
        print(f"  {name:<24} {gas:>9,}" + (f"   goal {GOALS[name]:,}" if name in GOALS else ""))
    REPORT.parent.mkdir(exist_ok=True)
    text = json.dumps(figures, indent=2) + "\n"
    REPORT.write_text(text)
    if write:
        SNAPSHOT.write_text(text)
        PAGE.write_text(render(figures))
    problems = differences(figures, json.loads(SNAPSHOT.read_text())) + missed(figures)
    for problem in problems:
        print(f"gas: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
