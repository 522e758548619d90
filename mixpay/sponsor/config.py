"""A sponsor's home folder and its configuration file (TOML).

sponsor.toml        settings, each explained
keys/               key store: sponsor, signer, identity, passes
issuer.db           the issuer's database, if it is not on a server; blind-signing keys in it are encrypted
                    under the key `passes`
issuer-N.db         the same for the campaign in a later release N
invitations.txt     codes of the policy `invitation`
service.lock        held by the service
service.json        where the running service listens, and its database
api.json, metrics.token   where it answers its sponsor, and what opens that
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from mixpay.errors import UserError
from mixpay.files import decode_settings, literal, load_settings, make_private_folder, quoted, write_whole
from mixpay.sponsor.policies import read_settings
from mixpay.sponsor.store import Place
from mixpay.typed import typed

TEMPLATE = """\
# Mixpay sponsor. Paths are relative to this file's folder.

# JSON-RPC endpoint of the chain, and the deployment file that says where the contracts are.
rpc_url = {rpc_url}
deployment = {deployment}

# The campaign's number on chain, written by `mixpay sponsor create`; 0: there is none yet.
campaign = 0

# Where the issuer listens. Put a proxy with TLS before it; a port of 0 picks a free one, see service.json.
listen = "127.0.0.1"
port = {port}

# Where `mixpay sponsor status` and Prometheus ask, on loopback (docs/sponsors.md); 0 picks a free port.
api_port = 0

# Behind a proxy the client's address is the last entry of X-Forwarded-For; true without a proxy lets anybody
# name any address.
behind_proxy = false

# Blind-signing keys are registered for so many epochs ahead, at least 2: the next epoch's moment may have
# passed.
keys_ahead = 3

# The issuer's database: "" is a file in this folder; postgresql://user@host/name is a server's, for several
# instances of this service behind one balancer. Its password may stand in the environment as PGPASSWORD.
database = ""

# Seconds between two looks at the chain.
poll_seconds = 2.0

# Requests that may wait for the issuer at once; more are refused as busy.
waiting = 256

# Connections at once, in all and from one address (of IPv6: from one /64; from one /48 four times as many),
# and requests of one address each second in the long run. Behind a proxy the first counts only: let the proxy
# limit addresses.
connections = 1_000
connections_of_address = 64
per_second = 20.0

# Who gets passes, and how many: one [[policy]] for each way to get them; users choose among several. Each has
# a kind, a name (the kind, if you give none; two of one kind need two names), and quotas: passes for one
# identity in one epoch (entry) and in one term (mailbox). An entry relay that is down costs its user another
# pass, so allow a few. What else there is depends on the kind; the commented ones below show all kinds.
{policies}
# Who brings an invitation code. `mixpay sponsor invite` makes some; the file is read again when it changes.
# [[policy]]
# kind = "invitation"
# codes = "invitations.txt"

# The users of a dApp, for whom its backend asks with a key of `mixpay sponsor api-key NAME`. The quotas are
# each user's; those of all users of a key together can be limited (0: they are not).
# [[policy]]
# kind = "api-key"
# keys = "api-keys.txt"
# key_entry_passes = 0
# key_mailbox_passes = 0

# The users of a dApp, which is asked over HTTP whose token this is: https, or http on this machine. The file
# holds a secret that the dApp knows, which signs what it is asked; it has `seconds` to answer. At `login_url`
# people get a token.
# [[policy]]
# kind = "callback"
# url = "https://dapp.example/mixpay"
# secret = "callback-secret.txt"
# seconds = 5.0
# login_url = ""

# Owners of Ethereum accounts, who sign a message (EIP-4361) that names this issuer: `domain` is the host,
# with the port unless it is that of https, by which users reach it. `chain_id` 0 is the campaign's chain; for
# another one name a node of it. An account costs nothing: ask that it holds `min_balance` wei, or that so
# many seconds ago it had sent a transaction (or held that balance), for which the node must keep old states.
# [[policy]]
# kind = "wallet"
# domain = "passes.example"
# uri = "https://passes.example"
# statement = "Get a Mixpay pass. This sends no transaction and costs nothing."
# chain_id = 0
# rpc_url = ""
# min_balance = 0
# min_age_seconds = 0

# Anybody, for work: each proof is one pass, whatever the quotas say. `difficulty` is in attempts of about
# half a millisecond of a core; it doubles after every `raise_after` passes of a period (0: never), and for
# `grace_seconds` proofs of the difficulty before are good too. Work alone stops nobody who runs relays
# (docs/abuse.md), so limit the passes of a period in all (0: any number).
# [[policy]]
# kind = "work"
# difficulty = 4096
# raise_after = 10_000
# grace_seconds = 600
# all_entry_passes = 0
# all_mailbox_passes = 0

[later_campaigns]
# The campaign's number in each later release of the network, written by `mixpay sponsor create --release N`;
# read again by the running service when the network has one.
"""

_OPEN = """\
[[policy]]
# Anybody, counted by network address (of IPv6: by /64). For tests, demonstrations and closed networks.
kind = "open"
entry_passes = 4
mailbox_passes = 4
"""

PORT = 8850
"""Where an issuer listens that is not told."""
_REMEDY = "run `mixpay sponsor init --rpc URL --deployment FILE`"
_Release = Annotated[str, msgspec.Meta(pattern="^(0|[1-9][0-9]{0,9})$")]
_LATER = re.compile(r"(?m)^[ \t]*\[[ \t]*later_campaigns[ \t]*\][ \t]*(?:#.*)?\n")
_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_Seconds = Annotated[float, msgspec.Meta(ge=0.05, le=3600)]


class SponsorConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sponsor's settings; the template explains each."""

    rpc_url: str
    deployment: str
    campaign: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)] = 0
    listen: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)] = PORT
    api_port: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)] = 0
    behind_proxy: bool = False
    keys_ahead: Annotated[int, msgspec.Meta(ge=2, le=64)] = 3
    database: str = ""
    poll_seconds: _Seconds = 2.0
    waiting: _Count = 256
    connections: _Count = 1_000
    connections_of_address: _Count = 64
    per_second: Annotated[float, msgspec.Meta(ge=0.1, le=1e6)] = 20.0
    policy: list[dict[str, Any]] = []
    later_campaigns: dict[_Release, Annotated[int, msgspec.Meta(ge=1, lt=1 << 32)]] = {}

    def __repr__(self) -> str:
        """Without the values: there may be a password among them."""
        return "SponsorConfig(...)"

    def campaign_in(self, later: int | None) -> int:
        """The number of the campaign in a later release, or (None) in the deployment file's; 0: none yet."""
        return self.campaign if later is None else self.later_campaigns.get(str(later), 0)


class ServiceFile(msgspec.Struct, frozen=True):
    """Content of `service.json`. `database`: a server's address without a password, "" for a file."""

    url: str
    database: str


class Home:
    """A sponsor's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config_path = folder / "sponsor.toml"
        self.keystore = folder / "keys"
        self.service_file = folder / "service.json"

    def pass_keys(self, later: int | None = None) -> Path:
        """Where blind-signing keys were before they were in the database; `later` as in `database`."""
        return self.folder / ("pass-keys" if later is None else f"pass-keys-{later}")

    def database(self, server: str, later: int | None = None) -> Place:
        """The issuer's database, of a later release or (None) of the deployment file's.

        `server`: its address; "" for a file here. Raises UserError for what is no address.
        """
        if server:
            return Place.server(server, later)
        return Place.file(self.folder / ("issuer.db" if later is None else f"issuer-{later}.db"))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the folder for one service; the system lets it go when the process ends, however it ends.

        Raises UserError if another one has it.
        """
        descriptor = os.open(self.folder / "service.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another service runs in this folder, {self.folder}: stop it first; several instances "
                    "need a copy of it each (docs/operating/issuer.md)"
                ) from None
            yield
        finally:
            os.close(descriptor)

    def tell_service(self, service: ServiceFile) -> None:
        """Write down where the service is that starts now. Raises UserError."""
        write_whole(self.service_file, msgspec.json.encode(service))

    def database_of_service(self, server: str, later: int | None = None) -> Place:
        """As `database`. Raises UserError, too, if the service in this folder works on another one."""
        found = self.database(server, later)
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            told = msgspec.json.decode(self.service_file.read_bytes(), type=typed(ServiceFile)).database
            if told != found.address:
                where = f"{told}: say --database URL" if told else "a file here: leave --database out"
                raise UserError(f"the service in this folder works on {where}")
        return found

    def path(self, text: str) -> Path:
        """A path of the configuration."""
        return self.folder / Path(text).expanduser()

    def load(self) -> SponsorConfig:
        """Read the configuration. Raises UserError naming the file and the setting that is wrong."""
        config = load_settings(self.config_path, SponsorConfig, _REMEDY)
        try:
            read_settings(config.policy)
        except UserError as error:
            raise UserError(f"{self.config_path}: {error}") from None
        return config

    def write_template(
        self, rpc_url: str, deployment: Path, port: int, policies: Sequence[Mapping[str, str]] = ()
    ) -> SponsorConfig:
        """Write a first configuration.

        `policies`: [[policy]] tables, with values as people type them; none: everybody gets passes. Raises
        UserError if there is a configuration, or a policy is wrong.
        """
        tables = "\n".join(map(_table, policies)) or _OPEN
        read_settings(decode_settings(tables.encode(), _Tables, "the policies").policy)
        if self.config_path.exists():
            raise UserError(f"{self.config_path} is there already; edit it instead")
        try:
            make_private_folder(self.folder)
        except OSError as error:
            raise UserError(f"cannot use the folder {self.folder}: {error.strerror}") from None
        settings = {
            "rpc_url": quoted(rpc_url),
            "deployment": quoted(str(deployment.resolve())),
            "port": str(port),
            "policies": tables,
        }
        write_whole(self.config_path, TEMPLATE.format(**settings).encode())
        return self.load()

    def remember_campaign(self, number: int, later: int | None = None) -> None:
        """Write the campaign's number into the configuration, leaving everything else as it is.

        Raises UserError if that cannot be done to what somebody has made of the file; it is not changed then.
        """
        text = self.config_path.read_text(encoding="utf-8")
        if later is None:
            changed, found = re.subn(r"(?m)^campaign\s*=\s*\d+", f"campaign = {number}", text, count=1)
            if not found:
                changed = f"campaign = {number}\n{text}"
        else:
            line = f"{later} = {number}\n"
            changed, found = re.subn(_LATER, rf"\g<0>{line}", text, count=1)
            if not found:
                changed = f"{text.rstrip()}\n\n[later_campaigns]\n{line}"
        self._check_campaign(changed, number, later)
        write_whole(self.config_path, changed.encode())

    def _check_campaign(self, text: str, number: int, later: int | None) -> None:
        with contextlib.suppress(UserError):
            if decode_settings(text.encode(), SponsorConfig, "").campaign_in(later) == number:
                return
        what = f"campaign = {number}" if later is None else f"{later} = {number}  under [later_campaigns]"
        raise UserError(f"{self.config_path} cannot be changed by a program: write  {what}")


class _Tables(msgspec.Struct):
    policy: list[dict[str, Any]]


def _table(policy: Mapping[str, str]) -> str:
    return "[[policy]]\n" + "".join(f"{name} = {literal(value)}\n" for name, value in policy.items())
