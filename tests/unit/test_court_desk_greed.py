"""Desks on a real chain: a payee that sues for what it has no receipts for, a payer that shows nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chain_world import World
from court_parties import PRICE, Parties
from mixpay.book.limits import BAD_SAMPLE
from mixpay.book.rows import SignedBatch
from mixpay.chain.errors import Reverted
from mixpay.chain.views import CaseBatch
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Amount, Value
from relay.court.actions import Admit, Answer, Expire
from relay.path.books import Side
from test_court_desk import AMOUNT, did, judge, settle_blocks


@pytest_asyncio.fixture
async def parties(world: World, tmp_path: Path) -> AsyncIterator[Parties]:
    made = Parties(world, tmp_path)
    made.give(TOKEN)
    await made.fund(TOKEN)
    yield made
    await made.close()


async def settle(parties: Parties, count: int) -> SignedBatch:
    """A batch that the link settles; what the payee keeps of it."""
    await parties.carry(count)
    signed = parties.owed._open.signed
    parties.payee.node.desk.settle()
    await parties.talk()
    assert parties.owed.state.upto_batch == parties.owing.state.upto_batch == signed.number
    return signed


def sue(
    parties: Parties, signed: SignedBatch, value: int, base: tuple[int, int, bytes] = (0, 0, b"")
) -> None:
    """The payee opens a case by hand, about no receipts at all."""
    batch = CaseBatch(signed.number, signed.count, Value(4 * signed.count), PRICE, signed.root)
    call = parties.world.contracts.court.open(
        parties.payer.operator.account, (Amount(base[0]), *base[1:]), batch, signed.signature, b"\7" * 32,
        Value(value),
    )  # fmt: skip
    parties.payee.operator.send(call)


async def test_payeeThatSuesForAnOldBatch_withoutReceipts_getsNothing_andLosesItsBonds(
    parties: Parties,
) -> None:
    """For all that the payer signed it for, over and over."""
    first = await settle(parties, 6)
    await settle(parties, 1)
    earned = parties.owing.state.cumulative
    assert earned == 28 * PRICE
    channels, payer = parties.world.contracts.channels, parties.payer
    with pytest.raises(Reverted, match="ExceedsBatch"):
        sue(parties, first, 25)
    for bonds in (1, 2, 3):
        sue(parties, first, 24)
        report = await payer.desk.run_once()
        assert did(report) == [Answer]
        assert parties.is_open()
        assert did(await payer.desk.run_once()) == []
        assert report.matters[-1].state == "opened, admitted"
        parties.world.chain.mine(260)
        assert did(await payer.desk.run_once()) == [Expire]
        await payer.node.written()
        assert channels.balance_of(payer.operator.account) == bonds * 12 * PRICE
        assert parties.owing.state.cumulative == earned
    assert parties.judged() == 0


async def test_payeeCaughtWithoutReceipts_getsWhatWasSigned_andNoCosts(parties: Parties) -> None:
    """Whatever it claims with luck, or with those that it has: the payer that is there admits it."""
    await parties.carry(6)
    signed = parties.owed._open.signed
    payer = parties.payer
    with payer.node.books.step() as step:
        step.add(Side.PAYEE, parties.payee.relay, parties.owing._accuse(BAD_SAMPLE))
    await payer.node.written()
    with pytest.raises(Reverted, match="ExceedsBatch"):
        sue(parties, signed, 25)
    sue(parties, signed, 24)
    assert did(await payer.desk.run_once()) == []
    parties.world.chain.advance_time(DEMO.answer_window // 2)
    assert did(await payer.desk.run_once()) == [Admit, Answer]
    assert not parties.is_open()
    assert parties.judged() == parties.owing.state.cumulative == AMOUNT
    with pytest.raises(Reverted, match="AlreadyJudged"):
        sue(parties, signed, 24)


async def test_payerThatSignsOnTheLinkOnly_getsNoBond(parties: Parties) -> None:
    """It could end a case without seed from block 261 on."""
    await parties.fall_silent()
    await parties.go_to_court()
    parties.connect()
    await parties.talk()
    assert parties.owed.state.signature
    parties.world.chain.mine(100)
    assert did(await parties.payee.desk.run_once()) == []
    parties.world.chain.mine(40)
    assert did(await parties.payee.desk.run_once()) == [Answer]
    assert not parties.is_open()
    assert parties.world.contracts.channels.balance_of(parties.payee.operator.account) == TOKEN


async def test_admittedCase_isProven_withoutCosts(parties: Parties) -> None:
    """The payer shows a voucher up to a later batch, of which the payee has not heard."""
    await parties.fall_silent()
    await parties.go_to_court()
    payer, total = parties.payer, Amount(AMOUNT + PRICE)
    with payer.node.books.step() as step:
        step.add(Side.PAYEE, parties.payee.relay, parties.owing.on_judgement(2, total, Value(1)))
    await payer.node.written()
    payer.node.wires[Side.PAYEE][parties.payee.relay].take()
    assert did(await payer.desk.run_once()) == [Answer]
    assert parties.is_open()
    await judge(parties)
    assert parties.judged() == AMOUNT
    await settle_blocks(parties)
    assert (parties.owed.state.cumulative, parties.owed.state.upto_batch) == (AMOUNT, 1)
    assert parties.owing.state.cumulative == total


async def test_caseAfterAJudgementOfAnOldBatch_buildsOnThat(parties: Parties) -> None:
    """The book has its total, but up to the newest batch: the court knows it as one up to the old batch."""
    await parties.fall_silent()
    await parties.go_to_court()
    await judge(parties)
    owed = AMOUNT + DEMO.court_cost
    batch = await settle_unheard(parties)
    with parties.payee.node.books.step() as step:
        step.add(Side.PAYER, parties.payer.relay, parties.owed.on_judgement(1, Amount(owed), Value(24), 0.0))
    assert (parties.owed.state.cumulative, parties.owed.state.upto_batch) == (owed, batch)
    await parties.fall_silent()
    case = await parties.go_to_court()
    assert (case.base, case.batch.number) == (owed, batch + 1)


async def settle_unheard(parties: Parties) -> int:
    """The payer settles the batch that was judged, and one more, before either has read of it."""
    parties.connect()
    await parties.talk()
    return (await settle(parties, 2)).number
