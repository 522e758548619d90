"""ReceiptCourt: answer."""

from __future__ import annotations

import pytest
from scene import ANSWER_WINDOW, FINISH_WINDOW, HOUR, reverts, wait
from trial import Trial, judge, judgement, tickets


@pytest.fixture
def trial(scene, alice, bob):
    """Bob's case about batch 3 upon Alice's voucher for 777."""
    made = Trial(scene, alice, bob, tickets(7), number=3)
    scene.credit(bob.account, made.bond)
    made.open(made.base(777))
    return made


def test_answer_endsTheCaseWithoutCosts(scene, trial, alice, bob):
    total = 777 + trial.worth
    done = trial.answer(total, 3)
    event = dict(done.events["CaseAnswered"])
    signed = "0x" + scene.voucher(alice, bob, total, 3).hex()
    assert event.pop("signature") == signed
    assert event == {"payer": alice.account, "payee": bob.account, "cumulative": total, "uptoBatch": 3}
    judged = {"payer": alice.account, "payee": bob.account, "number": 3, "total": total}
    assert dict(done.events["Judged"]) == judged
    assert judgement(scene, alice, bob) == (total, 3, done.timestamp)
    assert scene.channels.balanceOf(bob.account) == trial.bond
    assert scene.court.openCase(alice.account, bob.account)[0] == "0x" + 64 * "0"
    with reverts("NoCase"):
        trial.answer(total, 3)


def test_answer_judgesTheVoucher(scene, trial, alice, bob, carol):
    done = trial.answer(2**96 - 1, 3, by=carol)
    assert judgement(scene, alice, bob) == (2**96 - 1, 3, done.timestamp)


def test_answer_uptoALaterBatch_byThePayee(scene, trial, alice, bob):
    done = trial.answer(777 + trial.worth, 9, by=bob)
    assert judgement(scene, alice, bob) == (777 + trial.worth, 9, done.timestamp)
    assert scene.channels.balanceOf(bob.account) == trial.bond


@pytest.mark.parametrize("who", ["alice", "carol"])
def test_answer_uptoALaterBatch_sparesTheCosts(scene, trial, alice, bob, request, who):
    total = 10**18
    done = trial.answer(total, 4, by=request.getfixturevalue(who))
    event = dict(done.events["CaseAdmitted"])
    assert event.pop("signature") == "0x" + scene.voucher(alice, bob, total, 4).hex()
    assert event == {"payer": alice.account, "payee": bob.account, "cumulative": total, "uptoBatch": 4}
    assert judgement(scene, alice, bob) == (0, 0, 0)
    samples = trial.evidence.samples(trial.draw())
    wait(ANSWER_WINDOW)
    proven = trial.finish(samples)
    assert judgement(scene, alice, bob) == (777 + trial.worth, 3, proven.timestamp)
    assert scene.channels.balanceOf(bob.account) == trial.bond


def test_answer_uptoALaterBatch_leavesTheBondAtStake(scene, trial, alice, bob):
    trial.answer(777 + trial.worth, 4)
    wait(ANSWER_WINDOW + FINISH_WINDOW)
    scene.court.expire(trial.case, {"from": bob.account})
    assert scene.channels.balanceOf(alice.account) == trial.bond


def test_answer_isGoodInTheAnswerWindow(scene, trial, alice, bob):
    trial.draw()
    wait(ANSWER_WINDOW - HOUR)
    trial.answer(777 + trial.worth, 3)
    assert scene.channels.balanceOf(bob.account) == trial.bond


@pytest.mark.parametrize("when", [ANSWER_WINDOW, ANSWER_WINDOW + FINISH_WINDOW])
def test_answer_isThePayeesAlone_afterTheAnswerWindow(scene, trial, alice, bob, carol, when):
    trial.draw()
    wait(when)
    for who in (alice, carol):
        with reverts("AnswerWindowOver", trial.case["openedAt"] + ANSWER_WINDOW):
            trial.answer(777 + trial.worth, 3, by=who)
    trial.answer(777 + trial.worth, 3, by=bob)
    assert scene.channels.balanceOf(bob.account) == trial.bond


def test_answer_keepsALargerJudgement(scene, trial, alice, bob):
    trial.answer(777 + trial.worth, 3)
    larger = 777 + trial.worth + 5
    judge(scene, alice, bob, larger)
    before = judgement(scene, alice, bob)
    again = Trial(scene, alice, bob, tickets(7), number=5)
    scene.credit(bob.account, again.bond)
    again.open(again.base(777))
    assert "Judged" not in again.answer(larger, 5).events
    assert judgement(scene, alice, bob) == before


def test_answer_failsIfItAdmitsLess(trial):
    total = 777 + trial.worth
    for less in ((total - 1, 3), (total, 2), (total - 1, 2), (0, 2**32 - 1)):
        with reverts("InsufficientAnswer"):
            trial.answer(*less)


def test_answer_failsIfItIsNotThePayers(scene, trial, alice, bob, carol):
    total = 777 + trial.worth
    for signature in (
        scene.voucher(carol, bob, total, 3),
        scene.voucher(alice, carol, total, 3),
        scene.voucher(alice, bob, total + 1, 3),
        scene.voucher(alice, bob, total, 4),
        trial.signed(),
        b"",
    ):
        with reverts("InvalidSignature"):
            scene.court.answer(trial.case, total, 3, signature, {"from": carol.account})
