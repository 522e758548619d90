"""The picture: what a farmer takes of a pass, against its share of the stake.

    .venv-bench/bin/python abuse/plot.py reports/abuse.json docs/abuse.png

By itself, in the bench's environment: it needs matplotlib and nothing of ours.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt


def draw(about: dict[str, Any], target: Path) -> None:
    """One axes, logarithmic in the stake. Raises KeyError for what is no report."""
    takes = about["takes"]
    scenarios = [one["name"] for one in about["scale"]["scenarios"]]
    figure, axes = plt.subplots(figsize=(11, 5), layout="constrained")

    def line(scheme: str, scenario: str, style: str, label: str) -> None:
        rows = sorted(
            (one["stake"], one["share"])
            for one in takes
            if (one["scheme"], one["scenario"]) == (scheme, scenario)
        )
        axes.plot([100 * x for x, _ in rows], [100 * y for _, y in rows], style, label=label)

    line("a", scenarios[-1], "k^-", "(a) entry chosen")
    line("b", scenarios[-1], "ks-", "(b) entry drawn, no flow caps")
    for scenario in scenarios:
        line("c", scenario, "o-", f"(c) drawn and caps; {scenario}")
    stakes = [100 * one for one in about["scale"]["stakes"]]
    axes.plot(stakes, stakes, ":", color="grey", label="its share of the stake")
    axes.set_xscale("log")
    axes.set_xticks(stakes, [f"{stake:g} %" for stake in stakes])
    axes.set_ylim(0, 105)
    axes.set_xlabel("the farmer's share of the stake")
    axes.set_ylabel("% of what its passes can pull from the pool")
    axes.grid(visible=True, alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(target, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
