import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay.crypto import secp256k1
from mixpay.crypto.secp256k1 import N

G = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
G2 = bytes.fromhex("02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5")
FIELD = 2**256 - 2**32 - 977

integers = st.integers(1, N - 1)


def scalar(value: int) -> bytes:
    return value.to_bytes(32, "big")


def test_base_mult_gives_the_published_points() -> None:
    assert secp256k1.base_mult(scalar(1)) == G
    assert secp256k1.base_mult(scalar(2)) == G2
    assert secp256k1.base_mult(scalar(N - 1)) == b"\x03" + G[1:]


def test_address_is_that_of_ethereum() -> None:
    # the address of private key 1, known from every block explorer
    expected = bytes.fromhex("7e5f4552091a69125d5dfcb7b8c2659029395bdf")
    assert secp256k1.address(G) == expected
    assert secp256k1.base_address(scalar(1)) == expected


@settings(max_examples=40, deadline=None)
@given(integers, integers)
def test_adding_points_adds_scalars(a: int, b: int) -> None:
    if (a + b) % N == 0:
        return
    total = secp256k1.add_scalars(scalar(a), scalar(b))
    assert int.from_bytes(total, "big") == (a + b) % N
    points = secp256k1.base_mult(scalar(a)), secp256k1.base_mult(scalar(b))
    assert secp256k1.add(*points) == secp256k1.base_mult(total)


def test_add_doubles() -> None:
    assert secp256k1.add(G, G) == G2


def test_add_fails_at_infinity() -> None:
    with pytest.raises(ValueError, match="infinity"):
        secp256k1.add(G, b"\x03" + G[1:])


def test_sum_points_knows_infinity() -> None:
    plus, minus = secp256k1.parse(G), secp256k1.parse(b"\x03" + G[1:])
    assert secp256k1.sum_points([]) is None
    assert secp256k1.sum_points([plus, minus]) is None
    assert secp256k1.encode(secp256k1.sum_points([plus, minus, plus])) == G


@pytest.mark.parametrize("value", [0, N, N + 1, 2**256 - 1])
def test_scalars_outside_the_group_are_refused(value: int) -> None:
    assert not secp256k1.is_scalar(scalar(value))
    for function in (secp256k1.base_mult, secp256k1.base_address):
        with pytest.raises(ValueError, match="n-1"):
            function(scalar(value))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_scalars_of_another_length_are_refused(size: int) -> None:
    assert not secp256k1.is_scalar(bytes([1]) * size)
    with pytest.raises(ValueError, match="32 bytes"):
        secp256k1.base_mult(bytes([1]) * size)


LONG_G = secp256k1.encode(secp256k1.parse(G), secp256k1.LONG_POINT_SIZE)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\x00",
        bytes(33),
        G[:-1],
        G + b"\x00",
        b"\x04" + G[1:],
        b"\x02" + scalar(5),  # no point has x = 5
        b"\x02" + scalar(FIELD + 1),  # x = 1 is on the curve; this is not its encoding
        LONG_G[:-1] + bytes([LONG_G[-1] ^ 1]),
        bytes([6 + LONG_G[-1] % 2]) + LONG_G[1:],  # the hybrid form
        b"\x02" + LONG_G[1:],
    ],
)
def test_parse_refuses_what_is_no_point(encoded: bytes) -> None:
    with pytest.raises(ValueError, match="point"):
        secp256k1.parse(encoded)


@settings(max_examples=20, deadline=None)
@given(integers)
def test_both_encodings_are_the_same_point(value: int) -> None:
    point = secp256k1.multiply_base(scalar(value))
    short, long = secp256k1.encode(point), secp256k1.encode(point, secp256k1.LONG_POINT_SIZE)
    assert (len(short), len(long)) == (33, 65)
    assert secp256k1.encode(secp256k1.parse(long)) == short
    assert secp256k1.address(short) == secp256k1.address(long) == secp256k1.base_address(scalar(value))
    assert secp256k1.is_base_mult(scalar(value), short)
    assert secp256k1.is_base_mult(scalar(value), long)


def test_is_base_mult_is_false_for_anything_else() -> None:
    assert not secp256k1.is_base_mult(scalar(2), G)
    assert not secp256k1.is_base_mult(scalar(1), G[:-1])
    assert not secp256k1.is_base_mult(scalar(0), bytes(33))
    assert not secp256k1.is_base_mult(scalar(N + 1), G)
    assert not secp256k1.is_base_mult(b"", G)


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=48, max_size=48))
def test_scalar_from_lands_in_the_group(seed: bytes) -> None:
    assert secp256k1.is_scalar(secp256k1.scalar_from(seed))


def test_scalar_from_is_never_zero_and_covers_both_ends() -> None:
    assert secp256k1.scalar_from(bytes(48)) == scalar(1)
    assert secp256k1.scalar_from((N - 1).to_bytes(48, "big")) == scalar(1)
    assert secp256k1.scalar_from((N - 2).to_bytes(48, "big")) == scalar(N - 1)


def test_scalar_from_refuses_another_length() -> None:
    with pytest.raises(ValueError, match="48"):
        secp256k1.scalar_from(bytes(32))
