"""What a user can do, put together: an address, sending, receiving.

The command line and the demo call these.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp

from mixpay import deployment as deployments
from mixpay.address import Address
from mixpay.chain.rpc import connect
from mixpay.client import makers, relays
from mixpay.client.courier import Courier
from mixpay.client.courier import Network as PostOffice
from mixpay.client.credentials import CredentialSource
from mixpay.client.exchange import Exchange
from mixpay.client.home import ClientConfig, Home
from mixpay.client.identity import Identity
from mixpay.client.inbox import Arrived, Inbox, Incomplete
from mixpay.client.issuer import Issuer
from mixpay.client.keeping import Keeper, plan_of
from mixpay.client.line import Line
from mixpay.client.outbox import Outbox
from mixpay.client.parts import Part, Parts
from mixpay.client.posting import Posting
from mixpay.client.profile import REQUESTS, Profile, named
from mixpay.client.receiving import Mailboxes
from mixpay.client.records import Records
from mixpay.client.report import Report
from mixpay.client.session import Session
from mixpay.client.store import ClientStore
from mixpay.client.visits import Round
from mixpay.client.wallet import Wallet
from mixpay.deployment import Deployment
from mixpay.envelope import Kind, Message
from mixpay.errors import ChainError, UserError
from mixpay.network import NetworkView
from mixpay.releases import Releases

Tell = Callable[[str], None]
Deliver = Callable[[Arrived], None]

POLL_SECONDS = 3.0
"""Between two looks into the mailboxes while following."""

PRESENCE = "presence"
"""The lock of who stays (`mixpay.client.presence`), and has the line into the network."""
_EARLIER = "you have mailboxes of an earlier release, which `--direct` empties"
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Client:
    """A user's folder, open, and the network as the chain has it now.

    `view`, `store` and `wallet` are of the release in force.
    """

    home: Home
    config: ClientConfig
    profile: Profile
    parts: Parts
    view: NetworkView
    store: ClientStore
    http: aiohttp.ClientSession
    wallet: Wallet
    tell: Tell

    def mailboxes(self, identity: Identity) -> Mailboxes:
        """The user's mailboxes."""
        return Mailboxes(self.http, self.view, self.store, identity, self.tell)

    def keeper(self) -> Keeper:
        """What fetches passes ahead of need."""
        plan = plan_of(self.store, self.view, os.urandom, self.config.passes_ahead)
        return Keeper(self.store, self.view, self.wallet, plan, self.tell)

    def posting(self, progress: Callable[[int, int], None] = lambda _done, _all: None) -> Posting:
        """How messages leave. `progress`: fragments accepted, and all."""
        network = self.http, self.view, self.wallet, self.profile
        return Posting(*network, self.home, self.parts, self.tell, progress)


@contextlib.asynccontextmanager
async def connected(
    home: Home, tell: Tell = lambda _: None, credentials: CredentialSource | None = None
) -> AsyncIterator[Client]:
    """Open a user's folder and read the chain. `tell` gets lines for the user while it is open.

    `credentials`: what is shown to the sponsor; a dApp's own client has its own
    (`mixpay.client.credentials`), without one the settings say it.

    Raises UserError (configuration, deployment file, chain of another id, a folder of another network, a
    release that this program does not know) and ChainUnavailable.
    """
    config = home.config()
    profile = named(config.profile)
    deployment = deployments.load(Path(config.deployment).expanduser())
    home.ensure()
    async with contextlib.AsyncExitStack() as stack:
        store = stack.enter_context(ClientStore(home.state_file))
        _belong_together(home, store, deployment)
        rpc = await asyncio.to_thread(connect, config.rpc_url, deployment)
        first = NetworkView(rpc, deployment, not_before=store.raise_fact("chain_time", 0))
        await asyncio.to_thread(first.refresh)
        store.raise_fact("chain_time", first.chain_time)
        parts = stack.enter_context(
            contextlib.closing(Parts(home, Releases(rpc, first), Part(first, store), tell))
        )
        part = await parts.in_force()
        _ready(part.view)
        http = await stack.enter_async_context(relays.session())
        pool = part.view.deployment.pool
        shown = credentials or makers.credentials_of(config, tell)
        issuer = Issuer(http, config.sponsor_url, pool, shown)
        # Campaigns are numbered by their pool: the number in the settings is of the deployment file's.
        campaign = config.campaign if part.view is first else None
        turn = partial(_one_fetches, asyncio.Lock(), home, tell)
        wallet = Wallet(part.store, issuer, part.view, os.urandom, campaign=campaign, tell=tell, turn=turn)
        wallet.forget_past()
        yield Client(home, config, profile, parts, part.view, part.store, http, wallet, tell)


@contextlib.asynccontextmanager
async def _one_fetches(ours: asyncio.Lock, home: Home, tell: Tell) -> AsyncIterator[None]:
    """One task of this program, and one program, fetches passes at a time."""
    async with ours, home.locked("passes", lambda: tell("waiting for another command to fetch a pass")):
        yield


def _belong_together(home: Home, store: ClientStore, deployment: Deployment) -> None:
    here = f"{deployment.chain_id}:{deployment.pool.hex()}"
    if store.settle_fact("network", here) != here:
        raise UserError(
            f"{home.folder} belongs to another network than the deployment file {home.config().deployment}: "
            "use a folder of its own for each network (--home)"
        )


def _ready(view: NetworkView) -> None:
    """Raise UserError for a network that this program cannot speak to, or that has no relays yet."""
    _ = view.release
    if not view.is_frozen(view.epoch) or not view.snapshot(view.epoch).relays:
        raise UserError(
            f"no relay serves in epoch {view.epoch} of this network: the first ones do from the second epoch "
            "after they registered"
        )


def require_alone(home: Home) -> None:
    """Raise UserError if another program stays, and so has the line into the network."""
    if home.is_held(PRESENCE):
        raise UserError(
            "`mixpay receive --follow` runs in this folder, and fetches and sends for you: end it first, or "
            "send with --acknowledged, which it carries out"
        )


@contextlib.asynccontextmanager
async def keeping(client: Client) -> AsyncIterator[None]:
    """Fetch passes ahead of need meanwhile. Somebody else reads what is new on the chain."""

    async def nothing() -> None:
        """It is read already."""

    keeper = asyncio.create_task(client.keeper().keep(nothing))
    try:
        yield
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def make_address(client: Client, identity: Identity, *, direct: bool = True) -> Address:
    """The user's address of this term; the mailbox is made when there is none, `direct` as for `Receiver`.

    Raises NoPass, IssuerUnavailable, IssuerRefused, UserError.
    """
    mailboxes, wallet = client.mailboxes(identity), client.wallet
    if client.home.is_held(PRESENCE) and (known := mailboxes.current()) is not None:
        return known
    require_alone(client.home)
    async with client.home.locked("receive", lambda: client.tell("waiting for another `mixpay receive`")):
        if (known := mailboxes.current()) is not None:
            return known
        if direct:
            return await mailboxes.make(wallet)
        async with exchanging(client) as exchange:
            return await mailboxes.make(wallet, exchange)


@contextlib.asynccontextmanager
async def exchanging(client: Client) -> AsyncIterator[Exchange]:
    """Ask relays through the network meanwhile: requests take ticks of the pass that messages do."""
    session = Session(client.http, client.view, client.wallet, os.urandom, client.tell)
    async with (
        client.posting().turn(),
        Line(session, client.view, client.wallet, client.profile, REQUESTS, os.urandom) as line,
    ):
        yield Exchange(line, os.urandom)


async def send(
    client: Client,
    receiver: Address,
    message: Message,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Report:
    """Send a message. `progress`: fragments accepted, and all.

    Raises UserError for an address of another release or network, and what `Sending.run` raises.
    """
    posting = client.posting(progress)
    posting.check(receiver)
    require_alone(client.home)
    async with posting.turn():
        return await posting.sending(receiver).run(message)


@dataclass(frozen=True, slots=True)
class Received:
    """What a look into the mailboxes left: messages that lack fragments, mailboxes that did not answer.

    `packets`: how many were fetched, those of no use included.
    """

    incomplete: list[Incomplete]
    troubles: list[str]
    packets: int


class Receiver:
    """Fetches messages from the mailboxes in every release; sends what is due of one's own, and acknowledges.

    `direct`: relays are asked directly, which shows them our network address; else through the network, in
    the release in force.
    `deliver` gets each complete message, and returns when it is safe. Without it messages are kept, and
    senders are told nothing. `silent`: senders are told nothing in any case. `progress`: of sending again.
    `post`: how messages leave, if not in bursts.
    """

    def __init__(
        self,
        client: Client,
        identity: Identity,
        deliver: Deliver | None,
        *,
        silent: bool = False,
        direct: bool = True,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
        post: PostOffice | None = None,
    ) -> None:
        self._client, self._identity, self._deliver, self._direct = client, identity, deliver, direct
        self._acknowledges = deliver is not None and not silent
        self._posting: PostOffice = post or client.posting(progress)
        self._desks: dict[NetworkView, tuple[Mailboxes, Courier]] = {}
        self._told = False
        self._left_out: set[NetworkView] = set()
        """Earlier releases, in which there are mailboxes that only `direct` empties."""

    async def begin(self) -> None:
        """Deliver what an earlier run fetched and could not deliver.

        Raises UserError if there is no mailbox, ChainError.
        """
        await self._open_desks()
        if not self._desks:
            none = "you have no mailbox yet: `mixpay address` makes one"
            raise UserError(_EARLIER if self._left_out else none)

    def courier(self, view: NetworkView) -> Courier:
        """Of a release in which there is a mailbox."""
        return self._desks[view][1]

    @property
    def couriers(self) -> list[Courier]:
        """Of all releases."""
        return [courier for _, courier in self._desks.values()]

    async def once(self, *, last: bool = True) -> Received:
        """Look into all mailboxes once. `last`: there is no further look soon. Raises ChainError, UserError
        if another program of this user stays.
        """
        require_alone(self._client.home)
        await self._open_desks()
        found, incomplete = Round(), []
        for mailboxes, courier in self._desks.values():
            async with self._client.home.locked(
                "receive", lambda: self._client.tell("waiting for another command")
            ):
                self.hand_over(courier, courier.inbox.catch_up(_now()))
                await self._empty(mailboxes, courier, found, patient=not last)
            await courier.send_due()
            if self._acknowledges:
                await courier.acknowledge(last=last)
            incomplete += courier.inbox.incomplete()
        if self._left_out:
            found.troubles.append(_EARLIER)
        return Received(incomplete, found.troubles, found.fetched)

    async def _empty(self, mailboxes: Mailboxes, courier: Courier, found: Round, *, patient: bool) -> None:
        handing = partial(self.hand_over, courier)
        if self._direct:
            await mailboxes.empty(courier.inbox, _now(), handing, found, patient=patient)
            return
        async with exchanging(self._client) as exchange:
            await mailboxes.empty(
                courier.inbox, _now(), handing, found, patient=patient, exchange=exchange
            )

    async def _open_desks(self) -> None:
        """Begin with the releases that the user has a mailbox in by now."""
        for part in await self._client.parts.there():
            if part.view in self._desks or not part.store.mailboxes():
                continue
            if not self._direct and part.view is not self._client.view:
                self._left_out.add(part.view)
                continue
            mailboxes = Mailboxes(self._client.http, part.view, part.store, self._identity, self._client.tell)
            courier = self._courier(part)
            self._desks[part.view] = mailboxes, courier
            self.hand_over(courier, courier.inbox.restore(_now()))
        if self._desks and not self._told and self._client.parts.view_in_force() not in self._desks:
            self._told = True
            self._client.tell(
                "the network has moved to a new release: nothing arrives at your earlier addresses any more; "
                "`mixpay address` makes a new one"
            )

    def _courier(self, part: Part) -> Courier:
        inbox = Inbox(part.store, self._identity, part.view.mark)
        outbox, records = Outbox(part.store, self._identity), Records(self._identity)
        return Courier(part.store, outbox, inbox, records, self._posting, self._client.tell, _now)

    async def follow(self) -> None:
        """Look again and again, until cancelled. Troubles are told once, and outlasted."""
        async for _ in self.looks():
            pass

    async def looks(self) -> AsyncIterator[None]:
        """Look again and again; each look is over when this yields."""
        told: set[str] = set()
        pause = POLL_SECONDS
        while True:
            troubles = await self._look() + await self._refresh()
            for trouble in troubles:
                if trouble not in told:
                    self._client.tell(f"{trouble}; trying on")
            told = set(troubles)
            pause = min(2 * pause, _LONGEST_PAUSE) if troubles else POLL_SECONDS
            yield
            await asyncio.sleep(pause)

    async def _look(self) -> list[str]:
        """What `once` has to say. A later release is read of from the chain, which may be away just then."""
        try:
            return (await self.once(last=False)).troubles
        except ChainError as error:
            return [str(error)]

    async def _refresh(self) -> list[str]:
        try:
            await self._client.parts.refresh()
        except ChainError as error:
            return [str(error)]
        return []

    def hand_over(self, courier: Courier, arrived: list[Arrived]) -> None:
        """Deliver what is complete; acknowledgements are for the courier."""
        for message in arrived:
            if message.message.kind is Kind.ACK:
                courier.hear(message.message.content)
                self.safe(courier, message)
            else:
                self.take(courier, message)

    def take(self, courier: Courier, message: Arrived) -> None:
        """A message is complete. As long as `safe` is not called it stays in the store."""
        if self._deliver is not None:
            self._deliver(message)
            self.safe(courier, message)

    def safe(self, courier: Courier, message: Arrived) -> None:
        """A message need not be kept any more."""
        courier.inbox.saved(message.message_id, _now())


def _now() -> int:
    return int(time.time())
