"""One sponsor's running process: it follows the chain, keeps keys registered, and serves passes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from aiohttp import web

from mixpay.chain.errors import NotMined, RpcError
from mixpay.chain.sender import Sender
from mixpay.door import HTTP_LOG, CrowdLimits, WebDoor
from mixpay.errors import TransactionFailed, UserError
from mixpay.local_api import HOST
from mixpay.network import NetworkView
from mixpay.releases import Releases, Span, find_span
from mixpay.sponsor.admin import AdminServer
from mixpay.sponsor.campaigns import IDENTITY, PASSES, SIGNER, Desk
from mixpay.sponsor.config import Home, ServiceFile, SponsorConfig
from mixpay.sponsor.counter import Counter, Staff
from mixpay.sponsor.loops import each, repeat, together
from mixpay.sponsor.policies import make_policies, read_settings
from mixpay.sponsor.policies.interface import Surroundings
from mixpay.sponsor.policy import Policies, Policy
from mixpay.sponsor.refusals import Refusals
from mixpay.sponsor.report_records import CampaignReport
from mixpay.sponsor.service import Service, application, no_campaign
from mixpay.types import Account

_TRANSACTION_SECONDS = 60.0
"""How long a transaction is waited for; it is looked for again later."""

_REPORT_EVERY = 5
"""Looks at the chain for one report of the campaign's money."""

_log = logging.getLogger(__name__)


async def serve(
    home: Home, password: str, stop: asyncio.Event, ready: Callable[[str], None], database: str | None = None
) -> None:
    """Serve passes until `stop` is set. `ready` gets the service's URL, which service.json holds meanwhile.

    `database`: a server's address, instead of what the settings say. What is in progress at a stop is
    answered.

    Raises what `running` raises.
    """
    async with _opened(home, password, database) as (office, url):
        ready(url)
        await office.follow(stop)


@contextlib.asynccontextmanager
async def running(
    home: Home, password: str, *, policies: Sequence[Policy] | None = None, database: str | None = None
) -> AsyncIterator[str]:
    """Serve passes meanwhile, as a part of another program; the service's URL.

    `policies`: who gets passes, instead of what sponsor.toml says; they are closed at the end. `database`: as
    for `serve`. It listens where sponsor.toml says.

    Raises UserError for a wrong configuration, password or campaign, or a signer without ether; ChainError if
    the chain cannot be reached at the start. Later trouble with the chain is logged and waited out.
    """
    stop = asyncio.Event()
    async with _opened(home, password, database, policies) as (office, url):
        following = asyncio.create_task(office.follow(stop))
        following.add_done_callback(_tell_trouble)
        try:
            yield url
        finally:
            stop.set()
            await following


def _tell_trouble(following: asyncio.Task[None]) -> None:
    """At once: who serves as a part of another program learns of it at the end only."""
    if not following.cancelled() and (error := following.exception()) is not None:
        _log.error("the issuer follows the chain no more, and will run out of keys: %s", error)


@contextlib.asynccontextmanager
async def _opened(
    home: Home, password: str, database: str | None = None, policies: Sequence[Policy] | None = None
) -> AsyncIterator[tuple[Office, str]]:
    """An office that listens, and its URL."""
    office = await asyncio.to_thread(Office, home, password, database, policies)
    try:
        with home.held():
            await office.read_pause()
            await office.look()
            await office.check_keys_first()
            async with office.administering(), office.listening() as url:
                yield office, url
    finally:
        await office.close()


class Office:
    """Everything a running service consists of: a counter for its campaign in each release, one door.

    `policies`: instead of those of the configuration.
    """

    def __init__(
        self,
        home: Home,
        password: str,
        database: str | None = None,
        policies: Sequence[Policy] | None = None,
    ) -> None:
        desk = Desk(home)
        self._home, self._config = home, desk.config
        number, signer_key = desk.campaign, desk.secret(SIGNER, password)
        self._staff = Staff(
            home=home,
            config=desk.config,
            database=partial(home.database, database or desk.config.database),
            rpc=desk.rpc,
            sender=Sender(desk.rpc, signer_key, limit=_TRANSACTION_SECONDS),
            policies=policies_of(desk) if policies is None else Policies(policies),
            signer_key=signer_key,
            identity_key=desk.secret(IDENTITY, password),
            pass_key_secret=desk.secret(PASSES, password),
        )
        first = NetworkView(desk.rpc, desk.deployment)
        self._releases = Releases(desk.rpc, first)
        self._counters = [Counter(self._staff, first, number)]
        self._told: set[int] = set()
        self.refusals = Refusals()

    async def close(self) -> None:
        """End the issuers' threads, close the databases, let go of what policies hold."""
        try:
            await self._staff.policies.close()
        finally:
            for counter in self._counters:
                await asyncio.to_thread(counter.close)

    async def look(self) -> None:
        """Read what is new on the chain. Raises ChainError."""
        for view in self._releases.views:
            await asyncio.to_thread(view.refresh)
        await each(self._open(), Counter.count_redeemed)

    async def read_pause(self) -> None:
        """Read what the sponsor wants. Raises StoreUnavailable."""
        await each(self._open(), Counter.read_pause)

    async def check_keys(self) -> None:
        """Register keys, forget old things. Raises ChainError, and UserError if the signer has no ether."""
        await each(self._open(), Counter.check_keys)

    async def check_keys_first(self) -> None:
        """The same, but another instance's transaction may be in the way of ours: `follow` tries again."""
        try:
            await self.check_keys()
        except (NotMined, RpcError, TransactionFailed) as error:
            _log.warning("keys are not registered yet: %s", error)

    async def follow(self, stop: asyncio.Event) -> None:
        """Keep looking, keep keys registered, and go along with new releases, until `stop`."""

        async def check_when_due() -> None:
            await each(self._open(), Counter.check_keys_when_due)

        async def account() -> None:
            await each(self._counters, Counter.account)

        async def hurry() -> None:
            await stop.wait()
            self._staff.sender.stop()

        pause = self._config.poll_seconds
        # Loops of their own: a transaction that waits for its block must not stop the clock, nor a node that
        # does not answer what the sponsor wants.
        await together(
            repeat(self.read_pause, pause, stop),
            repeat(self.look, pause, stop),
            repeat(check_when_due, pause, stop),
            repeat(self._follow_releases, pause, stop),
            repeat(account, _REPORT_EVERY * pause, stop),
            hurry(),
        )

    def _open(self) -> list[Counter]:
        return [counter for counter in self._counters if not counter.is_done]

    # ------------------------------------------------------------------ releases

    async def _follow_releases(self) -> None:
        """Open a counter for each release in which there is a campaign by now.

        Raises CannotFollow, UserError, ChainError.
        """
        known = {counter.view.deployment.contracts for counter in self._counters}
        for span in self._releases.spans():
            if span.release.contracts not in known and not self._is_past(span):
                await self._open_counter(span)

    async def _open_counter(self, span: Span) -> None:
        number = self._home.load().campaign_in(span.number)
        if number:
            view = await asyncio.to_thread(self._releases.view, span)
            # "Issue no passes" was said to all campaigns that there were: a new one is no way round it.
            paused = all(counter.is_paused for counter in self._open() or self._counters)
            made = await asyncio.to_thread(Counter, self._staff, view, number, span.number, paused=paused)
            await made.read_pause()
            self._counters.append(made)
            _log.info("campaign %d of release %d, from epoch %d on", number, span.number, span.begins)
        elif span.number not in self._told:
            self._told.add(span.number)
            _log.warning(
                "release %d of the network is in force from epoch %d on: create and fund a campaign in it "
                "with `mixpay sponsor create --release %d ...` and `fund`; this service then takes it up",
                span.number, span.begins, span.number,
            )  # fmt: skip

    def _is_past(self, span: Span) -> bool:
        return span.ends is not None and span.ends <= self._counters[0].view.epoch

    def _find(self, pool: Account | None) -> Service:
        """The counter's service for a pool. Raises IssuerError, ChainError before the chain was read."""
        try:
            wanted = pool or self._releases.in_force().release.pool
        except UserError:
            raise no_campaign() from None
        for counter in self._counters:
            if counter.view.deployment.pool == wanted:
                return counter.service
        raise no_campaign()

    def _report(self, release: int | None) -> CampaignReport | None:
        """See `admin.Reports`."""
        span = self._span(release)
        for counter in self._counters:
            if counter.view.deployment.contracts == span.release.contracts:
                return counter.accountant.newest
        raise UserError("this sponsor has no campaign in that release of the network")

    def _span(self, release: int | None) -> Span:
        if release is None:
            return self._releases.in_force()
        return find_span(self._releases.published(), release)

    # ------------------------------------------------------------------ the doors

    @contextlib.asynccontextmanager
    async def administering(self) -> AsyncIterator[None]:
        """Answer the sponsor, on loopback. Raises UserError."""
        server = AdminServer(self._home.folder, self._report, self.refusals.by_reason)
        try:
            await server.start(self._config.api_port)
        except OSError as error:
            where = f"{HOST}:{self._config.api_port}"
            raise UserError(f"cannot listen on {where}: {error.strerror}") from None
        try:
            yield
        finally:
            await server.stop()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen as configured; the URL."""
        door: WebDoor | None = None

        def heard(request: web.Request) -> None:
            if door is not None:
                door.heard(request)

        app = application(self._find, heard, self.refusals)
        # Nobody's body is unpacked: ours are not packed, and a stranger's few bytes may become many.
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=HTTP_LOG,
            shutdown_timeout=5.0,
            lingering_time=2.0,
            auto_decompress=False,
        )
        await runner.setup()
        door = WebDoor(runner, _crowd(self._config), lambda reason: _log.debug("refused: %s", reason))
        try:
            host = self._config.listen
            try:
                door.listen(host, self._config.port, None)
            except OSError as error:
                where = f"{host}:{self._config.port}"
                raise UserError(f"cannot listen on {where}: {error.strerror}") from None
            port = door.port
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            self._home.tell_service(ServiceFile(url, self._staff.database(None).address))
            yield url
        finally:
            self._home.service_file.unlink(missing_ok=True)
            await door.close()
            await runner.cleanup()


def _crowd(config: SponsorConfig) -> CrowdLimits:
    """Who may come at once. Behind a proxy all come from one address: it has to count them."""
    most = config.connections
    if config.behind_proxy:
        return CrowdLimits(most, most, per_second=1e6)
    return CrowdLimits(most, config.connections_of_address, config.per_second)


def policies_of(desk: Desk) -> Policies:
    """The policies that the configuration names. Raises UserError if one of them cannot be used."""
    around = Surroundings(desk.home.folder, desk.rpc, desk.deployment.chain_id)
    return make_policies(read_settings(desk.config.policy), around)
