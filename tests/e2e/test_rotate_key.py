"""A relay's operator key is changed while the network carries packets: real sockets, chain and files.

epoch 2    the relay carries packets; its daemon is stopped, the key is changed, the process runs both
epoch 3    the last of the old key's relay
epoch 4    the new key's relay serves; the old one settles, claims, closes its channels
epoch 6    they are closed, the owner is paid out; the old stake follows when it is free
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from folder_world import PASSWORD, FolderWorld
from mixpay.chain.devchain import DevChain
from mixpay.demo.ports import free_ports
from mixpay.keystore import Kdf
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Account, Amount, Epoch
from relay.daemon import Daemon
from relay.home import Home
from relay.operator.answers import StatusAnswer
from relay.operator.api_client import ApiClient
from relay.retired import RetiredRelays
from relay.rotation.rotate import Rotated, Rotation
from relay.supervisor import Supervisor
from relay_world import ETHER, until

CAPITAL = Amount(TOKEN * 3 // 20)
"""Not enough to be swept to the owner."""


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[FolderWorld]:
    with DevChain() as chain:
        world = FolderWorld(chain, tmp_path)
        world.register()
        try:
            await world.start()
            yield world
        finally:
            await world.stop()


class Process:
    """What `mixpay-relay run` runs, and the commands that are typed beside it."""

    def __init__(self, world: FolderWorld) -> None:
        self.world, self.folder = world, world.folder / "relay"
        self.retired = RetiredRelays.open(self.folder, PASSWORD)
        self.new = Supervisor(Home.open(self.folder, PASSWORD), self.retired)

    async def start(self) -> None:
        await self.new.start()
        self.retired.start()
        await until(lambda: len(self.retired.running) == 1, "the old relay to be started")

    async def stop(self) -> None:
        await self.retired.stop()
        await self.new.stop()

    @property
    def old(self) -> Supervisor:
        return next(iter(self.retired.running.values()))

    async def status(self) -> StatusAnswer:
        return await asyncio.to_thread(lambda: ApiClient(self.folder).status())


async def test_operatorKeyIsChanged_withoutAnEpochOrAUnitLost_I1_I3_I7_I8(world: FolderWorld) -> None:
    old, others = world.daemons[0], world.daemons[1:]
    account, contracts = old.account, world.contracts
    for entry in world.daemons:
        await world.carry(entry, 2, 3)
    settle(world.daemons)
    await until(lambda: in_channels(world, account) > 0, "its channels", 60)
    await old.stop()  # it opens one channel after another, and what moves would be counted twice
    capital = contracts.channels.balance_of(account) + in_channels(world, account)
    before = paid_to(world, account), paid_by(world, account)
    tokens = contracts.token.balance_of(world.faucet.account)
    rotated = await asyncio.to_thread(rotate, world)
    assert rotated.stage == "winding up" and rotated.old == f"0x{account.hex()}"
    process = Process(world)
    await process.start()
    try:
        world.daemons[0] = old = process.old.daemons[0]
        new = process.new.daemons[0]
        assert (old.account, new.me) == (account, old.me + 9), "an id of its own, so a key of its own"
        await until(lambda: world.ready(old, 2), "the old relay to be back")
        await world.carry(old, 2, 3)
        await until(lambda: "serves to the end of epoch 3" in process.old.progress(), "the chain to be asked")
        (note,) = (await process.status()).notes
        assert (
            "serves to the end of epoch 3" in note and str(process.folder / "retired" / rotated.old) in note
        )

        world.to_epoch(3)
        await until(lambda: all(world.ready(d, 3) for d in world.daemons), "epoch 3")
        assert not new.state.is_member(Epoch(3)), "never both: the old one is in this epoch, the new one not"
        await world.carry(others[0], 3, 6)
        await until(lambda: contracts.registry.is_frozen(Epoch(4)), "epoch 4 to be fixed")

        world.daemons[0] = new
        world.to_epoch(4)
        await until(lambda: all(world.ready(d, 4) for d in world.daemons), "epoch 4")
        assert not old.state.is_member(Epoch(4))
        for entry in world.daemons:
            await world.carry(entry, 4, 2)

        world.chain.advance_time(DEMO.key_grace)
        settle(others)  # in an hour they would by themselves
        await until(lambda: only_notice_runs(old), "the old relay to settle and claim", 90)
        world.chain.advance_time(DEMO.notice)
        await until((process.folder / "retired" / rotated.old / "settled").exists, "its end", 90)
        require_settled(world, account, others)
        swept = contracts.token.balance_of(world.faucet.account) - (tokens - DEMO.stake - CAPITAL)
        received, given = paid_to(world, account) - before[0], paid_by(world, account) - before[1]
        promised = in_channels(world, account)  # covers vouchers that their payees have not claimed yet
        assert swept + promised == capital + received - given, "to the unit (I8)"
        assert received > 0 and given > 0 and contracts.channels.balance_of(account) == 0

        world.chain.advance_time(to=contracts.registry.relay(old.me).withdrawable_at)
        assert (await asyncio.to_thread(rotate, world, process)).stage == "done"
        assert contracts.token.balance_of(world.faucet.account) == tokens - CAPITAL + swept
        assert not new.view.condemned, "nobody has seen two keys of one relay for an epoch"
    finally:
        await process.stop()


def rotate(world: FolderWorld, running: Process | None = None) -> Rotated:
    """`mixpay-relay rotate-key ...`, and once more."""
    rotation = Rotation(world.folder / "relay", world.owner_key, PASSWORD, lambda _: None, Kdf.LIGHT)
    if running is None:
        ports = free_ports(2)
        rotation.begin((ports[0], ports[1]), CAPITAL, ETHER)
    return rotation.go_on()


def settle(daemons: list[Daemon]) -> None:
    for daemon in daemons:
        daemon.desk.settle()


def only_notice_runs(daemon: Daemon) -> bool:
    left = daemon.left_to_do()
    return bool(left) and all("closes at" in why for why in left)


def in_channels(world: FolderWorld, payer: Account) -> int:
    """What an account's channels hold that is not claimed."""
    pairs = (world.contracts.channels.channel(payer, daemon.account) for daemon in world.daemons)
    return sum(channel.deposit - channel.claimed for channel in pairs)


def paid_to(world: FolderWorld, payee: Account) -> int:
    channels = world.contracts.channels
    return sum(channels.channel(daemon.account, payee).claimed for daemon in world.daemons)


def paid_by(world: FolderWorld, payer: Account) -> int:
    channels = world.contracts.channels
    return sum(channels.channel(payer, daemon.account).claimed for daemon in world.daemons)


def require_settled(world: FolderWorld, account: Account, others: list[Daemon]) -> None:
    """I7, I3: every book of the others about the old relay is even with the chain, and nothing is open."""
    for other in others:
        for payer, payee_book in other.books.payees.items():
            if other.accounts.of(payer) == account:
                totals = payee_book.totals(Amount(1))
                channel = world.contracts.channels.channel(account, other.account)
                assert totals.unsettled == 0
                assert totals.cumulative in (channel.claimed, channel.deposit), "paid, or covered to the unit"
        for payee, payer_book in other.books.payers.items():
            if other.accounts.of(payee) == account:
                totals = payer_book.totals(Amount(1))
                paid = world.contracts.channels.channel(other.account, account).claimed
                assert (totals.unsettled, totals.cumulative) == (0, paid)
