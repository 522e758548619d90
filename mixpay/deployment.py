"""The deployment file: what every command has to know about one deployment of the contracts.

Written once by scripts/deploy.py, read by relays, sponsors and clients; public, no secret in it. JSON with
addresses in hexadecimal; inside the program they are 20 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from mixpay.accounts import show_account
from mixpay.errors import UserError
from mixpay.files import write_whole
from mixpay.parameters import Parameters
from mixpay.typed import typed
from mixpay.types import Account

FORMAT = 2
"""Raised when an older program could misread a newer file. 2: the court, and who governs."""


@dataclass(frozen=True, slots=True)
class Governance:
    """Who can publish releases in Network: its owner is a timelock, which one account can use."""

    timelock: Account
    """OpenZeppelin's TimelockController; its delay stands in the parameters."""
    governor: Account
    """The only proposer, canceller and executor there."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Addresses and constants of one deployment; `mixpay.chain.verify` checks them on the chain."""

    chain_id: int
    block: int
    """A block before the first event of these contracts: followers read from here."""
    token: Account
    network: Account
    registry: Account
    channels: Account
    court: Account
    pool: Account
    genesis: int
    """Start of epoch 0, seconds of chain time."""
    parameters: Parameters
    artifacts: Mapping[str, str]
    """Contract name → SHA-256 of the creation code it was deployed with, hexadecimal."""
    governance: Governance | None = None
    """None on a development chain, where whoever deployed Network owns it."""

    @property
    def contracts(self) -> tuple[Account, Account, Account]:
        """Registry, channels, pool: what a release names."""
        return (self.registry, self.channels, self.pool)

    @property
    def epoch_length(self) -> int:
        """Seconds."""
        return self.parameters.epoch_length

    @property
    def term_length(self) -> int:
        """Epochs."""
        return self.parameters.term_length


_Uint = Annotated[int, msgspec.Meta(ge=0)]
_Address = Annotated[str, msgspec.Meta(pattern="^0x[0-9a-fA-F]{40}$")]
_Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class _Addresses(msgspec.Struct, forbid_unknown_fields=True):
    token: _Address
    network: _Address
    registry: _Address
    channels: _Address
    court: _Address
    pool: _Address


class _Governance(msgspec.Struct, forbid_unknown_fields=True):
    timelock: _Address
    governor: _Address


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The file as it is written."""

    format: int
    chain_id: Annotated[int, msgspec.Meta(ge=1)]
    block: _Uint
    addresses: _Addresses
    genesis: _Uint
    parameters: Parameters
    artifacts: dict[str, _Sha256]
    governance: _Governance | None


def load(path: Path) -> Deployment:
    """Reads a deployment file. Raises UserError when it is absent, unreadable, or not one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"no deployment file at {path}: get it from whoever deployed the network, or deploy one yourself"
        ) from None
    except OSError as error:
        raise UserError(f"cannot read the deployment file {path}: {error.strerror}") from error
    try:
        return decode(content)
    except ValueError as error:
        raise UserError(f"{path} is not a deployment file: {error}") from error


def decode(content: bytes) -> Deployment:
    """Raises ValueError with what is wrong, and where."""
    file = msgspec.json.decode(content, type=typed(_File))
    if file.format != FORMAT:
        raise ValueError(f"its format is {file.format}, this program reads format {FORMAT}")
    governance = None if file.governance is None else Governance(**_accounts(file.governance))
    return Deployment(
        chain_id=file.chain_id,
        block=file.block,
        genesis=file.genesis,
        parameters=file.parameters,
        artifacts=file.artifacts,
        governance=governance,
        **_accounts(file.addresses),
    )


def encode(deployment: Deployment) -> bytes:
    """The file's content; one deployment has one encoding."""
    governance = deployment.governance
    file = _File(
        format=FORMAT,
        chain_id=deployment.chain_id,
        block=deployment.block,
        addresses=_Addresses(**_texts(_Addresses, deployment)),
        genesis=deployment.genesis,
        parameters=deployment.parameters,
        artifacts=dict(sorted(deployment.artifacts.items())),
        governance=None if governance is None else _Governance(**_texts(_Governance, governance)),
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def save(path: Path, deployment: Deployment) -> None:
    """Writes the file whole or not at all. Raises UserError when that is impossible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    write_whole(path, encode(deployment), 0o644)  # it is public


def _texts(kind: type[msgspec.Struct], holder: object) -> dict[str, str]:
    return {name: show_account(getattr(holder, name)) for name in kind.__struct_fields__}


def _accounts(addresses: msgspec.Struct) -> dict[str, Account]:
    texts = msgspec.structs.asdict(addresses)
    return {name: Account(bytes.fromhex(text[2:])) for name, text in texts.items()}
