"""What docs/audit says of the contracts: every function, test, error and event is there, and none lacks."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.contracts import scope
from scripts.contracts.part import AUDIT, ROOT

CONTRACTS = ("Channels", "Network", "ReceiptCourt", "RelayRegistry", "SubsidyPool")
PAGES = sorted(AUDIT.glob("*.md"))
SOLIDITY = re.compile(
    r"^(?:abstract )?contract (\w+)|^library (\w+)|^\s+function (\w+)|^\s+(constructor)\(", re.MULTILINE
)


class Rule(NamedTuple):
    """A row of specification.md."""

    id: str
    text: str
    function: str
    tests: tuple[str, ...]


def rules() -> list[Rule]:
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in (AUDIT / "specification.md").read_text().splitlines()
        if re.match(r"\| [A-Z]{2}-\d\d \|", line)
    ]
    assert rows
    assert {len(row) for row in rows} == {4}
    return [
        Rule(i.strip("| "), text, f.strip("`"), tuple(re.findall(r"`([^`]+)`", t))) for i, text, f, t in rows
    ]


def declared(folder: str) -> Iterator[tuple[Path, str]]:
    """(file, Contract.function) of all that the sources below a folder declare."""
    for path in sorted((ROOT / folder).rglob("*.sol")):
        name = ""
        for contract, library, function, constructor in SOLIDITY.findall(path.read_text()):
            name = contract or library or name
            if function or constructor:
                yield path, f"{name}.{function or constructor}"


def known_tests() -> set[str]:
    """Contract.test of forge's and halmos's tests, file.test of brownie's."""
    found = {name for folder in ("tests/forge", "tests/halmos") for _, name in declared(folder)}
    found = {name for name in found if re.match(r"\w+\.(test|invariant|check)", name)}
    for path in (ROOT / "tests/contracts").glob("test_*.py"):
        found |= {
            f"{path.stem}.{name}" for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
        }
    return found


def abi(contract: str) -> list[dict[str, str]]:
    entries: list[dict[str, str]] = json.loads((ROOT / f"mixpay/artifacts/{contract}.json").read_text())[
        "abi"
    ]
    return entries


def external() -> set[str]:
    """Contract.function of all that can be called from outside, as artifacts have it; and constructors."""
    called = {f"{c}.{entry['name']}" for c in CONTRACTS for entry in abi(c) if entry["type"] == "function"}
    return called | {f"{contract}.constructor" for contract in CONTRACTS}


def test_ids_areUnique() -> None:
    assert [i for i, times in Counter(rule.id for rule in rules()).items() if times > 1] == []


def test_everyFunction_hasARule() -> None:
    assert external() - {rule.function for rule in rules()} == set()


def test_everyRule_hasAFunction() -> None:
    known = external() | {name for _, name in declared("contracts/lib")}
    assert {rule.function for rule in rules()} - known == set()


def test_everyRule_isTested() -> None:
    known = known_tests()
    assert [rule.id for rule in rules() if not rule.tests] == []
    assert [(rule.id, name) for rule in rules() for name in rule.tests if name not in known] == []


@pytest.mark.parametrize("contract", CONTRACTS)
def test_everyErrorAndEvent_isInARule(contract: str) -> None:
    """Those of the contract's own interface."""
    source = (ROOT / f"contracts/interfaces/I{contract}.sol").read_text()
    own = set(re.findall(r"^    (?:error|event) (\w+)", source, re.MULTILINE))
    text = " ".join(rule.text for rule in rules() if rule.function.startswith(f"{contract}."))
    assert own
    assert own - set(re.findall(r"`(\w+)`", text)) == set()


def test_scope_isCountedFromTheSources() -> None:
    assert scope.table() in scope.PAGE.read_text(), "python -m scripts.contracts.scope renews it"


def test_codeLines_leaveOutCommentsAndEmptyLines() -> None:
    assert (
        scope.code_lines("/// @title T\n\ncontract T {\n    uint256 a; // b\n    /* c\n     d */\n}\n") == 3
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_namesOnlyWhatIsThere(page: Path) -> None:
    """Links, and tests in backticks, on every page."""
    text, known = page.read_text(), known_tests()
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / link).exists(), link
    named = re.findall(r"`((?:\w+(?:Test|Check)|test_\w+)\.(?:test|invariant|check)\w+)`", text)
    assert [name for name in named if name not in known] == []
    paths = re.findall(r"`((?:contracts|docs|mixpay|relay|scripts|tests)/[\w./-]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_index_namesEveryPage() -> None:
    index = (AUDIT / "README.md").read_text()
    assert [page.name for page in PAGES if page.name != "README.md" and f"({page.name})" not in index] == []
