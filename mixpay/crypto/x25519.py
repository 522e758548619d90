"""X25519 (RFC 7748) that refuses every public key it could not trust.

A key that is used once goes to libsodium. OpenSSL makes the public half of every secret key that it is given:
twice the cost for one exchange, but a sixth less for each of many with the same key.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

KEY_SIZE = 32

_FIELD_PRIME = 2**255 - 19
_LOW_ORDER = frozenset(
    value.to_bytes(KEY_SIZE, "little")
    for value in (
        0,
        1,
        _FIELD_PRIME - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
)
"""Every canonical u-coordinate of order 1, 2, 4 or 8 on the curve and its twist."""


class WeakKey(ValueError):
    """A public key of low order, or not in its one encoding: the shared secret would be no secret."""


class SecretKey:
    """A secret key, any 32 bytes, made ready for many exchanges. Raises ValueError for another length."""

    __slots__ = ("_key",)

    def __init__(self, secret_key: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(secret_key)

    def __reduce__(self) -> tuple[type[SecretKey], tuple[bytes]]:
        return SecretKey, (self._key.private_bytes_raw(),)  # workers have keys, too

    def exchange(self, peer_key: bytes) -> bytes:
        """See `exchange`."""
        _refuse_weak(peer_key)
        try:
            return self._key.exchange(X25519PublicKey.from_public_bytes(peer_key))
        except ValueError as error:
            raise WeakKey("the shared secret is zero") from error


def public_key(secret_key: bytes) -> bytes:
    """Return the public key, 32 bytes, of any 32 secret bytes. Raises ValueError for another length."""
    if len(secret_key) != KEY_SIZE:
        raise ValueError(f"an X25519 key has {KEY_SIZE} bytes")
    result: bytes = crypto_scalarmult_base(secret_key)
    return result


def exchange(secret_key: bytes, peer_key: bytes) -> bytes:
    """Return the shared secret, 32 bytes, never zero. Raises WeakKey, or ValueError for other lengths."""
    if len(secret_key) != KEY_SIZE:
        raise ValueError(f"an X25519 key has {KEY_SIZE} bytes")
    _refuse_weak(peer_key)
    try:
        shared: bytes = crypto_scalarmult(secret_key, peer_key)
    except CryptoError as error:
        raise WeakKey("the shared secret is zero") from error
    return shared


def _refuse_weak(peer_key: bytes) -> None:
    if len(peer_key) != KEY_SIZE:
        raise ValueError(f"an X25519 key has {KEY_SIZE} bytes")
    if int.from_bytes(peer_key, "little") >= _FIELD_PRIME:
        raise WeakKey("not the one encoding of a point")
    if peer_key in _LOW_ORDER:
        raise WeakKey("a point of low order")
