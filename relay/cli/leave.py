"""`mixpay-relay leave`: says what will happen, and when the capital is back, before anything does."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mixpay import amounts
from mixpay.cli.common import json_option, result, say
from mixpay.errors import MixpayError
from mixpay.types import Amount
from relay.cli import options
from relay.cli.owner import the_owner
from relay.operator.api_client import ApiClient

if TYPE_CHECKING:
    from relay.operator.departure import Outlook


@click.command(epilog="Example: mixpay-relay leave --owner-key-file owner.json")
@options.home
@options.owner_key
@options.owner_password
@options.release
@click.option("--dry-run", is_flag=True, help="Only say what would happen, and when.")
@options.yes
@json_option
def leave(
    folder: Path,
    owner_key_file: Path,
    owner_password_file: Path | None,
    release: int | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Leave the network; says before what will happen, and when each part of the capital is back.

    The relay takes packets to the end of its last epoch, the next one. Then the daemon, which has to run,
    sends on what it holds, settles, claims, closes its channels, pays the owner out and ends; `mixpay-relay
    status` shows how far it is. The stake is bound for a while, and paid out by `mixpay-relay withdraw`.
    """
    from relay.operator.departure import plan_lines  # noqa: PLC0415 for --help it is too much

    owner = the_owner(folder, owner_key_file, owner_password_file, release)
    outlook = owner.outlook()
    capital = replace(outlook.capital, channels=_in_channels(folder, release))
    say(f"relay {outlook.relay} {'has left' if outlook.left else 'leaves'}:")
    for line in plan_lines(outlook.plan, capital):
        say(f"  {line}")
    fields: dict[str, Any] = {
        "relay": outlook.relay,
        "new": False,
        "withdrawable_at": outlook.plan.stake_back,
    }
    fields |= {"plan": asdict(outlook.plan), "capital": _texts(capital)}
    if dry_run:
        result(as_json, fields, "nothing was done")
        return
    if not outlook.left:
        options.confirm("leave?", yes)
    done = owner.leave()
    when = amounts.moment(done.withdrawable_at)
    state = "has left" if done.new else "had left already"
    fields |= {"new": done.new, "withdrawable_at": done.withdrawable_at, "plan": _plan_after(owner.outlook())}
    result(as_json, fields, f"relay {done.relay} {state}; its stake can be withdrawn from {when}")


def _plan_after(outlook: Outlook) -> dict[str, int]:
    return asdict(outlook.plan)


def _texts(capital: object) -> dict[str, str | None]:
    parts = asdict(capital)  # type: ignore[call-overload]
    return {name: None if amount is None else str(amount) for name, amount in parts.items()}


def _in_channels(folder: Path, release: int | None) -> Amount | None:
    """What the relay's channels hold that is not claimed, as its daemon knows; None if that does not run."""
    try:
        payees = ApiClient(folder).status(release).payees
    except MixpayError:
        say("note: the daemon does not run here. It has to, until everything is settled and claimed")
        return None
    return Amount(sum(int(payee.deposit) - int(payee.claimed) for payee in payees))
