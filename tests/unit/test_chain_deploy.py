"""Deploying and verifying: what the file says is found on the chain, and every deviation is named."""

from __future__ import annotations

import dataclasses

import pytest

from chain_world import World
from mixpay import deployment as files
from mixpay.accounts import show_account
from mixpay.chain import abi
from mixpay.chain.contracts import Contracts, Network
from mixpay.chain.deploy import deploy
from mixpay.chain.errors import Reverted
from mixpay.chain.governance import PROPOSER, Batch, Timelock, read_timelock
from mixpay.chain.plan import LOCAL_SUPPLY
from mixpay.chain.records import Call
from mixpay.chain.verify import verify
from mixpay.chain.views import NOBODY
from mixpay.errors import UserError
from mixpay.parameters import DEMO, PRODUCTION
from mixpay.types import Account, Amount


def test_deploy_setsUpEverything(world: World) -> None:
    network, deployment = world.contracts.network, world.deployment
    release = network.release()
    assert (release.registry, release.channels, release.pool) == (
        deployment.registry,
        deployment.channels,
        deployment.pool,
    )
    assert (release.hop_price, release.activation_epoch, network.release_count()) == (DEMO.hop_price, 0, 1)
    assert network.owner() == world.deployer.account
    assert (network.genesis(), network.epoch_length()) == (deployment.genesis, 3_600)
    assert world.contracts.token.total_supply() == LOCAL_SUPPLY
    assert world.contracts.registry.stake() == DEMO.stake
    assert world.contracts.registry.unbonding() == DEMO.unbonding
    assert world.contracts.channels.notice() == DEMO.notice
    assert world.contracts.pool.term_length() == DEMO.term_length
    assert world.contracts.pool.claim_window() == DEMO.claim_window
    assert world.contracts.pool.withdrawal_notice() == DEMO.withdrawal_notice
    assert world.contracts.registry.token() == world.contracts.channels.token() == deployment.token


def test_deploy_takesAnExistingToken_andAGenesis(world: World) -> None:
    token, genesis = world.deployment.token, world.deployment.genesis - 10
    deployment = deploy(world.rpc, world.deployer, PRODUCTION, token=token, genesis=genesis)
    assert deployment.token == token
    assert "Token" not in deployment.artifacts
    assert deployment.genesis == genesis
    assert Contracts(world.rpc, deployment).network.owner() == world.deployer.account


def test_deploy_givesNetworkToATimelock_whichOnlyTheGovernorUses(world: World) -> None:
    governor, lines = world.user(), list[str]()
    deployment = deploy(world.rpc, world.deployer, DEMO, governor=governor.account, progress=lines.append)
    governance = deployment.governance
    assert governance is not None and governance.governor == governor.account
    network, timelock = Network(world.rpc, deployment.network), Timelock(world.rpc, governance.timelock)
    assert (network.owner(), network.pending_owner()) == (governance.timelock, NOBODY)
    assert timelock.min_delay() == DEMO.timelock_delay
    facts = read_timelock(world.rpc, deployment, governance)
    users = {governor.account}
    assert facts.holders == {
        "admin": {governance.timelock},
        "proposer": users,
        "canceller": users,
        "executor": users,
    }
    assert facts.announced == ()
    assert "obeys" in lines[-1]


def test_governor_publishesARelease_afterTheDelay_andNobodyElse(world: World) -> None:
    governor = world.user()
    deployment = deploy(world.rpc, world.deployer, DEMO, governor=governor.account)
    assert deployment.governance is not None
    network = Network(world.rpc, deployment.network)
    timelock = Timelock(world.rpc, deployment.governance.timelock)
    later = dataclasses.replace(network.release(), activation_epoch=network.current_epoch() + 20)
    batch = Batch((network.publish(later),))
    for call in (
        network.publish(later),
        network.transfer_ownership(world.deployer.account),
        timelock.schedule(batch, DEMO.timelock_delay),
        timelock.update_delay(0),
    ):
        with pytest.raises(Reverted):
            world.deployer.send(call)
    with pytest.raises(Reverted, match="TimelockInsufficientDelay"):
        governor.send(timelock.schedule(batch, DEMO.timelock_delay - 1))
    governor.send(timelock.schedule(batch, DEMO.timelock_delay))
    announced = read_timelock(world.rpc, deployment, deployment.governance).announced
    assert [(found.id, found.delay) for found in announced] == [(batch.id, DEMO.timelock_delay)]
    verify(world.rpc, deployment)
    world.chain.advance_time(to=announced[0].ready_at - 1)
    with pytest.raises(Reverted, match="TimelockUnexpectedOperationState"):
        governor.send(timelock.execute(batch))
    world.chain.advance_time(to=announced[0].ready_at)
    governor.send(timelock.execute(batch))
    assert network.releases(1) == later
    verify(world.rpc, deployment)


def test_verify_namesWhatIsWrongWithTheGovernance(world: World) -> None:
    governor, friend = world.user(), world.user()
    deployment = deploy(world.rpc, world.deployer, DEMO, governor=governor.account)
    assert deployment.governance is not None
    network = Network(world.rpc, deployment.network)
    timelock = Timelock(world.rpc, deployment.governance.timelock)
    shorter = dataclasses.replace(DEMO, timelock_delay=DEMO.timelock_delay + 1)
    refused(world, dataclasses.replace(deployment, parameters=shorter), "its delay is 28800 s, not 28801 s")
    other = dataclasses.replace(deployment.governance, governor=friend.account)
    refused(
        world,
        dataclasses.replace(deployment, governance=other),
        f"{show_account(governor.account)} is proposer too",
        f"{show_account(friend.account)} is not canceller",
    )
    late = dataclasses.replace(deployment, block=world.rpc.latest().number)
    refused(
        world,
        late,
        f"RelayRegistry: it is older than block {late.block}",
        f"TimelockController: it is older than block {late.block}",
    )
    hasty = Batch((network.transfer_ownership(friend.account),))
    slow = Batch((timelock.update_delay(60), timelock.grant(PROPOSER, friend.account), *hasty.calls))
    governor.send(timelock.schedule(slow, DEMO.timelock_delay))
    world.chain.advance_time(DEMO.timelock_delay)
    governor.send(timelock.execute(slow))
    friend.send(timelock.schedule(hasty, delay=60))
    refused(
        world,
        deployment,
        f"Network: it is offered to {show_account(friend.account)}",
        "its delay is 60 s, not 28800 s",
        f"{show_account(friend.account)} is proposer too",
        f"batch 0x{hasty.id.hex()} was announced only 60 s ahead",
    )
    friend.send(network.accept_ownership())
    refused(world, deployment, f"its owner is {show_account(friend.account)}, not the timelock")


def refused(world: World, deployment: files.Deployment, *texts: str) -> None:
    with pytest.raises(UserError, match="is not as the deployment file says") as caught:
        verify(world.rpc, deployment)
    for text in texts:
        assert text in str(caught.value)


def test_deploy_failsIfGenesisInFuture_orNoToken(world: World) -> None:
    with pytest.raises(UserError, match="is in the future"):
        deploy(world.rpc, world.deployer, DEMO, genesis=2**40)
    with pytest.raises(UserError, match="no contract at 0x0101"):
        deploy(world.rpc, world.deployer, DEMO, token=Account(b"\1" * 20))
    for governor in (world.deployer.account, NOBODY):
        with pytest.raises(UserError, match="another account than the deployer"):
            deploy(world.rpc, world.deployer, DEMO, governor=governor)


def change(world: World, name: str, value: int) -> files.Deployment:
    parameters = dataclasses.replace(DEMO, **{name: value})
    return dataclasses.replace(world.deployment, parameters=parameters)


def test_verify_namesEachDeviation(world: World) -> None:
    verify(world.rpc, world.deployment)
    deviations = {
        "RelayRegistry: STAKE is 0x0": change(world, "stake", DEMO.stake + 1),
        "RelayRegistry: UNBONDING": change(world, "unbonding", DEMO.unbonding + 1),
        "RelayRegistry: PENALTY": change(world, "penalty", DEMO.penalty + 1),
        "ReceiptCourt: ANSWER_WINDOW": change(world, "answer_window", DEMO.answer_window + 1),
        "ReceiptCourt: FINISH_WINDOW": change(world, "finish_window", DEMO.finish_window + 1),
        "ReceiptCourt: GRACE": change(world, "grace", DEMO.grace + 1),
        "ReceiptCourt: COST": change(world, "court_cost", DEMO.court_cost + 1),
        "Channels: COURT": dataclasses.replace(world.deployment, court=Account(b"\1" * 20)),
        "ReceiptCourt: other code": dataclasses.replace(world.deployment, court=world.deployment.pool),
        "Channels: NOTICE": change(world, "notice", DEMO.notice + 1),
        "SubsidyPool: CLAIM_WINDOW": change(world, "claim_window", DEMO.claim_window + 1),
        "SubsidyPool: WITHDRAWAL_NOTICE": change(world, "withdrawal_notice", DEMO.withdrawal_notice + 1),
        "SubsidyPool: TERM_LENGTH": change(world, "term_length", 2),
        "Network: epochLength": change(world, "epoch_length", 3_601),
        "RelayRegistry: _genesis": dataclasses.replace(world.deployment, genesis=1),
        "Channels: TOKEN": dataclasses.replace(world.deployment, token=world.deployment.network),
        "Channels: other code": dataclasses.replace(world.deployment, channels=world.deployment.pool),
        "SubsidyPool: there is no contract": dataclasses.replace(world.deployment, pool=Account(b"\1" * 20)),
        "no release names these contracts with this hop price": change(world, "hop_price", 10**11),
        "Token: the deployment file is of other sources": dataclasses.replace(
            world.deployment, artifacts=world.deployment.artifacts | {"Token": "0" * 64}
        ),
    }
    for text, deployment in deviations.items():
        refused(world, deployment, text)


def test_verify_failsIfContractIsNotTheOneReleased(world: World) -> None:
    artifact = abi.artifact("Channels")
    arguments = abi.encode(
        artifact.constructor.inputs, [world.deployment.token, DEMO.notice, world.deployment.court]
    )
    twin = world.deployer.send(Call("twin", None, artifact.bytecode + arguments)).contract
    assert twin is not None
    with pytest.raises(UserError, match="SubsidyPool: CHANNELS"):
        verify(world.rpc, dataclasses.replace(world.deployment, channels=twin))


def test_verify_acceptsLaterReleases(world: World) -> None:
    network = Network(world.rpc, world.deployment.network)
    later = dataclasses.replace(
        network.release(),
        activation_epoch=network.current_epoch() + 1,
        hop_price=Amount(5),
        pool=Account(b"\2" * 20),
    )
    world.deployer.send(network.publish(later))
    assert network.release_at(later.activation_epoch) == network.releases(1) == later
    verify(world.rpc, world.deployment)
