"""ReceiptCourt: record and finish, proven by the library's Evidence."""

from __future__ import annotations

import pytest
from brownie.exceptions import VirtualMachineError
from scene import ANSWER_WINDOW, COST, FINISH_WINDOW, HOUR, reverts, wait
from trial import NOTHING, Trial, changed, judgement, tickets

REFUSED = r"InvalidSamples|NoReceipt"


@pytest.fixture
def start(scene, alice, bob):
    """Open a case about some tickets."""

    def open_case(receipts, **words):
        made = Trial(scene, alice, bob, receipts, **words)
        scene.credit(bob.account, made.bond)
        made.open(made.base(777) if made.number > 1 else NOTHING)
        return made

    return open_case


# ---------------------------------------------------------------- record


def test_record_keepsTheHashOfTheFourthBlock(scene, start, alice, bob, carol, chain):
    trial = start(tickets(3))
    block = trial.case["openBlock"]
    chain.mine(4)
    recorded = scene.court.record(trial.case, {"from": carol.account})
    assert recorded.block_number == block + 5
    seed = "0x" + chain[block + 4]["hash"].hex().removeprefix("0x")
    assert dict(recorded.events["SeedDrawn"]) == {"payer": alice.account, "payee": bob.account, "seed": seed}
    assert scene.court.openCase(alice.account, bob.account)[1] == seed


def test_record_failsBeforeThatBlockHasAHash(scene, start, carol, chain):
    trial = start(tickets(3))
    chain.mine(3)
    with reverts("SeedBlockUnavailable", trial.case["openBlock"] + 4):
        scene.court.record(trial.case, {"from": carol.account})


def test_record_failsWhenItsHashIsForgotten(scene, start, carol, chain):
    trial = start(tickets(3))
    chain.mine(260)
    with reverts("SeedBlockUnavailable", trial.case["openBlock"] + 4):
        scene.court.record(trial.case, {"from": carol.account})


def test_record_isForOnce(scene, start, carol):
    trial = start(tickets(3))
    trial.draw()
    with reverts("SeedRecorded"):
        scene.court.record(trial.case, {"from": carol.account})


# ---------------------------------------------------------------- finish


@pytest.mark.parametrize(
    ("count", "unopened"),
    [(1, ()), (2, (0,)), (3, ()), (33, range(5, 30)), (300, range(0, 300, 7))],
    ids=["one", "half", "three", "many missing", "a batch"],
)
def test_finish_judgesWhatTheLibraryProves(scene, start, alice, bob, carol, count, unopened):
    trial = start(tickets(count, unopened), number=4)
    seed = trial.draw()
    wait(ANSWER_WINDOW)
    done = trial.finish(trial.evidence.samples(seed), by=carol)
    total = 777 + trial.worth + COST
    event = dict(done.events["Judged"])
    assert event == {"payer": alice.account, "payee": bob.account, "number": 4, "total": total}
    assert judgement(scene, alice, bob) == (total, 4, done.timestamp)
    moved = dict(done.events["Moved"])
    assert moved == {"from": scene.court, "to": bob.account, "amount": trial.bond}
    assert scene.channels.balanceOf(scene.court) == 0
    assert scene.court.openCase(alice.account, bob.account) == ("0x" + 64 * "0", "0x" + 64 * "0")


def test_finish_isPaidAsAVoucherIs(scene, start, alice, bob, carol):
    trial = start(tickets(5))
    seed = trial.draw()
    wait(ANSWER_WINDOW)
    trial.finish(trial.evidence.samples(seed))
    total = trial.worth + COST
    scene.open(alice, bob, total - 10)
    paid = scene.channels.claimJudgement(alice.account, bob.account, {"from": carol.account})
    event = dict(paid.events["Claimed"])
    assert event == {
        "payer": alice.account,
        "payee": bob.account,
        "amount": total - 10,
        "claimed": total - 10,
    }
    scene.open(alice, bob, 50)
    again = scene.channels.claimJudgement(alice.account, bob.account, {"from": carol.account})
    assert again.return_value == 10
    assert scene.claim(alice, bob, total).return_value == 0


def test_finish_isPaidBeforeTheChannelCloses(scene, start, alice, bob):
    scene.open(alice, bob, 10**18)
    trial = start(tickets(5))
    seed = trial.draw()
    scene.channels.requestClose(bob.account, {"from": alice.account})
    wait(ANSWER_WINDOW)
    trial.finish(trial.evidence.samples(seed))
    wait(ANSWER_WINDOW + HOUR)
    closed = scene.channels.finishClose(bob.account, {"from": alice.account})
    total = trial.worth + COST
    assert closed.events["Claimed"]["amount"] == total
    assert closed.events["Closed"]["refund"] == 10**18 - total


def test_finish_failsWithoutSeed(start):
    trial = start(tickets(3))
    wait(ANSWER_WINDOW)
    with reverts("SeedMissing"):
        trial.finish(b"")


def test_finish_failsOutsideItsTime(start):
    trial = start(tickets(3))
    samples = trial.evidence.samples(trial.draw())
    opened = trial.case["openedAt"]
    window = opened + ANSWER_WINDOW, opened + ANSWER_WINDOW + FINISH_WINDOW
    for seconds in (ANSWER_WINDOW - HOUR, HOUR + FINISH_WINDOW):
        wait(seconds)
        with reverts("OutsideFinishWindow", *window):
            trial.finish(samples)


def test_finish_failsIfTheSamplesAreNotThose(start):
    trial = start(tickets(300))
    seed = trial.draw()
    wait(ANSWER_WINDOW)
    good = trial.evidence.samples(seed)
    for bad in (b"", good + b"\0"):
        with reverts("InvalidSamples"):
            trial.try_finish(bad)
    with reverts("NoReceipt"):
        trial.try_finish(changed(good, 1, 0x80))  # a place beyond the tree
    head = 1 + 4 * good[0]
    others = [changed(good, place) for place in (0, 4, head, head + 39, head + 71, len(good) - 1)]
    for bad in [
        good[:-1],
        *others,
        trial.evidence.samples(changed(seed, 0)),
        trial.evidence.samples(bytes(32)),
    ]:
        with pytest.raises(VirtualMachineError, match=REFUSED):
            trial.try_finish(bad)
    trial.finish(good)


def test_finish_failsWithoutTheReceipts(scene, start):
    trial = start(tickets(40))
    seed = trial.draw()
    wait(ANSWER_WINDOW)
    for missing in (range(20, 40), range(0, 40, 2)):
        other = Trial(scene, trial.payer, trial.payee, tickets(40, missing))
        with pytest.raises(VirtualMachineError, match=REFUSED):
            trial.try_finish(other.evidence.samples(seed))


def test_finish_failsIfALeafIsNoReceipt(scene, start):
    trial = start(tickets(1))
    good = trial.evidence.samples(trial.draw())
    wait(ANSWER_WINDOW)
    with reverts("NoReceipt"):
        trial.finish(changed(good, 36))  # the response's last byte


def test_finish_failsIfTheCaseIsAnotherOrOver(scene, start):
    trial = start(tickets(3))
    samples = trial.evidence.samples(trial.draw())
    wait(ANSWER_WINDOW)
    case = trial.case
    for place, value in ((2, 1), (3, 7), (6, case["openedAt"] - 1), (7, case["openBlock"] + 1)):
        words = list(case)
        words[place] = value
        trial.case = tuple(words)
        with reverts("NoCase"):
            trial.finish(samples)
    trial.case = case
    trial.finish(samples)
    with reverts("NoCase"):
        trial.finish(samples)
