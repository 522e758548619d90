"""Network: epochs of chain time; releases that only the owner publishes, and only ahead."""

from __future__ import annotations

import pytest
from brownie import accounts, chain
from scene import EPOCH, HOP_PRICE, ZERO, reverts


def release(scene, epoch, hop_price=1, registry=None):
    return (registry or scene.registry, scene.channels, scene.pool, 2, hop_price, epoch)


def publish(scene, *args, **kwargs):
    return scene.network.publish(release(scene, *args, **kwargs), {"from": scene.deployer})


def test_epochs_follow_the_chain(scene):
    genesis = scene.network.genesis()
    assert scene.network.epochLength() == EPOCH
    assert scene.network.currentEpoch() == 0
    assert scene.network.epochAt(genesis) == 0
    assert scene.network.epochAt(genesis + EPOCH - 1) == 0
    assert scene.network.epochAt(genesis + EPOCH) == 1
    assert scene.network.epochStart(7) == genesis + 7 * EPOCH
    scene.go_to(3)
    assert scene.network.currentEpoch() == 3


def test_epochAt_failsBeforeGenesis(scene):
    genesis = scene.network.genesis()
    with reverts("BeforeGenesis", genesis - 1, genesis):
        scene.network.epochAt(genesis - 1)


def test_constructor_failsIfEpochsAreEmpty(contracts):
    with reverts("InvalidEpochLength"):
        contracts.Network.deploy(chain.time(), 0, accounts[0], {"from": accounts[0]})


def test_publish_takesEffectInItsEpoch(scene):
    transaction = publish(scene, 2, hop_price=77)
    event = transaction.events["ReleasePublished"]
    assert (event["index"], event["activationEpoch"]) == (1, 2)
    assert scene.network.releaseCount() == 2
    assert scene.network.release()[4] == HOP_PRICE
    assert scene.network.releaseAt(1)[4] == HOP_PRICE
    assert scene.network.releaseAt(2)[4] == 77
    assert scene.network.releases(1) == release(scene, 2, hop_price=77)
    scene.go_to(2)
    assert scene.network.release()[4] == 77


def test_publish_failsIfNotAhead(scene):
    with reverts("ActivationTooEarly", 0, 1):
        publish(scene, 0)
    publish(scene, 5)
    for epoch in (1, 5):
        with reverts("ActivationTooEarly", epoch, 6):
            publish(scene, epoch)


@pytest.mark.parametrize("change", [{"registry": ZERO}, {"hop_price": 0}])
def test_publish_failsIfIncomplete(scene, change):
    with reverts("InvalidRelease"):
        publish(scene, 5, **change)


def test_publish_failsIfNotOwner(scene, carol):
    with reverts("OwnableUnauthorizedAccount", carol.account):
        scene.network.publish(release(scene, 5), {"from": carol.account})


def test_releaseAt_failsIfNonePublished(scene, contracts):
    network = contracts.Network.deploy(chain.time() - 5, EPOCH, accounts[0], {"from": accounts[0]})
    with reverts("NoRelease", 0):
        network.release()
    network.publish(release(scene, 0), {"from": accounts[0]})
    assert network.release() == release(scene, 0)


def test_ownership_movesInTwoSteps(scene, alice, carol):
    scene.network.transferOwnership(alice.account, {"from": scene.deployer})
    assert scene.network.owner() == scene.deployer
    with reverts("OwnableUnauthorizedAccount", carol.account):
        scene.network.acceptOwnership({"from": carol.account})
    scene.network.acceptOwnership({"from": alice.account})
    assert scene.network.owner() == alice.account
