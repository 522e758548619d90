"""NatSpec is complete: what can be called, fails or is emitted says in words what it does, to its last value.

Read from the compiler's syntax tree. That no tag names a value which is not there, the compiler checks.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOLC = ROOT / "scripts/solc"
SOURCES = {
    str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "contracts").rglob("*.sol"))
}
TAG = re.compile(r"(?:^|\s)@(\w+)(?:\s+(\S+))?")


class Missing(NamedTuple):
    """`where` is Contract.name."""

    where: str
    tag: str


def trees(sources: dict[str, str]) -> dict[str, Any]:
    """Syntax tree by source; no code is made."""
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {
            "remappings": ["@openzeppelin/=node_modules/@openzeppelin/"],
            "outputSelection": {"*": {"": ["ast"]}},
        },
    }
    command = [str(SOLC), "--standard-json", "--base-path", str(ROOT)]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=True)
    output = json.loads(done.stdout)
    errors = [error["formattedMessage"] for error in output.get("errors", []) if error["severity"] == "error"]
    assert not errors, "\n".join(errors)
    return {name: output["sources"][name]["ast"] for name in sources}


def tags(node: dict[str, Any]) -> list[tuple[str, str]]:
    """(tag, first word) of a node's documentation; words before any tag are a notice."""
    text: str = (node.get("documentation") or {"text": ""})["text"].strip()
    found = TAG.findall(text)
    return [("notice", ""), *found] if text and not text.startswith("@") else found


def values(node: dict[str, Any], kind: str) -> list[str]:
    """Names of `parameters` or `returnParameters`; one without a name is an empty string."""
    if node["nodeType"] == "StructDefinition":
        return [member["name"] for member in node["members"]] if kind == "parameters" else []
    return [value["name"] for value in (node.get(kind) or {"parameters": []})["parameters"]]


def lacks(node: dict[str, Any], where: str) -> Iterator[Missing]:
    """What a function, error, event, struct or public variable does not say of itself."""
    said = tags(node)
    if "inheritdoc" in dict(said):
        return
    if "notice" not in dict(said) and node.get("kind") != "constructor":
        yield Missing(where, "notice")
    described = {word for tag, word in said if tag == "param"}
    yield from (Missing(where, f"param {n}") for n in values(node, "parameters") if n not in described)
    returned = [word for tag, word in said if tag == "return"]
    for place, name in enumerate(values(node, "returnParameters")):
        if place >= len(returned) or name not in ("", returned[place]):
            yield Missing(where, f"return {name or place}")


def is_wanted(node: dict[str, Any], of_interface: bool) -> bool:
    """Whether something has to be documented: all that others see. A constructor has parameters only."""
    kind = node["nodeType"]
    if kind == "FunctionDefinition":
        return node["kind"] == "constructor" or node["visibility"] in ("external", "public")
    if kind == "VariableDeclaration":
        return bool(node["visibility"] == "public")
    return kind in ("ErrorDefinition", "EventDefinition") or (kind == "StructDefinition" and of_interface)


def wanted(tree: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(Contract.name, node) of all that a source has to document."""
    for contract in (node for node in tree["nodes"] if node["nodeType"] == "ContractDefinition"):
        for node in contract["nodes"]:
            if is_wanted(node, contract["contractKind"] == "interface"):
                yield f"{contract['name']}.{node['name'] or node['kind']}", node


def missing(tree: dict[str, Any]) -> list[Missing]:
    """All that a source lacks."""
    contracts = [node for node in tree["nodes"] if node["nodeType"] == "ContractDefinition"]
    untitled = [Missing(c["name"], "title") for c in contracts if "title" not in dict(tags(c))]
    return untitled + [lack for where, node in wanted(tree) for lack in lacks(node, where)]


@pytest.fixture(scope="module")
def contracts() -> dict[str, Any]:
    return trees(SOURCES)


def test_natspec_isComplete(contracts: dict[str, Any]) -> None:
    assert [lack for tree in contracts.values() for lack in missing(tree)] == []


def test_everyKindIsSeen(contracts: dict[str, Any]) -> None:
    seen = [node["nodeType"] for tree in contracts.values() for _, node in wanted(tree)]
    assert min(map(seen.count, ("ErrorDefinition", "EventDefinition", "VariableDeclaration"))) > 25
    assert seen.count("FunctionDefinition") > 150
    assert seen.count("StructDefinition") > 5


@pytest.mark.parametrize(
    ("source", "lack"),
    [
        ("function f() external;", ("I.f", "notice")),
        ("/// @dev It does.\n function f() external;", ("I.f", "notice")),
        (
            "/// @notice Does.\n /// @param b It\n function f(uint256 a, uint256 b) external;",
            ("I.f", "param a"),
        ),
        ("/// @notice Says.\n function f() external view returns (uint256);", ("I.f", "return 0")),
        ("/// @notice Thrown.\n error E(uint256 a);", ("I.E", "param a")),
        ("/// @notice Emitted.\n event V(uint256 a);", ("I.V", "param a")),
        ("/// @notice Of two.\n /// @param a One\n struct S { uint256 a; uint256 b; }", ("I.S", "param b")),
    ],
)
def test_whatLacks_isFound(source: str, lack: tuple[str, str]) -> None:
    text = (
        f"// SPDX-License-Identifier: MIT\npragma solidity 0.8.30;\n/// @title I\ninterface I {{ {source} }}"
    )
    assert missing(trees({"I.sol": text})["I.sol"]) == [lack]
