"""`mixpay devnet`: a network of one's own, for experiments."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from mixpay.cli.common import INTERRUPTED
from mixpay.cli.local_chain import chain_option
from mixpay.demo.devnet import keep_network
from mixpay.demo.processes import Interrupted
from mixpay.demo.stage import Stage
from mixpay.urls import sponsor_url


@click.command(
    epilog="Examples: mixpay devnet   |   mixpay devnet --keep   |   "
    "mixpay devnet --folder devnet --sponsor http://127.0.0.1:8850"
)
@chain_option
@click.option("--keep", is_flag=True, help="Keep everybody's folders and logs at the end. The chain ends.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="A new folder for everything, `network.env` for shells among it; else a temporary one.",
)
@click.option(
    "--sponsor",
    metavar="URL",
    help="Have no sponsor: wait for yours, which serves campaign 1 here (docs/sponsoring.md).",
)
def devnet(chain: str, keep: bool, folder: Path | None, sponsor: str | None) -> int:
    """Run a chain, nine relays and a sponsor until Ctrl-C, and print the commands that use them.

    Takes half a minute to begin. An epoch lasts an hour of real time; `kill -USR1` begins the next one at
    once. A relay that ends is reported, and the network goes on. At the end all processes end and the folder
    is removed: nothing is there for the next run. Status 0 when it was ended while it served.
    """
    try:
        keep_network(
            Stage(Console(stderr=True)),
            click.echo,
            keep=keep,
            program=chain,
            folder=folder and folder.expanduser(),
            sponsor_url=sponsor and sponsor_url(sponsor),
        )
    except Interrupted:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    return 0
