"""The proof layer: locks checked alone, hints and acks many at a time."""

from __future__ import annotations

import os

from bench.figures import Found, Scale
from bench.meter import Part, interleaved
from mixpay import proof
from mixpay.crypto import secp256k1

BATCH = 256
_CALLS = 30


def measure(scale: Scale) -> Found:
    """`ack_check_us` is of a batch whose hints were kept in their long form, as the relay keeps them."""
    own, ack, next_ack = (_scalar() for _ in range(3))
    next_hint, hint = secp256k1.base_mult(next_ack), secp256k1.base_mult(ack)
    lock = proof.lock_of(own, next_hint)
    parts: dict[str, tuple[Part, int]] = {
        "lock of a ticket": (lambda: proof.check_lock(own, lock, next_hint), _CALLS),
        "hint of a ticket, alone": (lambda: secp256k1.is_base_mult(ack, hint), _CALLS),
        "response": (lambda: proof.response(own, next_ack), _CALLS),
        "response opens a lock": (lambda: proof.opens(proof.response(own, next_ack), lock), _CALLS),
    }
    batches = {size: _pairs(BATCH, size) for size in (secp256k1.POINT_SIZE, secp256k1.LONG_POINT_SIZE)}
    for size, pairs in batches.items():
        parts[f"{BATCH} acks, hints of {size} bytes"] = (_checker(pairs), 1)
    parts["32 acks, hints of 65 bytes"] = (_checker(batches[secp256k1.LONG_POINT_SIZE][:32]), 4)
    found = interleaved(parts, scale.slices)
    for name in [name for name in found if "acks" in name]:
        found[f"each of {name}"] = found.pop(name) / int(name.split()[0])
    each = found[f"each of {BATCH} acks, hints of {secp256k1.LONG_POINT_SIZE} bytes"]
    return Found({"ack_check_us": each}, {"us": found})


def _scalar() -> bytes:
    return secp256k1.scalar_from(os.urandom(secp256k1.SEED_SIZE))


def _pairs(count: int, size: int) -> list[tuple[bytes, bytes]]:
    acks = [_scalar() for _ in range(count)]
    return [(ack, secp256k1.encode(secp256k1.multiply_base(ack), size)) for ack in acks]


def _checker(pairs: list[tuple[bytes, bytes]]) -> Part:
    def check() -> None:
        if proof.bad_acks(pairs, os.urandom):
            raise RuntimeError("a good ack was refused")

    return check
