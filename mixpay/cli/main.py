"""The command `mixpay`; see `common` for what goes where, and for the exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from mixpay import __version__
from mixpay.cli.common import Commands, run_program

_COMMANDS = {
    "init": ("mixpay.cli.init:init", "Make your folder and its settings."),
    "address": ("mixpay.cli.user:address", "Print your address, to give to others."),
    "send": ("mixpay.cli.sending:send", "Send a text or a file to an address."),
    "receive": ("mixpay.cli.user:receive", "Fetch your messages."),
    "passes": ("mixpay.cli.passes:passes", "Look at your passes; fetch them ahead of need."),
    "sponsor": ("mixpay.cli.sponsor:sponsor", "Pay for your users' messages."),
    "demo": ("mixpay.cli.demo:demo", "Watch the whole loop on a chain of its own."),
    "devnet": ("mixpay.cli.devnet:devnet", "Run a network of your own, for experiments."),
    "faucet": ("mixpay.cli.faucet:faucet", "Give an account money of a devnet."),
}


@click.group(cls=Commands, table=_COMMANDS)
@click.version_option(__version__, prog_name="mixpay")
def mixpay() -> None:
    """Private messages through relays that are paid for carrying them.

    \b
    A first message:
      mixpay init --rpc https://rpc.example --deployment network.json --sponsor https://sponsor.example
      mixpay address
      mixpay send mix1... "hello"
      mixpay receive
    """


def load() -> None:
    """Load what the commands use, for who forks the program afterwards."""
    mixpay.load()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    return run_program(mixpay, "mixpay", argv)


if __name__ == "__main__":
    sys.exit(main())
