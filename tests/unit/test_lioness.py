import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay.crypto import lioness

keys = st.binary(min_size=128, max_size=128)
blocks = st.binary(min_size=33, max_size=300)


def plain_lioness(key: bytes, block: bytes) -> bytes:
    """The paper's four rounds with the bare stream cipher: what the module must agree with."""

    def stream(part: bytes, data: bytes) -> bytes:
        nonce = struct.pack("<I12s", 1, bytes(12))  # first block counter 1, as the AEAD of RFC 8439 has it
        return Cipher(algorithms.ChaCha20(part, nonce), mode=None).encryptor().update(data)

    def mix(a: bytes, b: bytes) -> bytes:
        return bytes(x ^ y for x, y in zip(a, b, strict=True))

    def digest(part: bytes, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=part, digest_size=32).digest()

    k1, k2, k3, k4 = (key[start : start + 32] for start in range(0, 128, 32))
    left, right = block[:32], block[32:]
    right = stream(mix(left, k1), right)
    left = mix(left, digest(k2, right))
    right = stream(mix(left, k3), right)
    return mix(left, digest(k4, right)) + right


@settings(max_examples=60, deadline=None)
@given(keys, blocks)
def test_encrypt_is_lioness_over_chacha20_and_blake2b(key: bytes, block: bytes) -> None:
    assert lioness.encrypt(key, block) == plain_lioness(key, block)


@settings(max_examples=60, deadline=None)
@given(keys, blocks)
def test_decrypt_undoes_encrypt_and_the_other_way_round(key: bytes, block: bytes) -> None:
    assert lioness.decrypt(key, lioness.encrypt(key, block)) == block
    assert lioness.encrypt(key, lioness.decrypt(key, block)) == block


def test_known_answer() -> None:
    block = bytes(i % 251 for i in range(2064))
    enciphered = lioness.encrypt(bytes(range(128)), block)
    digest = "2d988502f38cb4d08ae641f3aa7f85634f340c7585966ed4ce5de16394bf7861"
    assert hashlib.sha256(enciphered).hexdigest() == digest


@settings(max_examples=60, deadline=None)
@given(keys, st.binary(min_size=300, max_size=300), st.integers(0, 300 * 8 - 1))
def test_one_bit_of_ciphertext_changes_about_half_of_all_bits(key: bytes, block: bytes, bit: int) -> None:
    for function, inverse in ((lioness.encrypt, lioness.decrypt), (lioness.decrypt, lioness.encrypt)):
        changed = bytearray(function(key, block))
        changed[bit // 8] ^= 1 << bit % 8
        other = inverse(key, bytes(changed))
        distance = (int.from_bytes(other, "big") ^ int.from_bytes(block, "big")).bit_count()
        assert 1000 < distance < 1400  # of 2,400: eight standard deviations around the half
        assert other[:16] != block[:16]


@settings(max_examples=20, deadline=None)
@given(keys, st.integers(0, 128 * 8 - 1))
def test_every_bit_of_the_key_matters(key: bytes, bit: int) -> None:
    other = bytearray(key)
    other[bit // 8] ^= 1 << bit % 8
    block = bytes(100)
    assert lioness.decrypt(bytes(other), lioness.encrypt(key, block)) != block


@pytest.mark.parametrize("function", [lioness.encrypt, lioness.decrypt])
def test_refuses_other_sizes(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match="128"):
        function(bytes(127), bytes(100))
    with pytest.raises(ValueError, match="32"):
        function(bytes(128), bytes(32))
