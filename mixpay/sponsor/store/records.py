"""What goes into the issuer's database and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

from mixpay.types import Account, Amount


@dataclass(frozen=True, slots=True)
class Claim:
    """One more pass that an identity asks for.

    `identity` and `asked` are keyed hashes (16 bytes each) that differ in each kind and period: of who asks,
    and of who asks for what. `quota`: passes that the identity gets of this kind in this period.
    """

    identity: bytes
    asked: bytes
    kind: int
    period: int
    quota: int


@dataclass(frozen=True, slots=True)
class StoredKey:
    """The public half of a period's blind-signing key, as registered: 256 bytes, hop price in token units."""

    kind: int
    period: int
    modulus: bytes
    hop_price: Amount


@dataclass(frozen=True, slots=True)
class StoredVoucher:
    """The newest voucher for a relay's account: period (epoch), total (token units), signature (65 bytes)."""

    relay: Account
    period: int
    cumulative: Amount
    signature: bytes
