"""The command `mixpay`. Results go to stdout, everything else to stderr.

Exit status: 0 done; 1 a relay or the sponsor failed us; 2 something that the user can mend; 3 the chain,
or the way to it, failed; 130 interrupted. A traceback is a bug of ours.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence

import click

from mixpay import __version__
from mixpay.errors import ChainError, MixpayError, UserError

FAILED, MISTAKE, CHAIN_FAILED, INTERRUPTED = 1, 2, 3, 130

_COMMANDS = {
    "init": "mixpay.cli.user:init",
    "address": "mixpay.cli.user:address",
    "send": "mixpay.cli.user:send",
    "receive": "mixpay.cli.user:receive",
    "sponsor": "mixpay.cli.sponsor:sponsor",
    "demo": "mixpay.cli.demo:demo",
}
"""Name → where it is. Loaded when asked for, so that no command waits for what only another one needs."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them; only those that are installed."""
        return [name for name, place in _COMMANDS.items() if importlib.util.find_spec(place.split(":")[0])]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now; None if there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="mixpay")
def mixpay() -> None:
    """Private messages through relays that are paid for carrying them.

    \b
    A first message:
      mixpay init --rpc https://rpc.example --deployment network.json --sponsor https://sponsor.example
      mixpay address
      mixpay send mix1... "hello"
      mixpay receive --direct
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    try:
        status = mixpay.main(args=argv, prog_name="mixpay", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has enough; Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except MixpayError as error:
        click.echo(f"Error: {error}", err=True)
        return _status(error)
    return status if isinstance(status, int) else 0


def _status(error: MixpayError) -> int:
    if isinstance(error, UserError):
        return MISTAKE
    return CHAIN_FAILED if isinstance(error, ChainError) else FAILED


if __name__ == "__main__":
    sys.exit(main())
