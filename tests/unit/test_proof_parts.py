"""What the tools say of the contracts, read right; and what must be an objection is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.contracts import (
    access,
    coverage,
    forge_tests,
    halmos,
    programs,
    run_mutants,
    slither_check,
    storage,
    summary,
)
from scripts.contracts.part import Part

# ---------------------------------------------------------------- forge


def forge_output(status: str = "Success", reverts: int = 0) -> str:
    metrics = {"tests/H.sol:H.fund": {"calls": 100, "reverts": reverts, "discards": 10}}
    invariant = {"runs": 1, "calls": 100, "metrics": metrics}
    tests = {
        "test_a()": {"status": "Success", "kind": {"Unit": {"gas": 1}}},
        "testFuzz_b(uint256)": {"status": status, "reason": "why", "kind": {"Fuzz": {"runs": 256}}},
        "invariant_c()": {"status": "Success", "kind": {"Invariant": invariant}},
        "invariant_d()": {"status": "Success", "kind": {"Invariant": invariant}},
    }
    return json.dumps({"tests/X.t.sol:X": {"test_results": tests}})


def test_forge_countsTestsAndCalls() -> None:
    tests = forge_tests.parse(forge_output())
    assert (tests.total, tests.failed, tests.fuzz_calls, tests.invariant_calls) == (4, (), 456, 200)
    assert tests.actions == {"H.fund": forge_tests.Action(200, 20)} and tests.weak() == []
    assert "90.0%" in forge_tests.table(tests)[0]


def test_forge_namesFailures_andActionsThatDoNothing() -> None:
    tests = forge_tests.parse(forge_output("Failure", reverts=31))
    assert tests.failed == ("X.testFuzz_b: why",)
    assert tests.weak() == ["H.fund"]
    with pytest.raises(ValueError):
        forge_tests.parse("Error: compiler")


def test_campaign_runsAreEnough() -> None:
    assert forge_tests.runs_for(2, 500) * 2 * 500 >= forge_tests.CAMPAIGN
    assert forge_tests.runs_for(7, 500) * 7 * 500 >= forge_tests.CAMPAIGN
    with pytest.raises(ValueError):
        forge_tests.runs_for(0, 500)


# ---------------------------------------------------------------- coverage

REPORT = """Ran 1 test suite
contracts/A.sol:
- Line (location: (source ID: 0, lines: 1..2, bytes: 0..5), hits: 3) -> "a"
- Statement (location: (source ID: 0, lines: 1..2, bytes: 0..5), hits: 3) -> "a"
- Function "f" (location: (source ID: 0, lines: 1..3, bytes: 0..5), hits: 3) -> "a"
- Branch (branch: 0, path: 0) (location: (source ID: 0, lines: 2..3, bytes: 6..9), hits: 0) -> "b"
node_modules/x/B.sol:
- Line (location: (source ID: 1, lines: 1..2, bytes: 0..5), hits: 0) -> "a"
Anchors for Contract "A" (solc 0.8.30, source ID 0):
- creation IC 6 -> Item 5: Line (location: (source ID: 0, lines: 2..3, bytes: 0..5), hits: 0)
"""
SOURCES = {"contracts/A.sol": ["a();", "  if (b) c();"]}
MISSED = coverage.Missed("contracts/A.sol", "branches", "if (b) c();")


def test_coverage_readsOnlyOurItems() -> None:
    items = coverage.parse(REPORT)
    assert [(item.kind, item.line, item.hits) for item in items] == [
        ("lines", 1, 3),
        ("statements", 1, 3),
        ("functions", 1, 3),
        ("branches", 2, 0),
    ]
    assert coverage.missed(items, SOURCES) == {MISSED: 2}


def test_coverage_objectsToWhatIsNotReached() -> None:
    part = coverage.judge(coverage.parse(REPORT), SOURCES, {})
    assert not part.ok and part.figures["coverage"] == {
        "lines": 100.0,
        "statements": 100.0,
        "branches": 0.0,
        "functions": 100.0,
    }
    assert part.details == ("contracts/A.sol:2 branches never reached: if (b) c();",)


def test_coverage_unreachableIsNamed_andNoLonger() -> None:
    entry = '[[unreachable]]\npath="contracts/A.sol"\nkinds="branches"\ntext="if (b) c();"\nwhy="because"\n'
    named = coverage.read_unreachable(entry)
    assert coverage.judge(coverage.parse(REPORT), SOURCES, named).ok
    reached = REPORT.replace("bytes: 6..9), hits: 0", "bytes: 6..9), hits: 1")
    assert not coverage.judge(coverage.parse(reached), SOURCES, named).ok
    with pytest.raises(ValueError, match="no reason"):
        coverage.read_unreachable(entry.replace("because", ""))


def test_coverage_ofNothingIsNoCoverage() -> None:
    assert not coverage.judge([], {}, {}).ok


# ---------------------------------------------------------------- halmos


def test_halmos_undecidedIsNotProved() -> None:
    results = [{"name": "check_a(uint256)", "exitcode": 0}, {"name": "check_b()", "exitcode": 2}]
    text = json.dumps({"test_results": {"tests/halmos/A.t.sol:A": results}})
    assert halmos.parse(text) == (["A.check_a"], ["A.check_b"])


# ---------------------------------------------------------------- slither


def finding(impact: str = "Low") -> dict[str, Any]:
    parent = {
        "type": "function",
        "name": "f",
        "type_specific_fields": {"parent": {"type": "contract", "name": "A"}},
    }
    mapping = {"filename_relative": "contracts/A.sol", "lines": [7, 8]}
    node = {
        "type": "node",
        "name": "x",
        "type_specific_fields": {"parent": parent},
        "source_mapping": mapping,
    }
    return {"check": "timestamp", "impact": impact, "elements": [node]}


def slither_output(*findings: dict[str, Any]) -> str:
    return json.dumps({"success": True, "error": None, "results": {"detectors": list(findings)}})


def test_slither_namesContractAndFunction_once() -> None:
    found = slither_check.parse(slither_output(finding(), finding()))
    assert found == [slither_check.Finding("timestamp", "A.f", "Low", "contracts/A.sol", 7)]
    with pytest.raises(ValueError, match="broken"):
        slither_check.parse(json.dumps({"success": False, "error": "broken", "results": {}}))


@pytest.mark.parametrize("element", ["A.f", "*"])
def test_slither_answeredIsGood(element: str) -> None:
    found = slither_check.parse(slither_output(finding()))
    answers = {("timestamp", element): "because"}
    page = slither_check.page(found, [], answers)
    assert "| `timestamp` | Low | `A.f` | because |" in page
    assert slither_check.judge(found, [], answers, page).ok
    assert not slither_check.judge(found, [], answers, page + " ").ok


def test_slither_objections() -> None:
    low = slither_check.parse(slither_output(finding()))
    grave = slither_check.parse(slither_output(finding("Medium")))
    answers = {("timestamp", "A.f"): "because"}
    silent = slither_check.silenced({"contracts/A.sol": "a\n// slither-disable-next-line x\nb"})
    assert [s.line for s in silent] == [2]
    for found, silences, given in (
        (low, [], {}),
        (grave, [], answers),
        ([], [], answers),
        (low, silent, answers),
    ):
        part = slither_check.judge(found, silences, given, slither_check.page(found, silences, given))
        assert not part.ok and len(part.details) == 1
    assert slither_check.judge(grave, [], answers, "").figures == {"slither": {"high": 0, "medium": 1}}


def test_slither_silencedWithAReasonIsListed() -> None:
    text = "  // slither-disable-next-line unused-return (the third value only details an error)\n"
    assert slither_check.silenced({"contracts/A.sol": text}) == [
        slither_check.Silenced("contracts/A.sol", 1, "unused-return", "the third value only details an error")
    ]


# ---------------------------------------------------------------- matrix, layouts


def test_access_page_saysWhoIsRefused() -> None:
    page = access.page(
        [
            access.Right("A", "f(uint256)", ("msg.sender != owner",), ("x",), ("B.g",)),
            access.Right("A", "g()", (access.AS_ITSELF,), (), ()),
            access.Right("B", "h()", (), (), ()),
        ]
    )
    assert "| `f(uint256)` | `msg.sender != owner` | `x` | `B.g` |" in page
    assert "| `g()` | it acts for the caller |  |  |" in page and "| `h()` | – |  |  |" in page
    assert page.index("## A") < page.index("## B")


def test_access_conditionsAreReadable() -> None:
    assert access.tidy("a != _msgSender() || b") == "a != msg.sender \\|\\| b"


def test_storage_keepsWhatMatters() -> None:
    member = {"astId": 1, "label": "m", "offset": 12, "slot": "0", "type": "t_uint96"}
    layout = {
        "storage": [{"astId": 9, "label": "x", "offset": 0, "slot": "3", "type": "t_struct(S)7_storage"}],
        "types": {
            "t_uint96": {"label": "uint96", "numberOfBytes": "12"},
            "t_struct(S)7_storage": {"label": "struct A.S", "numberOfBytes": "32", "members": [member]},
        },
    }
    assert storage.simplified(layout) == {
        "slots": [{"slot": 3, "offset": 0, "name": "x", "type": "struct A.S"}],
        "structs": {
            "struct A.S": {
                "bytes": 32,
                "members": [{"slot": 0, "offset": 12, "name": "m", "type": "uint96"}],
            }
        },
    }
    assert storage.simplified({"storage": [], "types": None}) == {"slots": [], "structs": {}}


# ---------------------------------------------------------------- programs, summary


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("...\n===== 71 passed in 138.36s =====", (71, 0)),
        ("===== 2 failed, 69 passed, 1 error in 9.9s =====", (69, 3)),
        ("no tests ran", (0, 0)),
    ],
)
def test_counts_ofPytest(text: str, expected: tuple[int, int]) -> None:
    assert programs.counts(text) == expected


def test_mutants_withoutAFullRun_saysHowToMakeOne(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run_mutants, "REPORT", tmp_path / "mutants.json")
    part = programs.mutants_part()
    assert not part.ok and "`make mutants`" in part.line


def test_summary_addsUpAndKeepsTheShapeOfTheReport() -> None:
    shares = {"lines": 100.0, "statements": 100.0, "branches": 99.0, "functions": 100.0}
    parts = [
        Part("forge", True, "a", {"tests": 5, "failed": 0, "fuzz_calls": 9}),
        Part("brownie", False, "b", {"tests": 2, "failed": 1}, ("test_x failed",)),
        Part("coverage", True, "c", {"coverage": shares}),
        Part("gas", True, "d", {"gas": {"fund": 1}}),
    ]
    assert json.loads(summary.report(parts)) == {
        "tests": 7,
        "failed": 1,
        "fuzz_calls": 9,
        "coverage": {"lines": 100.0, "branches": 99.0, "functions": 100.0},
        "mutants": None,
        "slither": None,
        "halmos": None,
        "gas": {"fund": 1},
    }
    page = summary.page(parts, 60, "abc")
    assert "FAILED  b" in page and "test_x failed" in page and page.endswith("FAILED: brownie")
    assert summary.page(parts[:1], 60, "abc").endswith("all good")
