"""Rows and cells of docs/abuse.md's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from abuse.findings import CAPPED, CHOSEN, DRAWN, EACH_PASS, SCHEMES

Cell = Callable[[Mapping[str, Any]], str]
"""Of one of the report's `takes`."""


def percent(part: float) -> str:
    """A part as it is in the settings, of few digits."""
    return f"{100 * part:g} %"


def share(one: Mapping[str, Any]) -> str:
    """What is taken, in % of what passes can pull."""
    return f"{100 * one['share']:.1f}"


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Lines of a table, without its head."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def rule(columns: int) -> str:
    """Under a table's head: so many columns of numbers, without the outer bars."""
    return "|".join(["---:"] * columns)


def worst(about: Mapping[str, Any], scheme: str) -> list[Mapping[str, Any]]:
    """Of each farmer the scenario in which it takes most of a pass, by stake."""
    rows = [one for one in about["takes"] if one["scheme"] == scheme]
    stakes = sorted({one["stake"] for one in rows})
    return [
        max((one for one in rows if one["stake"] == stake), key=lambda one: float(one["share"]))
        for stake in stakes
    ]


def by_scheme(about: Mapping[str, Any], cell: Cell, *, bounded: bool = False) -> str:
    """(a) and (b) in the last scenario, for no other traffic matters to them; (c) in each, or alone."""
    scenarios = [one["name"] for one in about["scale"]["scenarios"]]
    wanted = [] if bounded else [(CHOSEN, scenarios[-1]), (DRAWN, scenarios[-1])]
    wanted += [(CAPPED, name) for name in scenarios]
    return table(
        (
            f"({scheme})" + (f" {name}" if scheme == CAPPED else f" {SCHEMES[scheme]}"),
            *_cells(about, scheme, name, cell),
        )
        for scheme, name in wanted
    )


def mended(about: Mapping[str, Any]) -> str:
    """(c) as it is, and each change."""
    ways: list[tuple[str, str, Cell]] = [
        ("(c)", CAPPED, share),
        ("(c, m)", CAPPED, lambda one: f"{100 * one['share_without_mailbox']:.1f}"),
        ("(d)", EACH_PASS, share),
        ("(d, m)", EACH_PASS, lambda one: f"{100 * one['share_without_mailbox']:.1f}"),
    ]
    return table(
        (f"{text} {name}", *_cells(about, scheme, name, cell))
        for name in _extremes(about)
        for text, scheme, cell in ways
    )


def _extremes(about: Mapping[str, Any]) -> list[str]:
    """Of the scenarios, that with the fewest fakes among many, and the last."""
    all_of_them = about["scale"]["scenarios"]
    few = min(all_of_them, key=lambda one: (-one["honest"], one["fakes"]))
    return [few["name"], all_of_them[-1]["name"]] if few is not all_of_them[-1] else [few["name"]]


def _cells(about: Mapping[str, Any], scheme: str, scenario: str, cell: Cell) -> Iterator[str]:
    for one in about["takes"]:
        if (one["scheme"], one["scenario"]) == (scheme, scenario):
            yield cell(one)
