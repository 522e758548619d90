"""LIONESS, a block cipher as wide as the message: a change of any bit of the ciphertext scrambles all of it.

Anderson, Biham: *Two practical and provably secure block ciphers: BEAR and LION*, FSE 1996: four rounds of an
unbalanced Feistel network. Here the left side has 32 bytes, the stream cipher is ChaCha20 (RFC 8439) and the
keyed hash is BLAKE2b (RFC 7693), 32 bytes out. A key enciphers one message only: there is no nonce.
"""

from __future__ import annotations

from hashlib import blake2b

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

KEY_SIZE = 128
"""Four round keys of 32 bytes."""

LEFT_SIZE = 32

_NONCE = bytes(12)
_TAG_SIZE = 16


def encrypt(key: bytes, block: bytes) -> bytes:
    """Encipher a block of more than 32 bytes under a 128-byte key; same length out.

    Raises ValueError for another length of key or block.
    """
    first, second, third, fourth = _round_keys(key, block)
    left, right = block[:LEFT_SIZE], block[LEFT_SIZE:]
    right = _stream(_xor(left, first), right)
    left = _xor(left, _hash(second, right))
    right = _stream(_xor(left, third), right)
    return _xor(left, _hash(fourth, right)) + right


def decrypt(key: bytes, block: bytes) -> bytes:
    """Undo `encrypt`. Every block of the right length deciphers to something: nothing is authenticated here.

    Raises ValueError for another length of key or block.
    """
    first, second, third, fourth = _round_keys(key, block)
    left, right = block[:LEFT_SIZE], block[LEFT_SIZE:]
    left = _xor(left, _hash(fourth, right))
    right = _stream(_xor(left, third), right)
    left = _xor(left, _hash(second, right))
    return left + _stream(_xor(left, first), right)


def _round_keys(key: bytes, block: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    if len(key) != KEY_SIZE:
        raise ValueError(f"a key has {KEY_SIZE} bytes")
    if len(block) <= LEFT_SIZE:
        raise ValueError(f"a block has more than {LEFT_SIZE} bytes")
    return key[:32], key[32:64], key[64:96], key[96:]


def _stream(key: bytes, data: bytes) -> bytes:
    """Add ChaCha20's key stream (block counter from 1, nonce zero) to `data`.

    The AEAD without its tag is that very stream, and costs half of what setting up the bare cipher does.
    """
    return ChaCha20Poly1305(key).encrypt(_NONCE, data, None)[:-_TAG_SIZE]


def _hash(key: bytes, data: bytes) -> bytes:
    return blake2b(data, key=key, digest_size=LEFT_SIZE).digest()


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(LEFT_SIZE, "big")
