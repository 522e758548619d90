"""The court's desk with real books on a real chain: restarts, reorganisations, vouchers that come late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chain_world import ETHER, World
from court_parties import PRICE, RULES, Parties
from mixpay.book.rows import Demand
from mixpay.chain.rpc import Rpc
from mixpay.errors import ChainUnavailable
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Amount
from mixpay.wire import frames
from relay.court.actions import Admit, Answer, Collect, Expire, Finish, Open, Record
from relay.court.desk import CourtReport
from relay.court.docket import SETTLED_BLOCKS
from relay.path.books import Side
from relay.treasury.facts import payee_facts, payer_facts

AMOUNT = 24 * PRICE
"""Of six tickets."""


@pytest_asyncio.fixture
async def parties(world: World, tmp_path: Path) -> AsyncIterator[Parties]:
    made = Parties(world, tmp_path)
    made.give(TOKEN)
    yield made
    await made.close()


def did(report: CourtReport) -> list[type]:
    assert [result.error for result in report.results if result.error] == []
    return [type(result.action) for result in report.results]


async def judge(parties: Parties) -> None:
    """From an opened case to the judgement."""
    parties.world.chain.mine(6)
    assert did(await parties.payee.desk.run_once()) == [Record]
    parties.world.chain.advance_time(DEMO.answer_window)
    assert did(await parties.payee.desk.run_once()) == [Finish]


async def settle_blocks(parties: Parties) -> None:
    parties.world.chain.mine(SETTLED_BLOCKS)
    for party in (parties.payer, parties.payee):
        await party.desk.run_once()
        await party.node.written()


async def test_silentPayer_isJudged_andBothBooksFollow(parties: Parties) -> None:
    await parties.fall_silent()
    case = await parties.go_to_court()
    assert case.claimed == AMOUNT
    await judge(parties)
    assert parties.judged() == AMOUNT + DEMO.court_cost
    assert parties.owed.state.upto_batch == 0
    await settle_blocks(parties)
    for book in (parties.owed, parties.owing):
        assert book.state.cumulative == AMOUNT + DEMO.court_cost
        assert book.totals(PRICE).unsettled == 0
    parties.connect()
    await parties.talk()
    assert parties.owed.state.signature == parties.owing.state.signature != b""
    await parties.fund(TOKEN)
    await parties.carry(2)
    parties.payee.node.desk.settle()
    await parties.talk()
    owed = AMOUNT + DEMO.court_cost + 8 * PRICE
    assert parties.owed.state.cumulative == parties.owing.state.cumulative == owed


async def test_cutAndOpenBatch_areTwoCasesOneAfterTheOther(parties: Parties) -> None:
    await parties.fall_silent()
    await parties.carry(2, losing=(frames.Redeem,))  # signed as batch 2; the payer settles nothing
    await parties.go_to_court()
    await judge(parties)
    parties.world.chain.mine(SETTLED_BLOCKS)
    await parties.payee.desk.run_once()
    parties.payee.node.desk.settle()
    await parties.payee.node.written()
    second = await parties.go_to_court()
    assert (second.batch.number, second.base) == (2, AMOUNT + DEMO.court_cost)
    await judge(parties)
    assert parties.judged() == AMOUNT + 8 * PRICE + 2 * DEMO.court_cost


async def test_batchWithoutReceipts_isSkipped_andTheNextIsJudged_throughRestarts(parties: Parties) -> None:
    await parties.fall_silent_without_receipts()
    case = await parties.go_to_court()
    assert (case.batch.number, case.base, case.claimed) == (2, 0, AMOUNT)
    demand = parties.owed.demand
    await parties.payee.restart()
    assert parties.owed.demand == demand is not None
    assert did(await parties.payee.desk.run_once()) == []
    await judge(parties)
    assert parties.judged() == AMOUNT + DEMO.court_cost
    await settle_blocks(parties)
    for book in (parties.owed, parties.owing):
        assert (book.state.cumulative, book.state.upto_batch) == (AMOUNT + DEMO.court_cost, 2)
        assert book.totals(PRICE).unsettled == 0


async def test_skippedBatch_thatIsSettledWhileTheCaseRuns_changesNothingOfIt(parties: Parties) -> None:
    await parties.fall_silent_without_receipts()
    await parties.go_to_court()
    parties.connect()
    await parties.pass_time(20.0)
    await parties.talk(losing=(frames.Cut,))  # nothing more is settled than the batch that is skipped
    assert (parties.owed.state.cumulative, parties.owed.state.upto_batch) == (0, 1)
    await parties.payee.restart()
    await judge(parties)
    assert parties.judged() == AMOUNT + DEMO.court_cost
    await settle_blocks(parties)
    assert parties.owed.state.upto_batch == parties.owing.state.upto_batch == 2


async def test_caseThatSkipsABatch_isAnswered_byWhoeverAdmitsIt(parties: Parties) -> None:
    await parties.fall_silent_without_receipts()
    await parties.go_to_court()
    await parties.payer.desk.run_once()
    parties.world.chain.advance_time(DEMO.answer_window // 2)
    assert did(await parties.payer.desk.run_once()) == [Admit, Answer]
    assert parties.judged() == AMOUNT
    await settle_blocks(parties)
    for book in (parties.owed, parties.owing):
        assert (book.state.cumulative, book.state.upto_batch) == (AMOUNT, 2)
        assert book.state.signature


async def test_lateAnswer_isLeftToThePayee(parties: Parties) -> None:
    """The payer has signed, and is too late to show it."""
    await parties.fall_silent()
    await parties.go_to_court()
    parties.connect()
    await parties.talk()
    parties.world.chain.mine(6)
    await parties.payee.desk.run_once()
    parties.world.chain.advance_time(DEMO.answer_window)
    report = await parties.payer.desk.run_once()
    assert did(report) == []
    assert "too late for us to answer" in report.matters[0].follows
    assert did(await parties.payee.desk.run_once()) == [Answer]


async def test_demand_isOnDiskBeforeTheCase_andARestartGoesOnWithIt(parties: Parties) -> None:
    """Whenever the payee falls over, it goes on with the same receipts."""
    await parties.fall_silent()
    await parties.payee.desk.run_once()
    parties.world.chain.advance_time(RULES.patience)
    parties.payee.desk._clerk = Refusing()  # as if it fell over before the transaction left
    report = await parties.payee.desk.run_once()
    assert report.results[0].error == "no answer"
    rows = dict(parties.payee.node.store.book_rows())[Side.PAYER, parties.payer.relay]
    (demand,) = (row for row in rows if isinstance(row, Demand))
    await parties.payee.restart()
    assert parties.owed.demand == demand
    assert did(await parties.payee.desk.run_once()) == [Open]
    await parties.payee.restart()
    parties.world.chain.mine(6)
    assert did(await parties.payee.desk.run_once()) == [Record]
    assert parties.case.receipts_root == demand.root
    await parties.payee.restart()
    parties.world.chain.advance_time(DEMO.answer_window)
    assert did(await parties.payee.desk.run_once()) == [Finish]


async def test_payerThatSignsMeanwhile_andGoesAgain_isNotSuedToTheEnd(parties: Parties) -> None:
    """The voucher comes over the link, the payer never shows it: the payee does, and has its bond again."""
    await parties.fall_silent()
    await parties.go_to_court()
    parties.connect()
    await parties.talk()
    assert parties.owed.state.cumulative == AMOUNT
    parties.world.chain.mine(6)
    assert did(await parties.payee.desk.run_once()) == []
    parties.world.chain.advance_time(DEMO.answer_window)
    assert did(await parties.payee.desk.run_once()) == [Answer]
    assert parties.judged() == AMOUNT
    assert parties.world.contracts.channels.balance_of(parties.payee.operator.account) == TOKEN
    await settle_blocks(parties)
    assert parties.owed.state.signature
    assert parties.owed.state.cumulative == parties.owing.state.cumulative == AMOUNT


async def test_caseAgainstUs_isAnsweredAsSoonAsTheVoucherIsThere(parties: Parties) -> None:
    await parties.fall_silent()
    await parties.go_to_court()
    assert did(await parties.payer.desk.run_once()) == []
    parties.connect()
    await parties.talk()
    assert did(await parties.payer.desk.run_once()) == [Answer]
    assert not parties.is_open()


async def test_caseOfAnUnreachablePayee_isAdmitted(
    parties: Parties, caplog: pytest.LogCaptureFixture
) -> None:
    """The link does not come back: half of the time to answer later the payer signs what its book owes."""
    await parties.fall_silent()
    await parties.go_to_court()
    await parties.payer.desk.run_once()
    assert [r.message for r in caplog.records if "in court against us: relay" in r.message]
    parties.world.chain.advance_time(DEMO.answer_window // 2)
    assert did(await parties.payer.desk.run_once()) == [Admit, Answer]
    assert parties.judged() == AMOUNT
    await settle_blocks(parties)
    for book in (parties.owed, parties.owing):
        assert (book.state.cumulative, book.state.upto_batch) == (AMOUNT, 1)
        assert book.state.signature
        assert book.totals(PRICE).unsettled == 0


async def test_admittedVoucher_isOnDiskBeforeItIsShown(parties: Parties) -> None:
    await parties.fall_silent()
    await parties.go_to_court()
    parties.world.chain.advance_time(DEMO.answer_window // 2)
    parties.payer.desk._clerk = Refusing()
    await parties.payer.desk.run_once()
    await parties.payer.restart()
    assert parties.owing.state.cumulative == AMOUNT
    assert did(await parties.payer.desk.run_once()) == [Answer]


async def test_payerThatLostItsDisk_learnsWhatWasJudged(parties: Parties, tmp_path: Path) -> None:
    await parties.fall_silent()
    await parties.go_to_court()
    await judge(parties)
    await parties.payer.node.close()
    parties.payer.folder = tmp_path / "new"
    parties.payer.folder.mkdir()
    parties.payer.begin()
    await settle_blocks(parties)
    assert (parties.owing.state.cumulative, parties.owing.state.upto_batch) == (AMOUNT + DEMO.court_cost, 1)
    parties.connect()
    await parties.talk()
    assert parties.owed.state.signature == parties.owing.state.signature != b""


async def test_payerThatWasRestored_admitsWhatItHasForgotten_andPaysNoCosts(
    parties: Parties, tmp_path: Path
) -> None:
    """The case above, but for `restore`: what the payee brings bears the payer's signatures."""
    await parties.fall_silent()
    await parties.go_to_court()
    await parties.payer.node.close()
    parties.payer.folder = tmp_path / "new"
    parties.payer.folder.mkdir()
    parties.payer.begin(restored=True)
    parties.world.chain.advance_time(DEMO.answer_window // 2)
    assert did(await parties.payer.desk.run_once()) == [Admit, Answer]
    assert parties.judged() == AMOUNT
    await settle_blocks(parties)
    assert (parties.owed.state.cumulative, parties.owed.state.upto_batch) == (AMOUNT, 1)
    assert parties.owed.state.signature == parties.owing.state.signature != b""


async def test_caseThatAReorganisationTookBack_isOpenedAgain(parties: Parties) -> None:
    await parties.fall_silent()
    await parties.payee.desk.run_once()
    parties.world.chain.advance_time(RULES.patience)
    snapshot = parties.world.rpc.request("evm_snapshot")
    assert did(await parties.payee.desk.run_once()) == [Open]
    await parties.payee.desk.run_once()
    first = parties.case
    parties.world.rpc.request("evm_revert", snapshot)
    parties.world.chain.mine(3)
    assert did(await parties.payee.desk.run_once()) == [Open]
    await parties.payee.desk.run_once()
    assert parties.case.receipts_root == first.receipts_root
    assert parties.case.open_block > first.open_block
    await judge(parties)


async def test_judgementThatAReorganisationTookBack_isWonAgain(parties: Parties) -> None:
    await parties.fall_silent()
    await parties.go_to_court()
    parties.world.chain.mine(6)
    assert did(await parties.payee.desk.run_once()) == [Record]
    parties.world.chain.advance_time(DEMO.answer_window)
    snapshot = parties.world.rpc.request("evm_snapshot")
    assert did(await parties.payee.desk.run_once()) == [Finish]
    await parties.payee.desk.run_once()
    parties.world.rpc.request("evm_revert", snapshot)
    assert parties.judged() == 0
    parties.world.chain.mine(3)
    assert did(await parties.payee.desk.run_once()) == [Finish]
    assert parties.judged() == AMOUNT + DEMO.court_cost


async def test_judgement_countsInTheBooks_whenNothingTakesItBack(parties: Parties) -> None:
    await parties.fall_silent()
    await parties.go_to_court()
    await judge(parties)
    parties.world.chain.mine(SETTLED_BLOCKS - 1)
    report = await parties.payee.desk.run_once()
    assert parties.owed.state.upto_batch == 0
    assert report.matters[0].state == "judged"
    parties.world.chain.mine()
    await parties.payee.desk.run_once()
    assert parties.owed.state.upto_batch == 1


async def test_treasury_knowsAtOnceWhatWasJudged(parties: Parties) -> None:
    await parties.fund(TOKEN)
    await parties.fall_silent()
    await parties.go_to_court()
    await judge(parties)
    for party in (parties.payer, parties.payee):
        await party.desk.run_once()
    pair = parties.payer.operator.account, parties.payee.operator.account
    owed = AMOUNT + DEMO.court_cost
    assert parties.payee.desk.judged(*pair) == parties.payer.desk.judged(*pair) == owed
    assert parties.payee.desk.judged(*reversed(pair)) == 0
    income = payer_facts(parties.payer.relay, parties.owed, PRICE, parties.owed.state.signature, owed)
    assert (income.payable, income.signature) == (owed, b"")
    debt = payee_facts(parties.payee.relay, parties.owing, PRICE, judged=owed)
    assert debt.cumulative == owed


async def test_stakePays_whenTheChannelLacks(parties: Parties) -> None:
    await parties.fall_silent()
    await parties.go_to_court()
    await judge(parties)
    parties.world.chain.advance_time(DEMO.grace)
    assert did(await parties.payee.desk.run_once()) == [Collect]
    left = parties.world.contracts.registry.stake_left(parties.payer.relay)
    assert left == DEMO.stake - AMOUNT - DEMO.court_cost
    assert (await parties.payee.desk.run_once()).results == ()


async def test_stake_isNotAskedForWhatOnlyAPenaltyCanTake(parties: Parties) -> None:
    """Neither before a penalty nor after it: what the registry refuses is not tried again and again."""
    world, payer = parties.world, parties.payer.relay
    registry = world.contracts.registry
    world.court_says("slash", payer, DEMO.stake)
    await parties.fall_silent()
    await parties.go_to_court()
    await judge(parties)
    world.chain.advance_time(DEMO.grace)
    report = await parties.payee.desk.run_once()
    assert (report.results, registry.stake_left(payer)) == ((), DEMO.penalty)
    assert "nothing is left" in report.matters[-1].follows
    world.court_says("condemn", payer, world.user().account)
    for settled in (False, True):
        if settled:
            world.deployer.send(registry.settle_penalty(payer))
        parties.payee.view.refresh()
        assert (await parties.payee.desk.run_once()).results == ()


async def test_stakeOfACondemnedRelay_paysToTheLastUnit(parties: Parties) -> None:
    world, payer = parties.world, parties.payer.relay
    registry, owed = world.contracts.registry, AMOUNT + DEMO.court_cost
    world.court_says("slash", payer, DEMO.stake - DEMO.penalty - owed + 1)
    world.court_says("condemn", payer, world.user().account)
    world.deployer.send(registry.settle_penalty(payer))
    await parties.fall_silent()
    await parties.go_to_court()
    await judge(parties)
    world.chain.advance_time(DEMO.grace)
    parties.payee.view.refresh()
    assert did(await parties.payee.desk.run_once()) == [Collect]
    assert registry.stake_left(payer) == 0
    report = await parties.payee.desk.run_once()
    assert report.results == ()


async def test_missedCase_isOpenedOnceMore_notTwice(parties: Parties) -> None:
    await parties.fall_silent()
    for _ in range(2):
        await parties.payee.desk.run_once()
        parties.world.chain.advance_time(DEMO.answer_window + DEMO.finish_window)
        report = await parties.payee.desk.run_once()
        assert did(report)[-1] is Open
    parties.world.chain.advance_time(DEMO.answer_window + DEMO.finish_window)
    assert did(await parties.payee.desk.run_once()) == []
    bond = AMOUNT // 2
    assert did(await parties.payer.desk.run_once()) == [Expire]
    assert parties.world.contracts.channels.balance_of(parties.payer.operator.account) == 2 * bond
    report = await parties.payee.desk.run_once()
    assert [matter.state for matter in report.matters] == ["expired"]


async def test_bond_comesFromTheOperatorsTokens(world: World, tmp_path: Path) -> None:
    parties = Parties(world, tmp_path)
    try:
        await parties.fall_silent()
        await parties.payee.desk.run_once()
        world.chain.advance_time(RULES.patience)
        report = await parties.payee.desk.run_once()
        assert "needs a bond of 0.000012 tokens" in report.matters[0].follows
        world.deployer.send(
            world.contracts.token.transfer(parties.payee.operator.account, Amount(AMOUNT // 2))
        )
        assert did(await parties.payee.desk.run_once()) == [Open]
        assert world.contracts.token.balance_of(parties.payee.operator.account) == 0
    finally:
        await parties.close()


async def test_sinceWhenABatchWaits_outlivesARestart(parties: Parties) -> None:
    await parties.fall_silent()
    await parties.payee.desk.run_once()
    parties.world.chain.advance_time(RULES.patience - 1)
    await parties.payee.restart()
    assert did(await parties.payee.desk.run_once()) == []
    parties.world.chain.advance_time(1)
    assert did(await parties.payee.desk.run_once()) == [Open]
    name = f"court:{parties.payer.relay}"
    assert parties.payee.node.store.setting(name) is not None
    parties.connect()
    await parties.talk()
    await parties.payee.desk.run_once()
    await parties.payee.node.written()
    assert parties.payee.node.store.setting(name) is None


async def test_chainThatIsAway_losesNothing(parties: Parties) -> None:
    await parties.fall_silent()
    await parties.go_to_court()
    matters = parties.payee.desk.last.matters
    reader = parties.payee.desk._reader
    parties.payee.desk._reader = parties.payee.desk_at(Rpc("http://127.0.0.1:9", attempts=1))._reader
    report = await parties.payee.desk.run_once()
    assert report.trouble is not None and "cannot connect" in report.trouble
    assert report.matters == matters
    parties.payee.desk._reader = reader
    parties.world.chain.mine(6)
    assert did(await parties.payee.desk.run_once()) == [Record]


async def test_withoutEther_itSaysSo(parties: Parties) -> None:
    await parties.fall_silent()
    await parties.payee.desk.run_once()
    parties.world.chain.advance_time(RULES.patience)
    parties.world.chain.fund(parties.payee.operator.account, 0)
    report = await parties.payee.desk.run_once()
    assert report.results == ()
    assert report.trouble is not None and "no ether" in report.trouble
    parties.world.chain.fund(parties.payee.operator.account, ETHER)
    assert did(await parties.payee.desk.run_once()) == [Open]


async def test_whatTheContractRefuses_isSaidOnce_andTriedAgain(
    parties: Parties, caplog: pytest.LogCaptureFixture
) -> None:
    await parties.fall_silent()
    await parties.go_to_court()
    parties.world.chain.mine(6)
    await parties.payee.desk.run_once()
    parties.world.chain.advance_time(DEMO.answer_window)
    run = parties.owed._cut
    first = run.response(0)
    run._responses[:32] = bytes(31) + b"\1"
    for _ in range(2):
        report = await parties.payee.desk.run_once()
        (result,) = report.results
        assert "ReceiptCourt.finish failed" in str(result.error)
    assert len([r for r in caplog.records if str(result.error) in r.message]) == 1
    run._responses[:32] = first
    assert did(await parties.payee.desk.run_once()) == [Finish]


class Refusing:
    """A clerk whose node is away."""

    def __getattr__(self, name: str) -> object:
        def refuse(*_: object) -> None:
            raise ChainUnavailable("no answer")

        return refuse
