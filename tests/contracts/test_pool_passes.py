"""SubsidyPool: redeemPasses, with passes as users and issuers make them, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import brownie
import pytest
from issuing import ENDPOINTS, Issuing, as_tuple, earlier, spent, words
from scene import CLAIM_WINDOW, HOP_PRICE, TERM, WITHDRAWAL_NOTICE, person, reverts, wait

from mixpay.crypto.blind_rsa import SecretKey
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX

TICK = 5 * HOP_PRICE
PERIOD = 2
CAP = 10**6 * TICK


@pytest.fixture(scope="module")
def relays(module_isolation):
    """Three operators."""
    return tuple(person(name) for name in ("anna", "bert", "cleo"))


@pytest.fixture(scope="module")
def key():
    """The campaign's, of every period."""
    return SecretKey.generate()


@pytest.fixture(scope="module")
def issuing(scene, alice, bob, relays, key):
    """Alice's campaign, signed for by Bob; the period is over."""
    scene.pool.createCampaign(bob.account, CAP, CAP, {"from": alice.account})
    scene.give(alice.account, scene.pool, CAP)
    scene.pool.fund(1, CAP, {"from": alice.account})
    for kind, period in ((KIND_ENTRY, PERIOD), (KIND_ENTRY, PERIOD + 1), (KIND_MAILBOX, 1)):
        scene.pool.setKey(1, kind, period, key.public.key_hash(), {"from": bob.account})
    for relay, endpoint in zip(relays, ENDPOINTS, strict=True):
        scene.register(alice, relay, endpoint)
    scene.go_to(1)
    scene.registry.freeze({"from": alice.account})
    scene.go_to(PERIOD + 1)
    return Issuing(scene, relays, key)


@pytest.fixture
def good(issuing):
    """A pass of the first relay, spent up to tick 300."""
    return issuing.entry_pass(PERIOD, 300)


def digest(issuing, redemption):
    return issuing.scope(KIND_ENTRY, PERIOD).digest(redemption.anchor)


def refuses(name, *values):
    """Expect a custom error that names a pass (brownie prints bytes as Python does)."""
    return brownie.reverts(f"{name}: {', '.join(map(repr, values))}")


def test_redeemPasses_paysAndSaysSo(scene, issuing, good):
    anna = issuing.relays[0].account
    assert not scene.pool.isRedeemed(digest(issuing, good))
    transaction = issuing.redeem(PERIOD, good)
    assert transaction.return_value == 300 * TICK
    event = transaction.events["PassesRedeemed"]
    assert (event["campaign"], event["relay"], event["kind"], event["period"]) == (1, anna, 1, PERIOD)
    assert (event["amount"], event["claimed"]) == (300 * TICK, 300 * TICK)
    assert [bytes(anchor) for anchor in event["anchors"]] == [good.anchor]
    assert list(event["ticks"]) == [300]
    assert scene.pool.isRedeemed(digest(issuing, good))
    assert scene.pool.claimedBy(1, anna) == (300 * TICK, PERIOD, 300 * TICK, False)
    assert scene.pool.paidInPeriod(1, PERIOD) == scene.channels.balanceOf(anna) == 300 * TICK
    assert scene.pool.campaign(1)[1] == scene.channels.balanceOf(scene.pool) == CAP - 300 * TICK


def test_redeemPasses_severalAtOnce_fromTheFirstTickToTheLast(scene, issuing):
    passes = [issuing.entry_pass(PERIOD, tick, position=2) for tick in (1, 257, 16_384)]
    assert issuing.redeem(PERIOD, *passes, position=2).return_value == (1 + 257 + 16_384) * TICK
    assert scene.channels.balanceOf(issuing.relays[2].account) == (1 + 257 + 16_384) * TICK


def test_redeemPasses_ofATerm_countInItsLastEpoch(scene, issuing):
    last = 2 * TERM - 1
    scene.go_to(last)
    shown = spent(issuing.issue(KIND_MAILBOX, 1, TERM, 1), 7)
    with reverts("PeriodNotOver", last, scene.network.epochStart(last + 1)):
        issuing.redeem(1, shown, kind=KIND_MAILBOX, position=1)
    scene.go_to(last + 1)
    issuing.redeem(1, shown, kind=KIND_MAILBOX, position=1)
    assert scene.pool.claimedBy(1, issuing.relays[1].account) == (7 * TICK, last, 7 * TICK, False)


def test_redeemPasses_failsTwice(issuing, good):
    issuing.redeem(PERIOD, good)
    for again in (good, earlier(good)):
        with refuses("PassRedeemed", digest(issuing, good)):
            issuing.redeem(PERIOD, again)


def test_redeemPasses_failsTwiceInOneCall(scene, issuing, good):
    with refuses("PassRedeemed", digest(issuing, good)):
        issuing.redeem(PERIOD, good, good)
    assert not scene.pool.isRedeemed(digest(issuing, good))


def test_redeemPasses_failsOutsideItsTime(scene, issuing, good):
    ends = scene.network.epochStart(PERIOD + 1)
    late = issuing.entry_pass(PERIOD + 1, 1)
    with reverts("PeriodNotOver", PERIOD + 1, ends + 3600):
        issuing.redeem(PERIOD + 1, late)
    wait(CLAIM_WINDOW)
    with reverts("ClaimWindowOver", PERIOD, ends + CLAIM_WINDOW):
        issuing.redeem(PERIOD, good)


def test_redeemPasses_afterVouchersOfEarlierPeriodsOnly(scene, issuing, bob, good):
    anna = issuing.relays[0]
    scene.claim_pool(bob, 1, anna, PERIOD - 1, 5 * TICK)
    issuing.redeem(PERIOD, good)
    assert scene.claim_pool(bob, 1, anna, PERIOD, 306 * TICK).return_value == TICK
    with reverts("VoucherClaimed", PERIOD):
        issuing.redeem(PERIOD, issuing.entry_pass(PERIOD, 1))
    scene.claim_pool(bob, 1, anna, PERIOD + 1, 307 * TICK)
    with reverts("PeriodTooOld", PERIOD, PERIOD + 1):
        issuing.redeem(PERIOD, issuing.entry_pass(PERIOD, 1))


def test_redeemPasses_failsAboveTheLimits_andSpendsNothing(scene, issuing, alice, good):
    scene.pool.requestWithdrawal(1, CAP - 100 * TICK, {"from": alice.account})
    wait(WITHDRAWAL_NOTICE)  # after it the term is over as well
    scene.pool.finishWithdrawal(1, alice.account, {"from": alice.account})
    shown = spent(issuing.issue(KIND_MAILBOX, 1, TERM, 0), 101)
    with reverts("ExceedsLimits", 100 * TICK, 101 * TICK):
        issuing.redeem(1, shown, kind=KIND_MAILBOX)
    assert issuing.redeem(1, earlier(shown), kind=KIND_MAILBOX).return_value == 100 * TICK


def test_redeemPasses_failsWithAnotherKey(scene, issuing, good):
    by, place = {"from": issuing.relays[0].account}, issuing.place(0)
    other = words(SecretKey.generate().public.to_bytes())
    for campaign, kind, modulus in ((1, 1, other), (2, 1, issuing.modulus), (1, 3, issuing.modulus)):
        with reverts("InvalidKey"):
            scene.pool.redeemPasses(campaign, kind, PERIOD, modulus, place, [as_tuple(good)], by)


def test_redeemPasses_failsWithoutPasses(issuing):
    with reverts("NoPasses"):
        issuing.redeem(PERIOD)


def test_redeemPasses_failsForAnotherSignature(issuing, good):
    elsewhere = replace(issuing.entry_pass(PERIOD, 1), anchor=good.anchor)
    above = (int.from_bytes(good.signature, "big") + issuing.key.public.n) % 2**2048
    for signature in (elsewhere.signature, above.to_bytes(256, "big"), bytes(256)):
        with refuses("InvalidPassSignature", digest(issuing, good)):
            issuing.redeem(PERIOD, replace(good, signature=signature))


def test_redeemPasses_failsForAnotherTick(issuing, good):
    wrong = (
        replace(good, tick=replace(good.tick, k=good.tick.k + 1)),
        replace(good, tick=replace(good.tick, chain=0)),
        replace(good, tick=replace(good.tick, link=bytes(32))),
        replace(good, proof=(bytes(32), *good.proof[1:])),
    )
    for changed in wrong:
        with refuses("InvalidTick", digest(issuing, good)):
            issuing.redeem(PERIOD, changed)


def test_redeemPasses_failsForAnotherRelay(scene, issuing, good, carol):
    with refuses("WrongRelay", digest(issuing, good), 0):
        issuing.redeem(PERIOD, good, position=1)
    shown = [as_tuple(good)]
    for who, place in ((carol, issuing.place(0)), (issuing.relays[0], issuing.place(1))):
        with reverts("InvalidRelayProof"):
            scene.pool.redeemPasses(
                1, KIND_ENTRY, PERIOD, issuing.modulus, place, shown, {"from": who.account}
            )
