"""The end of `make contracts`: one page for people, reports/contracts.json for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scripts.contracts.part import Part

ADDED = ("tests", "failed", "fuzz_calls")
"""Figures that several parts have a share in."""
NAMES = ("coverage", "mutants", "slither", "halmos", "gas")


def figures(parts: Iterable[Part]) -> dict[str, Any]:
    """Content of reports/contracts.json; what a broken part did not say is null."""
    parts = list(parts)
    added = {name: sum(part.figures.get(name, 0) for part in parts) for name in ADDED}
    single: dict[str, Any] = dict.fromkeys(NAMES)
    for part in parts:
        single |= {name: part.figures[name] for name in NAMES if name in part.figures}
    if single["coverage"]:
        single["coverage"] = {kind: single["coverage"][kind] for kind in ("lines", "branches", "functions")}
    return {**added, **single}


def page(parts: Sequence[Part], seconds: float, commit: str) -> str:
    """The page."""
    lines = ["", f"== the contracts, at {commit}, in {seconds / 60:.1f} minutes", ""]
    lines += [f"  {'ok    ' if part.ok else 'FAILED'}  {part.line}" for part in parts]
    for part in parts:
        if part.details and (part.name in ("artifacts", "mutants") or not part.ok):
            lines += ["", f"{part.name}:", *(f"  {detail}" for detail in part.details)]
    bad = [part.name for part in parts if not part.ok]
    lines += ["", f"== {'all good' if not bad else 'FAILED: ' + ', '.join(bad)}"]
    return "\n".join(lines)


def report(parts: Iterable[Part]) -> str:
    """Text of reports/contracts.json."""
    return json.dumps(figures(parts), indent=1) + "\n"


def ordered(parts: Mapping[str, Part], names: Iterable[str]) -> list[Part]:
    """In the order of the names."""
    return [parts[name] for name in names]
