"""SubsidyPool: claim, within budget and caps (I5)."""

from __future__ import annotations

import pytest
from scene import CLAIM_WINDOW, reverts, wait

from mixpay import eip712


@pytest.fixture
def claim(scene, alice, bob):
    """Submit a voucher of campaign 1: Bob signs; 1,000 in all, 500 a period, 200 a relay and period."""
    scene.pool.createCampaign(bob.account, 500, 200, {"from": alice.account})
    scene.give(alice.account, scene.pool, 1000)
    scene.pool.fund(1, 1000, {"from": alice.account})

    def submit(relay, period, total):
        return scene.claim_pool(bob, 1, relay, period, total)

    return submit


def test_claim_paysTheDifference(scene, claim, carol):
    first = claim(carol, 0, 30)
    assert first.return_value == 30
    event = first.events["PoolClaimed"]
    assert (event["campaign"], event["relay"], event["period"]) == (1, carol.account, 0)
    assert (event["amount"], event["claimed"]) == (30, 30)
    assert claim(carol, 0, 50).return_value == 20
    assert claim(carol, 0, 50).return_value == 0
    assert claim(carol, 0, 40).return_value == 0
    assert scene.channels.balanceOf(carol.account) == 50
    assert scene.pool.claimedBy(1, carol.account) == (50, 0, 50, True)
    assert scene.pool.paidInPeriod(1, 0) == 50
    assert scene.pool.campaign(1)[1] == scene.channels.balanceOf(scene.pool) == 950


def test_claim_isCappedByRelayAndPaysOnLater(scene, claim, carol):
    assert claim(carol, 0, 350).return_value == 200
    assert claim(carol, 0, 350).return_value == 0
    scene.go_to(1)
    assert claim(carol, 1, 350).return_value == 150
    assert scene.pool.claimedBy(1, carol.account) == (350, 1, 150, True)


def test_claim_isCappedByPeriod(scene, claim, alice, bob, carol):
    assert [claim(relay, 0, 200).return_value for relay in (alice, bob, carol)] == [200, 200, 100]
    scene.go_to(1)
    assert claim(carol, 1, 200).return_value == 100
    assert scene.pool.paidInPeriod(1, 0) == 500


def test_claim_isCappedByBudgetAndPaysAfterFunding(scene, claim, alice, carol):
    for period in range(5):
        scene.go_to(period)
        assert claim(carol, period, 2000).return_value == 200
    scene.go_to(5)
    assert claim(carol, 5, 2000).return_value == 0
    scene.give(alice.account, scene.pool, 70)
    scene.pool.fund(1, 70, {"from": alice.account})
    assert claim(carol, 5, 2000).return_value == 70


def test_claim_failsOutsideItsTime(scene, claim, carol):
    with reverts("PeriodInFuture", 1):
        claim(carol, 1, 10)
    closed_at = scene.network.epochStart(1) + CLAIM_WINDOW
    wait(CLAIM_WINDOW)
    assert claim(carol, 0, 10).return_value == 10
    scene.go_to(4)
    with reverts("ClaimWindowOver", 0, closed_at):
        claim(carol, 0, 20)


def test_claim_failsForAnOlderPeriodThanClaimed(scene, claim, carol):
    scene.go_to(2)
    claim(carol, 2, 10)
    with reverts("PeriodTooOld", 1, 2):
        claim(carol, 1, 20)


def test_claim_failsIfNotSignedByTheSigner(scene, claim, alice, bob, carol):
    def refused(campaign, relay, period, total, signature):
        with reverts("InvalidSignature"):
            scene.pool.claim(campaign, period, total, *eip712.compact(signature), {"from": relay.account})

    scene.pool.createCampaign(bob.account, 500, 200, {"from": alice.account})
    scene.go_to(1)
    signed = scene.pool_voucher(bob, 1, carol, 1, 30)
    refused(1, carol, 1, 30, scene.pool_voucher(alice, 1, carol, 1, 30))
    refused(2, carol, 1, 30, signed)
    refused(3, carol, 1, 30, signed)
    refused(1, carol, 0, 30, signed)
    refused(1, carol, 1, 31, signed)
    refused(1, carol, 1, 30, signed[:32] + (2**256 - 1).to_bytes(32, "big") + signed[64:])


def test_claim_failsForAnybodyButTheRelay(scene, claim, alice, bob, carol):
    """A sponsor could otherwise claim a small voucher for a relay, and so end its right to redeem passes."""
    signed = eip712.compact(scene.pool_voucher(bob, 1, carol, 0, 30))
    for other in (alice, bob):
        with reverts("InvalidSignature"):
            scene.pool.claim(1, 0, 30, *signed, {"from": other.account})


def test_claim_byTheFormerSigner(scene, claim, alice, bob, carol):
    claim(carol, 0, 10)
    scene.pool.setSigner(1, alice.account, {"from": alice.account})
    assert claim(carol, 0, 20).return_value == 10  # Bob still
    assert scene.claim_pool(alice, 1, carol, 0, 25).return_value == 5
    wait(CLAIM_WINDOW + 1)
    epoch = scene.network.currentEpoch()
    with reverts("InvalidSignature"):
        claim(carol, epoch, 30)
    assert scene.claim_pool(alice, 1, carol, epoch, 30).return_value == 5


def test_claim_failsWithAChannelVoucher(scene, claim, bob, carol):
    digest = eip712.PoolVoucher(1, carol.raw, 0, 30).digest(scene.channels_domain)
    with reverts("InvalidSignature"):
        signed = eip712.compact(eip712.sign(bob.key, digest))
        scene.pool.claim(1, 0, 30, *signed, {"from": carol.account})
