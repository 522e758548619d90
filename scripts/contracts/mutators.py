"""Every mutant that slither's mutators can make of our contracts, as a list: slither-mutate itself edits
files in place.

Nothing is left out: all mutators, all contracts and libraries, every line, also those on which another
mutant survived. Interfaces hold no code. Run on a folder of its own: compiling leaves files behind.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slither import Slither
from slither.tools.mutator.mutators import LIR as LIR_MODULE
from slither.tools.mutator.mutators import all_mutators
from slither.tools.mutator.mutators.abstract_mutator import AbstractMutator

from scripts.contracts.mutants import Mutant

FOLDER = "contracts/"
RELATION = re.compile(r"==|!=|(?<!<)<=?(?!<)|(?<!>)>=?(?!>)")


class MutationError(Exception):
    """Slither cannot read the contracts, or one of its mutators failed."""


def all_mutants(root: Path) -> list[Mutant]:
    """The mutants of the contracts below `root`, each once, by file and place."""
    logging.getLogger("CryticCompile").setLevel(logging.ERROR)
    with contextlib.chdir(root), contextlib.redirect_stderr(io.StringIO()):
        slither = Slither(".", compile_force_framework="foundry")
    found = {
        mutant.identity: mutant
        for unit in slither.compilation_units
        for contract in unit.contracts
        if _path(contract).startswith(FOLDER) and not contract.is_interface
        for mutant in _mutants(unit, contract)
    }
    if not found:
        raise MutationError(f"no mutants for the contracts below {root}")
    return sorted(found.values(), key=lambda m: (m.path, m.start, m.end, m.mutator, m.new))


def mutator_classes() -> list[type[Any]]:
    """All of slither's, by name."""
    members = (getattr(all_mutators, name) for name in sorted(dir(all_mutators)))
    return [m for m in members if isinstance(m, type) and issubclass(m, AbstractMutator)]


def repaired(mutator: str, old: str, of: str, new: str) -> str:
    """What the mutator meant to put in place of `old`, where what it says it would never compile.

    Of compound statements some mutators replace one expression `old` by a changed form of the whole
    statement `of`; and the one for function headers by header and body.
    """
    if mutator == "FHR":
        return new[: new.find("{")]
    if old == of:
        return new
    if mutator == "MIA" and new.startswith("!"):
        return f"!({old})"
    operator = RELATION.search(old)
    if mutator == "ROR" and operator:
        instead = RELATION.search(new, of.index(operator.group()))
        return old.replace(operator.group(), instead.group(), 1) if instead else new
    return new


def _mutants(unit: Any, contract: Any) -> Iterator[Mutant]:
    source = contract.compilation_unit.core.source_code[contract.source_mapping.filename.absolute].encode()
    for mutator in mutator_classes():
        for patch in _patches(mutator, unit, contract):
            start, end = patch["start"], patch["end"]
            old = source[start:end].decode()
            new = repaired(mutator.NAME, old, patch["old_string"], patch["new_string"])
            if new != old:
                place = f"{contract.name}.{_function(contract, start)}"
                yield Mutant(_path(contract), place, mutator.NAME, patch["line_number"], start, end, old, new)


def _patches(mutator: type[Any], unit: Any, contract: Any) -> list[dict[str, Any]]:
    """What the mutator would write; it is never let near a file."""
    LIR_MODULE.literal_replacements.clear()  # else what it tries depends on what it has seen before
    instance = mutator(unit, 0, "", "", contract, None, False, Path(), [])
    try:
        patches = instance._mutate().get("patches", {})
    except Exception as error:
        raise MutationError(f"mutator {mutator.NAME} failed on {contract.name}: {error}") from error
    return [patch for of_file in patches.values() for patch in of_file]


def _path(contract: Any) -> str:
    return str(contract.source_mapping.filename.relative)


def _function(contract: Any, position: int) -> str:
    """Name of the function or modifier around `position`; `state` outside of them."""
    for function in contract.functions_and_modifiers_declared:
        mapping = function.source_mapping
        inside = mapping.start <= position < mapping.start + mapping.length
        if inside and not function.is_constructor_variables:
            return str(function.name)
    return "state"
