"""`scripts/release.py`, as it is typed: a second release made, announced, published, and what is refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from chain_world import World
from mixpay import deployment as deployments
from mixpay.chain import plan as plans
from mixpay.chain.deploy import deploy
from mixpay.chain.governance import Timelock
from mixpay.chain.upgrade import plan_release
from mixpay.chain.verify import verify
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Account, Amount
from test_deploy_script import typed

BEFORE = ("--parameters", "demo", "--set", f"stake={150 * TOKEN}")


@pytest.fixture
def network(world: World, tmp_path: Path) -> Path:
    """The deployment file of a network that the deployer governs."""
    path = tmp_path / "network.json"
    deployments.save(path, world.deployment)
    return path


def release(world: World, command: str, file: Path, *words: object, key: bytes) -> tuple[int, str, str]:
    place = "--rpc", world.rpc.shown, "--deployment", file
    return typed(command, *place, *words, script="release.py", key=key)


def test_aRelease_isMadeAndPublished(world: World, network: Path, tmp_path: Path) -> None:
    out, maker = tmp_path / "release.json", world.user()
    key = maker.key
    world.deployer.send(world.contracts.network.transfer_ownership(maker.account))
    maker.send(world.contracts.network.accept_ownership())
    status, stdout, stderr = release(world, "make", network, "--out", out, *BEFORE, key=key)
    assert (status, stderr) == (0, "")
    for name in ("Channels", "RelayRegistry", "ReceiptCourt", "SubsidyPool"):
        assert f"{name} at 0x" in stdout
    assert "Network at" not in stdout and "Token at" not in stdout
    made = deployments.load(out)
    assert (made.network, made.token, made.parameters.stake) == (
        world.deployment.network,
        world.deployment.token,
        150 * TOKEN,
    )
    assert not set(made.contracts) & set(world.deployment.contracts)
    again = release(world, "make", network, "--out", out, *BEFORE, key=key)
    assert again[0] == 2 and "is there already" in again[2]

    early = release(world, "publish", out, "--activation", 1, key=key)
    assert early[0] == 2 and "too early" in early[2]
    alone = release(world, "announce", out, "--activation", 9, key=key)
    assert alone[0] == 2 and "no timelock: publish at once" in alone[2]
    status, stdout, _ = release(world, "publish", out, "--activation", 9, key=key)
    assert status == 0 and "release 1 is in force from epoch 9 on" in stdout
    published = world.contracts.network.releases(1)
    assert (published.contracts, published.activation_epoch) == (made.contracts, 9)
    verify(world.rpc, made)


def test_anInterruptedRelease_isFinished_notMadeTwice(world: World, network: Path, tmp_path: Path) -> None:
    """As if it had died after the second contract: the plan is there, the rest is not."""
    out, maker = tmp_path / "release.json", world.user()
    parameters = dataclasses.replace(DEMO, stake=Amount(150 * TOKEN))
    plan = plan_release(world.rpc, maker.account, world.deployment, parameters)
    plans.save(plans.plan_path(out), plan)
    for creation in plan.creations()[:2]:
        maker.send(creation.call)
    other = release(world, "make", network, "--out", out, "--parameters", "demo", key=maker.key)
    assert other[0] == 2 and "with other parameters" in other[2]
    status, stdout, stderr = release(world, "make", network, "--out", out, *BEFORE, key=maker.key)
    assert (status, stderr) == (0, "") and stdout.count("there already") == 2
    assert deployments.load(out).contracts == plan.deployment.contracts
    assert not plans.plan_path(out).exists()


def test_withATimelock_itIsAnnouncedFirst(world: World, tmp_path: Path) -> None:
    governor = world.user()
    deployment = deploy(world.rpc, world.deployer, DEMO, governor=governor.account)
    network, out = tmp_path / "network.json", tmp_path / "release.json"
    deployments.save(network, deployment)
    assert release(world, "make", network, "--out", out, *BEFORE, key=governor.key)[0] == 0
    stranger = release(world, "announce", out, "--activation", 20, key=world.user().key)
    assert stranger[0] == 3 and "AccessControlUnauthorizedAccount" in stranger[2]
    hasty = release(world, "announce", out, "--activation", 3, key=governor.key)
    assert hasty[0] == 2 and "too early" in hasty[2]
    status, stdout, _ = release(world, "announce", out, "--activation", 20, key=governor.key)
    assert status == 0 and "can be published from" in stdout
    found = re.search("announced as ([0-9a-f]{64})", stdout)
    assert found is not None and deployment.governance is not None
    timelock = Timelock(world.rpc, Account(deployment.governance.timelock))
    assert timelock.is_pending(bytes.fromhex(found[1]))
    waiting = release(world, "publish", out, "--activation", 20, key=governor.key)
    assert waiting[0] == 3 and "TimelockUnexpectedOperationState" in waiting[2]
    world.chain.advance_time(DEMO.timelock_delay)
    other = release(world, "publish", out, "--activation", 21, key=governor.key)
    assert other[0] == 3, "what was not announced is not published"
    status, stdout, stderr = release(world, "publish", out, "--activation", 20, key=governor.key)
    assert status == 0 and "release 1 is in force from epoch 20 on" in stdout, stderr
    verify(world.rpc, deployments.load(out))
    assert deployments.load(out).governance == deployment.governance
