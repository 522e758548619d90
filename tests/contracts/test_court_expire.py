"""ReceiptCourt: expire."""

from __future__ import annotations

import pytest
from scene import ANSWER_WINDOW, FINISH_WINDOW, HOUR, reverts, wait
from trial import Trial, judgement, tickets


@pytest.fixture
def trial(scene, alice, bob):
    """Bob's case, about as much as he likes."""
    made = Trial(scene, alice, bob, tickets(7))
    scene.credit(bob.account, made.bond)
    made.open()
    return made


def expire(trial, by):
    return trial.scene.court.expire(trial.case, {"from": by.account})


def check_lost(trial, done):
    scene, alice, bob = trial.scene, trial.payer.account, trial.payee.account
    assert dict(done.events["CaseExpired"]) == {"payer": alice, "payee": bob, "bond": trial.bond}
    assert dict(done.events["Moved"]) == {"from": scene.court, "to": alice, "amount": trial.bond}
    assert scene.channels.balanceOf(alice) == trial.bond
    assert scene.channels.balanceOf(bob) == scene.channels.balanceOf(scene.court) == 0
    assert scene.court.openCase(alice, bob) == ("0x" + 64 * "0", "0x" + 64 * "0")
    assert judgement(scene, trial.payer, trial.payee) == (0, 0, 0)


def test_expire_afterTheFinishWindow(trial, carol):
    trial.draw()
    wait(ANSWER_WINDOW + FINISH_WINDOW)
    check_lost(trial, expire(trial, carol))


def test_expire_whenNoSeedWasRecorded(trial, carol, chain):
    chain.mine(260)  # this call's block is the first in which the hash is gone
    check_lost(trial, expire(trial, carol))


def test_expire_failsAsLongAsASeedCanBeRecorded(trial, carol, chain):
    chain.mine(258)
    with reverts("CaseRunning"):
        expire(trial, carol)


def test_expire_failsAsLongAsItCanBeFinished(trial, carol, chain):
    trial.draw()
    wait(ANSWER_WINDOW + FINISH_WINDOW - HOUR)
    chain.mine(260)
    with reverts("CaseRunning"):
        expire(trial, carol)


def test_expire_failsTwice_andAfterAnAnswer(scene, trial, bob, carol):
    trial.answer(trial.worth, 1)
    with reverts("NoCase"):
        expire(trial, carol)
    trial.number = 2
    trial.open()
    wait(ANSWER_WINDOW + FINISH_WINDOW)
    expire(trial, carol)
    with reverts("NoCase"):
        expire(trial, carol)


def test_expire_leavesTheWayToANewCase(scene, trial, bob, carol):
    trial.draw()
    wait(ANSWER_WINDOW + FINISH_WINDOW)
    expire(trial, carol)
    assert trial.win().events["Judged"]["number"] == 1
