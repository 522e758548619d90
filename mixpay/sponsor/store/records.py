"""What goes into the issuer's database and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from mixpay.types import Account, Amount


@dataclass(frozen=True, slots=True)
class Claim:
    """One more pass that an identity asks for.

    `identity` and `asked` are keyed hashes (16 bytes each) that differ in each kind and period: of who asks,
    and of who asks for what. `quota`: passes that the identity gets of this kind in this period. `shares`:
    what else the pass counts against, with a quota or (None) any number.
    """

    identity: bytes
    asked: bytes
    kind: int
    period: int
    quota: int
    shares: tuple[tuple[bytes, int | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """A claim's identity has so many passes now, this one among them, and each of its shares so many.

    No shares if the claim was counted before.
    """

    passes: int
    shares: tuple[int, ...] = ()


class Refused(Enum):
    """A claim is not counted, for its identity's quota or one of its shares is used up."""

    QUOTA = auto()
    SHARE = auto()


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
