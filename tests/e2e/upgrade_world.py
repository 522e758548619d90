"""A network that can move: relays, a sponsor and users in one process, a timelock before Network.

Everything is as operators and users run it, but for the processes: folders, key stores, supervisors with real
sockets and databases, the sponsor's service, clients; on a real chain whose clock the test moves.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mixpay import deployment as deployments
from mixpay.accounts import show_account
from mixpay.address import Address
from mixpay.chain.contracts import Contracts
from mixpay.chain.deploy import deploy
from mixpay.chain.devchain import DevChain
from mixpay.chain.governance import Batch, Timelock
from mixpay.chain.rpc import connect
from mixpay.chain.sender import Sender
from mixpay.chain.upgrade import (
    announcement,
    check_activation,
    create_release,
    plan_release,
    release_of,
)
from mixpay.chain.views import Release
from mixpay.client import app as client
from mixpay.client.home import ClientConfig
from mixpay.client.home import Home as UserHome
from mixpay.client.inbox import Arrived
from mixpay.demo.ports import free_ports
from mixpay.deployment import Deployment
from mixpay.envelope import text_message
from mixpay.epochs import Schedule
from mixpay.errors import UserError
from mixpay.keystore import Kdf
from mixpay.parameters import DEMO, TOKEN, Parameters
from mixpay.sponsor import app as sponsor_app
from mixpay.sponsor import campaigns
from mixpay.sponsor.campaigns import Caps
from mixpay.sponsor.config import Home as SponsorHome
from mixpay.types import Account, Amount, Epoch
from relay import config as configs
from relay.daemon import Daemon
from relay.home import CONFIG, Home, initialise
from relay.operator.answers import ReleaseAnswer
from relay.operator.registration import Owner, Registered
from relay.supervisor import Supervisor
from relay_world import until

RELAYS = 6
BUDGET = Amount(20 * TOKEN)
ETHER = 10**18
PASSWORD = "pw"
CAPITAL = Amount(TOKEN // 5)
LIGHT = Kdf.LIGHT


def quiet(_: str) -> None:
    """Takes lines for people."""


class Operator:
    """One relay's operator and owner: a folder, and the owner's key."""

    def __init__(self, world: UpgradeWorld, number: int, ports: list[int]) -> None:
        self.world, self.folder = world, world.folder / f"relay{number}"
        self.ports = {0: (ports[0], ports[1]), 1: (ports[2], ports[3])}
        self.owner_key = os.urandom(32)
        self.account = Sender(world.rpc, self.owner_key).account
        self.home: Home | None = None
        self.supervisor: Supervisor | None = None

    def init(self) -> None:
        """`mixpay-relay init`."""
        link_port, client_port = self.ports[0]
        text = configs.render(
            rpc_url=self.world.chain.url,
            deployment=str(self.world.file),
            host="127.0.0.1",
            listen="127.0.0.1",
            link_port=link_port,
            client_port=client_port,
            owner=show_account(self.account),
            issuers={1: self.world.sponsor_url},
            settings={"poll_interval": "0.2"},
        )
        initialise(self.folder, text, PASSWORD, LIGHT)
        assert (self.folder / CONFIG).exists()
        self.home = Home.open(self.folder, PASSWORD)

    def owner(self, release: int | None = None) -> Owner:
        """Who types `mixpay-relay register`, `leave`, `withdraw`."""
        return Owner(self.folder, self.owner_key, quiet, release)

    def register(self, release: int | None = None) -> Registered:
        """`mixpay-relay register [--release N --link-port ... --client-port ...] --capital ... --gas ...`."""
        ports = self.ports[release] if release else None
        return self.owner(release).register(PASSWORD, CAPITAL, 2 * ETHER, ports)

    async def run(self) -> None:
        """`mixpay-relay run`."""
        assert self.home is not None
        self.supervisor = Supervisor(self.home)
        await self.supervisor.start()

    def releases(self) -> list[ReleaseAnswer]:
        """What `mixpay-relay status` says about releases."""
        assert self.supervisor is not None
        return self.supervisor.status().releases


class User:
    """A person with a folder."""

    def __init__(self, world: UpgradeWorld, name: str) -> None:
        self.home, self.told = UserHome(world.folder / name), list[str]()
        self.home.write_config(ClientConfig(world.chain.url, str(world.file), world.sponsor_url))
        self.identity = self.home.identity(lambda _: PASSWORD, LIGHT)
        self.got: list[bytes] = []

    async def address(self) -> Address:
        """`mixpay address`."""
        async with client.connected(self.home, self.told.append) as opened:
            return await client.make_address(opened, self.identity)

    async def send(self, to: Address, text: str) -> int:
        """`mixpay send`; the number of ticks spent."""
        async with client.connected(self.home, self.told.append) as opened:
            return (await client.send(opened, to, text_message(text))).ticks

    async def receive(self, count: int) -> list[bytes]:
        """`mixpay receive --direct`, again and again until there are so many messages."""
        async with asyncio.timeout(30):  # or a lost message would keep the test for ever
            while len(self.got) < count:
                async with client.connected(self.home, self.told.append) as opened:
                    receiver = client.Receiver(opened, self.identity, self._take)
                    await receiver.begin()
                    assert (await receiver.once()).troubles == []
                await asyncio.sleep(0.2)
        return self.got

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """`mixpay receive --direct --follow`."""

        async def follow() -> None:
            async with client.connected(self.home, self.told.append) as opened:
                receiver = client.Receiver(opened, self.identity, self._take)
                await receiver.begin()
                await receiver.follow()

        task = asyncio.create_task(follow())
        try:
            yield
        finally:
            assert not task.done(), task.exception()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _take(self, arrived: Arrived) -> None:
        self.got.append(arrived.message.content)


class UpgradeWorld:
    """A chain, a network on it that a timelock governs, and everybody in it."""

    def __init__(self, chain: DevChain, folder: Path) -> None:
        self.chain, self.folder = chain, folder
        self.rpc = connect(chain.url)
        self.deployer, self.governor = Sender(self.rpc, os.urandom(32)), Sender(self.rpc, os.urandom(32))
        for account in (self.deployer.account, self.governor.account):
            chain.fund(account, 1_000 * ETHER)
        self.first = deploy(self.rpc, self.deployer, DEMO, governor=self.governor.account)
        self.file = folder / "network.json"
        deployments.save(self.file, self.first)
        self.token = Contracts(self.rpc, self.first).token
        self.schedule = Schedule(self.first.genesis, DEMO.epoch_length, DEMO.term_length)
        ports = free_ports(4 * RELAYS + 1)
        self.sponsor_home = SponsorHome(folder / "sponsor")
        self.sponsor_url = f"http://127.0.0.1:{ports.pop()}"
        self.operators = [Operator(self, n, ports[4 * n : 4 * n + 4]) for n in range(RELAYS)]

    # ------------------------------------------------------------------ the governor

    def announce(self, parameters: Parameters, activation: int) -> tuple[Deployment, Batch]:
        """Make the contracts of a second release, and schedule its publication in the timelock."""
        plan = plan_release(self.rpc, self.deployer.account, self.first, parameters)
        second = create_release(self.rpc, self.deployer, self.first, plan)
        ready = self.rpc.latest().timestamp + DEMO.timelock_delay
        check_activation(self.rpc, second, Epoch(activation), ready)
        batch = announcement(self.rpc, second, release_of(second, Epoch(activation)))
        self.governor.send(self.timelock.schedule(batch, DEMO.timelock_delay))
        return second, batch

    @property
    def timelock(self) -> Timelock:
        """Network's owner."""
        assert self.first.governance is not None
        return Timelock(self.rpc, self.first.governance.timelock)

    def releases(self) -> list[Release]:
        """Those published."""
        network = Contracts(self.rpc, self.first).network
        return [network.releases(number) for number in range(network.release_count())]

    # ------------------------------------------------------------------ relays

    async def open_relays(self) -> None:
        """`init`, `register` and `run` for all."""
        for operator in self.operators:
            await asyncio.to_thread(operator.init)
            await asyncio.to_thread(self._equip, operator)
            await asyncio.to_thread(operator.register)
            await operator.run()

    def _equip(self, operator: Operator) -> None:
        self.chain.fund(operator.account, 10 * ETHER)
        self.give(operator.account, Amount(3 * DEMO.stake + 10 * TOKEN))

    def give(self, account: Account, amount: Amount) -> None:
        """Tokens."""
        self.deployer.send(self.token.transfer(account, amount))

    def daemons(self, release: int) -> list[Daemon]:
        """Those that run for a release."""
        found = (op.supervisor.daemons.get(release) for op in self.operators if op.supervisor)
        return [daemon for daemon in found if daemon is not None]

    async def ready(self, release: int, epoch: int) -> None:
        """Wait until all relays of a release are in an epoch, linked, and know all packet keys."""

        def is_ready() -> bool:
            daemons = self.daemons(release)
            return len(daemons) == RELAYS and all(
                daemon.state.epoch == epoch
                and Epoch(epoch) in daemon.state.epoch_keys()
                and not daemon.state.directories.missing(Epoch(epoch))
                and daemon.dialer.links
                and all(link.is_open for link in daemon.dialer.links.values())
                and daemon.state.campaigns
                for daemon in daemons
            )

        await until(is_ready, f"the relays of release {release} to be ready in epoch {epoch}")

    async def to_epoch(self, epoch: int) -> None:
        """Move the clock to an epoch, and wait until everybody has seen it."""
        await asyncio.to_thread(self.chain.advance_time, to=self.schedule.start(Epoch(epoch)) + 1)

        def seen() -> bool:
            return all(d.view.epoch >= epoch for release in (0, 1) for d in self.daemons(release))

        await until(seen, f"epoch {epoch} to be seen")

    async def frozen(self, deployment: Deployment, epoch: int) -> None:
        """Wait until some relay has fixed an epoch."""
        registry = Contracts(self.rpc, deployment).registry
        await until(lambda: registry.is_frozen(Epoch(epoch)), f"epoch {epoch} to be fixed")

    async def stop(self) -> None:
        """Stop all daemons."""
        supervisors = [operator.supervisor for operator in self.operators if operator.supervisor is not None]
        await asyncio.gather(*(supervisor.stop() for supervisor in supervisors))

    # ------------------------------------------------------------------ the sponsor

    def init_sponsor(self) -> Account:
        """`mixpay sponsor init`; the account that pays."""
        port = int(self.sponsor_url.rsplit(":", 1)[1])
        self.sponsor_home.write_template(self.chain.url, self.file, port)
        path = self.sponsor_home.config_path
        path.write_text(path.read_text().replace("poll_seconds = 2.0", "poll_seconds = 0.1"))
        account = campaigns.make_keys(self.sponsor_home, PASSWORD, LIGHT)
        self.chain.fund(account, 10 * ETHER)
        self.give(account, Amount(100 * TOKEN))
        return account

    def create_campaign(self, release: int | None = None) -> int:
        """`mixpay sponsor create` and `fund`."""
        home, caps = self.sponsor_home, Caps(Amount(10 * TOKEN), Amount(5 * TOKEN))
        created = campaigns.create(home, PASSWORD, caps, ETHER, quiet, release)
        campaigns.fund(home, PASSWORD, BUDGET, quiet, release)
        return created.campaign

    @asynccontextmanager
    async def sponsor(self) -> AsyncIterator[None]:
        """`mixpay sponsor serve`."""
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        task = asyncio.create_task(sponsor_app.serve(self.sponsor_home, PASSWORD, stop, ready.set_result))
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, 20)

    async def keys_for(self, deployment: Deployment, campaign: int, epoch: int) -> None:
        """Wait until the sponsor has registered its keys for an epoch (which is a term here)."""
        pool = Contracts(self.rpc, deployment).pool

        def registered() -> bool:
            return all(any(pool.key(campaign, kind, epoch).key_hash) for kind in (1, 2))

        await until(registered, f"the keys of epoch {epoch}")

    # ------------------------------------------------------------------ afterwards

    def take_everything_back(self, ticks: int, tolls: int) -> None:
        """The old contracts have paid every voucher, and give back deposits, stakes and the budget now.

        `ticks`: what users have spent there; each paid five relays. `tolls`: what they have paid for
        mailboxes.
        """
        contracts, price = Contracts(self.rpc, self.first), DEMO.hop_price
        dust = configs.TreasuryRules().open_at * price
        accounts = [operator.home.operator for operator in self.operators if operator.home]
        pairs = [(payer, payee) for payer in accounts for payee in accounts]
        channels = [contracts.channels.channel(*pair) for pair in pairs]
        assert sum(channel.claimed for channel in channels) == ticks * (4 + 3 + 2 + 1) * price
        assert all(channel.free < dust for channel in channels)
        budget = contracts.pool.campaign(1).budget
        assert budget == BUDGET - 5 * (ticks + tolls) * price

        before = {op.account: self.token.balance_of(op.account) for op in self.operators}
        for operator in self.operators:
            with pytest.raises(UserError, match="relays in releases 0 and 1: say which"):
                operator.owner().leave()
            assert operator.owner(0).leave().new
        campaigns.withdraw(self.sponsor_home, PASSWORD, None, quiet, release=0)
        self.chain.advance_time(DEMO.unbonding)
        for operator in self.operators:
            paid = operator.owner().withdraw(operator.account, PASSWORD)
            assert paid.stake == DEMO.stake and paid.ledger < dust
            assert (
                self.token.balance_of(operator.account) == before[operator.account] + paid.stake + paid.ledger
            )
        assert campaigns.withdraw(self.sponsor_home, PASSWORD, None, quiet, release=0).paid == budget
        assert self.token.balance_of(self.first.registry) == 0
        assert self.token.balance_of(self.first.channels) < len(pairs) * dust
