"""A payee that keeps receipts back, and sues for them and for more (I3, I7, I11)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book_court import COST, Case, Court, demanded
from book_greed import AttendedStorm, GreedyStorm
from book_helpers import PRICE, Link, honest_voucher, one
from book_storm import SHORT, SMALL, assert_equal_books, assert_rebuilds
from mixpay.book import events, limits


def settled(link, count, opened=None):
    """One batch more, settled for those tickets of 4 that are opened."""
    link.carry(count)
    link.respond_all(keep=lambda ticket: opened is None or ticket.position < opened)
    link.settle()
    link.tick(15.0)
    link.flow()


def judged(link, *told):
    link.turn("payer", link.payer.on_judgement(*told))
    link.crash("payer")


# Claims of receipts that were kept back


def test_batchBeforeTheNewest_suedForTheNewestTotal_isPaidNothingMore():
    """Over and over; there is no receipt for it."""
    link = Link()
    settled(link, 1)
    settled(link, 6)
    for _ in range(5):
        total = link.payer.state.cumulative
        assert link.payer.admits(1, total)
        assert link.payer.admit(1, total, 28) == ()
    assert link.payer.state.cumulative == 28 * PRICE
    assert not link.payer.admits(1, 29 * PRICE)


def test_everyClaim_thatBuildsOnAnAdmittedOne_isAdmittedToo():
    """Batch 1 was settled for 4 of 24; what was kept back counts for all that is claimed upon it."""
    link = Link()
    settled(link, 6, opened=1)
    for _ in range(4):
        settled(link, 1)
    base, total = 0, 24 * PRICE
    for number in range(1, 6):
        assert link.payer.admits(number, total)
        assert not link.payer.admits(number, 41 * PRICE)
        link.turn("payer", link.payer.admit(number, total, 4))
        judged(link, number, total, 4)
        base, total = total, total + 4 * PRICE
    assert link.payer.state.cumulative == base == 40 * PRICE


def test_judgementOfAnOldBatch_isOwed_andItsCostsCountForWhatIsAdmitted():
    link = Link()
    for _ in range(4):
        settled(link, 1)
    total = 4 * PRICE + COST
    for _ in range(2):
        judged(link, 1, total, 4, COST)
    assert (link.payer.state.cumulative, link.payer.state.upto_batch) == (total, 4)
    assert link.payer.admits(2, total + 4 * PRICE, COST)
    assert link.payer.admits(4, total + 12 * PRICE, COST)
    assert not link.payer.admits(4, total + 13 * PRICE, COST)
    link.carry(1)
    assert link.payer.admits(5, total + 4 * PRICE, COST)


def test_judgementBeforeTheNewestBatch_isRaisedByThatBatchOnly_whateverWasAdmittedMeanwhile():
    link = Link()
    settled(link, 6, opened=1)
    settled(link, 6, opened=2)
    link.turn("payer", link.payer.admit(2, 28 * PRICE, 24))
    assert link.payer.state.cumulative == 28 * PRICE
    for _ in range(2):
        judged(link, 1, 24 * PRICE + COST, 24, COST)
    assert link.payer.state.cumulative == 32 * PRICE + COST


def test_payerThatLostItsDisk_owesWhatWasJudged_andAdmitsWhatFollows():
    link = Link()
    total = 100 * PRICE + COST
    judged(link, 4, total, 9, COST)
    judged(link, 3, total + 1, 9, COST)  # of a batch that it does not know
    assert link.payer.state.cumulative == total + 1
    link.turn("payee", link.payee.on_judgement(4, total, 9, link.now))
    settled(link, 6, opened=1)
    assert link.payer.state.upto_batch == 5
    assert link.payer.admits(5, total + 24 * PRICE, COST)


def test_costsThatAreJudgedAgainAndAgain_areAdmittedOnce():
    """Five batches, each a little larger, are proven upon nothing: the totals hold the costs of one case."""
    link, court = Link(), Court()
    for value in range(20, 25):
        link.carry(1, value=value)
        link.respond_all()
        link.settle()
        link.tick(2.0)
    acknowledged = sum(range(20, 25)) * PRICE
    assert link.payer.state.cumulative == acknowledged
    for number, value in enumerate(range(20, 25), start=1):
        assert court.takes(number, value, value)
        court.case = Case(0, number, value)
        court.finish()
        assert not court.takes(number, value, value)
        court.tell(link, "payer")
        link.crash("payer")
    assert court.judged == 24 * PRICE + COST
    assert court.costs == 4 * PRICE + COST
    # It owes what was judged of the batch before the newest, and the newest.
    assert link.payer.state.cumulative == (23 + 24) * PRICE + COST
    for number in range(1, 6):
        assert link.payer.admits(number, acknowledged + court.costs, court.costs)
        assert not link.payer.admits(number, acknowledged + court.costs + 1, court.costs)
        assert not link.payer.admits(number, acknowledged + 5 * COST, court.costs)


# What a payee makes of totals


def test_judgementOfAnOldBatch_isTheBaseOfWhatFollows():
    link = Link()
    for _ in range(3):
        settled(link, 1)
    total = 4 * PRICE + COST
    effects = link.turn("payee", link.payee.on_judgement(1, total, 4, link.now))
    assert effects
    link.crash("payee")
    assert (link.payee.state.cumulative, link.payee.state.upto_batch) == (total, 3)
    assert link.payee.state.is_judged
    judged(link, 1, total, 4, COST)
    link.heal()
    assert link.payee.state.signature == link.payer.state.signature != b""
    assert_equal_books(link)


@pytest.mark.parametrize(("number", "total"), [(1, 4 + 1_000), (2, 8 + 1_000)])
def test_answer_upToASettledBatch_countsIfItIsMore(number, total):
    link = Link()
    for _ in range(2):
        settled(link, 1)
    voucher = honest_voucher(total * PRICE, number)
    answer = number, voucher.cumulative, voucher.signature, 4, link.now
    link.turn("payee", link.payee.on_answer(*answer))
    assert link.payee.state.cumulative == total * PRICE
    assert link.payee.state.is_judged is (number == 1)
    assert link.payee.on_answer(*answer) == ()


def test_answer_upToALaterBatch_settlesAllOfThem():
    link, _demand = demanded(3)
    link.carry(2)
    voucher = honest_voucher(20 * PRICE, 2)
    link.turn("payee", link.payee.on_answer(2, voucher.cumulative, voucher.signature, 12, link.now))
    assert (link.payee.state.cumulative, link.payee.state.upto_batch) == (20 * PRICE, 2)
    assert link.payee.demand is None


def test_answerBelowWhatIsJudged_doesNotLowerTheTotal():
    """The case was built on less; the next one builds on what was judged."""
    link, demand = demanded(3)
    link.turn("payee", link.payee.on_judgement(0, COST, 9, link.now))
    voucher = honest_voucher(12 * PRICE, 1)
    assert link.payee.on_answer(1, voucher.cumulative, voucher.signature, 12, link.now) == ()
    assert link.payee.demand == demand


@pytest.mark.parametrize("total", [2**95, 2**96 - 1])
def test_voucherUponWhichNothingCouldBeClaimed_isAFault(total):
    link, _demand = demanded(3)
    voucher = honest_voucher(total, 1)
    effects = link.payee.on_voucher(total, 1, voucher.signature, link.now)
    assert one(effects, events.Refuse).reason == limits.WRONG_VOUCHER
    assert link.payee.state.upto_batch == 0
    link.turn("payee", link.payee.on_judgement(1, 12 * PRICE, 12, link.now))
    effects = link.payee.on_voucher(total, 1, voucher.signature, link.now)
    assert one(effects, events.Refuse).reason == limits.WRONG_VOUCHER
    assert link.payee.state.cumulative == 12 * PRICE


# Chance


@given(st.integers(0, 2**32), st.sampled_from([SMALL, SHORT]))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_I11_payerSignsForWhatWasAcknowledgedAndJudged_whateverItIsSuedFor(seed, limits_):
    storm = GreedyStorm(seed, limits_)
    for _ in range(400):
        storm.step()
    storm.calm()
    assert_rebuilds(storm.link)
    # I3: what was ever signed or judged is what the payee has a right to.
    assert max(storm.link.payee.state.cumulative, storm.court.judged) <= storm.owed_at_most()


@given(st.integers(0, 2**32), st.sampled_from([SMALL, SHORT]))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_payerThatIsThere_neverPaysTheCourtsCosts(seed, limits_):
    storm = AttendedStorm(seed, limits_)
    for _ in range(400):
        storm.step()
    storm.calm()
    assert storm.court.costs == 0
    assert storm.link.payee.state.cumulative <= sum(storm.acked.values()) * PRICE
