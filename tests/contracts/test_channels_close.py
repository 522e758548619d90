"""Channels: requestClose, finishClose, release."""

from __future__ import annotations

from scene import NOTICE, reverts, wait


def test_requestClose_givesNotice(scene, alice, bob):
    scene.open(alice, bob, 100)
    transaction = scene.channels.requestClose(bob.account, {"from": alice.account})
    due = transaction.timestamp + NOTICE
    event = transaction.events["CloseRequested"]
    assert dict(event) == {"payer": alice.account, "payee": bob.account, "closesAt": due}
    assert scene.channels.channel(alice.account, bob.account) == (100, 0, due)


def test_requestClose_failsIfEmptyOrRepeated(scene, alice, bob):
    with reverts("ChannelEmpty"):
        scene.channels.requestClose(bob.account, {"from": alice.account})
    scene.open(alice, bob, 100)
    due = scene.channels.requestClose(bob.account, {"from": alice.account}).timestamp + NOTICE
    with reverts("CloseAlreadyRequested", due):
        scene.channels.requestClose(bob.account, {"from": alice.account})


def test_finishClose_returnsWhatIsNotClaimed(scene, alice, bob):
    scene.open(alice, bob, 100)
    scene.claim(alice, bob, 30)
    scene.channels.requestClose(bob.account, {"from": alice.account})
    wait(NOTICE)
    transaction = scene.channels.finishClose(bob.account, {"from": alice.account})
    event = transaction.events["Closed"]
    assert dict(event) == {"payer": alice.account, "payee": bob.account, "refund": 70}
    assert scene.channels.channel(alice.account, bob.account) == (30, 30, 0)
    assert scene.channels.balanceOf(alice.account) == 70


def test_finishClose_failsBeforeItsTime(scene, alice, bob):
    scene.open(alice, bob, 100)
    with reverts("CloseNotRequested"):
        scene.channels.finishClose(bob.account, {"from": alice.account})
    due = scene.channels.requestClose(bob.account, {"from": alice.account}).timestamp + NOTICE
    wait(NOTICE - 60)
    with reverts("NoticeRunning", due):
        scene.channels.finishClose(bob.account, {"from": alice.account})


def test_close_isThePayersAlone(scene, alice, bob, carol):
    scene.open(alice, bob, 100)
    for other in (bob, carol):
        with reverts("ChannelEmpty"):
            scene.channels.requestClose(bob.account, {"from": other.account})
    scene.channels.requestClose(bob.account, {"from": alice.account})
    wait(NOTICE)
    with reverts("CloseNotRequested"):
        scene.channels.finishClose(bob.account, {"from": carol.account})


def test_fund_cancelsTheClose(scene, alice, bob):
    scene.open(alice, bob, 100)
    scene.channels.requestClose(bob.account, {"from": alice.account})
    scene.channels.fund(bob.account, 0, {"from": alice.account})
    wait(NOTICE)
    with reverts("CloseNotRequested"):
        scene.channels.finishClose(bob.account, {"from": alice.account})


def test_oldVouchers_doNotReviveAfterReopening(scene, alice, bob):
    scene.open(alice, bob, 100)
    scene.claim(alice, bob, 30)
    scene.channels.requestClose(bob.account, {"from": alice.account})
    wait(NOTICE)
    scene.channels.finishClose(bob.account, {"from": alice.account})
    scene.open(alice, bob, 100)
    assert scene.claim(alice, bob, 30).return_value == 0
    assert scene.claim(alice, bob, 31).return_value == 1
    assert scene.channels.channel(alice.account, bob.account) == (130, 31, 0)


def test_release_letsThePayerOutAtOnce(scene, alice, bob):
    scene.open(alice, bob, 100)
    scene.channels.requestClose(bob.account, {"from": alice.account})
    transaction = scene.channels.release(alice.account, {"from": bob.account})
    event = transaction.events["Released"]
    assert dict(event) == {"payer": alice.account, "payee": bob.account, "refund": 100}
    assert scene.channels.channel(alice.account, bob.account) == (0, 0, 0)
    assert scene.channels.balanceOf(alice.account) == 100


def test_release_byAnotherChangesNothing(scene, alice, bob, carol):
    scene.open(alice, bob, 100)
    transaction = scene.channels.release(alice.account, {"from": carol.account})
    assert transaction.events["Released"]["refund"] == 0
    assert scene.channels.channel(alice.account, bob.account) == (100, 0, 0)
