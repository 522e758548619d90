"""What ships of the contracts: exactly those that the program knows, under the hashes that are printed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from mixpay.chain import abi

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "build_artifacts.py"
SPEC = importlib.util.spec_from_file_location("build_artifacts", SCRIPT)
assert SPEC is not None and SPEC.loader is not None
build_artifacts = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(build_artifacts)


def shipped() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(build_artifacts.ARTIFACTS.glob("*.json"))}


def test_artifacts_areOfTheContractsKnown() -> None:
    assert {name.removesuffix(".json") for name in shipped()} == set(abi.CONTRACTS)


def test_hashes_areThoseOfDeploymentFiles() -> None:
    lines = dict(line.split() for line in build_artifacts.hashes(shipped()))
    assert lines == {name: abi.artifact(name).fingerprint for name in abi.CONTRACTS}


def test_differences_areNamed() -> None:
    files = shipped()
    assert build_artifacts.differences(files) == []
    changed = files | {"Token.json": "{}", "New.json": "{}"}
    del changed["Network.json"]
    assert build_artifacts.differences(changed) == ["Network.json", "New.json", "Token.json"]
