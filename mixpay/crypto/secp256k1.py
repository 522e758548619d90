"""Points and scalars of secp256k1 (SEC 2, section 2.4.1), computed by libsecp256k1 through coincurve.

Scalars are 32 bytes, big-endian. Points are in SEC 1 form: 33 bytes compressed, or 65 bytes uncompressed
where a function says so (parsing 33 bytes costs a square root, 65 bytes none). The point at infinity has no
encoding: where it could come out, a function says what it does.

coincurve's own classes are not used here: they cost 2-3 µs a call above the library, and these functions are
the dearest part of a relay's work on a packet. Nothing is shared between calls, because the library runs with
Python's interpreter lock released.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any

from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from mixpay.crypto.hashing import keccak256

N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of the group."""

SCALAR_SIZE = 32
POINT_SIZE = 33
LONG_POINT_SIZE = 65
SEED_SIZE = 48
ADDRESS_SIZE = 20

Point = Any
"""A parsed point, as the functions here pass it to each other; opaque to callers."""

_CONTEXT = GLOBAL_CONTEXT.ctx
_POINT = ffi.typeof("secp256k1_pubkey *")
_LENGTH = ffi.typeof("size_t *")
_FORMATS = {POINT_SIZE: lib.SECP256K1_EC_COMPRESSED, LONG_POINT_SIZE: lib.SECP256K1_EC_UNCOMPRESSED}
_BUFFERS = {size: ffi.typeof(f"unsigned char[{size}]") for size in _FORMATS}
_FIRST_BYTES = {POINT_SIZE: (2, 3), LONG_POINT_SIZE: (4,)}


def scalar_from(seed: bytes) -> bytes:
    """Map a uniform 48-byte seed to a scalar in [1, n-1]; the bias is below 2^-128 (RFC 9380, section 5).

    Raises ValueError if the seed has another length.
    """
    if len(seed) != SEED_SIZE:
        raise ValueError(f"a seed has {SEED_SIZE} bytes")
    return (int.from_bytes(seed, "big") % (N - 1) + 1).to_bytes(SCALAR_SIZE, "big")


def is_scalar(scalar: bytes) -> bool:
    """Say whether these bytes are the one encoding of a scalar in [1, n-1]."""
    return len(scalar) == SCALAR_SIZE and 0 < int.from_bytes(scalar, "big") < N


def add_scalars(a: bytes, b: bytes) -> bytes:
    """Return a + b mod n, 32 bytes; may be zero, which no function here takes as a scalar."""
    return ((int.from_bytes(a, "big") + int.from_bytes(b, "big")) % N).to_bytes(SCALAR_SIZE, "big")


def multiply_base(scalar: bytes) -> Point:
    """Return scalar·G, in constant time. Raises ValueError unless the scalar is 32 bytes in [1, n-1]."""
    if len(scalar) != SCALAR_SIZE:
        raise ValueError(f"a scalar has {SCALAR_SIZE} bytes")
    point = ffi.new(_POINT)
    if not lib.secp256k1_ec_pubkey_create(_CONTEXT, point, scalar):
        raise ValueError("the scalar is not in [1, n-1]")
    return point


def parse(encoded: bytes) -> Point:
    """Read a point of 33 or 65 bytes. Raises ValueError if it is malformed or not on the curve."""
    # libsecp256k1 also reads the hybrid forms 06 and 07: a second encoding of a point has no place here.
    if not encoded or encoded[0] not in _FIRST_BYTES.get(len(encoded), ()):
        raise ValueError("a point has 33 bytes from 02 or 03, or 65 bytes from 04")
    point = ffi.new(_POINT)
    if not lib.secp256k1_ec_pubkey_parse(_CONTEXT, point, encoded, len(encoded)):
        raise ValueError("not a point of the curve")
    return point


def encode(point: Point, size: int = POINT_SIZE) -> bytes:
    """Write a point in 33 bytes, or in 65 if `size` says so."""
    out = ffi.new(_BUFFERS[size])
    lib.secp256k1_ec_pubkey_serialize(_CONTEXT, out, ffi.new(_LENGTH, size), point, _FORMATS[size])
    return bytes(ffi.buffer(out, size))


def sum_points(points: Sequence[Point]) -> Point | None:
    """Add parsed points; None stands for the point at infinity (also for an empty sequence)."""
    if not points:
        return None
    total = ffi.new(_POINT)
    if not lib.secp256k1_ec_pubkey_combine(_CONTEXT, total, points, len(points)):
        return None
    return total


def base_mult(scalar: bytes, size: int = POINT_SIZE) -> bytes:
    """Return scalar·G, 33 or 65 bytes. Raises ValueError unless the scalar is 32 bytes in [1, n-1]."""
    return encode(multiply_base(scalar), size)


def add(p: bytes, q: bytes) -> bytes:
    """Return p + q, 33 bytes. Raises ValueError if one is malformed or the sum is the point at infinity."""
    total = sum_points([parse(p), parse(q)])
    if total is None:
        raise ValueError("the sum is the point at infinity")
    return encode(total)


def address(point: bytes) -> bytes:
    """Return a point's Ethereum address: the last 20 bytes of Keccak-256 of its coordinates.

    Raises ValueError if the point (33 or 65 bytes) is malformed.
    """
    return point_address(parse(point))


def point_address(point: Point) -> bytes:
    """Return the Ethereum address, 20 bytes, of a parsed point."""
    return keccak256(encode(point, LONG_POINT_SIZE)[1:])[-ADDRESS_SIZE:]


def base_address(scalar: bytes) -> bytes:
    """Return the address of scalar·G, 20 bytes. Raises ValueError unless the scalar is in [1, n-1]."""
    return point_address(multiply_base(scalar))


def is_base_mult(scalar: bytes, point: bytes) -> bool:
    """Say whether point (33 or 65 bytes) is scalar·G; False for anything malformed."""
    if len(point) not in _FORMATS or not is_scalar(scalar):
        return False
    return hmac.compare_digest(encode(multiply_base(scalar), len(point)), point)
