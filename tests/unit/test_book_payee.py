"""The payee's rules, one by one, against a payer that is played by hand."""

import pytest

from book_helpers import (
    PRICE,
    Link,
    honest_batch,
    honest_voucher,
    locks_root,
    one,
    only,
    secrets,
)
from mixpay.book import Limits, events, limits, rows
from mixpay.book.rows import Channel
from mixpay.crypto.hashing import keccak256

STRANGER = keccak256(b"stranger")
SMALL = Limits(unsigned_window=8, settle_tickets=6)


def accept(link, index, seq=None, value=4, price=PRICE):
    _, lock, ack, _ = secrets(index)
    link.issued = max(link.issued, index + 1)
    seq = index + 1 if seq is None else seq
    return link.turn("payee", link.payee.accept(seq, lock, ack, value, price=price, now=link.now))


def tell(link, message):
    """Hand a payer's message to the payee."""
    return link.turn("payee", link.handle("payee", message))


def refusal(effects):
    return one(effects, events.SendRefuseTicket).reason


def with_tickets(count, **kwargs):
    link = Link(**kwargs)
    for index in range(count):
        assert only(accept(link, index), events.TicketTaken)
    return link


def placed(link, batch=1):
    tickets = [t for t in link.disks["payee"].of(rows.PlacedTicket) if t.batch == batch]
    return sorted(tickets, key=lambda ticket: ticket.position)


def sign(link, count, batch=1, price=PRICE):
    """The honest payer's BATCH."""
    return tell(link, honest_batch(batch, count, locks_root(placed(link, batch)[:count]), price=price))


def redeemed(count=4, **kwargs):
    """A batch that was cut and signed, all responses in: the payee has sent REDEEM."""
    link = with_tickets(count, **kwargs)
    link.respond_all()
    link.turn("payee", link.payee.begin_settlement(link.now))
    return link, one(sign(link, count), events.SendRedeem)


# Tickets


def test_accept_storesThenAcknowledges_atTheNextPlace():
    link = Link()
    for index in range(3):
        _, lock, ack, _ = secrets(index)
        ticket = rows.PlacedTicket(1, index, index + 1, lock, 4, ack)
        effects = accept(link, index)
        assert effects[0] == events.Store(ticket)
        assert effects[-2:] == (
            events.SendAck(1, index, index + 1, ack),
            events.TicketTaken(1, index, index + 1),
        )


def test_accept_theSameTicketAgain_getsTheSameAck_andIsNotForwardedAgain():
    link = with_tickets(2)
    before = dict(link.disks["payee"].table)
    for _ in range(2):
        assert link.payee.known(1)
        assert accept(link, 5, seq=1) == (events.SendAck(1, 0, 1, secrets(0)[2]),)
        link.crash("payee")
    assert link.disks["payee"].table == before
    assert link.payee.totals(PRICE).unsettled == 8


def test_accept_failsIfTheWindowIsFull_untilASignatureComes():
    link = with_tickets(8, limits=SMALL)
    assert refusal(accept(link, 8)) == limits.UNSIGNED_WINDOW
    sign(link, 3)
    assert only(accept(link, 8), events.TicketTaken)
    assert link.payee.totals(PRICE).unsigned == 6
    assert link.payee.totals(PRICE).lost == 1


def test_accept_failsIfTheChannelHoldsTooLittle_claimsAndVouchersCounted():
    link = Link(channel=Channel(deposit=20 * PRICE, claimed=9 * PRICE))
    assert only(accept(link, 0, value=8), events.TicketTaken)
    assert refusal(accept(link, 1, value=4)) == limits.CHANNEL_EXHAUSTED
    assert only(accept(link, 2, value=3), events.TicketTaken)
    link, _ = redeemed(4, channel=Channel(deposit=20 * PRICE))
    tell(link, honest_voucher(16 * PRICE, 1))
    assert refusal(accept(link, 4, value=5)) == limits.CHANNEL_EXHAUSTED
    assert only(accept(link, 5, value=4), events.TicketTaken)
    assert link.payee.totals(PRICE).room == 4 * PRICE


def test_accept_givesCreditBeforeAChannelExists_onceOnly():
    link = Link(limits=Limits(credit_limit=10), channel=None)
    assert only(accept(link, 0), events.TicketTaken)
    assert only(accept(link, 1), events.TicketTaken)
    assert refusal(accept(link, 2)) == limits.CREDIT_EXHAUSTED
    link.respond_all()
    link.turn("payee", link.payee.begin_settlement(link.now))
    sign(link, 2)
    tell(link, honest_voucher(8 * PRICE, 1))
    assert refusal(accept(link, 3)) == limits.CREDIT_EXHAUSTED
    assert only(accept(link, 3, value=2), events.TicketTaken)
    link.set_channel(Channel(deposit=14 * PRICE))
    assert only(accept(link, 4), events.TicketTaken)


def test_accept_givesNoCreditAfterAChannelWasClosed():
    link = Link(channel=Channel(deposit=50 * PRICE, claimed=50 * PRICE))
    assert refusal(accept(link, 0, value=1)) == limits.CHANNEL_EXHAUSTED


def test_accept_failsAtMaxUnsettled():
    link = with_tickets(2, limits=Limits(max_unsettled=9))
    assert refusal(accept(link, 2, value=2)) == limits.MAX_UNSETTLED
    assert only(accept(link, 2, value=1), events.TicketTaken)


def test_accept_failsIfTheChannelIsClosing():
    link = Link(channel=Channel(deposit=10**20, closes_at=77))
    assert link.payee.refusal(1, 4, PRICE) == limits.CHANNEL_CLOSING
    assert refusal(accept(link, 0)) == limits.CHANNEL_CLOSING


def test_accept_failsForTicketsThatWereSettled():
    link, _ = redeemed(3)
    assert accept(link, 0) == ()  # signed for: the payer has its ack
    tell(link, honest_voucher(12 * PRICE, 1))
    assert refusal(accept(link, 0)) == limits.STALE_TICKET
    assert not link.payee.known(1)


def test_accept_takesAnOvertakenTicketIntoTheNextBatch_butNotTheOneAfter():
    link = Link()
    for index in (0, 2, 4):
        accept(link, index)
    link.turn("payee", link.payee.begin_settlement(link.now))
    link.crash("payee")
    assert one(accept(link, 1), events.SendAck) == events.SendAck(2, 0, 2, secrets(1)[2])
    link.respond_all()
    sign(link, 3)
    tell(link, honest_voucher(12 * PRICE, 1))
    assert one(accept(link, 1), events.SendAck) == events.SendAck(2, 0, 2, secrets(1)[2])
    link.turn("payee", link.payee.begin_settlement(link.now))
    link.crash("payee")
    assert refusal(accept(link, 3)) == limits.STALE_TICKET
    assert one(accept(link, 1), events.SendAck).batch == 2


def test_aLeapOfNumbers_costsNoMemory():
    link = Link()
    accept(link, 0, seq=2**60)
    link.turn("payee", link.payee.begin_settlement(link.now))
    (state,) = link.disks["payee"].of(rows.LinkState)
    assert state.late == tuple(range(2**60 - 1, 2**60 - 1 - rows.MAX_LATE, -1))
    assert refusal(accept(link, 1, seq=5)) == limits.STALE_TICKET


def test_priceOfTheFirstTicket_isThatOfTheBatch():
    link = Link()
    accept(link, 0, price=3)
    accept(link, 1, price=5)
    link.respond_all()
    link.turn("payee", link.payee.begin_settlement(link.now))
    assert link.reasons("payee") == []
    sign(link, 2, price=3)
    tell(link, honest_voucher(8 * 3, 1))
    assert link.payee.totals(PRICE).cumulative == 24


def test_batchSignedAtAnotherPrice_isForged():
    link = with_tickets(2)
    assert one(sign(link, 2, price=PRICE + 1), events.Refuse).reason == limits.FORGED_BATCH


@pytest.mark.parametrize("value", [7, 9, 0])
def test_batchSignedForAnotherValue_isForged(value):
    """The court takes no claim of more than that."""
    link = with_tickets(2)
    batch = honest_batch(1, 2, locks_root(placed(link)), value=value)
    assert one(tell(link, batch), events.Refuse).reason == limits.FORGED_BATCH


# Batch signatures


def test_batch_newestIsKept_olderOnesAreIgnored():
    link = with_tickets(5)
    assert only(sign(link, 4), events.Store)
    assert sign(link, 3) == ()
    assert sign(link, 4) == ()
    (kept,) = link.disks["payee"].of(rows.SignedBatch)
    assert kept.count == 4
    link.crash("payee")
    assert sign(link, 4) == ()
    assert only(sign(link, 5), events.Store)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (lambda root: honest_batch(1, 3, root, key=STRANGER), limits.FORGED_BATCH),
        (lambda root: events.SendBatch(1, 3, root, bytes(65)), limits.FORGED_BATCH),
        (lambda root: honest_batch(1, 3, bytes(32)), limits.WRONG_ROOT),
        (lambda root: honest_batch(1, 2, root), limits.WRONG_ROOT),
        (lambda root: honest_batch(1, 4, root), limits.WRONG_COUNT),
        (lambda root: honest_batch(2, 1, root), limits.WRONG_COUNT),
    ],
)
def test_batch_thatNoHonestPayerSends_isRefused_andTicketsToo(message, reason):
    link = with_tickets(3)
    effects = tell(link, message(locks_root(placed(link))))
    assert one(effects, events.Refuse).reason == reason
    assert link.payee.totals(PRICE).unsigned == 3
    link.crash("payee")
    assert link.payee.refused == reason
    assert refusal(accept(link, 3)) == limits.LINK_REFUSED


def test_aRightVoucher_putsARefusedLinkRight():
    link = with_tickets(2)
    tell(link, honest_batch(1, 2, bytes(32)))
    link.respond_all()
    link.turn("payee", link.payee.begin_settlement(link.now))
    sign(link, 2)
    assert link.payee.refused == limits.WRONG_ROOT
    tell(link, honest_voucher(8 * PRICE, 1))
    assert link.payee.refused is None
    assert only(accept(link, 2), events.TicketTaken)


# Settlement


def test_settlement_beginsByNumber():
    link = with_tickets(5, limits=SMALL)
    assert link.payee.tick(link.now) == ()
    accept(link, 5)
    assert one(link.payee.tick(link.now), events.SendCut) == events.SendCut(1, 6)


def test_settlement_beginsByAge():
    link = with_tickets(1, limits=Limits(retry_interval=10**6))
    link.now += 3599.0
    assert link.payee.tick(link.now) == ()
    assert one(link.payee.tick(link.now + 1.0), events.SendCut) == events.SendCut(1, 1)


def test_settlement_beginsAtHalfOfMaxUnsettled():
    link = with_tickets(1, limits=Limits(max_unsettled=16))
    assert link.payee.tick(link.now) == ()
    accept(link, 1)
    assert only(link.payee.tick(link.now), events.SendCut)


def test_settlement_beginsWhenTheChannelIsNearlyUsedUp():
    link = with_tickets(2, channel=Channel(deposit=16 * PRICE))
    assert link.payee.tick(link.now) == ()
    accept(link, 2)
    assert only(link.payee.tick(link.now), events.SendCut)


def test_settlement_ofNothing_isNone():
    link = Link()
    assert link.payee.begin_settlement(link.now) == ()
    accept(link, 0)
    assert link.payee.tick(link.now) == ()


def test_closingChannel_isSettledAndClaimedAtOnce():
    link = with_tickets(2)
    link.respond_all()
    effects = link.set_channel(Channel(deposit=10**20, closes_at=5))
    assert only(effects, events.SendCut)
    assert not only(effects, events.ClaimDue)
    sign(link, 2)
    effects = tell(link, honest_voucher(8 * PRICE, 1))
    assert one(effects, events.ClaimDue).reason == limits.CHANNEL_CLOSING
    assert link.payee.totals(PRICE).claimable == 8 * PRICE
    effects = link.set_channel(Channel(deposit=10**20, closes_at=6))
    assert only(effects, events.ClaimDue)
    effects = link.set_channel(Channel(deposit=10**20, claimed=8 * PRICE, closes_at=6))
    assert not only(effects, events.ClaimDue)
    assert link.payee.totals(PRICE).claimable == 0


def test_redeem_waitsForTheSignatureOverAllTickets():
    link = with_tickets(3)
    link.respond_all()
    sign(link, 2)
    link.turn("payee", link.payee.begin_settlement(link.now))
    link.now += 100.0
    assert not only(link.payee.tick(link.now), events.SendRedeem)
    assert one(sign(link, 3), events.SendRedeem).total == 12


def test_samples_areOpened_onceAndTheSameAgain():
    link, redeem = redeemed(4)
    message = events.SendSamples(1, tuple(range(16)))
    openings = one(tell(link, message), events.SendOpenings)
    assert [o.position for o in openings.openings] == [point // 4 for point in range(16)]
    link.crash("payee")
    assert one(tell(link, message), events.SendOpenings) == openings
    assert link.payee.resend(link.now) == (events.SendCut(1, 4), redeem, openings)


@pytest.mark.parametrize("points", [range(15), range(17), [16] * 16, [-1] * 16, []])
def test_samples_inAnotherNumberOrOutsideTheTotal_areRefused(points):
    link, _ = redeemed(4)
    effects = tell(link, events.SendSamples(1, tuple(points)))
    assert one(effects, events.Refuse).reason == limits.BAD_POINTS
    assert not only(effects, events.SendOpenings)


def test_otherSamples_areRefused_evenAfterARestart():
    link, _ = redeemed(4)
    tell(link, events.SendSamples(1, (1,) * 16))
    link.crash("payee")
    effects = tell(link, events.SendSamples(1, (2,) * 16))
    assert one(effects, events.Refuse).reason == limits.CHANGED_POINTS
    assert not only(effects, events.SendOpenings)


def test_samples_beforeTheCommitment_areLeftOut():
    link = with_tickets(4)
    assert tell(link, events.SendSamples(1, (0,) * 16)) == ()
    assert tell(link, events.SendSamples(2, (0,) * 16)) == ()


def test_voucher_settles_onceOnly():
    link, _ = redeemed(4)
    effects = tell(link, honest_voucher(16 * PRICE, 1))
    assert one(effects, events.BatchSettled) == events.BatchSettled(1, 16, 16 * PRICE, 16 * PRICE)
    assert tell(link, honest_voucher(16 * PRICE, 1)) == ()
    assert tell(link, honest_voucher(5, 0)) == ()
    link.crash("payee")
    totals = link.payee.totals(PRICE)
    assert (totals.settled, totals.receipts, totals.cumulative, totals.upto_batch) == (16, 4, 16 * PRICE, 1)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (honest_voucher(16 * PRICE, 1, key=STRANGER), limits.FORGED_VOUCHER),
        (events.SendVoucher(16 * PRICE, 1, b"\x01" * 65), limits.FORGED_VOUCHER),
        (honest_voucher(16 * PRICE - 1, 1), limits.WRONG_VOUCHER),
        (honest_voucher(16 * PRICE, 2), limits.WRONG_VOUCHER),
    ],
)
def test_voucher_thatIsNotWhatIsDue_isRefused_andNothingIsLost(message, reason):
    link, _ = redeemed(4)
    assert one(tell(link, message), events.Refuse).reason == reason
    assert link.payee.totals(PRICE).opened == 16
    assert refusal(accept(link, 4)) == limits.LINK_REFUSED
    assert one(tell(link, honest_voucher(16 * PRICE, 1)), events.BatchSettled).value == 16


def test_voucher_forMoreThanIsDue_isTaken():
    """The payer may have read of a judgement, with the court's costs, before us."""
    link, _ = redeemed(4)
    assert (
        one(tell(link, honest_voucher(16 * PRICE + 1, 1)), events.BatchSettled).cumulative == 16 * PRICE + 1
    )


def test_voucher_beforeTheCommitment_isRefused():
    link = with_tickets(4)
    assert one(tell(link, honest_voucher(16 * PRICE, 1)), events.Refuse).reason == limits.WRONG_VOUCHER


def test_responses_areTakenOnce_andOnlyForTicketsThatExist():
    link = with_tickets(2)
    ticket = placed(link)[0]
    assert only(link.respond(ticket), events.Store)
    assert link.respond(ticket) == ()
    assert link.payee.on_response(1, 2, bytes(32), link.now) == ()
    assert link.payee.on_response(9, 0, bytes(32), link.now) == ()
    assert link.payee.totals(PRICE).opened == 4


# Repetition


def test_acksWithoutSignature_areRepeated_onANewConnectionAndAfterSilence():
    link = with_tickets(4)
    sign(link, 1)
    again = tuple(events.SendAck(1, i, i + 1, secrets(i)[2]) for i in (1, 2, 3))
    link.crash("payee")
    assert link.payee.resend(link.now) == again
    assert link.payee.tick(link.now + 4.9) == ()
    assert link.payee.tick(link.now + 5.0) == again
    assert link.payee.tick(link.now + 5.1) == ()


def test_firstTicketAfterAPause_isGivenTimeToBeSigned():
    link = Link()
    link.now += 1000.0
    accept(link, 0)
    assert link.payee.tick(link.now + 4.9) == ()


def test_idleLink_staysSilent():
    link = with_tickets(2)
    sign(link, 2)
    assert link.payee.tick(link.now + 100.0) == ()
    assert Link().payee.tick(5000.0) == ()


def test_limits_failIfTheyMakeNoSense():
    for wrong in ({"unsigned_window": 0}, {"max_unsettled": 0}, {"settle_tickets": 0}, {"credit_limit": -1}):
        with pytest.raises(ValueError, match=r"at least|negative"):
            Limits(**wrong)
