"""Mutants: what counts, what a run must not leave behind; and none is ever written into the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts.contracts import workshop
from scripts.contracts.bench import _Mutated
from scripts.contracts.mutants import (
    Bases,
    Explanations,
    Key,
    Mutant,
    Outcome,
    Rule,
    Verdict,
    objections,
    read_explanations,
    read_lines,
    report,
    share,
    to_line,
)
from scripts.contracts.mutators import repaired
from scripts.contracts.programs import changed_since

SOURCE = b"// \xe2\x89\xa5\na == b;\n"


def mutant(new: str = "a != b", start: int = 7, place: str = "Channels.fund") -> Mutant:
    return Mutant("contracts/Channels.sol", place, "ROR", 2, start, start + 6, "a == b", new)


def outcomes(killed: int, survived: int) -> list[Outcome]:
    news = [f"a{i}" for i in range(killed + survived)]
    return [
        Outcome(mutant(new), Verdict.KILLED if i < killed else Verdict.SURVIVED) for i, new in enumerate(news)
    ]


# ---------------------------------------------------------------- mutants


def test_apply_countsBytes_andRefusesAnotherSource() -> None:
    assert mutant().apply(SOURCE) == b"// \xe2\x89\xa5\na != b;\n"
    with pytest.raises(ValueError, match=r"Channels\.sol:2"):
        mutant().apply(b"x" + SOURCE)


def test_identity_isOfThePlace_keyIsNot() -> None:
    assert mutant().identity == mutant().identity
    assert mutant().identity != mutant(start=8).identity
    assert mutant().key == mutant(start=8).key
    assert mutant().key == Key("Channels.fund", "ROR", "a == b", "a != b")


def test_within_aShare_isTheSameEachTime_andInLargerOnes() -> None:
    mutants = [mutant(f"a{i}") for i in range(400)]
    few = [m for m in mutants if m.within(0.25)]
    assert 60 < len(few) < 140 and all(m.within(0.5) for m in few)
    assert all(m.within(1.0) for m in mutants)


def test_share_leavesOutWhatIsNoMutant() -> None:
    none = [Outcome(mutant("x"), Verdict.SAME), Outcome(mutant("y"), Verdict.INVALID)]
    assert share([*outcomes(3, 1), *none]) == (3, 4)


def bases(tests: set[str], source: str = "h", all_tests: str = "t") -> Bases:
    return Bases({"contracts/Channels.sol": source}, all_tests, tests)


def state(found: list[Outcome], source: str = "h") -> str:
    return "".join(to_line(o, bases(set(), source)) + "\n" for o in found)


def read(text: str, found: list[Outcome], tests: set[str], all_tests: str = "t") -> list[Outcome]:
    return read_lines(text, [o.mutant for o in found], bases(tests, all_tests=all_tests))


def test_state_isReadBack_andALineCutOffIsForgotten() -> None:
    found = [
        Outcome(mutant("x"), Verdict.KILLED, "test_a"),
        Outcome(mutant("y"), Verdict.INVALID),
        Outcome(mutant("z"), Verdict.SAME),
    ]
    assert read(state(found), found, {"test_a"}) == found
    assert read(state(found)[:-3], found, {"test_a"}) == found[:2]
    assert read(state(found) + state(found[:1]), found, {"test_a"}) == found


def test_state_holdsOnlyWhileSourceAndTestAreThere() -> None:
    found = [Outcome(mutant("x"), Verdict.KILLED, "test_a"), Outcome(mutant("y"), Verdict.KILLED, "setUp")]
    assert read(state(found), found, set()) == found[1:]
    assert read(state(found, "other"), found, {"test_a"}) == []
    survivor = [Outcome(mutant("x"), Verdict.SURVIVED)]
    assert read(state(survivor), survivor, set()) == survivor
    assert read(state(survivor), survivor, set(), "other tests") == []
    others = bases(set(), all_tests="other tests")
    assert read_lines(state(survivor), [survivor[0].mutant], others, explained(survivor[0])) == survivor
    assert read(state(found), found[1:], {"test_a"}) == found[1:]


# ---------------------------------------------------------------- what a run must not leave behind


NOTHING = Explanations({})


def explained(outcome: Outcome) -> Explanations:
    return Explanations({outcome.mutant.key: "because"})


def test_objections_none() -> None:
    found = outcomes(19, 1)
    assert objections(found, explained(found[-1])) == []


def test_objections_unexplainedSurvivor() -> None:
    found = outcomes(19, 1)
    assert objections(found, NOTHING) == [
        "unexplained survivor contracts/Channels.sol:2 Channels.fund ROR: a == b → a19"
    ]


def test_objections_tooFewKilled() -> None:
    found = outcomes(18, 1)
    assert objections(found, explained(found[-1])) == ["18 of 19 mutants killed, fewer than 95%"]


def test_objections_idleExplanations() -> None:
    found = outcomes(20, 0)
    rule = Rule(frozenset({"ROR"}), re.compile("a == b → .*"), "because")
    problems = objections(found, Explanations({found[0].mutant.key: "because"}, (rule,)))
    assert [problem.split(":")[0] for problem in problems] == 2 * ["explains no survivor"]


def test_objections_nothingTried() -> None:
    assert objections([], NOTHING) == ["0 of 0 mutants killed, fewer than 95%"]


def test_explanations_areReadByKey() -> None:
    text = """
        [[survivor]]
        where = "Channels.fund"
        mutator = "ROR MIA"
        old = "a ==  b"
        new = ["x", "y"]
        why = "because"
    """
    found = read_explanations(text)
    assert len(found.single) == 4
    assert found.why(Key("Channels.fund", "MIA", "a == b", "y")) == "because"
    assert found.why(Key("Channels.move", "MIA", "a == b", "y")) == ""
    with pytest.raises(ValueError, match="explained twice"):
        read_explanations(text + text)
    with pytest.raises(ValueError, match="no reason"):
        read_explanations(text.replace("because", " "))


def test_explanations_byRule() -> None:
    text = """
        [[rule]]
        mutator = "ROR"
        pattern = '(.*\\w) == 0(.*) → \\1 <= 0\\2'
        why = "unsigned"
    """
    found = read_explanations(text)
    assert found.why(Key("A.f", "ROR", "if (x == 0)", "if (x <= 0)")) == "unsigned"
    assert found.why(Key("A.f", "ROR", "if (x == 0)", "if (y <= 0)")) == ""
    assert found.why(Key("A.f", "ROR", "if (x == 0)", "if (x < 0)")) == ""
    assert found.why(Key("A.f", "MIA", "if (x == 0)", "if (x <= 0)")) == ""


def test_report_countsByContractAndMutator_andNamesSurvivors() -> None:
    found = outcomes(2, 1)
    content = json.loads(report(found, explained(found[-1]), {"commit": "abc"}))
    figures = {"killed": 2, "total": 3, "same": 0, "invalid": 0}
    assert content["contracts"] == {"Channels": figures} and content["mutators"] == {"ROR": figures}
    assert content["commit"] == "abc" and (content["killed"], content["total"]) == (2, 3)
    assert [(s["new"], s["line"], s["why"]) for s in content["survivors"]] == [("a2", 2, "because")]


def test_changedSince_namesFiles() -> None:
    assert changed_since({"sources": {"a": "1", "b": "1", "c": "1"}}, {"a": "1", "b": "2", "d": "1"}) == [
        "b",
        "c",
        "d",
    ]


# ---------------------------------------------------------------- mutators


@pytest.mark.parametrize(
    ("mutator", "old", "of", "new", "expected"),
    [
        ("FHR", "f() ", "f() { a; }", "g() { a; }", "g() "),
        ("AOR", "a + b", "a + b", "a - b", "a - b"),
        ("MIA", "a < b", "x = a < b ? a : b", "!(x = a < b ? a : b)", "!(a < b)"),
        ("MIA", "a < b", "x = a < b ? a : b", "true", "true"),
        ("ROR", "a < b", "x = a < b ? a : b", "x = a >= b ? a : b", "a >= b"),
        ("ROR", "c != 0", "x = a << 1 != 0 && c != 0", "x = a << 1 == 0 && c ", "c == 0"),
    ],
)
def test_repaired_putsTheChangeInItsPlace(mutator: str, old: str, of: str, new: str, expected: str) -> None:
    assert repaired(mutator, old, of, new) == expected


# ---------------------------------------------------------------- workshop


def contract_tree(root: Path) -> Path:
    (root / "contracts/lib").mkdir(parents=True)
    (root / "contracts/A.sol").write_text('import {L} from "./lib/L.sol";')
    (root / "contracts/lib/L.sol").write_text('import {M} from "./M.sol";')
    (root / "contracts/lib/M.sol").write_text("")
    (root / "tests/forge").mkdir(parents=True)
    for name in ("A.t.sol", "AInvariant.t.sol", "B.t.sol", "M.t.sol"):
        (root / "tests/forge" / name).write_text("")
    return root


def test_nearTests_areThoseOfTheContractsThatUseIt(tmp_path: Path) -> None:
    root = contract_tree(tmp_path)
    assert workshop.imports(root)["contracts/lib/M.sol"] == {"contracts/A.sol", "contracts/lib/L.sol"}
    assert workshop.near_tests("contracts/A.sol", root) == {"A.t.sol"}
    assert workshop.near_tests("contracts/lib/M.sol", root) == {"A.t.sol", "M.t.sol"}


def test_mutated_isUndone_andNeverInTheRepository(tmp_path: Path) -> None:
    base, project = tmp_path / "base", tmp_path / "project"
    for root in (base, project):
        (root / "contracts").mkdir(parents=True)
        (root / "contracts/Channels.sol").write_bytes(SOURCE)
    with _Mutated(project, base, mutant()):
        assert b"!=" in (project / "contracts/Channels.sol").read_bytes()
    assert (project / "contracts/Channels.sol").read_bytes() == SOURCE
    with pytest.raises(workshop.WorkshopError), _Mutated(workshop.ROOT, base, mutant()):
        pass


def answer(tmp_path: Path, text: str, code: int) -> workshop.Run:
    """What run_forge makes of a forge that says `text`."""
    forge = tmp_path / "forge"
    forge.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
    forge.chmod(0o755)
    return workshop.run_forge(tmp_path, {"PATH": "/usr/bin:/bin"}, 10, forge=str(forge))


def test_runForge_tellsTheEndsApart(tmp_path: Path) -> None:
    passed = "Ran 2 test suites in 1s: 9 tests passed, 0 failed, 0 skipped (9 total tests)"
    assert answer(tmp_path, passed, 0) == workshop.Run(workshop.Fate.PASSED)
    failed = "[FAIL: assertion failed: 1 != 2] test_fund() (gas: 5)"
    assert answer(tmp_path, failed, 1) == workshop.Run(workshop.Fate.FAILED, "test_fund")
    broken = "Error: Compiler run failed:\nError (1): x"
    assert answer(tmp_path, broken, 1) == workshop.Run(workshop.Fate.NOT_COMPILED)
    for text, code in (("No tests to run", 0), ("Error: broken pipe", 1)):
        with pytest.raises(workshop.WorkshopError):
            answer(tmp_path, text, code)


def test_runLimited_endsWhatDoesNotEnd(tmp_path: Path) -> None:
    assert workshop.run_limited(["sleep", "60"], tmp_path, {"PATH": "/usr/bin:/bin"}, 0.2) == (None, "")
