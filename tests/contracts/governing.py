"""Network behind OpenZeppelin's timelock, and a second release of every contract."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from typing import Any

import pytest
from brownie import Contract
from scene import (
    ANSWER_WINDOW,
    CLAIM_WINDOW,
    COST,
    FINISH_WINDOW,
    GRACE,
    HOUR,
    NOTICE,
    PENALTY,
    STAKE,
    TERM,
    UNBONDING,
    WITHDRAWAL_NOTICE,
    Scene,
    raw,
    wait,
)

from mixpay.chain import abi

DELAY = 4 * HOUR
NO_ONE = bytes(20)


def interface(name: str) -> list[dict[str, Any]]:
    """A contract's ABI, as the package ships it."""
    text = resources.files("mixpay").joinpath("artifacts", f"{name}.json").read_text()
    found: list[dict[str, Any]] = json.loads(text)["abi"]
    return found


def timelock(scene: Scene, governor: Any, delay: int = DELAY) -> Contract:
    """A timelock that the governor alone can use, and that has been offered Network and accepted it."""
    artifact = abi.artifact("TimelockController")
    arguments = (delay, [raw(governor)], [raw(governor)], NO_ONE)
    data = artifact.bytecode + abi.encode(artifact.constructor.inputs, arguments)
    made = scene.deployer.transfer(data="0x" + data.hex())
    lock = Contract.from_abi("TimelockController", made.contract_address, interface("TimelockController"))
    scene.network.transferOwnership(lock, {"from": scene.deployer})
    through(lock, governor, scene.network, scene.network.acceptOwnership.encode_input(), delay)
    return lock


def through(lock: Contract, governor: Any, target: Any, call: str, delay: int = DELAY) -> Any:
    """The governor has the timelock make a call, as soon as that may be; the transaction that makes it."""
    place = (target, 0, call, bytes(32), bytes(32))
    lock.schedule(*place, delay, {"from": governor})
    if delay:
        with pytest.raises(Exception, match="TimelockUnexpectedOperationState"):
            lock.execute(*place, {"from": governor})
        wait(delay)
    return lock.execute(*place, {"from": governor})


def second_release(scene: Scene, project: Any) -> Scene:
    """Every contract once more, on the same token and network, and with another stake."""
    by = {"from": scene.deployer}
    court_address = scene.deployer.get_deployment_address(scene.deployer.nonce + 2)
    channels = project.Channels.deploy(scene.token, NOTICE, court_address, by)
    registry = project.RelayRegistry.deploy(
        scene.token, scene.network, 2 * STAKE, UNBONDING, channels, court_address, PENALTY, by
    )
    windows = (ANSWER_WINDOW, FINISH_WINDOW, GRACE, COST)
    court = project.ReceiptCourt.deploy(channels, registry, windows, by)
    clock = (TERM, CLAIM_WINDOW, WITHDRAWAL_NOTICE)
    pool = project.SubsidyPool.deploy(channels, registry, scene.network, *clock, by)
    return replace(scene, channels=channels, registry=registry, court=court, pool=pool)
