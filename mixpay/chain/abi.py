"""The compiled contracts as the package ships them, and the encoding of what goes to them and comes back.

Addresses are 20 bytes on both sides, bytes32 are 32 bytes, structs come back as tuples. The encoding is the
contract ABI specification of Solidity 0.8.30.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import msgspec
from eth_abi.abi import encode as _encode
from eth_abi.codec import ABIDecoder
from eth_abi.decoding import StringDecoder
from eth_abi.exceptions import DecodingError
from eth_abi.grammar import TupleType, parse
from eth_abi.registry import registry

from mixpay.crypto.hashing import keccak256

CONTRACTS = (
    "Token",
    "Network",
    "RelayRegistry",
    "Channels",
    "ReceiptCourt",
    "SubsidyPool",
    "TimelockController",
)

# A string on the chain is any bytes: whoever registers a relay with bad UTF-8 must not stop all who read it.
_lenient = registry.copy()  # type: ignore[no-untyped-call]
_lenient.unregister_decoder("string")
_any_bytes = StringDecoder(handle_string_errors="surrogateescape")  # type: ignore[no-untyped-call]
_lenient.register_decoder("string", _any_bytes)
_decode = ABIDecoder(_lenient).decode

_PANICS = {0x01: "assertion", 0x11: "overflow", 0x12: "division by zero", 0x32: "index out of range"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A function, event or error: its name, its parameters and, for a function, what it returns."""

    name: str
    names: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    indexed: tuple[bool, ...]

    @property
    def signature(self) -> str:
        """As it is hashed: name(type,type)."""
        return f"{self.name}({','.join(self.inputs)})"

    @property
    def selector(self) -> bytes:
        """First 4 bytes of the hash: names a function or an error."""
        return self.topic[:4]

    @property
    def topic(self) -> bytes:
        """The 32-byte hash: names an event."""
        return keccak256(self.signature.encode())


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract."""

    name: str
    constructor: Entry
    functions: Mapping[str, Entry]
    events: Mapping[str, Entry]
    errors: Mapping[str, Entry]
    bytecode: bytes = field(repr=False)
    deployed_bytecode: bytes = field(repr=False)
    immutables: Mapping[str, Sequence[tuple[int, int]]] = field(repr=False)
    """Name → (start, length) in the deployed bytecode, zero there, filled in by the constructor."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the creation code, hexadecimal."""
        return hashlib.sha256(self.bytecode).hexdigest()


@cache
def artifact(name: str) -> Artifact:
    """A contract of the package, by its name."""
    text = resources.files("mixpay").joinpath("artifacts", f"{name}.json").read_bytes()
    content = msgspec.json.decode(text)
    kinds: dict[str, dict[str, Entry]] = {"function": {}, "event": {}, "error": {}, "constructor": {}}
    for item in content["abi"]:
        if item["type"] in kinds:
            entry = _entry(item)
            kinds[item["type"]][entry.name] = entry
    return Artifact(
        name=name,
        constructor=kinds["constructor"].get("", Entry("", (), (), (), ())),
        functions=kinds["function"],
        events=kinds["event"],
        errors=kinds["error"],
        bytecode=bytes.fromhex(content["bytecode"][2:]),
        deployed_bytecode=bytes.fromhex(content["deployedBytecode"][2:]),
        immutables={k: [(start, length) for start, length in v] for k, v in content["immutables"].items()},
    )


def _entry(item: dict[str, Any]) -> Entry:
    inputs = item.get("inputs", [])
    return Entry(
        name=item.get("name", ""),
        names=tuple(i["name"] for i in inputs),
        inputs=tuple(_type(i) for i in inputs),
        outputs=tuple(_type(o) for o in item.get("outputs", [])),
        indexed=tuple(i.get("indexed", False) for i in inputs),
    )


def _type(item: dict[str, Any]) -> str:
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(c) for c in item['components'])}){kind.removeprefix('tuple')}"


def encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """Raises eth_abi's EncodingError when a value does not fit its type."""
    return bytes(_encode(types, values))


def decode(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Raises eth_abi's DecodingError when the data is not of these types.

    What is not UTF-8 in a string stands as lone surrogates (error handler `surrogateescape`).
    """
    values = _decode(types, data)
    return tuple(_plain(kind, value) for kind, value in zip(types, values, strict=True))


def _plain(kind: str, value: Any) -> Any:
    """Turns the library's hexadecimal addresses into 20 bytes, inside structs too."""
    if kind == "address":
        return bytes.fromhex(value[2:])
    parsed = parse(kind)
    if isinstance(parsed, TupleType) and not parsed.is_array:
        parts = (component.to_type_str() for component in parsed.components)
        return tuple(_plain(part, item) for part, item in zip(parts, value, strict=True))
    return value


@cache
def _errors() -> dict[bytes, Entry]:
    return {entry.selector: entry for name in CONTRACTS for entry in artifact(name).errors.values()}


def explain_revert(data: bytes) -> tuple[str, str]:
    """Name and readable text of the reason that a contract gave; the name is "" where the reason has none."""
    selector, arguments = data[:4], data[4:]
    entry = _errors().get(selector)
    try:
        if entry is not None:
            values = decode(entry.inputs, arguments)
            shown = (f"{name}={_shown(value)}" for name, value in zip(entry.names, values, strict=True))
            return entry.name, f"{entry.name}({', '.join(shown)})"
        if selector == keccak256(b"Error(string)")[:4]:
            return "", _printable(decode(["string"], arguments)[0])
        if selector == keccak256(b"Panic(uint256)")[:4]:
            code = decode(["uint256"], arguments)[0]
            return "", _PANICS.get(code, f"panic {code:#x}")
    except DecodingError:
        pass  # a foreign contract may answer anything
    return "", f"unknown error {data.hex()}" if data else "the contract gave no reason"


def _shown(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else _printable(str(value))


def _printable(text: str) -> str:
    """What stands for no character becomes a question mark: a terminal takes no lone surrogates."""
    return text.encode("utf-8", "replace").decode()
