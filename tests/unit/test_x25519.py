import pytest
from nacl.bindings import crypto_scalarmult
from nacl.exceptions import CryptoError

from mixpay.crypto import x25519

P = 2**255 - 19
SECRET = bytes(range(32))


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
NOT_CANONICAL = [P, P + 1, P + 9, 2**255 - 1, 2**256 - 1, *TOP_BIT]


def test_gives_the_vectors_of_rfc_7748() -> None:
    # section 6.1: Bob's key pair, Alice's public key, and what they share
    secret = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    public = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    alice = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    shared = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    assert x25519.public_key(secret) == public
    assert x25519.exchange(secret, alice) == shared


@pytest.mark.parametrize("value", LOW_ORDER)
def test_exchange_refuses_points_of_low_order(value: int) -> None:
    with pytest.raises(x25519.WeakKey, match="low order"):
        x25519.exchange(SECRET, encoded(value))


@pytest.mark.parametrize("value", LOW_ORDER)
def test_the_list_of_low_order_holds_what_makes_a_zero_secret(value: int) -> None:
    with pytest.raises(CryptoError):
        crypto_scalarmult(SECRET, encoded(value))


@pytest.mark.parametrize("value", NOT_CANONICAL)
def test_exchange_refuses_second_encodings(value: int) -> None:
    with pytest.raises(x25519.WeakKey, match="encoding"):
        x25519.exchange(SECRET, encoded(value))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_refuses_keys_of_another_length(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        x25519.public_key(bytes(size))
    with pytest.raises(ValueError, match="32 bytes"):
        x25519.exchange(bytes(size), encoded(9))
    with pytest.raises(ValueError, match="32 bytes"):
        x25519.exchange(SECRET, bytes(size))
