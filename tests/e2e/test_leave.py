"""A relay drains for an upgrade, and later leaves, in a network that goes on: real sockets, a real chain."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from folder_world import PASSWORD, FolderWorld
from mixpay.chain.devchain import DevChain
from mixpay.parameters import DEMO
from mixpay.types import Amount, Epoch
from relay.daemon import Daemon
from relay.home import Home
from relay.operator.api_client import ApiClient
from relay.operator.registration import Owner
from relay.supervisor import Supervisor
from relay_world import EPOCH, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PACKETS = 12
DELAY_MS = 1_500


class World(FolderWorld):
    """The first relay runs under a supervisor, as in its process."""

    supervisor: Supervisor | None = None

    async def run_first(self) -> Daemon:
        supervisor = await asyncio.to_thread(Supervisor, Home.open(self.folder / "relay", PASSWORD))
        self.supervisor = supervisor
        await supervisor.start()
        self.daemons[0] = supervisor.daemons[0]
        await until(lambda: self.ready(self.daemons[0], self.daemons[0].state.epoch), "the first relay")
        return self.daemons[0]

    def owner(self) -> Owner:
        return Owner(self.folder / "relay", self.owner_key, lambda _: None)

    def through_first(self) -> list[asyncio.Future[bytes]]:
        """Packets that the first relay holds for a while; the acks of their first mixes."""
        me, layers = self.daemons[0].me, self.layers()
        entry = next(d for d in self.daemons[1:] if layers.layer(d.me) != 1)
        mailbox = next(d for d in reversed(self.daemons[1:]) if d is not entry)

        def usable(relay: int) -> bool:
            return relay == me or layers.layer(relay) != layers.layer(me)

        sent = []
        for _ in range(PACKETS):
            path = layers.draw_path(entry.me, mailbox.me, usable, os.urandom)
            assert me in path
            built = self.packet(path, mailbox.me, os.urandom(16), DELAY_MS)
            to = built.first_relay
            sent.append(entry.router.submit(to, EPOCH, built.lock, built.hint, built.packet))
        return sent

    def arrived(self) -> int:
        """Packets in mailboxes of the other relays."""
        return sum(daemon.store.roles().get("mailbox", 0) for daemon in self.daemons[1:])

    def settle(self) -> bool:
        """Everybody with everybody; whether nothing is left."""
        for daemon in self.daemons:
            daemon.desk.settle()
        books = [book for daemon in self.daemons for book in daemon.books.payees.values()]
        return not any(book.totals(Amount(1)).unsettled for book in books)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    with DevChain() as chain:
        world = World(chain, tmp_path_factory.mktemp("world"))
        world.register()
        try:
            await world.start()
            await world.daemons[0].stop()
            await world.run_first()
            yield world
        finally:
            if world.supervisor is not None:
                await world.supervisor.stop()
            await asyncio.gather(*(daemon.stop() for daemon in world.daemons[1:]))


async def test_drainedRelay_isRestarted_andNoPacketAndNoReceiptIsLost_I7(world: World) -> None:
    first, before = world.daemons[0], world.arrived()
    sent = world.through_first()
    await asyncio.gather(*sent)
    await until(lambda: first.drain.in_flight().held > 0, "packets to be held")
    client = ApiClient(world.folder / "relay")
    answer = await asyncio.to_thread(client.drain, 60)
    assert answer.complete and answer.draining
    assert first.drain.in_flight().total == 0
    assert world.supervisor is not None
    await world.supervisor.stop()
    await until(lambda: world.arrived() == before + PACKETS, "every packet to be in a mailbox")
    again = await world.run_first()
    assert not again.drain.begun, "a daemon that is started takes packets"
    await asyncio.gather(*world.through_first())
    await until(lambda: world.arrived() == before + 2 * PACKETS, "packets to go through it again")
    await until(world.settle, "all to be settled", 60)
    require_even(world)


def require_even(world: World) -> None:
    """I7: of every link, both books say the same."""
    for daemon in world.daemons:
        for payer, book in daemon.books.payees.items():
            ours, theirs = book.totals(Amount(1)), world.relay(payer).books.payer(daemon.me).totals(Amount(1))
            assert (ours.unsettled, ours.cumulative) == (theirs.unsettled, theirs.cumulative)
            assert not ours.refused and not theirs.refused


async def test_relayThatLeaves_hasItsCapitalBack_whenItWasTold_toTheUnit_I4_I8(world: World) -> None:
    first, contracts = world.daemons[0], world.contracts
    token, channels, owner = contracts.token, contracts.channels, world.faucet.account
    await until(lambda: first.operations.status().payees != [], "its books")
    outlook = await asyncio.to_thread(world.owner().outlook)
    assert outlook.capital.stake == DEMO.stake and outlook.plan.last_epoch == 3
    left = await asyncio.to_thread(world.owner().leave)
    before, claimed = capital(world)

    world.to_epoch(3)
    await until(lambda: all(world.ready(daemon, 3) for daemon in world.daemons), "epoch 3")
    client = ApiClient(world.folder / "relay")
    await until(lambda: first.leaving.answer() is not None, "the chain to be asked")
    leaving = (await asyncio.to_thread(client.status)).leaving
    assert leaving is not None and "serves to the end of epoch 3" in leaving.progress
    assert abs(leaving.channels_back - outlook.plan.channels_back) == 0
    assert leaving.stake_back == left.withdrawable_at
    await world.carry(first, 3, 3)
    await until(world.settle, "all to be settled", 60)
    await until(lambda: contracts.registry.is_frozen(Epoch(4)), "epoch 4 to be fixed")

    world.chain.advance_time(to=outlook.plan.grace_until)
    await until(lambda: only_notice_runs(first), "it to settle, claim and give notice", 60)
    answer = (await asyncio.to_thread(client.status)).leaving
    assert answer is not None and "closes at" in answer.progress
    world.chain.advance_time(to=outlook.plan.channels_back + 60)
    assert world.supervisor is not None
    await asyncio.wait_for(asyncio.shield(world.supervisor.ended), 60)
    received, given = (after - earlier for after, earlier in zip(paid(world), claimed, strict=True))
    assert channels.balance_of(first.account) == 0
    assert token.balance_of(owner) + in_channels(world) == before + received - given, "to the unit"

    world.chain.advance_time(to=left.withdrawable_at)
    paid_out = await asyncio.to_thread(world.owner().withdraw, owner, None)
    assert paid_out.stake == DEMO.stake


def only_notice_runs(daemon: Daemon) -> bool:
    reasons = daemon.left_to_do()
    return bool(reasons) and all("closes at" in why for why in reasons)


def in_channels(world: World) -> int:
    """What the first relay's channels hold that is not claimed."""
    me, channels = world.daemons[0].account, world.contracts.channels
    found = (channels.channel(me, daemon.account) for daemon in world.daemons[1:])
    return sum(channel.deposit - channel.claimed for channel in found)


def capital(world: World) -> tuple[int, tuple[int, int]]:
    """What owner and relay have, and `paid`; as two looks found it, for money may be on its way."""
    first, contracts = world.daemons[0], world.contracts

    def look() -> tuple[int, int, int, tuple[int, int]]:
        owner = contracts.token.balance_of(world.faucet.account)
        return owner, contracts.channels.balance_of(first.account), in_channels(world), paid(world)

    found = look()
    while found != (found := look()):
        pass
    *parts, moved = found
    return sum(parts), moved


def paid(world: World) -> tuple[int, int]:
    """All that was ever paid to the first relay on the chain, and by it."""
    me, channels = world.daemons[0].account, world.contracts.channels
    others = [daemon.account for daemon in world.daemons[1:]]
    received = sum(channels.channel(other, me).claimed for other in others)
    return received, sum(channels.channel(me, other).claimed for other in others)
