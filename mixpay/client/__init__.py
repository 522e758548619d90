"""The user's side: passes, sending, receiving, for programs. The command line does the same in a folder.

    import asyncio
    from mixpay import client

    async def show_token(wanted: client.Wanted) -> client.Shown:
        # For each pass; `callback` is one of the sponsor's policies, which wanted.campaign.policies names.
        return client.Shown("callback", "a token of the dApp, fetched where its users log in")

    async def greet(rpc: str, deployment: str, sponsor: str) -> None:
        settings = client.ClientConfig(rpc, deployment, sponsor)
        async with (
            client.open_user("bob", "a password", settings=settings, credentials=show_token) as bob,
            client.open_user(settings=settings, credentials=show_token) as somebody,  # without a folder
        ):
            address = await bob.address()  # str(address) is what people copy
            report = await somebody.send(address, "hello")
            print(f"sent in {report.packets_accepted} packets; passes: {somebody.passes()}")
            async for message in bob.messages():  # each comes again if handling it fails
                print(message.text)
                break

    if __name__ == "__main__":
        asyncio.run(greet("http://127.0.0.1:8545", "network.json", "http://127.0.0.1:8850"))

Whatever fails raises a `MixpayError` with a text for people: `UserError` what the user can mend (among them
`IssuerRefused`: no pass, and why), `ClientError` what a relay or the sponsor did, `ChainError` the chain.
`examples/dapp/user.py` is a whole program. Inside: pure cores (`sender`, `profile`), thin edges around them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixpay.lazy import names_of

if TYPE_CHECKING:
    from mixpay.address import Address as Address
    from mixpay.client.credentials import CredentialSource as CredentialSource
    from mixpay.client.credentials import Shown as Shown
    from mixpay.client.credentials import Wanted as Wanted
    from mixpay.client.errors import ClientError as ClientError
    from mixpay.client.errors import IssuerRefused as IssuerRefused
    from mixpay.client.errors import IssuerUnavailable as IssuerUnavailable
    from mixpay.client.errors import NotSent as NotSent
    from mixpay.client.errors import RelayUnavailable as RelayUnavailable
    from mixpay.client.home import ClientConfig as ClientConfig
    from mixpay.client.inbox import Arrived as Arrived
    from mixpay.client.letters import Delivery as Delivery
    from mixpay.client.report import Report as Report
    from mixpay.client.user import HeldPass as HeldPass
    from mixpay.client.user import User as User
    from mixpay.client.user import open_user as open_user
    from mixpay.client.wallet import NoPass as NoPass
    from mixpay.envelope import Message as Message
    from mixpay.envelope import file_message as file_message
    from mixpay.envelope import text_message as text_message
    from mixpay.errors import MixpayError as MixpayError
    from mixpay.errors import UserError as UserError
    from mixpay.keystore import Kdf as Kdf

_TABLE = {
    "Address": "mixpay.address",
    "CredentialSource": "mixpay.client.credentials",
    "Shown": "mixpay.client.credentials",
    "Wanted": "mixpay.client.credentials",
    "ClientError": "mixpay.client.errors",
    "IssuerRefused": "mixpay.client.errors",
    "IssuerUnavailable": "mixpay.client.errors",
    "NotSent": "mixpay.client.errors",
    "RelayUnavailable": "mixpay.client.errors",
    "ClientConfig": "mixpay.client.home",
    "Arrived": "mixpay.client.inbox",
    "Delivery": "mixpay.client.letters",
    "Report": "mixpay.client.report",
    "HeldPass": "mixpay.client.user",
    "User": "mixpay.client.user",
    "open_user": "mixpay.client.user",
    "NoPass": "mixpay.client.wallet",
    "Message": "mixpay.envelope",
    "file_message": "mixpay.envelope",
    "text_message": "mixpay.envelope",
    "MixpayError": "mixpay.errors",
    "UserError": "mixpay.errors",
    "Kdf": "mixpay.keystore",
}

__getattr__ = names_of(__name__, _TABLE)
