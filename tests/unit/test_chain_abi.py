"""Encoding, decoding and the texts of contracts' refusals; and that the typed edge covers the contracts."""

from __future__ import annotations

import inspect

import pytest

from mixpay.chain import abi, contracts
from mixpay.chain.events import KINDS


def test_decode_givesBytesForAddresses_insideStructsToo() -> None:
    kinds = ("address", "(address,uint96,bytes32)", "string", "bytes")
    values = (b"\1" * 20, (b"\2" * 20, 5, b"\3" * 32), "x", b"\4")
    assert abi.decode(kinds, abi.encode(kinds, values)) == values


def test_decode_takesAnyBytesForAString() -> None:
    data = abi.encode(["bytes"], [b"\xff\xfe:1:2"])
    (text,) = abi.decode(["string"], data)
    assert text.encode("utf-8", "surrogateescape") == b"\xff\xfe:1:2"
    assert abi.explain_revert(bytes.fromhex("08c379a0") + data) == ("", "??:1:2")


def test_artifact_hasWhatWasCompiled() -> None:
    artifact = abi.artifact("Channels")
    assert artifact.constructor.inputs == ("address", "uint40", "address")
    assert artifact.functions["fund"].signature == "fund(address,uint96)"
    assert artifact.functions["fund"].selector.hex() == abi.keccak256(b"fund(address,uint96)").hex()[:8]
    assert len(artifact.fingerprint) == 64
    start, length = artifact.immutables["NOTICE"][0]
    assert artifact.deployed_bytecode[start : start + length] == bytes(32)


@pytest.mark.parametrize(
    ("data", "name", "text"),
    [
        (
            abi.artifact("Channels").errors["InsufficientBalance"].selector
            + abi.encode(["uint256", "uint96"], [3, 5]),
            "InsufficientBalance",
            "InsufficientBalance(balance=3, amount=5)",
        ),
        (
            abi.artifact("Token").errors["ERC20InvalidReceiver"].selector
            + abi.encode(["address"], [b"\xab" * 20]),
            "ERC20InvalidReceiver",
            f"ERC20InvalidReceiver(receiver=0x{'ab' * 20})",
        ),
        (bytes.fromhex("08c379a0") + abi.encode(["string"], ["too late"]), "", "too late"),
        (bytes.fromhex("4e487b71") + abi.encode(["uint256"], [0x11]), "", "overflow"),
        (bytes.fromhex("4e487b71") + abi.encode(["uint256"], [0x51]), "", "panic 0x51"),
        (bytes.fromhex("4e487b71"), "", "unknown error 4e487b71"),
        (b"\1\2\3\4\5", "", "unknown error 0102030405"),
        (b"", "", "the contract gave no reason"),
    ],
)
def test_explainRevert_isReadable(data: bytes, name: str, text: str) -> None:
    assert abi.explain_revert(data) == (name, text)


def test_everyEventOfOurContracts_isFollowed() -> None:
    # EIP-712's is never emitted; Network's owner is asked for, not followed.
    ignored = {"EIP712DomainChanged"}
    of_network = {"OwnershipTransferStarted", "OwnershipTransferred"}
    for name, kinds in KINDS.items():
        expected = set(abi.artifact(name).events) - ignored - (of_network if name == "Network" else set())
        assert {kind.__name__ for kind in kinds} == expected


def test_everyEvent_hasAFieldForEachParameter() -> None:
    for name, kinds in KINDS.items():
        for kind in kinds:
            fields = len(inspect.signature(kind).parameters) - 3  # less the place
            assert fields == len(abi.artifact(name).events[kind.__name__].inputs)


@pytest.mark.parametrize("name", ["Network", "RelayRegistry", "Channels", "ReceiptCourt", "SubsidyPool"])
def test_everyFunctionOfOurContracts_hasAMethod(name: str) -> None:
    source = inspect.getsource(getattr(contracts, name))
    # Clients count epochs themselves; the rest is fixed at deployment, where `verify` reads it from the code.
    unused = {"eip712Domain", "epochAt", "epochStart", "renounceOwnership", "CHANNELS", "REGISTRY", "NETWORK"}
    unused |= {"COURT", "DOMAIN_SEPARATOR", "PENALTY", "BOUNTY_PERCENT"}
    unused |= {"ANSWER_WINDOW", "FINISH_WINDOW", "GRACE", "COST"}
    court_only = {"slash", "condemn", "takeBond", "hold", "markJudged", "fundFromStake"}
    expected = set(abi.artifact(name).functions) - unused - court_only
    missing = [function for function in expected if f'"{function}"' not in source]
    assert missing == []
