"""`mixpay sponsor`: create a campaign, fund it, serve passes.

Results go to stdout, progress to stderr. Raises MixpayError; the main command turns it into text and status.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from mixpay import amounts
from mixpay import deployment as deployments
from mixpay.accounts import show_account
from mixpay.chain.rpc import Rpc
from mixpay.cli import common
from mixpay.cli.amounts import TOKENS
from mixpay.errors import UserError
from mixpay.keystore import Kdf
from mixpay.sponsor import app, campaigns
from mixpay.sponsor.config import PORT, Home
from mixpay.types import Amount

_ETHER = 10**18
_Settings = tuple[str, Path, int]


home_option = click.option(
    "--home",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("~/.mixpay/sponsor"),
    show_default=True,
    envvar="MIXPAY_SPONSOR_HOME",
    help="The sponsor's folder: settings, keys, database.",
)
_rpc = click.option("--rpc", "rpc_url", help="JSON-RPC endpoint of the chain (first time only).")
_deployment = click.option(
    "--deployment",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The deployment file (first time only).",
)
_port = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    show_default=str(PORT),
    help="Where the issuer listens (first time only).",
)
_policies = click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="KIND[,NAME=VALUE...]",
    help="Who gets passes (first time only); may be repeated; without one, everybody. All kinds: "
    "docs/sponsoring.md.",
)
release_option = click.option(
    "--release",
    type=click.IntRange(0),
    metavar="N",
    help="In this release of the network; else in the deployment file's.",
)
database_option = click.option(
    "--database",
    metavar="URL",
    help="postgresql://user@host/name, for several instances; else what sponsor.toml says. "
    "Its password: PGPASSWORD in the environment.",
)

_COMMANDS = {
    "init": ("mixpay.cli.sponsor:init", "Make the folder, its settings and its keys."),
    "create": ("mixpay.cli.sponsor:create", "Create the campaign on chain."),
    "fund": ("mixpay.cli.sponsor:fund", "Add tokens to the campaign's budget."),
    "invite": ("mixpay.cli.sponsor_policies:invite", "Make invitation codes."),
    "api-key": ("mixpay.cli.sponsor_policies:api_key", "Make a key for a dApp's backend."),
    "serve": ("mixpay.cli.sponsor:serve", "Serve passes until interrupted."),
    "openapi": ("mixpay.cli.sponsor_policies:openapi", "Print the description of the HTTP interface."),
    "status": ("mixpay.cli.sponsor_money:status", "Say how the campaign stands: passes, money, relays."),
    "invoice": ("mixpay.cli.sponsor_money:invoice", "Write what was paid, between two days, as CSV."),
    "pause": ("mixpay.cli.sponsor_money:pause", "Issue no passes for now."),
    "resume": ("mixpay.cli.sponsor_money:resume", "Issue passes again."),
    "withdraw": ("mixpay.cli.sponsor_money:withdraw", "Take the campaign's budget back."),
}


@click.group(cls=common.Commands, table=_COMMANDS)
def sponsor() -> None:
    """Pay for your users' messages: create a campaign, fund it, serve passes.

    \b
    First time:
      mixpay sponsor init --rpc https://rpc.example --deployment network.json
      (send ether and tokens to the account it prints)
      mixpay sponsor create --period-cap 1000 --relay-cap 100
      mixpay sponsor fund 5000
      mixpay sponsor serve

    Who gets passes stands in sponsor.toml of the folder. From nothing to the first free message:
    docs/sponsoring.md; running a campaign: docs/sponsors.md.
    """


@click.command(epilog="Example: mixpay sponsor init --rpc http://127.0.0.1:8545 --deployment network.json")
@home_option
@_rpc
@_deployment
@_port
@_policies
@common.password_option
@common.light_keys_option
@common.json_option
def init(
    folder: Path,
    rpc_url: str | None,
    deployment: Path | None,
    port: int | None,
    policies: Sequence[str],
    password_file: Path | None,
    light_keys: bool,
    as_json: bool,
) -> None:
    """Make the folder, its settings and its keys, and print the account to fund."""
    home = Home(folder.expanduser())
    settings = _settings(home, rpc_url, deployment, port)
    tables = [_table(text) for text in policies]
    if tables and settings is None:
        raise UserError(f"{home.config_path} is there already: edit its [[policy]] tables instead")
    password = common.ask_password(password_file, new=True)
    if settings is not None:
        home.write_template(*settings, tables)
    account = show_account(campaigns.make_keys(home, password, _kdf(light_keys)))
    common.result(as_json, {"account": account, "home": str(home.folder)}, account)
    common.say(f"settings in {home.config_path}; send ether (for gas) and tokens to {account}")


@click.command(epilog="Example: mixpay sponsor create --period-cap 1000 --relay-cap 100")
@home_option
@_rpc
@_deployment
@_port
@click.option(
    "--period-cap",
    type=TOKENS,
    default="1000",
    show_default=True,
    help="Most paid to all relays for one epoch.",
)
@click.option(
    "--relay-cap",
    type=TOKENS,
    default="100",
    show_default=True,
    help="Most paid to one relay for one epoch.",
)
@click.option(
    "--signer-ether",
    type=click.FloatRange(0, 100),
    default=0.05,
    show_default=True,
    help="Ether that the service's own account, which registers keys, is filled up to.",
)
@common.password_option
@common.light_keys_option
@release_option
@common.json_option
def create(
    folder: Path,
    rpc_url: str | None,
    deployment: Path | None,
    port: int | None,
    period_cap: Amount,
    relay_cap: Amount,
    signer_ether: float,
    password_file: Path | None,
    light_keys: bool,
    release: int | None,
    as_json: bool,
) -> None:
    """Create the campaign on chain and write its number into the settings.

    Does what `init` does first, if that was not done. The caps never change. Safe to repeat after a failure.
    """
    home = Home(folder.expanduser())
    settings = _settings(home, rpc_url, deployment, port)
    password = common.ask_password(password_file, new=not home.keystore.exists())
    if settings is not None:
        home.write_template(*settings)
        campaigns.make_keys(home, password, _kdf(light_keys))
    caps = campaigns.Caps(period_cap, relay_cap)
    wei = int(signer_ether * _ETHER)
    created = campaigns.create(home, password, caps, wei, common.say, release)
    accounts = {"sponsor": show_account(created.sponsor), "signer": show_account(created.signer)}
    common.result(as_json, {"campaign": created.campaign, **accounts}, str(created.campaign))
    common.say(f"campaign {created.campaign} exists; add money with  mixpay sponsor fund AMOUNT")


@click.command(epilog="Example: mixpay sponsor fund 5000")
@click.argument("amount", type=TOKENS)
@click.option(
    "--campaign",
    type=click.IntRange(1, (1 << 32) - 1),
    metavar="N",
    help="Somebody else's campaign, such as the commons: a gift, which its sponsor can also withdraw.",
)
@home_option
@release_option
@common.password_option
@common.json_option
def fund(
    amount: Amount,
    campaign: int | None,
    folder: Path,
    release: int | None,
    password_file: Path | None,
    as_json: bool,
) -> None:
    """Add AMOUNT tokens of the sponsor's account to the campaign's budget, or to another one's."""
    home = Home(folder.expanduser())
    password = common.ask_password(password_file)
    budget = campaigns.fund(home, password, amount, common.say, release, campaign)
    common.result(as_json, {"budget": str(budget)}, f"{amounts.shown(budget)} tokens in the budget")


@click.command(epilog="Example: MIXPAY_PASSWORD=... mixpay sponsor serve")
@home_option
@database_option
@common.password_option
@common.log_format_option
@common.verbose_option
def serve(
    folder: Path, database: str | None, password_file: Path | None, log_format: str, verbose: bool
) -> None:
    """Serve passes until interrupted, and keep the campaign's keys registered ahead of time.

    Prints the service's address when it is ready. Several instances, each with a copy of the folder, may
    serve one campaign on one database server.
    """
    common.log_to_stderr(log_format, verbose)
    home = Home(folder.expanduser())
    asyncio.run(_serve(home, common.ask_password(password_file), click.echo, database))


async def _serve(home: Home, password: str, ready: Callable[[str], None], database: str | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await app.serve(home, password, stop, ready, database)


def _table(text: str) -> dict[str, str]:
    """A [[policy]] table, as an option writes it."""
    kind, *settings = text.split(",")
    pairs = [setting.partition("=") for setting in settings]
    if not all(name and separator for name, separator, _ in pairs):
        raise UserError(f"--policy {text}: it reads KIND,NAME=VALUE,NAME=VALUE")
    return {"kind": kind, **{name: value for name, _, value in pairs}}


def _kdf(light: bool) -> Kdf:
    return Kdf.LIGHT if light else Kdf.STANDARD


def _settings(home: Home, rpc_url: str | None, deployment: Path | None, port: int | None) -> _Settings | None:
    """What to write into a new home's settings; None if they are there and say nothing else.

    Raises UserError for what is missing, wrong, or not what the settings say.
    """
    if deployment is not None:
        deployments.load(deployment)
    if rpc_url is not None:
        Rpc(rpc_url)  # refuses what is no address
    if not home.config_path.exists():
        if rpc_url is None or deployment is None:
            raise UserError("the first time, name the chain: --rpc URL --deployment FILE")
        return rpc_url, deployment, PORT if port is None else port
    config = home.load()
    there = (config.rpc_url, home.path(config.deployment).resolve(), config.port)
    wanted = (rpc_url, deployment and deployment.resolve(), port)
    if any(new not in (None, old) for new, old in zip(wanted, there, strict=True)):
        raise UserError(f"{home.config_path} is there already: edit it, or choose another folder with --home")
    return None
