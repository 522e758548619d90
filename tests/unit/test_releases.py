"""Releases: which contracts are in force when, and what a program makes of those that come later."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_world import World
from mixpay.chain.plan import Plan
from mixpay.chain.releases import CannotFollow, deployment_of, published
from mixpay.chain.upgrade import check_activation, create_release, plan_release, release_of
from mixpay.chain.views import Release
from mixpay.deployment import Deployment
from mixpay.errors import UserError
from mixpay.network import NetworkView
from mixpay.parameters import DEMO, TOKEN, Parameters
from mixpay.releases import Releases, find_span, span_at, spans_of
from mixpay.types import Account, Amount, Epoch
from mixpay.wire import WIRE_VERSION


def named(contracts: int, activation: int, price: int = 1) -> Release:
    """A release of some contracts."""
    place = Account(bytes([contracts]) * 20)
    return Release(place, place, place, WIRE_VERSION, Amount(price), Epoch(activation))


def numbered(*releases: Release) -> list[tuple[int, Release]]:
    return list(enumerate(releases))


# ---------------------------------------------------------------------- spans


def test_spans_areContracts_notPrices() -> None:
    releases = numbered(named(1, 0), named(1, 5, price=2), named(2, 9), named(2, 12, price=3), named(3, 20))
    found = [(span.number, span.begins, span.ends) for span in spans_of(releases)]
    assert found == [(0, 0, 9), (2, 9, 20), (4, 20, None)]
    assert find_span(releases, 3) == find_span(releases, 2)
    with pytest.raises(UserError, match="no release 7"):
        find_span(releases, 7)


def test_contractsThatComeBack_areTheSameSpan() -> None:
    first, second = spans_of(numbered(named(1, 0), named(2, 5), named(1, 9)))
    assert (first.number, first.ends) == (0, None)
    assert (second.number, second.ends) == (1, 9)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=8), st.integers(0, 40))
def test_spanAt_isTheOneOfTheReleaseInForce(choices: list[tuple[int, int]], epoch: int) -> None:
    at, releases = 0, []
    for contracts, step in choices:
        releases.append(named(contracts, at))
        at += step
    active = [release for release in releases if release.activation_epoch <= epoch]
    span = span_at(numbered(*releases), Epoch(epoch))
    assert span is not None and span.release.contracts == active[-1].contracts
    assert span.ends is None or epoch < span.ends


def test_spanAt_isNone_beforeTheFirstRelease() -> None:
    assert span_at(numbered(named(1, 3)), Epoch(2)) is None


# ---------------------------------------------------------------------- on a chain

OTHERS = dataclasses.replace(
    DEMO,
    stake=Amount(150 * TOKEN),
    notice=3 * 3600,
    unbonding=7 * 3600,
    claim_window=3600,
    hop_price=Amount(2),
)
"""Every kind of constant is another."""


@pytest.fixture
def world(chain) -> World:
    """Contracts of its own for each test."""
    return World(chain)


def upgraded(world: World, parameters: Parameters = OTHERS) -> tuple[Deployment, Release]:
    """Contracts of a second release, and the release itself, published."""
    plan = plan_release(world.rpc, world.deployer.account, world.deployment, parameters)
    made = create_release(world.rpc, world.deployer, world.deployment, plan)
    release = release_of(made, Epoch(world.epoch() + 3))
    check_activation(world.rpc, made, release.activation_epoch, world.rpc.latest().timestamp)
    world.deployer.send(world.contracts.network.publish(release))
    return made, release


def test_deploymentOf_readsEverythingFromTheContracts(world: World) -> None:
    world.chain.advance_time(3 * DEMO.epoch_length)
    world.chain.mine(3)
    made, release = upgraded(world)
    found = deployment_of(world.rpc, world.deployment, 1, release)
    assert found == dataclasses.replace(made, block=found.block)
    assert found.parameters == OTHERS
    start = world.schedule.start(Epoch(3))
    before, after = world.rpc.block(found.block), world.rpc.block(found.block + 1)
    assert before is not None and after is not None
    assert before.timestamp < start <= after.timestamp, "nothing of the contracts is in an earlier block"
    assert found.block > world.deployment.block
    assert (
        deployment_of(world.rpc, world.deployment, 0, world.contracts.network.releases(0)) is world.deployment
    )
    assert deployment_of(world.rpc, found, 0, world.contracts.network.releases(0)).registry == (
        world.deployment.registry
    )


def test_deploymentOf_refusesWhatItDoesNotKnow(world: World) -> None:
    _, release = upgraded(world)
    d = world.deployment
    for foreign, why in (
        (dataclasses.replace(release, registry=d.channels), "RelayRegistry is not the one"),
        (dataclasses.replace(release, pool=world.deployer.account), "SubsidyPool is not the one"),
        (dataclasses.replace(release, wire_version=2), "speaks version 2"),
        (dataclasses.replace(release, channels=d.channels), "CHANNELS is"),
        (dataclasses.replace(release, registry=d.registry), "contradict each other"),
        (dataclasses.replace(release, hop_price=Amount(10**16)), "stake"),
        (dataclasses.replace(release, hop_price=Amount(3)), "no release names these contracts"),
    ):
        with pytest.raises(CannotFollow, match=why) as refusal:
            deployment_of(world.rpc, d, 1, foreign)
        assert "release 1" in str(refusal.value) and "Install the newest mixpay" in str(refusal.value)


def test_deploymentOf_refusesANewPoolBesideOldContracts(world: World) -> None:
    plan = Plan(world.deployer.account, 0, world.deployment)
    creation = next(c.call for c in plan.creations() if c.name == "SubsidyPool")
    pool = world.deployer.send(creation).contract
    assert pool is not None
    now = world.contracts.network.releases(0)
    release = dataclasses.replace(now, pool=pool, activation_epoch=Epoch(world.epoch() + 3))
    world.deployer.send(world.contracts.network.publish(release))
    with pytest.raises(CannotFollow, match="mixes new contracts with those of an earlier release"):
        deployment_of(world.rpc, world.deployment, 1, release)


def test_deploymentOf_refusesAReleaseThatBeginsWithinATerm(world: World) -> None:
    longer = dataclasses.replace(OTHERS, term_length=2)
    plan = plan_release(world.rpc, world.deployer.account, world.deployment, longer)
    made = create_release(world.rpc, world.deployer, world.deployment, plan)
    odd = Epoch(2 * world.epoch() + 5)
    with pytest.raises(UserError, match="does not begin a term"):
        check_activation(world.rpc, made, odd, world.rpc.latest().timestamp)
    release = release_of(made, odd)
    world.deployer.send(world.contracts.network.publish(release))
    with pytest.raises(CannotFollow, match="does not begin with a term"):
        deployment_of(world.rpc, world.deployment, 1, release)


def test_activation_leavesTimeToRegister(world: World) -> None:
    made, _ = upgraded(world)
    now = world.rpc.latest().timestamp
    with pytest.raises(UserError, match=f"too early.*; {world.epoch() + 4} is not"):
        check_activation(world.rpc, made, Epoch(world.epoch() + 3), now)
    with pytest.raises(UserError, match="for ever"):
        changed = dataclasses.replace(OTHERS, epoch_length=1800)
        plan_release(world.rpc, world.deployer.account, world.deployment, changed)


def test_releases_areFollowedThroughTheirViews(world: World) -> None:
    first = NetworkView(world.rpc, world.deployment)
    first.refresh()
    releases = Releases(world.rpc, first)
    (only,) = releases.spans()
    assert releases.in_force() == only and releases.view(only) is first
    made, release = upgraded(world)
    first.refresh()
    assert releases.published() == published(world.rpc, world.deployment)
    _, second = releases.spans()
    assert releases.known_view(second) is None
    view = releases.view(second)
    assert view is releases.view(second) and releases.views == (first, view)
    assert view.deployment.contracts == made.contracts == release.contracts
    assert releases.in_force() == releases.spans()[0] and not first.is_over
    assert not view.works_in(view.epoch) and view.works_in(release.activation_epoch)

    world.chain.advance_time(to=world.schedule.start(release.activation_epoch))
    view.refresh()  # the first one may be old by then
    assert releases.in_force() == releases.spans()[1]
    first.refresh()
    assert first.is_over and first.ends == release.activation_epoch
    assert view.release == release and not view.is_over
    assert first.mark != view.mark
    dearer = dataclasses.replace(release, hop_price=Amount(5), activation_epoch=Epoch(view.epoch + 1))
    world.deployer.send(world.contracts.network.publish(dearer))
    view.refresh()
    assert [span.number for span in releases.spans()] == [0, 1], "a new price is no new contract"
