"""Digests and signatures against eth_account, which implements the EIP on its own."""

import pytest
from eth_account import Account as EthAccount
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay import eip712
from mixpay.crypto.secp256k1 import N
from mixpay.eip712 import Batch, Descriptor, OperatorConsent, PoolVoucher, SignatureError, Voucher

KEY = keccak(b"operator")
OTHER = keccak(b"another operator")
CONTRACT = bytes(range(20))
A, B = eip712.account_of(KEY), eip712.account_of(OTHER)
CHANNELS = eip712.channels_domain(31337, CONTRACT)
POOL = eip712.pool_domain(31337, CONTRACT)
REGISTRY = eip712.registry_domain(31337, CONTRACT)

MESSAGES = [
    (
        CHANNELS,
        Voucher(A, B, 2**96 - 1, 7),
        [
            ("payer", "address", A),
            ("payee", "address", B),
            ("cumulative", "uint96", 2**96 - 1),
            ("uptoBatch", "uint32", 7),
        ],
    ),
    (
        CHANNELS,
        Batch(A, B, 3, 1000, 2**64 - 1, 10**12, bytes(range(32))),
        [
            ("payer", "address", A),
            ("payee", "address", B),
            ("number", "uint32", 3),
            ("count", "uint32", 1000),
            ("value", "uint64", 2**64 - 1),
            ("price", "uint96", 10**12),
            ("locksRoot", "bytes32", bytes(range(32))),
        ],
    ),
    (
        POOL,
        PoolVoucher(1, A, 5, 10**20),
        [
            ("campaign", "uint32", 1),
            ("relay", "address", A),
            ("period", "uint32", 5),
            ("cumulative", "uint96", 10**20),
        ],
    ),
    (REGISTRY, OperatorConsent(A, B), [("operator", "address", A), ("owner", "address", B)]),
    (
        REGISTRY,
        Descriptor(9, 4, b"\x09" * 32),
        [("relay", "uint32", 9), ("epoch", "uint32", 4), ("packetKey", "bytes32", b"\x09" * 32)],
    ),
]
IDS = [type(message).__name__ for _, message, _ in MESSAGES]


def typed_data(domain, message, members):
    name = type(message).__name__
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            name: [{"name": field, "type": kind} for field, kind, _ in members],
        },
        "primaryType": name,
        "domain": {
            "name": domain.name,
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": "0x" + domain.contract.hex(),
        },
        "message": {
            field: "0x" + value.hex() if kind == "address" else value for field, kind, value in members
        },
    }


@pytest.mark.parametrize(("domain", "message", "members"), MESSAGES, ids=IDS)
def test_digest_isEthAccounts(domain, message, members):
    signable = encode_typed_data(full_message=typed_data(domain, message, members))
    assert message.digest(domain) == keccak(b"\x19\x01" + signable.header + signable.body)


@pytest.mark.parametrize(("domain", "message", "members"), MESSAGES, ids=IDS)
def test_signature_isEthAccounts_andRecovers(domain, message, members):
    signature = eip712.sign(KEY, message.digest(domain))
    theirs = EthAccount.sign_typed_data(KEY, full_message=typed_data(domain, message, members))
    assert signature == bytes(theirs.signature)
    assert eip712.recover(message.digest(domain), signature) == A
    assert eip712.signed_by(A, message, domain, signature)
    assert not eip712.signed_by(B, message, domain, signature)


def test_anotherChainOrContractHasAnotherDigest():
    voucher = Voucher(A, B, 1, 1)
    domains = [CHANNELS, eip712.channels_domain(1, CONTRACT), eip712.channels_domain(31337, bytes(20)), POOL]
    assert len({voucher.digest(domain) for domain in domains}) == 4


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_recover_takesLowSOnly(digest):
    signature = eip712.sign(KEY, digest)
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    assert s <= N // 2
    assert eip712.recover(digest, signature) == A
    twin = r + (N - s).to_bytes(32, "big") + bytes((55 - v,))
    with pytest.raises(SignatureError) as caught:
        eip712.recover(digest, twin)
    assert caught.value.reason == "bad_signature"


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(64),
        bytes(65),
        bytes(64) + b"\x1b",
        b"\xff" * 32 + b"\x01" * 32 + b"\x1b",
        b"\x01" * 64 + b"\x00",
        b"\x01" * 64 + b"\x1d",
        b"\x01" * 64 + b"\x1b\x00",
    ],
)
def test_recover_refusesNonsense(signature):
    with pytest.raises(SignatureError):
        eip712.recover(bytes(32), signature)
    assert not eip712.signed_by(A, Voucher(A, B, 1, 1), CHANNELS, signature)


def test_digest_failsIfAFieldDoesNotFit():
    for message in (
        Voucher(A, B, 2**96, 1),
        Voucher(A, B, -1, 1),
        Voucher(A, B, 1, 2**32),
        Voucher(b"", B, 1, 1),
    ):
        with pytest.raises(ValueError):
            message.digest(CHANNELS)
    with pytest.raises(ValueError, match="32 bytes"):
        Descriptor(1, 1, b"short").digest(REGISTRY)
