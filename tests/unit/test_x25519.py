"""X25519 against RFC 7748 and against mathematics: what Project Wycheproof tries, made here anew.

The curve is v² = u³ + 486662·u² + u over 2²⁵⁵ − 19. Every u is on it or on its twist, and the ladder works on
both; so low order is looked for on both, by an addition of our own that knows no list.
"""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_scalarmult
from nacl.exceptions import CryptoError

from mixpay.crypto import x25519

P = 2**255 - 19
SECRET = bytes(range(32))


def exchange(secret: bytes, peer: bytes) -> bytes:
    """An exchange, which is the same with a key for one and with a key for many."""
    try:
        shared = x25519.exchange(secret, peer)
    except ValueError as error:
        with pytest.raises(type(error)):
            x25519.SecretKey(secret).exchange(peer)
        raise
    assert x25519.SecretKey(secret).exchange(peer) == shared
    return shared


def encoded(value: int) -> bytes:
    return value.to_bytes(32, "little")


# What Project Wycheproof calls low order and non-canonical in its X25519 vectors: points of order 1, 2, 4, 8
# of the curve and its twist; values from p on; the top bit, which RFC 7748 would ignore.
ORDER_8 = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
LOW_ORDER = [0, 1, P - 1, *ORDER_8]
TOP_BIT = [2**255 + value for value in (*LOW_ORDER, 9, P - 2)]
NOT_CANONICAL = [*range(P, 2**255), 2 * P, 2 * P + 1, P + 1, P + 9, 2**255 - 1, 2**256 - 1, *TOP_BIT]


def test_gives_the_vectors_of_rfc_7748() -> None:
    # section 6.1: Bob's key pair, Alice's public key, and what they share
    secret = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    public = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    alice = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    shared = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    assert x25519.public_key(secret) == public
    assert exchange(secret, alice) == shared


@pytest.mark.parametrize("value", LOW_ORDER)
def test_exchange_refuses_points_of_low_order(value: int) -> None:
    with pytest.raises(x25519.WeakKey, match="low order"):
        exchange(SECRET, encoded(value))


# RFC 7748, section 5.2: scalar, u, result. The second u has its top bit set, which is no encoding here.
SCALAR_1 = "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"
U_1 = "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"
RESULT_1 = "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
SCALAR_2 = "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"
U_2 = "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"
RESULT_2 = "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"


def test_gives_the_first_vector_of_section_5() -> None:
    assert exchange(bytes.fromhex(SCALAR_1), bytes.fromhex(U_1)).hex() == RESULT_1


def test_gives_the_second_vector_for_its_one_encoding_only() -> None:
    with pytest.raises(x25519.WeakKey, match="encoding"):
        exchange(bytes.fromhex(SCALAR_2), bytes.fromhex(U_2))
    canonical = int.from_bytes(bytes.fromhex(U_2), "little") % 2**255
    assert exchange(bytes.fromhex(SCALAR_2), encoded(canonical)).hex() == RESULT_2


def test_gives_the_iterated_vector() -> None:
    scalar, point = encoded(9), encoded(9)
    for _ in range(1000):
        scalar, point = exchange(scalar, encoded(int.from_bytes(point, "little") % 2**255 % P)), scalar
    assert scalar.hex() == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"


def double(u: int) -> int | None:
    """u of twice a point; None for the point at infinity. Holds on the curve and on its twist."""
    divisor = 4 * u * (u * u + 486662 * u + 1) % P
    return None if divisor == 0 else (u * u - 1) ** 2 * pow(divisor, -1, P) % P


def has_low_order(u: int) -> bool:
    """Whether eight times the point is nothing: the cofactor is 8 on the curve, 4 on the twist."""
    doubled: int | None = u
    for _ in range(3):
        doubled = None if doubled is None else double(doubled)
    return doubled is None


def test_the_points_of_order_8_are_what_doubling_says() -> None:
    assert {double(u) for u in ORDER_8} == {1}  # which has order 4, and 0 order 2
    assert double(1) == double(P - 1) == 0
    assert all(map(has_low_order, LOW_ORDER))


@given(st.integers(0, P - 1) | st.sampled_from([*LOW_ORDER, 2, 9, P - 2]))
def test_exchange_refuses_what_has_low_order_and_takes_the_rest(u: int) -> None:
    if has_low_order(u):
        with pytest.raises(x25519.WeakKey, match="low order"):
            exchange(SECRET, encoded(u))
    else:
        assert any(exchange(SECRET, encoded(u)))


@pytest.mark.parametrize(
    "secret", [bytes(32), b"\xff" * 32, encoded(1), encoded(2**254), encoded(2**255 - 1)]
)
def test_every_secret_is_clamped_to_a_good_one(secret: bytes) -> None:
    """Extreme private keys: none makes an exchange with a good key fail, or agree on nothing."""
    public = x25519.public_key(SECRET)
    assert exchange(secret, public) == exchange(SECRET, x25519.public_key(secret))


@pytest.mark.parametrize(
    "u", [2, 4, 16, 2**254, P - 2, P - 9, int("ab" * 31, 16), 2**51 - 1, 2**102, 2**204 - 1]
)
def test_edges_of_the_field_and_points_of_the_twist_are_taken(u: int) -> None:
    """What an implementation with a wrong carry gets wrong; half of them are on the twist, which is safe."""
    shared = exchange(SECRET, encoded(u))
    assert any(shared) and int.from_bytes(shared, "little") < P
    assert shared == encoded(ladder(SECRET, u))


@given(st.binary(min_size=32, max_size=32), st.integers(2, P - 2))
def test_exchange_agrees_with_a_ladder_in_plain_python(secret: bytes, u: int) -> None:
    if not has_low_order(u):
        assert exchange(secret, encoded(u)) == encoded(ladder(secret, u))


def ladder(secret: bytes, u: int) -> int:
    """X25519 as RFC 7748 writes it (section 5), with numbers of any size."""
    k = int.from_bytes(secret, "little") & ~7 & (2**255 - 1) | 2**254
    x2, z2, x3, z3 = 1, 0, u, 1
    for bit in range(254, -1, -1):
        if k >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        e = a * a - b * b
        x3, z3 = (d * a + c * b) ** 2 % P, u * (d * a - c * b) ** 2 % P
        x2, z2 = a * a * b * b % P, e * (a * a + 121665 * e) % P
        if k >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return x2 * pow(z2, -1, P) % P


@pytest.mark.parametrize("value", LOW_ORDER)
def test_the_list_of_low_order_holds_what_makes_a_zero_secret(value: int) -> None:
    with pytest.raises(CryptoError):
        crypto_scalarmult(SECRET, encoded(value))


@pytest.mark.parametrize("value", NOT_CANONICAL)
def test_exchange_refuses_second_encodings(value: int) -> None:
    with pytest.raises(x25519.WeakKey, match="encoding"):
        exchange(SECRET, encoded(value))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_refuses_keys_of_another_length(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        x25519.public_key(bytes(size))
    with pytest.raises(ValueError, match="32 bytes"):
        exchange(bytes(size), encoded(9))
    with pytest.raises(ValueError, match="32 bytes"):
        exchange(SECRET, bytes(size))


def test_secretKey_isCopied_andDoesNotShowItself() -> None:
    key = x25519.SecretKey(SECRET)
    assert copy.copy(key).exchange(encoded(9)) == x25519.public_key(SECRET)
    assert SECRET.hex() not in repr(key) and repr(SECRET) not in repr(key)
