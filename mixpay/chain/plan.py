"""The plan of a deployment: which contracts, in which order, at which addresses, with which arguments.

Contracts need each other's addresses (Channels and the registry name the court, which names both), so all
addresses are computed before anything is sent: one follows from the deployer and the number of its
transaction. A plan is written to disk before its first transaction, so that a deployment that was interrupted
can be finished, or given up, by somebody who knows what stands where.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec
from eth_utils.address import to_checksum_address as shown

from mixpay import deployment as deployments
from mixpay.chain import abi, governance
from mixpay.chain.contracts import Token
from mixpay.chain.records import Call
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import NOBODY
from mixpay.crypto.hashing import keccak256
from mixpay.deployment import Deployment, Governance
from mixpay.errors import UserError
from mixpay.files import write_whole
from mixpay.parameters import TOKEN, Parameters
from mixpay.typed import typed
from mixpay.types import Account, Amount

LOCAL_SUPPLY = Amount(10**9 * TOKEN)
"""Of the token that is deployed where there is none yet: the deployer gets it."""

_ORDER = (
    "Token",
    "TimelockController",
    "Network",
    "Channels",
    "RelayRegistry",
    "ReceiptCourt",
    "SubsidyPool",
)
"""Each reads only contracts before it in its constructor; the first two only where they are wanted."""


@dataclass(frozen=True, slots=True)
class Creation:
    """A transaction that makes a contract; `nonce` is the one that gives it its address."""

    name: str
    nonce: int
    address: Account
    call: Call


@dataclass(frozen=True, slots=True)
class Plan:
    """A deployment to come. `nonce`: of the deployer's first transaction."""

    deployer: Account
    nonce: int
    deployment: Deployment

    def creations(self) -> tuple[Creation, ...]:
        """All of them, in order."""
        names = [name for name in _ORDER if name in self.deployment.artifacts]
        return tuple(self._creation(name, self.nonce + place) for place, name in enumerate(names))

    def _creation(self, name: str, nonce: int) -> Creation:
        artifact = abi.artifact(name)
        data = artifact.bytecode + abi.encode(artifact.constructor.inputs, self._arguments(name))
        call = Call(f"deployment of {name}", None, data)
        return Creation(name, nonce, created_address(self.deployer, nonce), call)

    def _arguments(self, name: str) -> tuple[Any, ...]:
        """Of a contract's constructor."""
        d, p = self.deployment, self.deployment.parameters
        arguments: dict[str, tuple[Any, ...]] = {
            "Token": (LOCAL_SUPPLY,),
            "Network": (d.genesis, p.epoch_length, self.deployer),
            "Channels": (d.token, p.notice, d.court),
            "RelayRegistry": (d.token, d.network, p.stake, p.unbonding, d.channels, d.court, p.penalty),
            "ReceiptCourt": (
                d.channels,
                d.registry,
                (p.answer_window, p.finish_window, p.grace, p.court_cost),
            ),
            "SubsidyPool": (
                d.channels,
                d.registry,
                d.network,
                p.term_length,
                p.claim_window,
                p.withdrawal_notice,
            ),
        }
        if d.governance is not None:
            users = (self.deployer, d.governance.governor)
            arguments["TimelockController"] = governance.constructor_arguments(*users)
        return arguments[name]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What whoever deploys has decided."""

    parameters: Parameters
    token: Account | None = None
    """An existing ERC-20 of 18 decimals; None deploys the local one, whose supply the deployer gets."""
    governor: Account | None = None
    """Who is to publish releases, through a timelock; None leaves Network with the deployer."""
    genesis: int | None = None
    """Start of epoch 0, seconds of chain time, not in the future; None takes the latest block's."""


def differences(plan: Plan, wanted: Wanted) -> list[str]:
    """In what a plan is not what is wanted now, by the names in `Wanted`."""
    d = plan.deployment
    token = None if "Token" in d.artifacts else d.token
    governor = None if d.governance is None else d.governance.governor
    planned = Wanted(d.parameters, token, governor, None if wanted.genesis is None else d.genesis)
    names = (item.name for item in fields(Wanted))
    return [name for name in names if getattr(planned, name) != getattr(wanted, name)]


def make_plan(rpc: Rpc, deployer: Account, wanted: Wanted) -> Plan:
    """Plans from the chain's present state; sends nothing.

    Raises UserError for what cannot be, or when the deployer has transactions under way.
    """
    latest = rpc.latest()
    genesis = latest.timestamp if wanted.genesis is None else wanted.genesis
    if genesis > latest.timestamp:
        raise UserError(f"genesis {genesis} is in the future; the chain's time is {latest.timestamp}")
    if wanted.token is not None:
        _check_token(rpc, wanted.token)
    if wanted.governor in (deployer, NOBODY):
        raise UserError("the governor has to be another account than the deployer, and not the zero address")
    nonce = rpc.nonce(deployer, "latest")
    if rpc.nonce(deployer) != nonce:
        raise UserError(f"{shown(deployer)} has transactions under way: wait until they are mined")
    absent = {"Token": wanted.token is not None, "TimelockController": wanted.governor is None}
    names = [name for name in _ORDER if not absent.get(name)]
    at = {name: created_address(deployer, nonce + place) for place, name in enumerate(names)}
    deployment = Deployment(
        chain_id=rpc.chain_id(),
        block=latest.number,
        token=wanted.token or at["Token"],
        network=at["Network"],
        registry=at["RelayRegistry"],
        channels=at["Channels"],
        court=at["ReceiptCourt"],
        pool=at["SubsidyPool"],
        genesis=genesis,
        parameters=wanted.parameters,
        artifacts={name: abi.artifact(name).fingerprint for name in names},
        governance=None if wanted.governor is None else Governance(at["TimelockController"], wanted.governor),
    )
    return Plan(deployer, nonce, deployment)


def created_address(sender: Account, nonce: int) -> Account:
    """Of what the account's transaction `nonce` creates: keccak of the RLP of both (Yellow Paper, §7)."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    item = number if len(number) == 1 and number[0] < 0x80 else bytes([0x80 + len(number)]) + number
    content = b"\x94" + sender + item
    return Account(keccak256(bytes([0xC0 + len(content)]) + content)[12:])


def _check_token(rpc: Rpc, address: Account) -> None:
    if not rpc.code(address):
        raise UserError(f"there is no contract at {shown(address)}, which was given as the token")
    decimals = Token(rpc, address).decimals()
    if decimals != 18:
        raise UserError(f"the token {shown(address)} has {decimals} decimals; the parameters are for 18")


# ---------------------------------------------------------------------- on disk


class _File(msgspec.Struct, forbid_unknown_fields=True):
    deployer: str
    nonce: int
    deployment: msgspec.Raw


def plan_path(out: Path) -> Path:
    """Where the plan of a deployment file to come stands until that is written."""
    return out.with_name(f"{out.name}.unfinished")


def save(path: Path, plan: Plan) -> None:
    """Writes a plan. Public, no secret in it. Raises UserError."""
    file = _File(plan.deployer.hex(), plan.nonce, msgspec.Raw(deployments.encode(plan.deployment)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    write_whole(path, msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n", 0o644)


def load(path: Path) -> Plan:
    """Reads a plan. Raises UserError if it is none, or of other contracts than this program's."""
    try:
        file = msgspec.json.decode(path.read_bytes(), type=typed(_File))
        plan = Plan(
            Account(bytes.fromhex(file.deployer)), file.nonce, deployments.decode(bytes(file.deployment))
        )
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is not the plan of a deployment: {error}") from None
    for name, fingerprint in plan.deployment.artifacts.items():
        if name not in _ORDER or abi.artifact(name).fingerprint != fingerprint:
            raise UserError(f"{path} was made by a program with another {name}: finish it with that one")
    return plan
