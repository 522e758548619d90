"""A user of the network, for programs: an address, sending, receiving. `mixpay.client` shows it at work.

What the command line does in one command each, this does while a program runs. Whatever fails raises a
MixpayError whose text can be shown to people (`mixpay.client.errors` has the tree).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mixpay import address as addresses
from mixpay import deployment as deployments
from mixpay.address import Address
from mixpay.chain.rpc import Rpc
from mixpay.client import app
from mixpay.client.app import Client, Receiver, Tell
from mixpay.client.courier import Courier
from mixpay.client.credentials import CredentialSource
from mixpay.client.errors import RelayUnavailable
from mixpay.client.home import ClientConfig, Home
from mixpay.client.identity import Identity
from mixpay.client.inbox import Arrived
from mixpay.client.letters import Delivery, send_acknowledged
from mixpay.client.report import Report
from mixpay.envelope import Message, text_message
from mixpay.errors import UserError
from mixpay.keystore import Kdf
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, TICKS
from mixpay.urls import sponsor_url

_KIND_NAMES = {KIND_ENTRY: "entry", KIND_MAILBOX: "mailbox"}


@contextlib.asynccontextmanager
async def open_user(
    folder: Path | str | None = None,
    password: str = "",
    *,
    settings: ClientConfig | None = None,
    credentials: CredentialSource | None = None,
    tell: Tell = lambda _: None,
    kdf: Kdf = Kdf.STANDARD,
) -> AsyncIterator[User]:
    """Open a user's folder, as `mixpay init` and `mixpay address` make it, or make one.

    `folder`: None for a user who ends with the program; then no password is needed. `settings`: for a new
    folder; one that has settings must have these. `credentials`: makes what is shown to the sponsor,
    instead of what stands in the settings. `tell`: gets lines for people. `kdf`: how costly it is to try
    passwords of new keys; the standard one takes a second and 256 MiB.

    Raises UserError (settings, password, a folder of another network), ChainUnavailable.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mixpay-user-"))
            password, kdf = secrets.token_urlsafe(16), Kdf.LIGHT
        home = Home(Path(folder).expanduser())
        _settle(home, settings)
        identity = await asyncio.to_thread(home.identity, lambda _new: password, kdf)
        async with app.connected(home, tell, credentials) as client:
            user = User(client, identity)
            yield user
            user.put_away()  # unless the program failed: then the message at hand comes again


def _settle(home: Home, settings: ClientConfig | None) -> None:
    """Write the settings of a new folder. Raises UserError if they are wrong, or there are others."""
    if settings is None:
        home.config()
        return
    deployment = Path(settings.deployment).expanduser().resolve()
    deployments.load(deployment)
    Rpc(settings.rpc_url)  # refuses what is no address
    whole = {"deployment": str(deployment), "sponsor_url": sponsor_url(settings.sponsor_url)}
    settings = msgspec.structs.replace(settings, **whole)
    if not home.config_file.exists():
        home.write_config(settings)
    elif home.config() != settings:
        raise UserError(f"{home.config_file} has other settings: edit it, or take another folder")


@dataclass(frozen=True, slots=True)
class HeldPass:
    """What is left of a pass that is good now. `kind`: entry or mailbox; `ticks`: of 16,384."""

    kind: str
    period: int
    ticks: int


class User:
    """A user whose folder is open. Use it in one event loop; sending and receiving may go on together.

    When the network has moved to a new release (`tell` says so), open the user anew.
    """

    def __init__(self, client: Client, identity: Identity) -> None:
        self.client = client
        """The parts it is made of."""
        self._identity = identity
        self._arrivals: _Arrivals | None = None

    async def address(self) -> Address:
        """Where others write to, in this term; `str` of it is the printed form. Made with a mailbox pass.

        Raises IssuerUnavailable, IssuerRefused, NoPass, UserError.
        """
        await self.client.wallet.look_again()
        return await app.make_address(self.client, self._identity)

    async def send(
        self,
        to: Address | str,
        message: Message | str,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> Report:
        """Send a text, or a message of `mixpay.envelope`, as a file; until the network has taken all of it.

        `progress` gets packets accepted, and all. Raises UserError for an address that cannot be sent to,
        IssuerUnavailable, IssuerRefused, NoPass, NotSent, ChainError.
        """
        await self.client.wallet.look_again()
        return await app.send(self.client, _address(to), _message(message), progress)

    async def send_acknowledged(self, to: Address | str, message: Message | str, wait: float) -> Delivery:
        """Send, show the receiver one's address, and wait up to `wait` seconds until all of it is there.

        What is not by then is kept: `messages` goes on with it. Raises UserError (no mailbox), ChainError.
        """
        await self.client.wallet.look_again()
        return await send_acknowledged(self.client, self._identity, _address(to), _message(message), wait)

    async def messages(self, *, follow: bool = True, silent: bool = False) -> AsyncIterator[Arrived]:
        """What arrives, until the loop is left; without `follow` what is there now. One loop at a time.

        A message counts as received when the next one is asked for, or the user is closed without an error:
        one whose handling failed comes again. `silent`: senders are told nothing. The mailbox's relay sees
        one's network address.

        Raises UserError (no mailbox yet), ChainError; without `follow` RelayUnavailable, at the end.
        """
        self.put_away()
        self._arrivals = arrivals = _Arrivals(self.client, self._identity, silent)
        await arrivals.begin()
        if follow:
            async for _ in arrivals.looks():
                for message in arrivals.ready():
                    yield message
        else:
            received = await arrivals.once(last=False)
            for message in arrivals.ready():
                yield message
            await arrivals.conclude()
            if received.troubles:
                raise RelayUnavailable("; ".join(received.troubles))

    async def keep_passes(self) -> None:
        """Fetch passes ahead of need, until cancelled; for programs that go on, as a task beside the others.

        Each is fetched at a moment that nothing the user does changes. Troubles are told, and outlasted.
        """
        await self.client.keeper().keep(self.client.parts.refresh)

    def put_away(self) -> None:
        """The message that `messages` gave last counts as received."""
        if self._arrivals is not None:
            self._arrivals.put_away()

    def passes(self) -> list[HeldPass]:
        """The passes that are good now and have ticks left."""
        store, view = self.client.store, self.client.view
        periods = {KIND_ENTRY: view.epoch, KIND_MAILBOX: view.term}
        return [
            HeldPass(_KIND_NAMES[kind], period, TICKS - stored.counter)
            for kind, period in periods.items()
            for stored in store.passes(kind, period)
        ]


class _Arrivals(Receiver):
    """Keeps what arrives until somebody has taken it."""

    def __init__(self, client: Client, identity: Identity, silent: bool) -> None:
        super().__init__(client, identity, lambda _: None, silent=silent)
        self._silent = silent
        self._ready: dict[bytes, tuple[Courier, Arrived]] = {}
        self._given: tuple[Courier, Arrived] | None = None

    def take(self, courier: Courier, message: Arrived) -> None:
        self._ready[message.message_id] = courier, message

    def ready(self) -> Iterator[Arrived]:
        """Each message that is there; it is safe once the next one is asked for."""
        while self._ready:
            self._given = next(iter(self._ready.values()))
            yield self._given[1]
            self.put_away()

    def put_away(self) -> None:
        """What was given last is safe."""
        if self._given is not None:
            courier, message = self._given
            self._given = None
            del self._ready[message.message_id]
            self.safe(courier, message)

    async def conclude(self) -> None:
        """Tell senders what has arrived; there is no further look soon."""
        if not self._silent:
            for courier in self.couriers:
                await courier.acknowledge(last=True)


def _address(to: Address | str) -> Address:
    return addresses.parse(to) if isinstance(to, str) else to


def _message(message: Message | str) -> Message:
    return text_message(message) if isinstance(message, str) else message
