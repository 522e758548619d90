"""`mixpay-relay run`, `status` and `claim`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from mixpay.errors import UserError
from relay import config
from relay.api_client import ApiClient
from relay.cli import common
from relay.home import CONFIG
from relay.status_text import settle_text, status_text


@click.command(epilog="Example: MIXPAY_PASSWORD=... mixpay-relay run")
@common.home
@common.password_option
@click.option("--verbose", is_flag=True, help="Say more on stderr.")
def run(folder: Path, password_file: Path | None, verbose: bool) -> None:
    """Serve until interrupted."""
    config.load(folder / CONFIG)
    password = common.ask_password(password_file)
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    # Requests and RPC addresses belong in nobody's log.
    for chatty in ("aiohttp", "urllib3", "web3", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    from relay import daemon  # noqa: PLC0415 loads everything, which --help must not wait for

    try:
        daemon.run(folder, password)
    except OSError as error:
        raise UserError(f"cannot serve: {error}") from None


@click.command(epilog="Example: mixpay-relay status --json")
@common.home
@common.json_option
def status(folder: Path, as_json: bool) -> None:
    """What the running daemon carries, earns and waits for."""
    answer = ApiClient(folder).status()
    common.result(as_json, answer, status_text(answer))


@click.command(epilog="Example: mixpay-relay claim")
@common.home
@click.option(
    "--timeout", type=click.FloatRange(1, 3600), default=120.0, show_default=True, help="Seconds to wait."
)
@common.json_option
def claim(folder: Path, timeout: float, as_json: bool) -> None:
    """Have the running daemon settle with everybody now, and claim everything on chain.

    What has to wait is named; the daemon goes on by itself.
    """
    answer = ApiClient(folder).settle(timeout)
    common.result(as_json, answer, settle_text(answer))
