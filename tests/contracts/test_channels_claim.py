"""Channels: fund and claim."""

from __future__ import annotations

import pytest
from scene import NOTICE, ZERO, reverts

from mixpay.crypto import secp256k1


def test_fund_opensAndTopsUp(scene, alice, bob):
    scene.credit(alice.account, 100)
    opening = scene.channels.fund(bob.account, 60, {"from": alice.account}).events["Funded"]
    assert (opening["payer"], opening["payee"]) == (alice.account, bob.account)
    assert (opening["amount"], opening["deposit"]) == (60, 60)
    topping = scene.channels.fund(bob.account, 30, {"from": alice.account}).events["Funded"]
    assert (topping["amount"], topping["deposit"]) == (30, 90)
    assert scene.channels.channel(alice.account, bob.account) == (90, 0, 0)
    assert scene.channels.channel(bob.account, alice.account) == (0, 0, 0)
    assert scene.channels.balanceOf(alice.account) == 10


def test_fund_failsAboveTheBalanceOrForNobody(scene, alice, bob):
    scene.credit(alice.account, 100)
    with reverts("InsufficientBalance", 100, 101):
        scene.channels.fund(bob.account, 101, {"from": alice.account})
    with reverts("InvalidRecipient"):
        scene.channels.fund(ZERO, 1, {"from": alice.account})


def test_claim_paysTheDifferenceToWhatWasClaimed(scene, alice, bob):
    scene.open(alice, bob, 100)
    first = scene.claim(alice, bob, 30)
    assert first.return_value == 30
    event = first.events["Claimed"]
    assert (event["payer"], event["payee"]) == (alice.account, bob.account)
    assert (event["amount"], event["claimed"]) == (30, 30)
    second = scene.claim(alice, bob, 45, batch=2).events["Claimed"]
    assert (second["amount"], second["claimed"]) == (15, 45)
    assert scene.channels.balanceOf(bob.account) == 45
    assert scene.channels.channel(alice.account, bob.account) == (100, 45, 0)


def test_claim_byAnyonePaysThePayee(scene, alice, bob, carol):
    scene.open(alice, bob, 100)
    scene.claim(alice, bob, 30, by=carol.account)
    assert scene.channels.balanceOf(bob.account) == 30
    assert scene.channels.balanceOf(carol.account) == 0


def test_claim_ofTheSameOrAnOlderVoucherPaysNothing(scene, alice, bob):
    scene.open(alice, bob, 100)
    scene.claim(alice, bob, 30)
    for cumulative in (30, 29, 0):
        again = scene.claim(alice, bob, cumulative)
        assert again.return_value == 0
        assert "Claimed" not in again.events
    assert scene.channels.balanceOf(bob.account) == 30


def test_claim_keepsWhatTheDepositLacks(scene, alice, bob):
    scene.open(alice, bob, 100)
    assert scene.claim(alice, bob, 250).return_value == 100
    assert scene.claim(alice, bob, 250).return_value == 0
    scene.open(alice, bob, 70)
    assert scene.claim(alice, bob, 250).return_value == 70
    scene.open(alice, bob, 500)
    assert scene.claim(alice, bob, 250).return_value == 80
    assert scene.channels.channel(alice.account, bob.account) == (670, 250, 0)


def test_claim_staysPossibleDuringAndAfterTheNotice(scene, alice, bob, chain):
    scene.open(alice, bob, 100)
    scene.channels.requestClose(bob.account, {"from": alice.account})
    assert scene.claim(alice, bob, 10).return_value == 10
    chain.sleep(NOTICE + 1)
    assert scene.claim(alice, bob, 25).return_value == 15
    scene.channels.finishClose(bob.account, {"from": alice.account})
    assert scene.channels.balanceOf(alice.account) == 75


def test_claim_failsIfSignedByAnother(scene, alice, bob, carol):
    scene.open(alice, bob, 100)
    forged = scene.voucher(carol, bob, 30)
    with reverts("InvalidSignature"):
        scene.channels.claim(alice.account, bob.account, 30, 1, forged, {"from": bob.account})


def test_claim_failsIfAnythingElseWasSigned(scene, alice, bob, carol):
    scene.open(alice, bob, 100)
    signed = scene.voucher(alice, bob, 30, 1)
    for payer, payee, cumulative, batch in (
        (bob, bob, 30, 1),
        (alice, carol, 30, 1),
        (alice, bob, 31, 1),
        (alice, bob, 30, 2),
    ):
        with reverts("InvalidSignature"):
            scene.channels.claim(
                payer.account, payee.account, cumulative, batch, signed, {"from": carol.account}
            )


def test_claim_failsOnAnotherDeployment(scene, alice, bob, contracts):
    signed = scene.voucher(alice, bob, 30)
    other = contracts.Channels.deploy(scene.token, NOTICE, scene.court, {"from": scene.deployer})
    with reverts("InvalidSignature"):
        other.claim(alice.account, bob.account, 30, 1, signed, {"from": bob.account})


def high_s(signature):
    s = secp256k1.N - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


def compact(signature):
    s = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    return signature[:32] + s.to_bytes(32, "big")


@pytest.mark.parametrize(
    "change",
    [
        high_s,
        compact,
        lambda signature: signature[:64] + bytes([signature[64] - 27]),
        lambda signature: signature[:64],
        lambda signature: signature + b"\0",
        lambda signature: b"",
        lambda signature: bytes(65),
    ],
    ids=["high s", "compact", "v from 0", "short", "long", "empty", "zero"],
)
def test_claim_failsIfSignatureIsNotCanonical(scene, alice, bob, change):
    scene.open(alice, bob, 100)
    signature = change(scene.voucher(alice, bob, 30))
    with reverts("InvalidSignature"):
        scene.channels.claim(alice.account, bob.account, 30, 1, signature, {"from": bob.account})


def test_claim_failsForThePayerNobody(scene, bob):
    for signature in (bytes(65), bytes(64) + b"\x1b", b"\1" * 65):
        with reverts("InvalidSignature"):
            scene.channels.claim(ZERO, bob.account, 0, 1, signature, {"from": bob.account})
