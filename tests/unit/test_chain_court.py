"""The court's calls and reports, on a real chain, with samples made by `mixpay.court`."""

from __future__ import annotations

import pytest

from chain_world import World
from court_scene import PRICE, Scene
from mixpay.chain import events
from mixpay.chain.errors import Reverted
from mixpay.chain.follower import Follower
from mixpay.parameters import DEMO
from mixpay.types import Amount


def reports(world: World, follower: Follower) -> list[events.Event]:
    found: list[events.Event] = []
    while True:
        batch = follower.poll()
        found += batch.events
        if batch.head == batch.latest:
            return found


@pytest.fixture
def follower(world: World) -> Follower:
    made = Follower(world.rpc, world.deployment, contracts=["ReceiptCourt"])
    reports(world, made)
    return made


def test_caseIsJudged_byItsSamples(world: World, follower: Follower) -> None:
    scene = Scene(world)
    suit = scene.suit(50, lacking=frozenset({3, 17}))
    case = scene.open(suit)
    pair = scene.payer.account, scene.payee.account
    assert scene.court.open_case(*pair) == (case.hash, bytes(32))
    assert world.contracts.channels.balance_of(scene.payee.account) == 10**18 - case.bond
    world.chain.mine(5)
    scene.payee.send(scene.court.record(case))
    seed = scene.court.open_case(*pair)[1]
    world.chain.advance_time(DEMO.answer_window)
    scene.payee.send(scene.court.finish(case, suit.evidence.samples(seed)))
    judged = scene.court.judgement(*pair)
    assert (judged.total, judged.number) == (48 * 4 * PRICE + DEMO.court_cost, 1)
    assert judged.judged_at == world.rpc.latest().timestamp
    assert world.contracts.channels.balance_of(scene.payee.account) == 10**18

    opened, drawn, told = reports(world, follower)
    assert isinstance(opened, events.CaseOpened) and opened.case == case
    assert isinstance(drawn, events.SeedDrawn) and drawn.seed == seed
    assert isinstance(told, events.Judged) and (told.number, told.total) == (1, judged.total)


def test_caseIsAnswered_byAVoucher(world: World, follower: Follower) -> None:
    scene = Scene(world)
    case = scene.open(scene.suit(10))
    voucher = scene.voucher(case.total, 1)
    scene.payer.send(scene.court.answer(case, *voucher))
    _, answered, judged = reports(world, follower)
    assert isinstance(answered, events.CaseAnswered)
    assert (answered.cumulative, answered.upto_batch, answered.signature) == voucher
    assert isinstance(judged, events.Judged) and judged.total == case.total == 40 * PRICE


def test_caseIsAdmitted_byAVoucherUpToALaterBatch_andEndedByItIfThePayeeShowsIt(
    world: World, follower: Follower
) -> None:
    scene = Scene(world)
    case = scene.open(scene.suit(10))
    voucher = scene.voucher(Amount(case.total + PRICE), 3)
    scene.payer.send(scene.court.answer(case, *voucher))
    scene.payee.send(scene.court.answer(case, *voucher))
    _, admitted, answered, judged = reports(world, follower)
    assert isinstance(admitted, events.CaseAdmitted)
    assert (admitted.cumulative, admitted.upto_batch, admitted.signature) == voucher
    assert isinstance(answered, events.CaseAnswered)
    assert isinstance(judged, events.Judged) and (judged.total, judged.number) == voucher[:2]


def test_secondCase_buildsOnTheFirstJudgement(world: World) -> None:
    scene = Scene(world)
    first = scene.open(scene.suit(10))
    scene.payer.send(scene.court.answer(first, *scene.voucher(first.total, 1)))
    second = scene.open(scene.suit(5, number=2), base=first.total, upto_batch=1)
    assert second.total == 60 * PRICE


def test_case_buildsOnAVoucherOfAnEarlierBatch_orOnNothing(world: World) -> None:
    scene = Scene(world)
    skipping = scene.open(scene.suit(10, number=3))
    assert (skipping.base, skipping.total) == (0, 40 * PRICE)
    scene = Scene(world)
    base, upto_batch, signature = scene.voucher(Amount(7 * PRICE), 1)
    assert scene.open(scene.suit(10, number=4), base, upto_batch, signature).total == 47 * PRICE
    scene = Scene(world)
    with pytest.raises(Reverted, match="InvalidBase"):
        scene.open(scene.suit(10, number=2), *scene.voucher(Amount(7), 2))


def test_lateAnswer_isThePayees(world: World) -> None:
    scene = Scene(world)
    case = scene.open(scene.suit(10))
    world.chain.advance_time(DEMO.answer_window)
    voucher = scene.voucher(case.total, 1)
    with pytest.raises(Reverted, match="AnswerWindowOver"):
        scene.payer.send(scene.court.answer(case, *voucher))
    scene.payee.send(scene.court.answer(case, *voucher))
    assert scene.court.judgement(scene.payer.account, scene.payee.account).total == case.total


def test_expiredCase_losesTheBond(world: World, follower: Follower) -> None:
    scene = Scene(world)
    case = scene.open(scene.suit(10))
    with pytest.raises(Reverted, match="CaseRunning"):
        scene.payer.send(scene.court.expire(case))
    world.chain.advance_time(DEMO.answer_window + DEMO.finish_window)
    scene.payer.send(scene.court.expire(case))
    assert world.contracts.channels.balance_of(scene.payer.account) == case.bond
    told = reports(world, follower)[-1]
    assert isinstance(told, events.CaseExpired) and told.bond == case.bond


def test_stakePays_whatTheChannelLacks(world: World, follower: Follower) -> None:
    relay, operator = world.register()
    scene = Scene(world, payer=world.operator(relay))
    case = scene.open(scene.suit(10))
    scene.payer.send(scene.court.answer(case, *scene.voucher(case.total, 1)))
    with pytest.raises(Reverted, match="GraceRunning"):
        scene.payee.send(scene.court.collect_stake(operator, scene.payee.account))
    world.chain.advance_time(DEMO.grace)
    scene.payee.send(scene.court.collect_stake(operator, scene.payee.account))
    assert world.contracts.registry.stake_left(relay) == DEMO.stake - case.total
    told = reports(world, follower)[-1]
    assert isinstance(told, events.StakeCollected) and (told.relay, told.amount) == (relay, case.total)
    assert world.contracts.channels.balance_of(scene.payee.account) == 10**18 + case.total


def test_judgementIsClaimed_asFarAsTheChannelGoes(world: World) -> None:
    scene = Scene(world)
    scene.fund(25 * PRICE)
    case = scene.open(scene.suit(10))
    scene.payer.send(scene.court.answer(case, *scene.voucher(case.total, 1)))
    call = world.contracts.channels.claim_judgement(scene.payer.account, scene.payee.account)
    scene.payee.send(call)
    found = world.contracts.channels.channel(scene.payer.account, scene.payee.account)
    assert (found.deposit, found.claimed) == (Amount(25 * PRICE), Amount(25 * PRICE))
