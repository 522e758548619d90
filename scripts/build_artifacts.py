"""Compiles the contracts into the package: `mixpay/artifacts/<Name>.json`, the form every command reads.

    python scripts/build_artifacts.py            write them
    python scripts/build_artifacts.py --check    write nothing; exit 1 if they differ from the sources
    python scripts/build_artifacts.py --hashes   write nothing; print the hashes of what the sources give

Compiler settings are read from foundry.toml, so forge's tests and the shipped code agree. The output is a
function of the sources, the settings and the pinned compiler, nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ARTIFACTS = ROOT / "mixpay" / "artifacts"
COMPILER = ROOT / "scripts" / "solc"
FOREIGN = [ROOT / "node_modules/@openzeppelin/contracts/governance/TimelockController.sol"]
"""What is deployed beside our own contracts, as its authors wrote it."""
OUTPUTS = [
    "abi",
    "evm.bytecode.object",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.immutableReferences",
]


class BuildError(Exception):
    """The sources do not compile, or there are none."""


def compiler_settings(profile: dict[str, Any]) -> dict[str, Any]:
    """Standard-JSON settings that say what `profile` of foundry.toml says."""
    return {
        "optimizer": {"enabled": profile.get("optimizer", False), "runs": profile.get("optimizer_runs", 200)},
        "evmVersion": profile["evm_version"],
        "viaIR": profile.get("via_ir", False),
        "metadata": {"bytecodeHash": profile.get("bytecode_hash", "ipfs")},
        "remappings": profile.get("remappings", []),
    }


def compile_sources(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Standard-JSON output for the sources in `folder` itself and the foreign ones; names are paths from the
    repository's root."""
    own = sorted(folder.glob("*.sol"))
    if not own:
        raise BuildError(f"no contracts in {folder}")
    paths = [*own, *FOREIGN]
    sources = {str(path.relative_to(ROOT)): {"content": path.read_text()} for path in paths}
    # The syntax tree of every source, libraries too: it gives the immutables their names.
    selection = {"outputSelection": {name: {"*": OUTPUTS} for name in sources} | {"*": {"": ["ast"]}}}
    request = {"language": "Solidity", "sources": sources, "settings": settings | selection}
    command = [str(COMPILER), "--standard-json", "--base-path", str(ROOT)]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(done.stderr.strip())
    output: dict[str, Any] = json.loads(done.stdout)
    errors = [e["formattedMessage"] for e in output.get("errors", []) if e["severity"] == "error"]
    if errors:
        raise BuildError("\n".join(errors))
    return output


def compiler_version() -> str:
    """The compiler's version with its commit, as block explorers want it."""
    done = subprocess.run([str(COMPILER), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split("Version: ")[1].split(".Emscripten")[0]


def immutable_names(output: dict[str, Any]) -> dict[str, str]:
    """Id in the syntax tree → name, for every immutable state variable."""
    contracts = (node for source in output["sources"].values() for node in source["ast"]["nodes"])
    members = (member for contract in contracts for member in contract.get("nodes", []))
    return {str(m["id"]): m["name"] for m in members if m.get("mutability") == "immutable"}


def immutables(references: dict[str, Any], names: dict[str, str]) -> dict[str, list[list[int]]]:
    """Name → byte ranges [start, length] of the deployed code that the constructor fills with that value."""
    found: dict[str, list[list[int]]] = {}
    for key, places in references.items():
        if names[key] in found:
            raise BuildError(f"two immutables of one contract are called {names[key]}")
        found[names[key]] = sorted([place["start"], place["length"]] for place in places)
    return found


def artifact(
    source: str, compiled: dict[str, Any], compiler: dict[str, Any], names: dict[str, str]
) -> dict[str, Any]:
    """What the package ships of one contract. Apart from the immutables, the deployed code must be found on
    the chain as it stands here."""
    deployed = compiled["evm"]["deployedBytecode"]
    return {
        "contractName": Path(source).stem,
        "sourceName": source,
        "abi": compiled["abi"],
        "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + deployed["object"],
        "immutables": immutables(deployed["immutableReferences"], names),
        "compiler": compiler,
    }


def build() -> dict[str, str]:
    """File name → text of every artifact: one for each contract that is named like its file."""
    profile = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]["default"]
    settings = compiler_settings(profile)
    output = compile_sources(ROOT / profile.get("src", "contracts"), settings)
    compiler = {"version": compiler_version(), "settings": settings}
    names = immutable_names(output)
    files = {}
    for source, contracts in sorted(output["contracts"].items()):
        compiled = contracts.get(Path(source).stem)
        if compiled and compiled["evm"]["bytecode"]["object"]:
            content = artifact(source, compiled, compiler, names)
            files[f"{Path(source).stem}.json"] = json.dumps(content, indent=1, sort_keys=True) + "\n"
    return files


def hashes(files: dict[str, str]) -> list[str]:
    """A line for each contract: SHA-256 of its creation code, as deployment files name it."""
    codes = {name.removesuffix(".json"): json.loads(text)["bytecode"] for name, text in files.items()}
    width = max(map(len, codes))
    return [
        f"{name:{width}}  {hashlib.sha256(bytes.fromhex(code[2:])).hexdigest()}"
        for name, code in codes.items()
    ]


def differences(files: dict[str, str]) -> list[str]:
    """Names of artifacts that are missing, stale, or have no source any more."""
    present = {path.name: path.read_text() for path in ARTIFACTS.glob("*.json")}
    return sorted(name for name in files.keys() | present.keys() if files.get(name) != present.get(name))


def write(files: dict[str, str]) -> None:
    """Leaves exactly `files` in the artifacts folder."""
    ARTIFACTS.mkdir(exist_ok=True)
    for stale in {path.name for path in ARTIFACTS.glob("*.json")} - files.keys():
        (ARTIFACTS / stale).unlink()
    for name, text in files.items():
        (ARTIFACTS / name).write_text(text)


def main() -> int:
    """Exit status: 0 done or equal, 1 different or not compiling."""
    parser = argparse.ArgumentParser(description="compile the contracts into mixpay/artifacts")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--check", action="store_true", help="only compare; exit 1 on a difference")
    only.add_argument("--hashes", action="store_true", help="only print SHA-256 of every creation code")
    chosen = parser.parse_args()
    try:
        files = build()
    except BuildError as error:
        print(f"build_artifacts: {error}", file=sys.stderr)
        return 1
    if chosen.hashes:
        print("\n".join(hashes(files)))
        return 0
    changed = differences(files)
    if chosen.check and changed:
        print(f"artifacts differ from the sources: {', '.join(changed)}", file=sys.stderr)
        print("run `make artifacts` and commit the result", file=sys.stderr)
        return 1
    if not chosen.check:
        write(files)
    print(f"artifacts: {len(files)} contracts, {'wrote ' + ', '.join(changed) if changed else 'up to date'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
