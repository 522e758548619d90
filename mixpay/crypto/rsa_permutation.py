"""Proof that an RSA key is a permutation: that every message has exactly one signature under it.

After S. Goldberg, L. Reyzin, O. Sagga, F. Baldimtsi, *Efficient Noninteractive Certification of RSA Moduli
and Beyond* (ASIACRYPT 2019). Whoever made the key shows (e·N)-th roots of numbers that a hash of it names.

Why that is enough. Let e be prime, and N have no prime factor below 2^16. If x ↦ x^e is no permutation of the
integers modulo N, a prime r divides both e·N and φ(N), and r > 2^16. Then r² divides N, and among the numbers
modulo r² one in r is an r-th power; or r divides p - 1 for a prime p of N, so p > 2r, and among the numbers
modulo p at most 1/r + 1/p < 1.5/r are. A number drawn by hash has a root with probability 1.5 · 2^-16 at
most; nine have with 2^-138. Conversely gcd(e·N, φ(N)) = 1 means that N is square-free and e has an inverse,
which makes the map a permutation, and every honest key has the roots.

The proof is 9 numbers modulo N of 256 bytes, big-endian. Checking one takes about 30 ms, making one 10 ms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from hashlib import shake_256
from typing import Any

import gmpy2

from mixpay.crypto.blind_rsa import PUBLIC_EXPONENT, BlindRsaError, PublicKey, SecretKey

ROOTS = 9
PROOF_SIZE = ROOTS * 256
"""Bytes of a proof for a key of 2,048 bits."""

_SMALLEST_FACTOR = 1 << 16
_LABEL = b"mixpay-rsa-permutation-v1"


@dataclass(frozen=True, slots=True)
class ProvenKey:
    """The modulus (256 bytes, e = 65537) of a key, and the proof (2,304 bytes), not yet checked."""

    modulus: bytes
    proof: bytes = field(repr=False)

    @classmethod
    def of(cls, key: SecretKey) -> ProvenKey:
        """A key and its proof. Raises BlindRsaError `bad_key`, as `prove`."""
        return cls(key.public.to_bytes(), prove(key))

    def checked(self) -> PublicKey:
        """The key, if it is proven. Raises BlindRsaError `wrong_size` or `bad_key`, `not_proven` if not."""
        key = PublicKey.from_bytes(self.modulus)
        if not verify(key, self.proof):
            raise BlindRsaError("not_proven", "nothing proves that the key is a permutation")
        return key


def prove(key: SecretKey) -> bytes:
    """Return the proof for a key: `ROOTS` times `key.public.size` bytes, always the same ones.

    Raises BlindRsaError `bad_key` for a key that has none: one prime divides the other less one, say.
    """
    public = key.public
    try:
        roots = [key.root(_number(public, place), public.e * public.n) for place in range(ROOTS)]
    except ZeroDivisionError:
        raise BlindRsaError("bad_key", "the key is no permutation") from None
    return b"".join(root.to_bytes(public.size, "big") for root in roots)


def verify(key: PublicKey, proof: bytes) -> bool:
    """Whether the proof shows that the key is a permutation. The exponent must be 65537."""
    return Verifier(key).accepts(proof)


class Verifier:
    """Checks what is shown as the proof for one key, and each right root only once: of a permutation there is
    no other. So whoever shows wrong proofs has one root of each checked, which takes 3 ms.
    """

    def __init__(self, key: PublicKey) -> None:
        self._key = key
        self._roots: list[bytes] = []

    def accepts(self, proof: bytes) -> bool:
        """Whether the proof shows that the key is a permutation."""
        key, size = self._key, self._key.size
        if key.e != PUBLIC_EXPONENT or len(proof) != ROOTS * size or gmpy2.gcd(_small_primes(), key.n) != 1:
            return False
        for place in range(ROOTS):
            root = proof[place * size : (place + 1) * size]
            if place < len(self._roots):
                if root != self._roots[place]:
                    return False
            elif _is_root(key, place, root):
                self._roots.append(root)
            else:
                return False
        return True


def _is_root(key: PublicKey, place: int, root: bytes) -> bool:
    number = int.from_bytes(root, "big")
    return number < key.n and gmpy2.powmod(number, key.e * key.n, key.n) == _number(key, place)


def _number(key: PublicKey, place: int) -> int:
    """The number at a place, uniform modulo N: the first of a series of hashes that lies below N."""
    surplus, attempt = 8 * key.size - key.bits, 0
    while True:
        where = bytes([place]) + attempt.to_bytes(4, "big")
        digest = shake_256(_LABEL + key.e.to_bytes(4, "big") + where + key.to_bytes()).digest(key.size)
        number = int.from_bytes(digest, "big") >> surplus
        if number < key.n:
            return number
        attempt += 1


@cache
def _small_primes() -> Any:
    """Product of all primes below 2^16."""
    return gmpy2.primorial(_SMALLEST_FACTOR)
