"""ReceiptCourt: collectStake."""

from __future__ import annotations

import pytest
from scene import GRACE, NOTICE, PENALTY, STAKE, UNBONDING, reverts, wait
from trial import Trial, judge, tickets


@pytest.fixture
def relay(scene, alice, carol):
    """Alice operates relay 1, which is Carol's."""
    scene.register(carol, alice)
    return 1


def collect(scene, payer, payee, by=None):
    return scene.court.collectStake(payer.account, payee.account, {"from": (by or payee).account})


def test_collectStake_paysWhatTheChannelLacks(scene, relay, alice, bob, carol):
    scene.open(alice, bob, 30)
    judge(scene, alice, bob, 100)
    wait(GRACE)
    before = scene.channels.balanceOf(bob.account)
    done = collect(scene, alice, bob, by=carol)
    assert done.return_value == 70
    event = dict(done.events["StakeCollected"])
    assert event == {"payer": alice.account, "payee": bob.account, "relay": 1, "amount": 70}
    assert dict(done.events["Slashed"]) == {"id": 1, "amount": 70}
    assert done.events["Funded"]["deposit"] == done.events["Claimed"]["claimed"] == 100
    assert done.events["Left"]["withdrawableAt"] == done.timestamp + UNBONDING
    assert scene.channels.balanceOf(bob.account) - before == 100
    assert scene.channels.balanceOf(scene.court) == 0
    assert scene.registry.stakeLeft(1) == STAKE - 70
    with reverts("NothingLacking"):
        collect(scene, alice, bob)


def test_collectStake_afterSamples(scene, relay, alice, bob):
    trial = Trial(scene, alice, bob, tickets(20))
    total = trial.win().events["Judged"]["total"]
    wait(GRACE)
    assert collect(scene, alice, bob).return_value == total
    assert scene.channels.balanceOf(bob.account) == trial.bond + total


def test_collectStake_takesNoMoreThanThereIs(scene, relay, alice, bob, carol):
    judge(scene, alice, bob, STAKE - PENALTY - 5)
    judge(scene, alice, carol, 100)
    wait(GRACE)
    assert collect(scene, alice, bob).return_value == STAKE - PENALTY - 5
    assert collect(scene, alice, carol).return_value == 5
    with reverts("NoStake"):
        collect(scene, alice, carol)
    scene.open(alice, carol, 100)  # what is still lacking is not lost
    assert (
        scene.channels.claimJudgement(alice.account, carol.account, {"from": bob.account}).return_value == 95
    )


def test_collectStake_afterTheRelayLeft(scene, relay, alice, bob, carol):
    scene.registry.leave(1, {"from": carol.account})
    judge(scene, alice, bob, 100)
    wait(GRACE)
    done = collect(scene, alice, bob)
    assert done.return_value == 100
    assert "Left" not in done.events


def test_collectStake_leavesAPendingClose(scene, relay, alice, bob):
    scene.open(alice, bob, 30)
    closing = scene.channels.requestClose(bob.account, {"from": alice.account})
    judge(scene, alice, bob, 100)
    wait(NOTICE)
    collect(scene, alice, bob)
    assert scene.channels.channel(alice.account, bob.account) == (100, 100, closing.timestamp + NOTICE)
    closed = scene.channels.finishClose(bob.account, {"from": alice.account})
    assert closed.events["Closed"]["refund"] == 0


def test_collectStake_failsInTheGrace(scene, relay, alice, bob):
    until = judge(scene, alice, bob, 100).timestamp + GRACE
    wait(GRACE - 60)
    with reverts("GraceRunning", until):
        collect(scene, alice, bob)


def test_collectStake_failsIfNothingLacks(scene, relay, alice, bob):
    with reverts("NothingLacking"):
        collect(scene, alice, bob)
    judge(scene, alice, bob, 100)
    scene.open(alice, bob, 100)
    wait(GRACE)
    with reverts("NothingLacking"):
        collect(scene, alice, bob)
    assert scene.registry.relay(1)[4] == 0


def test_collectStake_failsWithoutStake(scene, relay, alice, bob, carol):
    judge(scene, carol, bob, 100)  # an owner, but no operator
    judge(scene, alice, bob, 100)
    wait(GRACE)
    with reverts("NoStake"):
        collect(scene, carol, bob)
    scene.registry.leave(1, {"from": carol.account})
    wait(UNBONDING)
    scene.registry.withdrawStake(1, carol.account, {"from": carol.account})
    with reverts("NoStake"):
        collect(scene, alice, bob)
