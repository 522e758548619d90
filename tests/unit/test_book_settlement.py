"""Payer and payee together: whole rounds, lossy wires, crashes, and cheats (I7, docs/design.md §7, §13)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from book_helpers import PRICE, RICH, Link, only, secrets
from book_storm import SHORT, SMALL, Storm, assert_equal_books, assert_rebuilds
from mixpay.book import Limits, events, limits, rows
from mixpay.book.rows import Channel
from mixpay.merkle import NO_RESPONSE, SumTree, _join


def test_oneRound_paysExactlyTheOpenedTickets():
    link = Link()
    link.carry(30, value=4)
    link.carry(10, value=1)
    link.respond_all()
    assert link.payee.totals(PRICE).opened == 130
    link.settle()
    assert link.payee.totals(PRICE).cumulative == 130 * PRICE
    assert link.payee.totals(PRICE).receipts == 40
    assert [e for _, e in link.events if isinstance(e, events.BatchSettled)] == [
        events.BatchSettled(1, 130, 130 * PRICE, 130 * PRICE)
    ] * 2
    assert_equal_books(link)


def test_settlement_leavesNoTrace():
    link = Link()
    link.carry(5)
    link.respond_all()
    link.settle()
    for disk in link.disks.values():
        assert {type(row) for row in disk.rows()} <= {rows.LinkState, rows.Channel, rows.Settlements}


def test_ticketsUnderWay_goIntoTheNextBatch():
    link = Link()
    link.carry(3)
    link.respond_all()
    link.issue()
    link.turn("payee", link.payee.begin_settlement(link.now))
    link.flow()
    placed = link.disks["payee"].of(rows.PlacedTicket)
    assert [(ticket.batch, ticket.position) for ticket in placed] == [(2, 0)]
    assert link.payer.totals(PRICE).settled == 12
    link.tick(2.0)
    link.flow()
    assert_equal_books(link)


def test_missingResponses_areWaitedForAndThenNotPaid():
    link = Link()
    link.carry(10)
    link.respond_all(keep=lambda ticket: ticket.position != 7)
    link.settle()
    assert link.payer.totals(PRICE).settled == 0
    link.tick(14.0)
    assert link.payee.totals(PRICE).upto_batch == 0
    link.tick(1.0)
    link.flow()
    assert link.payee.totals(PRICE).cumulative == link.payer.totals(PRICE).cumulative == 36 * PRICE
    assert_equal_books(link)


def test_payerThatSignsWhenTheTimeIsOver_endsNoWait_onlyATickDoes():
    """I8: before a tick it is seen whether responses may still come; the missing one comes, and is paid."""
    link = Link()
    link.carry(10)
    link.respond_all(keep=lambda ticket: ticket.position != 7)
    link.turn("payee", link.payee.begin_settlement(link.now))
    link.now += 20.0
    link.flow()
    assert link.disks["payee"].of(rows.SignedBatch)[0].count == 10
    assert link.payee.gives_up(link.now) and link.disks["payee"].of(rows.Commitment) == []
    link.respond_all()
    link.flow()
    assert link.payee.totals(PRICE).cumulative == link.payer.totals(PRICE).cumulative == 40 * PRICE


def test_lastResponse_endsTheWaitAtOnce():
    link = Link()
    link.carry(4)
    link.respond_all(keep=lambda ticket: ticket.position != 2)
    link.settle()
    link.respond_all()
    link.flow()
    assert link.payee.totals(PRICE).settled == 16


def test_responseAfterTheRootIsFixed_changesNothing():
    link = Link()
    link.carry(4)
    link.respond_all(keep=lambda ticket: ticket.position != 2)
    link.settle()
    link.tick(15.0)
    (late,) = (t for t in link.disks["payee"].of(rows.PlacedTicket) if t.position == 2)
    assert link.respond(late) == ()
    link.crash("payee")
    link.heal()
    assert link.payee.totals(PRICE).settled == 12
    assert_equal_books(link)


def test_batchWithoutAnyReceipt_isClosedByTheSameCumulative():
    link = Link()
    link.carry(2)
    link.respond_all()
    link.settle()
    link.carry(3)
    link.settle()
    link.tick(15.0)
    link.flow()
    assert link.payee.totals(PRICE).upto_batch == 2
    assert link.payee.totals(PRICE).cumulative == 8 * PRICE
    assert_equal_books(link)


def test_toldTwice_settlesWhatCameInBetweenToo():
    link = Link()
    link.carry(3)
    link.turn("payee", link.payee.begin_settlement(link.now))
    link.flow()
    link.carry(2)
    link.turn("payee", link.payee.begin_settlement(link.now))
    link.respond_all()
    link.flow()
    assert link.payee.totals(PRICE).upto_batch == 2
    assert link.payee.totals(PRICE).settled == 20


def test_aRestart_saysTheSame():
    link = Link(limits=SMALL)
    for _ in range(9):
        link.carry(1)
    link.respond_all(keep=lambda ticket: ticket.position % 2)
    assert_rebuilds(link)
    link.settle()
    link.carry(2)
    assert_rebuilds(link)
    link.heal()
    assert_rebuilds(link)
    assert_equal_books(link)


@given(st.integers(0, 2**32), st.sampled_from([SMALL, SHORT]))
@settings(max_examples=120, derandomize=True, deadline=None)
def test_I7_booksAreEqualAfterOneRound_whateverWasLostRepeatedReorderedOrCrashed(seed, limits_):
    storm = Storm(seed, limits_)
    for _ in range(250):
        storm.step()
    storm.calm()
    link = storm.link
    assert link.payee.totals(PRICE).settled == storm.opened
    assert link.payee.totals(PRICE).cumulative == storm.opened * PRICE
    assert link.payer.totals(PRICE).unsettled == 0
    assert_equal_books(link)
    assert_rebuilds(link)


# Cheats


def cheat(link, count, receipts):
    """A payee that has `count` tickets of value 4 in batch 1 redeems these receipts instead of its own.

    Returns the payer's last effects.
    """
    link.turn("payer", link.payer.on_cut(1, count))
    effects = link.turn("payer", link.payer.on_redeem(1, receipts.root, receipts.total))
    if only(effects, events.Refuse):
        return effects
    points = only(effects, events.SendSamples)[0].points
    return link.turn("payer", link.payer.on_openings(1, tuple(map(receipts.open, points))))


def carried(seed, count):
    link = Link(seed)
    link.carry(count)
    return link


@pytest.mark.parametrize(("invented", "unnoticed"), [(1, 0.44), (4, 0.03), (10, 0.0001)])
def test_inventedReceipts_areCaughtAsOftenAsTheSamplesPromise(invented, unnoticed):
    trials, paid = 60, 0
    for seed in range(trials):
        link = carried(seed, 20)
        receipts = SumTree([(secrets(i if i >= invented else 99)[0], 4) for i in range(20)])
        effects = cheat(link, 20, receipts)
        paid += bool(only(effects, events.SendVoucher))
        if link.payer.refused:
            assert link.payer.refused == limits.BAD_SAMPLE
            assert link.payer.totals(PRICE).cumulative == 0
    spread = 3 * (unnoticed * (1 - unnoticed) / trials) ** 0.5
    assert abs(paid / trials - unnoticed) <= spread + 1 / trials


def test_oneResponseForTwoTickets_isCaughtLikeAnInventedOne():
    link = carried(3, 8)
    receipts = SumTree([(secrets(0)[0], 4)] * 8)
    assert only(cheat(link, 8, receipts), events.Refuse) == [events.Refuse(limits.BAD_SAMPLE)]


def test_totalAboveTheTickets_isCaughtWithoutSampling():
    link = carried(3, 8)
    receipts = SumTree([(secrets(i)[0], 5) for i in range(8)])
    assert only(cheat(link, 8, receipts), events.Refuse) == [events.Refuse(limits.PADDED_TOTAL)]


def test_sumsPaddedInsideTheTree_failWheneverAPointFallsUnderThem():
    class Padded(SumTree):
        """The left half claims 32 more than its receipts have."""

        def __init__(self, receipts):
            super().__init__(receipts)
            left, right = self.node(self.height - 1, 0), self.node(self.height - 1, 1)
            padded = (left[0], left[1] + 32)
            self._levels[-2] = b"".join(hash_ + sum_.to_bytes(8, "big") for hash_, sum_ in (padded, right))
            self.root, self.total = _join(padded, right)

        def open(self, point):
            left = self.node(self.height - 1, 0)[1]
            return super().open(point - 32 if point >= left else min(point, left - 33))

    receipts = [(secrets(i)[0], 4) if i % 2 else (NO_RESPONSE, 0) for i in range(32)]
    for seed in range(10):
        link = carried(seed, 32)
        assert only(cheat(link, 32, Padded(receipts)), events.Refuse) == [events.Refuse(limits.BAD_SAMPLE)]


def test_payerThatNeverSigns_getsOneWindow():
    link = Link(limits=Limits(unsigned_window=10_000), payee_limits=Limits(unsigned_window=32))
    taken = 0
    for _ in range(100):
        ticket = only(link.issue(), events.SendTicket)[0]
        taken += bool(only(link.turn("payee", link.handle("payee", ticket)), events.TicketTaken))
    assert taken == 32


def test_payerThatNeverSettles_getsWhatTheLimitsAllow():
    for channel, most in ((Channel(), 100), (Channel(deposit=300 * PRICE), 300), (RICH, 400)):
        strict = Limits(credit_limit=100, max_unsettled=400)
        generous = Limits(credit_limit=10**9, max_unsettled=10**9)
        link = Link(limits=generous, payee_limits=strict, channel=None)
        link.turn("payee", link.payee.on_channel(channel, link.now))
        for _ in range(150):
            effects = link.issue(value=4)
            if isinstance(effects, events.Wait):
                link.now += 2.0
                continue
            while link.wires["payee"] or link.wires["payer"]:
                for side, wire in link.wires.items():
                    if wire and isinstance(wire[0], events.SendCut | events.SendRedeem):
                        wire.popleft()
                    elif wire:
                        link.turn(side, link.handle(side, wire.popleft()))
        assert link.payee.totals(PRICE).unsettled == most
