"""The wallet's side of a pass: ask, unblind, spend.

Everything secret about a pass follows from one 32-byte seed: the tip of chain c is BLAKE2b-256 of c under
the seed, link k is the tip hashed 256 - k times. So a wallet keeps a seed, a signature and one counter.

The counter must not go back, for a link shown twice pays once: but where the relay that alone is shown them
says, and shows, that it holds no further one. `reserve` names the number to put
on disk *before* the ticks it frees are sent; after a restart the spender begins behind everything that was
reserved. What was reserved and not sent is lost to the user and paid to the entry, so reserve a few dozen
at a time.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from mixpay import merkle
from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import PASS_SUITE, PublicKey
from mixpay.crypto.hashing import keccak256
from mixpay.errors import MixpayError
from mixpay.passes.terms import CHAINS, HASH_SIZE, LINKS, TICKS, Pass, Scope, Tick, place, walk
from mixpay.typed import typed
from mixpay.types import Random

_SEED_SIZE = 32
_PERSON = b"mixpay-chain-v1"


class PassExhausted(MixpayError):
    """No tick is left in this pass; the wallet asks for another one."""


class ForgedTick(MixpayError):
    """A relay claims to hold a tick that it was never shown: the next one would pay for those before it."""


def _tip(seed: bytes, chain: int) -> bytes:
    return blake2b(bytes([chain]), key=seed, digest_size=HASH_SIZE, person=_PERSON).digest()


def _heads(seed: bytes) -> bytes:
    """The 64 heads, 16,384 hashes: about 10 ms, once for a pass."""
    return b"".join(walk(_tip(seed, chain), LINKS) for chain in range(CHAINS))


def _links(seed: bytes, chain: int) -> list[bytes]:
    """All links of a chain; the item at k is link k, the item at 0 the head."""
    links = [_tip(seed, chain)]
    for _ in range(LINKS):
        links.append(keccak256(links[-1]))
    links.reverse()
    return links


@dataclass(frozen=True, slots=True)
class OwnedPass:
    """A pass with the seed of its chains (32 bytes): what a wallet stores, once, beside the counter."""

    scope: Scope
    signature: bytes
    seed: bytes = field(repr=False)

    def shown(self) -> Pass:
        """Return what the entry gets to see; takes about 10 ms."""
        return Pass(self.scope, _heads(self.seed), self.signature)

    def to_record(self) -> bytes:
        """Encode for the wallet's store. The record is secret: who has it can spend the pass."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_record(cls, record: bytes) -> OwnedPass:
        """Read a record of `to_record`. Raises msgspec.DecodeError if it is damaged."""
        return msgspec.msgpack.decode(record, type=typed(cls))


@dataclass(frozen=True, slots=True)
class PassRequest:
    """A pass that waits for its signature. `blinded` (256 bytes) goes to the issuer, the rest stays.

    `modulus` is the issuer's key for the scope; the caller has checked that the pool holds its hash.
    """

    scope: Scope
    modulus: bytes
    blinded: bytes
    seed: bytes = field(repr=False)
    inverse: bytes = field(repr=False)

    @classmethod
    def new(cls, scope: Scope, key: PublicKey, random: Random) -> PassRequest:
        """Draw a seed and blind its anchor. Raises BlindRsaError `bad_blinding` for a key that is no key."""
        seed = random(_SEED_SIZE)
        blinded = blind_rsa.blind(PASS_SUITE, key, scope.message(_anchor(seed)), random)
        return cls(scope, key.to_bytes(), blinded.message, seed, blinded.inverse)

    def finish(self, blind_signature: bytes) -> OwnedPass:
        """Unblind the issuer's answer, 256 bytes. Raises BlindRsaError if it does not sign this pass."""
        key = PublicKey.from_bytes(self.modulus)
        message = self.scope.message(_anchor(self.seed))
        signature = blind_rsa.finalize(PASS_SUITE, key, message, blind_signature, self.inverse)
        return OwnedPass(self.scope, signature, self.seed)

    def to_record(self) -> bytes:
        """Encode for the wallet's store, so that a crash before the answer does not cost a pass. Secret."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_record(cls, record: bytes) -> PassRequest:
        """Read a record of `to_record`. Raises msgspec.DecodeError if it is damaged."""
        return msgspec.msgpack.decode(record, type=typed(cls))


def _anchor(seed: bytes) -> bytes:
    heads = _heads(seed)
    cuts = range(0, len(heads), HASH_SIZE)
    return merkle.root([keccak256(heads[cut : cut + HASH_SIZE]) for cut in cuts])


class PassSpender:
    """Hands out the ticks of one pass in order, each once.

    `counter` is the number last stored for this pass, 0 for a new one: all ticks up to it count as spent.
    """

    def __init__(self, owned: OwnedPass, counter: int = 0) -> None:
        if not 0 <= counter <= TICKS:
            raise ValueError(f"a counter lies between 0 and {TICKS}")
        self._owned = owned
        self._spent = counter
        self._reserved = counter
        self._chain = -1
        self._links: list[bytes] = []

    @property
    def spent(self) -> int:
        """Number of the last tick handed out."""
        return self._spent

    @property
    def left(self) -> int:
        """Ticks not yet handed out."""
        return TICKS - self._spent

    @property
    def ready(self) -> int:
        """Ticks that `next_tick` hands out before the next `reserve`."""
        return self._reserved - self._spent

    def reserve(self, count: int) -> int:
        """Free the next `count` ticks, or what is left, and return the counter to store before any is sent.

        Raises PassExhausted if none is left, ValueError if `count` is not positive.
        """
        if count <= 0:
            raise ValueError("reserve at least one tick")
        if self.left == 0:
            raise PassExhausted("all ticks of this pass are spent")
        self._reserved = max(self._reserved, min(self._spent + count, TICKS))
        return self._reserved

    def next_tick(self) -> Tick:
        """Return the next tick. Raises PassExhausted at the end, RuntimeError if it was not reserved."""
        if self.left == 0:
            raise PassExhausted("all ticks of this pass are spent")
        if self._spent == self._reserved:
            raise RuntimeError("ticks are reserved, and the counter stored, before they are spent")
        self._spent += 1
        chain, k = place(self._spent)
        if chain != self._chain:
            self._chain, self._links = chain, _links(self._owned.seed, chain)
        return Tick(chain, k, self._links[k])

    def take_over(self, furthest: int, link: bytes) -> int:
        """Go on behind the furthest tick that a relay holds, wherever that is; returns the counter to store.

        A wallet restored from an old copy has spent what lies before it. Raises ForgedTick unless the link
        (32 bytes) is that tick's.
        """
        if furthest:
            if not 0 < furthest <= TICKS:
                raise ForgedTick(f"tick numbers end at {TICKS}")
            chain, k = place(furthest)
            if not hmac.compare_digest(walk(_tip(self._owned.seed, chain), LINKS - k), link):
                raise ForgedTick(f"the relay was never shown tick {furthest}, which it claims to hold")
        self._spent = self._reserved = furthest
        return self._reserved

    def jump(self, count: int) -> Tick:
        """The tick `count` behind the last one, of those that are reserved: it pays for all between."""
        if not 0 < count <= self.ready:
            raise RuntimeError("ticks are reserved, and the counter stored, before they are spent")
        self._spent += count - 1
        return self.next_tick()
