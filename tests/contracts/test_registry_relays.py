"""RelayRegistry: register, update, ownership, leave, withdrawStake."""

from __future__ import annotations

import brownie
import pytest
from brownie import chain
from scene import HOUR, PENALTY, STAKE, UNBONDING, ZERO, reverts, wait

from mixpay.crypto.hashing import keccak256
from mixpay.registry_tree import relay_leaf

LINK = keccak256(b"link")


def leaf(operator, endpoint, link_key=None):
    """What the tree must hold of relay 1; a link key follows from the endpoint where none is given."""
    return relay_leaf(1, operator.raw, link_key or keccak256(endpoint), endpoint)


def test_parameters(scene):
    assert scene.registry.TOKEN() == scene.token
    assert (scene.registry.STAKE(), scene.registry.UNBONDING()) == (STAKE, UNBONDING)
    assert (scene.registry.CHANNELS(), scene.registry.COURT()) == (scene.channels, scene.court)
    assert (scene.registry.PENALTY(), scene.registry.BOUNTY_PERCENT()) == (PENALTY, 5)
    assert bytes(scene.registry.DOMAIN_SEPARATOR()) == scene.registry_domain.separator
    assert scene.registry.relay(1) == (ZERO, ZERO, "0x" + 64 * "0", 0, 0)


def test_deployment_failsIfParametersAreInvalid(scene, contracts):
    good = [scene.token, scene.network, STAKE, UNBONDING, scene.channels, scene.court, PENALTY]
    other = contracts.Token.deploy(1, {"from": scene.deployer})
    bad = ((0, other), (2, 0), (2, PENALTY - 1), (3, 0), (3, 365 * 24 * HOUR + 1), (5, ZERO), (6, STAKE))
    for index, value in bad:
        parameters = [*good[:index], value, *good[index + 1 :]]
        with reverts("InvalidParameters"):
            contracts.RelayRegistry.deploy(*parameters, {"from": scene.deployer})


def test_deployment_failsBeforeGenesis(scene, contracts):
    genesis = chain.time() + HOUR
    network = contracts.Network.deploy(genesis, HOUR, scene.deployer, {"from": scene.deployer})
    parameters = (scene.token, network, STAKE, UNBONDING, scene.channels, scene.court, PENALTY)
    with brownie.reverts():  # BeforeGenesis, with the block's time
        contracts.RelayRegistry.deploy(*parameters, {"from": scene.deployer})


def test_register(scene, alice, bob):
    transaction = scene.register(alice, bob, "relay.example:4000")
    assert transaction.return_value == 1
    event = transaction.events["Registered"]
    assert (event["id"], event["position"], event["endpoint"]) == (1, 0, "relay.example:4000")
    assert (event["owner"], event["operator"]) == (alice.account, bob.account)
    relay = scene.registry.relay(1)
    assert relay[:2] == (alice.account, bob.account)
    assert bytes(relay[2]) == leaf(bob, b"relay.example:4000")
    assert relay[3:] == (0, 0)
    assert scene.registry.stakeLeft(1) == STAKE
    assert scene.registry.relayOf(bob.account) == 1
    assert scene.registry.relayOf(alice.account) == 0
    assert scene.token.balanceOf(scene.registry) == STAKE


def test_register_failsIfTheKeyWasEverUsed(scene, alice, bob, carol):
    scene.register(alice, bob)
    scene.give(carol.account, scene.registry, STAKE)
    for owner in (alice, carol):
        signature = scene.consent(bob, owner)
        with reverts("OperatorUsed", bob.account, 1):
            scene.registry.register(bob.account, LINK, "host:2", signature, {"from": owner.account})
    scene.registry.leave(1, {"from": alice.account})
    wait(UNBONDING)
    scene.registry.withdrawStake(1, alice.account, {"from": alice.account})
    signature = scene.consent(bob, alice)
    with reverts("OperatorUsed", bob.account, 1):
        scene.registry.register(bob.account, LINK, "host:2", signature, {"from": alice.account})


def test_register_failsWithoutTheOperatorsConsent(scene, alice, bob, carol):
    scene.give(carol.account, scene.registry, STAKE)
    for signature in (scene.consent(bob, alice), scene.consent(carol, carol), b"", bytes(65)):
        with reverts("InvalidSignature"):
            scene.registry.register(bob.account, LINK, "host:1", signature, {"from": carol.account})
    with reverts("InvalidSignature"):
        scene.registry.register(ZERO, LINK, "host:1", bytes(65), {"from": carol.account})


@pytest.mark.parametrize("endpoint", ["", "x" * 129])
def test_register_failsIfEndpointIsBad(scene, alice, bob, endpoint):
    signature = scene.consent(bob, alice)
    with reverts("InvalidEndpoint", len(endpoint)):
        scene.registry.register(bob.account, LINK, endpoint, signature, {"from": alice.account})


def test_register_failsWithoutLinkKey(scene, alice, bob):
    with reverts("InvalidLinkKey"):
        scene.registry.register(
            bob.account, bytes(32), "host:1", scene.consent(bob, alice), {"from": alice.account}
        )


def test_register_failsWithoutStake(scene, alice, bob):
    scene.give(alice.account, scene.registry, STAKE - 1)
    with reverts("ERC20InsufficientBalance", alice.account, STAKE - 1, STAKE):
        scene.registry.register(
            bob.account, LINK, "host:1", scene.consent(bob, alice), {"from": alice.account}
        )
    assert scene.registry.count() == 0


def test_update_byOwnerAndByOperator(scene, alice, bob):
    scene.register(alice, bob)
    for who, endpoint in ((alice, "host:2"), (bob, "x" * 128)):
        event = scene.registry.update(1, LINK, endpoint, {"from": who.account}).events["Updated"]
        assert (event["id"], event["endpoint"]) == (1, endpoint)
        assert bytes(scene.registry.relay(1)[2]) == leaf(bob, endpoint.encode(), LINK)


def test_update_failsForOthersAndWithBadContacts(scene, alice, bob, carol):
    scene.register(alice, bob)
    with reverts("NotOwnerOrOperator"):
        scene.registry.update(1, LINK, "host:2", {"from": carol.account})
    with reverts("NotOwnerOrOperator"):
        scene.registry.update(2, LINK, "host:2", {"from": alice.account})
    with reverts("InvalidEndpoint", 0):
        scene.registry.update(1, LINK, "", {"from": alice.account})
    with reverts("InvalidLinkKey"):
        scene.registry.update(1, bytes(32), "host:2", {"from": alice.account})


def test_ownership_movesInTwoSteps(scene, alice, bob, carol):
    scene.register(alice, bob)
    with reverts("NotOwner"):
        scene.registry.transferOwnership(1, carol.account, {"from": bob.account})
    offer = scene.registry.transferOwnership(1, carol.account, {"from": alice.account})
    assert offer.events["OwnershipTransferStarted"]["newOwner"] == carol.account
    assert scene.registry.relay(1)[0] == alice.account
    with reverts("NotPendingOwner"):
        scene.registry.acceptOwnership(1, {"from": bob.account})
    event = scene.registry.acceptOwnership(1, {"from": carol.account}).events["OwnershipTransferred"]
    assert (event["previousOwner"], event["newOwner"]) == (alice.account, carol.account)
    with reverts("NotOwner"):
        scene.registry.leave(1, {"from": alice.account})
    scene.registry.leave(1, {"from": carol.account})


def test_leave_emptiesThePositionAndBindsTheStake(scene, alice, bob):
    scene.register(alice, bob)
    transaction = scene.registry.leave(1, {"from": alice.account})
    due = transaction.timestamp + UNBONDING
    event = transaction.events["Left"]
    assert dict(event) == {"id": 1, "position": 0, "withdrawableAt": due}
    assert scene.registry.relay(1) == (alice.account, bob.account, "0x" + 64 * "0", 0, due)
    assert scene.registry.root() == "0x" + 64 * "0"
    assert scene.registry.count() == 1
    with reverts("StakeBound", due):
        scene.registry.withdrawStake(1, alice.account, {"from": alice.account})


def test_leave_failsForOthersAndTwice(scene, alice, bob, carol):
    scene.register(alice, bob)
    for other in (bob, carol):
        with reverts("NotOwner"):
            scene.registry.leave(1, {"from": other.account})
    with reverts("NotOwner"):
        scene.registry.leave(7, {"from": alice.account})
    scene.registry.leave(1, {"from": alice.account})
    with reverts("RelayHasLeft"):
        scene.registry.leave(1, {"from": alice.account})
    with reverts("RelayHasLeft"):
        scene.registry.update(1, LINK, "host:2", {"from": bob.account})


def test_withdrawStake_paysOnce(scene, alice, bob, carol):
    scene.register(alice, bob)
    with reverts("RelayHasNotLeft"):
        scene.registry.withdrawStake(1, carol.account, {"from": alice.account})
    scene.registry.leave(1, {"from": alice.account})
    wait(UNBONDING)
    with reverts("NotOwner"):
        scene.registry.withdrawStake(1, bob.account, {"from": bob.account})
    for to in (ZERO, scene.registry):
        with reverts("InvalidRecipient"):
            scene.registry.withdrawStake(1, to, {"from": alice.account})
    event = scene.registry.withdrawStake(1, carol.account, {"from": alice.account}).events["StakeWithdrawn"]
    assert dict(event) == {"id": 1, "to": carol.account, "amount": STAKE}
    assert scene.token.balanceOf(carol.account) == STAKE
    assert scene.token.balanceOf(scene.registry) == 0
    assert scene.registry.relay(1)[0] == ZERO
    with reverts("NotOwner"):
        scene.registry.withdrawStake(1, alice.account, {"from": alice.account})
