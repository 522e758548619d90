"""`mixpay-relay rotate-key`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from mixpay import amounts
from mixpay.cli.common import ask_password, json_option, light_keys_option, password_option, result, say
from mixpay.errors import UserError
from mixpay.types import Amount
from relay.cli import options


@click.command(
    epilog="Example: mixpay-relay rotate-key --owner-key-file owner.json --link-port 9103 "
    "--client-port 9104 --capital 0.1 --gas 0.5"
)
@options.home
@options.owner_key
@options.owner_password
@click.option("--link-port", type=click.IntRange(1, 65535), help="Of the new relay; needed to begin.")
@click.option("--client-port", type=click.IntRange(1, 65535), help="Of the new relay; needed to begin.")
@click.option("--capital", metavar="TOKENS", default="0", help="See `register`: of the new key's account.")
@click.option("--gas", metavar="ETHER", default="0", help="See `register`: of the new key's account.")
@options.yes
@light_keys_option
@password_option
@json_option
def rotate_key(
    folder: Path,
    owner_key_file: Path,
    owner_password_file: Path | None,
    link_port: int | None,
    client_port: int | None,
    capital: str,
    gas: str,
    yes: bool,
    light_keys: bool,
    password_file: Path | None,
    as_json: bool,
) -> None:
    """Go on with a new operator key, while the old one is wound up; again: go on with that, or end it.

    A key is a relay's for ever, so a new relay is registered, with a second stake, and the old one leaves.
    Stop the daemon before, start it again after: it runs both, until the old one has settled and claimed all.
    Whatever interrupts this command, type it once more. The last time, when the old stake is free, it pays
    out what is left.
    """
    from mixpay.keystore import Kdf  # noqa: PLC0415 loads a chain library, which --help must not wait for
    from relay.operator.owner_key import read_owner_key  # noqa: PLC0415
    from relay.rotation.plan import read  # noqa: PLC0415
    from relay.rotation.rotate import Rotation  # noqa: PLC0415

    tokens, wei = Amount(amounts.parse(capital)), amounts.parse(gas)
    begins = read(folder) is None
    if begins and (link_port is None or client_port is None):
        raise UserError("name the new relay's ports with --link-port and --client-port")
    key = read_owner_key(owner_key_file, lambda: options.ask_owner_password(owner_password_file))
    kdf = Kdf.LIGHT if light_keys else Kdf.STANDARD
    rotation = Rotation(folder, key, ask_password(password_file), say, kdf)
    if begins and link_port is not None and client_port is not None:
        for line in rotation.outlook():
            say(line)
        options.confirm("change the operator key?", yes)
        rotation.begin((link_port, client_port), tokens, wei)
    done = rotation.go_on()
    lines = [f"operator {done.new}, instead of {done.old}: {done.stage}", *done.waits]
    result(as_json, asdict(done), "\n".join(lines))
    if begins:
        say("now start the daemon: mixpay-relay run")
