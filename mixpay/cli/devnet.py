"""`mixpay devnet`: a network of one's own, for experiments."""

from __future__ import annotations

import click
from rich.console import Console

from mixpay.cli.common import INTERRUPTED
from mixpay.cli.local_chain import chain_option
from mixpay.demo.devnet import keep_network
from mixpay.demo.processes import Interrupted
from mixpay.demo.stage import Stage


@click.command(epilog="Examples: mixpay devnet   |   mixpay devnet --keep")
@chain_option
@click.option("--keep", is_flag=True, help="Keep everybody's folders and logs at the end. The chain ends.")
def devnet(chain: str, keep: bool) -> int:
    """Run a chain, nine relays and a sponsor until Ctrl-C, and print the commands that use them.

    Takes half a minute to begin. An epoch lasts an hour of real time; `kill -USR1` begins the next one at
    once. A relay that ends is reported, and the network goes on. At the end all processes end and the folder
    is removed: nothing is there for the next run. Status 0 when it was ended while it served.
    """
    try:
        keep_network(Stage(Console(stderr=True)), click.echo, keep=keep, program=chain)
    except Interrupted:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    return 0
