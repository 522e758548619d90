"""Parameters: the presets, every inequality between them, every range."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from itertools import pairwise
from pathlib import Path

import pytest

from mixpay.amounts import shown as amount
from mixpay.parameters import (
    DAY,
    DEMO,
    HOUR,
    MAX_SUCCESSORS,
    PRESETS,
    PRODUCTION,
    RANGES,
    TOKEN,
    Parameters,
    out_of_range,
)

NAMES = [field.name for field in dataclasses.fields(Parameters)]


def test_presets_haveDesignValues() -> None:
    assert set(PRESETS) == {"production", "demo"}
    assert (PRODUCTION.epoch_length, PRODUCTION.term_length, PRODUCTION.ticks) == (DAY, 28, 16_384)
    assert (PRODUCTION.answer_window, PRODUCTION.finish_window, PRODUCTION.grace) == (DAY, 12 * HOUR, DAY)
    assert (PRODUCTION.stake, PRODUCTION.penalty) == (1_000 * TOKEN, 500 * TOKEN)
    assert (PRODUCTION.unbonding, PRODUCTION.timelock_delay) == (14 * DAY, 30 * DAY)
    assert (DEMO.epoch_length, DEMO.term_length, DEMO.unbonding) == (HOUR, 1, 6 * DEMO.epoch_length)
    assert PRODUCTION.hop_price == DEMO.hop_price == 10**12


def test_hold_isBothWindows() -> None:
    assert PRODUCTION.hold == 36 * HOUR


def edge(parameters: Parameters = DEMO, **change: int) -> Parameters:
    return dataclasses.replace(parameters, **change)


OWED = MAX_SUCCESSORS * (202_000 * DEMO.hop_price + DEMO.court_cost)
JUDGED = 3 * HOUR + DEMO.notice + DEMO.hold + DEMO.grace


@pytest.mark.parametrize(
    ("holds", "breaks", "rule"),
    [
        ({"stake": OWED + DEMO.penalty}, {"stake": OWED + DEMO.penalty - 1}, "stake - penalty ≥ successors"),
        ({"court_cost": 110_500 * 10**12}, {"court_cost": 110_500 * 10**12 + 1}, "stake - penalty ≥"),
        ({"penalty": DEMO.stake - OWED}, {"penalty": DEMO.stake - OWED + 1}, "stake - penalty ≥ successors"),
        (
            {"finish_window": 6_000, "unbonding": 27_000},
            {"finish_window": 6_001},
            "finish_window ≤ notice",
        ),
        ({"unbonding": JUDGED + 1}, {"unbonding": JUDGED}, "unbonding > 2 "),
        ({"claim_window": HOUR}, {"claim_window": HOUR - 1}, "claim_window ≥ epoch_length"),
        (
            {"claim_window": DEMO.withdrawal_notice - 1},
            {"claim_window": DEMO.withdrawal_notice},
            "claim_window < withdrawal_notice",
        ),
        (
            {"withdrawal_notice": DEMO.unbonding - 1},
            {"withdrawal_notice": DEMO.unbonding},
            "withdrawal_notice < unbonding",
        ),
        (
            {"timelock_delay": DEMO.unbonding + 1},
            {"timelock_delay": DEMO.unbonding},
            "unbonding < timelock_delay",
        ),
        ({"settle_interval": 600}, {"notice": HOUR}, "notice > settle_interval"),
        ({"key_grace": 197}, {"key_grace": 196}, "key_grace > longest path delay"),
        ({"key_grace": HOUR - 1}, {"key_grace": HOUR}, "key_grace < epoch_length"),
        ({"batch_tickets": 1_000}, {"batch_tickets": 1_001}, "batch_tickets"),
        (
            {"max_unsettled": 3_000, "credit_limit": 3_000},
            {"max_unsettled": 3_000, "credit_limit": 3_001},
            "credit_limit ≤ max_unsettled",
        ),
        ({"window": 16_384}, {"window": 16_385}, "window ≤ chains"),
        ({"chains": 1}, {"chains": 0}, "every parameter > 0"),
        ({"max_unsettled": 3_000}, {"hop_price": 1 << 96}, "every parameter < 2"),
        ({"timelock_delay": (1 << 32) - 1}, {"timelock_delay": 1 << 32}, "timelock_delay, term_length < 2"),
        ({"term_length": (1 << 32) - 1}, {"term_length": 1 << 32}, "timelock_delay, term_length < 2"),
        (
            {"unbonding": 365 * DAY, "timelock_delay": 366 * DAY},
            {"unbonding": 365 * DAY + 1, "timelock_delay": 366 * DAY},
            "unbonding ≤ 365 days",
        ),
    ],
)
def test_parameters_failIfTheyContradict(holds: dict[str, int], breaks: dict[str, int], rule: str) -> None:
    edge(**holds)
    with pytest.raises(ValueError, match=rule):
        edge(**breaks)


def test_ranges_coverEveryParameter_andHoldInProduction() -> None:
    assert list(RANGES) == NAMES
    assert out_of_range(PRODUCTION) == []


def test_outOfRange_namesWhatTheDemoMayOnlyBeForDevelopment() -> None:
    named = {text.split()[0] for text in out_of_range(DEMO)}
    assert {"epoch_length", "notice", "answer_window", "unbonding", "timelock_delay"} <= named
    assert "hop_price" not in named


@pytest.mark.parametrize("name", NAMES)
def test_outOfRange_endsAreInside(name: str) -> None:
    """Other rules may forbid an end; ranges are judged alone."""
    for value, inside in [
        (RANGES[name].low, True),
        (RANGES[name].high, True),
        (RANGES[name].low - 1, False),
        (RANGES[name].high + 1, False),
    ]:
        changed = object.__new__(Parameters)
        for field in NAMES:
            object.__setattr__(changed, field, value if field == name else getattr(PRODUCTION, field))
        texts = out_of_range(changed)
        assert [text.split()[0] for text in texts] == ([] if inside else [name])
        assert all(RANGES[name].why in text for text in texts)


# ---------------------------------------------------------------------- docs/deploying.md

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "deploying.md"
UNITS = {"term_length": "", "chains": "", "chain_links": "", "batch_interval_ms": "ms"}
UNITS |= dict.fromkeys(["window", "batch_tickets", "settle_tickets"], "")
UNITS |= dict.fromkeys(["max_unsettled", "credit_limit"], "p")
UNITS |= dict.fromkeys(["stake", "hop_price", "court_cost", "penalty"], "token")


def shown(name: str, value: int) -> str:
    """A parameter's value as people write it."""
    unit = UNITS.get(name, "s")
    if unit == "token":
        return f"{value // TOKEN:,} token" if value % TOKEN == 0 else f"{amount(value)} token"
    if unit == "s":
        for size, word in ((DAY, "d"), (HOUR, "h"), (60, "min")):
            if value % size == 0:
                return f"{value // size} {word}"
    return f"{value:,} {unit}".rstrip()


def meanings() -> dict[str, str]:
    """What stands below each field of Parameters."""
    source = ast.parse(inspect.getsource(Parameters)).body[0]
    assert isinstance(source, ast.ClassDef)
    found = {}
    for field, text in pairwise(source.body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name) and isinstance(text.value, ast.Constant)
            found[field.target.id] = inspect.cleandoc(text.value.value).replace("\n", " ")
    return found


def test_document_showsEveryParameter() -> None:
    rows = [
        "| parameter | production | demo | range | what it is | why this range |",
        "|---|---|---|---|---|---|",
    ]
    for name, meaning in meanings().items():
        production, demo = (shown(name, getattr(preset, name)) for preset in (PRODUCTION, DEMO))
        bounds = RANGES[name]
        span = (
            "fixed"
            if bounds.low == bounds.high
            else f"{shown(name, bounds.low)} – {shown(name, bounds.high)}"
        )
        rows.append(f"| `{name}` | {production} | {demo} | {span} | {meaning} | {bounds.why} |")
    assert len(rows) == 2 + len(NAMES)
    assert "\n".join(rows) in DOCUMENT.read_text()


def test_document_showsEveryInequality() -> None:
    text = DOCUMENT.read_text()
    for _, rule in PRODUCTION.rules():
        assert f"| `{rule}` | " in text
