"""What a `NetworkView` makes of events alone, through reorganisations, contradictions and many epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_world import CAMPAIGN, DEPLOYMENT, GENESIS, PRICE
from mixpay.chain import events
from mixpay.chain.follower import Batch
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import Release
from mixpay.epochs import BeforeGenesis
from mixpay.errors import ChainUnavailable, UserError
from mixpay.network import NetworkView
from mixpay.registry_replica import NotFrozen, RegistryReplica, ReplicaError
from mixpay.types import Account, Epoch, RelayId
from registry_samples import name, record

HERE = (0, 0, bytes(32))
NODE = Rpc("http://127.0.0.1:9")


class Chain:
    """Blocks with events, as a node would give them, and what a view makes of them."""

    def __init__(self) -> None:
        self.view = NetworkView(NODE, DEPLOYMENT)
        self.blocks: list[tuple[events.Event, ...]] = []

    def mine(self, *happened: events.Event) -> None:
        number = len(self.blocks) + 1
        self.blocks.append(tuple(replace(event, block=number) for event in happened))

    def give(self, given_upto: int, reverted_to: int | None, settled: int, time: int) -> None:
        new = [event for block in self.blocks[given_upto:] for event in block]
        head = len(self.blocks)
        self.view.take(Batch(tuple(new), reverted_to, head, head, time), settled)


def registered(relay: int, position: int) -> events.Registered:
    r = record(relay, position)
    return events.Registered(*HERE, r.id, r.position, r.operator, r.operator, r.link_key, r.endpoint)


def frozen(relays: Sequence[tuple[int, int]], epoch: int, beacon: int = 0) -> events.Frozen:
    replica = RegistryReplica()
    for relay, position in relays:
        e = registered(relay, position)
        replica.registered(e.id, e.position, e.operator, e.link_key, e.endpoint)
    return events.Frozen(*HERE, Epoch(epoch), replica.root, replica.count, name("beacon", beacon))


def released(wire_version: int = 1, activation: int = 0, pool: Account = DEPLOYMENT.pool) -> events.Event:
    contracts = DEPLOYMENT.registry, DEPLOYMENT.channels, pool
    release = Release(*contracts, wire_version, PRICE, Epoch(activation))
    return events.ReleasePublished(*HERE, 0, Epoch(activation), release)


def key_set(period: int, key_hash: bytes = b"\1" * 32) -> events.KeySet:
    return events.KeySet(*HERE, CAMPAIGN, 1, period, key_hash, PRICE)


def at(epoch: int) -> int:
    return GENESIS + epoch * DEPLOYMENT.epoch_length + 5


def test_time_neverGoesBack():
    chain = Chain()
    with pytest.raises(ChainUnavailable):
        _ = chain.view.epoch
    chain.give(0, None, 0, at(3))
    assert (chain.view.chain_time, chain.view.epoch, chain.view.term) == (at(3), 3, 3)
    chain.give(0, None, 0, at(2))
    assert chain.view.epoch == 3


def test_time_isNotBeforeThatOfAnEarlierRun():
    view = NetworkView(NODE, DEPLOYMENT, not_before=at(5))
    view.take(Batch((), None, 1, 1, at(2)), 0)
    assert view.epoch == 5


def test_time_beforeGenesisIsRefused_andWhatWasReadStays():
    chain = Chain()
    chain.mine(released(), registered(1, 0))
    chain.give(0, None, 0, GENESIS - 1)
    with pytest.raises(BeforeGenesis):
        _ = chain.view.epoch
    chain.give(1, None, 0, at(0))
    assert chain.view.relay(RelayId(1)) is not None


def test_snapshot_isWhatWasFrozen_notWhatCameAfter():
    chain = Chain()
    chain.mine(registered(1, 0), registered(2, 1))
    chain.mine(frozen([(1, 0), (2, 1)], 1), registered(3, 2))
    chain.give(0, None, 0, at(1))
    view = chain.view
    assert [relay.id for relay in view.snapshot(Epoch(1)).relays] == [1, 2]
    view.snapshot(Epoch(1)).verify()
    assert view.relay(RelayId(3)) is not None
    assert not view.is_frozen(Epoch(2))
    assert view.key_context(Epoch(1)).root == view.snapshot(Epoch(1)).root
    assert view.layers(Epoch(1)) is view.layers(Epoch(1)), "the shuffle is not computed twice"


def test_take_showsNothing_untilTheNewestBlockIsRead():
    chain = Chain()
    chain.view.take(Batch((released(),), None, 10, 20, at(1)), 0)
    with pytest.raises(ChainUnavailable):
        _ = chain.view.release
    chain.view.take(Batch((), None, 20, 20, at(1)), 0)
    assert chain.view.release.hop_price == PRICE


def test_take_keepsTheView_whenTheNodeContradictsItself():
    chain = Chain()
    chain.mine(registered(1, 0), frozen([(1, 0)], 1))
    chain.give(0, None, 0, at(1))
    chain.mine(frozen([(1, 0), (2, 1)], 2))
    with pytest.raises(ReplicaError):
        chain.give(1, None, 1, at(2))
    assert [relay.id for relay in chain.view.snapshot(Epoch(1)).relays] == [1]
    assert chain.view.epoch == 1
    # The next look reads everything again, from an honest node.
    chain.blocks[1] = (replace(frozen([(1, 0)], 2), block=2),)
    chain.give(0, None, 0, at(2))
    assert chain.view.snapshot(Epoch(2)).count == 1


def test_release_isTheNewestThatIsActive_andMustBeKnownToUs():
    chain = Chain()
    chain.give(0, None, 0, at(1))
    with pytest.raises(UserError, match="no release in force"):
        _ = chain.view.release
    chain.mine(released(), released(wire_version=2, activation=5))
    chain.give(0, None, 0, at(4))
    assert chain.view.release.wire_version == 1
    with pytest.raises(UserError, match="speaks version 2, this program 1"):
        chain.view.release_at(Epoch(5))
    chain.mine(released(activation=6, pool=Account(b"\x66" * 20)))
    chain.give(1, None, 0, at(6))
    with pytest.raises(UserError, match="moved to new contracts"):
        _ = chain.view.release


def test_poolKey_isTheOneTheChainHolds():
    chain = Chain()
    chain.mine(key_set(7))
    chain.give(0, None, 0, at(1))
    found = chain.view.pool_key(CAMPAIGN, 1, 7)
    assert found is not None
    assert (found.key_hash, found.hop_price) == (b"\1" * 32, PRICE)
    assert chain.view.pool_key(CAMPAIGN, 2, 7) is None


def test_take_forgetsWhatAReorganisedChainTookBack():
    chain = Chain()
    chain.mine(registered(1, 0))
    chain.mine(key_set(7), registered(2, 1))
    chain.give(0, None, 1, at(1))
    del chain.blocks[1:]
    chain.mine(key_set(7, b"\2" * 32))
    chain.give(1, 1, 1, at(1))
    assert chain.view.relay(RelayId(2)) is None
    found = chain.view.pool_key(CAMPAIGN, 1, 7)
    assert found is not None
    assert found.key_hash == b"\2" * 32
    assert chain.view.relay(RelayId(1)) is not None


def test_take_beginsAnew_whenEverythingWasTakenBack():
    chain = Chain()
    chain.mine(registered(1, 0))
    chain.mine(registered(2, 1))
    chain.give(0, None, 2, at(1))
    chain.blocks.clear()
    chain.mine(registered(5, 0))
    chain.give(0, 0, 0, at(1))
    assert chain.view.relay(RelayId(1)) is None
    assert chain.view.relay(RelayId(5)) is not None


def test_take_forgetsSnapshotsThatNobodyNeedsAnyMore():
    chain = Chain()
    chain.mine(registered(1, 0))
    for epoch in range(1, 61):
        chain.mine(frozen([(1, 0)], epoch, beacon=epoch))
    chain.give(0, None, 60, at(60))
    assert chain.view.snapshot(Epoch(52)).epoch == 52
    with pytest.raises(NotFrozen):
        chain.view.snapshot(Epoch(20))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_take_isWhatAFreshViewWouldSee_throughAnyReorganisations(data: st.DataObject):
    """Polls and reversions at any blocks: the view equals one that read the final chain at once."""
    chain = Chain()
    given_upto, settled, key = 0, 0, 0
    for _ in range(data.draw(st.integers(1, 8))):
        for _ in range(data.draw(st.integers(0, 3))):
            key += 1
            position = sum(isinstance(e, events.Registered) for block in chain.blocks for e in block)
            chain.mine(registered(key, position), key_set(key))
        chain.give(given_upto, None, settled, at(1))
        given_upto = len(chain.blocks)
        settled = data.draw(st.integers(settled, given_upto))
        if data.draw(st.booleans()):
            # Down to what is settled, or everything.
            back = data.draw(st.integers(settled, given_upto)) if data.draw(st.booleans()) else 0
            settled = min(settled, back)
            del chain.blocks[back:]
            chain.give(back, back, settled, at(1))
            given_upto = back
    chain.give(given_upto, None, settled, at(1))
    fresh = Chain()
    fresh.blocks = chain.blocks
    fresh.give(0, None, 0, at(1))
    for number in range(key + 1):
        assert chain.view.relay(RelayId(number)) == fresh.view.relay(RelayId(number))
        assert chain.view.pool_key(CAMPAIGN, 1, number) == fresh.view.pool_key(CAMPAIGN, 1, number)
