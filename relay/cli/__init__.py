"""The command `mixpay-relay`. Results go to stdout, progress and errors to stderr.

    init.py      init: a relay's folder
    owner.py     register, leave, withdraw: what the owner does on the chain
    service.py   run, status, claim: the daemon

Exit status: 0 done; 2 something that the operator can mend; 3 the chain, a peer or the daemon failed us; 130
interrupted. A traceback is a bug of ours.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from mixpay import __version__
from mixpay.errors import MixpayError, UserError

MISTAKE, TROUBLE, INTERRUPTED = 2, 3, 130

_COMMANDS = {
    "init": ("relay.cli.init:init", "Make the relay's folder: settings and keys."),
    "register": ("relay.cli.owner:register", "Stake and register the relay."),
    "run": ("relay.cli.service:run", "Serve until interrupted."),
    "status": ("relay.cli.service:status", "What it carries, earns and waits for."),
    "claim": ("relay.cli.service:claim", "Settle and claim everything now."),
    "leave": ("relay.cli.owner:leave", "Leave the network."),
    "withdraw": ("relay.cli.owner:withdraw", "Pay the stake out."),
}
"""Name → where it is, and what it does. Loaded when asked for: none waits for what only another one needs."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now; None if there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, so that --help loads nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in _COMMANDS.items()])


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="mixpay-relay")
def cli() -> None:
    """Run a relay: stake, carry packets, be paid.

    \b
    First time:
      mixpay-relay init --rpc https://rpc.example --deployment network.json \\
          --host relay.example --owner 0x... --issuer 1=https://issuer.example
      mixpay-relay register --owner-key-file owner.json --capital 20 --gas 0.5
      mixpay-relay run
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    try:
        cli.main(args=argv, prog_name="mixpay-relay", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has enough; Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return MISTAKE
    except (click.ClickException, click.Abort, KeyboardInterrupt, MixpayError) as error:
        text, status = _explain(error)
        click.echo(f"Error: {' '.join(text.split())}", err=True)
        return status
    return 0


def _explain(error: BaseException) -> tuple[str, int]:
    """An error in one line, and the exit status."""
    match error:
        case click.UsageError():
            where = error.ctx.command_path if error.ctx is not None else "mixpay-relay"
            return f"{error.format_message()} (see {where} --help)", MISTAKE
        case click.ClickException():
            return error.format_message(), MISTAKE
        case UserError():
            return str(error), MISTAKE
        case MixpayError():
            return str(error), TROUBLE
        case _:
            return "interrupted", INTERRUPTED
