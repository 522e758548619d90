"""The command `mixpay-relay`. Results go to stdout, progress and errors to stderr.

    init.py      init: a relay's folder
    owner.py     register, withdraw: what the owner does on the chain
    leave.py     leave: what will happen and when, then the step itself
    rotate.py    rotate-key: a new operator key
    service.py   run, status, claim, drain: the daemon
    income.py    income: what the chain tells of its money
    backup.py    backup, restore: the folder in one file, and back
    options.py   what they share

Exit statuses are those of `mixpay` (`mixpay.cli.common`).
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from mixpay import __version__
from mixpay.cli.common import Commands, run_program

_COMMANDS = {
    "init": ("relay.cli.init:init", "Make the relay's folder: settings and keys."),
    "register": ("relay.cli.owner:register", "Stake and register the relay."),
    "run": ("relay.cli.service:run", "Serve until interrupted."),
    "status": ("relay.cli.service:status", "What it carries, earns and waits for."),
    "claim": ("relay.cli.service:claim", "Settle and claim everything now."),
    "income": ("relay.cli.income:income", "What it has earned and spent, as the chain tells it."),
    "backup": ("relay.cli.backup:backup", "Copy the relay's folder into one file."),
    "restore": ("relay.cli.backup:restore", "Put a backup back."),
    "drain": ("relay.cli.service:drain", "Take no new packets, and send on those that are here."),
    "rotate-key": ("relay.cli.rotate:rotate_key", "Go on with a new operator key."),
    "leave": ("relay.cli.leave:leave", "Leave the network."),
    "withdraw": ("relay.cli.owner:withdraw", "Pay the stake out."),
}


@click.group(cls=Commands, table=_COMMANDS)
@click.version_option(__version__, prog_name="mixpay-relay")
def cli() -> None:
    """Run a relay: stake, carry packets, be paid.

    \b
    First time:
      mixpay-relay init --rpc https://rpc.example --deployment network.json \\
          --host relay.example --owner 0x... --issuer 1=https://issuer.example
      mixpay-relay register --owner-key-file owner.json --capital 0.1 --gas 0.5
      mixpay-relay run
    """


def load() -> None:
    """Load what the commands use, the daemon too, for who forks the program afterwards."""
    from relay import process  # noqa: F401, PLC0415 what `run` loads when it is asked for

    cli.load()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    return run_program(cli, "mixpay-relay", argv)
