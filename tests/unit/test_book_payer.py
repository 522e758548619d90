"""The payer's rules, one by one, against a payee that is played by hand."""

import pytest

from book_helpers import (
    DOMAIN,
    PAYEE,
    PAYER,
    PAYER_KEY,
    PRICE,
    Link,
    locks_root,
    one,
    only,
    secrets,
)
from mixpay import eip712, merkle
from mixpay.book import Limits, events, limits, rows
from mixpay.book.rows import Channel
from mixpay.book.sampling import draw_points

SMALL = Limits(unsigned_window=8, max_lost=6)


def ack(position, batch=1, seq=None, index=None):
    """The payee's ack for the ticket at this position, if tickets are acknowledged in order."""
    index = position if index is None else index
    return batch, position, index + 1 if seq is None else seq, secrets(index)[2]


def with_tickets(count, **kwargs):
    link = Link(**kwargs)
    for _ in range(count):
        assert not isinstance(link.issue(), events.Wait)
    return link


def on_acks(link, *acks):
    return link.turn("payer", link.payer.on_acks(acks, link.now))


def full_batch(count=4, **kwargs):
    """A batch that the payee has cut, every ticket acknowledged."""
    link = with_tickets(count, **kwargs)
    on_acks(link, *(ack(i) for i in range(count)))
    link.turn("payer", link.payer.on_cut(1, count))
    return link


def receipts(count, missing=()):
    return merkle.SumTree(
        [(merkle.NO_RESPONSE, 0) if i in missing else (secrets(i)[0], 4) for i in range(count)]
    )


def sampled_batch(count=4):
    link = full_batch(count)
    tree = receipts(count)
    effects = link.turn("payer", link.payer.on_redeem(1, tree.root, tree.total))
    return link, tree, one(effects, events.SendSamples).points


# Tickets


def test_issue_storesTheTicketThenSendsIt():
    link = Link()
    stored, sent = link.issue(value=3)
    _, lock, _, hint = secrets(0)
    assert stored == events.Store(rows.IssuedTicket(1, lock, hint, 3, PRICE, b"1"))
    assert sent == events.SendTicket(1, lock, hint, 3)
    assert one(link.issue(), events.SendTicket).seq == 2


@pytest.mark.parametrize(
    "wrong", [{"lock": b""}, {"hint": b"\x02" + bytes(32)}, {"value": 0}, {"value": 256}, {"price": 0}]
)
def test_issue_failsIfAnArgumentIsOutOfRange(wrong):
    link = Link()
    _, lock, _, hint = secrets(0)
    arguments = {"lock": lock, "hint": hint, "value": 4, "price": PRICE} | wrong
    with pytest.raises(ValueError, match="ticket"):
        link.payer.issue(**arguments, now=link.now)


def test_issue_waitsIfTheWindowIsFull_untilASignatureCoversIt():
    link = with_tickets(8, limits=SMALL)
    assert link.issue() == events.Wait(limits.UNSIGNED_WINDOW)
    on_acks(link, *(ack(i) for i in range(4)))
    assert not isinstance(link.issue(), events.Wait)


def test_issue_waitsIfTheChannelIsExhausted():
    link = with_tickets(2, channel=Channel(deposit=10 * PRICE))
    assert link.issue(value=3) == events.Wait(limits.CHANNEL_EXHAUSTED)
    link.set_channel(Channel(deposit=11 * PRICE))
    assert not isinstance(link.issue(value=3), events.Wait)


def test_issue_waitsIfTheCreditIsExhausted_andVouchersCountAgainstIt():
    link = Link(limits=Limits(credit_limit=10), channel=None)
    link.carry(2)
    assert link.issue(value=3) == events.Wait(limits.CREDIT_EXHAUSTED)
    link.respond_all()
    link.settle()
    assert link.issue(value=3) == events.Wait(limits.CREDIT_EXHAUSTED)
    assert not isinstance(link.issue(value=2), events.Wait)


def test_issue_waitsAtMaxUnsettled():
    link = with_tickets(2, limits=Limits(max_unsettled=9))
    assert link.issue(value=2) == events.Wait(limits.MAX_UNSETTLED)
    assert not isinstance(link.issue(value=1), events.Wait)


def test_issue_waitsIfTheChannelIsClosing():
    link = Link(channel=Channel(deposit=10**20, closes_at=5))
    assert link.issue() == events.Wait(limits.CHANNEL_CLOSING)


def test_issue_pausesIfThePayeeRefusesForALimit_notForABadPacket():
    link = with_tickets(2)
    refused = link.payer.on_ticket_refused(1, "replayed", link.now)
    assert refused == (events.TicketLost(1, "replayed", b"1"),)
    assert not isinstance(link.issue(), events.Wait)
    link.payer.on_ticket_refused(2, limits.CHANNEL_EXHAUSTED, link.now)
    assert link.issue() == events.Wait(limits.PAYEE_REFUSES)
    link.now += 2.0
    assert not isinstance(link.issue(), events.Wait)


def test_refusalOfAnUnknownTicket_isIgnored():
    assert Link().payer.on_ticket_refused(7, limits.CHANNEL_EXHAUSTED, 0.0) == ()


# Acknowledgements


def test_acks_openTicketsAtOnce_andReachTheDiskFirst():
    link = with_tickets(2)
    effects = on_acks(link, ack(0), ack(1))
    assert only(effects, events.TicketOpened) == [
        events.TicketOpened(1, secrets(0)[2], b"1"),
        events.TicketOpened(2, secrets(1)[2], b"2"),
    ]
    assert [t.seq for t in link.disks["payer"].of(rows.PlacedTicket)] == [2, 1]
    assert not link.disks["payer"].of(rows.IssuedTicket)


def test_acks_areTakenInOrderOfPositions_whateverTheTicketsOrder():
    link = with_tickets(3)
    effects = on_acks(link, ack(0, index=2), ack(1, index=0), ack(2, index=1))
    assert [e.seq for e in only(effects, events.TicketOpened)] == [3, 1, 2]


def test_acks_aheadOfAGapAreLeftOut_andTakenWhenTheyComeAgain():
    link = with_tickets(3)
    assert on_acks(link, ack(1), ack(2)) == ()
    assert len(only(on_acks(link, ack(0), ack(1), ack(2)), events.TicketOpened)) == 3


def test_acks_repeatedChangeNothing_butAreAnsweredByTheNewestBatch():
    link = with_tickets(2)
    on_acks(link, ack(0), ack(1))
    assert on_acks(link, ack(0), ack(1)) == ()
    link.tick(2.0)
    before = dict(link.disks["payer"].table)
    effects = on_acks(link, ack(0), ack(1), ack(1))
    assert [type(e) for e in effects] == [events.SendBatch]
    assert link.disks["payer"].table == before


def test_badAck_refusesTheLink_thoseBeforeItCount():
    link = with_tickets(12)
    bad = (1, 10, 11, secrets(99)[2])
    effects = on_acks(link, *(ack(i) for i in range(10)), bad, ack(11))
    assert [e.seq for e in only(effects, events.TicketOpened)] == list(range(1, 11))
    assert one(effects, events.Refuse).reason == limits.BAD_ACK
    assert one(effects, events.Refuse).error.reason == limits.BAD_ACK
    assert link.issue() == events.Wait(limits.LINK_REFUSED)
    link.crash("payer")
    assert link.payer.refused == limits.BAD_ACK
    assert link.issue() == events.Wait(limits.LINK_REFUSED)
    for effects in (
        on_acks(link, ack(10)),
        link.payer.on_cut(1, 10),
        link.payer.on_redeem(1, bytes(32), 1),
        link.payer.on_openings(1, ()),
        link.payer.resend(link.now),
    ):
        assert effects == (events.Refuse(limits.BAD_ACK),)
    assert link.payer.tick(link.now + 100) == ()


@pytest.mark.parametrize(
    ("acks", "reason"),
    [
        ([ack(0), ack(1, index=0)], limits.UNKNOWN_TICKET),  # one ticket counted twice
        ([ack(0), ack(1, seq=77)], limits.UNKNOWN_TICKET),
        ([ack(0, seq=2)], limits.BAD_ACK),
    ],
)
def test_acks_thatCannotBeTrue_refuseTheLink(acks, reason):
    link = with_tickets(3)
    assert one(on_acks(link, *acks), events.Refuse).reason == reason


def test_acks_forAKnownPlaceWithAnotherTicket_refuseTheLink():
    link = with_tickets(3)
    on_acks(link, ack(0))
    assert one(on_acks(link, ack(0, index=1)), events.Refuse).reason == limits.CHANGED_ACK


def test_acks_beyondTheCut_refuseTheLink():
    link = full_batch(2)
    link.issue()
    assert one(on_acks(link, ack(2)), events.Refuse).reason == limits.ACK_AFTER_CUT


def test_acks_ofABatchThatIsNotOpenYet_areLeftOut():
    link = with_tickets(3)
    on_acks(link, ack(0))
    assert on_acks(link, ack(0, batch=2, index=1)) == ()
    link.turn("payer", link.payer.on_cut(1, 1))
    assert only(on_acks(link, ack(0, batch=2, index=1)), events.TicketOpened)


# Batches


def test_halfAWindow_isSignedAtOnce():
    link = with_tickets(8, limits=SMALL)
    assert not only(on_acks(link, ack(0), ack(1), ack(2)), events.SendBatch)
    batch = one(on_acks(link, ack(3)), events.SendBatch)
    tickets = sorted(link.disks["payer"].of(rows.PlacedTicket), key=lambda ticket: ticket.position)
    assert (batch.number, batch.count, batch.root) == (1, 4, locks_root(tickets))
    message = eip712.Batch(PAYER, PAYEE, 1, 4, 16, PRICE, batch.root)
    assert eip712.recover(message.digest(DOMAIN), batch.signature) == PAYER


def test_fewerTickets_areSignedWithinTheInterval_once():
    link = with_tickets(1)
    on_acks(link, ack(0))
    assert link.payer.tick(link.now + 1.9) == ()
    assert one(link.payer.tick(link.now + 2.0), events.SendBatch).count == 1
    assert link.payer.tick(link.now + 4.0) == ()


def test_trickle_doesNotPutOffTheSignature():
    link = with_tickets(5)
    for index in range(4):
        assert not only(on_acks(link, ack(index)), events.SendBatch)
        link.now += 0.5
    assert one(on_acks(link, ack(4)), events.SendBatch).count == 5


def test_signature_survivesARestart():
    link = with_tickets(3)
    on_acks(link, ack(0), ack(1))
    link.tick(2.0)
    before = link.payer.resend(link.now)
    link.crash("payer")
    assert link.payer.resend(link.now) == before
    on_acks(link, ack(2))
    link.tick(2.0)
    tickets = sorted(link.disks["payer"].of(rows.PlacedTicket), key=lambda ticket: ticket.position)
    assert one(link.payer.resend(link.now), events.SendBatch).root == locks_root(tickets)


# Lost tickets


def test_missingAcks_areAwaited_asLongAsTheyMayEarnUpstream():
    """Whoever paid us does not wait for our responses for ever, so no link may pause for long meanwhile."""
    link = with_tickets(2)
    assert link.payer.awaits_acks(link.now)
    link.now += link.limits.ack_timeout + 1
    link.turn("payer", link.payer.tick(link.now))  # lost, but an ack that comes late is worth as much
    assert link.payer.awaits_acks(link.now)
    link.crash("payer")
    assert link.payer.awaits_acks(link.now)
    link.now += link.limits.longest_wait
    assert not link.payer.awaits_acks(link.now)


def test_ticketThatCountsAsLost_isInDoubtAWhileLonger_andAsLongAsItsPayeeIsAway():
    link = with_tickets(1)
    link.now += link.limits.ack_timeout + 1
    link.turn("payer", link.payer.tick(link.now))
    assert link.payer.totals(PRICE).lost == 1
    assert len(list(link.payer.unanswered(link.now, away=False))) == 1
    link.now += link.limits.response_timeout
    assert not list(link.payer.unanswered(link.now, away=False))
    assert len(list(link.payer.unanswered(link.now, away=True))) == 1


def test_nothingIsAwaited_ifNothingIsMissing_orThePayeeBrokeTheRules():
    link = with_tickets(1)
    on_acks(link, ack(0))
    assert not link.payer.awaits_acks(link.now)
    link.issue()
    on_acks(link, (1, 1, 2, bytes(32)))
    assert link.payer.refused
    assert not link.payer.awaits_acks(link.now)
    assert not Link().payer.awaits_acks(0.0)


def test_overdueTicket_isLost_makesRoom_andIsStillTakenLate():
    link = with_tickets(8, limits=SMALL)
    lost = link.payer.tick(link.now + 5.0)
    assert [(e.seq, e.reason) for e in only(lost, events.TicketLost)] == [
        (i + 1, limits.NO_ACK) for i in range(8)
    ]
    assert link.payer.totals(PRICE).unsettled == 0
    assert link.payer.totals(PRICE).lost == 8
    assert only(on_acks(link, ack(0)), events.TicketOpened)


def test_issue_waitsIfTooManyTicketsAreLost():
    link = with_tickets(6, limits=SMALL)
    link.tick(5.0)
    assert link.issue() == events.Wait(limits.TOO_MANY_LOST)


def test_issue_probesNowAndThen_soThatAPayeeThatIsWellAgainGetsAllAgain():
    """A payee that crashed again and again, with tickets that it never saw, and is well now."""
    link = with_tickets(6, limits=SMALL)
    link.tick(5.0)
    link.now += SMALL.probe_interval - 5.1
    assert link.issue() == events.Wait(limits.TOO_MANY_LOST)
    link.now += 0.1
    assert one(link.issue(), events.SendTicket).seq == 7
    assert link.issue() == events.Wait(limits.TOO_MANY_LOST), "one only"
    link.now += 1.0
    nothing = merkle.SumTree([(merkle.NO_RESPONSE, 0)]).root
    on_acks(link, ack(0, index=7, seq=7))  # those that had to wait took a number of the test's, too
    link.turn("payer", link.payer.on_cut(1, 1))
    link.turn("payer", link.payer.on_redeem(1, nothing, 0))
    assert one(link.issue(), events.SendTicket).seq == 8, "it answers"
    assert link.issue() == events.Wait(limits.TOO_MANY_LOST), "as many as it has answered"
    on_acks(link, ack(0, batch=2, index=9, seq=8))
    link.turn("payer", link.payer.on_cut(2, 1))
    assert not link.disks["payer"].of(rows.IssuedTicket)
    assert one(link.issue(), events.SendTicket).seq == 9


def test_probes_endWithTheNextLoss():
    link = with_tickets(6, limits=SMALL)
    link.tick(5.0)
    link.now += SMALL.probe_interval
    link.issue()
    on_acks(link, ack(0, index=6))
    assert one(link.issue(), events.SendTicket).seq == 8
    link.tick(5.0)
    assert link.issue() == events.Wait(limits.TOO_MANY_LOST)


def test_lostTickets_areForgottenWhenThePayeeCannotAcknowledgeThemAnyMore():
    link = with_tickets(3)
    on_acks(link, ack(0, index=2))
    link.tick(5.0)
    link.turn("payer", link.payer.on_cut(1, 1))
    # Batch 1 ends after ticket 3; tickets 1 and 2 may still come into batch 2.
    assert {t.seq for t in link.disks["payer"].of(rows.IssuedTicket)} == {1, 2}
    tree = merkle.SumTree([(merkle.NO_RESPONSE, 0)])
    link.turn("payer", link.payer.on_redeem(1, tree.root, 0))
    on_acks(link, ack(0, batch=2, index=1))
    link.turn("payer", link.payer.on_cut(2, 1))
    assert not link.disks["payer"].of(rows.IssuedTicket)
    assert one(on_acks(link, ack(0, batch=3, index=0)), events.Refuse).reason == limits.UNKNOWN_TICKET


def test_ticketsRefusedForTheirPackets_areForgotten_andCloseNoLink():
    link = Link(limits=SMALL)
    for seq in range(1, 4 * SMALL.max_lost):
        assert one(link.issue(), events.SendTicket).seq == seq
        lost = link.turn("payer", link.payer.on_ticket_refused(seq, "malformed", link.now))
        assert one(lost, events.TicketLost).reason == "malformed"
        assert link.turn("payer", link.payer.on_ticket_refused(seq, "malformed", link.now)) == ()
    # The newest stays, so that its number is not used again.
    assert [t.seq for t in link.disks["payer"].of(rows.IssuedTicket)] == [seq]
    assert link.payer.totals(PRICE).unsigned == 0
    link.crash("payer")
    assert one(link.issue(), events.SendTicket).seq == seq + 1


def test_ticketNumbers_areNeverUsedAgain():
    link = full_batch(3)
    link.turn("payer", link.payer.on_redeem(1, receipts(3).root, 0))
    link.crash("payer")
    assert one(link.issue(), events.SendTicket).seq == 4
    link.crash("payer")
    assert one(link.issue(), events.SendTicket).seq == 5


def test_ticketNumbers_areNeverUsedAgain_ifTicketsOvertookEachOther():
    link = with_tickets(3)
    for number, index in ((1, 2), (2, 0)):  # ticket 3, settled before ticket 1 is acknowledged
        on_acks(link, ack(0, batch=number, index=index))
        link.turn("payer", link.payer.on_cut(number, 1))
        link.turn("payer", link.payer.on_redeem(number, bytes(32), 0))
    link.tick(5.0)
    assert not link.disks["payer"].of(rows.IssuedTicket)
    link.crash("payer")
    assert one(link.issue(), events.SendTicket).seq == 4


def test_highestNumber_countsInABatch_notTheLast():
    link = with_tickets(3)
    on_acks(link, ack(0, index=2), ack(1, index=1), ack(2, index=0))
    link.turn("payer", link.payer.on_cut(1, 3))
    link.turn("payer", link.payer.on_redeem(1, bytes(32), 0))
    link.crash("payer")
    assert one(link.issue(), events.SendTicket).seq == 4


# Settlement


def test_cut_signsTheWholeBatch_whenItsLastAckIsIn():
    link = with_tickets(3)
    on_acks(link, ack(0))
    assert not only(link.turn("payer", link.payer.on_cut(1, 3)), events.SendBatch)
    assert not only(on_acks(link, ack(1)), events.SendBatch)
    assert one(on_acks(link, ack(2)), events.SendBatch).count == 3


def test_cut_repeatedIsAnsweredByTheSameBatch():
    link = full_batch(3)
    first = link.payer.on_cut(1, 3)
    assert [type(e) for e in first] == [events.SendBatch]
    link.crash("payer")
    assert link.payer.on_cut(1, 3) == first


def test_cut_ofABatchSignedBefore_sendsTheSignatureAgain():
    link = with_tickets(3)
    on_acks(link, *(ack(i) for i in range(3)))
    link.tick(2.0)
    assert one(link.payer.on_cut(1, 3), events.SendBatch).count == 3


@pytest.mark.parametrize("count", [0, 2])
def test_cut_belowWhatWasAcknowledged_refusesTheLink(count):
    link = with_tickets(3)
    on_acks(link, *(ack(i) for i in range(3)))
    assert one(link.payer.on_cut(1, count), events.Refuse).reason == limits.BAD_CUT


def test_cut_atAnotherCount_refusesTheLink():
    assert one(full_batch(3).payer.on_cut(1, 4), events.Refuse).reason == limits.BAD_CUT


def test_cut_ofTheNextBatch_waitsUntilTheLastIsSettled():
    """Else batch 2, taken for open by a restarted payer, would be paid as often as the payee asks."""
    link = with_tickets(3)
    on_acks(link, ack(0))
    link.turn("payer", link.payer.on_cut(1, 2))  # its second ticket is never acknowledged
    on_acks(link, *(ack(i, batch=2, index=i + 1) for i in range(2)))
    assert link.turn("payer", link.payer.on_cut(2, 2)) == ()
    tree = merkle.SumTree([(secrets(i)[0], 4) for i in (1, 2)])
    for _ in range(2):
        link.crash("payer")
        assert link.payer.on_redeem(2, tree.root, tree.total) == ()
    assert link.payer.totals(PRICE).cumulative == 0


def test_refusedLink_forgetsWhereItsTicketsCameFrom():
    link = with_tickets(3)
    link.tick(5.0)
    link.issue()
    assert one(link.turn("payer", link.payer.on_cut(1, 0)), events.Refuse).reason == limits.BAD_CUT
    assert not link.disks["payer"].of(rows.IssuedTicket)
    assert link.payer.totals(PRICE).unsettled == 0


def test_cut_ofAnEmptyOrUnknownBatch():
    assert one(Link().payer.on_cut(1, 0), events.Refuse).reason == limits.BAD_CUT
    assert Link().payer.on_cut(2, 1) == ()
    assert Link().payer.on_cut(0, 1) == ()


def test_redeem_drawsPointsOnce_evenAcrossRestarts():
    link, tree, points = sampled_batch()
    assert len(points) == 16
    assert all(0 <= point < tree.total for point in points)
    for _ in range(2):
        assert link.payer.on_redeem(1, tree.root, tree.total) == (events.SendSamples(1, points),)
        link.crash("payer")
    assert events.SendSamples(1, points) in link.payer.resend(link.now)


def test_redeem_withAnotherRootOrTotal_refusesTheLink():
    for root, total in ((bytes(32), 16), (receipts(4).root, 15), (receipts(4).root, 0)):
        link, _, _ = sampled_batch()
        assert one(link.payer.on_redeem(1, root, total), events.Refuse).reason == limits.CHANGED_ROOT


def test_redeem_aboveTheTicketsValue_refusesTheLink():
    assert one(full_batch().payer.on_redeem(1, bytes(32), 17), events.Refuse).reason == limits.PADDED_TOTAL


def test_redeem_beforeTheBatchIsFull_isLeftOut():
    link = with_tickets(3)
    on_acks(link, ack(0))
    assert link.payer.on_redeem(1, bytes(32), 4) == ()
    link.turn("payer", link.payer.on_cut(1, 2))
    assert link.payer.on_redeem(1, bytes(32), 4) == ()
    assert link.payer.on_openings(1, ()) == ()


def test_openings_allGood_giveTheVoucher_andRepetitionsGiveItAgain():
    link, tree, points = sampled_batch()
    openings = tuple(map(tree.open, points))
    voucher = one(link.turn("payer", link.payer.on_openings(1, openings)), events.SendVoucher)
    assert (voucher.cumulative, voucher.upto_batch) == (16 * PRICE, 1)
    message = eip712.Voucher(PAYER, PAYEE, 16 * PRICE, 1)
    assert voucher.signature == eip712.sign(PAYER_KEY, message.digest(DOMAIN))
    link.crash("payer")
    for effects in (
        link.payer.on_openings(1, openings),
        link.payer.on_redeem(1, tree.root, tree.total),
        link.payer.on_cut(1, 4),
        link.payer.resend(link.now),
    ):
        assert effects == (voucher,)


def test_openings_oneBad_payNothingForThisBatch_ever():
    def wrong_response(opening):
        return merkle.Opening(opening.position, secrets(50)[0], opening.value, opening.siblings)

    def wrong_path(opening):
        return merkle.Opening(opening.position, opening.response, opening.value, opening.siblings[:1])

    for spoil in (wrong_response, wrong_path):
        link, tree, points = sampled_batch()
        openings = [tree.open(point) for point in points]
        openings[11] = spoil(openings[11])
        effects = link.turn("payer", link.payer.on_openings(1, openings))
        assert one(effects, events.Refuse).reason == limits.BAD_SAMPLE
        link.crash("payer")
        good = tuple(map(tree.open, points))
        assert link.payer.on_openings(1, good) == (events.Refuse(limits.BAD_SAMPLE),)
        assert link.payer.totals(PRICE).cumulative == 0


@pytest.mark.parametrize("openings", [0, 15, 17])
def test_openings_inAnotherNumber_areBad(openings):
    link, tree, points = sampled_batch()
    given = [tree.open(points[i % 16]) for i in range(openings)]
    assert one(link.payer.on_openings(1, given), events.Refuse).reason == limits.BAD_SAMPLE


def test_openings_inAnotherOrder_areBad():
    link, tree, points = sampled_batch()
    given = [tree.open(point) for point in points]
    assert len({opening.position for opening in given}) > 1
    given.sort(key=lambda opening: opening.position, reverse=given[0].position < given[-1].position)
    assert one(link.payer.on_openings(1, given), events.Refuse).reason == limits.BAD_SAMPLE


def test_openingWithAnotherValueThanTheTickets_isBad():
    link = full_batch(2)
    tree = merkle.SumTree([(secrets(0)[0], 8), (merkle.NO_RESPONSE, 0)])  # same total, shifted to one leaf
    effects = link.turn("payer", link.payer.on_redeem(1, tree.root, tree.total))
    openings = tuple(map(tree.open, one(effects, events.SendSamples).points))
    assert one(link.payer.on_openings(1, openings), events.Refuse).reason == limits.BAD_SAMPLE


def test_samplePoints_areSpreadOverTheWholeTotal():
    link = Link(seed=5)
    points = [point for _ in range(200) for point in draw_points(10, link.dice.randbytes)]
    counts = [points.count(value) for value in range(10)]
    assert min(counts) > 230
    assert max(counts) < 410


def test_priceOfTheFirstTicket_isThatOfTheBatch():
    link = Link()
    link.issue(price=3)
    link.issue(price=5)
    on_acks(link, ack(0), ack(1))
    link.turn("payer", link.payer.on_cut(1, 2))
    tree = receipts(2)
    points = one(link.turn("payer", link.payer.on_redeem(1, tree.root, 8)), events.SendSamples).points
    effects = link.payer.on_openings(1, tuple(map(tree.open, points)))
    assert one(effects, events.SendVoucher).cumulative == 8 * 3


def test_channel_isStoredWhenItChanges():
    link = Link(channel=None)
    assert link.payer.on_channel(Channel()) == ()
    link.set_channel(Channel(deposit=7))
    link.crash("payer")
    assert link.payer.channel == Channel(deposit=7)


def test_repr_hidesAcksAndOrigins():
    shown = repr(events.TicketOpened(1, b"ack-secret", b"where-from"))
    assert "secret" not in shown
    assert "where" not in shown


def test_issue_waitsIfAcksComeTooLateToBeWorthAnything():
    """The attack: hold acks back until the payer's own receipts are settled without them, then collect."""
    link = with_tickets(4, limits=Limits(max_late=3))
    link.tick(5.0)
    for position in range(3):
        assert only(on_acks(link, ack(position)), events.TicketOpened)
    assert not isinstance(link.issue(), events.Wait)  # an honest crash looks like this
    on_acks(link, ack(3))
    assert link.issue() == events.Wait(limits.TOO_MANY_LATE)


def test_timelyAcksMakeUpForLateOnes():
    link = with_tickets(2, limits=Limits(max_late=1))
    link.tick(5.0)
    on_acks(link, ack(0))
    for _ in range(16):
        link.issue()
    on_acks(link, ack(1))
    assert link.issue() == events.Wait(limits.TOO_MANY_LATE)
    on_acks(link, *(ack(number) for number in range(2, 18)))
    assert not isinstance(link.issue(), events.Wait)


class Payee:
    """Who acknowledges as it likes, beginning with what is under way."""

    def __init__(self, link: Link) -> None:
        self.link, self.answered = link, 0
        self.open: list[tuple[int, int]] = [(number, number + 1) for number in range(link.issued)]
        """Index and number of what is under way."""

    def take(self) -> bool:
        """Take one ticket, if there is one."""
        effects = self.link.issue()
        if isinstance(effects, events.Wait):
            assert effects.reason == limits.TOO_MANY_LATE
            return False
        self.open.append((self.link.issued - 1, one(effects, events.SendTicket).seq))
        return True

    def answer(self) -> int:
        """Acknowledge all that is under way."""
        acks = [ack(self.answered + n, index=index, seq=seq) for n, (index, seq) in enumerate(self.open)]
        assert len(only(on_acks(self.link, *acks), events.TicketOpened)) == len(acks)
        self.answered += len(acks)
        self.open.clear()
        return len(acks)


def test_payeeThatWasTooLate_getsOneTicketNowAndThen_untilItIsInTime():
    link = with_tickets(2, limits=Limits(max_late=1))
    payee = Payee(link)
    link.tick(5.0)
    payee.answer()
    assert not payee.take()
    for late in (True, False):
        link.now += Limits().probe_interval
        assert payee.take()
        assert not payee.take(), "one only"
        if late:
            link.tick(5.0)
        payee.answer()
    for number in range(31):  # sixteen for each that was late, beyond the one that is allowed
        if number < 15:
            assert not payee.take()
            link.now += Limits().probe_interval
        assert payee.take()
        payee.answer()
    assert all(payee.take() for _ in range(100))


def test_payeeThatIsInTimeJustToBeLate_earnsOneInSixteen():
    """The attack: answer until many tickets are under way again, and hold those back until they are late."""
    allowed, burst = 4, 8
    link = with_tickets(1, limits=Limits(max_late=allowed))
    payee, late, timely = Payee(link), 0, 0
    for _ in range(4_000):
        while len(payee.open) < burst and payee.take():
            pass
        if len(payee.open) == burst:
            link.tick(5.0)
            late += payee.answer()
        else:
            timely += payee.answer()
        link.now += Limits().probe_interval
    assert late > 2 * burst
    assert 16 * (late - allowed - burst) <= timely
