"""What a court makes of a batch, in both books: crashes, repetitions, news read late (I3, I7)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book_court import COST, CourtStorm, cut_batch, demanded
from book_helpers import DOMAIN, PAYEE, PAYER, PRICE, Link, honest_voucher, one, only, secrets
from book_storm import SHORT, SMALL, assert_equal_books, assert_rebuilds
from mixpay import court, eip712
from mixpay.book import events, limits, rows
from mixpay.merkle import SumTree

# What is demanded


def test_demand_isTheSignedPrefix_withTheReceiptsThere():
    link, demand = demanded(6, signed=4, opened={0, 1, 3, 5})
    tree = SumTree([(secrets(i)[0], 4) if i != 2 else (bytes(32), 0) for i in range(4)])
    assert (demand.number, demand.count, demand.total, demand.root) == (1, 4, 12, tree.root)
    assert demand.value == 16
    assert demand.locks_root == link.payee.evidence().locks_root
    assert link.payee.provable() == (12 * PRICE, 12 * PRICE)


def test_demand_outlivesARestart_andAnotherSignature():
    link, demand = demanded(6, signed=4)
    before = link.payee.evidence().samples(bytes(32))
    link.turn("payer", link.payer.resend(link.now))
    link.turn("payee", link.payee.resend(link.now))
    link.flow()  # the payer is back: the batch is signed as a whole, and settled
    assert link.payee.totals(PRICE).cumulative == 24 * PRICE

    link, demand = demanded(6, signed=4)
    link.crash("payee")
    assert link.payee.demand == demand
    assert link.payee.evidence().samples(bytes(32)) == before
    assert link.payee.prepare_case() == ()


def test_signatureThatComesLater_changesNothingOfTheCase():
    link, demand = demanded(6, signed=4)
    for row in sorted(link.disks["payee"].of(rows.PlacedTicket), key=lambda row: row.position):
        link.turn("payer", link.payer.on_acks([(1, row.position, row.seq, row.ack)], link.now))
    link.turn("payer", link.payer.on_cut(1, 6))
    whole = link.payer._run(1).signed
    link.turn("payee", link.payee.on_batch(1, 6, whole.root, whole.signature, link.now))
    assert link.payee.totals(PRICE).unsigned == 0
    assert link.payee.demand == demand
    assert link.payee.provable() == (16 * PRICE, 16 * PRICE)


def test_responseThatComesLater_isWorthNothing():
    link, demand = demanded(6, opened={0, 1, 2})
    late = link.disks["payee"].of(rows.PlacedTicket)[0]
    assert late.position == 5
    assert link.respond(late) == ()
    assert not link.payee.takes_responses(1, link.now)
    assert link.payee.demand == demand
    assert link.payee.provable()[0] == 12 * PRICE


@pytest.mark.parametrize("link", [cut_batch(4, signed=0), cut_batch(4, opened={})])
def test_withoutSignatureOrReceipt_thereIsNothingToDemand(link):
    assert link.payee.prepare_case() == ()
    assert link.payee.demand is None
    assert link.payee.evidence() is None
    assert link.payee.provable() == (0, 0)


def test_openBatch_hasNoCase_butCounts():
    link = Link()
    link.carry(3)
    link.respond_all()
    link.tick(2.0)
    link.flow()
    assert link.payee.unsettled_cut is None
    assert link.payee.prepare_case() == ()
    assert link.payee.provable() == (0, 12 * PRICE)


def test_samples_areThoseOfTheDemand():
    link, demand = demanded(7, signed=5)
    seed = bytes(31) + b"\7"
    points = court.draw_points(seed, demand.total)
    samples = link.payee.evidence().samples(seed)
    positions = sorted({point // 4 for point in points})
    assert samples[0] == len(positions)
    assert all(secrets(position)[0] in samples for position in positions)


def test_value_isThatOfTheTicketsUnderTheSignature_throughRestartsAndFurtherSignatures():
    """Tickets of 1 to 6, signed two by two."""
    link = Link(limits=limits.Limits(unsigned_window=4))
    for value in range(1, 7):
        link.carry(1, value=value)
        if value % 2 == 0:
            link.crash("payer")
            link.crash("payee")
            assert link.payee._open.signed_count == value
            assert link.payee._open.signed_value == sum(range(value + 1))
    link.issue(9)
    link.turn("payee", link.handle("payee", link.wires["payee"].popleft()))
    link.respond_all(keep=lambda ticket: ticket.position != 2)
    link.turn("payee", link.payee.begin_settlement(link.now))
    link.turn("payee", link.payee.prepare_case())
    link.crash("payee")
    demand = link.payee.demand
    assert (demand.count, demand.value, demand.total) == (6, 21, 18)
    named = demand.number, demand.count, demand.value, PRICE, demand.locks_root
    batch = eip712.Batch(PAYER, PAYEE, *named)
    assert eip712.signed_by(PAYER, batch, DOMAIN, demand.signature)


# Judgements


def test_judgement_closesTheBatch_onBothSides():
    link, demand = demanded(6, signed=4)
    total = 16 * PRICE + COST
    link.turn("payee", link.payee.on_judgement(1, total, demand.total, link.now))
    assert link.payee.state.is_judged
    link.turn("payer", link.payer.on_judgement(1, total, demand.total))
    link.flow()  # the payer's voucher over the judged total
    assert not link.payee.state.is_judged
    assert link.payee.totals(PRICE).cumulative == total
    assert link.payee.totals(PRICE).settled == 16
    link.heal()
    assert_equal_books(link)
    assert_rebuilds(link)
    for disk in link.disks.values():
        assert not disk.of(rows.Demand)


def test_judgement_again_changesNothing():
    link, demand = demanded(3)
    for _ in range(2):
        link.turn("payee", link.payee.on_judgement(1, COST, demand.total, link.now))
        link.turn("payer", link.payer.on_judgement(1, COST, demand.total))
        link.crash("payee")
        link.crash("payer")
    assert link.payee.on_judgement(1, COST, 12, link.now) == ()
    assert link.payer.on_judgement(1, COST, 12) == ()
    assert link.payee.totals(PRICE).settled == link.payer.totals(PRICE).settled == 12


def test_payerThatReadsLate_isNoFault_andNothingIsLost():
    """The payee goes on to the next batch, of which the payer cannot know yet."""
    link, demand = demanded(3)
    total = 12 * PRICE + COST
    link.turn("payee", link.payee.on_judgement(1, total, demand.total, link.now))
    link.turn("payer", link.payer.resend(link.now))
    link.turn("payee", link.payee.resend(link.now))
    link.flow()
    link.carry(2)
    link.respond_all()
    link.settle()
    assert not link.reasons("payer") + link.reasons("payee")
    assert link.payee.unsettled_cut == 2
    link.turn("payer", link.payer.on_judgement(1, total, demand.total))
    link.heal()
    assert link.payee.totals(PRICE).cumulative == total + 8 * PRICE
    assert_equal_books(link)


def test_voucherThatIgnoresTheJudgement_isNotTaken_untilThePayerHasReadOfIt():
    """Its voucher for batch 1 was lost, it cannot see the chain, and batch 2 is settled."""
    link, demand = demanded(3)
    total = 12 * PRICE + COST
    link.turn("payer", link.payer.admit(1, 12 * PRICE, 12))
    link.wires["payee"].clear()
    link.turn("payee", link.payee.on_judgement(1, total, demand.total, link.now))
    link.carry(2)
    link.respond_all()
    link.settle()
    assert link.payer.totals(PRICE).cumulative == 20 * PRICE
    assert link.payee.totals(PRICE).cumulative == total
    assert not link.reasons("payee")
    link.turn("payer", link.payer.on_judgement(1, total, demand.total))
    link.heal()
    assert link.payee.totals(PRICE).cumulative == total + 8 * PRICE
    assert_equal_books(link)


def test_judgementAfterTheVoucher_raisesTheTotal():
    link, _demand = demanded(3)
    link.turn("payer", link.payer.resend(link.now))
    link.turn("payee", link.payee.resend(link.now))
    link.flow()
    assert link.payee.totals(PRICE).cumulative == 12 * PRICE
    for _ in range(2):
        link.turn("payee", link.payee.on_judgement(1, 12 * PRICE + COST, 12, link.now))
    assert link.payee.state.is_judged
    link.turn("payer", link.payer.on_judgement(1, 12 * PRICE + COST, 12))
    link.flow()
    assert link.payee.totals(PRICE).cumulative == 12 * PRICE + COST
    assert_equal_books(link)


def test_judgementOfALaterBatchThanWeKnow_isTakenToo():
    """A book that was put back from an old copy."""
    link = Link()
    link.carry(3)
    link.turn("payee", link.payee.on_judgement(4, COST, 9, link.now))
    link.turn("payer", link.payer.on_judgement(4, COST, 9))
    link.flow()
    link.carry(2)
    link.heal()
    assert link.payee.totals(PRICE).upto_batch == 5
    assert link.payee.totals(PRICE).cumulative == COST + 8 * PRICE
    assert_equal_books(link)


def test_payerThatRefusesTheLink_isJudgedAllTheSame():
    link, demand = demanded(3)
    link.turn("payer", link.payer.on_acks([(1, 0, 99, bytes(32))], link.now))
    assert link.payer.refused == limits.CHANGED_ACK
    effects = link.payer.on_judgement(1, 12 * PRICE + COST, demand.total)
    assert not only(effects, events.SendVoucher)
    link.turn("payer", effects)
    link.crash("payer")
    assert link.payer.refused == limits.CHANGED_ACK
    assert link.payer.totals(PRICE).cumulative == 12 * PRICE + COST


def test_judgedBatch_setsAPayersFaultsRight():
    link, _demand = demanded(3)
    link.turn("payee", link.payee.on_batch(1, 99, bytes(32), bytes(65), link.now))
    link.turn("payee", link.payee.on_voucher(1, 1, bytes(65), link.now))
    assert link.payee.refused
    link.turn("payee", link.payee.on_judgement(1, 12 * PRICE + COST, 12, link.now))
    assert link.payee.refused is None


def test_closingChannel_isClaimedFromAfterAJudgement():
    link, _demand = demanded(3)
    link.set_channel(rows.Channel(10**27, 0, closes_at=9))
    effects = link.payee.on_judgement(1, 12 * PRICE + COST, 12, link.now)
    assert one(effects, events.ClaimDue)


# Answers


def test_answer_closesTheBatch_withTheVoucher():
    link, _demand = demanded(6, signed=4)
    voucher = one(link.payer.admit(1, 16 * PRICE, 16), events.SendVoucher)
    link.turn("payee", link.payee.on_answer(1, voucher.cumulative, voucher.signature, 16, link.now))
    assert link.payee.state.signature == voucher.signature
    assert link.payee.totals(PRICE).cumulative == 16 * PRICE
    link.turn("payee", link.payee.on_judgement(1, 16 * PRICE, 16, link.now))  # the answer is judged as well
    assert link.payee.state.signature == voucher.signature
    link.crash("payee")
    assert link.payee.totals(PRICE).settled == 16


def test_answerAfterTheJudgement_givesTheSignature():
    link, _ = demanded(3)
    link.turn("payee", link.payee.on_judgement(1, 12 * PRICE, 12, link.now))
    voucher = honest_voucher(12 * PRICE, 1)
    link.turn("payee", link.payee.on_answer(1, voucher.cumulative, voucher.signature, 12, link.now))
    assert link.payee.state.signature == voucher.signature
    assert link.payee.totals(PRICE).settled == 12


def test_forgedVoucher_forASettledBatch_isRefused():
    link, _ = demanded(3)
    link.turn("payee", link.payee.on_judgement(1, 12 * PRICE, 12, link.now))
    forged = honest_voucher(13 * PRICE, 1, key=bytes(31) + b"\1")
    effects = link.payee.on_voucher(forged.cumulative, 1, forged.signature, link.now)
    assert one(effects, events.Refuse).reason == limits.FORGED_VOUCHER
    assert link.payee.totals(PRICE).cumulative == 12 * PRICE


@pytest.mark.parametrize(
    ("number", "value", "admitted"),
    [(1, 24, True), (1, 1, True), (1, 25, False), (2, 4, False), (0, 0, True)],
)
def test_admits_whatTheAcknowledgedTicketsComeTo(number, value, admitted):
    link = Link()
    link.carry(6)
    assert link.payer.admits(number, value * PRICE) is admitted


CAUGHT = limits.PADDED_TOTAL, limits.CHANGED_ROOT, limits.BAD_SAMPLE


@pytest.mark.parametrize("fault", [*CAUGHT, limits.BAD_ACK])
def test_payeeWithAFault_isAdmitted_upToWhatWasAcknowledged(fault):
    """Else one false message, and a case with real receipts, would earn the court's costs."""
    link = Link()
    link.carry(3)
    link.turn("payer", link.payer._accuse(fault))
    link.crash("payer")
    assert not link.payer.admits(1, 12 * PRICE + 1)
    assert link.payer.admit(1, 12 * PRICE + 1, 13) == ()
    effects = link.turn("payer", link.payer.admit(1, 12 * PRICE, 12))
    assert not only(effects, events.SendVoucher)  # the link is closed: the court is shown it
    link.crash("payer")
    assert (link.payer.state.cumulative, link.payer.state.upto_batch) == (12 * PRICE, 1)
    voucher = honest_voucher(12 * PRICE, 1)
    assert link.payer.state.signature == voucher.signature
    assert link.payer.refused == fault


def test_payeeCaughtAtItsNewestBatch_isAdmittedForEarlierOnes_upToWhatWasAcknowledged():
    """It settled 8 of 24, was caught with the next batch of 12, and sues for both."""
    link = Link()
    link.carry(6)
    link.respond_all(keep=lambda ticket: ticket.position < 2)
    link.settle()
    link.tick(15.0)
    link.flow()
    link.carry(3)
    link.turn("payer", link.payer._accuse(limits.BAD_SAMPLE))
    assert link.payer.admits(1, 24 * PRICE)
    assert not link.payer.admits(1, 24 * PRICE + 1)
    link.turn("payer", link.payer.admit(1, 24 * PRICE, 24))
    assert link.payer.admits(2, 36 * PRICE)
    assert not link.payer.admits(2, 36 * PRICE + 1)


def test_admittedCase_settlesTheBatch_oncePaid():
    link, _demand = demanded(6, signed=4)
    link.turn("payer", link.payer.admit(1, 16 * PRICE, 16))
    link.crash("payer")
    assert link.payer.admit(1, 16 * PRICE, 16) == ()
    link.heal()
    assert link.payee.totals(PRICE).cumulative == 16 * PRICE
    assert_equal_books(link)


def test_receiptsKeptBack_areAdmittedWithoutTheCourtsCosts():
    """The payee settles batch 1 for less than it has, then brings it to court as a whole."""
    link = Link()
    link.carry(6)
    link.respond_all(keep=lambda ticket: ticket.position < 2)
    link.settle()
    link.tick(15.0)
    link.flow()
    assert link.payer.totals(PRICE).cumulative == 8 * PRICE
    link.crash("payer")
    assert link.payer.admits(1, 24 * PRICE)
    assert not link.payer.admits(1, 25 * PRICE)
    effects = link.turn("payer", link.payer.admit(1, 24 * PRICE, 24))
    link.flow()
    assert one(effects, events.SendVoucher).cumulative == 24 * PRICE
    assert link.payee.totals(PRICE).cumulative == 24 * PRICE
    link.carry(1)
    link.heal()
    assert link.payee.totals(PRICE).cumulative == 28 * PRICE


@pytest.mark.parametrize("later", [1, 9])
def test_batchBeforeTheNewest_isPaidOnce_whetherAdmittedOrRead(later):
    """Of batch 1, 4 were settled of 24; then the payee brings all of it to court."""
    link = Link()
    link.carry(6)
    link.respond_all(keep=lambda ticket: ticket.position < 1)
    link.settle()
    link.tick(15.0)
    link.flow()
    link.carry(later)
    link.respond_all()
    link.settle()
    assert (link.payer.state.cumulative, link.payer.state.upto_batch) == ((4 + 4 * later) * PRICE, 2)
    for _ in range(2):
        link.turn("payer", link.payer.admit(1, 24 * PRICE, 24))
        link.turn("payer", link.payer.on_judgement(1, 24 * PRICE, 24))
        link.crash("payer")
    assert link.payer.state.cumulative == (24 + 4 * later) * PRICE


# Chance


@given(st.integers(0, 2**32), st.sampled_from([SMALL, SHORT]), st.booleans())
@settings(max_examples=250, derandomize=True, deadline=None)
def test_I7_booksAreEqual_whateverTheCourtDid_andWheneverItWasReadOf(seed, limits_, shielded):
    storm = CourtStorm(seed, limits_, shielded)
    for _ in range(400):
        storm.step()
    storm.calm()
    link, court_ = storm.link, storm.court
    state = link.payee.state
    # The payer may have signed a voucher for more receipts than were then judged, which nobody got.
    assert_equal_books(link, but={"settled"})
    assert_rebuilds(link)
    # I3: what the payee's book says it is owed, a voucher or a judgement says too.
    if state.signature:
        message = eip712.Voucher(PAYER, PAYEE, state.cumulative, state.upto_batch)
        assert eip712.signed_by(PAYER, message, DOMAIN, state.signature)
    else:
        assert state.cumulative == court_.judged
    assert state.settled * PRICE <= max(state.cumulative, court_.judged)
    assert max(state.cumulative, court_.judged) <= state.settled * PRICE + court_.costs
    assert not link.disks["payee"].of(rows.Demand)
