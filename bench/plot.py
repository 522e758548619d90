"""The picture: rate against load, and percentiles of what load adds to a packet's delay.

    .venv-bench/bin/python bench/plot.py reports/bench.json docs/bench.png

By itself, in an environment of its own: it needs matplotlib and nothing of ours.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

_SHOWN = ("p50", "p90", "p99")


def draw(about: dict[str, Any], target: Path) -> None:
    """Two axes, one of them logarithmic. Raises KeyError for a report without the whole layer."""
    picture = about["layers"]["whole"]["picture"]
    runs, peak = picture["runs"], picture["peak"]
    loads = [run["offered"] / peak for run in runs]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    left.plot(loads, [run["rate"] for run in runs], "o-", label="forwarded")
    most = max(run["rate"] for run in runs)
    ideal = [min(run["offered"], most * 1.15) for run in runs]
    left.plot(loads, ideal, ":", color="grey", label="offered")
    left.set_ylim(0, most * 1.2)
    left.set_ylabel("packets a second")
    for name in _SHOWN:
        points = [
            (load, run["late_ms"][name]) for load, run in zip(loads, runs, strict=True) if run["late_ms"]
        ]
        right.plot(*zip(*points, strict=True), "o-", label=name)
    right.set_yscale("log")
    right.set_ylabel("ms beyond the packet's own delay")
    for axes in (left, right):
        axes.set_xlabel("load, in peak rates")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    machine = about["machine"]
    figure.suptitle(
        f"One relay, {about['date']}, {machine['processor']}, {machine['cores']} cores, "
        "shared with others and the load",
        fontsize=10,
    )
    figure.savefig(target, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
