"""What goes to a node and comes from it, as value objects, and their hexadecimal form in JSON-RPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mixpay.types import Account


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header. `base_fee` in wei per gas, None on a chain without one."""

    number: int
    hash: bytes
    timestamp: int
    base_fee: int | None


@dataclass(frozen=True, slots=True)
class Log:
    """One event as the chain keeps it."""

    address: Account
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    block_hash: bytes
    index: int
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction. `succeeded` is False when it was reverted; `contract` is what it created."""

    transaction: bytes
    block: int
    block_hash: bytes
    succeeded: bool
    gas_used: int
    gas_price: int
    sender: Account
    contract: Account | None
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a contract, encoded. `what` names it in errors; `to` is None to create a contract."""

    what: str
    to: Account | None
    data: bytes
    value: int = 0


def call_fields(call: Call, sender: Account | None) -> dict[str, str]:
    """The call as a JSON-RPC transaction object."""
    fields = {"data": to_hex(call.data)}
    if call.to is not None:
        fields["to"] = to_hex(call.to)
    if sender is not None:
        fields["from"] = to_hex(sender)
    if call.value:
        fields["value"] = hex(call.value)
    return fields


def to_hex(data: bytes) -> str:
    """With 0x."""
    return "0x" + data.hex()


def from_hex(text: str) -> bytes:
    """Of a text that begins with 0x."""
    return bytes.fromhex(text[2:])


def to_int(text: str) -> int:
    """A JSON-RPC quantity."""
    return int(text, 16)


def parse_block(item: dict[str, Any]) -> Block:
    """A block of eth_getBlockByNumber."""
    fee = item.get("baseFeePerGas")
    return Block(
        number=to_int(item["number"]),
        hash=from_hex(item["hash"]),
        timestamp=to_int(item["timestamp"]),
        base_fee=None if fee is None else to_int(fee),
    )


def parse_log(item: dict[str, Any]) -> Log:
    """One item of eth_getLogs."""
    return Log(
        address=Account(from_hex(item["address"])),
        topics=tuple(from_hex(topic) for topic in item["topics"]),
        data=from_hex(item["data"]),
        block=to_int(item["blockNumber"]),
        block_hash=from_hex(item["blockHash"]),
        index=to_int(item["logIndex"]),
        transaction=from_hex(item["transactionHash"]),
    )


def parse_receipt(item: dict[str, Any]) -> Receipt:
    """A receipt of eth_getTransactionReceipt."""
    created = item.get("contractAddress")
    return Receipt(
        transaction=from_hex(item["transactionHash"]),
        block=to_int(item["blockNumber"]),
        block_hash=from_hex(item["blockHash"]),
        succeeded=to_int(item["status"]) == 1,
        gas_used=to_int(item["gasUsed"]),
        gas_price=to_int(item.get("effectiveGasPrice", "0x0")),
        sender=Account(from_hex(item["from"])),
        contract=Account(from_hex(created)) if created else None,
        logs=tuple(parse_log(log) for log in item["logs"]),
    )
