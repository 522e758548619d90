"""Deploying and verifying: what the file says is found on the chain, and every deviation is named."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chain_world import World
from mixpay import deployment as files
from mixpay.chain import abi
from mixpay.chain.contracts import Contracts, Network
from mixpay.chain.deploy import LOCAL_SUPPLY, deploy
from mixpay.chain.records import Call
from mixpay.chain.verify import verify
from mixpay.errors import UserError
from mixpay.parameters import DEMO, PRODUCTION
from mixpay.types import Account, Amount

ROOT = Path(__file__).resolve().parents[2]


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


def test_deploy_takesAnExistingToken_anOwner_andAGenesis(world: World) -> None:
    owner = world.user()
    lines: list[str] = []
    deployment = deploy(
        world.rpc,
        world.deployer,
        PRODUCTION,
        token=world.deployment.token,
        owner=owner.account,
        genesis=world.deployment.genesis - 10,
        progress=lines.append,
    )
    assert deployment.token == world.deployment.token
    assert "Token" not in deployment.artifacts
    assert deployment.genesis == world.deployment.genesis - 10
    network = Contracts(world.rpc, deployment).network
    assert network.pending_owner() == owner.account
    owner.send(network.accept_ownership())
    assert network.owner() == owner.account
    assert "has to accept" in lines[-1]


def test_deploy_failsIfGenesisInFuture_orNoToken(world: World) -> None:
    with pytest.raises(UserError, match="is in the future"):
        deploy(world.rpc, world.deployer, DEMO, genesis=2**40)
    with pytest.raises(UserError, match="no contract at 0x0101"):
        deploy(world.rpc, world.deployer, DEMO, token=Account(b"\1" * 20))


def change(world: World, name: str, value: int) -> files.Deployment:
    parameters = dataclasses.replace(DEMO, **{name: value})
    return dataclasses.replace(world.deployment, parameters=parameters)


def test_verify_namesEachDeviation(world: World) -> None:
    verify(world.rpc, world.deployment)
    deviations = {
        "RelayRegistry: STAKE is 0x0": change(world, "stake", DEMO.stake + 1),
        "RelayRegistry: UNBONDING": change(world, "unbonding", DEMO.unbonding + 1),
        "Channels: NOTICE": change(world, "notice", DEMO.notice + 1),
        "SubsidyPool: CLAIM_WINDOW": change(world, "claim_window", DEMO.claim_window + 1),
        "SubsidyPool: WITHDRAWAL_NOTICE": change(world, "withdrawal_notice", DEMO.withdrawal_notice + 1),
        "SubsidyPool: TERM_LENGTH": change(world, "term_length", 2),
        "Network: epochLength": change(world, "epoch_length", 7_200),
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
        with pytest.raises(UserError, match="is not as the deployment file says") as caught:
            verify(world.rpc, deployment)
        assert text in str(caught.value)


def test_verify_failsIfContractIsNotTheOneReleased(world: World) -> None:
    artifact = abi.artifact("Channels")
    arguments = abi.encode(artifact.constructor.inputs, [world.deployment.token, DEMO.notice])
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


def script(world: World, out: Path, *arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
    program = str(ROOT / "scripts" / "deploy.py")
    command = [sys.executable, program, "--rpc", world.chain.url, "--out", str(out)]
    environment = os.environ | {"MIXPAY_DEPLOYER_KEY": key, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_script_deploys_thenVerifies(world: World, tmp_path: Path) -> None:
    out, key = tmp_path / "deployment.json", tmp_path / "key"
    user = world.user()
    key.write_text(f"0x{user.key.hex()}\n")
    key.chmod(0o600)
    first = script(world, out, "--parameters", "demo", "--key-file", str(key))
    assert (first.returncode, first.stderr) == (0, "")
    written = out.read_bytes()
    verify(world.rpc, files.load(out))
    nonce = world.rpc.nonce(user.account)
    second = script(world, out, "--parameters", "demo")
    assert second.returncode == 0
    assert "ignored: --parameters" in second.stderr
    assert "verified" in second.stdout
    assert world.rpc.nonce(user.account) == nonce
    assert out.read_bytes() == written
    files.save(out, dataclasses.replace(files.load(out), genesis=5))
    third = script(world, out)
    assert third.returncode == 2
    assert "Network: genesis" in third.stderr


def test_script_saysWhatIsMissing(world: World, tmp_path: Path) -> None:
    out = tmp_path / "deployment.json"
    poor = script(world, out, key="12" * 32)
    assert (poor.returncode, "has no ether" in poor.stderr) == (2, True)
    assert (script(world, out).returncode, script(world, out, key="xyz").returncode) == (2, 2)
    assert "no key file" in script(world, out, "--key-file", str(tmp_path / "none")).stderr
    assert not out.exists()
