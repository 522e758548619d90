"""The relay's configuration file: TOML, every limit by name, every name explained in the template.

A daemon knows this file, its own folder, the RPC endpoint and the deployment file; nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from mixpay.accounts import parse_account
from mixpay.endpoint import Endpoint, EndpointError, parse_endpoint
from mixpay.errors import UserError
from mixpay.files import decode_settings, literal, load_settings, quoted
from mixpay.types import Account

TEMPLATE = """\
# Mixpay relay. Every setting with its default; amounts are in hop prices unless they say otherwise.

# JSON-RPC endpoint of the chain, and the deployment file that says where the contracts are.
rpc_url = {rpc_url}
deployment = {deployment}

# What the registry announces: others reach this relay here. Behind a NAT, its outer name and ports.
host = {host}
link_port = {link_port}
client_port = {client_port}

# What the daemon listens on: an address of this machine; or "address:link_port:client_port", if a NAT maps
# the announced ports to others.
listen = {listen}

# Whether the whole network is one of private addresses, as a test may be. Else announcing one is refused on
# a public chain.
private_network = false

# Account that owns the stake and receives swept earnings (cold: its key does not live here).
owner = {owner}

# Operator's HTTP interface (status, metrics, control), on loopback only; 0 takes a free port.
api_port = 0

# Seconds between two looks at the chain.
poll_interval = 2.0

# Processes that open packets beside the daemon's own: as many as it may use cores. 0: it opens them itself.
workers = 0

# Issuers of the campaigns whose passes this relay accepts: campaign number = URL.
[issuers]
{issuers}
[limits]
# Tickets a payer may leave unsigned, and seconds until it signs what is acknowledged (B and T).
unsigned_tickets = 256
sign_after = 2.0
# What a payer may owe us before it must settle, and what it may owe without a channel.
max_unsettled = 200_000
credit_limit = 2_000
# Seconds after which a ticket without acknowledgement counts as lost.
ack_timeout = 5.0
# Packets held for their delay, and packets waiting for one link.
mixer_packets = 50_000
link_queue = 10_000
# Passes and clients served at once.
clients = 1_000

[strangers]
# Connections on the link port that have not proven yet which relay they are: in all, and from one address (of
# IPv6: from one /64; from one /48 four times as many).
handshakes = 256
handshakes_of_address = 32
# Connections on the client port from one address; in all there may be 256 more than `clients`.
connections_of_address = 64
# New connections, and requests for documents, of one address each second, in the long run.
per_second = 50.0
# Seconds for a TLS handshake on the link port, and again until a relay has proven who it is.
handshake_seconds = 10.0

[settlement]
# Redeem a batch at so many tickets, or after so many seconds.
tickets = 1_000
period = 3_600.0

[passes]
# When an issuer has not paid what it must so many seconds of chain time after the end of a period, passes of
# that period are redeemed at the pool itself; at three quarters of its claim window at the latest.
redeem_after = 86_400
# Only passes that are worth this much: one alone costs about 160,000 gas, each of many about 70,000.
redeem_at = 40_000

[treasury]
# Open a channel to a payee once we owe it this much, or have signed it a voucher.
open_at = 1_000
# A channel is filled to hold this much beyond what is owed, and again when it holds less than the next.
fund = 20_000
top_up_below = 5_000
# Claim on chain when that pays this much. Vouchers of several payers share a transaction, in which each
# further one costs a third: they are claimed as soon as they pay for that.
claim_at = 20_000
# Earnings kept in the ledger; what is above `float + sweep_at` goes to the owner, down to `float`.
float = 100_000
sweep_at = 100_000

[court]
# Seconds of chain time after which a batch that its payer does not settle is brought to court.
patience = 21_600
# If its receipts come to at least so much, in the token's smallest unit (10^18 are one token). A case needs a
# bond of half of that until it is won. So much must be lacking, too, before a payer's stake is touched.
min_amount = 1_000_000_000_000_000
"""

Count = Annotated[int, msgspec.Meta(ge=1, lt=1 << 32)]
Value = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
Seconds = Annotated[float, msgspec.Meta(ge=0.01, le=31_536_000)]
Port = Annotated[int, msgspec.Meta(ge=1, lt=1 << 16)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exposure limits (hop prices, tickets, seconds) and queue lengths (packets)."""

    unsigned_tickets: Count = 256
    sign_after: Seconds = 2.0
    max_unsettled: Annotated[int, msgspec.Meta(ge=1, lt=1 << 62)] = 200_000
    credit_limit: Value = 2_000
    ack_timeout: Seconds = 5.0
    mixer_packets: Count = 50_000
    link_queue: Annotated[int, msgspec.Meta(ge=2, lt=1 << 32)] = 10_000
    clients: Count = 1_000

    def __post_init__(self) -> None:
        if self.credit_limit > self.max_unsettled:
            raise ValueError("credit_limit is above max_unsettled, which limits it anyway")


class Strangers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is given to whom nobody knows yet: connections, work a second, seconds."""

    handshakes: Count = 256
    handshakes_of_address: Count = 32
    connections_of_address: Count = 64
    per_second: Annotated[float, msgspec.Meta(ge=0.1, le=1e6)] = 50.0
    handshake_seconds: Seconds = 10.0


class Settlement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a batch is redeemed: tickets, or seconds since its first."""

    tickets: Count = 1_000
    period: Seconds = 3_600.0


class PassSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When passes are redeemed without their issuer: seconds of chain time, and hop prices of one pass."""

    redeem_after: Annotated[int, msgspec.Meta(ge=0, le=31_536_000)] = 86_400
    redeem_at: Annotated[int, msgspec.Meta(ge=1, lt=1 << 62)] = 40_000


class TreasuryRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"float_": "float"}):
    """Thresholds of the daemon's own chain transactions, in units of the hop price."""

    open_at: Value = 1_000
    fund: Value = 20_000
    top_up_below: Value = 5_000
    claim_at: Value = 20_000
    float_: Value = 100_000
    sweep_at: Value = 100_000

    def __post_init__(self) -> None:
        if self.fund < self.top_up_below:
            raise ValueError("fund is below top_up_below: a channel just filled would be topped up again")


class CourtRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a payer is brought to court: seconds of chain time, and the token's smallest unit."""

    patience: Count = 21_600
    min_amount: Annotated[int, msgspec.Meta(ge=1, lt=1 << 62)] = 1_000_000_000_000_000


class RelayConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One relay's settings. `home` is the folder the file lies in."""

    rpc_url: str
    deployment: str
    host: str
    link_port: Port
    client_port: Port
    owner: str
    listen: str = "0.0.0.0"  # noqa: S104 - a relay serves the network; the operator may narrow it
    private_network: bool = False
    api_port: Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)] = 0
    poll_interval: Seconds = 2.0
    workers: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    issuers: dict[str, str] = {}
    limits: Limits = Limits()
    strangers: Strangers = Strangers()
    settlement: Settlement = Settlement()
    passes: PassSettings = PassSettings()
    treasury: TreasuryRules = TreasuryRules()
    court: CourtRules = CourtRules()

    def __post_init__(self) -> None:
        _check_url("rpc_url", self.rpc_url)
        for campaign, url in self.issuers.items():
            if not re.fullmatch(r"[1-9][0-9]{0,9}", campaign):
                raise ValueError(f"issuers: {campaign!r} is not the number of a campaign")
            _check_url(f"the issuer of campaign {campaign}", url)
        if not self.deployment:
            raise ValueError("deployment: name the deployment file")
        try:
            parse_endpoint(self.endpoint)
        except EndpointError as error:
            raise ValueError(f"host and ports: {error}") from None
        _parse_listen(self.listen)
        parse_account(self.owner, "owner")

    @property
    def endpoint(self) -> str:
        """The text registered on chain: host:link_port:client_port."""
        return str(Endpoint(self.host, self.link_port, self.client_port))

    @property
    def listen_address(self) -> str:
        """What is listened on, without ports."""
        return _parse_listen(self.listen)[0]

    def listening(self, registered: Endpoint) -> Endpoint:
        """What to listen on for a registered endpoint: own ports stand for those announced here only."""
        address, ports = _parse_listen(self.listen)
        announced = (self.link_port, self.client_port)
        theirs = (registered.link_port, registered.client_port)
        return Endpoint(address, *(ports if ports is not None and theirs == announced else theirs))

    @property
    def owner_account(self) -> Account:
        """The owner's account, 20 bytes."""
        return parse_account(self.owner, "owner")

    @property
    def issuer_urls(self) -> dict[int, str]:
        """URLs of issuers by campaign number."""
        return {int(campaign): url for campaign, url in self.issuers.items()}


def _parse_listen(text: str) -> tuple[str, tuple[int, int] | None]:
    """Address, and ports if they are named. Raises ValueError."""
    try:
        return str(ip_address(text)), None
    except ValueError:
        pass
    try:
        place = parse_endpoint(text)
        return str(ip_address(place.host)), (place.link_port, place.client_port)
    except (EndpointError, ValueError):
        raise ValueError(
            f"listen: {text!r} is no network address of this machine, nor address:link_port:client_port"
        ) from None


def _check_url(name: str, text: str) -> None:
    try:
        parts = urlsplit(text)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # brackets that are no IPv6 address
        is_web = False
    if not is_web:
        raise ValueError(f"{name}: {text!r} is no address like http://127.0.0.1:8545")


def render(
    *,
    rpc_url: str,
    deployment: str,
    host: str,
    link_port: int,
    client_port: int,
    owner: str,
    listen: str = "0.0.0.0",  # noqa: S104 see RelayConfig
    issuers: Mapping[int, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> str:
    """A commented configuration file. `settings`: other values by name, as `limits.clients` → `500`.

    Raises UserError, naming it, for a setting that is unknown or out of its range.
    """
    urls = "".join(f"{number} = {quoted(url)}\n" for number, url in sorted((issuers or {}).items()))
    text = TEMPLATE.format(
        rpc_url=quoted(rpc_url),
        deployment=quoted(deployment),
        host=quoted(host),
        link_port=link_port,
        client_port=client_port,
        owner=quoted(owner),
        listen=quoted(listen),
        issuers=urls or '# 1 = "https://issuer.example"\n',
    )
    for name, value in (settings or {}).items():
        text = _with_setting(text, name, value)
    decode(text.encode(), "the configuration")
    return text


def changed(text: str, settings: Mapping[str, str]) -> str:
    """The text of a configuration with other values, written as TOML has them, for settings of its top level.

    A line that is not there is added at the top. Raises UserError if what comes out is no configuration.
    """
    for name, value in settings.items():
        head, section, rest = text.partition("\n[")
        line = re.compile(rf"(?m)^[ \t]*{re.escape(name)}[ \t]*=.*$")
        found = line.search(head)
        before, after = (head[: found.start()], head[found.end() :]) if found else ("", f"\n{head}")
        text = f"{before}{name} = {value}{after}{section}{rest}"
    decode(text.encode(), "the configuration")
    return text


def _with_setting(text: str, name: str, value: str) -> str:
    """The text with the line of one setting replaced."""
    section, _, key = name.rpartition(".")
    begin = text.find(f"\n[{section}]\n") if section else 0
    end = text.find("\n[", begin + 1)
    part = text[begin : end if end >= 0 else len(text)]
    line = re.compile(rf"(?m)^{re.escape(key)} = .*$")
    if begin < 0 or not key or not line.search(part):
        raise UserError(f"there is no setting {name!r}: see the names in the configuration file")
    changed = line.sub(lambda _: f"{key} = {literal(value)}", part, count=1)
    return text[:begin] + changed + text[begin + len(part) :]


def load(path: Path) -> RelayConfig:
    """Read and check a configuration file.

    Raises UserError naming the file and the setting that is wrong.
    """
    return load_settings(path, RelayConfig, "run `mixpay-relay init`")


def decode(content: bytes, name: str) -> RelayConfig:
    """Read a configuration. Raises UserError, beginning with `name`, for what is wrong in it."""
    return decode_settings(content, RelayConfig, name)
