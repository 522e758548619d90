"""The option of demo and devnet. Not in common.py, for it loads what only chains need."""

from __future__ import annotations

import click

from mixpay.chain.devchain import PROGRAMS

chain_option = click.option(
    "--chain",
    type=click.Choice(PROGRAMS),
    default=PROGRAMS[0],
    show_default=True,
    help="The program that is the local chain.",
)
