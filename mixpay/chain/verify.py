"""Verifying that the chain is as a deployment file says.

Nothing but the node is trusted: the code of each contract must be the package's, every immutable in it must
hold what the deployment file says, and Network must have published these addresses.
"""

from __future__ import annotations

from collections.abc import Mapping

from mixpay import eip712
from mixpay.chain import abi
from mixpay.chain.contracts import Network
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


def verify(rpc: Rpc, deployment: Deployment) -> None:
    """Raises UserError with everything in which the chain differs from the deployment file."""
    check_chain(rpc, deployment)
    problems: list[str] = []
    for name, address in _addresses(deployment).items():
        problems += _code_problems(name, rpc.code(address), _immutables(deployment, name))
        if deployment.artifacts.get(name) != abi.artifact(name).fingerprint:
            problems.append(f"{name}: the deployment file is of other sources than this program")
    if not problems:
        problems = _release_problems(rpc, deployment)
    if problems:
        raise UserError("the chain is not as the deployment file says:\n  " + "\n  ".join(problems))


def _addresses(deployment: Deployment) -> dict[str, Account]:
    """Of the contracts that were deployed here: an existing token was not."""
    addresses = {
        "Network": deployment.network,
        "RelayRegistry": deployment.registry,
        "Channels": deployment.channels,
        "SubsidyPool": deployment.pool,
    }
    if "Token" in deployment.artifacts:
        addresses["Token"] = deployment.token
    return addresses


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
        "Token": {},
        "Network": {"genesis": d.genesis, "epochLength": p.epoch_length},
        "RelayRegistry": {**clock, "TOKEN": d.token, "STAKE": p.stake, "UNBONDING": p.unbonding},
        "Channels": {"TOKEN": d.token, "NOTICE": p.notice},
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
    domain = eip712.Domain(_DOMAIN_NAMES.get(name, ""), d.chain_id, _addresses(d)[name])
    return {key: _word(value) for key, value in values[name].items()} | _eip712_words(domain)


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


def _release_problems(rpc: Rpc, deployment: Deployment) -> list[str]:
    d = deployment
    expected = (d.registry, d.channels, d.pool, d.parameters.hop_price)
    network = Network(rpc, d.network)
    for index in range(network.release_count()):
        release = network.releases(index)
        if (release.registry, release.channels, release.pool, release.hop_price) == expected:
            return []
    return ["Network: no release names these contracts with this hop price"]
