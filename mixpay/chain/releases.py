"""The deployment that a release names, read from the chain.

A deployment file names one release's contracts. Those of a later release are found with nothing but the
node: their constants are read out of their code, where the compiler put them, and `verify` then compares all
of it with the package's own. Contracts of other code are not followed: what they do, and what they would do
with money, only a newer program knows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from mixpay.chain import abi
from mixpay.chain.contracts import Network
from mixpay.chain.rpc import Rpc
from mixpay.chain.verify import verify
from mixpay.chain.views import Release
from mixpay.deployment import Deployment
from mixpay.epochs import Schedule
from mixpay.errors import ChainUnavailable, UserError
from mixpay.parameters import Parameters
from mixpay.types import Account, Epoch
from mixpay.wire import WIRE_VERSION

_PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "Channels": {"NOTICE": "notice"},
    "RelayRegistry": {"STAKE": "stake", "UNBONDING": "unbonding", "PENALTY": "penalty"},
    "ReceiptCourt": {
        "ANSWER_WINDOW": "answer_window",
        "FINISH_WINDOW": "finish_window",
        "GRACE": "grace",
        "COST": "court_cost",
    },
    "SubsidyPool": {
        "TERM_LENGTH": "term_length",
        "CLAIM_WINDOW": "claim_window",
        "WITHDRAWAL_NOTICE": "withdrawal_notice",
    },
}
"""Constants of the contracts, as the parameters call them. The other parameters are those of the software."""


class CannotFollow(UserError):
    """A release that this program cannot work with; the text says why, and what to do."""


def deployment_of(rpc: Rpc, known: Deployment, number: int, release: Release) -> Deployment:
    """The deployment that release `number` names. Blocks.

    `known`: any deployment of the same network. Raises CannotFollow, ChainError.
    """
    if release.contracts == known.contracts:
        return known
    if release.wire_version != WIRE_VERSION:
        raise _refused(number, release, f"it speaks version {release.wire_version} on the wire")
    at = {"RelayRegistry": release.registry, "Channels": release.channels, "SubsidyPool": release.pool}
    found = {name: _constants(rpc, name, address, number, release) for name, address in at.items()}
    court = Account(found["Channels"]["COURT"][-20:])
    found["ReceiptCourt"] = _constants(rpc, "ReceiptCourt", court, number, release)
    token = Account(found["Channels"]["TOKEN"][-20:])
    shipped = {name for name in known.artifacts if name != "Token" or token == known.token}
    try:
        parameters = _parameters(known.parameters, found, release)
        deployment = dataclasses.replace(
            known,
            block=_block_before(rpc, known, Epoch(_number(found["RelayRegistry"]["_firstEpoch"]))),
            token=token,
            registry=release.registry,
            channels=release.channels,
            court=court,
            pool=release.pool,
            parameters=parameters,
            artifacts={name: abi.artifact(name).fingerprint for name in shipped},
        )
        # Who governs is no business of those who follow: it may have changed since the file was written.
        verify(rpc, dataclasses.replace(deployment, governance=None))
        _require_unmixed(release, [other for _, other in published(rpc, known)[:number]])
    except (ValueError, UserError) as error:
        # Of a list of differences, the differences: there is no deployment file that says otherwise.
        differences = str(error).partition(":\n")[2] or str(error)
        raise _refused(number, release, "; ".join(differences.strip().split("\n  "))) from None
    if release.activation_epoch % parameters.term_length:
        raise _refused(number, release, "it does not begin with a term: layers and mailboxes are drawn then")
    return deployment


def published(rpc: Rpc, known: Deployment) -> list[tuple[int, Release]]:
    """Every release of the network, with its number, oldest first. Blocks; raises ChainError."""
    network = Network(rpc, known.network)
    return [(number, network.releases(number)) for number in range(network.release_count())]


def _constants(rpc: Rpc, name: str, address: Account, number: int, release: Release) -> Mapping[str, bytes]:
    """Name → 32-byte word of each immutable in a contract's code, if that has our code's length."""
    artifact, code = abi.artifact(name), rpc.code(address)
    if len(code) != len(artifact.deployed_bytecode):
        raise _refused(number, release, f"its {name} is not the one that this program knows")
    places = ((key, places[0]) for key, places in artifact.immutables.items())
    return {key: code[start : start + length] for key, (start, length) in places}


def _require_unmixed(release: Release, earlier: Iterable[Release]) -> None:
    """Raises ValueError if it names a part of an earlier release's contracts: two daemons of a relay would
    write vouchers on one channel, and count one registry's relays twice.
    """
    known = [other.contracts for other in earlier]
    if release.contracts in known:
        return  # back to an earlier one
    if any(set(release.contracts) & set(contracts) for contracts in known):
        raise ValueError("it mixes new contracts with those of an earlier release")


def _parameters(known: Parameters, found: Mapping[str, Mapping[str, bytes]], release: Release) -> Parameters:
    """Raises ValueError if they contradict each other."""
    values: dict[str, Any] = {
        parameter: _number(found[name][constant])
        for name, constants in _PARAMETERS.items()
        for constant, parameter in constants.items()
    }
    return dataclasses.replace(known, hop_price=release.hop_price, **values)


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")


def _block_before(rpc: Rpc, known: Deployment, epoch: Epoch) -> int:
    """The newest block before an epoch began: the registry, which froze that one first, is not older.

    Raises ValueError for an epoch that has not begun.
    """
    start = Schedule(known.genesis, known.epoch_length, known.term_length).start(epoch)
    low, high = 0, rpc.latest().number
    while low < high:
        middle = (low + high + 1) // 2
        block = rpc.block(middle)
        if block is None:
            raise ChainUnavailable(f"{rpc.shown} has lost block {middle}; it may be catching up")
        low, high = (middle, high) if block.timestamp < start else (low, middle - 1)
    return low


def _refused(number: int, release: Release, why: str) -> CannotFollow:
    return CannotFollow(
        f"this program cannot follow release {number} of the network, which is in force from epoch "
        f"{release.activation_epoch} on: {why}. Install the newest mixpay"
    )
