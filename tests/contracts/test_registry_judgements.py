"""RelayRegistry: slash, condemn, settlePenalty, and what they leave to withdrawStake."""

from __future__ import annotations

import pytest
from scene import EPOCH, PENALTY, STAKE, UNBONDING, ZERO, judged_by, person, reverts, wait

BOUNTY = PENALTY // 20


@pytest.fixture(scope="module")
def judge(module_isolation):
    """An ordinary account in the court's place."""
    return person("judge")


@pytest.fixture(scope="module")
def stakes(scene, contracts, judge, alice, bob):
    """A registry of its own with one relay: alice owns it, bob operates it."""
    made = judged_by(scene, contracts, judge.account)
    made.register(alice, bob)
    return made


def slash(stakes, judge, wanted, relay=1):
    return stakes.registry.slash(relay, wanted, {"from": judge.account})


def condemn(stakes, judge, reporter, relay=1):
    return stakes.registry.condemn(relay, reporter.account, {"from": judge.account})


def names(transaction):
    """Of the registry's own events, in order."""
    return [event.name for event in transaction.events if event.address == transaction.receiver]


def check_held(stakes):
    """I1 of the registry."""
    left = sum(stakes.registry.stakeLeft(relay) for relay in range(1, 4))
    assert stakes.token.balanceOf(stakes.registry) == left + stakes.registry.burnt()


def test_slash_evictsALivingRelay_andPaysTheCourt(stakes, judge, alice):
    wait(EPOCH)
    transaction = slash(stakes, judge, 300)
    due = transaction.timestamp + UNBONDING
    assert transaction.return_value == 300
    assert names(transaction) == ["Frozen", "Left", "Slashed"]
    assert dict(transaction.events["Left"]) == {"id": 1, "position": 0, "withdrawableAt": due}
    assert dict(transaction.events["Slashed"]) == {"id": 1, "amount": 300}
    assert dict(transaction.events["Deposited"]) == {"account": judge.account, "amount": 300}
    assert stakes.channels.balanceOf(judge.account) == 300
    assert stakes.token.allowance(stakes.registry, stakes.channels) == 0
    assert stakes.registry.root() == stakes.registry.relay(1)[2] == "0x" + 64 * "0"
    assert stakes.registry.relay(1)[4] == due
    assert stakes.registry.stakeLeft(1) == STAKE - 300
    check_held(stakes)


def test_slash_ofARelayThatHasLeft_changesNoDate(stakes, judge, alice):
    due = stakes.registry.leave(1, {"from": alice.account}).events["Left"]["withdrawableAt"]
    wait(100)
    transaction = slash(stakes, judge, 5)
    assert names(transaction) == ["Slashed"]
    assert stakes.registry.relay(1)[4] == due


def test_slash_takesNoMoreThanThereIs(stakes, judge, alice):
    within = STAKE - PENALTY - 7
    assert slash(stakes, judge, within).return_value == within
    assert slash(stakes, judge, 2**96 - 1).return_value == 7
    nothing = slash(stakes, judge, 1)
    assert (nothing.return_value, len(nothing.events)) == (0, 0)
    wait(UNBONDING)
    event = stakes.registry.withdrawStake(1, alice.account, {"from": alice.account}).events["StakeWithdrawn"]
    assert event["amount"] == PENALTY, "which is lost by equivocation only"
    check_held(stakes)


def test_slash_doesNothingWhereNothingIsAtStake(stakes, judge, alice):
    for relay, wanted in ((1, 0), (0, 5), (2, 5)):
        nothing = slash(stakes, judge, wanted, relay)
        assert (nothing.return_value, len(nothing.events)) == (0, 0)
    assert stakes.registry.relay(1)[4] == 0
    stakes.registry.leave(1, {"from": alice.account})
    wait(UNBONDING)
    stakes.registry.withdrawStake(1, alice.account, {"from": alice.account})
    assert slash(stakes, judge, 5).return_value == 0
    assert stakes.channels.balanceOf(judge.account) == 0


def test_withdrawStake_paysTheRestAfterASlash(stakes, judge, alice, carol):
    due = slash(stakes, judge, 300).events["Left"]["withdrawableAt"]
    with reverts("RelayHasLeft"):
        stakes.registry.leave(1, {"from": alice.account})
    with reverts("StakeBound", due):
        stakes.registry.withdrawStake(1, carol.account, {"from": alice.account})
    wait(UNBONDING)
    slash(stakes, judge, 50)  # not too late while it is here
    event = stakes.registry.withdrawStake(1, carol.account, {"from": alice.account}).events["StakeWithdrawn"]
    assert dict(event) == {"id": 1, "to": carol.account, "amount": STAKE - 350}
    assert stakes.token.balanceOf(carol.account) == STAKE - 350
    check_held(stakes)


def test_condemn_evictsALivingRelay(stakes, judge, carol):
    wait(EPOCH)
    transaction = condemn(stakes, judge, carol)
    assert names(transaction) == ["Frozen", "Left", "Condemned"]
    assert dict(transaction.events["Condemned"]) == {"id": 1, "reporter": carol.account}
    assert stakes.registry.relay(1)[4] == transaction.timestamp + UNBONDING
    assert stakes.registry.reporterOf(1) == carol.account
    assert stakes.registry.reporterOf(2) == ZERO
    assert stakes.registry.stakeLeft(1) == STAKE


def test_condemn_ofARelayThatHasLeft_changesNoDate(stakes, judge, alice, carol):
    due = stakes.registry.leave(1, {"from": alice.account}).events["Left"]["withdrawableAt"]
    wait(100)
    assert names(condemn(stakes, judge, carol)) == ["Condemned"]
    assert stakes.registry.relay(1)[4] == due


def test_condemn_fails(stakes, judge, alice, carol):
    with reverts("InvalidRecipient"):
        stakes.registry.condemn(1, ZERO, {"from": judge.account})
    with reverts("RelayGone"):
        condemn(stakes, judge, carol, relay=2)
    condemn(stakes, judge, carol)
    with reverts("AlreadyCondemned"):
        condemn(stakes, judge, alice)
    wait(UNBONDING)
    stakes.registry.withdrawStake(1, alice.account, {"from": alice.account})
    with reverts("RelayGone"):
        condemn(stakes, judge, carol)


def test_onlyTheCourt_judges(stakes, alice, bob, carol):
    for who in (alice, bob, carol):
        with reverts("NotCourt"):
            slash(stakes, who, 1)
        with reverts("NotCourt"):
            condemn(stakes, who, carol)


@pytest.mark.parametrize("owner_first", [True, False])
def test_settlePenalty_paysTheReporterAndBurnsTheRest(stakes, judge, alice, bob, carol, owner_first):
    condemn(stakes, judge, carol)
    slash(stakes, judge, 11)
    if owner_first:
        wait(UNBONDING)
        stakes.registry.withdrawStake(1, alice.account, {"from": alice.account})
        assert stakes.registry.stakeLeft(1) == PENALTY
        check_held(stakes)
    transaction = stakes.registry.settlePenalty(1, {"from": bob.account})
    expected = {"id": 1, "reporter": carol.account, "bounty": BOUNTY, "burnt": PENALTY - BOUNTY}
    assert dict(transaction.events["PenaltySettled"]) == expected
    if not owner_first:
        assert stakes.registry.stakeLeft(1) == STAKE - PENALTY - 11
        wait(UNBONDING)
        stakes.registry.withdrawStake(1, alice.account, {"from": alice.account})
    assert stakes.token.balanceOf(alice.account) == STAKE - PENALTY - 11
    assert stakes.channels.balanceOf(carol.account) == BOUNTY
    assert stakes.registry.burnt() == stakes.token.balanceOf(stakes.registry) == PENALTY - BOUNTY
    check_held(stakes)
    with reverts("PenaltyAlreadySettled"):
        stakes.registry.settlePenalty(1, {"from": carol.account})


def test_settlePenalty_isOutOfJudgementsReach(stakes, judge, alice, carol):
    assert slash(stakes, judge, STAKE).return_value == STAKE - PENALTY
    condemn(stakes, judge, carol)
    assert slash(stakes, judge, 1).return_value == 0
    event = stakes.registry.settlePenalty(1, {"from": carol.account}).events["PenaltySettled"]
    assert (event["bounty"], event["burnt"]) == (BOUNTY, PENALTY - BOUNTY)
    assert slash(stakes, judge, 1).return_value == 0
    wait(UNBONDING)
    stakes.registry.withdrawStake(1, alice.account, {"from": alice.account})
    assert stakes.token.balanceOf(alice.account) == 0
    check_held(stakes)


def test_settlePenalty_fails(stakes, judge, alice, carol):
    with reverts("NotCondemned"):
        stakes.registry.settlePenalty(1, {"from": carol.account})
    condemn(stakes, judge, carol)
    with reverts("NotCondemned"):
        stakes.registry.settlePenalty(2, {"from": carol.account})
