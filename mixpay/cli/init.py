"""`mixpay init`: the first command. It loads little, for a newcomer waits for it."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from mixpay import deployment as deployments
from mixpay.client.home import ClientConfig, Home
from mixpay.errors import UserError
from mixpay.urls import rpc_origin, sponsor_url

home_option = click.option(
    "--home",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("~/.mixpay"),
    show_default=True,
    envvar="MIXPAY_HOME",
    help="Your folder: settings, keys, passes.",
)


@click.command(
    epilog="Example: mixpay init --rpc http://127.0.0.1:8545 --deployment network.json "
    "--sponsor http://127.0.0.1:8850"
)
@home_option
@click.option(
    "--rpc", "rpc_url", required=True, help="JSON-RPC endpoint of the chain; use one that you trust."
)
@click.option(
    "--deployment",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The network's deployment file.",
)
@click.option(
    "--sponsor", required=True, help="Who gives you passes: the address of its issuer."
)
@click.option("--campaign", type=click.IntRange(1), help="The sponsor's campaign; else the first it names.")
@click.option("--policy", default="", help="Which of the sponsor's ways to get passes, by name.")
@click.option("--invitation", default="", help="An invitation code, if the sponsor gave you one.")
@click.option("--token", default="", help="The token of the dApp that pays, if it does not change.")
@click.option(
    "--token-file", type=click.Path(path_type=Path, dir_okay=False), help="A file that holds that token."
)
@click.option("--token-command", default="", help="A program that prints that token, as for a shell.")
@click.option(
    "--wallet-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Key file of an Ethereum account to sign in with.",
)
@click.option(
    "--wallet-password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with the key file's password.",
)
def init(
    folder: Path,
    rpc_url: str,
    deployment: Path,
    sponsor: str,
    campaign: int | None,
    policy: str,
    invitation: str,
    token: str,
    token_file: Path | None,
    token_command: str,
    wallet_key_file: Path | None,
    wallet_password_file: Path | None,
) -> None:
    """Make your folder and its settings. You need no wallet, no ether and no tokens."""
    deployments.load(deployment)
    rpc_origin(rpc_url)  # refuses what is no address
    home = Home(folder.expanduser())
    network = rpc_url, str(deployment.resolve()), sponsor_url(sponsor)
    config = ClientConfig(
        *network,
        campaign,
        policy=policy,
        invitation=invitation,
        token=token,
        token_file=_absolute(token_file),
        token_command=_words(token_command),
        wallet_key_file=_absolute(wallet_key_file),
        wallet_password_file=_absolute(wallet_password_file),
    )
    home.write_config(config)
    click.echo(f"settings in {home.config_file}; next: mixpay address", err=True)


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.expanduser().resolve())


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UserError(f"--token-command: {error}") from None
