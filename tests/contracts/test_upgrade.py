"""A second release of every contract, published by a timelock: the first pays on, until it is empty."""

from __future__ import annotations

from typing import Any

import pytest
from brownie import Contract, chain
from governing import interface, second_release, through, timelock
from scene import (
    GRACE,
    HOP_PRICE,
    NOTICE,
    STAKE,
    UNBONDING,
    WITHDRAWAL_NOTICE,
    ZERO,
    Person,
    Scene,
    reverts,
    wait,
)

from mixpay import eip712
from mixpay.types import Amount, Value

ACTIVATION = 40
BUDGET, CAP = 10**18, 10**17
FIVE = 5 * HOP_PRICE


@pytest.fixture
def governor(accounts: Any) -> Any:
    return accounts[5]


@pytest.fixture
def moved(scene: Scene, contracts: Any, governor: Any, alice: Person, bob: Person) -> tuple[Scene, Scene]:
    """Money in every place of the first release, then a second one in force."""
    scene.register(alice, alice, "alice:1")
    scene.register(alice, bob, "bob:1")
    scene.open(alice, bob, 1_000)
    scene.open(bob, alice, 700)
    scene.give(alice.account, scene.pool, BUDGET)
    scene.pool.createCampaign(bob.account, CAP, CAP, {"from": alice.account})
    scene.pool.fund(1, BUDGET, {"from": alice.account})
    lock = timelock(scene, governor)
    second = second_release(scene, contracts)
    named = (second.registry, second.channels, second.pool, 1, 3 * HOP_PRICE, ACTIVATION)
    through(lock, governor, scene.network, scene.network.publish.encode_input(named))
    assert scene.network.release()[0] == scene.registry
    scene.go_to(ACTIVATION)
    assert scene.network.release()[:3] == (second.registry, second.channels, second.pool)
    return scene, second


def test_vouchers_arePaidByTheOldChannels(moved: tuple[Scene, Scene], alice: Person, bob: Person) -> None:
    first, second = moved
    assert first.claim(alice, bob, 600, batch=3).return_value == 600
    assert first.claim(alice, bob, 1_500, batch=4).return_value == 400, "the rest of the deposit"
    first.credit(alice.account, 500)
    first.channels.fund(bob.account, 500, {"from": alice.account})
    assert first.claim(alice, bob, 1_500, batch=4).return_value == 500, "a channel is topped up as ever"
    signature = first.voucher(alice, bob, 1_500, 4)
    second.open(alice, bob, 2_000)
    with reverts("InvalidSignature"):
        second.channels.claim(alice.account, bob.account, 1_500, 4, signature, {"from": bob.account})
    assert second.channels.balanceOf(bob.account) == 0


def test_channels_areClosedAndEmptied(moved: tuple[Scene, Scene], alice: Person, bob: Person) -> None:
    first, _ = moved
    first.channels.requestClose(bob.account, {"from": alice.account})
    first.claim(alice, bob, 250)
    wait(NOTICE)
    closed = first.channels.finishClose(bob.account, {"from": alice.account})
    assert closed.events["Closed"]["refund"] == 750
    first.channels.release(bob.account, {"from": alice.account})
    for person, amount in ((alice, 750), (bob, 950)):
        assert first.channels.balanceOf(person.account) == amount
        first.channels.withdraw(person.account, amount, {"from": person.account})
    assert first.token.balanceOf(first.channels) == BUDGET, "what is left is the campaign's"


def test_court_judgesOn_andTakesTheOldStake(moved: tuple[Scene, Scene], alice: Person, bob: Person) -> None:
    """A judgement for batch 1, admitted by the payer's own voucher; its channel does not hold so much."""
    first, _ = moved
    batch = (1, 10, Value(10), Amount(HOP_PRICE), b"\1" * 32)
    message = eip712.Batch(alice.raw, bob.raw, *batch)
    signed = eip712.sign(alice.key, message.digest(first.channels_domain))
    first.credit(bob.account, FIVE)
    claim = (0, 0, b""), batch, signed, b"\2" * 32, 10
    opened = first.court.open(alice.account, *claim, {"from": bob.account})
    case = opened.events["CaseOpened"]["case_"]
    total = 10 * HOP_PRICE
    first.court.answer(case, total, 1, first.voucher(alice, bob, total, 1), {"from": bob.account})
    pair = (alice.account, bob.account, {"from": bob.account})
    assert first.channels.claimJudgement(*pair).return_value == 1_000
    wait(GRACE)
    taken = first.court.collectStake(*pair).return_value
    assert taken == total - 1_000
    assert first.channels.balanceOf(bob.account) == total + FIVE
    relay = first.registry.relayOf(alice.account)
    assert first.registry.stakeLeft(relay) == STAKE - taken


def test_stakes_arePaidOutByTheOldRegistry(moved: tuple[Scene, Scene], alice: Person, bob: Person) -> None:
    first, second = moved
    before = first.token.balanceOf(alice.account)
    for relay in (1, 2):
        first.registry.leave(relay, {"from": alice.account})
    with reverts("StakeBound", chain[-1].timestamp + UNBONDING):
        first.registry.withdrawStake(2, alice.account, {"from": alice.account})
    wait(UNBONDING)
    for relay in (1, 2):
        first.registry.withdrawStake(relay, alice.account, {"from": alice.account})
    assert first.token.balanceOf(alice.account) == before + 2 * STAKE
    assert first.token.balanceOf(first.registry) == 0
    with reverts("InvalidSignature"):  # a consent names the registry
        consent = first.consent(bob, alice)
        second.registry.register(bob.account, b"\1" * 32, "bob:2", consent, {"from": alice.account})
    second.give(alice.account, second.registry, 2 * STAKE)
    consent = second.consent(bob, alice)
    joined = second.registry.register(bob.account, b"\1" * 32, "bob:2", consent, {"from": alice.account})
    assert joined.return_value == 1, "the same operator, and ids from the beginning"


def test_budgets_pay_andComeBack(moved: tuple[Scene, Scene], alice: Person, bob: Person) -> None:
    first, second = moved
    period = ACTIVATION - 1
    first.claim_pool(bob, 1, alice, period, FIVE)
    assert first.channels.balanceOf(alice.account) == FIVE
    assert first.pool.campaign(1)["budget"] == BUDGET - FIVE
    second.pool.createCampaign(bob.account, CAP, CAP, {"from": alice.account})
    second.give(alice.account, second.pool, BUDGET)
    second.pool.fund(1, BUDGET, {"from": alice.account})
    signed = eip712.compact(first.pool_voucher(bob, 1, alice, period, 2 * FIVE))
    with reverts("InvalidSignature"):
        second.pool.claim(1, period, 2 * FIVE, *signed, {"from": alice.account})
    first.pool.requestWithdrawal(1, BUDGET - FIVE, {"from": alice.account})
    wait(WITHDRAWAL_NOTICE)
    before = first.token.balanceOf(alice.account)
    first.pool.finishWithdrawal(1, alice.account, {"from": alice.account})
    assert first.token.balanceOf(alice.account) == before + BUDGET - FIVE


def test_keys_carryTheHopPriceOfTheirEpoch(moved: tuple[Scene, Scene], alice: Person) -> None:
    """Also in the old pool, for whoever still needs it: the price is Network's, the budget is its own."""
    first, second = moved
    for scene in (first, second):
        if scene is second:
            scene.pool.createCampaign(alice.account, CAP, CAP, {"from": alice.account})
        scene.pool.setKey(1, 1, ACTIVATION + 3, b"\7" * 32, {"from": alice.account})
        assert scene.pool.key(1, 1, ACTIVATION + 3) == ("0x" + "07" * 32, 3 * HOP_PRICE)


def test_anotherReleaseLater_goesBackToTheFirst(
    moved: tuple[Scene, Scene], governor: Any, alice: Person, bob: Person
) -> None:
    first, _ = moved
    lock = Contract.from_abi("TimelockController", first.network.owner(), interface("TimelockController"))
    back = (first.registry, first.channels, first.pool, 1, HOP_PRICE, ACTIVATION + 50)
    through(lock, governor, first.network, first.network.publish.encode_input(back))
    assert first.network.releaseAt(ACTIVATION + 50)[:3] == back[:3]
    assert first.claim(alice, bob, 600).return_value == 600
    assert first.network.pendingOwner() == ZERO
