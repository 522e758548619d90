"""One campaign of a sponsor, in one release: its keys on chain, its database, and who may ask it what."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mixpay.accounts import show_account
from mixpay.chain.contracts import Contracts
from mixpay.chain.events import PassesRedeemed
from mixpay.chain.follower import Follower
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.chain.views import NOBODY
from mixpay.errors import UserError
from mixpay.network import NetworkView
from mixpay.sponsor.accountant import Accountant, rules_of
from mixpay.sponsor.config import Home, SponsorConfig
from mixpay.sponsor.issuer import Campaign, Issuer, RedeemedAtPool
from mixpay.sponsor.keys import PassKeys, Period
from mixpay.sponsor.policy import Policies
from mixpay.sponsor.registrar import Registrar
from mixpay.sponsor.service import Service, ServiceLimits
from mixpay.sponsor.store import Place, Store
from mixpay.types import Account, Epoch

_CHECK_KEYS_SECONDS = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Staff:
    """What all counters of a sponsor share: its node, the signer's sender, its policies, three secrets.

    `database`: which one is a later release's, or (None) the deployment file's.
    """

    home: Home
    config: SponsorConfig
    database: Callable[[int | None], Place]
    rpc: Rpc
    sender: Sender
    policies: Policies
    signer_key: bytes = field(repr=False)
    identity_key: bytes = field(repr=False)
    pass_key_secret: bytes = field(repr=False)


class Counter:
    """Campaign `number`, in the release that `view` shows. `later`: as in `Home.database`.

    `paused`: whether it begins so, if it has no database yet. Raises UserError if the campaign is not there,
    or not the signer's. Blocks while it is made.
    """

    def __init__(
        self,
        staff: Staff,
        view: NetworkView,
        number: int,
        later: int | None = None,
        *,
        paused: bool = False,
    ) -> None:
        self._config, self.view = staff.config, view
        deployment, contracts = view.deployment, Contracts(staff.rpc, view.deployment)
        _check_signer(contracts, number, staff.sender.account)
        place = deployment.chain_id, deployment.pool, number
        self._store = Store(staff.database(later), *place, paused=paused)
        keys = PassKeys(self._store, staff.pass_key_secret)
        keys.adopt(staff.home.pass_keys(later))
        self._issuer = Issuer(
            campaign=Campaign(*place, staff.signer_key, staff.identity_key),
            schedule=view.schedule,
            claim_window=deployment.parameters.claim_window,
            store=self._store,
            keys=keys,
        )
        self._registrar = Registrar(
            contracts=contracts,
            sender=staff.sender,
            schedule=view.schedule,
            campaign=number,
            keys=keys,
            store=self._store,
            works_in=view.works_in,
        )
        self._number = number
        self._follower = Follower(staff.rpc, deployment, contracts=["SubsidyPool"])
        self._uncounted: list[PassesRedeemed] = []
        self._counting = asyncio.Lock()
        limits = ServiceLimits(staff.config.waiting, staff.config.behind_proxy)
        self.service = Service(self._issuer, staff.policies, view, limits)
        self._checked: tuple[Epoch | None, float] = (None, 0.0)
        rules = rules_of(staff.config)
        self.accountant = Accountant(staff.rpc, deployment, number, self._store, rules, later)

    @property
    def is_paused(self) -> bool:
        """What the sponsor said last, as far as this service knows."""
        return self._issuer.is_paused

    async def read_pause(self) -> None:
        """Go by what the sponsor said last, to this or any other service on the database."""
        paused = await asyncio.to_thread(lambda: self._store.is_paused)
        if paused != self._issuer.is_paused:
            _log.warning("issuing is %s", "paused" if paused else "resumed")
        self._issuer.is_paused = paused

    async def account(self) -> None:
        """Have the accountant make a new report. Raises ChainError."""
        await asyncio.to_thread(self.accountant.account, {})

    def close(self) -> None:
        """End the issuer's threads and close the database."""
        self.service.close()
        self._store.close()

    @property
    def is_done(self) -> bool:
        """Whether the release is over, and the pool pays for none of its periods any more."""
        view, ends = self.view, self.view.ends
        if ends is None or not view.is_over:
            return False
        last = view.schedule.last_epoch(view.schedule.term_of(Epoch(ends - 1)))
        return view.chain_time > view.schedule.end(last) + view.deployment.parameters.claim_window

    async def check_keys_when_due(self) -> None:
        """`check_keys`, in a new epoch and now and then."""
        last, checked = self._checked
        if self.view.epoch != last or time.monotonic() - checked >= _CHECK_KEYS_SECONDS:
            await self.check_keys()

    async def count_redeemed(self) -> None:
        """Count what the pool has paid for passes. Raises ChainError, IssuerError `busy`,
        StoreUnavailable.

        A payment that a reorganised chain takes back stays counted: its pass is the relay's all the same, for
        the draw was fixed before the period began.
        """
        async with self._counting:
            while await self._follow_pool():
                pass
            while self._uncounted:
                await self.service.run(self._issuer.count_at_pool, _at_pool(self._uncounted[0]))
                del self._uncounted[0]

    async def _follow_pool(self) -> bool:
        """Read one portion; whether there is more."""
        batch = await asyncio.to_thread(self._follower.poll)
        found = (event for event in batch.events if isinstance(event, PassesRedeemed))
        self._uncounted += [event for event in found if event.campaign == self._number]
        return batch.head < batch.latest

    async def check_keys(self) -> None:
        """Register keys, forget old things. Raises ChainError, and UserError if the signer has no ether."""
        epoch = self.view.schedule.epoch_at(self.view.chain_time)
        await asyncio.to_thread(self._registrar.register_keys, epoch, self._config.keys_ahead)
        # Credits are forgotten only as far as payments are counted: each of those needs to meet its credit.
        await self.count_redeemed()
        await self.service.run(self._issuer.prune, epoch, self._follower.chain_time)
        self._checked = (epoch, time.monotonic())


def _at_pool(event: PassesRedeemed) -> RedeemedAtPool:
    ticks = dict(zip(event.anchors, event.ticks, strict=True))
    value = event.amount // sum(event.ticks)
    return RedeemedAtPool(event.relay, Period(event.kind, event.period), ticks, value)


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
