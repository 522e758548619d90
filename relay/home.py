"""The files of a relay's folder, and what `init` puts there.

relay.toml     settings, each explained
keys/          key store: operator (secp256k1), link (Ed25519 seed); beside them, the epochs signed for, and
               what was restored from a backup
relay.sqlite   the daemon's database; that of a later release N of the network is relay-N.sqlite
api.json       how to talk to the running daemon
metrics.token  what Prometheus shows to read the metrics
retired/       folders of relays with earlier operator keys; rotation.json, successor/: see relay/rotation/
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mixpay import deployment as deployments
from mixpay import eip712, keystore
from mixpay.deployment import Deployment
from mixpay.errors import UserError
from mixpay.files import make_private_folder
from mixpay.keystore import Kdf
from mixpay.typed import typed
from mixpay.types import Account
from relay import config as configs
from relay.config import RelayConfig, decode
from relay.keys import restored
from relay.rotation.plan import require_whole

if TYPE_CHECKING:  # it loads the chain library, which --help must not wait for
    from mixpay.releases import Span

CONFIG = "relay.toml"
KEYS = "keys"
OPERATOR_KEY = "operator"
LINK_KEY = "link"
SIGNED_EPOCHS = "signed-epochs"
RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Home:
    """A relay's folder, opened: settings and secrets."""

    path: Path
    config: RelayConfig
    deployment: Deployment
    operator_key: bytes = field(repr=False)
    link_seed: bytes = field(repr=False)
    release: int = 0
    """The number of the first release that names the deployment's contracts."""
    later: bool = False
    """Whether these contracts are not those of the deployment file."""

    @property
    def operator(self) -> Account:
        """The operator's account, in every release."""
        return Account(eip712.account_of(self.operator_key))

    @property
    def database(self) -> Path:
        """The database of this release."""
        return self.database_of(self.release)

    @property
    def signed_epochs(self) -> Path:
        """The record of `relay.keys.signed_epochs`, of all releases."""
        return self.path / KEYS / SIGNED_EPOCHS

    @property
    def restored(self) -> bool:
        """Whether the database of this release is an older copy, or a new one in the place of one that was
        lost. Raises UserError if that cannot be told."""
        record = restored.read(self.path / KEYS / RESTORED)
        return record is not None and self.database.name not in record.whole

    def database_of(self, release: int) -> Path:
        """The database of a release."""
        return self.path / database_name(release)

    def at(self, span: Span, deployment: Deployment) -> Home:
        """The same for a release."""
        later = deployment.contracts != self.deployment.contracts
        return replace(self, deployment=deployment, release=span.number, later=later)

    @classmethod
    def open(cls, path: Path, password: str) -> Home:
        """Read everything. Raises UserError naming the file that is absent, wrong or readable by others."""
        require_whole(path)
        config = configs.load(path / CONFIG)
        deployment = deployments.load(path / config.deployment)
        keys = path / KEYS
        return cls(
            path,
            config,
            deployment,
            keystore.load(keys, OPERATOR_KEY, password),
            keystore.load(keys, LINK_KEY, password),
        )


def database_name(release: int) -> str:
    """The name of the file for a release."""
    return "relay.sqlite" if release == 0 else f"relay-{release}.sqlite"


class _KeyFile(msgspec.Struct):
    """The part of a key file that is not secret."""

    address: str


@dataclass(frozen=True, slots=True)
class NewHome:
    """What `init` made: `kept` says that the keys were there already."""

    config: Path
    operator: Account
    kept: bool


def initialise(folder: Path, text: str, password: str, kdf: Kdf) -> NewHome:
    """Make keys, then the configuration file with this content. After an interruption it can be repeated.

    Raises UserError, before anything is written, when there is a configuration already or it is not valid.
    """
    path, keys = folder / CONFIG, folder / KEYS
    require_whole(folder)
    if path.exists():
        raise UserError(f"{path} is there already: edit it, or choose another folder with --home")
    decode(text.encode(), "the configuration")
    try:
        make_private_folder(folder)
        missing = [name for name in (OPERATOR_KEY, LINK_KEY) if name not in keystore.names(keys)]
        for name in {OPERATOR_KEY, LINK_KEY} - set(missing):
            keystore.load(keys, name, password)  # the daemon needs one password for both
        keystore.create(keys, missing, password, random=os.urandom, kdf=kdf)
        keystore.write_private(path, text.encode())
    except OSError as error:
        raise UserError(f"cannot write in {folder}: {error.strerror}") from None
    return NewHome(path, operator_account(folder), len(missing) < 2)


def operator_account(folder: Path) -> Account:
    """The operator's account, as its key file names it; needs no password. Raises UserError."""
    path = folder / KEYS / f"{OPERATOR_KEY}.json"
    try:
        address = msgspec.json.decode(path.read_bytes(), type=typed(_KeyFile)).address
    except FileNotFoundError:
        raise UserError(f"there is no key {path}: run `mixpay-relay init` first") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    if not re.fullmatch(r"(0x)?[0-9a-fA-F]{40}", address):
        raise UserError(f"{path} names no account: put back a copy of it")
    return Account(bytes.fromhex(address[-40:]))
