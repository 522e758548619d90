"""A user's program: its messages cost nothing, for it is logged in at the dApp (`app.py`).

It asks for passes through the dApp, or with --callback at the issuer. Passwords: DAPP_PASSWORD for the dApp,
MIXPAY_PASSWORD for the keys in the folder, or they are asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from getpass import getpass

import aiohttp
import click

from mixpay import client
from mixpay.envelope import safe_text

Opened = Callable[[], contextlib.AbstractAsyncContextManager[client.User]]


@dataclass(frozen=True)
class Login:
    """What gets us passes: for each one a fresh token of the dApp."""

    dapp: str
    name: str
    password: str = field(repr=False)
    policy: str

    async def __call__(self, wanted: client.Wanted) -> client.Shown:
        # The jar is for this moment; `unsafe` lets it keep the cookie of a host that is a number.
        try:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
                form = {"name": self.name, "password": self.password}
                async with http.post(f"{self.dapp}/login", data=form) as answer:
                    if answer.status == 403:
                        raise client.UserError("the dApp knows no such name and password")
                async with http.post(f"{self.dapp}/token", raise_for_status=True) as answer:
                    return client.Shown(self.policy, (await answer.json())["token"])
        except (aiohttp.ClientError, TimeoutError) as error:
            raise client.IssuerUnavailable(f"the dApp gives no token: {str(error) or 'no answer'}") from None


@click.group()
@click.option("--folder", required=True, help="This user's folder.")
@click.option("--login", "name", required=True, help="The user's name at the dApp.")
@click.option("--dapp", required=True, help="Where the dApp is.")
@click.option("--rpc", required=True, help="A node that you trust.")
@click.option("--deployment", required=True, help="The network's deployment file.")
@click.option("--callback", metavar="ISSUER", help="Ask this issuer, which then asks the dApp.")
@click.pass_context
def main(
    context: click.Context, folder: str, name: str, dapp: str, rpc: str, deployment: str, callback: str | None
) -> None:
    """Send and receive for free."""
    policy = "callback" if callback else "api-key"
    settings = client.ClientConfig(rpc, deployment, callback or f"{dapp}/mixpay")
    login = Login(dapp, name, _password("DAPP_PASSWORD", "Password at the dApp"), policy)
    keys = _password("MIXPAY_PASSWORD", "Password of the keys in the folder")

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[client.User]:
        async with client.open_user(
            folder, keys, settings=settings, credentials=login, tell=lambda text: print(text, file=sys.stderr)
        ) as user:
            yield user

    context.obj = opened


@main.command()
@click.pass_obj
def address(opened: Opened) -> None:
    """Print your address, to give to others."""

    async def run() -> None:
        async with opened() as user:
            print(await user.address())

    asyncio.run(run())


@main.command()
@click.argument("to")
@click.argument("text")
@click.pass_obj
def send(opened: Opened, to: str, text: str) -> None:
    """Send TEXT to the address TO."""

    async def run() -> None:
        async with opened() as user:
            report = await user.send(to, text)
            left = ", ".join(f"{held.ticks:,} packets" for held in user.passes() if held.kind == "entry")
            print(f"sent in {report.packets_accepted} packets; left today: {left}")

    asyncio.run(run())


@main.command()
@click.option("--count", type=int, default=1, show_default=True, help="End after so many messages.")
@click.pass_obj
def receive(opened: Opened, count: int) -> None:
    """Wait for messages, and print them."""

    async def run() -> None:
        left = count
        async with opened() as user:
            async for message in user.messages():
                print(safe_text(message.message.content), flush=True)
                left -= 1
                if not left:
                    break

    asyncio.run(run())


def _password(variable: str, prompt: str) -> str:
    return os.environ.get(variable) or getpass(f"{prompt}: ")


if __name__ == "__main__":
    try:
        main()
    except client.MixpayError as error:
        sys.exit(f"Error: {error}")
