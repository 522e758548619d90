"""A payer that keeps one batch from being provable is sued for the next; nothing counts twice (I3, I7)."""

import pytest

from book_court import COST, cut_batch
from book_helpers import PRICE, honest_voucher, one, only
from book_storm import assert_equal_books, assert_rebuilds
from mixpay.book import events, limits, rows

NOTHING_TO_PROVE = pytest.mark.parametrize(
    "first", [{"signed": 0}, {"opened": {}}], ids=["unsigned", "unopened"]
)


def overtaken(first, count=3):
    """The payer keeps a cut batch of 4 from being provable, and goes on to sign for the next one."""
    link = cut_batch(4, **first)
    link.turn("payer", link.payer.on_cut(1, 4))
    for _ in range(count):
        link.issue()
        link.turn("payee", link.handle("payee", link.wires["payee"].pop()))
    for row in sorted(link.disks["payee"].of(rows.PlacedTicket), key=lambda row: (row.batch, row.position)):
        link.turn("payer", link.payer.on_acks([(row.batch, row.position, row.seq, row.ack)], link.now))
    link.now += 2.0
    link.turn("payer", link.payer.tick(link.now))
    signed = [batch for batch in link.wires["payee"] if isinstance(batch, events.SendBatch)]
    link.turn("payee", link.handle("payee", next(batch for batch in signed if batch.number == 2)))
    link.respond_all(keep=lambda ticket: ticket.batch == 2)
    for wire in link.wires.values():
        wire.clear()
    return link


def demanded_next(first):
    link = overtaken(first)
    link.turn("payee", link.payee.prepare_case())
    return link, link.payee.demand


@NOTHING_TO_PROVE
def test_batchThatCannotBeProven_doesNotShieldTheNext(first):
    link = overtaken(first)
    assert (link.payee.unsettled_cut, link.payee.case_batch) == (1, 2)
    assert link.payee.provable() == (12 * PRICE, 12 * PRICE)
    link.turn("payee", link.payee.prepare_case())
    demand = link.payee.demand
    assert (demand.number, demand.count, demand.total) == (2, 3, 12)
    assert demand.locks_root == link.payee.evidence().locks_root
    assert link.payee.case_price == PRICE
    assert link.payee.prepare_case() == ()


@NOTHING_TO_PROVE
def test_demandOfTheNextBatch_outlivesARestart_andNoTicketOrResponseCountsAnyMore(first):
    link, demand = demanded_next(first)
    samples = link.payee.evidence().samples(bytes(32))
    for _ in range(2):
        link.crash("payee")
        assert link.payee.demand == demand
        assert link.payee.evidence().samples(bytes(32)) == samples
        assert not any(link.payee.takes_responses(batch, link.now) for batch in (1, 2))
        assert link.payee.refusal(99, 4, PRICE) == limits.LINK_REFUSED
        link.respond_all()
        assert link.payee.provable() == (12 * PRICE, 12 * PRICE)
        assert link.payee.totals(PRICE).opened == 12
        assert link.payee.known(1)  # what was acknowledged is acknowledged again


def test_whatIsGivenUp_isAskedForNoMore():
    """Else the payer could sign for it while the case runs, whose judgement does not contain it."""
    link, _demand = demanded_next({"signed": 0})
    assert len(link.disks["payee"].of(rows.Response)) == 7
    link.turn("payer", link.payer.resend(link.now))
    link.turn("payee", link.handle("payee", link.wires["payee"].popleft()))
    link.now += 20.0
    effects = link.turn("payee", link.payee.tick(link.now))
    assert {(e.number, e.total) for e in only(effects, events.SendRedeem)} == {(1, 0)}
    link.flow()
    assert (link.payer.state.cumulative, link.payer.state.upto_batch) == (12 * PRICE, 2)


def test_batchWithReceipts_isNotSkipped():
    link = overtaken({"opened": {3}})
    assert link.payee.case_batch == 1
    assert link.payee.provable() == (4 * PRICE, 16 * PRICE)
    link.turn("payee", link.payee.prepare_case())
    assert link.payee.demand.number == 1


@NOTHING_TO_PROVE
def test_judgementOfTheNextBatch_settlesBoth(first):
    link, demand = demanded_next(first)
    for _ in range(2):
        link.turn("payee", link.payee.on_judgement(2, 12 * PRICE + COST, demand.total, link.now))
        link.turn("payer", link.payer.on_judgement(2, 12 * PRICE + COST, demand.total))
        link.crash("payee")
        link.crash("payer")
    assert link.payee.state.upto_batch == 2
    assert link.payee.demand is link.payee.case_batch is None
    link.heal()
    link.carry(2)
    link.heal()
    assert link.payee.totals(PRICE).cumulative == 20 * PRICE + COST
    assert link.payee.totals(PRICE).settled == 20
    assert_equal_books(link)
    assert_rebuilds(link)


@NOTHING_TO_PROVE
def test_payerThatComesBackWhileTheCaseRuns_settlesBothBatches(first):
    """The skipped one for nothing, whose voucher is no answer, then the next one for what is demanded."""
    link, demand = demanded_next(first)
    link.turn("payer", link.payer.resend(link.now))
    link.now += 20.0
    link.turn("payee", link.payee.tick(link.now))
    voucher = honest_voucher(0, 1)
    while link.payee.state.upto_batch == 0:
        if not link.wires["payer"]:
            link.turn("payee", link.payee.tick(link.now))
        link.turn("payer", link.handle("payer", link.wires["payer"].popleft()))
        while link.payee.state.upto_batch == 0 and link.wires["payee"]:
            link.turn("payee", link.handle("payee", link.wires["payee"].popleft()))
    assert (link.payee.state.cumulative, link.payee.state.signature) == (0, voucher.signature)
    link.crash("payee")
    assert link.payee.demand == demand
    assert link.payee.evidence() is not None
    assert (link.payee.unsettled_cut, link.payee.case_batch) == (2, 2)
    link.heal()
    assert link.payee.totals(PRICE).cumulative == 12 * PRICE
    link.carry(2)
    link.heal()
    assert link.payee.totals(PRICE).cumulative == 20 * PRICE
    assert not link.reasons("payee") + link.reasons("payer")
    assert_equal_books(link)


def test_voucherForLessThanIsDemanded_forgetsNothing():
    link, demand = demanded_next({"signed": 0})
    less = honest_voucher(12 * PRICE - 1, 2)
    effects = link.turn("payee", link.payee.on_voucher(less.cumulative, 2, less.signature, link.now))
    assert one(effects, events.Refuse).reason == limits.WRONG_VOUCHER
    link.crash("payee")
    assert link.payee.demand == demand
    assert link.payee.evidence().samples(bytes(32))
    right = honest_voucher(12 * PRICE, 2)
    link.turn("payee", link.payee.on_voucher(right.cumulative, 2, right.signature, link.now))
    assert (link.payee.state.upto_batch, link.payee.refused) == (2, None)
    assert link.payee.totals(PRICE).settled == 12


def test_giftForTheSkippedBatch_isNotCountedWithTheJudgement():
    """A total without a signature is what the court would pay, whatever was signed before."""
    for gift in (5 * PRICE, 5 * COST):
        link, demand = demanded_next({"opened": {}})
        signed = link.payer._run(1).signed
        link.turn("payee", link.payee.on_batch(1, 4, signed.root, signed.signature, link.now))
        link.now += 20.0
        link.turn("payee", link.payee.tick(link.now))
        present = honest_voucher(gift, 1)
        link.turn("payee", link.payee.on_voucher(gift, 1, present.signature, link.now))
        assert link.payee.state.cumulative == gift
        assert link.payee.demand == demand
        effects = link.turn("payee", link.payee.on_judgement(2, 12 * PRICE + COST, 12, link.now))
        assert one(effects, events.BatchSettled).amount == max(0, 12 * PRICE + COST - gift)
        assert (link.payee.state.cumulative, link.payee.state.signature) == (12 * PRICE + COST, b"")


def test_caseThatSkipsABatch_isAdmitted_forNoMoreThanItsOwn():
    link, _demand = demanded_next({"opened": {}})
    assert link.payer.admits(2, 12 * PRICE)
    assert not link.payer.admits(2, 12 * PRICE + 1)
    link.turn("payer", link.payer.admit(2, 12 * PRICE, 12))
    link.crash("payer")
    assert link.payer.state.upto_batch == 2
    link.flow()
    assert (link.payee.state.upto_batch, link.payee.totals(PRICE).cumulative) == (2, 12 * PRICE)
    assert_equal_books(link)
