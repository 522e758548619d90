"""A rehearsed upgrade: a second release of every contract, and everybody goes along without a restart.

epoch 0    the network begins; the governor announces a second release in the timelock
epoch 8    the timelock's delay is over: the release is published, to be in force from epoch 12 on
epoch 10   relays and the sponsor register in it, while users send in the first
epoch 11   the last of the first release
epoch 12   the second release: new addresses, new passes; the old relays settle and claim
epoch 14+  the old channels close, the old stakes are taken back, the old budget too
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mixpay.chain.contracts import Contracts
from mixpay.chain.devchain import DevChain
from mixpay.chain.governance import Batch
from mixpay.deployment import Deployment
from mixpay.errors import UserError
from mixpay.mailbox import STORAGE_TICKS
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Amount, Epoch
from relay.daemon import Daemon
from relay_world import until
from upgrade_world import CAPITAL, PASSWORD, RELAYS, UpgradeWorld, User

ACTIVATION = 12
DEARER = dataclasses.replace(DEMO, stake=Amount(150 * TOKEN), hop_price=Amount(2 * DEMO.hop_price))
"""The second release has other terms, so that nobody confuses it with the first."""


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[UpgradeWorld]:
    with DevChain() as chain:
        world = await asyncio.to_thread(UpgradeWorld, chain, tmp_path)
        try:
            yield world
        finally:
            await world.stop()


async def test_secondReleaseOfEveryContract_isFollowedWithoutARestart(world: UpgradeWorld) -> None:
    first = world.first
    second, batch = await asyncio.to_thread(world.announce, DEARER, ACTIVATION)
    assert not set(first.contracts) & set(second.contracts) and first.court != second.court
    await asyncio.to_thread(world.init_sponsor)
    campaign = await asyncio.to_thread(world.create_campaign)
    await world.open_relays()
    async with world.sponsor():
        await publish(world, batch, campaign)
        alice, bob, carol = (User(world, name) for name in ("alice", "bob", "carol"))
        await world.to_epoch(10)
        await world.ready(0, 10)
        ticks = await alice.send(await bob.address(), "before")
        assert await bob.receive(1) == [b"before"]
        await register_all(world, second)

        await world.to_epoch(ACTIVATION - 1)
        await world.ready(0, ACTIVATION - 1)
        old_bob = await bob.address()
        async with bob.following():
            ticks += await alice.send(old_bob, "until the end")
            ticks += await alice.send(await carol.address(), "not fetched in time")
            await until(lambda: b"until the end" in bob.got, "Bob's message")
            await world.frozen(second, ACTIVATION)
            assert not Contracts(world.rpc, first).registry.is_frozen(Epoch(ACTIVATION))

            await world.to_epoch(ACTIVATION)
            await world.ready(1, ACTIVATION)
            with pytest.raises(UserError, match="release 0 of the network, which is over"):
                await alice.send(old_bob, "to an old address")
            new_bob = await bob.address()
            assert new_bob.mark != old_bob.mark
            assert await alice.send(new_bob, "after")
            await until(lambda: b"after" in bob.got, "Bob's message in the new release")
        assert bob.got == [b"before", b"until the end", b"after"]
        assert await carol.receive(1) == [b"not fetched in time"]
        assert "`mixpay address` makes a new one" in carol.told[0]

        await wind_up(world)
    # Bob had two mailboxes there, Carol one; one page was fetched before its term was over.
    await asyncio.to_thread(world.take_everything_back, ticks, 3 * STORAGE_TICKS + 1)


async def publish(world: UpgradeWorld, batch: Batch, campaign: int) -> None:
    """The timelock's delay is over: the governor publishes, and every operator is told."""
    await world.to_epoch(8)
    world.chain.advance_time(120)
    await asyncio.to_thread(world.governor.send, world.timelock.execute(batch))
    assert [release.activation_epoch for release in world.releases()] == [0, ACTIVATION]
    for operator in world.operators:
        await until(lambda op=operator: len(op.releases()) == 2, "the operator to be told")
        assert operator.releases()[1].state == "not registered"
        assert "`mixpay-relay register --release 1`" in operator.releases()[1].notes[0]
    await world.frozen(world.first, 9)
    await world.keys_for(world.first, campaign, 10)
    await world.to_epoch(9)
    await world.frozen(world.first, 10)


async def register_all(world: UpgradeWorld, second: Deployment) -> None:
    """Sponsor and relays join the second release, while they serve in the first."""
    campaign = await asyncio.to_thread(world.create_campaign, 1)
    await world.keys_for(second, campaign, ACTIVATION)
    with pytest.raises(UserError, match="name other ports"):
        await asyncio.to_thread(world.operators[0].owner(1).register, PASSWORD, CAPITAL, 0)
    for operator in world.operators:
        registered = await asyncio.to_thread(operator.register, 1)
        assert registered.new
    await until(lambda: len(world.daemons(1)) == RELAYS, "the second daemons to start")
    for operator in world.operators:
        assert [release.state for release in operator.releases()] == ["serving", "to come"]
    await world.frozen(world.first, ACTIVATION - 1)


async def wind_up(world: UpgradeWorld) -> None:
    """The old daemons settle, redeem, claim and close their channels; then they end by themselves."""
    world.chain.advance_time(DEMO.key_grace)
    await until(lambda: all(map(only_notice_runs, world.daemons(0))), "all to be settled and claimed")
    await world.to_epoch(ACTIVATION + 2)
    world.chain.advance_time(DEMO.key_grace)
    await until(lambda: not world.daemons(0), "the old daemons to end")
    for operator in world.operators:
        assert [release.state for release in operator.releases()] == ["done", "serving"]
        assert "`mixpay-relay leave --release 0`" in operator.releases()[0].notes[0]


def only_notice_runs(daemon: Daemon) -> bool:
    """Whether a daemon waits for its channels to close, and for nothing else."""
    return all("closes at" in why for why in daemon.left_to_do())
