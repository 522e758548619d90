"""Whether a mutant is a fault at all: the bytecode that the shipped settings make of the contracts, without
their metadata.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from scripts.build_artifacts import compiler_settings

LIBRARIES = "@openzeppelin/"
IMPORT = re.compile(r'(?:from|import)\s+"([^"]+)"')


def sources(root: Path) -> dict[str, str]:
    """Every source that the contracts need, by the name under which it is imported."""
    names = [str(path.relative_to(root)) for path in sorted((root / "contracts").glob("*.sol"))]
    found: dict[str, str] = {}
    while names:
        name = names.pop()
        if name in found:
            continue
        place = root / "node_modules" / name if name.startswith(LIBRARIES) else root / name
        found[name] = place.read_text()
        for target in IMPORT.findall(found[name]):
            names.append(target if target[0] != "." else os.path.normpath(Path(name).parent / target))
    return found


def request(root: Path, outputs: list[str], among: Container[str] | None = None) -> str:
    """Standard JSON for the deployed contracts below `root`, that says nothing of names and comments in the
    output.
    """
    profile = tomllib.loads((root / "foundry.toml").read_text())["profile"]["default"]
    settings: dict[str, Any] = compiler_settings(profile)
    settings["remappings"] = []
    settings["metadata"] = {"bytecodeHash": "none", "appendCBOR": False}
    texts = sources(root)
    deployed = [
        name for name in texts if Path(name).parent == Path("contracts") and (among is None or name in among)
    ]
    settings["outputSelection"] = {name: {Path(name).stem: outputs} for name in deployed}
    content = {name: {"content": text} for name, text in texts.items()}
    return json.dumps({"language": "Solidity", "sources": content, "settings": settings})


def ask(
    root: Path, outputs: list[str], environment: Mapping[str, str], among: Container[str] | None = None
) -> dict[str, Any] | None:
    """Outputs by contract, of all or of those of some files; None if the sources do not compile."""
    done = subprocess.run(
        [str(root / "scripts/contracts/solc"), "--standard-json"],
        input=request(root, outputs, among),
        env=dict(environment),
        capture_output=True,
        text=True,
        check=True,
    )
    output = json.loads(done.stdout)
    if any(error["severity"] == "error" for error in output.get("errors", [])):
        return None
    return {name: contract for of_file in output["contracts"].values() for name, contract in of_file.items()}


def compiled(root: Path, among: Container[str], environment: Mapping[str, str]) -> dict[str, str] | None:
    """Creation code of the contracts of some files, hex; None if it does not compile."""
    output = ask(root, ["evm.bytecode.object"], environment, among)
    return output and {name: contract["evm"]["bytecode"]["object"] for name, contract in output.items()}
