"""Proof of relay: locks, responses, and the checks that both sides of a link make (DESIGN §6).

For relay i of a path, the scalars own_i and ack_i come out of its packet keys, hint_i = ack_i·G, and

    lock_i     = address(own_i·G + hint_{i+1})        the last layer: address(own_i·G)
    response_i = own_i + ack_{i+1}  (mod n)           the last layer: own_i

A response opens a lock if address(response·G) = lock. Relay i can compute its response only after relay i+1
has acknowledged the packet, and relay i+1 acknowledges only a packet that it can be paid for itself.

What this does not prove: the sender knows every scalar, so a sender and a relay together can make responses
without relaying.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from itertools import compress
from operator import mul

from mixpay.crypto import secp256k1
from mixpay.errors import PeerError
from mixpay.types import Random

ROUNDS = 20
"""Bits of each random weight of a batched check: a bad batch passes with probability 2^-20."""

_WEIGHT_BYTES = 3
_HIGH = (1 << ROUNDS - 16) - 1
_BIT = [bytes(byte >> bit & 1 for byte in range(256)) for bit in range(8)]
_SMALLEST_BATCH = 8  # below, single checks cost less


class ProofError(PeerError):
    """Somebody on the path could not be paid for this packet. `reason` is "wrong_lock"."""


def lock_of(own: bytes, next_hint: bytes | None) -> bytes:
    """Return the lock, 20 bytes, for scalar `own` (32 bytes) and the next relay's hint (last layer: None).

    Raises ValueError if a scalar or point is malformed, or if no response could open the lock.
    """
    if next_hint is None:
        return secp256k1.base_address(own)
    return _lock(own, secp256k1.parse(next_hint))


def response(own: bytes, next_ack: bytes | None) -> bytes:
    """Return the scalar, 32 bytes, that opens the lock, once the next relay's ack is known and checked."""
    return own if next_ack is None else secp256k1.add_scalars(own, next_ack)


def opens(answer: bytes, lock: bytes) -> bool:
    """Say whether the response `answer` opens the lock; False for anything malformed."""
    if not secp256k1.is_scalar(answer):
        return False
    return hmac.compare_digest(secp256k1.base_address(answer), lock)


def check_lock(own: bytes, lock: bytes, next_hint: bytes | None) -> bytes:
    """Check a ticket's lock against one's own packet keys, before acknowledging or forwarding.

    Its hint, which must be that of one's own ack, is checked by `bad_acks`, for many tickets at once.

    Returns next_hint in its long form (65 bytes; empty at the last layer), with which `bad_acks` costs half.
    Raises ProofError unless lock = address(own·G + next_hint).
    """
    try:
        next_point = None if next_hint is None else secp256k1.parse(next_hint)
        expected = secp256k1.base_address(own) if next_point is None else _lock(own, next_point)
    except ValueError as error:
        raise ProofError("wrong_lock", str(error)) from error
    if not hmac.compare_digest(expected, lock):
        raise ProofError("wrong_lock", "the ticket's lock is not that of the packet")
    return b"" if next_point is None else secp256k1.encode(next_point, secp256k1.LONG_POINT_SIZE)


def bad_acks(pairs: Sequence[tuple[bytes, bytes]], random: Random) -> list[int]:
    """Return the indices of the pairs (ack 32 bytes, hint 33 or 65 bytes) where hint is not ack·G, ascending.

    All at once first: if the batch passes the test of `_batch_holds`, nothing is bad; else each is looked at.
    Anything malformed is bad. The errors of a batch stay hidden with probability 2^-20 at most, whoever made
    it, as long as `random` cannot be foretold.
    """
    if len(pairs) >= _SMALLEST_BATCH and _batch_holds(pairs, random):
        return []
    return [index for index, (ack, hint) in enumerate(pairs) if not secp256k1.is_base_mult(ack, hint)]


def _batch_holds(pairs: Sequence[tuple[bytes, bytes]], random: Random) -> bool:
    """Test Σ w_i·hint_i = (Σ w_i·ack_i)·G for random weights w_i of ROUNDS bits.

    The small exponents test of Bellare, Garay and Rabin (*Fast batch verification for modular exponentiation
    and digital signatures*, Eurocrypt 1998). Bit by bit of the weights it takes sums over ROUNDS random
    subsets; by doubling the running sum between them, one multiplication is enough for all.
    """
    if not all(secp256k1.is_scalar(ack) for ack, _ in pairs):
        return False
    try:
        points = [secp256k1.parse(hint) for _, hint in pairs]
    except ValueError:
        return False
    noise = [random(len(pairs)) for _ in range(_WEIGHT_BYTES)]
    point: secp256k1.Point | None = None
    for bit in reversed(range(ROUNDS)):
        subset = compress(points, noise[bit // 8].translate(_BIT[bit % 8]))
        point = secp256k1.sum_points([*subset] if point is None else [point, point, *subset])
    weights = (low | middle << 8 | (high & _HIGH) << 16 for low, middle, high in zip(*noise, strict=True))
    scalars = (int.from_bytes(ack, "big") for ack, _ in pairs)
    scalar = sum(map(mul, weights, scalars)) % secp256k1.N
    if point is None or scalar == 0:
        return point is None and scalar == 0
    return secp256k1.is_base_mult(scalar.to_bytes(secp256k1.SCALAR_SIZE, "big"), secp256k1.encode(point))


def _lock(own: bytes, next_point: secp256k1.Point) -> bytes:
    total = secp256k1.sum_points([secp256k1.multiply_base(own), next_point])
    if total is None:
        raise ValueError("no response opens this lock")
    return secp256k1.point_address(total)
