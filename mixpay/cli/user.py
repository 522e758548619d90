"""`mixpay init`, `address`, `send`, `receive`: a user's commands."""

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
from mixpay import deployment as deployments
from mixpay.address import Address
from mixpay.chain.rpc import Rpc
from mixpay.cli import common
from mixpay.client import app
from mixpay.client.errors import RelayUnavailable
from mixpay.client.files import save_new
from mixpay.client.home import ClientConfig, Home
from mixpay.client.inbox import Arrived
from mixpay.client.issuer import checked_url
from mixpay.client.sending import Report
from mixpay.envelope import MAX_MESSAGE, Kind, Message, file_message, safe_text, text_message
from mixpay.errors import UserError
from mixpay.keystore import Kdf

_home = click.option(
    "--home",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("~/.mixpay"),
    show_default=True,
    envvar="MIXPAY_HOME",
    help="Your folder: settings, keys, passes.",
)


@click.command(
    epilog="Example: mixpay init --rpc http://127.0.0.1:8545 --deployment network.json "
    "--sponsor http://127.0.0.1:8850"
)
@_home
@click.option(
    "--rpc", "rpc_url", required=True, help="JSON-RPC endpoint of the chain; use one that you trust."
)
@click.option(
    "--deployment",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The network's deployment file.",
)
@click.option(
    "--sponsor", "sponsor_url", required=True, help="Who gives you passes: the address of its issuer."
)
@click.option("--campaign", type=click.IntRange(1), help="The sponsor's campaign; else the first it names.")
@click.option("--invitation", default="", help="What the sponsor asks for, if it asks for anything.")
def init(
    folder: Path, rpc_url: str, deployment: Path, sponsor_url: str, campaign: int | None, invitation: str
) -> None:
    """Make your folder and its settings. You need no wallet, no ether and no tokens."""
    deployments.load(deployment)
    Rpc(rpc_url)  # refuses what is no address
    home = Home(folder.expanduser())
    config = ClientConfig(rpc_url, str(deployment.resolve()), checked_url(sponsor_url), campaign, invitation)
    home.write_config(config)
    click.echo(f"settings in {home.config_file}; next: mixpay address", err=True)


@click.command(epilog="Example: mixpay address")
@_home
@common.password_option
@common.light_keys_option
@common.json_option
def address(folder: Path, password_file: Path | None, light_keys: bool, as_json: bool) -> None:
    """Print your address, to give to those who shall write to you.

    The first time in a term this makes your mailbox, at a relay that nobody chose; from then on it prints
    the same address until the term ends.
    """
    home = Home(folder.expanduser())
    home.config()
    kdf = Kdf.LIGHT if light_keys else Kdf.STANDARD
    identity = home.identity(lambda new: _ask_password(password_file, new), kdf)

    async def run() -> Address:
        async with app.connected(home, common.say) as client:
            return await app.make_address(client, identity)

    found = asyncio.run(run())
    click.echo(json.dumps({"address": str(found), "relay": found.relay}) if as_json else str(found))


@click.command(
    epilog='Examples: mixpay send mix1... "hello"   |   mixpay send mix1... --file photo.jpg   |   '
    "mixpay send mix1... < notes.txt"
)
@click.argument("receiver", metavar="ADDRESS")
@click.argument("text", required=False)
@click.option(
    "--file", "path", type=click.Path(path_type=Path), help="Send this file, of at most 1 MiB, with its name."
)
@_home
@common.json_option
def send(receiver: str, text: str | None, path: Path | None, folder: Path, as_json: bool) -> None:
    """Send TEXT, a file, or what comes from stdin, to ADDRESS.

    Returns when the network has taken every packet; the receiver need not be online.
    """
    to = addresses.parse(receiver)
    message = _message(text, path)
    home = Home(folder.expanduser())
    with _progress() as (tell, show):

        async def run() -> Report:
            async with app.connected(home, tell) as client:
                return await app.send(client, to, message, show)

        report = asyncio.run(run())
    if as_json:
        click.echo(json.dumps(_shown(report)))
    else:
        click.echo(f"message {report.message_id.hex()} sent in {report.packets_accepted} packets")


@click.command(
    epilog="Examples: mixpay receive --direct --out inbox   |   mixpay receive --direct --follow --json"
)
@_home
@common.password_option
@click.option(
    "--direct", is_flag=True, help="Fetch directly: your mailbox's relay sees your network address."
)
@click.option("--follow", is_flag=True, help="Go on until interrupted.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where received files go; existing ones are never overwritten. Default: here.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print JSON, one object a line: each message, then the packets fetched.",
)
def receive(
    folder: Path, password_file: Path | None, direct: bool, follow: bool, out: Path, as_json: bool
) -> None:
    """Fetch your messages: print texts, write files into a folder.

    A message leaves your mailbox once it is on your disk. What has not arrived completely is kept for the
    next time.
    """
    if not direct:
        raise UserError(
            "fetching through the network itself is not there yet in this release; --direct fetches without "
            "it, which shows your network address to the relay that keeps your mailbox"
        )
    home = Home(folder.expanduser())
    home.config()
    if not home.has_identity:
        raise UserError("you have no mailbox yet: `mixpay address` makes one")
    identity = home.identity(lambda new: _ask_password(password_file, new))

    async def run() -> None:
        async with app.connected(home, common.say) as client:
            receiver = app.Receiver(client, identity, lambda arrived: _deliver(arrived, out, as_json))
            await receiver.begin()
            if follow:
                await receiver.follow()
            _conclude(await receiver.once(), as_json)

    asyncio.run(run())


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


def _ask_password(password_file: Path | None, new: bool) -> str:
    prompt = "A password for your new keys" if new else "Password of your keys"
    return common.ask_password(password_file, new=new, prompt=prompt)


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


def _shown(report: Report) -> dict[str, Any]:
    duties = {
        str(relay): {"entry": d.entry, "mix": d.mix, "mailbox": d.mailbox}
        for relay, d in sorted(report.hops.items())
    }
    return {
        "message_id": report.message_id.hex(),
        "packets_sent": report.packets_sent,
        "packets_accepted": report.packets_accepted,
        "ticks": report.ticks,
        "hops": duties,
    }


def _deliver(arrived: Arrived, out: Path, as_json: bool) -> None:
    message = arrived.message
    shown: dict[str, Any] = {"message_id": arrived.message_id.hex()}
    if message.kind is Kind.FILE:
        path = save_new(out, message.name, message.content)
        shown |= {"kind": "file", "path": str(path), "bytes": len(message.content)}
        text = str(path)
    else:
        text = safe_text(message.content)
        shown |= {"kind": "text", "text": message.content.decode("utf-8", "replace")}
    click.echo(json.dumps(shown) if as_json else text)
    sys.stdout.flush()


def _conclude(received: app.Received, as_json: bool) -> None:
    for part in received.incomplete:
        common.say(
            f"message {part.message_id.hex()} is not complete yet: "
            f"{part.have} of {part.total} pieces are here, and kept"
        )
        if as_json:
            shown = {"message_id": part.message_id.hex(), "have": part.have, "total": part.total}
            click.echo(json.dumps(shown | {"kind": "incomplete"}))
    if as_json:
        click.echo(json.dumps({"kind": "fetched", "packets": received.packets}))
    if received.troubles:
        raise RelayUnavailable("; ".join(received.troubles))
