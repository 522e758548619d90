"""`mixpay sponsor invite`, `api-key`, `openapi`: what a sponsor hands out to those who ask for passes."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from mixpay.cli.sponsor import home_option
from mixpay.errors import UserError
from mixpay.sponsor import openapi as description
from mixpay.sponsor.config import Home
from mixpay.sponsor.policies import api_key as api_keys
from mixpay.sponsor.policies import invitation, read_settings


@click.command(epilog="Example: mixpay sponsor invite --count 10 > codes-to-send.txt")
@click.option("--count", type=click.IntRange(1, 100_000), default=1, show_default=True, help="How many.")
@home_option
def invite(count: int, folder: Path) -> None:
    """Make invitation codes: print them, and add them to the file that the policy reads.

    A running service knows them at once, if sponsor.toml has a [[policy]] of the kind "invitation".
    """
    home = Home(folder.expanduser())
    found = [one.own.codes for one in read_settings(home.load().policy) if one.kind == "invitation"]
    path = home.path(found[0] if found else invitation.CODES)
    codes = [invitation.new_code(os.urandom) for _ in range(count)]
    text = "".join(f"{code}\n" for code in codes)
    _append(path, text)
    click.echo(text, nl=False)


@click.command("api-key", epilog="Example: mixpay sponsor api-key my-dapp")
@click.argument("name")
@home_option
def api_key(name: str, folder: Path) -> None:
    """Make a key for the backend of a dApp: print it, and add its hash to the file that the policy reads.

    This is the only time that the key is shown. A running service knows it at once, if sponsor.toml has a
    [[policy]] of the kind "api-key".
    """
    home = Home(folder.expanduser())
    found = [one.own.keys for one in read_settings(home.load().policy) if one.kind == "api-key"]
    key, line = api_keys.new_key(name, os.urandom)
    _append(home.path(found[0] if found else api_keys.KEYS), f"{line}\n")
    click.echo(key)


@click.command(epilog="Example: mixpay sponsor openapi > issuer.json")
def openapi() -> None:
    """Print the OpenAPI description of what `serve` answers, as it is served at /v1/openapi.json."""
    click.echo(msgspec.json.format(description.document(), indent=2))


def _append(path: Path, text: str) -> None:
    """Write at the end of a file that only its owner can read. Raises UserError."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
