"""Blind RSA against the vectors of RFC 9474, appendix A, and against bytes a stranger may send.

`vectors/rfc9474.json` holds the four published variants (SHA-384, with and without salt and message prefix).
They were read from two public copies (the test data of the Go module github.com/cloudflare/circl v1.6.1 and
of apple/swift-crypto), which agree.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay.crypto import blind_rsa, uniform
from mixpay.crypto.blind_rsa import PASS_SUITE, BlindRsaError, PublicKey, SecretKey, SigningFault, Suite

RFC = json.loads((Path(__file__).parent / "vectors" / "rfc9474.json").read_text())
RFC_KEY = SecretKey(int(RFC["key"]["p"], 16), int(RFC["key"]["q"], 16), int(RFC["key"]["e"], 16))
NAMES = [vector["name"] for vector in RFC["vectors"]]


def scripted(*answers: bytes) -> Callable[[int], bytes]:
    """A source of randomness that gives these answers, each of the length it is asked for."""
    waiting = list(answers)

    def answer(size: int) -> bytes:
        taken = waiting.pop(0)
        assert len(taken) == size
        return taken

    return answer


def vector(name: str) -> dict[str, Any]:
    """One published vector: its fields as bytes, and its suite."""
    raw = next(v for v in RFC["vectors"] if v["name"] == name)
    fields: dict[str, Any] = {k: bytes.fromhex(v) for k, v in raw.items() if k != "name"}
    fields["suite"] = Suite("sha384", len(fields["salt"]))
    return fields


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return SecretKey.generate()


def test_vectors_are_all_four_variants() -> None:
    assert NAMES == [
        "RSABSSA-SHA384-PSS-Randomized",
        "RSABSSA-SHA384-PSSZERO-Randomized",
        "RSABSSA-SHA384-PSS-Deterministic",
        "RSABSSA-SHA384-PSSZERO-Deterministic",
    ]
    assert RFC_KEY.public.n == int(RFC["key"]["n"], 16)


@pytest.mark.parametrize("name", NAMES)
def test_blind_givesPublishedMessage(name: str) -> None:
    v = vector(name)
    assert v["msg_prefix"] + v["msg"] == v["prepared_msg"]
    public = RFC_KEY.public
    factor = pow(int.from_bytes(v["inv"], "big"), -1, public.n).to_bytes(public.size, "big")
    random = scripted(v["salt"], factor)
    blinded = blind_rsa.blind(v["suite"], public, v["prepared_msg"], random)
    assert blinded.message == v["blinded_msg"]
    assert blinded.inverse == v["inv"]


@pytest.mark.parametrize("name", [v["name"] for v in RFC["vectors"] if "encoded_msg" in v])
def test_encode_givesPublishedEncoding(name: str) -> None:
    """Printed for three of the four; the blinded message covers the fourth."""
    v = vector(name)
    encoded = blind_rsa.encode(v["suite"], v["prepared_msg"], RFC_KEY.public.bits - 1, v["salt"])
    assert encoded == v["encoded_msg"]


@pytest.mark.parametrize("name", NAMES)
def test_blind_sign_givesPublishedSignature(name: str) -> None:
    v = vector(name)
    assert blind_rsa.blind_sign(RFC_KEY, v["blinded_msg"], os.urandom) == v["blind_sig"]


@pytest.mark.parametrize("name", NAMES)
def test_finalize_givesPublishedSignature(name: str) -> None:
    v = vector(name)
    public, suite = RFC_KEY.public, v["suite"]
    assert blind_rsa.finalize(suite, public, v["prepared_msg"], v["blind_sig"], v["inv"]) == v["sig"]
    assert blind_rsa.verify(suite, public, v["prepared_msg"], v["sig"])
    assert not blind_rsa.verify(suite, public, v["prepared_msg"] + b"\0", v["sig"])
    assert not blind_rsa.verify(Suite("sha256", suite.salt_length), public, v["prepared_msg"], v["sig"])


def test_verify_refusesAnotherSaltLength() -> None:
    v = vector("RSABSSA-SHA384-PSS-Deterministic")
    assert not blind_rsa.verify(Suite("sha384", 0), RFC_KEY.public, v["prepared_msg"], v["sig"])


@settings(max_examples=20, deadline=None)
@given(message=st.binary(max_size=200))
def test_signature_isOpenSslsOwn(key: SecretKey, message: bytes) -> None:
    """Deterministic PSS: whatever the blinding was, the signature is the one OpenSSL makes directly."""
    openssl = rsa_key(key)
    expected = openssl.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 0), hashes.SHA256())
    blinded = blind_rsa.blind(PASS_SUITE, key.public, message, os.urandom)
    answer = blind_rsa.blind_sign(key, blinded.message, os.urandom)
    assert blind_rsa.finalize(PASS_SUITE, key.public, message, answer, blinded.inverse) == expected


def rsa_key(key: SecretKey) -> rsa.RSAPrivateKey:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    loaded = load_pem_private_key(key.to_pem(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    return loaded


def test_blind_isFreshEachTime(key: SecretKey) -> None:
    first = blind_rsa.blind(PASS_SUITE, key.public, b"m", os.urandom)
    second = blind_rsa.blind(PASS_SUITE, key.public, b"m", os.urandom)
    assert first.message != second.message


def test_blind_refusesFactorWithoutInverse(key: SecretKey) -> None:
    factor = key.p.to_bytes(key.public.size, "big")
    with pytest.raises(BlindRsaError, match="bad_blinding"):
        blind_rsa.blind(PASS_SUITE, key.public, b"m", scripted(b"", factor))


def test_blind_sign_refusesWrongSizes(key: SecretKey) -> None:
    for size in (0, 255, 257):
        with pytest.raises(BlindRsaError, match="wrong_size"):
            blind_rsa.blind_sign(key, bytes(size), os.urandom)


def test_blind_sign_refusesNumberNotBelowModulus(key: SecretKey) -> None:
    for number in (key.public.n, key.public.n + 1, 2**2048 - 1):
        with pytest.raises(BlindRsaError, match="out_of_range"):
            blind_rsa.blind_sign(key, number.to_bytes(256, "big"), os.urandom)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_blind_sign_standsSmallNumbers(key: SecretKey, number: int) -> None:
    signed = int.from_bytes(blind_rsa.blind_sign(key, number.to_bytes(256, "big"), os.urandom), "big")
    assert pow(signed, key.e, key.public.n) == number


def test_blind_sign_withholdsWrongResult(key: SecretKey) -> None:
    """A fault in one half of the computation would give a factor away, so nothing leaves."""
    broken = SecretKey(key.p, key.q)
    p, q, dp, dq, q_inverse = broken._crt
    object.__setattr__(broken, "_crt", (p, q, dp + 2, dq, q_inverse))
    with pytest.raises(SigningFault):
        blind_rsa.blind_sign(broken, (12345).to_bytes(256, "big"), os.urandom)


def test_finalize_refusesBadAnswers(key: SecretKey) -> None:
    public = key.public
    blinded = blind_rsa.blind(PASS_SUITE, public, b"m", os.urandom)
    answer = blind_rsa.blind_sign(key, blinded.message, os.urandom)
    bad = {
        "wrong_size": answer[1:],
        "out_of_range": public.n.to_bytes(256, "big"),
        "bad_signature": answer[:-1] + bytes([answer[-1] ^ 1]),
    }
    for reason, bytes_ in bad.items():
        with pytest.raises(BlindRsaError) as caught:
            blind_rsa.finalize(PASS_SUITE, public, b"m", bytes_, blinded.inverse)
        assert caught.value.reason == reason
    with pytest.raises(BlindRsaError, match="bad_signature"):
        blind_rsa.finalize(PASS_SUITE, public, b"other", answer, blinded.inverse)


def test_verify_refusesSignaturePlusModulusAndOtherSizes(key: SecretKey) -> None:
    """The contract takes a signature below the modulus of exactly 256 bytes; so must everybody else."""
    public = key.public
    blinded = blind_rsa.blind(PASS_SUITE, public, b"m", os.urandom)
    answer = blind_rsa.blind_sign(key, blinded.message, os.urandom)
    signature = blind_rsa.finalize(PASS_SUITE, public, b"m", answer, blinded.inverse)
    assert blind_rsa.verify(PASS_SUITE, public, b"m", signature)
    assert not blind_rsa.verify(PASS_SUITE, public, b"m", b"\0" + signature)
    assert not blind_rsa.verify(PASS_SUITE, public, b"m", signature[:-1])
    shifted = int.from_bytes(signature, "big") + public.n
    if shifted < 2**2048:
        assert not blind_rsa.verify(PASS_SUITE, public, b"m", shifted.to_bytes(256, "big"))
    assert not blind_rsa.verify(PASS_SUITE, public, b"m", public.n.to_bytes(256, "big"))


def test_public_key_roundTripsAndIsStrict(key: SecretKey) -> None:
    modulus = key.public.to_bytes()
    assert len(modulus) == 256 and PublicKey.from_bytes(modulus) == key.public
    assert len(key.public.key_hash()) == 32
    for bad, reason in (
        (modulus[1:], "wrong_size"),
        (modulus + b"\0", "wrong_size"),
        (b"\0" + modulus[1:], "bad_key"),
        (modulus[:-1] + b"\0", "bad_key"),
    ):
        with pytest.raises(BlindRsaError) as caught:
            PublicKey.from_bytes(bad)
        assert caught.value.reason == reason
    with pytest.raises(BlindRsaError, match="bad_key"):
        PublicKey(key.public.n, 4)


def test_secret_key_roundTripsThroughPem(key: SecretKey) -> None:
    pem = key.to_pem(b"password")
    assert b"ENCRYPTED" in pem
    assert SecretKey.from_pem(pem, b"password") == key
    assert SecretKey.from_pem(key.to_pem()) == key
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    for bad, password in ((pem, b"wrong"), (pem, None), (b"garbage", None), (other, None)):
        with pytest.raises(BlindRsaError, match="bad_key"):
            SecretKey.from_pem(bad, password)


def test_secret_key_refusesEqualPrimes(key: SecretKey) -> None:
    with pytest.raises(BlindRsaError, match="bad_key"):
        SecretKey(key.p, key.p)


def test_secrets_areNotShown(key: SecretKey) -> None:
    blinded = blind_rsa.blind(PASS_SUITE, key.public, b"m", os.urandom)
    for secret in (str(key.p), str(key.q), repr(blinded.inverse)):
        assert secret not in repr(key) + repr(blinded)
    assert {f.name for f in dataclasses.fields(key) if f.repr} == {"e", "public"}


@given(bound=st.integers(1, 2**70), seed=st.integers(0, 2**64 - 1))
def test_below_staysBelowAndCoversAll(bound: int, seed: int) -> None:
    source = Random(seed).randbytes  # noqa: S311 - a repeatable test, not a secret
    assert 0 <= uniform.below(bound, source) < bound
    with pytest.raises(ValueError):
        uniform.below(0, source)


def test_below_drawsAgainInsteadOfReducing() -> None:
    assert uniform.below(5, scripted(b"\x07", b"\x05", b"\xfc")) == 4
