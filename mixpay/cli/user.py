"""`mixpay address`, `receive`: a user's commands."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from mixpay.address import Address
from mixpay.cli import common
from mixpay.cli.delivery import shown_acks, shown_sent
from mixpay.cli.init import home_option
from mixpay.client import app
from mixpay.client.courier import Courier
from mixpay.client.errors import RelayUnavailable
from mixpay.client.files import save_new
from mixpay.client.home import Home
from mixpay.client.inbox import Arrived
from mixpay.client.presence import Presence
from mixpay.client.profile import BACKGROUND, FOREGROUND
from mixpay.envelope import Kind, safe_text
from mixpay.errors import UserError
from mixpay.keystore import Kdf


@click.command(epilog="Example: mixpay address")
@home_option
@common.password_option
@common.light_keys_option
@click.option(
    "--direct", is_flag=True, help="Make it directly: your mailbox's relay sees your network address."
)
@common.json_option
def address(
    folder: Path, password_file: Path | None, light_keys: bool, direct: bool, as_json: bool
) -> None:
    """Print your address, to give to those who shall write to you.

    The first time in a term this makes your mailbox, at a relay that nobody chose, and which does not learn
    where you are; from then on it prints the same address until the term ends.
    """
    home = Home(folder.expanduser())
    home.config()
    kdf = Kdf.LIGHT if light_keys else Kdf.STANDARD
    identity = home.identity(lambda new: ask_password(password_file, new), kdf)

    async def run() -> Address:
        async with app.connected(home, common.say) as client:
            return await app.make_address(client, identity, direct=direct)

    found = asyncio.run(run())
    click.echo(json.dumps({"address": str(found), "relay": found.relay}) if as_json else str(found))


@click.command(
    epilog="Examples: mixpay receive --out inbox   |   mixpay receive --direct --follow --json"
)
@home_option
@common.password_option
@click.option(
    "--direct",
    is_flag=True,
    help="Fetch directly, which is faster: your mailbox's relay sees your network address.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Stay until interrupted: messages are here within seconds.",
)
@click.option(
    "--background",
    is_flag=True,
    help="With --follow: a packet every ten seconds, some 45 MB a day, and messages when it is their turn.",
)
@click.option(
    "--silent",
    is_flag=True,
    help="Acknowledge nothing: senders who ask for it are not told what arrived, nor that you are here.",
)
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
    help="Print JSON, one object a line: each message, what became of yours, the packets fetched.",
)
def receive(
    folder: Path,
    password_file: Path | None,
    direct: bool,
    follow: bool,
    background: bool,
    silent: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Fetch your messages: print texts, write files into a folder.

    Requests go through the network, and answers come back through it: the relay that keeps your mailbox does
    not learn from where you ask. That takes some seconds, and of your mailbox pass a tick for each message.
    --direct asks the relay itself.

    A message leaves your mailbox once it is on your disk, with --follow by the next look, or up to ten
    minutes later where it is --direct: deleting a page of messages costs a tick of your mailbox pass then,
    whatever they are. What has not arrived completely is
    kept for the next time. Senders who ask for it (`mixpay send --acknowledged`) are told what has arrived,
    by a packet of your own pass; and what you sent so is sent again, as far as it did not arrive.

    With --follow, and not --direct, you stay in the network: packets leave and come at a pace that shows
    nothing, some 310 MB up and 260 MB down in a day, and what `mixpay send --acknowledged` puts down leaves
    with them. Changing to --background, and coming and going, can be seen by who watches your line. With
    --follow passes are fetched ahead of need, as by `mixpay passes keep`.
    """
    if background and (direct or not follow):
        raise UserError("--background is for --follow through the network")
    home = Home(folder.expanduser())
    home.config()
    if not home.has_identity:
        raise UserError("you have no mailbox yet: `mixpay address` makes one")
    identity = home.identity(lambda new: ask_password(password_file, new))

    async def run() -> None:
        async with app.connected(home, common.say) as client:
            deliver = partial(_deliver, out=out, as_json=as_json)
            app.require_alone(home)
            if follow and not direct:
                pace = BACKGROUND if background else FOREGROUND
                async with app.keeping(client):
                    await Presence(client, identity, deliver, pace, silent=silent).run()
            receiver = app.Receiver(client, identity, deliver, silent=silent, direct=direct)
            await receiver.begin()
            if follow:
                async with app.keeping(client):
                    await receiver.follow()
            received = await receiver.once()
            _show_own(receiver.couriers, as_json)
            _conclude(received, as_json)

    asyncio.run(run())


def ask_password(password_file: Path | None, new: bool) -> str:
    """The user's password; `new`: there are no keys yet."""
    prompt = "A password for your new keys" if new else "Password of your keys"
    return common.ask_password(password_file, new=new, prompt=prompt)


# ---------------------------------------------------------------------- what comes out


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


def _show_own(couriers: Sequence[Courier], as_json: bool) -> None:
    """How messages stand that were to be acknowledged, and what acknowledging others' took."""
    for courier in couriers:
        for sent in courier.waiting():
            common.say(str(sent))
        if as_json:
            for sent in (*courier.ended, *courier.waiting()):
                click.echo(json.dumps({"kind": "sent"} | shown_sent(sent)))
            if courier.acks.packets_sent:
                click.echo(json.dumps({"kind": "acknowledgements"} | shown_acks(courier.acks)))


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
