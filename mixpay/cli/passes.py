"""`mixpay passes`: the passes in the folder, and fetching them ahead of need."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Any

import click

from mixpay.cli import common
from mixpay.cli.init import home_option
from mixpay.client import app
from mixpay.client.fetch_store import ListedPass
from mixpay.client.home import Home
from mixpay.client.wallet import drawn_relay
from mixpay.errors import ChainError
from mixpay.network import NetworkView
from mixpay.passes import KIND_ENTRY, TICKS

_KINDS = {1: "entry", 2: "mailbox"}


@click.group(
    invoke_without_command=True,
    epilog="Examples: mixpay passes   |   mixpay passes fetch   |   mixpay passes keep",
)
@home_option
@common.json_option
@click.pass_context
def passes(context: click.Context, folder: Path, as_json: bool) -> None:
    """List your passes: what is left of them, and which relay each draws.

    A pass of the next period draws its relay when that period's relays are fixed.
    """
    if context.invoked_subcommand is None:
        rows = asyncio.run(_listed(Home(folder.expanduser())))
        common.result(as_json, rows, _table(rows))


@passes.command(epilog="Example, in a crontab: 17 * * * * mixpay passes fetch")
@home_option
def fetch(folder: Path) -> None:
    """Fetch what is due, once: for a timer, which knows nothing of when you send.

    Each pass has a moment in the period before its own, drawn by your folder and changed by nothing you do.
    """

    async def run() -> int:
        async with app.connected(Home(folder.expanduser()), common.say) as client:
            return await client.keeper().once()

    common.say(f"passes fetched: {asyncio.run(run())}")


@passes.command(epilog="Example: mixpay passes keep")
@home_option
def keep(folder: Path) -> None:
    """Fetch passes ahead of need, each at its moment, until a signal ends it (INT, TERM).

    `mixpay receive --follow` does the same while it runs.
    """
    asyncio.run(_keep(Home(folder.expanduser())))


async def _keep(home: Home) -> None:
    async with app.connected(home, common.say) as client:
        keeper = asyncio.ensure_future(client.keeper().keep(client.parts.refresh))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, keeper.cancel)
        common.say("fetching passes ahead of need")
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def _listed(home: Home) -> list[dict[str, Any]]:
    async with app.connected(home, common.say) as client:
        asked = [
            {"kind": _KINDS[kind], "period": period, "ticks": None, "relay": None, "state": "asked for"}
            for kind, period in client.store.asked()
        ]
        return [_shown(found, client.view) for found in client.store.listed()] + asked


def _shown(found: ListedPass, view: NetworkView) -> dict[str, Any]:
    scope = found.owned.scope
    try:
        drawn = drawn_relay(found.owned, view)
        relay = drawn.id if drawn is not None else None
    except ChainError:  # its period's relays are not fixed yet
        relay = None
    current = view.epoch if scope.kind == KIND_ENTRY else view.term
    return {
        "kind": _KINDS[scope.kind],
        "period": scope.period,
        "ticks": found.left,
        "relay": relay,
        "state": _state(found, is_current=scope.period == current),
    }


def _state(found: ListedPass, *, is_current: bool) -> str:
    if found.condemned is not None:
        return f"given up ({found.condemned})"
    if not found.left:
        return "spent"
    if not is_current:
        return "for later"
    return "new" if found.left == TICKS else "in use"


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no passes: `mixpay passes fetch` fetches what is due"
    head = {name: name for name in ("kind", "period", "ticks", "relay", "state")}
    cells = [[str("-" if row[name] is None else row[name]) for name in head] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )
