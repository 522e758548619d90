"""Verifying that the chain is as a deployment file says.

Nothing but the node is trusted: the code of each contract must be the package's, every immutable in it must
hold what the deployment file says (so the contracts name each other as they should), Network must have
published these addresses, and the timelock that owns it must obey the governor alone. That the parameters do
not contradict each other is checked when the file is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mixpay import eip712
from mixpay.chain import abi
from mixpay.chain.contracts import Network
from mixpay.chain.governance import governance_problems
from mixpay.chain.history import begins_with_creation
from mixpay.chain.rpc import Rpc, check_chain
from mixpay.crypto.hashing import keccak256
from mixpay.deployment import Deployment
from mixpay.errors import UserError
from mixpay.types import Account

_DOMAIN_NAMES = {
    "Token": "Mixpay Token",
    "RelayRegistry": "Mixpay RelayRegistry",
    "Channels": "Mixpay Channels",
    "SubsidyPool": "Mixpay SubsidyPool",
}
"""Of the contracts' EIP-712 domains."""

_UNCHECKED = frozenset({"_firstEpoch"})
"""Epoch of the registry's own deployment. No money depends on it: earlier epochs have no relays."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A contract that stands on the chain as it should. Hashes are 32 bytes."""

    name: str
    address: Account
    code_hash: bytes
    """keccak256 of the code on the chain, as explorers show it."""
    plain_hash: bytes
    """keccak256 of the same with zeros for the immutables: what the sources give, for every deployment."""


def verify(rpc: Rpc, deployment: Deployment, *, published: bool = True) -> tuple[Verified, ...]:
    """What was found of each contract. Raises UserError with everything in which the chain differs from the
    deployment file. `published`: whether the contracts are expected to be in a release already."""
    check_chain(rpc, deployment)
    problems: list[str] = []
    verified = []
    for name, address in addresses(deployment).items():
        code = rpc.code(address)
        problems += _code_problems(name, code, _immutables(deployment, name))
        if deployment.artifacts.get(name) != abi.artifact(name).fingerprint:
            problems.append(f"{name}: the deployment file is of other sources than this program")
        plain = keccak256(abi.artifact(name).deployed_bytecode)
        verified.append(Verified(name, address, keccak256(code), plain))
    if not problems:
        problems = [
            *_block_problems(rpc, deployment),
            *(_release_problems(rpc, deployment) if published else ()),
            *governance_problems(rpc, deployment),
        ]
    if problems:
        raise UserError("the chain is not as the deployment file says:\n  " + "\n  ".join(problems))
    return tuple(verified)


def addresses(deployment: Deployment) -> dict[str, Account]:
    """Of the contracts that were deployed here: an existing token was not."""
    found = {
        "Network": deployment.network,
        "Channels": deployment.channels,
        "RelayRegistry": deployment.registry,
        "ReceiptCourt": deployment.court,
        "SubsidyPool": deployment.pool,
    }
    if "Token" in deployment.artifacts:
        found["Token"] = deployment.token
    if deployment.governance is not None:
        found["TimelockController"] = deployment.governance.timelock
    return found


def _code_problems(name: str, code: bytes, expected: Mapping[str, bytes]) -> list[str]:
    """Compares the code found with the package's; `expected` has the 32-byte word of each immutable."""
    artifact = abi.artifact(name)
    if not code:
        return [f"{name}: there is no contract"]
    if len(code) != len(artifact.deployed_bytecode):
        return [f"{name}: other code"]
    problems = []
    plain = bytearray(code)
    for immutable, places in artifact.immutables.items():
        found = {bytes(code[start : start + length]) for start, length in places}
        for start, length in places:
            plain[start : start + length] = bytes(length)
        if immutable not in _UNCHECKED and found != {expected[immutable]}:
            problems.append(f"{name}: {immutable} is {', '.join(f'0x{f.hex()}' for f in sorted(found))}")
    return problems if plain == artifact.deployed_bytecode else [f"{name}: other code"]


def _immutables(deployment: Deployment, name: str) -> dict[str, bytes]:
    """Name → 32-byte word of every immutable of a contract, as this deployment must have it."""
    d, p = deployment, deployment.parameters
    clock: dict[str, int | Account] = {"_genesis": d.genesis, "_epochLength": p.epoch_length}
    values: dict[str, dict[str, int | Account]] = {
        "Network": {"genesis": d.genesis, "epochLength": p.epoch_length},
        "Channels": {"TOKEN": d.token, "NOTICE": p.notice, "COURT": d.court},
        "RelayRegistry": {
            **clock,
            "TOKEN": d.token,
            "CHANNELS": d.channels,
            "COURT": d.court,
            "STAKE": p.stake,
            "PENALTY": p.penalty,
            "UNBONDING": p.unbonding,
        },
        "ReceiptCourt": {
            "CHANNELS": d.channels,
            "REGISTRY": d.registry,
            "ANSWER_WINDOW": p.answer_window,
            "FINISH_WINDOW": p.finish_window,
            "GRACE": p.grace,
            "COST": p.court_cost,
        },
        "SubsidyPool": {
            **clock,
            "CHANNELS": d.channels,
            "REGISTRY": d.registry,
            "NETWORK": d.network,
            "TERM_LENGTH": p.term_length,
            "CLAIM_WINDOW": p.claim_window,
            "WITHDRAWAL_NOTICE": p.withdrawal_notice,
            "_token": d.token,
        },
    }
    domain = eip712.Domain(_DOMAIN_NAMES.get(name, ""), d.chain_id, addresses(d)[name])
    return {key: _word(value) for key, value in values.get(name, {}).items()} | _eip712_words(domain)


def _eip712_words(domain: eip712.Domain) -> dict[str, bytes]:
    """What OpenZeppelin's EIP712 keeps: the domain, and its texts as ShortStrings (text, padding, length)."""
    name, version = domain.name.encode(), eip712.VERSION.encode()
    return {
        "_cachedDomainSeparator": domain.separator,
        "_cachedChainId": _word(domain.chain_id),
        "_cachedThis": _word(Account(domain.contract)),
        "_hashedName": keccak256(name),
        "_hashedVersion": keccak256(version),
        "_name": name.ljust(31, b"\0") + bytes([len(name)]),
        "_version": version.ljust(31, b"\0") + bytes([len(version)]),
    }


def _word(value: int | Account) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


def _block_problems(rpc: Rpc, deployment: Deployment) -> list[str]:
    """Followers read from the file's block on: were it too late, they would not know who came before."""
    if begins_with_creation(rpc, deployment.registry, deployment.block):
        return []
    return [f"RelayRegistry: it is older than block {deployment.block}, before which nothing is read"]


def _release_problems(rpc: Rpc, deployment: Deployment) -> list[str]:
    d = deployment
    expected = (d.registry, d.channels, d.pool, d.parameters.hop_price)
    network = Network(rpc, d.network)
    for index in range(network.release_count()):
        release = network.releases(index)
        if (release.registry, release.channels, release.pool, release.hop_price) == expected:
            return []
    return ["Network: no release names these contracts with this hop price"]
