"""Relays and snapshots for tests of the directory and of layers; everything follows from small numbers."""

from __future__ import annotations

from collections.abc import Sequence

from mixpay import eip712, merkle
from mixpay.crypto import x25519
from mixpay.crypto.hashing import keccak256
from mixpay.descriptors import Descriptor, sign_descriptor
from mixpay.snapshot import Frozen, RelayRecord, Snapshot
from mixpay.types import Account, Epoch, Position, RelayId

DOMAIN = eip712.registry_domain(31337, b"\x77" * 20)


def name(text: str, number: int) -> bytes:
    """32 bytes for each pair."""
    return keccak256(f"{text} {number}".encode())


def operator_key(relay: int) -> bytes:
    return name("operator", relay)


def record(relay: int, position: int) -> RelayRecord:
    operator = eip712.account_of(operator_key(relay))
    return plain_record(relay, position, operator)


def plain_record(relay: int, position: int, operator: Account | None = None) -> RelayRecord:
    """A record whose operator has no known key: cheaper by a point multiplication."""
    operator = operator or Account(name("account", relay)[:20])
    endpoint = f"relay{relay}.example:7000:7001"
    return RelayRecord(RelayId(relay), Position(position), operator, name("link", relay), endpoint)


def snapshot(
    relays: Sequence[RelayRecord], count: int | None = None, epoch: int = 0, beacon: int = 0
) -> Snapshot:
    """A snapshot with the right root; positions may have gaps."""
    count = count if count is not None else 1 + max((relay.position for relay in relays), default=-1)
    leaves = [merkle.EMPTY] * count
    for relay in relays:
        leaves[relay.position] = relay.leaf()
    root = merkle.root(leaves)
    return Snapshot(Epoch(epoch), root, count, name("beacon", beacon), tuple(relays))


def frozen(of: Snapshot) -> Frozen:
    return Frozen(of.epoch, of.root, of.count, of.beacon)


def packet_key(relay: int, epoch: int) -> bytes:
    return x25519.public_key(name(f"packet key of epoch {epoch}", relay))


def descriptor(relay: int, epoch: int = 0) -> Descriptor:
    key = packet_key(relay, epoch)
    return sign_descriptor(
        operator_key(relay),
        RelayId(relay),
        Epoch(epoch),
        key,
        DOMAIN,
        software="mixpay/0.1.0",
        capacity=1_000 + relay,
    )
