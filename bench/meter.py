"""Measuring side by side: parts take turns in short slices, and the median slice counts."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping

from mixpay.crypto import secp256k1, x25519

Part = Callable[[], object]


def slice_us(part: Part, calls: int) -> float:
    """Mean CPU time of this thread for one of `calls` calls, in µs."""
    began = time.thread_time_ns()
    for _ in range(calls):
        part()
    return (time.thread_time_ns() - began) / calls / 1000


def interleaved(parts: Mapping[str, tuple[Part, int]], slices: int) -> dict[str, float]:
    """µs of each part, given with the calls in a slice: the median of its slices, which take turns."""
    samples: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(slices):
        for name, (part, calls) in parts.items():
            samples[name].append(slice_us(part, calls))
    return {name: statistics.median(found) for name, found in samples.items()}


def floor() -> Part:
    """One X25519, two secp256k1 base multiplications, one addition: what a hop cannot do without
    (docs/design.md §6), by the same functions that the relay calls.
    """
    secret, public = x25519.SecretKey(os.urandom(32)), x25519.public_key(os.urandom(32))
    own, ack = (secp256k1.scalar_from(os.urandom(secp256k1.SEED_SIZE)) for _ in range(2))

    def once() -> None:
        secret.exchange(public)
        secp256k1.sum_points([secp256k1.multiply_base(own), secp256k1.multiply_base(ack)])

    return once


def curve() -> Part:
    """The floor without X25519: the curve operations of a proof of relay."""
    own, ack = (secp256k1.scalar_from(os.urandom(secp256k1.SEED_SIZE)) for _ in range(2))

    def once() -> None:
        secp256k1.sum_points([secp256k1.multiply_base(own), secp256k1.multiply_base(ack)])

    return once
