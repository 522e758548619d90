"""Channels: depositFor and depositWithPermit."""

from __future__ import annotations

import pytest
from brownie import chain, web3
from eth_account import Account
from scene import HOUR, ZERO, reverts


def permit(scene, owner, amount, deadline):
    """The owner's ERC-2612 permit for Channels, as any wallet signs it: v, r, s."""
    fields = ("owner:address", "spender:address", "value:uint256", "nonce:uint256", "deadline:uint256")
    domain = {
        "name": "Mixpay Token",
        "version": "1",
        "chainId": web3.eth.chain_id,
        "verifyingContract": scene.token.address,
    }
    message = {
        "owner": owner.account.address,
        "spender": scene.channels.address,
        "value": amount,
        "nonce": scene.token.nonces(owner.account),
        "deadline": deadline,
    }
    types = {"Permit": [dict(zip(("name", "type"), field.split(":"), strict=True)) for field in fields]}
    signed = Account.sign_typed_data(owner.key, domain, types, message)
    return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")


@pytest.fixture
def deadline():
    return chain.time() + HOUR


def test_depositFor_creditsAnother(scene, alice, bob):
    scene.give(alice.account, scene.channels, 100)
    done = scene.channels.depositFor(bob.account, 60, {"from": alice.account})
    assert dict(done.events["Deposited"]) == {"account": bob.account, "amount": 60}
    assert scene.channels.balanceOf(bob.account) == 60
    assert scene.channels.balanceOf(alice.account) == 0
    assert scene.token.balanceOf(alice.account) == 40


def test_depositFor_failsForNobodyOrWithoutApproval(scene, alice, bob, carol):
    scene.give(alice.account, scene.channels, 100)
    with reverts("InvalidRecipient"):
        scene.channels.depositFor(ZERO, 1, {"from": alice.account})
    with reverts("ERC20InsufficientAllowance", scene.channels, 0, 1):
        scene.channels.depositFor(alice.account, 1, {"from": carol.account})


def test_depositWithPermit_needsNoApproval(scene, alice, deadline):
    scene.token.transfer(alice.account, 100, {"from": scene.deployer})
    signed = permit(scene, alice, 100, deadline)
    done = scene.channels.depositWithPermit(100, deadline, *signed, {"from": alice.account})
    assert dict(done.events["Deposited"]) == {"account": alice.account, "amount": 100}
    assert scene.token.allowance(alice.account, scene.channels) == 0


def test_depositWithPermit_afterSomebodyElseUsedThePermit(scene, alice, carol, deadline):
    scene.token.transfer(alice.account, 100, {"from": scene.deployer})
    signed = permit(scene, alice, 100, deadline)
    scene.token.permit(alice.account, scene.channels, 100, deadline, *signed, {"from": carol.account})
    scene.channels.depositWithPermit(100, deadline, *signed, {"from": alice.account})
    assert scene.channels.balanceOf(alice.account) == 100


def test_depositWithPermit_failsIfThePermitIsAnother(scene, alice, bob, carol, deadline):
    scene.token.transfer(alice.account, 100, {"from": scene.deployer})
    signed = permit(scene, alice, 100, deadline)
    for caller, amount, until in ((alice, 99, deadline), (alice, 100, deadline + 1), (carol, 100, deadline)):
        with reverts("ERC20InsufficientAllowance", scene.channels, 0, amount):
            scene.channels.depositWithPermit(amount, until, *signed, {"from": caller.account})


def test_depositWithPermit_failsWhenItsTimeIsOver(scene, alice):
    scene.token.transfer(alice.account, 100, {"from": scene.deployer})
    past = chain.time() - HOUR
    with reverts("ERC20InsufficientAllowance", scene.channels, 0, 100):
        scene.channels.depositWithPermit(100, past, *permit(scene, alice, 100, past), {"from": alice.account})
