"""One sponsor's running process: it follows the chain, keeps keys registered, and serves passes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from aiohttp import web

from mixpay import eip712
from mixpay.accounts import show_account
from mixpay.chain.contracts import Contracts
from mixpay.chain.sender import Sender
from mixpay.chain.views import NOBODY
from mixpay.errors import ChainError, UserError
from mixpay.files import write_whole
from mixpay.network import NetworkView
from mixpay.sponsor.campaigns import (
    IDENTITY,
    PASSES,
    SIGNER,
    Desk,
    campaign_number,
)
from mixpay.sponsor.config import Home, SponsorConfig
from mixpay.sponsor.issuer import Campaign, Issuer, IssuerError
from mixpay.sponsor.keys import KeyFolder
from mixpay.sponsor.policy import InvitationPolicy, OpenPolicy, Policy, Quotas
from mixpay.sponsor.registrar import Registrar
from mixpay.sponsor.service import Service, ServiceLimits
from mixpay.sponsor.store import Store
from mixpay.types import Account, Epoch

_CHECK_KEYS_SECONDS = 30.0
_TRANSACTION_SECONDS = 60.0
"""How long the end of the process may have to wait for a transaction; it is looked for again later."""

_log = logging.getLogger(__name__)


async def serve(home: Home, password: str, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Serve passes until `stop` is set. `ready` gets the service's URL, which service.json holds meanwhile.

    Raises UserError for a wrong configuration, password or campaign, or a signer without ether; ChainError if
    the chain cannot be reached at the start. Later trouble with the chain is logged and waited out.
    """
    office = await asyncio.to_thread(Office, home, password)
    try:
        await office.look()
        await office.check_keys()
        async with office.listening() as url:
            ready(url)
            await office.follow(stop)
    finally:
        office.close()


class Office:
    """Everything a running service consists of."""

    def __init__(self, home: Home, password: str) -> None:
        desk = Desk(home)
        self._home, self._config = home, desk.config
        number = campaign_number(desk)
        signer_key = desk.secret(SIGNER, password)
        _check_signer(desk.contracts, number, eip712.account_of(signer_key))
        deployment = desk.deployment
        self._view = NetworkView(desk.rpc, deployment)
        keys = KeyFolder(home.pass_keys, desk.secret(PASSES, password))
        identity_key = desk.secret(IDENTITY, password)
        self._store = Store(home.database, deployment.chain_id, deployment.pool, number)
        self._issuer = Issuer(
            campaign=Campaign(deployment.chain_id, deployment.pool, number, signer_key, identity_key),
            schedule=self._view.schedule,
            claim_window=deployment.parameters.claim_window,
            policy=policy_of(home, desk.config),
            store=self._store,
            keys=keys,
            random=os.urandom,
        )
        self._registrar = Registrar(
            contracts=desk.contracts,
            sender=Sender(desk.rpc, signer_key, limit=_TRANSACTION_SECONDS),
            schedule=self._view.schedule,
            campaign=number,
            keys=keys,
            store=self._store,
        )
        limits = ServiceLimits(desk.config.waiting, desk.config.behind_proxy)
        self._service = Service(self._issuer, self._view, limits)
        self._checked: tuple[Epoch | None, float] = (None, 0.0)

    def close(self) -> None:
        """End the issuer's thread and close the database."""
        self._service.close()
        self._store.close()

    async def look(self) -> None:
        """Read what is new on the chain. Raises ChainError."""
        await asyncio.to_thread(self._view.refresh)

    async def check_keys(self) -> None:
        """Register keys, forget old things. Raises ChainError, and UserError if the signer has no ether."""
        now = self._view.chain_time
        epoch = self._view.schedule.epoch_at(now)
        await asyncio.to_thread(self._registrar.register_keys, epoch, self._config.keys_ahead)
        await self._service.run(self._issuer.prune, epoch, now)
        self._checked = (epoch, time.monotonic())

    async def follow(self, stop: asyncio.Event) -> None:
        """Keep looking, and keep keys registered, until `stop`."""

        async def check_when_due() -> None:
            last, checked = self._checked
            if self._view.epoch != last or time.monotonic() - checked >= _CHECK_KEYS_SECONDS:
                await self.check_keys()

        pause = self._config.poll_seconds
        # Two loops: a transaction that waits for its block must not stop the clock.
        await asyncio.gather(_repeat(self.look, pause, stop), _repeat(check_when_due, pause, stop))

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen as configured; the URL."""
        runner = web.AppRunner(self._service.application(), access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._config.listen, self._config.port)
            try:
                await site.start()
            except OSError as error:
                where = f"{self._config.listen}:{self._config.port}"
                raise UserError(f"cannot listen on {where}: {error.strerror}") from None
            host, port = runner.addresses[0][:2]
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            write_whole(self._home.service_file, msgspec.json.encode({"url": url}))
            yield url
        finally:
            self._home.service_file.unlink(missing_ok=True)
            await runner.cleanup()


async def _repeat(work: Callable[[], Awaitable[None]], pause: float, stop: asyncio.Event) -> None:
    """Do it again and again until `stop`. Trouble is logged when it begins and when it is over."""
    trouble = ""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
            return
        try:
            await work()
        except (ChainError, IssuerError, UserError) as error:
            if str(error) != trouble:
                _log.warning("%s", error)
            trouble = str(error)
            continue
        if trouble:
            _log.info("this is over: %s", trouble)
        trouble = ""


def policy_of(home: Home, config: SponsorConfig) -> Policy:
    """The policy that the configuration names. Raises UserError if its codes cannot be read."""
    settings = config.policy
    quotas = Quotas(settings.entry_passes, settings.mailbox_passes)
    if settings.kind == "invitation":
        return InvitationPolicy(home.path(settings.codes), quotas)
    return OpenPolicy(quotas)


def _check_signer(contracts: Contracts, number: int, signer: Account) -> None:
    campaign = contracts.pool.campaign(number)
    if campaign.sponsor == NOBODY:
        raise UserError(f"there is no campaign {number} in this deployment: check sponsor.toml")
    if campaign.signer != signer:
        theirs, ours = show_account(campaign.signer), show_account(signer)
        raise UserError(f"campaign {number} is signed for by {theirs}, not by this key store's {ours}")
    if campaign.budget == 0:
        _log.warning(
            "campaign %d has no budget: relays will not carry for it; run `mixpay sponsor fund`", number
        )
