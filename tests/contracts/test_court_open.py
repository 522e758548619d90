"""ReceiptCourt: open."""

from __future__ import annotations

import pytest
from scene import (
    ANSWER_WINDOW,
    COST,
    FINISH_WINDOW,
    GRACE,
    HOP_PRICE,
    HOUR,
    NOTICE,
    UNBONDING,
    reverts,
    wait,
)
from trial import NOTHING, Trial, judge, judgement, tickets

from mixpay.crypto.hashing import keccak256

WORD = [
    "address",
    "address",
    "uint96",
    "uint64",
    "(uint32,uint32,uint64,uint96,bytes32)",
    "bytes32",
    "uint40",
    "uint64",
]


@pytest.fixture
def trial(scene, alice, bob):
    """Bob has carried three tickets for Alice, and can pay the bond."""
    made = Trial(scene, alice, bob, tickets(3))
    scene.credit(bob.account, made.bond)
    return made


def test_parameters(scene):
    court = scene.court
    assert (court.CHANNELS(), court.REGISTRY()) == (scene.channels, scene.registry)
    assert (court.ANSWER_WINDOW(), court.FINISH_WINDOW()) == (ANSWER_WINDOW, FINISH_WINDOW)
    assert (court.GRACE(), court.COST()) == (GRACE, COST)


@pytest.mark.parametrize(
    "windows",
    [
        (0, HOUR, GRACE, COST),
        (HOUR, 0, GRACE, COST),
        (ANSWER_WINDOW, NOTICE - ANSWER_WINDOW + 1, GRACE, COST),
        (ANSWER_WINDOW, FINISH_WINDOW, UNBONDING - NOTICE - ANSWER_WINDOW - FINISH_WINDOW, COST),
    ],
    ids=["no answer", "no finish", "longer than the notice", "longer than unbonding"],
)
def test_constructor_failsIfTimesDoNotFit(scene, contracts, windows):
    with reverts("InvalidParameters"):
        contracts.ReceiptCourt.deploy(scene.channels, scene.registry, windows, {"from": scene.deployer})


def test_constructor_failsIfNotNamed(scene, contracts):
    windows = ANSWER_WINDOW, FINISH_WINDOW, GRACE, COST  # which fit: but the first court has the name
    with reverts("InvalidParameters"):
        contracts.ReceiptCourt.deploy(scene.channels, scene.registry, windows, {"from": scene.deployer})


def test_open_keepsTheHashAndTakesTheBond(scene, trial, alice, bob, web3):
    opened = trial.open()
    event = opened.events["CaseOpened"]
    assert (event["payer"], event["payee"]) == (alice.account, bob.account)
    case = event["case_"]
    assert (case["payer"], case["payee"]) == (alice.account, bob.account)
    assert (case["base"], case["amount"]) == (0, 6)
    assert (case["openedAt"], case["openBlock"]) == (opened.timestamp, opened.block_number)
    assert case["receiptsRoot"] == "0x" + trial.tree.root.hex()
    encoded = web3.codec.encode(["(" + ",".join(WORD) + ")"], [plain(case)])
    stored = scene.court.openCase(alice.account, bob.account)
    assert stored == ("0x" + keccak256(encoded).hex(), "0x" + 64 * "0")
    moved = opened.events["Moved"]
    assert dict(moved) == {"from": bob.account, "to": scene.court, "amount": trial.bond}
    assert scene.channels.balanceOf(bob.account) == 0
    assert scene.channels.balanceOf(scene.court) == trial.bond


def plain(value):
    """A struct of an event as nested tuples."""
    if isinstance(value, str) and value.startswith("0x") and len(value) == 66:
        return bytes.fromhex(value[2:])
    return tuple(map(plain, value)) if isinstance(value, (tuple, list)) else value


@pytest.mark.parametrize("upto", [7, 3, 0])
def test_open_uponAVoucher(trial, upto):
    trial.number = 8
    assert trial.open(trial.base(777, upto)).events["CaseOpened"]["case_"]["base"] == 777


@pytest.mark.parametrize("number", [2, 9])
def test_open_uponAJudgement(scene, trial, alice, bob, number):
    judge(scene, alice, bob, 1000)
    trial.number = number
    assert trial.open((1000, 1, b"")).events["CaseOpened"]["case_"]["base"] == 1000


def test_open_uponNothing_whateverCameBefore(trial):
    trial.number = 9  # the eight before it held no receipt
    assert trial.open().events["CaseOpened"]["case_"]["base"] == 0


def test_open_holdsAClosingChannel(scene, trial, alice, bob):
    scene.open(alice, bob, 100)
    scene.channels.requestClose(bob.account, {"from": alice.account})
    wait(NOTICE - HOUR)
    opened = trial.open()
    until = opened.timestamp + ANSWER_WINDOW + FINISH_WINDOW
    assert dict(opened.events["Held"]) == {"payer": alice.account, "payee": bob.account, "closesAt": until}
    assert scene.channels.channel(alice.account, bob.account) == (100, 0, until)


def test_open_leavesACloseThatEndsLater(scene, trial, alice, bob):
    scene.open(alice, bob, 100)
    closing = scene.channels.requestClose(bob.account, {"from": alice.account})
    assert "Held" not in trial.open().events
    assert scene.channels.channel(alice.account, bob.account)[2] == closing.timestamp + NOTICE


def test_open_oneCaseForEachPayerAndPayee(scene, trial, alice, bob, carol):
    trial.open()
    with reverts("CaseOpen"):
        trial.open()
    other = Trial(scene, carol, bob, tickets(2))
    scene.credit(bob.account, other.bond)
    other.open()


def test_open_failsIfNothingIsClaimed(scene, trial):
    number, count, value, price, root = trial.batch
    for changes in (
        {"amount": 0},
        {"batch": (number, 0, value, price, root)},
        {"batch": (number, count, value, 0, root)},
        {"batch": (number, count, 0, price, root), "amount": 0},
    ):
        with reverts("NothingClaimed"):
            trial.open(**changes)


def test_open_failsIfAllIsPaid(scene, trial, alice, bob):
    scene.open(alice, bob, 10**18)
    scene.claim(alice, bob, trial.worth, by=alice.account)
    with reverts("NothingClaimed"):
        trial.open()
    more = Trial(scene, alice, bob, [*tickets(3), tickets(4)[3]])  # one ticket that is not paid
    scene.credit(bob.account, more.bond)
    more.open()


@pytest.mark.parametrize("missing", [(), (2,), (0, 1, 2)])
def test_open_failsIfTheBatchIsWorthLess(scene, alice, bob, missing):
    """More than the payer can owe, it could not admit; and luck would prove it."""
    trial = Trial(scene, alice, bob, tickets(3, unopened=missing))
    scene.credit(bob.account, 3 * HOP_PRICE)
    for amount in (7, 2**64 - 1):
        with reverts("ExceedsBatch", 6):
            trial.open(amount=amount)
    assert trial.open(amount=6).events["CaseOpened"]["case_"]["amount"] == 6


def test_open_failsIfTheBatchIsOfNoValue(trial):
    number, count, _, price, root = trial.batch
    with reverts("ExceedsBatch", 0):
        trial.open(batch=(number, count, 0, price, root), amount=1)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_open_failsIfTheBatchIsJudged(scene, trial, alice, bob, number):
    """Upon whatever was owed before: luck may have proven what it had no receipts for, and is tried once."""
    judge(scene, alice, bob, 700)
    judge(scene, alice, bob, 800)
    third = judge(scene, alice, bob, 1000)
    assert judgement(scene, alice, bob) == (1000, 3, third.timestamp)
    trial.number = number
    for base in (NOTHING, trial.base(10**6)):
        with reverts("AlreadyJudged", 3):
            trial.open(base)
    trial.number = 4
    trial.open()


@pytest.mark.parametrize("number", [1, 2])
def test_open_failsIfTheBatchWasProven(scene, alice, bob, number):
    first = Trial(scene, alice, bob, tickets(3), number)
    first.win()
    scene.credit(bob.account, first.bond)
    with reverts("AlreadyJudged", number):
        first.open()
    again = Trial(scene, alice, bob, tickets(3), number + 1)
    again.open()


def test_open_ofABatchThatOthersWereJudgedFor(scene, trial, alice, bob, carol):
    judge(scene, alice, carol, 1000)
    judge(scene, carol, bob, 1000)
    judge(scene, bob, alice, 1000)
    trial.open()


def test_open_again_ifNothingWasProven(scene, trial, alice, bob):
    trial.open()
    wait(ANSWER_WINDOW + FINISH_WINDOW)
    scene.court.expire(trial.case, {"from": alice.account})
    scene.credit(bob.account, trial.bond)
    trial.open()


@pytest.mark.parametrize(
    ("number", "total", "upto"),
    [(0, 0, 0), (1, 1000, 1), (2, 5, 0), (2, 1000, 0), (2, 999, 1), (3, 1000, 2), (3, 0, 1)],
)
def test_open_failsIfTheBaseIsFromNothing(scene, trial, alice, bob, number, total, upto):
    judge(scene, alice, bob, 1000)  # of batch 1
    trial.number = number
    with reverts("InvalidBase"):
        trial.open((total, upto, b""))


@pytest.mark.parametrize("upto", [5, 6, 2**32 - 1])
def test_open_failsIfTheBaseCoversTheBatch(trial, upto):
    trial.number = 5
    with reverts("InvalidBase"):
        trial.open(trial.base(777, upto))


def test_open_failsIfTheBaseIsAnothersJudgement(scene, trial, alice, bob, carol):
    judge(scene, alice, carol, 1000)
    judge(scene, carol, bob, 1000)
    trial.number = 2
    with reverts("InvalidBase"):
        trial.open((1000, 1, b""))


def test_open_failsIfTheBaseWasNotSigned(scene, trial, alice, bob, carol):
    trial.number = 5
    for base in (
        (777, 4, scene.voucher(alice, bob, 777, 5)),
        (777, 4, scene.voucher(alice, bob, 777, 3)),
        (778, 4, scene.voucher(alice, bob, 777, 4)),
        (777, 4, scene.voucher(carol, bob, 777, 4)),
        (777, 4, scene.voucher(alice, carol, 777, 4)),
        (777, 4, bytes(65)),
    ):
        with reverts("InvalidSignature"):
            trial.open(base)


def test_open_failsIfTheBatchWasNotSigned(scene, trial, alice, bob, carol):
    number, count, value, price, root = trial.batch
    for changes in (
        {"signature": trial.signed(by=carol)},
        {"signature": trial.signed(payee=carol)},
        {"signature": trial.signed()[:64]},
        {"signature": b""},
        {"batch": (number, count + 1, value, price, root)},
        {"batch": (number, count, value + 1, price, root)},
        {"batch": (number, count, value, price + 1, root)},
        {"batch": (number, count, value, price, keccak256(root))},
    ):
        with reverts("InvalidSignature"):
            trial.open(**changes)


def test_open_failsIfTheTotalIsTooLarge(scene, trial, bob):
    trial.number = 2
    most = 2**96 - 1 - COST - trial.worth
    with reverts("TotalTooLarge"):
        trial.open(trial.base(most + 1))
    trial.open(trial.base(most))


def test_open_failsWithoutTheBond(scene, trial, carol, bob):
    scene.channels.move(carol.account, 1, {"from": bob.account})
    with reverts("InsufficientBalance", trial.bond - 1, trial.bond):
        trial.open()
