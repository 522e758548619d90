"""`mixpay demo`: the whole loop on a chain of its own."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from mixpay.cli.local_chain import chain_option
from mixpay.demo import report as reports
from mixpay.demo.kill import KillStory
from mixpay.demo.parcel import large_parcel, read_parcel
from mixpay.demo.processes import Interrupted
from mixpay.demo.stage import Stage
from mixpay.demo.story import play

_FAILED, _INTERRUPTED = 1, 130


@click.command(
    epilog="Examples: mixpay demo   |   mixpay demo --kill   |   mixpay demo --chain ganache --file photo.jpg"
)
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path),
    help="What Alice sends, at most 1 MiB. Default: README.md; with --kill, 96 KiB of random bytes.",
)
@chain_option
@click.option(
    "--kill",
    is_flag=True,
    help="Kill a mix during the transfer: what it had is sent again, and it is paid once it is back.",
)
@click.option("--keep", is_flag=True, help="Keep everybody's folders and logs, and say where they are.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("reports/demo.json"),
    show_default=True,
    help="Where the result goes as JSON.",
)
def demo(file: Path | None, chain: str, kill: bool, keep: bool, report: Path) -> int:
    """Watch a new user with an empty wallet send a file through five paid relays.

    Starts a chain, nine relays and two sponsors as processes of their own, sends the file, moves the chain's
    clock to the end of the period, lets the relays claim, recomputes their money, and ends everything again.
    Takes a minute or two. Ends with status 0 only if everything held.
    """
    parcel = large_parcel() if kill and file is None else read_parcel(file)
    reports.make_room(report)
    stage = Stage(Console(stderr=True))
    try:
        outcome = play(parcel, stage, keep=keep, program=chain, story=KillStory if kill else None)
    except Interrupted:
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    Console().print(reports.table(outcome))
    reports.write(report, outcome)
    failures = list(outcome.failures())
    for failure in failures:
        click.echo(f"did not hold: {failure}", err=True)
    return _FAILED if failures else 0
