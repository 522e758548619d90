"""Blind RSA signatures (RFC 9474): a signer signs a message that it cannot read and cannot recognise later.

The four steps are the RFC's `Blind`, `BlindSign`, `Finalize` and the verification of RSASSA-PSS (RFC 8017,
8.1.2). They work on any key size, hash and salt length; the mask generation function is MGF1 with the same
hash. Preparing a message (section 4.1 of the RFC) is the caller's: passes contain a fresh random anchor, so
they need no prefix.

    wallet                                    issuer
    blind(message) ── blinded message ──────▶ blind_sign
    finalize       ◀──── blind signature ────
    signature: unique for a message where the salt is empty

The private operation guards against timing: exponents are used through GMP's side-channel silent power, and
the base is blinded once more by the signer, because an attacker chooses it (RFC 9474, section 8.1). It
guards against a computation fault, one of which would give the key away, by checking the result before it is
released (section 4.3).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import gmpy2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mixpay.crypto import uniform
from mixpay.crypto.hashing import keccak256
from mixpay.errors import MixpayError, PeerError
from mixpay.types import Random

PUBLIC_EXPONENT = 65537
_SMALLEST_KEY = 2048
_TRAILER = b"\xbc"


class BlindRsaError(PeerError):
    """Bytes from the other side are not what the step takes.

    Reasons: `wrong_size`, `out_of_range`, `bad_signature`, `bad_key`, `bad_blinding`, and of
    `rsa_permutation` `not_proven`.
    """


class SigningFault(MixpayError):
    """The private operation gave a wrong result, which was not released. The machine is not to be trusted."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A hash of RSASSA-PSS, by its name in `hashlib`, and the salt's length in bytes."""

    hash_name: str
    salt_length: int

    def digest(self, data: bytes) -> bytes:
        """Hash `data`."""
        return hashlib.new(self.hash_name, data).digest()


PASS_SUITE = Suite("sha256", 0)
"""What passes use: deterministic, so a signature is unique, and within reach of a contract."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Modulus and exponent. Raises BlindRsaError `bad_key` for an even modulus or one below 2,048 bits."""

    n: int
    e: int = PUBLIC_EXPONENT

    def __post_init__(self) -> None:
        if self.bits < _SMALLEST_KEY or self.n % 2 == 0:
            raise BlindRsaError("bad_key", f"the modulus must be odd and have at least {_SMALLEST_KEY} bits")
        if self.e < 3 or self.e % 2 == 0:
            raise BlindRsaError("bad_key", "the exponent must be odd and at least 3")

    @property
    def bits(self) -> int:
        """Length of the modulus in bits."""
        return self.n.bit_length()

    @property
    def size(self) -> int:
        """Length in bytes of the modulus, of a blinded message and of a signature."""
        return (self.bits + 7) // 8

    def to_bytes(self) -> bytes:
        """Return the modulus, big-endian, `size` bytes (256 for RSA-2048)."""
        return self.n.to_bytes(self.size, "big")

    @classmethod
    def from_bytes(cls, modulus: bytes, size: int = 256) -> PublicKey:
        """Read a modulus of exactly `size` bytes whose first bit is set; the exponent is 65537.

        Raises BlindRsaError `wrong_size` or `bad_key`.
        """
        if len(modulus) != size:
            raise BlindRsaError("wrong_size", f"a public key has {size} bytes, not {len(modulus)}")
        if modulus[0] < 0x80:
            raise BlindRsaError("bad_key", "the modulus is shorter than its encoding")
        return cls(int.from_bytes(modulus, "big"))

    def key_hash(self) -> bytes:
        """Return the 32 bytes that name this key on the chain: keccak256 of the modulus."""
        return keccak256(self.to_bytes())


@dataclass(frozen=True, slots=True)
class SecretKey:
    """Two primes and what the Chinese remainder theorem makes of them; nothing of it is shown by `repr`.

    Raises BlindRsaError `bad_key` if the primes are equal or the exponent has no inverse.
    """

    p: int = field(repr=False)
    q: int = field(repr=False)
    e: int = PUBLIC_EXPONENT
    public: PublicKey = field(init=False)
    _crt: tuple[Any, Any, Any, Any, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        p, q = gmpy2.mpz(self.p), gmpy2.mpz(self.q)
        try:
            crt = (p, q, gmpy2.invert(self.e, p - 1), gmpy2.invert(self.e, q - 1), gmpy2.invert(q, p))
        except ZeroDivisionError:
            raise BlindRsaError("bad_key", "primes and exponent do not make a key") from None
        object.__setattr__(self, "public", PublicKey(self.p * self.q, self.e))
        object.__setattr__(self, "_crt", crt)

    @classmethod
    def generate(cls, bits: int = 2048) -> SecretKey:
        """Make a key with OpenSSL and the operating system's randomness; takes about 0.1 s for 2,048 bits."""
        return cls._from_openssl(rsa.generate_private_key(PUBLIC_EXPONENT, bits))

    @classmethod
    def from_pem(cls, pem: bytes, password: bytes | None = None) -> SecretKey:
        """Read a PKCS #8 private key. Raises BlindRsaError `bad_key` (wrong password, not RSA, damaged)."""
        try:
            key = serialization.load_pem_private_key(pem, password)
        except (ValueError, TypeError) as error:
            raise BlindRsaError("bad_key", str(error)) from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BlindRsaError("bad_key", "this is not an RSA key")
        return cls._from_openssl(key)

    @classmethod
    def _from_openssl(cls, key: rsa.RSAPrivateKey) -> SecretKey:
        numbers = key.private_numbers()
        return cls(numbers.p, numbers.q, numbers.public_numbers.e)

    def root(self, number: int, exponent: int) -> int:
        """Return the root of a number modulo n, for any exponent. Raises ZeroDivisionError if it has none.

        For numbers that no stranger chooses: it is not blinded.
        """
        p, q, _, _, q_inverse = self._crt
        root_p = gmpy2.powmod_sec(number % p, gmpy2.invert(exponent, p - 1), p)
        root_q = gmpy2.powmod_sec(number % q, gmpy2.invert(exponent, q - 1), q)
        return int(root_q + q * ((root_p - root_q) * q_inverse % p))

    def to_pem(self, password: bytes | None = None) -> bytes:
        """Return the key in PKCS #8, encrypted if a password is given."""
        p, q = self.p, self.q
        d = int(gmpy2.invert(self.e, gmpy2.lcm(p - 1, q - 1)))
        numbers = rsa.RSAPrivateNumbers(
            p=p,
            q=q,
            d=d,
            dmp1=rsa.rsa_crt_dmp1(d, p),
            dmq1=rsa.rsa_crt_dmq1(d, q),
            iqmp=rsa.rsa_crt_iqmp(p, q),
            public_numbers=rsa.RSAPublicNumbers(self.e, self.public.n),
        )
        secrecy: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            secrecy = serialization.BestAvailableEncryption(password)
        return numbers.private_key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secrecy
        )


@dataclass(frozen=True, slots=True)
class Blinded:
    """What `blind` made: `message` goes to the signer, `inverse` stays here and unblinds the answer."""

    message: bytes
    inverse: bytes = field(repr=False)


def blind(suite: Suite, key: PublicKey, message: bytes, random: Random) -> Blinded:
    """Encode and blind a message for the signer. Both fields of the result have `key.size` bytes.

    Takes from `random` first the salt, then the blinding factor. Raises BlindRsaError `bad_blinding` if the
    message or the factor has no inverse modulo n: nobody meets that with an honest key.
    """
    encoded = int.from_bytes(encode(suite, message, key.bits - 1, random(suite.salt_length)), "big")
    factor = uniform.below(key.n, random)
    if gmpy2.gcd(encoded, key.n) != 1:
        raise BlindRsaError("bad_blinding", "the message has a factor in common with the modulus")
    blinding, inverse = _blinding(key, factor)
    blinded = encoded * blinding % key.n
    return Blinded(int(blinded).to_bytes(key.size, "big"), int(inverse).to_bytes(key.size, "big"))


def blind_sign(key: SecretKey, blinded_message: bytes, random: Random) -> bytes:
    """Sign what a wallet blinded; `key.public.size` bytes in and out.

    Raises BlindRsaError `wrong_size` or `out_of_range` (not below the modulus), SigningFault if the result
    does not verify.
    """
    public = key.public
    message = _element(public, blinded_message)
    blinding, inverse = _blinding(public, uniform.below(public.n, random))
    p, q, dp, dq, q_inverse = key._crt
    base = message * blinding % public.n
    root_p, root_q = gmpy2.powmod_sec(base % p, dp, p), gmpy2.powmod_sec(base % q, dq, q)
    signed = (root_q + q * ((root_p - root_q) * q_inverse % p)) * inverse % public.n
    if gmpy2.powmod(signed, public.e, public.n) != message:
        raise SigningFault("a blind signature came out wrong and was not released")
    return int(signed).to_bytes(public.size, "big")


def finalize(suite: Suite, key: PublicKey, message: bytes, blind_signature: bytes, inverse: bytes) -> bytes:
    """Unblind the signer's answer and return the signature of `message`, `key.size` bytes.

    Raises BlindRsaError `wrong_size`, `out_of_range` or `bad_signature`.
    """
    signed = _element(key, blind_signature) * int.from_bytes(inverse, "big") % key.n
    signature = int(signed).to_bytes(key.size, "big")
    if not verify(suite, key, message, signature):
        raise BlindRsaError("bad_signature", "the signer's answer does not verify")
    return signature


def verify(suite: Suite, key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Check an RSASSA-PSS signature: exactly `key.size` bytes, below the modulus, of this salt length."""
    if len(signature) != key.size:
        return False
    verifier, pss, algorithm = _verifier(suite, key)
    try:
        verifier.verify(signature, message, pss, algorithm)
    except InvalidSignature:
        return False
    return True


def encode(suite: Suite, message: bytes, bits: int, salt: bytes) -> bytes:
    """EMSA-PSS-ENCODE (RFC 8017, section 9.1.1) into `bits` bits, ceil(bits / 8) bytes."""
    size = (bits + 7) // 8
    digest = suite.digest(bytes(8) + suite.digest(message) + salt)
    padding_size = size - len(salt) - len(digest) - 2
    if padding_size < 0:
        raise ValueError("the key is too short for this hash and salt")
    block = bytes(padding_size) + b"\x01" + salt
    mask = _mask(suite, digest, len(block))
    masked = int.from_bytes(block, "big") ^ int.from_bytes(mask, "big")
    masked &= (1 << (8 * len(block) - (8 * size - bits))) - 1
    return masked.to_bytes(len(block), "big") + digest + _TRAILER


def _mask(suite: Suite, seed: bytes, size: int) -> bytes:
    """MGF1 (RFC 8017, appendix B.2.1)."""
    mask = b""
    counter = 0
    while len(mask) < size:
        mask += suite.digest(seed + counter.to_bytes(4, "big"))
        counter += 1
    return mask[:size]


def _element(key: PublicKey, encoded: bytes) -> Any:
    """Read a number below the modulus from exactly `key.size` bytes."""
    if len(encoded) != key.size:
        raise BlindRsaError("wrong_size", f"expected {key.size} bytes, got {len(encoded)}")
    number = gmpy2.mpz(int.from_bytes(encoded, "big"))
    if number >= key.n:
        raise BlindRsaError("out_of_range", "the number is not below the modulus")
    return number


def _blinding(key: PublicKey, factor: int) -> tuple[Any, Any]:
    """Return factor^e and the factor's inverse, modulo n."""
    try:
        inverse = gmpy2.invert(factor, key.n)
    except ZeroDivisionError:
        raise BlindRsaError("bad_blinding", "the blinding factor has no inverse") from None
    return gmpy2.powmod(factor, key.e, key.n), inverse


@lru_cache(maxsize=256)
def _verifier(suite: Suite, key: PublicKey) -> tuple[rsa.RSAPublicKey, padding.PSS, hashes.HashAlgorithm]:
    """OpenSSL's form of a key: making it costs more than a verification, and few are in use at a time."""
    algorithm: hashes.HashAlgorithm = getattr(hashes, suite.hash_name.upper())()
    pss = padding.PSS(padding.MGF1(algorithm), suite.salt_length)
    return rsa.RSAPublicNumbers(key.e, key.n).public_key(), pss, algorithm
