"""The relay's configuration file: TOML, every limit by name, every name explained in the template.

A daemon knows this file, its own folder, the RPC endpoint and the deployment file; nothing else.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from mixpay.errors import UserError

TEMPLATE = """\
# Mixpay relay. Every setting with its default; amounts are in hop prices unless they say otherwise.

# JSON-RPC endpoint of the chain, and the deployment file that says where the contracts are.
rpc_url = "{rpc_url}"
deployment = "{deployment}"

# What the registry announces: others reach this relay here.
host = "{host}"
link_port = {link_port}
client_port = {client_port}

# What the daemon listens on; another address than `host` behind NAT.
listen = "{listen}"

# Account that owns the stake and receives swept earnings (cold: its key does not live here).
owner = "{owner}"

# Operator's HTTP interface (status, metrics, control), on loopback only; 0 takes a free port.
api_port = 0

# Seconds between two looks at the chain.
poll_interval = 2.0

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

[settlement]
# Redeem a batch at so many tickets, or after so many seconds.
tickets = 1_000
period = 3_600.0

[treasury]
# Open a channel to a payee once we owe it this much; add this much each time (both in hop prices).
open_at = 1_000
fund = 20_000
# Top up when the channel holds less than this beyond what is owed.
top_up_below = 5_000
# Claim on chain when a payer's vouchers exceed what was claimed by this much.
claim_at = 20_000
# Earnings kept in the ledger; what is above `float + sweep_at` goes to the owner, down to `float`.
float = 100_000
sweep_at = 100_000
"""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exposure limits (hop prices, tickets, seconds) and queue lengths (packets)."""

    unsigned_tickets: int = 256
    sign_after: float = 2.0
    max_unsettled: int = 200_000
    credit_limit: int = 2_000
    ack_timeout: float = 5.0
    mixer_packets: int = 50_000
    link_queue: int = 10_000
    clients: int = 1_000


class Settlement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a batch is redeemed: tickets, or seconds since its first."""

    tickets: int = 1_000
    period: float = 3_600.0


class TreasuryRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"float_": "float"}):
    """Thresholds of the daemon's own chain transactions, in units of the hop price."""

    open_at: int = 1_000
    fund: int = 20_000
    top_up_below: int = 5_000
    claim_at: int = 20_000
    float_: int = 100_000
    sweep_at: int = 100_000


class RelayConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One relay's settings. `home` is the folder the file lies in."""

    rpc_url: str
    deployment: str
    host: str
    link_port: int
    client_port: int
    owner: str
    listen: str = "0.0.0.0"  # noqa: S104 - a relay serves the network; the operator may narrow it
    api_port: int = 0
    poll_interval: float = 2.0
    issuers: dict[str, str] = {}
    limits: Limits = Limits()
    settlement: Settlement = Settlement()
    treasury: TreasuryRules = TreasuryRules()

    @property
    def endpoint(self) -> str:
        """The text registered on chain: host:link_port:client_port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.link_port}:{self.client_port}"


def load(path: Path) -> RelayConfig:
    """Read and check a configuration file.

    Raises UserError naming the file and the setting that is wrong.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=RelayConfig)
    except FileNotFoundError:
        raise UserError(f"no configuration at {path}: run `mixpay-relay init` first") from None
    except msgspec.MsgspecError as error:
        raise UserError(f"{path}: {error}") from None
