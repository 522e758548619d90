"""Keccak-256, the hash that the chain uses (not the later SHA3-256 of FIPS 202, whose padding differs)."""

from __future__ import annotations

import sha3


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte Keccak-256 digest of `data` (Keccak submission version 3, as in Ethereum)."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest
