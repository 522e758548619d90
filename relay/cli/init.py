"""`mixpay-relay init`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from mixpay import deployment as deployments
from mixpay.accounts import show_account
from mixpay.cli.common import ask_password, json_option, light_keys_option, password_option, result, say
from mixpay.errors import UserError
from mixpay.keystore import Kdf
from relay import config
from relay.cli import options
from relay.home import initialise


@click.command(
    epilog="Example: mixpay-relay init --rpc http://127.0.0.1:8545 --deployment network.json "
    "--host relay.example --owner 0x... --issuer 1=https://issuer.example --set treasury.float=500000"
)
@options.home
@click.option("--rpc", "rpc_url", required=True, help="JSON-RPC endpoint of the chain.")
@click.option(
    "--deployment",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The network's deployment file.",
)
@click.option("--host", required=True, help="Name or address at which others reach this relay.")
@click.option("--link-port", type=click.IntRange(1, 65535), default=9101, show_default=True)
@click.option("--client-port", type=click.IntRange(1, 65535), default=9102, show_default=True)
@click.option("--owner", required=True, help="Account that stakes and receives what is swept (cold).")
@click.option("--issuer", "issuers", multiple=True, metavar="CAMPAIGN=URL", help="May be repeated.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Another setting; may be repeated."
)
@light_keys_option
@password_option
@json_option
def init(
    folder: Path,
    rpc_url: str,
    deployment: Path,
    host: str,
    link_port: int,
    client_port: int,
    owner: str,
    issuers: Sequence[str],
    settings: Sequence[str],
    light_keys: bool,
    password_file: Path | None,
    as_json: bool,
) -> None:
    """Make the folder: a commented configuration, and an encrypted key store with fresh keys."""
    deployments.load(deployment)
    text = config.render(
        rpc_url=rpc_url,
        deployment=str(deployment.resolve()),
        host=host,
        link_port=link_port,
        client_port=client_port,
        owner=owner,
        issuers=_issuers(issuers),
        settings=_pairs(settings, "--set", "NAME=VALUE"),
    )
    password = ask_password(password_file, new=True)
    kdf = Kdf.LIGHT if light_keys else Kdf.STANDARD
    made = initialise(folder, text, password, kdf)
    operator = show_account(made.operator)
    if made.kept:
        say("the keys were there already and are kept")
    fields = {"operator": operator, "owner": owner, "config": str(made.config)}
    result(as_json, fields, f"operator {operator}\nsettings {made.config}")
    say("next: mixpay-relay register --owner-key-file FILE --capital TOKENS --gas ETHER")


def _issuers(given: Sequence[str]) -> dict[int, str]:
    pairs = _pairs(given, "--issuer", "CAMPAIGN=URL")
    for campaign in pairs:
        if not (campaign.isascii() and campaign.isdigit()):
            raise UserError(f"--issuer {campaign}=...: the number of a campaign comes before the =")
    return {int(campaign): url for campaign, url in pairs.items()}


def _pairs(given: Sequence[str], option: str, form: str) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise UserError(f"{option} {text}: it reads {form}")
        pairs[name.strip()] = value.strip()
    return pairs
