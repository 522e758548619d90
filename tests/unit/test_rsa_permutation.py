"""The proof that an RSA key is a permutation: honest keys have one, and keys that grind have none."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from random import Random

import gmpy2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay.crypto import rsa_permutation
from mixpay.crypto.blind_rsa import PUBLIC_EXPONENT as E
from mixpay.crypto.blind_rsa import BlindRsaError, PublicKey, SecretKey
from mixpay.crypto.rsa_permutation import PROOF_SIZE, ROOTS, ProvenKey, prove, verify

DICE = Random(9474)  # noqa: S311 - keys for tests


@cache
def prime(bits: int, modulus: int = 2) -> int:
    """A prime of so many bits that is 1 modulo `modulus`, the first two bits set."""
    steps = modulus * 2 if modulus % 2 else modulus
    number = DICE.getrandbits(bits - 2) | 3 << (bits - 2)
    number += 1 - number % steps
    while not gmpy2.is_prime(number):
        number += steps
    return number


@cache
def honest() -> SecretKey:
    return SecretKey(prime(1024), prime(1024, 4))


def roots(primes: list[int], repeated: int = 1) -> bytes:
    """The best proof that somebody can make who knows the primes: where there is a root, it is in it.

    The first prime counts `repeated` times in the modulus.
    """
    n = primes[0] ** (repeated - 1)
    phi = n
    for p in primes:
        n, phi = n * p, phi * (p - 1)
    key = PublicKey(n)
    # Of a group of order a·b, b having all primes of e·N: what is no b-th residue has no root.
    rest = phi
    while (common := gmpy2.gcd(rest, E * n)) != 1:
        rest //= common
    inverse = gmpy2.invert(E * n, rest)
    found = (int(gmpy2.powmod(rsa_permutation._number(key, place), inverse, n)) for place in range(ROOTS))
    return b"".join(root.to_bytes(256, "big") for root in found)


def test_honestKey_isProven_andTheProofIsAlwaysTheSame():
    key = honest()
    proof = prove(key)
    assert len(proof) == PROOF_SIZE
    assert verify(key.public, proof)
    assert prove(key) == proof
    assert ProvenKey.of(key).checked() == key.public
    assert roots([key.p, key.q]) == proof


def test_proof_isWhatItWas():
    """Of a key that follows from a constant: another reading of the hash would show here."""
    numbers = Random(2048)  # noqa: S311 - a key for tests
    p, q = (int(gmpy2.next_prime(numbers.getrandbits(1022) | 3 << 1022)) for _ in range(2))
    digest = sha256(prove(SecretKey(p, q))).hexdigest()
    assert digest == "6c729481279fb6aadb07ebda6864f97a41a24f76c4532f0f6e6bb02d04e97d59"


def test_generatedKeys_areProven():
    key = SecretKey.generate()
    assert verify(key.public, prove(key))


def test_exponentThatDividesPhi_hasNoProof():
    """Such a key has 65,537 signatures for one message in 65,537, and none for the others."""
    primes = [prime(1024, E), prime(1024)]
    key = PublicKey(primes[0] * primes[1])
    with pytest.raises(BlindRsaError):
        SecretKey(*primes)
    assert not verify(key, roots(primes))


def test_squareInTheModulus_hasNoProof():
    primes = [prime(683), prime(682, 4)]
    assert not verify(PublicKey(primes[0] ** 2 * primes[1]), roots(primes, repeated=2))


def test_primeThatDividesAnotherLessOne_hasNoProof():
    p = prime(682)
    q = prime(1366, p)
    assert not verify(PublicKey(p * q), roots([p, q]))
    with pytest.raises(BlindRsaError, match="permutation"):
        prove(SecretKey(p, q))


@pytest.mark.parametrize(("factor", "taken"), [(65_521, False), (65_539, True)])
def test_smallFactor_isRefused_thoughAllRootsAreThere(factor: int, taken: bool):
    """For then a root is there by luck too often."""
    primes = [factor, prime(2032)]
    key = PublicKey(primes[0] * primes[1])
    proof = roots(primes)
    n, size = key.n, key.size
    first = int.from_bytes(proof[:size], "big")
    assert gmpy2.powmod(first, E * n, n) == rsa_permutation._number(key, 0)
    assert verify(key, proof) is taken


@given(place=st.integers(0, PROOF_SIZE * 8 - 1))
@settings(max_examples=20, deadline=None)
def test_proof_withOneBitChanged_isRefused(place: int):
    number = int.from_bytes(prove(honest()), "big") ^ 1 << place
    assert not verify(honest().public, number.to_bytes(PROOF_SIZE, "big"))


def test_proof_hasOneEncoding():
    """A root and the root plus N are the same modulo N."""
    key, proof = honest().public, prove(honest())
    for place in range(ROOTS):
        first, last = proof[: 256 * place], proof[256 * (place + 1) :]
        shifted = int.from_bytes(proof[256 * place : 256 * (place + 1)], "big") + key.n
        if shifted < 1 << 2048:
            assert not verify(key, first + shifted.to_bytes(256, "big") + last)
    assert not verify(key, proof + b"\0")
    assert not verify(key, proof[:-256])
    assert not verify(key, b"")


def test_proof_ofAnotherKey_isRefused():
    other = SecretKey(prime(1024, 8), prime(1024, 16))
    assert not verify(other.public, prove(honest()))
    with pytest.raises(BlindRsaError) as refusal:
        ProvenKey(other.public.to_bytes(), prove(honest())).checked()
    assert refusal.value.reason == "not_proven"


def test_numbersOfAKey_areBelowItsModulus_andAllDifferent():
    key = honest().public
    numbers = {rsa_permutation._number(key, place) for place in range(ROOTS)}
    assert len(numbers) == ROOTS
    assert all(number < key.n for number in numbers)
    assert max(numbers).bit_length() > 2040
