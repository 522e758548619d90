"""What wallet, entry relay and issuer agree on about a pass (DESIGN §8).

A pass is a signature over a scope (chain, pool, campaign, kind, period) and an anchor, which is the Merkle
root over the heads of 64 hash chains of 256 links. Link k of chain c is tick number 256·c + k, from 1 to
16,384, and the furthest one an entry holds is what it is paid for: ticks that were lost on the way are paid
with the next.

The drawn relay follows from the signature, which is unique for a message and unknown before it is signed,
so the only thing to grind is the number of passes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from mixpay import merkle
from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import PASS_SUITE, PublicKey
from mixpay.crypto.hashing import keccak256
from mixpay.errors import PeerError
from mixpay.types import HOPS, Amount, Position

KIND_ENTRY = 1
"""A pass for sending through one entry relay; its period is an epoch."""

KIND_MAILBOX = 2
"""A pass for a mailbox and the replies it sends; its period is a term."""

CHAINS = 64
LINKS = 256
TICKS = CHAINS * LINKS
"""Packets one pass pays for."""

TICK_VALUE = HOPS
"""What a tick pays, in hop prices, for both kinds: whoever takes it sends a packet along a whole path."""

HASH_SIZE = 32
SIGNATURE_SIZE = 256
HEADS_SIZE = CHAINS * HASH_SIZE
_PROOF_LENGTH = 6
PASS_SIZE = 4 + 1 + 4 + SIGNATURE_SIZE + HEADS_SIZE
REDEMPTION_SIZE = HASH_SIZE + SIGNATURE_SIZE + 1 + 2 + HASH_SIZE + _PROOF_LENGTH * HASH_SIZE
_LABEL = b"mixpay-pass-v1"


class PassError(PeerError):
    """A pass, a tick or a redemption that is not worth what it says.

    Reasons: `malformed`, `wrong_chain`, `wrong_campaign`, `wrong_kind`, `wrong_period`, `bad_signature`,
    `wrong_relay`, `wrong_key`, `key_not_proven`, `unknown_pass`, `pass_expired`, `tick_out_of_range`,
    `tick_used`, `unpaid`, `tick_gap`, `bad_link`, `campaign_limit`.
    """


@dataclass(frozen=True, slots=True)
class Scope:
    """What a pass is good for. Widths: chain id u64, pool 20 bytes, campaign u32, kind u8, period u32.

    Raises PassError `malformed` if a field does not fit.
    """

    chain_id: int
    pool: bytes
    campaign: int
    kind: int
    period: int

    def __post_init__(self) -> None:
        fits = 0 <= self.chain_id < 1 << 64 and 0 <= self.campaign < 1 << 32 and 0 <= self.period < 1 << 32
        if not fits or len(self.pool) != 20:
            raise PassError("malformed", "a field of the scope does not fit")
        if self.kind not in (KIND_ENTRY, KIND_MAILBOX):
            raise PassError("wrong_kind", f"there is no kind {self.kind}")

    def message(self, anchor: bytes) -> bytes:
        """Return the signed message, 83 bytes."""
        where = self.chain_id.to_bytes(8, "big") + self.pool + self.campaign.to_bytes(4, "big")
        return _LABEL + where + bytes([self.kind]) + self.period.to_bytes(4, "big") + anchor

    def pass_id(self, anchor: bytes) -> bytes:
        """Name a pass: 32 bytes. Not the anchor alone, which a user may have signed for two periods."""
        return keccak256(self.message(anchor))

    def digest(self, anchor: bytes) -> bytes:
        """SHA-256 of the signed message: what names a pass on the chain."""
        return sha256(self.message(anchor)).digest()

    def require(self, expected: Scope) -> None:
        """Raise PassError `wrong_chain`, `wrong_campaign`, `wrong_kind` or `wrong_period` unless equal."""
        if (self.chain_id, self.pool) != (expected.chain_id, expected.pool):
            raise PassError("wrong_chain", "the pass is of another deployment")
        for name in ("campaign", "kind", "period"):
            mine, wanted = getattr(self, name), getattr(expected, name)
            if mine != wanted:
                raise PassError(f"wrong_{name}", f"the pass is for {name} {mine}, not {wanted}")


@dataclass(frozen=True, slots=True)
class PassRules:
    """What it takes to check passes of one scope.

    Trusted as given: `key` is the one whose hash the pool holds for the scope, `hop_price` (token units) is
    stored beside it, `beacon` (32 bytes) and `count` are frozen for the scope's epoch, or for its term's
    first epoch.
    """

    scope: Scope
    key: PublicKey
    hop_price: Amount
    beacon: bytes
    count: int

    def check(self, anchor: bytes, signature: bytes, position: Position | None) -> None:
        """Check a signature and that it draws the relay at `position` (None: it has none in that epoch).

        Raises PassError `bad_signature` or `wrong_relay`.
        """
        if not blind_rsa.verify(PASS_SUITE, self.key, self.scope.message(anchor), signature):
            raise PassError("bad_signature", "the campaign's key did not sign this pass")
        drawn = drawn_position(signature, self.beacon, self.count)
        if drawn != position:
            raise PassError("wrong_relay", f"the pass draws the relay at position {drawn}")


def drawn_position(signature: bytes, beacon: bytes, count: int) -> Position:
    """Return the registry position that a pass draws. The bias of the remainder is below 2^-223.

    Takes the 256-byte signature, the 32-byte beacon and the count of positions frozen with it.
    Raises ValueError if `count` is not positive.
    """
    if count <= 0:
        raise ValueError("no relay can be drawn from an empty registry")
    return Position(int.from_bytes(keccak256(signature + beacon), "big") % count)


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass as its entry sees it: scope, the 64 heads (2,048 bytes), the signature (256 bytes).

    Raises PassError `malformed` for other lengths.
    """

    scope: Scope
    heads: bytes
    signature: bytes
    anchor: bytes = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.heads) != HEADS_SIZE or len(self.signature) != SIGNATURE_SIZE:
            raise PassError("malformed", "a pass has 2,048 bytes of heads and 256 of signature")
        object.__setattr__(self, "anchor", merkle.root(self.leaves()))

    @property
    def id(self) -> bytes:
        """Name of the pass, 32 bytes."""
        return self.scope.pass_id(self.anchor)

    def head(self, chain: int) -> bytes:
        """Return the head of a chain, 32 bytes."""
        return self.heads[chain * HASH_SIZE : (chain + 1) * HASH_SIZE]

    def leaves(self) -> list[bytes]:
        """Return the 64 leaves below the anchor."""
        return [keccak256(self.head(chain)) for chain in range(CHAINS)]

    def redemption(self, tick: Tick) -> Redemption:
        """What hands this pass in with its furthest tick."""
        proof = tuple(merkle.proof(self.leaves(), tick.chain))
        return Redemption(self.anchor, self.signature, tick, proof)

    def encode(self) -> bytes:
        """Return campaign u32, kind u8, period u32, signature, heads: `PASS_SIZE` bytes."""
        scope = self.scope
        numbers = scope.campaign.to_bytes(4, "big") + bytes([scope.kind]) + scope.period.to_bytes(4, "big")
        return numbers + self.signature + self.heads

    @classmethod
    def decode(cls, data: bytes, chain_id: int, pool: bytes) -> Pass:
        """Read a pass of this deployment. Raises PassError `malformed` or `wrong_kind`."""
        if len(data) != PASS_SIZE:
            raise PassError("malformed", f"a pass has {PASS_SIZE} bytes, not {len(data)}")
        campaign, period = int.from_bytes(data[:4], "big"), int.from_bytes(data[5:9], "big")
        scope = Scope(chain_id, pool, campaign, data[4], period)
        return cls(scope, data[9 + SIGNATURE_SIZE :], data[9 : 9 + SIGNATURE_SIZE])


@dataclass(frozen=True, slots=True)
class Tick:
    """Link k (1 to 256) of a chain (0 to 63): 32 bytes that hash to link k - 1; link 0 is the head.

    Raises PassError `tick_out_of_range` or `malformed`.
    """

    chain: int
    k: int
    link: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not (0 <= self.chain < CHAINS and 1 <= self.k <= LINKS):
            raise PassError("tick_out_of_range", f"there is no link {self.k} of chain {self.chain}")
        if len(self.link) != HASH_SIZE:
            raise PassError("malformed", "a link has 32 bytes")

    @property
    def number(self) -> int:
        """Number of the packet it pays for, from 1; so also what it and all ticks before it are worth."""
        return self.chain * LINKS + self.k


def place(number: int) -> tuple[int, int]:
    """Return (chain, k) of tick `number`, 1 to 16,384."""
    chain, k = divmod(number - 1, LINKS)
    return chain, k + 1


def walk(link: bytes, steps: int) -> bytes:
    """Hash a link `steps` times, towards its head."""
    for _ in range(steps):
        link = keccak256(link)
    return link


@dataclass(frozen=True, slots=True)
class Redemption:
    """What an entry shows for one pass after its period: the furthest tick, and that its chain is the pass's.

    `proof` holds the 6 siblings on the way from the chain's head to the anchor. Raises PassError `malformed`.
    """

    anchor: bytes
    signature: bytes
    tick: Tick
    proof: tuple[bytes, ...]

    def __post_init__(self) -> None:
        sizes = (len(self.anchor), len(self.signature), *map(len, self.proof))
        if sizes != (HASH_SIZE, SIGNATURE_SIZE) + (HASH_SIZE,) * _PROOF_LENGTH:
            raise PassError("malformed", "a part of the redemption has a wrong length")

    def check_link(self) -> None:
        """Check, by at most 263 hashes, that the link leads to the anchor. Raises PassError `bad_link`."""
        leaf = keccak256(walk(self.tick.link, self.tick.k))
        if not merkle.verify(self.anchor, leaf, self.tick.chain, CHAINS, self.proof):
            raise PassError("bad_link", "the link does not lead to the pass's anchor")

    def encode(self) -> bytes:
        """Return anchor, signature, chain u8, k u16, link, proof: `REDEMPTION_SIZE` bytes."""
        where = bytes([self.tick.chain]) + self.tick.k.to_bytes(2, "big")
        return self.anchor + self.signature + where + self.tick.link + b"".join(self.proof)

    @classmethod
    def decode(cls, data: bytes) -> Redemption:
        """Read one redemption. Raises PassError `malformed` or `tick_out_of_range`."""
        if len(data) != REDEMPTION_SIZE:
            raise PassError("malformed", f"a redemption has {REDEMPTION_SIZE} bytes, not {len(data)}")
        parts, offset = [], 0
        for size in (HASH_SIZE, SIGNATURE_SIZE, 1, 2, HASH_SIZE) + (HASH_SIZE,) * _PROOF_LENGTH:
            parts.append(data[offset : offset + size])
            offset += size
        anchor, signature, chain, k, link, *proof = parts
        return cls(anchor, signature, Tick(chain[0], int.from_bytes(k, "big"), link), tuple(proof))
