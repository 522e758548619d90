"""What all commands share, those of `mixpay-relay` too: options, passwords, results, a group that loads late.

Results go to stdout, everything else to stderr. Exit status: 0 done; 1 a relay, the sponsor or the daemon
failed us, or is not done yet; 2 something that the person at the keyboard can mend; 3 the chain, or the way
to it, failed; 130 interrupted. A traceback is a bug of ours.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from mixpay import logs
from mixpay.errors import ChainError, MixpayError, UserError

FAILED, MISTAKE, CHAIN_FAILED, INTERRUPTED = 1, 2, 3, 130

password_option = click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="First line is the key store's password; else MIXPAY_PASSWORD, else it is asked for.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
log_format_option = click.option(
    "--log-format",
    type=click.Choice(logs.FORMATS),
    default=logs.FORMATS[0],
    show_default=True,
    envvar="MIXPAY_LOG_FORMAT",
    help="Form of what is said on stderr.",
)
verbose_option = click.option("--verbose", is_flag=True, help="Say more on stderr.")
light_keys_option = click.option(
    "--light-keys",
    is_flag=True,
    help="Cheap key derivation: faster, weak against guessing. For demonstrations.",
)


class Commands(click.Group):
    """Commands by name: `module:function`, and what it does.

    They are loaded when asked for, so that none, and no --help, waits for what only another one needs.
    """

    def __init__(self, *arguments: Any, table: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now; None if there is none of that name."""
        if cmd_name not in self._table:
            return None
        module, name = self._table[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def load(self) -> None:
        """Load all commands."""
        for place, _ in self._table.values():
            importlib.import_module(place.partition(":")[0])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, so that nothing is loaded."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in self._table.items()])


def run_program(group: click.Group, name: str, argv: Sequence[str] | None) -> int:
    """Run one command of the program `name`; its exit status. Errors become one line on stderr."""
    try:
        status = group.main(args=argv, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has enough; Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return MISTAKE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except (click.ClickException, MixpayError) as error:
        text, status = _explain(error, name)
        click.echo(f"Error: {logs.printable(' '.join(text.split()))}", err=True)
        return status
    return status if isinstance(status, int) else 0


def _explain(error: click.ClickException | MixpayError, name: str) -> tuple[str, int]:
    match error:
        case click.UsageError():
            where = error.ctx.command_path if error.ctx is not None else name
            return f"{error.format_message()} (see {where} --help)", MISTAKE
        case click.ClickException():
            return error.format_message(), MISTAKE
        case UserError():
            return str(error), MISTAKE
        case ChainError():
            return str(error), CHAIN_FAILED
        case _:
            return str(error), FAILED


def ask_password(
    password_file: Path | None,
    *,
    new: bool = False,
    prompt: str = "Password of the key store",
    environ: Mapping[str, str] = os.environ,
) -> str:
    """A password: from the file, MIXPAY_PASSWORD or the keyboard. Raises UserError if there is none."""
    from mixpay.keystore import find_password  # noqa: PLC0415 slow to load; --help does without

    def ask() -> str:
        if not sys.stdin.isatty():
            return ""
        return str(click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True))

    return find_password(password_file, environ, ask)


def result(as_json: bool, value: Any, text: str) -> None:
    """Print a result: `value` (a struct or a dictionary) as JSON, or the text."""
    click.echo(msgspec.json.encode(value).decode() if as_json else text)


def say(text: str) -> None:
    """Print progress. What strangers say in it, a sponsor say, is made harmless."""
    click.echo("\n".join(map(logs.printable, text.split("\n"))), err=True)


def log_to_stderr(form: str, verbose: bool, limited: tuple[str, ...] = ()) -> None:
    """What a program that serves says while it does. `limited`: loggers of what others cause."""
    logs.begin(sys.stderr, form, verbose=verbose, limited=limited)
