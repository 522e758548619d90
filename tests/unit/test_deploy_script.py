"""`scripts/deploy.py` and `scripts/verify_deployment.py`, as they are typed: their words and exit status."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mixpay import deployment as deployments
from mixpay.accounts import show_account
from mixpay.chain import abi
from mixpay.chain.verify import addresses, verify
from mixpay.crypto.hashing import keccak256
from mixpay.parameters import DEMO, PRODUCTION, RANGES
from mixpay.types import Account
from odd_nodes import odd, without_randomness

if TYPE_CHECKING:
    from chain_world import User, World

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
GOVERNOR = Account(b"\x77" * 20)
DEMO_NETWORK = ("--development", "--parameters", "demo")


def typed(
    *words: object, script: str = "deploy.py", python: tuple[str, ...] = (), key: bytes = b""
) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    environ = {name: value for name, value in os.environ.items() if name != "MIXPAY_DEPLOYER_KEY"}
    environ |= {"MIXPAY_DEPLOYER_KEY": key.hex()} if key else {}
    command = [sys.executable, *python, str(SCRIPTS / script), *map(str, words)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr


def at(world: World, out: Path) -> tuple[object, ...]:
    """The options that every call has."""
    return "--rpc", world.rpc.shown, "--out", out


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The deployment file to come."""
    return tmp_path / "network.json"


@pytest.fixture
def user(world: World) -> User:
    """A deployer with an ether."""
    return world.user()


def production(world: World) -> tuple[object, ...]:
    """The options of a deployment that is fit for real money."""
    token = show_account(world.deployment.token)
    return "--token", token, "--governor", show_account(GOVERNOR)


# ---------------------------------------------------------------------- mistakes


def test_aPythonWithoutMixpay_getsOneLine() -> None:
    status, _, err = typed("--help", python=("-I", "-S"))
    assert (status, err.count("\n")) == (2, 1)
    assert "run `make setup` first, then .venv/bin/python scripts/deploy.py" in err


def test_aDeadNode_isTheChainsFault(out: Path) -> None:
    status, _, err = typed("--rpc", "http://127.0.0.1:9", "--out", out)
    assert status == 3
    assert "127.0.0.1:9" in err


def test_aMissingKey_isAskedFor(world: World, out: Path, tmp_path: Path) -> None:
    status, _, err = typed(*at(world, out))
    assert status == 2
    assert "in MIXPAY_DEPLOYER_KEY: set it, or name a file with --key-file" in err
    assert typed(*at(world, out), key=b"xyz")[0] == 2
    status, _, err = typed(*at(world, out), "--key-file", tmp_path / "none")
    assert (status, "there is no key file" in err) == (2, True)


def test_aDeployerWithoutEther_isTold(world: World, out: Path) -> None:
    status, _, err = typed(*at(world, out), *DEMO_NETWORK, key=b"\x12" * 32)
    assert (status, "has no ether" in err) == (2, True)
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--governor", "0x12"), "address: '0x12' is no account"),
        (("--set", "notice=2d"), "--set notice=2d: not a parameter and its whole value"),
        (("--set", "bribe=1"), "--set bribe=1: not a parameter"),
        (("--set", "unbonding=1209600", "--set", "timelock_delay=1209600"), "unbonding < timelock_delay"),
        (("--from", show_account(GOVERNOR)), "a deployment needs the key itself"),
        (("--genesis", str(2**40)), "is in the future"),
    ],
)
def test_mistakesOnTheCommandLine_areExplained(
    world: World, out: Path, user: User, words: tuple[str, ...], text: str
) -> None:
    status, _, err = typed(*at(world, out), *words, key=user.key)
    assert status == 2
    assert text in err
    assert world.rpc.nonce(user.account) == 0


def test_whatIsNotFitForRealMoney_isRefused(world: World, out: Path, user: User) -> None:
    status, _, err = typed(*at(world, out), "--parameters", "demo", key=user.key)
    assert status == 2
    assert "not fit for real money (--development accepts it)" in err
    for text in (RANGES["notice"].why, "no governor", "no token"):
        assert text in err
    assert not list(out.parent.iterdir())


def test_aChainWithoutRandomness_isRefused_unlessForDevelopment(world: World, out: Path, user: User) -> None:
    with odd(world.chain.url, without_randomness) as url:
        chosen = ("--rpc", url, "--out", out, *production(world))
        status, _, err = typed(*chosen, key=user.key)
        assert (status, "chain 31337 has no randomness" in err) == (2, True)
        assert typed(*chosen, "--development", key=user.key)[0] == 0
    verify(world.rpc, deployments.load(out))


# ---------------------------------------------------------------------- deploying


def test_deploys_thenVerifies(world: World, out: Path, user: User, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(f"0x{user.key.hex()}\n")
    key.chmod(0o600)
    status, _, err = typed(*at(world, out), *DEMO_NETWORK, "--set", "notice=7_201", "--key-file", key)
    assert (status, err) == (0, "")
    assert sorted(tmp_path.iterdir()) == [key, out]
    written = out.read_bytes()
    deployment = deployments.decode(written)
    assert deployment.parameters == dataclasses.replace(DEMO, notice=7_201)
    verify(world.rpc, deployment)
    sent = world.rpc.nonce(user.account)
    status, said, err = typed(*at(world, out))
    assert (status, err, "verified" in said) == (0, "", True)
    status, _, err = typed(
        *at(world, out), "--parameters", "demo", "--from", show_account(GOVERNOR), "--dry-run"
    )
    assert status == 0
    assert "nothing is deployed; ignored: --parameters, --dry-run, --from" in err
    assert (world.rpc.nonce(user.account), out.read_bytes()) == (sent, written)
    deployments.save(out, dataclasses.replace(deployment, genesis=5))
    status, _, err = typed(*at(world, out))
    assert (status, "Network: genesis" in err) == (2, True)


def test_dryRun_showsWhatTheDeploymentThenDoes(world: World, out: Path, user: User) -> None:
    world.chain.mine(2)
    deployer = show_account(user.account)
    status, said, err = typed(*at(world, out), *production(world), "--from", deployer, "--dry-run")
    assert (status, err) == (0, "")
    assert world.rpc.nonce(user.account) == 0
    assert list(out.parent.iterdir()) == []
    status, _, err = typed(*at(world, out), *production(world), key=user.key)
    assert (status, err) == (0, "")
    deployment = deployments.load(out)
    rows = [line.split() for line in said.splitlines() if line[:6].strip().isdecimal()]
    assert [int(row[0]) for row in rows] == list(range(10)) == list(range(world.rpc.nonce(user.account)))
    shown = {row[3]: row[4] for row in rows if row[1:3] == ["deployment", "of"]}
    assert shown == {name: show_account(where) for name, where in addresses(deployment).items()}
    assert [row[1] for row in rows[6:]] == [
        "Network.publish",
        "Network.transferOwnership",
        "TimelockController.scheduleBatch",
        "TimelockController.executeBatch",
    ]
    gas = sum(int(row[-2].replace(",", "")) for row in rows)
    assert f"{gas:,} gas at" in said
    assert f"{deployer} has 1.00000000 ether" in said
    used = sum(receipt_gas(world, number) for number in blocks_of(world, user.account))
    assert abs(gas - used) < used / 1_000


def blocks_of(world: World, account: Account) -> list[int]:
    """Each holds one transaction of the account."""
    wanted, found = f"0x{account.hex()}", []
    for number in range(world.rpc.latest().number + 1):
        block = world.rpc.request("eth_getBlockByNumber", hex(number), True)
        found += [number for transaction in block["transactions"] if transaction["from"] == wanted]
    return found


def receipt_gas(world: World, number: int) -> int:
    """Of the only transaction in a block."""
    return int(world.rpc.request("eth_getBlockByNumber", hex(number), False)["gasUsed"], 16)


def interrupt(world: World, user: User, *words: object) -> tuple[int, str]:
    """Ctrl-C with one transaction mined and the next one under way: exit status and stderr."""
    world.rpc.request("evm_setAutomine", False)
    command = [sys.executable, str(SCRIPTS / "deploy.py"), *map(str, words)]
    environ = os.environ | {"MIXPAY_DEPLOYER_KEY": user.key.hex()}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        for count in (1, 2):
            wait(lambda count=count: world.rpc.nonce(user.account) == count)
            if count == 1:
                world.chain.mine()
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    return process.returncode, err


def wait(condition: Callable[[], bool]) -> None:
    """Until it holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_interruptedDeployment_goesOn(world: World, out: Path, user: User) -> None:
    chosen = (*at(world, out), *DEMO_NETWORK)
    try:
        status, err = interrupt(world, user, *chosen)
    finally:
        world.rpc.request("evm_setAutomine", True)
        world.chain.mine()
    unfinished = out.with_name("network.json.unfinished")
    assert status == 130
    assert f"not finished: {unfinished} says what was planned; run the same again to go on" in err
    assert (unfinished.exists(), out.exists()) == (True, False)
    other = ("--development", "--governor", show_account(GOVERNOR))
    status, _, err = typed(*at(world, out), *other, key=user.key)
    assert (status, "begun with another --parameters, --governor" in err) == (2, True)
    status, dry, _ = typed(*chosen, "--dry-run", key=user.key)
    assert (status, dry.count("deployment of")) == (0, 4)
    status, said, err = typed(*chosen, key=user.key)
    assert (status, err) == (0, "")
    assert said.count("there already") == 2
    assert world.rpc.nonce(user.account) == 7
    assert list(out.parent.iterdir()) == [out]
    verify(world.rpc, deployments.load(out))


def test_aDeploymentThatNeverBegan_isPlannedAnew(world: World, out: Path, user: User) -> None:
    world.chain.fund(user.account, 0)
    assert typed(*at(world, out), *DEMO_NETWORK, key=user.key)[0] == 2
    world.chain.fund(user.account, 10**18)
    status, _, err = typed(*at(world, out), "--development", key=user.key)
    assert (status, err) == (0, "")
    assert deployments.load(out).parameters == PRODUCTION


def test_document_showsOptionsThatThereAre() -> None:
    text = (SCRIPTS.parent / "docs" / "deploying.md").read_text() + (SCRIPTS.parent / "README.md").read_text()
    lines = re.findall(r"python scripts/deploy\.py (.*)", text)
    assert len(lines) >= 3
    _, usage, _ = typed("--help")
    for option in {word.strip("`.;,") for line in lines for word in line.split() if word.startswith("--")}:
        assert re.search(rf"^  {option}\b", usage, re.MULTILINE), option


# ---------------------------------------------------------------------- verifying


def verified(world: World, path: Path) -> tuple[int, str, str]:
    """What the other script says."""
    return typed("--rpc", world.rpc.shown, "--deployment", path, script="verify_deployment.py")


def test_verify_showsHashes_releases_governance_andParameters(world: World, out: Path, user: User) -> None:
    assert typed(*at(world, out), *DEMO_NETWORK, "--governor", show_account(GOVERNOR), key=user.key)[0] == 0
    status, said, err = verified(world, out)
    assert (status, err) == (0, "")
    deployment = deployments.load(out)
    for name, address in addresses(deployment).items():
        assert f"{name} {show_account(address)}" in said
        assert f"keccak256 {keccak256(world.rpc.code(address)).hex()}" in said
        assert f"keccak256 {keccak256(abi.artifact(name).deployed_bytecode).hex()}" in said
        assert f"sha256    {hashlib.sha256(abi.artifact(name).bytecode).hexdigest()}" in said
    assert f"release 0, from epoch 0: hop price {DEMO.hop_price}" in said
    assert f"governance: {show_account(GOVERNOR)} alone, announcing 0.333333 days ahead" in said
    assert all(f"holds: {rule}" in said for _, rule in DEMO.rules())
    assert "for development only: notice is 7200" in said
    assert said.splitlines()[-1] == f"verified: the contracts on chain 31337 are as {out} says"


def test_verify_saysWithoutGovernanceWhoOwnsNetwork(world: World, out: Path) -> None:
    deployments.save(out, world.deployment)
    status, said, _ = verified(world, out)
    assert status == 0
    assert f"governance: none; {show_account(world.deployer.account)} can publish releases at once" in said


def test_verify_failsIfSomethingDiffers(world: World, out: Path) -> None:
    status, said, err = verified(world, out)
    assert (status, said, "no deployment file" in err) == (2, "", True)
    parameters = dataclasses.replace(DEMO, penalty=DEMO.penalty + 1)
    deployments.save(out, dataclasses.replace(world.deployment, parameters=parameters))
    status, said, err = verified(world, out)
    assert (status, said) == (2, "")
    assert "RelayRegistry: PENALTY is 0x" in err
