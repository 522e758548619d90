"""Storage layouts of the deployed contracts, kept in docs/audit/storage: a change of one is seen in a
review.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from scripts.contracts import bytecode
from scripts.contracts.part import AUDIT, ROOT, Part

FOLDER = AUDIT / "storage"


def simplified(layout: dict[str, Any]) -> dict[str, Any]:
    """Slots and structs of solc's layout, without what changes with every edit (ids of the syntax tree)."""
    types = layout["types"] or {}
    names = {key: str(value["label"]) for key, value in types.items()}
    structs = {value["label"]: value for value in types.values() if "members" in value}
    return {
        "slots": [_entry(entry, names) for entry in layout["storage"]],
        "structs": {
            label: {
                "bytes": int(struct["numberOfBytes"]),
                "members": [_entry(entry, names) for entry in struct["members"]],
            }
            for label, struct in sorted(structs.items())
        },
    }


def _entry(entry: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {
        "slot": int(entry["slot"]),
        "offset": entry["offset"],
        "name": entry["label"],
        "type": names[entry["type"]],
    }


def text(layout: dict[str, Any]) -> str:
    """Of a file of docs/audit/storage."""
    return json.dumps(simplified(layout), indent=1) + "\n"


def layouts() -> dict[str, str]:
    """File name → text for every contract that can be deployed; none if they do not compile."""
    found = bytecode.ask(ROOT, ["storageLayout"], os.environ) or {}
    return {f"{name}.json": text(output["storageLayout"]) for name, output in sorted(found.items())}


def differences(found: dict[str, str], folder: Path) -> list[str]:
    """Names of files that are missing, old, or of no contract any more."""
    present = {path.name: path.read_text() for path in folder.glob("*.json")}
    return sorted(name for name in found.keys() | present.keys() if found.get(name) != present.get(name))


def storage_part(write: bool = False) -> Part:
    """Compares docs/audit/storage with the sources; `write` renews it."""
    found = layouts()
    if not found:
        return Part("storage", False, "storage: the contracts do not compile")
    if write:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in differences(found, FOLDER):
            (FOLDER / name).unlink(missing_ok=True)
            if name in found:
                (FOLDER / name).write_text(found[name])
    changed = differences(found, FOLDER)
    details = tuple(
        f"docs/audit/storage/{name} is old: python -m scripts.contracts storage --write" for name in changed
    )
    return Part("storage", not changed, f"storage: {len(found)} layouts", details=details)
