"""Options and habits that the commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

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
password_option = click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="First line is the key store's password; else MIXPAY_PASSWORD, else it is asked for.",
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
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def ask_password(password_file: Path | None, *, new: bool = False) -> str:
    """The key store's password. Raises UserError if there is none."""
    return _find(password_file, os.environ, "Password of the key store", new=new)


def ask_owner_password(password_file: Path | None) -> str:
    """The password of the owner's key file. Raises UserError if there is none."""
    environ = {"MIXPAY_PASSWORD": os.environ.get(OWNER_PASSWORD_VARIABLE, "")}
    return _find(password_file, environ, "Password of the owner's key", new=False)


def _find(password_file: Path | None, environ: Mapping[str, str], prompt: str, *, new: bool) -> str:
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
    """Print progress."""
    click.echo(text, err=True)
