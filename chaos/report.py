"""What `make chaos` shows at its end, and reports/chaos.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaos.kills import Outcome

HELD = "held"
IN_FLIGHT_SHARE = 2 / 3
"""Of all kills, those with packets in flight or a settlement open, at least."""


def failures(kills: Outcome | None, wanted: int, scenarios: Mapping[str, str]) -> Iterator[str]:
    """Why it did not hold; nothing if it did. `scenarios`: by name, "held" or what did not hold."""
    if kills is not None:
        if kills.trouble:
            yield f"the campaign did not come to its end: {kills.trouble}"
        yield from kills.broken
        yield from kills.judgement.notes
        yield from kills.objections
        if kills.unclaimed:
            yield f"{kills.unclaimed} token units were earned and not claimed"
        if len(kills.kills) < wanted:
            yield f"{len(kills.kills)} kills of {wanted}"
        if kills.in_flight < IN_FLIGHT_SHARE * len(kills.kills):
            yield f"only {kills.in_flight} of {len(kills.kills)} kills tore something"
    for name, what in scenarios.items():
        if what != HELD:
            yield f"{name}: {what}"


def as_json(kills: Outcome | None, scenarios: Mapping[str, str], seed: int, seconds: float) -> dict[str, Any]:
    """reports/chaos.json, without the campaign's part if there was none."""
    return {
        **(_campaign(kills) if kills is not None else {}),
        "scenarios": dict(scenarios),
        "seed": seed,
        "seconds": round(seconds, 1),
    }


def _campaign(found: Outcome) -> dict[str, Any]:
    judged, traffic = found.judgement, found.traffic
    return {
        "kills": len(found.kills),
        "kills_in_flight": found.in_flight,
        "kills_while_starting": sum(kill.starting for kill in found.kills),
        "receipts": judged.receipts,
        "lost": found.lost,
        "double_processed": judged.double_processed,
        "book_mismatches": judged.book_mismatches,
        "income_error": judged.income_error,
        "user_errors": judged.user_errors,
        "packets_sent": traffic.sent,
        "packets_accepted": sum(traffic.accepted.values()),
        "packets_delivered": traffic.delivered,
        "packets_not_delivered": traffic.not_delivered,
        "packets_sent_again": traffic.again,
        "notes": [*found.broken, *judged.notes, *found.objections],
    }


def write(folder: Path, kills: Outcome | None, about: Mapping[str, Any]) -> None:
    """Write chaos.json, and chaos-kills.jsonl with a line for each kill."""
    folder.mkdir(exist_ok=True)
    (folder / "chaos.json").write_text(json.dumps(about, indent=1) + "\n")
    if kills is not None:
        lines = [json.dumps(asdict(kill) | {"in_flight": kill.in_flight}) + "\n" for kill in kills.kills]
        (folder / "chaos-kills.jsonl").write_text("".join(lines))
