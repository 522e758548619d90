"""Channels: what only the court may do, and claimJudgement."""

from __future__ import annotations

import pytest
from scene import HOUR, NOTICE, judged_by, person, reverts
from trial import judge, judgement


@pytest.fixture(scope="module")
def bench(module_isolation):
    """An ordinary account in the court's place."""
    return person("bench")


@pytest.fixture(scope="module")
def channels(scene, contracts, bench):
    """A ledger of its own, whose court is that account."""
    return judged_by(scene, contracts, bench.account)


def test_nobodyElse(scene, alice, bob):
    for method, arguments in (
        (scene.channels.takeBond, (alice.account, 0)),
        (scene.channels.hold, (alice.account, bob.account, 2**40 - 1)),
        (scene.channels.markJudged, (alice.account, bob.account)),
        (scene.channels.fundFromStake, (alice.account, bob.account, 0)),
    ):
        for caller in (alice, bob):
            with reverts("NotCourt"):
                method(*arguments, {"from": caller.account})


def test_takeBond(channels, bench, bob):
    channels.credit(bob.account, 100)
    done = channels.channels.takeBond(bob.account, 60, {"from": bench.account})
    assert dict(done.events["Moved"]) == {"from": bob.account, "to": bench.account, "amount": 60}
    with reverts("InsufficientBalance", 40, 41):
        channels.channels.takeBond(bob.account, 41, {"from": bench.account})


def test_hold_oncePerRequest(channels, bench, alice, bob):
    channels.open(alice, bob, 100)
    due = channels.channels.requestClose(bob.account, {"from": alice.account}).timestamp + NOTICE

    def hold(until):
        return channels.channels.hold(alice.account, bob.account, until, {"from": bench.account}).events

    assert "Held" not in hold(due)
    held = dict(hold(due + HOUR)["Held"])
    assert held == {"payer": alice.account, "payee": bob.account, "closesAt": due + HOUR}
    assert "Held" not in hold(due + 2 * HOUR)
    channels.channels.fund(bob.account, 0, {"from": alice.account})
    assert "Held" not in hold(due + 2 * HOUR)
    channels.channels.requestClose(bob.account, {"from": alice.account})
    assert "Held" in hold(due + 3 * HOUR)


def test_hold_notAfterTheNotice(channels, bench, alice, bob, chain):
    channels.open(alice, bob, 100)
    due = channels.channels.requestClose(bob.account, {"from": alice.account}).timestamp + NOTICE
    chain.sleep(NOTICE + 1)
    done = channels.channels.hold(alice.account, bob.account, due + 9 * HOUR, {"from": bench.account})
    assert len(done.events) == 0
    channels.channels.finishClose(bob.account, {"from": alice.account})


def test_fundFromStake(channels, bench, alice, bob):
    channels.open(alice, bob, 100)
    channels.credit(bench.account, 50)
    due = channels.channels.requestClose(bob.account, {"from": alice.account}).timestamp + NOTICE
    done = channels.channels.fundFromStake(alice.account, bob.account, 50, {"from": bench.account})
    event = dict(done.events["Funded"])
    assert event == {"payer": alice.account, "payee": bob.account, "amount": 50, "deposit": 150}
    assert channels.channels.channel(alice.account, bob.account) == (150, 0, due)
    with reverts("InsufficientBalance", 0, 1):
        channels.channels.fundFromStake(alice.account, bob.account, 1, {"from": bench.account})


def test_claimJudgement_withinTheDeposit(scene, alice, bob, carol):
    scene.open(alice, bob, 60)
    judge(scene, alice, bob, 100)
    before = scene.channels.balanceOf(bob.account)
    scene.claim(alice, bob, 10)
    paid = scene.channels.claimJudgement(alice.account, bob.account, {"from": carol.account})
    event = dict(paid.events["Claimed"])
    assert event == {"payer": alice.account, "payee": bob.account, "amount": 50, "claimed": 60}
    scene.open(alice, bob, 100)
    for amount in (40, 0):
        paid = scene.channels.claimJudgement(alice.account, bob.account, {"from": carol.account})
        assert paid.return_value == amount
    assert scene.channels.balanceOf(bob.account) - before == 100


def test_claimJudgement_paysNothingWhereNothingIsJudged(scene, alice, bob, carol):
    scene.open(alice, bob, 60)
    judge(scene, alice, carol, 100)
    judge(scene, bob, alice, 100)
    assert judgement(scene, alice, bob) == (0, 0, 0)
    paid = scene.channels.claimJudgement(alice.account, bob.account, {"from": bob.account})
    assert (paid.return_value, len(paid.events)) == (0, 0)


def test_release_paysWhatIsJudgedFirst(scene, alice, bob):
    scene.open(alice, bob, 100)
    judge(scene, alice, bob, 70)
    done = scene.channels.release(alice.account, {"from": bob.account})
    assert done.events["Claimed"]["amount"] == 70
    assert done.events["Released"]["refund"] == 30
