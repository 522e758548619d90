"""Channels: deposit, withdraw, move."""

from __future__ import annotations

from scene import NOTICE, ZERO, reverts


def test_parameters(scene):
    assert scene.channels.TOKEN() == scene.token
    assert scene.channels.NOTICE() == NOTICE
    assert scene.channels.eip712Domain()[1:3] == ("Mixpay Channels", "1")


def test_deposit(scene, alice):
    scene.give(alice.account, scene.channels, 100)
    transaction = scene.channels.deposit(60, {"from": alice.account})
    assert dict(transaction.events["Deposited"]) == {"account": alice.account, "amount": 60}
    assert scene.channels.balanceOf(alice.account) == 60
    assert scene.token.balanceOf(scene.channels) == 60
    assert scene.token.balanceOf(alice.account) == 40


def test_deposit_failsWithoutTokensOrApproval(scene, alice, carol):
    scene.give(alice.account, scene.channels, 100)
    with reverts("ERC20InsufficientBalance", alice.account, 100, 101):
        scene.channels.deposit(101, {"from": alice.account})
    scene.token.transfer(carol.account, 100, {"from": scene.deployer})
    with reverts("ERC20InsufficientAllowance", scene.channels, 0, 100):
        scene.channels.deposit(100, {"from": carol.account})


def test_withdraw(scene, alice, bob):
    scene.credit(alice.account, 100)
    transaction = scene.channels.withdraw(bob.account, 30, {"from": alice.account})
    event = transaction.events["Withdrawn"]
    assert dict(event) == {"account": alice.account, "to": bob.account, "amount": 30}
    assert scene.channels.balanceOf(alice.account) == 70
    assert scene.token.balanceOf(bob.account) == 30
    assert scene.token.balanceOf(scene.channels) == 70


def test_withdraw_failsAboveTheBalance(scene, alice, carol):
    scene.credit(alice.account, 100)
    with reverts("InsufficientBalance", 100, 101):
        scene.channels.withdraw(alice.account, 101, {"from": alice.account})
    with reverts("InsufficientBalance", 0, 1):
        scene.channels.withdraw(carol.account, 1, {"from": carol.account})


def test_withdraw_failsToNobody(scene, alice):
    scene.credit(alice.account, 100)
    for to in (ZERO, scene.channels):
        with reverts("InvalidRecipient"):
            scene.channels.withdraw(to, 1, {"from": alice.account})


def test_move(scene, alice, bob):
    scene.credit(alice.account, 100)
    transaction = scene.channels.move(bob.account, 30, {"from": alice.account})
    assert dict(transaction.events["Moved"]) == {"from": alice.account, "to": bob.account, "amount": 30}
    assert scene.channels.balanceOf(alice.account) == 70
    assert scene.channels.balanceOf(bob.account) == 30
    scene.channels.move(alice.account, 70, {"from": alice.account})
    assert scene.channels.balanceOf(alice.account) == 70


def test_move_failsAboveTheBalanceOrToNobody(scene, alice, bob):
    scene.credit(alice.account, 100)
    with reverts("InsufficientBalance", 100, 101):
        scene.channels.move(bob.account, 101, {"from": alice.account})
    with reverts("InvalidRecipient"):
        scene.channels.move(ZERO, 1, {"from": alice.account})
