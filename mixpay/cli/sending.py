"""`mixpay send`: sending, and waiting for what the receiver says of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mixpay import address as addresses
from mixpay.address import Address
from mixpay.cli import common
from mixpay.cli.delivery import shown_report, shown_sent
from mixpay.cli.init import home_option
from mixpay.cli.user import ask_password
from mixpay.client import app
from mixpay.client.home import Home
from mixpay.client.letters import Delivery, send_acknowledged
from mixpay.client.report import Report
from mixpay.delivery.outgoing import State
from mixpay.envelope import MAX_MESSAGE, Message, file_message, text_message
from mixpay.errors import UserError

_WAIT = 60


@click.command(
    epilog='Examples: mixpay send mix1... "hello"   |   mixpay send mix1... --file photo.jpg   |   '
    "mixpay send mix1... < notes.txt   |   mixpay send mix1... --file photo.jpg --acknowledged"
)
@click.argument("receiver", metavar="ADDRESS")
@click.argument("text", required=False)
@click.option(
    "--file", "path", type=click.Path(path_type=Path), help="Send this file, of at most 1 MiB, with its name."
)
@click.option(
    "--acknowledged",
    is_flag=True,
    help="Until the receiver has it: shows the receiver your address, keeps the message, sends again what "
    "did not arrive. Needs a mailbox of yours.",
)
@click.option(
    "--direct",
    is_flag=True,
    help="Fetch acknowledgements directly, which is faster: your mailbox's relay sees your network address.",
)
@click.option(
    "--wait",
    type=click.IntRange(0),
    default=_WAIT,
    show_default=True,
    help="With --acknowledged: seconds to wait. `mixpay receive` goes on with what is not acknowledged then.",
)
@home_option
@common.password_option
@common.json_option
def send(
    receiver: str,
    text: str | None,
    path: Path | None,
    acknowledged: bool,
    direct: bool,
    wait: int,
    folder: Path,
    password_file: Path | None,
    as_json: bool,
) -> int:
    """Send TEXT, a file, or what comes from stdin, to ADDRESS.

    Returns when the network has taken every packet; the receiver need not be online, and does not learn who
    sends. A packet that a relay loses then is lost. With --acknowledged it is sent again, over other relays,
    for a week at most; ends with status 1 if the receiver did not acknowledge within --wait.
    """
    to = addresses.parse(receiver)
    message = _message(text, path)
    home = Home(folder.expanduser())
    if acknowledged:
        return _send_acknowledged(home, to, message, password_file, wait, as_json, direct=direct)
    with _progress() as (tell, show):

        async def run() -> Report:
            async with app.connected(home, tell) as client:
                return await app.send(client, to, message, show)

        report = asyncio.run(run())
    if as_json:
        click.echo(json.dumps(shown_report(report)))
    else:
        click.echo(f"message {report.message_id.hex()} sent in {report.packets_accepted} packets")
    return 0


def _send_acknowledged(
    home: Home,
    to: Address,
    message: Message,
    password_file: Path | None,
    wait: int,
    as_json: bool,
    *,
    direct: bool,
) -> int:
    home.config()
    if not home.has_identity:
        raise UserError("to be told what arrives you need a mailbox: `mixpay address` makes one")
    identity = home.identity(lambda new: ask_password(password_file, new))
    with _progress() as (tell, show):

        async def run() -> Delivery:
            async with app.connected(home, tell) as client:
                return await send_acknowledged(client, identity, to, message, wait, show, direct=direct)

        delivery = asyncio.run(run())
    click.echo(json.dumps(_shown_delivery(delivery)) if as_json else str(delivery.sent))
    return 0 if delivery.sent.state is State.ACKNOWLEDGED else common.FAILED


# ---------------------------------------------------------------------- what goes in


def _message(text: str | None, path: Path | None) -> Message:
    if path is not None:
        if text is not None:
            raise UserError("give either TEXT or --file, not both")
        return file_message(str(path), _read(path))
    if text is None:
        if sys.stdin.isatty():
            raise UserError("there is nothing to send: give TEXT or --file, or pipe something in")
        text = sys.stdin.buffer.read(MAX_MESSAGE + 1).decode("utf-8", "surrogateescape")
    return text_message(text)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_MESSAGE:
            raise UserError(
                f"{path} has {path.stat().st_size} bytes; at most {MAX_MESSAGE} (1 MiB) can be sent"
            )
        with path.open("rb") as file:
            return file.read(MAX_MESSAGE + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


# ---------------------------------------------------------------------- what comes out


@contextlib.contextmanager
def _progress() -> Iterator[tuple[Callable[[str], None], Callable[[int, int], None]]]:
    """Something to tell the user with, and a bar on a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("sending"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("pieces"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def tell(text: str) -> None:
            console.print(text, markup=False, highlight=False, soft_wrap=True)

        yield tell, lambda done, total: bar.update(task, completed=done, total=total)


def _shown_delivery(delivery: Delivery) -> dict[str, Any]:
    paths = [
        {"relays": path.relays, "packets": path.packets, "arrived": path.arrived} for path in delivery.paths()
    ]
    return (
        shown_report(delivery.report)
        | shown_sent(delivery.sent)
        | {
            "packets_fetched": delivery.fetched,
            "paths": paths,
        }
    )
