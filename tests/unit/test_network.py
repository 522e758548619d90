"""The network as its chain has it, followed on a real one, also when that changes its mind."""

from __future__ import annotations

import dataclasses

import pytest

from chain_world import World
from mixpay.chain import events
from mixpay.chain.devchain import DevChain
from mixpay.chain.trail import KEEP
from mixpay.chain.views import NOBODY
from mixpay.errors import ChainUnavailable
from mixpay.network import NetworkView
from mixpay.parameters import DEMO
from mixpay.registry_replica import NotFrozen
from mixpay.types import Epoch, RelayId


@pytest.fixture
def world(chain: DevChain) -> World:
    """Contracts of its own for each test."""
    return World(chain)


def ids(view: NetworkView, epoch: Epoch) -> list[RelayId]:
    snapshot = view.snapshot(epoch)
    snapshot.verify()
    return [record.id for record in snapshot.relays]


def test_refresh_findsTimeRelaysAndRelease(world: World) -> None:
    view = NetworkView(world.rpc, world.deployment)
    with pytest.raises(ChainUnavailable):
        _ = view.chain_time
    relay, operator = world.register()
    epoch = world.join()
    view.refresh()
    assert view.chain_time == world.rpc.latest().timestamp
    assert (view.epoch, view.term) == (epoch, epoch)
    assert view.release.hop_price == DEMO.hop_price
    snapshot, frozen = view.snapshot(epoch), world.contracts.registry.frozen(epoch)
    snapshot.verify()
    assert (snapshot.root, snapshot.count, snapshot.beacon) == (frozen.root, frozen.count, frozen.beacon)
    record = snapshot.by_id(relay)
    assert record is not None and record.operator == operator
    assert view.is_frozen(epoch) and not view.is_frozen(Epoch(epoch + 1))
    with pytest.raises(NotFrozen):
        view.snapshot(Epoch(epoch + 2))


def test_snapshot_keepsTheRelaysOfPastEpochs(world: World) -> None:
    view = NetworkView(world.rpc, world.deployment)
    first, _ = world.register()
    epoch = world.join()
    world.leave(first)
    second, _ = world.register()
    later = world.join()
    view.refresh()
    assert ids(view, epoch) == [first] and ids(view, later) == [second]
    assert view.snapshot(epoch).relays[0].position == view.snapshot(later).relays[0].position


def test_snapshot_staysWhileThePoolPaysForItsPasses(world: World) -> None:
    """Also when that is longer than anything else needs it."""
    hours = {"claim_window": 48, "withdrawal_notice": 49, "unbonding": 50, "timelock_delay": 51}
    days = dataclasses.replace(DEMO, **{name: count * 3_600 for name, count in hours.items()})
    view = NetworkView(world.rpc, dataclasses.replace(world.deployment, parameters=days))
    relay, _ = world.register()
    epoch = world.join()
    view.refresh()
    for _ in range(12):
        world.next_epoch(4)
        world.freeze()
        view.refresh()
        assert ids(view, epoch) == [relay]
    world.next_epoch(8)
    world.freeze()
    view.refresh()
    with pytest.raises(NotFrozen):
        view.snapshot(epoch)


def test_operator_isKnownAlsoOfRelaysThatLeft(world: World) -> None:
    view = NetworkView(world.rpc, world.deployment)
    relay, operator = world.register()
    view.refresh()
    world.leave(relay)
    view.refresh()
    assert view.relay(relay) is None
    assert view.operator(relay) == operator and view.operator(RelayId(77)) is None


def test_refresh_followsWhatTheCourtDoes(world: World) -> None:
    view, registry = NetworkView(world.rpc, world.deployment), world.contracts.registry
    relays = [world.register()[0] for _ in range(3)]
    epoch = world.join()
    reporter = world.user().account
    world.court_says("slash", relays[0], 5)
    world.court_says("condemn", relays[1], reporter)
    later = world.join()
    happened = [event for batch in view.refresh() for event in batch.events]
    assert ids(view, epoch) == relays and ids(view, later) == relays[2:]
    (slashed,) = (event for event in happened if isinstance(event, events.Slashed))
    assert (slashed.id, slashed.amount) == (relays[0], 5)
    (condemned,) = (event for event in happened if isinstance(event, events.Condemned))
    assert (condemned.id, condemned.reporter) == (relays[1], reporter)
    assert registry.reporter_of(relays[1]) == reporter and registry.reporter_of(relays[0]) == NOBODY
    assert view.condemned == {relays[1]: reporter} and view.unsettled_penalties == {relays[1]}

    world.deployer.send(registry.settle_penalty(relays[1]))
    happened = [event for batch in view.refresh() for event in batch.events]
    (settled,) = (event for event in happened if isinstance(event, events.PenaltySettled))
    assert (settled.id, settled.reporter) == (relays[1], reporter)
    assert settled.bounty == world.contracts.channels.balance_of(reporter) == DEMO.penalty // 20
    assert settled.burnt == registry.burnt() == DEMO.penalty - settled.bounty
    assert view.condemned == {relays[1]: reporter} and view.unsettled_penalties == frozenset()
    left = [registry.stake_left(relay) for relay in relays]
    assert left == [DEMO.stake - 5, DEMO.stake - DEMO.penalty, DEMO.stake]


def test_refresh_forgetsWhatAReorganisationTookBack(world: World) -> None:
    view = NetworkView(world.rpc, world.deployment)
    first, _ = world.register()
    view.refresh()
    before = world.rpc.request("evm_snapshot")
    lost, _ = world.register()
    world.chain.mine(3)
    view.refresh()
    assert view.relay(lost) is not None
    world.rpc.request("evm_revert", before)
    world.chain.mine(30)
    view.refresh()
    assert view.relay(lost) is None and view.operator(lost) is None
    second, operator = world.register()
    epoch = world.join()
    view.refresh()
    assert ids(view, epoch) == [first, second] and view.operator(second) == operator


def test_refresh_readsAgainWhatIsBelowAllItCanGoBackTo(world: World) -> None:
    view = NetworkView(world.rpc, world.deployment)
    first, _ = world.register()
    before = world.rpc.request("evm_snapshot")
    world.register()
    for _ in range(KEEP + 1):
        world.chain.mine()
        view.refresh()
    world.rpc.request("evm_revert", before)
    world.chain.mine(KEEP + 30)
    second, _ = world.register()
    epoch = world.join()
    assert view.refresh()[0].reverted_to == world.deployment.block
    assert ids(view, epoch) == [first, second]


def test_chainTime_neverGoesBack(world: World) -> None:
    view = NetworkView(world.rpc, world.deployment)
    before = world.rpc.request("evm_snapshot")
    world.next_epoch(2)
    view.refresh()
    seen = view.chain_time
    world.rpc.request("evm_revert", before)
    view.refresh()
    assert view.chain_time == seen > world.rpc.latest().timestamp


def test_view_staysAsItWasWhileTheChainIsAway() -> None:
    with DevChain() as chain:
        alone = World(chain)
        view = NetworkView(alone.rpc, alone.deployment)
        relay, operator = alone.register()
        view.refresh()
        chain.stop()
        with pytest.raises(ChainUnavailable):
            view.refresh()
        assert view.relay(relay) is not None and view.operator(relay) == operator
