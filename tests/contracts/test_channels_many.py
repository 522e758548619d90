"""Channels: fundMany and claimMany."""

from __future__ import annotations

import pytest
from scene import ZERO, reverts
from trial import changed

from mixpay import eip712


def record(scene, payer, payee, cumulative, batch=1):
    """A packed voucher: payer 20, cumulative 12, uptoBatch 4, r 32, vs 32 bytes."""
    r, vs = eip712.compact(scene.voucher(payer, payee, cumulative, batch))
    return payer.raw + cumulative.to_bytes(12, "big") + batch.to_bytes(4, "big") + r + vs


def test_fundMany_isAsManyTimesFund(scene, alice, bob, carol):
    scene.credit(alice.account, 100)
    payees = [bob.account, carol.account, bob.account]
    events = scene.channels.fundMany(payees, [30, 40, 5], {"from": alice.account}).events["Funded"]
    assert [(event["payee"], event["amount"], event["deposit"]) for event in events] == [
        (bob.account, 30, 30),
        (carol.account, 40, 40),
        (bob.account, 5, 35),
    ]
    assert scene.channels.channel(alice.account, bob.account) == (35, 0, 0)
    assert scene.channels.balanceOf(alice.account) == 25


def test_fundMany_cancelsCloses(scene, alice, bob):
    scene.open(alice, bob, 100)
    scene.channels.requestClose(bob.account, {"from": alice.account})
    scene.channels.fundMany([bob.account], [0], {"from": alice.account})
    with reverts("CloseNotRequested"):
        scene.channels.finishClose(bob.account, {"from": alice.account})


def test_fundMany_failsAboveTheBalanceOrForNobody(scene, alice, bob, carol):
    scene.credit(alice.account, 100)
    with reverts("InsufficientBalance", 100, 101):
        scene.channels.fundMany([bob.account, carol.account], [100, 1], {"from": alice.account})
    with reverts("InvalidRecipient"):
        scene.channels.fundMany([bob.account, ZERO], [1, 1], {"from": alice.account})
    assert scene.channels.channel(alice.account, bob.account) == (0, 0, 0)


def test_fundMany_failsIfLengthsDiffer(scene, alice, bob):
    for amounts in ([], [1, 1]):
        with reverts("LengthsDiffer"):
            scene.channels.fundMany([bob.account], amounts, {"from": alice.account})


def test_claimMany_paysWhatEachVoucherWould(scene, alice, bob, carol):
    scene.open(alice, bob, 100)
    scene.open(carol, bob, 20)
    before = scene.channels.balanceOf(bob.account)
    records = b"".join(
        record(scene, payer, bob, total)
        for payer, total in ((alice, 30), (carol, 50), (alice, 60), (alice, 10))
    )
    claimed = scene.channels.claimMany(bob.account, records, {"from": carol.account})
    assert claimed.return_value == 80
    assert [(event["payer"], event["amount"], event["claimed"]) for event in claimed.events["Claimed"]] == [
        (alice.account, 30, 30),
        (carol.account, 20, 20),
        (alice.account, 30, 60),
    ]
    assert scene.channels.balanceOf(bob.account) - before == 80
    again = scene.channels.claimMany(bob.account, records, {"from": carol.account})
    assert (again.return_value, len(again.events)) == (0, 0)


def test_claimMany_ofNothing(scene, bob):
    assert scene.channels.claimMany(bob.account, b"", {"from": bob.account}).return_value == 0


@pytest.mark.parametrize("length", [1, 99, 101, 150])
def test_claimMany_failsIfLengthIsWrong(scene, bob, length):
    with reverts("InvalidLength", length):
        scene.channels.claimMany(bob.account, bytes(length), {"from": bob.account})


def test_claimMany_failsIfOneRecordIsBad(scene, alice, bob, carol):
    scene.open(alice, bob, 100)
    scene.open(carol, bob, 100)
    good = record(scene, alice, bob, 30) + record(scene, carol, bob, 30)
    for place in (119, 131, 135, 136, 199):
        with reverts("InvalidSignature"):
            scene.channels.claimMany(bob.account, changed(good, place), {"from": bob.account})
    with reverts("InvalidSignature"):
        scene.channels.claimMany(alice.account, good, {"from": bob.account})
    assert scene.channels.channel(alice.account, bob.account) == (100, 0, 0)
