"""`mixpay-relay income`."""

from __future__ import annotations

from pathlib import Path

import click

from mixpay.cli.common import say
from mixpay.errors import UserError
from mixpay.files import write_whole
from relay.cli import options

_STDOUT = "-"


@click.command(epilog="Examples: mixpay-relay income   |   mixpay-relay income --csv 2026.csv")
@options.home
@click.option(
    "--csv",
    "file",
    is_flag=False,
    flag_value=_STDOUT,
    metavar="[FILE]",
    help="Every event as CSV, to stdout or into FILE, which is replaced.",
)
@options.release
def income(folder: Path, file: str | None, release: int | None) -> None:
    """What the relay has earned and spent, as the chain tells it: the sums, or with --csv every event.

    The daemon need not run, and no password is needed. What was earned and not claimed yet is no event: see
    `mixpay-relay status`.
    """
    from relay.operator.earnings_reader import read_earnings  # noqa: PLC0415 --help must not wait for it
    from relay.operator.earnings_text import earnings_csv, earnings_text, gas_note  # noqa: PLC0415

    earnings = read_earnings(folder, release, say)
    if note := gas_note(earnings):
        say(note)
    if file is None:
        click.echo(earnings_text(earnings))
    elif file == _STDOUT:
        click.echo(earnings_csv(earnings), nl=False)
    else:
        _write(Path(file), earnings_csv(earnings))
        say(f"{len(earnings.entries)} events in {file}")


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
