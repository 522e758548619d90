"""How far a payee is with a payer's batches: each stage is told, and amounts agree with the book's totals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book_court import CourtStorm, cut_batch, demanded
from book_helpers import PRICE, Link
from book_storm import Storm
from mixpay.book.standing import Stage
from test_book_skipped import NOTHING_TO_PROVE, demanded_next


def standing(link):
    return link.payee.standing(link.now)


def test_openBatch_tellsItsTime():
    link = Link()
    assert standing(link).open.stage is Stage.OPEN and standing(link).cut is None
    link.carry(3)
    link.respond_all(keep=lambda ticket: ticket.position)
    link.now += 600.0
    found = standing(link)
    assert (found.open.tickets, found.open.amount, found.open.proven) == (3, 12 * PRICE, 8 * PRICE)
    assert found.cut_in == link.payee.limits.settle_period - 600.0


def test_settlement_goesThroughItsStages():
    link = Link()
    link.carry(10)
    link.respond_all(keep=lambda ticket: ticket.position)
    link.turn("payee", link.payee.begin_settlement(link.now))
    assert standing(link).cut.stage is Stage.RESPONSES
    assert standing(link).redeemed_in == 15.0
    link.now += 16.0
    assert standing(link).cut.stage is Stage.UNSIGNED  # the payer has not heard of the cut yet
    for stage in (Stage.ASKED, Stage.SHOWN):
        while standing(link).cut.stage is not stage:
            for side, wire in link.wires.items():
                if wire:
                    link.turn(side, link.handle(side, wire.popleft()))
            link.turn("payee", link.payee.tick(link.now))
    assert standing(link).cut.proven == 36 * PRICE
    link.flow()
    assert standing(link).cut is None and standing(link).open.number == 2


def test_batchWithoutSignature_waitsForIt():
    assert standing(cut_batch(4, signed=0)).cut.stage is Stage.UNSIGNED


def test_batchInCourt_isToldAsThat():
    link, _ = demanded(6, signed=4)
    assert standing(link).cut.stage is Stage.COURT


@NOTHING_TO_PROVE
def test_batchThatWasSkipped_isGivenUp_andTheNextIsInCourt(first):
    link, _ = demanded_next(first)
    found = standing(link)
    assert (found.cut.stage, found.cut.proven) == (Stage.GIVEN_UP, 0)
    assert (found.open.stage, found.open.proven) == (Stage.COURT, 12 * PRICE)


@pytest.mark.parametrize("storm_of", [Storm, CourtStorm])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_amounts_areThoseOfTheBook_whateverHappened(storm_of, seed):
    """I7: what is shown as owed is what the book says, in every state that chance leads to."""
    storm = storm_of(seed)
    for _ in range(60):
        storm.step()
        totals, found = storm.link.payee.totals(PRICE), standing(storm.link)
        batches = [found.open, *([found.cut] if found.cut is not None else [])]
        assert sum(batch.amount for batch in batches) == totals.unsettled * PRICE
        assert sum(batch.proven for batch in batches) == totals.opened * PRICE
        assert all(batch.proven <= batch.amount for batch in batches)
        assert found.cut_in >= 0 and found.redeemed_in >= 0
