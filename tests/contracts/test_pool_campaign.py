"""SubsidyPool: campaigns, keys, withdrawals."""

from __future__ import annotations

import pytest
from scene import CLAIM_WINDOW, HOP_PRICE, NOTICE, TERM, WITHDRAWAL_NOTICE, ZERO, reverts, wait

from mixpay.crypto.hashing import keccak256

KEY = keccak256(b"key")
ANOTHER = keccak256(b"another key")


@pytest.fixture
def campaign(scene, alice, bob):
    """Alice's, signed by Bob, holding 1,000."""
    scene.pool.createCampaign(bob.account, 500, 200, {"from": alice.account})
    scene.give(alice.account, scene.pool, 1000)
    scene.pool.fund(1, 1000, {"from": alice.account})
    return 1


def test_parameters(scene):
    pool = scene.pool
    assert (pool.CHANNELS(), pool.REGISTRY(), pool.NETWORK()) == (
        scene.channels,
        scene.registry,
        scene.network,
    )
    assert (pool.TERM_LENGTH(), pool.CLAIM_WINDOW()) == (TERM, CLAIM_WINDOW)
    assert pool.WITHDRAWAL_NOTICE() == WITHDRAWAL_NOTICE


@pytest.mark.parametrize(("term", "window", "notice"), [(0, 1, 2), (1, 2, 2)])
def test_constructor_failsIfParametersAreInvalid(scene, contracts, term, window, notice):
    with reverts("InvalidParameters"):
        contracts.SubsidyPool.deploy(
            scene.channels, scene.registry, scene.network, term, window, notice, {"from": scene.deployer}
        )


def test_constructor_failsIfTheRegistryPaysElsewhere(scene, contracts):
    by = {"from": scene.deployer}
    another = contracts.Channels.deploy(scene.token, NOTICE, scene.court, by)
    with reverts("InvalidParameters"):
        contracts.SubsidyPool.deploy(another, scene.registry, scene.network, 1, 1, 2, by)


def test_createCampaign(scene, alice, bob):
    transaction = scene.pool.createCampaign(bob.account, 500, 200, {"from": alice.account})
    assert transaction.return_value == scene.pool.campaignCount() == 1
    event = transaction.events["CampaignCreated"]
    assert (event["campaign"], event["sponsor"], event["signer"]) == (1, alice.account, bob.account)
    assert (event["periodCap"], event["relayCap"]) == (500, 200)
    assert scene.pool.campaign(1) == (bob.account, 0, 200, 500, 0, alice.account, 0)
    assert scene.pool.campaign(2) == (ZERO, 0, 0, 0, 0, ZERO, 0)


def test_createCampaign_failsWithoutSigner(scene, alice):
    with reverts("InvalidSigner"):
        scene.pool.createCampaign(ZERO, 500, 200, {"from": alice.account})


def test_fund_byAnyone(scene, campaign, carol):
    scene.give(carol.account, scene.pool, 300)
    event = scene.pool.fund(campaign, 300, {"from": carol.account}).events["CampaignFunded"]
    assert dict(event) == {"campaign": 1, "from": carol.account, "amount": 300}
    assert scene.pool.campaign(1)[1] == 1300
    assert scene.channels.balanceOf(scene.pool) == 1300
    assert scene.token.balanceOf(scene.pool) == 0


def test_fund_failsWithoutCampaignOrTokens(scene, campaign, carol):
    with reverts("UnknownCampaign", 2):
        scene.pool.fund(2, 1, {"from": carol.account})
    with reverts("ERC20InsufficientAllowance", scene.pool, 0, 1):
        scene.pool.fund(campaign, 1, {"from": carol.account})


def test_setKey_bySponsorOrSigner(scene, campaign, alice, bob):
    transaction = scene.pool.setKey(campaign, 1, 3, KEY, {"from": alice.account})
    event = transaction.events["KeySet"]
    assert (event["campaign"], event["kind"], event["period"]) == (1, 1, 3)
    assert (event["keyHash"], event["hopPrice"]) == ("0x" + KEY.hex(), HOP_PRICE)
    scene.pool.setKey(campaign, 2, 3, ANOTHER, {"from": bob.account})
    assert scene.pool.key(campaign, 1, 3) == ("0x" + KEY.hex(), HOP_PRICE)
    assert scene.pool.key(campaign, 2, 3) == ("0x" + ANOTHER.hex(), HOP_PRICE)
    assert scene.pool.key(campaign, 1, 4) == ("0x" + 64 * "0", 0)


def test_setKey_isWrittenOnce(scene, campaign, alice):
    scene.pool.setKey(campaign, 1, 3, KEY, {"from": alice.account})
    for key in (KEY, ANOTHER):
        with reverts("KeyAlreadySet"):
            scene.pool.setKey(campaign, 1, 3, key, {"from": alice.account})


def test_setKey_closesWhenTheBeaconIsDrawn(scene, campaign, alice):
    scene.pool.setKey(campaign, 1, 1, KEY, {"from": alice.account})
    scene.go_to(3)
    scene.pool.setKey(campaign, 2, 1, KEY, {"from": alice.account})  # term 1 begins with epoch 4
    scene.registry.freeze({"from": alice.account})
    for kind, period, first in ((1, 4, 4), (1, 3, 3), (1, 0, 0), (2, 0, 0)):
        with reverts("KeyTooLate", first):
            scene.pool.setKey(campaign, kind, period, KEY, {"from": alice.account})
    scene.pool.setKey(campaign, 1, 5, KEY, {"from": alice.account})


def test_setKey_failsIfInvalid(scene, campaign, alice, carol):
    with reverts("NotSponsorOrSigner"):
        scene.pool.setKey(campaign, 1, 3, KEY, {"from": carol.account})
    with reverts("NotSponsorOrSigner"):
        scene.pool.setKey(9, 1, 3, KEY, {"from": alice.account})
    for kind in (0, 3):
        with reverts("InvalidKind", kind):
            scene.pool.setKey(campaign, kind, 3, KEY, {"from": alice.account})
    with reverts("InvalidKey"):
        scene.pool.setKey(campaign, 1, 3, bytes(32), {"from": alice.account})


def test_setKey_takesThePriceOfItsPeriod(scene, campaign, alice):
    scene.network.publish((scene.registry, scene.channels, scene.pool, 2, 77, 5), {"from": scene.deployer})
    for period, price in ((4, HOP_PRICE), (5, 77)):
        scene.pool.setKey(campaign, 1, period, KEY, {"from": alice.account})
        assert scene.pool.key(campaign, 1, period)[1] == price


def test_setSigner(scene, campaign, alice, bob, carol):
    assert scene.pool.formerSigner(campaign) == (ZERO, 0)
    transaction = scene.pool.setSigner(campaign, carol.account, {"from": alice.account})
    until = transaction.timestamp + CLAIM_WINDOW
    event = transaction.events["SignerChanged"]
    assert dict(event) == {"campaign": 1, "signer": carol.account, "formerUntil": until}
    assert scene.pool.campaign(1)[0] == carol.account
    assert scene.pool.formerSigner(campaign) == (bob.account, until)


def test_setSigner_failsWhileTheFormerOnesVouchersAreValid(scene, campaign, alice, bob, carol):
    transaction = scene.pool.setSigner(campaign, carol.account, {"from": alice.account})
    with reverts("FormerSignerValid", transaction.timestamp + CLAIM_WINDOW):
        scene.pool.setSigner(campaign, alice.account, {"from": alice.account})
    wait(CLAIM_WINDOW + 1)
    scene.pool.setSigner(campaign, bob.account, {"from": alice.account})
    assert scene.pool.formerSigner(campaign)[0] == carol.account


def test_setSigner_failsForOthersOrToNobody(scene, campaign, alice, bob):
    with reverts("NotSponsor"):
        scene.pool.setSigner(campaign, bob.account, {"from": bob.account})
    with reverts("NotSponsor"):
        scene.pool.setSigner(9, bob.account, {"from": alice.account})
    with reverts("InvalidSigner"):
        scene.pool.setSigner(campaign, ZERO, {"from": alice.account})


def test_withdrawal_paysAfterItsNotice(scene, campaign, alice, carol):
    request = scene.pool.requestWithdrawal(campaign, 600, {"from": alice.account})
    due = request.timestamp + WITHDRAWAL_NOTICE
    event = request.events["WithdrawalRequested"]
    assert dict(event) == {"campaign": 1, "amount": 600, "withdrawableAt": due}
    assert scene.pool.campaign(1)[4] == due
    with reverts("NoticeRunning", due):
        scene.pool.finishWithdrawal(campaign, carol.account, {"from": alice.account})
    wait(WITHDRAWAL_NOTICE)
    finish = scene.pool.finishWithdrawal(campaign, carol.account, {"from": alice.account})
    event = finish.events["WithdrawalFinished"]
    assert dict(event) == {"campaign": 1, "to": carol.account, "amount": 600}
    assert scene.token.balanceOf(carol.account) == 600
    assert scene.channels.balanceOf(scene.pool) == scene.pool.campaign(1)[1] == 400
    with reverts("WithdrawalNotRequested"):
        scene.pool.finishWithdrawal(campaign, carol.account, {"from": alice.account})


def test_withdrawal_isReplacedAndTakenBack(scene, campaign, alice):
    scene.pool.requestWithdrawal(campaign, 600, {"from": alice.account})
    wait(WITHDRAWAL_NOTICE)
    due = scene.pool.requestWithdrawal(campaign, 700, {"from": alice.account}).timestamp + WITHDRAWAL_NOTICE
    with reverts("NoticeRunning", due):
        scene.pool.finishWithdrawal(campaign, alice.account, {"from": alice.account})
    taken_back = scene.pool.requestWithdrawal(campaign, 0, {"from": alice.account})
    assert taken_back.events["WithdrawalRequested"]["withdrawableAt"] == 0
    with reverts("WithdrawalNotRequested"):
        scene.pool.finishWithdrawal(campaign, alice.account, {"from": alice.account})


def test_withdrawal_failsForOthersOrAboveTheBudget(scene, campaign, alice, bob, carol):
    for other in (bob, carol):
        with reverts("NotSponsor"):
            scene.pool.requestWithdrawal(campaign, 1, {"from": other.account})
        with reverts("NotSponsor"):
            scene.pool.finishWithdrawal(campaign, other.account, {"from": other.account})
    with reverts("ExceedsBudget", 1000, 1001):
        scene.pool.requestWithdrawal(campaign, 1001, {"from": alice.account})
    with reverts("NotSponsor"):
        scene.pool.requestWithdrawal(9, 0, {"from": alice.account})
