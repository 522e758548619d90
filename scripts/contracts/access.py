"""The access-control matrix: who can call what, and what that changes. Made from the sources, kept in
docs/audit.

One row for each function that can be called from outside and changes state: the conditions on its caller
anywhere in it, the storage it can write, the contracts it can call.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from slither import Slither
from slither.core.solidity_types import MappingType, UserDefinedType
from slither.core.variables.state_variable import StateVariable
from slither.slithir.operations import InternalCall, LibraryCall, SolidityCall

from scripts.contracts.part import AUDIT, ROOT, Part

PAGE = AUDIT / "access-control.md"
HEADING = """# Who can call what

Made by `python -m scripts.contracts access --write` from the sources; `make contracts` compares. Every
function that changes state is here. *Decides on the caller by*: the conditions on it, anywhere in the
function. All of them refuse a caller but one: that of `ReceiptCourt.answer` over `uptoBatch` chooses between
ending a case and admitting it. Where there is none, the caller's address counts for nothing (–: what protects
others is a signature, a proof or a time) or only says whose money or right it is ("it acts for the caller").
*Calls*: other contracts, views left out."""
MOVERS = ("SafeERC20", "ExactTransfer")
AS_ITSELF = "-"
"""Stands for the conditions where there are none, but the caller's address counts."""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """A function that changes state. `who` is empty when anyone may call it."""

    contract: str
    function: str
    who: tuple[str, ...]
    writes: tuple[str, ...]
    calls: tuple[str, ...]


def rights(slither: Any) -> list[Right]:
    """Of every deployed contract below contracts/, in the order of names and of the sources."""
    found = []
    for contract in sorted(slither.contracts_derived, key=lambda c: str(c.name)):
        path = str(contract.source_mapping.filename.relative)
        if path.count("/") != 1 or not path.startswith("contracts/") or contract.is_interface:
            continue
        entries = [f for f in contract.functions_entry_points if not f.is_constructor and not _reads(f)]
        found += [_right(contract, f) for f in sorted(entries, key=lambda f: str(f.name))]
    return found


def _reads(function: Any) -> bool:
    return bool(getattr(function, "view", False) or getattr(function, "pure", False))


def _right(contract: Any, function: Any) -> Right:
    inside = [function, *function.modifiers, *(c.function for c in function.all_internal_calls())]
    parts = [f for f in inside if hasattr(f, "nodes")]
    conditions = {condition for part in parts for condition in _conditions(part)}
    if not conditions and any(_acts_for_caller(part) for part in parts):
        conditions = {AS_ITSELF}
    writes = {str(v.name) for v in function.all_state_variables_written() if v.name}
    writes |= {name for part in parts for name in _given_away(part) | _through_pointers(part)}
    calls = {_call(call) for part in parts for call in getattr(part, "high_level_calls", [])}
    calls |= {name for part in parts for name in _transfers(part)}
    signature = f"{function.name}({','.join(str(p.type) for p in function.parameters)})"
    return Right(
        str(contract.name),
        signature,
        tuple(sorted(conditions)),
        tuple(sorted(writes)),
        tuple(sorted(calls - {""})),
    )


def _acts_for_caller(part: Any) -> bool:
    """Whether a function, or a library's that it calls, names the caller."""
    libraries = [o.function for node in part.nodes for o in node.irs if isinstance(o, LibraryCall)]
    nodes = [node for inside in (part, *libraries) for node in getattr(inside, "nodes", [])]
    return any(_names_caller(str(node.expression)) for node in nodes)


def _names_caller(expression: str) -> bool:
    return "msg.sender" in expression or "_msgSender()" in expression


def _conditions(part: Any) -> set[str]:
    """Conditions of one function on the caller, also through a local variable that holds it."""
    holders = [
        str(variable.name)
        for variable in getattr(part, "local_variables", [])
        if variable.initialized and str(variable.expression) in ("msg.sender", "_msgSender()")
    ]
    found = set()
    for node in part.nodes:
        if node.contains_if() or node.contains_require_or_assert():
            expression = str(node.expression)
            for name in holders:
                expression = re.sub(rf"\b{name}\b", "msg.sender", expression)
            if _names_caller(expression):
                found.add(tidy(expression))
    return found


def _given_away(part: Any) -> set[str]:
    """State that a function hands to a library that may write it."""
    return {
        str(argument.name)
        for node in part.nodes
        for operation in node.irs
        if isinstance(operation, LibraryCall | InternalCall) and not _reads(operation.function)
        for argument in operation.arguments
        if isinstance(argument, StateVariable) and not argument.is_immutable and not argument.is_constant
    }


def _through_pointers(part: Any) -> set[str]:
    """State that a function may write where slither does not follow: by a pointer it was given, by assembly.

    What it reads of state that has pointers; at most that is more than what it writes.
    """
    calls = [o for node in part.nodes for o in node.irs if isinstance(o, SolidityCall)]
    stores = any(call.function.name.startswith("sstore") for call in calls)
    pointed = any(parameter.is_storage for parameter in getattr(part, "parameters", []))
    if _reads(part) or not (stores or pointed):
        return set()
    read = [v for v in part.state_variables_read if not v.is_immutable and not v.is_constant]
    return {str(v.name) for v in read if isinstance(v.type, MappingType | UserDefinedType)}


def _transfers(part: Any) -> set[str]:
    """Calls that move tokens through a library."""
    operations = [o for node in part.nodes for o in node.irs if isinstance(o, LibraryCall)]
    return {
        f"{o.destination.name}.{o.function.name}" for o in operations if str(o.destination.name) in MOVERS
    }


def _call(call: Any) -> str:
    """Contract.function of a call to another contract; nothing for a library's."""
    target, operation = call
    function = getattr(operation, "function", None)
    if getattr(target, "is_library", False) or function is None or getattr(function, "view", False):
        return ""
    return f"{target.name}.{function.name}"


def tidy(condition: str) -> str:
    """The condition under which the caller is refused, as a reader writes it."""
    return re.sub(r"\s+", " ", condition.replace("_msgSender()", "msg.sender")).replace("|", "\\|")


def page(found: Iterable[Right]) -> str:
    """Text of docs/audit/access-control.md."""
    lines = [HEADING]
    contract = ""
    for right in found:
        if right.contract != contract:
            contract = right.contract
            header = "| function | decides on the caller by | writes | calls |"
            lines += ["", f"## {contract}", "", header, "|---|---|---|---|"]
        who = "it acts for the caller" if right.who == (AS_ITSELF,) else _code(right.who)
        who = who or "–"
        lines.append(f"| `{right.function}` | {who} | {_code(right.writes)} | {_code(right.calls)} |")
    return "\n".join([*lines, ""])


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def access_part(write: bool = False) -> Part:
    """Compares docs/audit/access-control.md with the sources; `write` renews it."""
    found = rights(_load())
    text = page(found)
    if write:
        PAGE.write_text(text)
    ok = bool(found) and PAGE.exists() and PAGE.read_text() == text
    limited = sum(right.who not in ((), (AS_ITSELF,)) for right in found)
    line = f"access: {len(found)} functions that change state, {limited} of them not for everyone"
    old = "docs/audit/access-control.md is old: python -m scripts.contracts access --write"
    details = () if ok else (old,)
    return Part("access", ok, line, details=details)


def _load() -> Any:
    logging.getLogger("CryticCompile").setLevel(logging.ERROR)
    with contextlib.chdir(ROOT), contextlib.redirect_stderr(io.StringIO()):
        return Slither(".", compile_force_framework="foundry")
