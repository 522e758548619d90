"""Options that the relay's commands share, beside those of `mixpay.cli.common`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from mixpay.cli.common import ask_password
from mixpay.errors import UserError

OWNER_PASSWORD_VARIABLE = "MIXPAY_OWNER_PASSWORD"  # noqa: S105 the name of the variable

home = click.option(
    "--home",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("~/.mixpay/relay"),
    show_default=True,
    envvar="MIXPAY_RELAY_HOME",
    callback=lambda _context, _parameter, value: value.expanduser(),
    help="The relay's folder: settings, keys, database.",
)
release = click.option(
    "--release",
    type=click.IntRange(0),
    metavar="N",
    help="The release of the network that is meant; needed only while there are several.",
)
owner_key = click.option(
    "--owner-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The owner's key: a key file (JSON, version 3), or 64 hexadecimal digits. It is not kept.",
)
owner_password = click.option(
    "--owner-password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"First line is the owner's password; else {OWNER_PASSWORD_VARIABLE}, else it is asked for.",
)


yes = click.option("--yes", is_flag=True, help="Do not ask whether to go on.")


def confirm(question: str, yes: bool) -> None:
    """Ask the person at the keyboard. Raises UserError if there is none, Abort if the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("nobody is there to be asked: say --yes")
    click.confirm(question, abort=True, err=True)


def ask_owner_password(password_file: Path | None) -> str:
    """The password of the owner's key file. Raises UserError if there is none."""
    environ = {"MIXPAY_PASSWORD": os.environ.get(OWNER_PASSWORD_VARIABLE, "")}
    return ask_password(password_file, prompt="Password of the owner's key", environ=environ)
