"""A relay that signs two packet keys for an epoch is slashed; one that lost its disk signs no second one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import relay_world
from mixpay.chain import events
from mixpay.chain.devchain import DevChain
from mixpay.chain.views import NOBODY
from mixpay.crypto import x25519
from mixpay.descriptors import sign_descriptor
from mixpay.directory import Directory, read_directory
from mixpay.network import NetworkView
from mixpay.parameters import DEMO
from mixpay.types import Account, Epoch, RelayId
from relay.daemon import Daemon, Home, assemble
from relay.keys.directories import decode_descriptor, encode_descriptor
from relay_world import EPOCH, RELAYS, RelayWorld, until

LATER = Epoch(EPOCH + 2)


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[RelayWorld]:
    with DevChain() as chain:
        world = RelayWorld(chain, tmp_path)
        world.register()
        try:
            yield world
        finally:
            await world.stop()


def directory(daemon: Daemon, epoch: Epoch) -> Directory:
    """What a relay tells clients, checked as they do."""
    document = daemon.state.directories.directory(epoch)
    return read_directory(document, daemon.view.snapshot(epoch), daemon.view.registry_domain)


def notes(daemon: Daemon) -> str:
    """What `mixpay-relay status` tells the operator."""
    return "\n".join(daemon.operations.status().notes)


# ---------------------------------------------------------------------- who lies


def split(daemon: Daemon) -> None:
    """Have a relay give every second one who asks another packet key, as validly signed as the first."""
    honest = daemon.state.directories.descriptor
    public, domain = x25519.public_key(os.urandom(32)), daemon.view.registry_domain
    asked = 0

    def descriptor(epoch: Epoch, relay: RelayId) -> bytes:
        nonlocal asked
        said = honest(epoch, relay)
        asked += relay == daemon.me
        if relay != daemon.me or asked % 2:
            return said
        return encode_descriptor(
            sign_descriptor(daemon.home.operator_key, relay, epoch, public, domain, software="mixpay")
        )

    daemon.state.directories.descriptor = descriptor  # type: ignore[method-assign]


async def test_relay_that_signs_two_keys_is_slashed(
    world: RelayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found out, reported and settled by the daemons alone."""
    two_faced = world.homes[4]

    def assembled(home: Home) -> Daemon:
        daemon = assemble(home)
        if home is two_faced:
            split(daemon)
        return daemon

    monkeypatch.setattr(relay_world, "assemble", assembled)
    await world.start()
    registry, liar = world.contracts.registry, world.daemons[4]
    honest = [daemon for daemon in world.daemons if daemon is not liar]
    await until(lambda: registry.reporter_of(liar.me) != NOBODY, "a report")
    reporter = next(daemon for daemon in honest if daemon.account == registry.reporter_of(liar.me))
    await until(lambda: all(liar.me in daemon.view.condemned for daemon in honest), "the news of it")
    for daemon in honest:
        assert sorted(directory(daemon, EPOCH).descriptors) == sorted(other.me for other in honest)
        assert daemon.chain.trouble is None  # whoever came second, too
    assert "out of the network" in notes(liar)
    await until(lambda: registry.burnt() > 0, "the penalty to be settled")

    assert registry.relay(liar.me).leaf == bytes(32)
    for epoch in (EPOCH + 1, LATER):
        await until(lambda e=epoch: registry.is_frozen(Epoch(e)), f"epoch {epoch} to be fixed")
        world.to_epoch(epoch)
    await until(lambda: reporter.state.epoch == LATER, "the epoch without it")
    assert sorted(relay.id for relay in reporter.view.snapshot(LATER).relays) == sorted(d.me for d in honest)

    bounty = DEMO.penalty // 20
    happened = [
        event for batch in NetworkView(world.rpc, world.deployment).refresh() for event in batch.events
    ]
    (settled,) = [event for event in happened if isinstance(event, events.PenaltySettled)]
    assert (settled.id, settled.reporter, settled.bounty) == (liar.me, reporter.account, bounty)
    paid = [(e.account, e.amount) for e in happened if isinstance(e, events.Deposited)]
    assert paid[-1] == (reporter.account, bounty)

    world.chain.advance_time(to=registry.relay(liar.me).withdrawable_at)
    purse = Account(os.urandom(20))
    world.faucet.send(registry.withdraw_stake(liar.me, purse))
    token = world.contracts.token
    assert token.balance_of(purse) == DEMO.stake - DEMO.penalty
    assert registry.burnt() == DEMO.penalty - bounty
    assert token.balance_of(registry.address) == (RELAYS - 1) * DEMO.stake + registry.burnt()  # I1


# ---------------------------------------------------------------------- who lost something


async def test_relay_that_lost_its_database_or_its_disk_signs_no_second_key(world: RelayWorld) -> None:
    await world.start()
    registry = world.contracts.registry
    await until(lambda: registry.is_frozen(Epoch(EPOCH + 1)), "the next epoch to be fixed")
    world.chain.mine(1)
    await until(lambda: all(d.view.is_frozen(Epoch(EPOCH + 1)) for d in world.daemons), "the news of it")
    # A key that is held is not signed yet, and one that was signed but shown to nobody may be made anew.
    await until(
        lambda: not any(d.state.directories.missing(Epoch(EPOCH + 1)) for d in world.daemons), "its keys"
    )
    before = {
        daemon.me: decode_descriptor(daemon.state.directories.own_descriptor(EPOCH)).packet_key
        for daemon in world.daemons
    }
    losers = world.daemons[2], world.daemons[6]
    for number, daemon in zip((2, 6), losers, strict=True):
        await daemon.stop()
        for path in daemon.home.path.glob(f"{daemon.home.database.name}*"):
            path.unlink()
        if number == 6:  # the keys come from a backup, made when they were
            daemon.home.signed_epochs.unlink()
        world.daemons[number] = assemble(daemon.home)
        await world.daemons[number].start()
    without = [world.daemons[2], world.daemons[6]]
    for daemon in without:
        await until(lambda d=daemon: d.state.keys.newest == EPOCH + 1, "what was signed before to be known")
        assert daemon.state.epoch_keys() == {}
        assert "a second one would cost stake" in notes(daemon)

    for epoch in (EPOCH + 1, LATER):
        await until(lambda e=epoch: registry.is_frozen(Epoch(e)), f"epoch {epoch} to be fixed")
        world.to_epoch(epoch)
    await until(lambda: all(d.state.keys.get(LATER) for d in world.daemons), "all relays to serve again")
    await until(lambda: not any(d.state.directories.missing(LATER) for d in world.daemons), "the directory")
    for daemon in world.daemons:
        assert sorted(directory(daemon, LATER).descriptors) == sorted(before)
        assert daemon.state.directories.equivocations == {}
        assert registry.reporter_of(daemon.me) == NOBODY
