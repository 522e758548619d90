"""The whole relay's bench in its short form: it ends, with every figure, and counts every packet."""

from __future__ import annotations

from bench import whole
from bench.figures import GOALS, SHORT

OTHERS = {
    "hop_us",
    "floor_us",
    "hop_over_floor",
    "ack_check_us",
    "settle_100k_s",
    "bytes_per_receipt",
    "mixer_ks",
}
"""Figures of other layers, which unit tests see."""


def test_wholeBench_hasAllItsFigures_andLosesCountOfNoPacket() -> None:
    found = whole.measure(SHORT)
    assert found.figures.keys() | OTHERS == GOALS.keys()
    assert found.figures["overload_unaccounted"] == 0
    assert min(found.figures["relay_us_per_packet"], found.figures["relay_us_no_incentives"]) > 0
    assert found.detail["memory"]["receipts"] == SHORT.held
    loads = [run["offered"] for run in found.detail["picture"]["runs"]]
    assert loads == sorted(loads)
    assert len(loads) == len(SHORT.sweep) + SHORT.turns + 2
