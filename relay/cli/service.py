"""`mixpay-relay run`, `status`, `drain` and `claim`."""

from __future__ import annotations

from pathlib import Path

import click

from mixpay.cli.common import (
    FAILED,
    ask_password,
    json_option,
    log_format_option,
    log_to_stderr,
    password_option,
    result,
    verbose_option,
)
from mixpay.errors import UserError
from relay import config
from relay.cli import options
from relay.home import CONFIG
from relay.operator.api_client import ApiClient
from relay.operator.status_text import drain_text, settle_text, status_text

_LIMITED = ("relay.links", "relay.path", "relay.clients", "mixpay.door")
"""Loggers of what peers and clients cause: nobody must fill the disk."""


@click.command(epilog="Example: MIXPAY_PASSWORD=... mixpay-relay run")
@options.home
@password_option
@log_format_option
@verbose_option
def run(folder: Path, password_file: Path | None, log_format: str, verbose: bool) -> None:
    """Serve until interrupted."""
    config.load(folder / CONFIG)
    password = ask_password(password_file)
    log_to_stderr(log_format, verbose, _LIMITED)
    from relay import process  # noqa: PLC0415 loads everything, which --help must not wait for

    try:
        process.run(folder, password)
    except OSError as error:
        raise UserError(f"cannot serve: {error}") from None


@click.command(epilog="Example: mixpay-relay status --json")
@options.home
@options.release
@json_option
def status(folder: Path, release: int | None, as_json: bool) -> None:
    """What the running daemon carries, earns and waits for."""
    answer = ApiClient(folder).status(release)
    result(as_json, answer, status_text(answer))


@click.command(epilog="Example: mixpay-relay drain && systemctl restart mixpay-relay")
@options.home
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600),
    default=120.0,
    show_default=True,
    help="Seconds to wait for the packets that are in the relay.",
)
@click.option("--resume", is_flag=True, help="Take packets again.")
@json_option
def drain(folder: Path, timeout: float, resume: bool, as_json: bool) -> None:
    """Before an upgrade: have the running daemon take no new packets, and send on those it holds.

    When it is done, to stop the daemon loses nothing; what is owed is on disk anyway. If packets are left
    after the timeout, the exit status is 1 and draining goes on. A daemon that is started takes packets.
    """
    client = ApiClient(folder)
    answer = client.resume() if resume else client.drain(timeout)
    result(as_json, answer, drain_text(answer))
    if answer.draining and not answer.complete:
        raise click.exceptions.Exit(FAILED)


@click.command(epilog="Example: mixpay-relay claim")
@options.home
@click.option(
    "--timeout", type=click.FloatRange(1, 3600), default=120.0, show_default=True, help="Seconds to wait."
)
@json_option
def claim(folder: Path, timeout: float, as_json: bool) -> None:
    """Have the running daemon settle with everybody now, and claim everything on chain.

    What has to wait is named, and the exit status is 1; the daemon goes on by itself.
    """
    answer = ApiClient(folder).settle(timeout)
    result(as_json, answer, settle_text(answer))
    if not answer.complete:
        raise click.exceptions.Exit(FAILED)
