"""What ties a credential to one pass: 32 bytes over what it is good for and its blinded message.

A credential that holds them can be used for this pass only, and asking again gives the same signature, so
that neither a replay nor a thief gains anything. Bytes (docs/formats.md):

    BLAKE2b-256(chain id u64 ‖ pool 20 ‖ campaign u32 ‖ kind u8 ‖ period u32 ‖ blinded message 256;
                person "mixpay-bound-v1")
"""

from __future__ import annotations

import hashlib

from mixpay.passes import Scope


def bound(scope: Scope, blinded: bytes) -> bytes:
    """The 32 bytes for a pass of this scope with this blinded message (256 bytes)."""
    where = scope.chain_id.to_bytes(8, "big") + scope.pool + scope.campaign.to_bytes(4, "big")
    when = bytes([scope.kind]) + scope.period.to_bytes(4, "big")
    return hashlib.blake2b(where + when + blinded, digest_size=32, person=b"mixpay-bound-v1").digest()


DIFFICULTY = "difficulty"
"""The term of an offer that says how much work a pass takes, in expected attempts."""


def difficulty_of(kind: int, period: int) -> str:
    """The name of the term that says it of a kind and period, where it was raised."""
    return f"{DIFFICULTY}.{kind}.{period}"


def login_nonce(scope: Scope, blinded: bytes) -> str:
    """The nonce of an EIP-4361 message: 32 hexadecimal digits."""
    return bound(scope, blinded)[:16].hex()
