"""`mixpay faucet`: money of a devnet."""

from __future__ import annotations

from pathlib import Path

import click

from mixpay.accounts import parse_account, show_account
from mixpay.amounts import shown
from mixpay.cli import common
from mixpay.cli.amounts import TOKENS
from mixpay.demo.faucet import give
from mixpay.errors import UserError
from mixpay.types import Amount


@click.command(epilog="Example: mixpay faucet --devnet devnet 0xYOURACCOUNT")
@click.argument("account")
@click.option(
    "--devnet",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    envvar="MIXPAY_DEVNET",
    help="The folder of a devnet that runs.",
)
@click.option("--tokens", type=TOKENS, default="1000", show_default=True)
@click.option("--ether", type=click.IntRange(0), default=10, show_default=True)
def faucet(account: str, folder: Path, tokens: Amount, ether: int) -> None:
    """Give ACCOUNT ether and tokens of a devnet that runs."""
    try:
        to = parse_account(account, "ACCOUNT")
    except ValueError as error:
        raise UserError(str(error)) from None
    give(folder.expanduser(), to, ether, tokens)
    common.say(f"{show_account(to)} got {ether} ether and {shown(tokens)} tokens")
