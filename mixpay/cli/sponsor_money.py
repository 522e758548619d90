"""`mixpay sponsor` once it runs: how the campaign stands, what was paid, pausing it, taking money back.

Results go to stdout, progress to stderr. Raises MixpayError; the main command turns it into text and status.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from functools import cache
from pathlib import Path

import click

from mixpay import amounts
from mixpay.accounts import parse_account
from mixpay.cli import common
from mixpay.cli.sponsor import database_option, home_option, release_option
from mixpay.errors import UserError
from mixpay.files import write_whole
from mixpay.sponsor import campaigns
from mixpay.sponsor.accountant import Accountant, rules_of
from mixpay.sponsor.admin import refusals_of
from mixpay.sponsor.campaign_reader import CampaignReader
from mixpay.sponsor.campaigns import Desk
from mixpay.sponsor.config import Home
from mixpay.sponsor.invoice import Span, invoice_csv, summary
from mixpay.sponsor.invoice import invoice as make_invoice
from mixpay.sponsor.report_text import plain, status_text
from mixpay.sponsor.store import Place, Store

_DAY = click.DateTime(["%Y-%m-%d"])
_one_release_option = click.option(
    "--release",
    type=click.IntRange(0),
    metavar="N",
    help="In this release of the network only; else in all in which there is a campaign.",
)


@click.command(epilog="Example: mixpay sponsor status --json")
@home_option
@database_option
@release_option
@common.json_option
def status(folder: Path, database: str | None, release: int | None, as_json: bool) -> None:
    """Say how the campaign stands: passes issued and redeemed, money, relays, keys, what to do.

    The chain and the issuer's database say it; no password is needed, and no service need run. One that runs
    in this folder is asked what it refused.
    """
    home = Home(folder.expanduser())
    desk = Desk(home, release)
    rules, refusals = rules_of(desk.config), refusals_of(home.folder)
    place = home.database_of_service(database or desk.config.database, desk.later)
    if not place.may_exist:
        accountant = Accountant(desk.rpc, desk.deployment, desk.campaign, None, rules, desk.later)
        report = accountant.account(refusals)
    else:
        with closing(_store(desk, place)) as store:
            accountant = Accountant(desk.rpc, desk.deployment, desk.campaign, store, rules, desk.later)
            report = accountant.account(refusals)
    common.result(as_json, plain(report), status_text(report))


@click.command(epilog="Example: mixpay sponsor invoice --from 2026-11-01 --to 2026-11-30 --out november.csv")
@click.option("--from", "first", type=_DAY, required=True, metavar="DATE", help="First day (UTC).")
@click.option("--to", "last", type=_DAY, required=True, metavar="DATE", help="Last day, which counts too.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file, which is replaced; else it is printed.",
)
@home_option
@release_option
def invoice(first: datetime, last: datetime, out: Path | None, folder: Path, release: int | None) -> None:
    """Write every payment to a relay between two days as CSV, with the budget before and after.

    The chain tells it; no password is needed, and no service need run.
    """
    try:
        span = Span.of_days(first.date(), last.date())
    except (ValueError, OverflowError) as error:
        raise UserError(f"--from and --to: {error}") from None
    desk = Desk(Home(folder.expanduser()), release)
    reader = CampaignReader(desk.rpc, desk.deployment, desk.campaign)
    facts = reader.read()
    found = make_invoice(span, facts.movements, cache(reader.time_of))
    text = invoice_csv(found, facts.ids)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_whole(out, text.encode())
    common.say(summary(found))


@click.command(epilog="Example: mixpay sponsor pause")
@home_option
@database_option
@_one_release_option
def pause(folder: Path, database: str | None, release: int | None) -> None:
    """Issue no passes for now. What users have stays good, and relays are paid for it.

    Every service on the database goes by it, restarted or not, until `mixpay sponsor resume`.
    """
    seconds = _set_pause(Home(folder.expanduser()), database, release, paused=True)
    click.echo(f"paused: services issue no passes in {seconds:g} s at the latest")


@click.command(epilog="Example: mixpay sponsor resume")
@home_option
@database_option
@_one_release_option
def resume(folder: Path, database: str | None, release: int | None) -> None:
    """Issue passes again, after `mixpay sponsor pause`."""
    seconds = _set_pause(Home(folder.expanduser()), database, release, paused=False)
    click.echo(f"resumed: services issue passes again in {seconds:g} s at the latest")


@click.command(epilog="Example: mixpay sponsor withdraw --release 0")
@click.option("--to", "to_text", metavar="ACCOUNT", help="Who receives it; the sponsor, if not given.")
@click.option("--cancel", is_flag=True, help="Take the notice back: relays count on the whole budget again.")
@home_option
@release_option
@common.password_option
@common.json_option
def withdraw(
    to_text: str | None,
    cancel: bool,
    folder: Path,
    release: int | None,
    password_file: Path | None,
    as_json: bool,
) -> None:
    """Take the campaign's budget back: the first time gives notice, the next one after it pays out.

    From the notice on, no relay counts on this money, so entries take one pass each at most for the campaign.
    What they have carried, they claim until the pay-out.
    """
    try:
        to = None if to_text is None else parse_account(to_text, "--to")
    except ValueError as error:
        raise UserError(str(error)) from None
    home, password = Home(folder.expanduser()), common.ask_password(password_file)
    if cancel:
        budget = campaigns.cancel_withdrawal(home, password, common.say, release)
        text = f"relays count on {amounts.shown(budget)} tokens again"
        common.result(as_json, {"budget": str(budget)}, text)
        return
    done = campaigns.withdraw(home, password, to, common.say, release)
    fields = {"paid": str(done.paid), "withdrawable_at": done.withdrawable_at}
    if done.withdrawable_at is None:
        text = f"{amounts.shown(done.paid)} tokens paid out"
    else:
        when = amounts.moment(done.withdrawable_at)
        text = f"the budget can be paid out from {when} on; relays may claim until then"
    common.result(as_json, fields, text)


def _set_pause(home: Home, database: str | None, release: int | None, *, paused: bool) -> float:
    """Write it down; the seconds after which services know it."""
    config = home.load()
    # After a move of the network, the deployment file's campaign is not the one that issues.
    every = [release] if release is not None else [None, *map(int, config.later_campaigns)]
    for desk in [Desk(home, number) for number in every]:
        place = home.database_of_service(database or config.database, desk.later)
        with closing(_store(desk, place)) as store:
            store.pause(paused)
    return config.poll_seconds


def _store(desk: Desk, place: Place) -> Store:
    return Store(place, desk.deployment.chain_id, desk.deployment.pool, desk.campaign)
