"""`mixpay-relay register` and `withdraw`: what a relay's owner does on the chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mixpay import amounts
from mixpay.accounts import parse_account, show_account
from mixpay.cli.common import ask_password, json_option, password_option, result, say
from mixpay.errors import UserError
from mixpay.types import Account, Amount
from relay.cli import options

if TYPE_CHECKING:
    from relay.operator.registration import Owner


@click.command(epilog="Example: mixpay-relay register --owner-key-file owner.json --capital 0.1 --gas 0.5")
@options.home
@options.owner_key
@options.owner_password
@click.option(
    "--capital",
    metavar="TOKENS",
    default="0",
    help="Fill the operator's balance in the ledger up to this: it pays next relays before it is paid.",
)
@click.option(
    "--gas", metavar="ETHER", default="0", help="Fill the operator's account up to this, for transactions."
)
@options.release
@click.option("--link-port", type=click.IntRange(1, 65535), help="Another than the settings'.")
@click.option("--client-port", type=click.IntRange(1, 65535), help="Another than the settings'.")
@password_option
@json_option
def register(
    folder: Path,
    owner_key_file: Path,
    owner_password_file: Path | None,
    capital: str,
    gas: str,
    release: int | None,
    link_port: int | None,
    client_port: int | None,
    password_file: Path | None,
    as_json: bool,
) -> None:
    """Stake and register the relay, or bring its registration in line with the configuration.

    Repeating it changes nothing that is in order. While the network moves to a new release, register in that
    one too, with ports of its own; a running daemon takes it up.
    """
    tokens, wei = Amount(amounts.parse(capital)), amounts.parse(gas)
    if (link_port is None) != (client_port is None):
        raise UserError("give both --link-port and --client-port, or neither")
    ports = (link_port, client_port) if link_port is not None and client_port is not None else None
    owner = the_owner(folder, owner_key_file, owner_password_file, release)
    done = owner.register(ask_password(password_file), tokens, wei, ports)
    state = "registered" if done.new else "updated" if done.updated else "was registered already"
    fields = {
        "relay": done.relay,
        "new": done.new,
        "updated": done.updated,
        "operator": show_account(done.operator),
        "owner": show_account(done.owner),
        "endpoint": done.endpoint,
    }
    result(as_json, fields, f"relay {done.relay} {state}: {done.endpoint}")


@click.command(epilog="Example: mixpay-relay withdraw --owner-key-file owner.json --ledger")
@options.home
@options.owner_key
@options.owner_password
@click.option("--to", "to_text", metavar="ACCOUNT", help="Who receives it; the owner, if not given.")
@click.option(
    "--ledger",
    is_flag=True,
    help="Pay out the operator's balance in the ledger too (needs the key store's password).",
)
@options.release
@password_option
@json_option
def withdraw(
    folder: Path,
    owner_key_file: Path,
    owner_password_file: Path | None,
    to_text: str | None,
    ledger: bool,
    release: int | None,
    password_file: Path | None,
    as_json: bool,
) -> None:
    """Pay out what is left of the stake, once unbonding is over; before that, say when."""
    to = _account(to_text) if to_text is not None else None
    owner = the_owner(folder, owner_key_file, owner_password_file, release)
    paid = owner.withdraw(to or owner.account, ask_password(password_file) if ledger else None)
    receiver = show_account(paid.to)
    lines = []
    if paid.ledger:
        lines.append(f"{amounts.shown(paid.ledger)} tokens of the ledger paid to {receiver}")
    if paid.stake:
        lines.append(f"{amounts.shown(paid.stake)} tokens of stake paid to {receiver}")
    elif paid.withdrawable_at is not None:
        lines.append(f"the stake is bound until {amounts.moment(paid.withdrawable_at)}")
    else:
        lines.append("nothing is left of the stake: it was paid out, or judgements and a penalty took it")
    fields = {
        "relay": paid.relay,
        "to": receiver,
        "stake": str(paid.stake),
        "ledger": str(paid.ledger),
        "withdrawable_at": paid.withdrawable_at,
    }
    result(as_json, fields, "\n".join(lines))


def the_owner(folder: Path, key_file: Path, password_file: Path | None, release: int | None) -> Owner:
    """Who types the command, at the chain. Raises UserError, ChainError."""
    from relay.operator import registration  # noqa: PLC0415 loads a chain library, which --help must not wait for
    from relay.operator.owner_key import read_owner_key  # noqa: PLC0415

    key = read_owner_key(key_file, lambda: options.ask_owner_password(password_file))
    return registration.Owner(folder, key, say, release)


def _account(text: str) -> Account:
    try:
        return parse_account(text, "--to")
    except ValueError as error:
        raise UserError(str(error)) from None
