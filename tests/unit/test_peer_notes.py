"""How peers stand with us: every reason why no ticket passes is told with what ends it."""

from __future__ import annotations

import pytest

from book_helpers import DOMAIN, PAYEE, PAYER, PAYER_KEY, PRICE
from mixpay.book import Limits, PayeeBook, PayerBook, limits
from mixpay.book.rows import Channel, LinkState
from mixpay.types import Amount, Value
from relay.operator import peer_notes
from relay.path.books import Side

SMALL = Limits(unsigned_window=1, max_unsettled=Value(1), credit_limit=Value(1), max_lost=1, max_late=0)


def payee(*rows, restored=False, kept=SMALL):
    return PayeeBook(DOMAIN, PAYER, PAYEE, kept, rows=rows, restored=restored)


def payer(*rows, restored=False, kept=SMALL):
    return PayerBook(DOMAIN, PAYER_KEY, PAYEE, kept, bytes, rows=rows, restored=restored)


def issue(book, now=0.0):
    return book.issue(bytes(20), b"\4" * 65, Value(1), price=Amount(PRICE), now=now)


def payee_note(book, now=0.0):
    (note,) = peer_notes.payee_notes(book, Amount(PRICE), now, None)
    return note


def payer_note(book, since=None):
    (note,) = peer_notes.payer_notes(book, Amount(PRICE), since)
    return note


def test_honestPeer_hasNoNote():
    assert peer_notes.payer_notes(payee(), Amount(PRICE), None) == []
    assert peer_notes.payee_notes(payer(), Amount(PRICE), 0.0, None) == []


def test_payerInFault_isToldWithItsWayBack():
    note = payer_note(payee(LinkState(refusal=("wrong_voucher",))), since=1_800_000_000)
    assert note == (
        "takes no more of its tickets: wrong_voucher, since 2027-01-15 08:00:00 UTC, until it signs the "
        "voucher that is due, or the court has judged it"
    )


def test_payeeInFault_isToldThatItIsForGood():
    note = payee_note(payer(LinkState(refusal=("bad_ack",))))
    assert note.startswith("gets no more tickets: bad_ack, for good: ")


def test_restoredRelay_saysThatItIsTheReason():
    assert "this relay was restored" in payer_note(payee(restored=True))
    assert "this relay was restored" in payee_note(payer(restored=True))
    assert peer_notes.remedy(Side.PAYER, limits.RESTORED) == peer_notes.remedy(Side.PAYEE, limits.RESTORED)


@pytest.mark.parametrize(
    ("rows", "label", "way"),
    [
        ([Channel(deposit=Amount(1), closes_at=9)], limits.CHANNEL_CLOSING, "by funding it"),
        ([Channel(deposit=Amount(1))], limits.CHANNEL_EXHAUSTED, "tops its channel up"),
        ([LinkState(cumulative=Amount(PRICE), upto_batch=1)], limits.CREDIT_EXHAUSTED, "opens a channel"),
    ],
)
def test_payerAtALimit_isToldWithWhatEndsIt(rows, label, way):
    note = payer_note(payee(*rows))
    assert label in note
    assert way in note


def test_payerThatSignsNothing_isTold():
    book = payee()
    book.accept(1, bytes(20), bytes(32), Value(1), price=Amount(PRICE), now=0.0)
    assert limits.UNSIGNED_WINDOW in payer_note(book)


def test_payeeThatAcknowledgesNothing_isTold():
    book = payer()
    issue(book)
    assert limits.UNSIGNED_WINDOW in payee_note(book)
    book.tick(10.0)
    assert limits.TOO_MANY_LOST in payee_note(book, 10.0)
    assert "until it settles" in payee_note(book, 10.0)


def test_payeeThatRefuses_isTold_asLongAsWeWait():
    book = payer()
    issue(book)
    book.on_ticket_refused(1, limits.CREDIT_EXHAUSTED, 1.0)
    assert limits.PAYEE_REFUSES in payee_note(book, 1.0)


def test_everyLimit_hasItsWords():
    assert set(peer_notes._PAYERS_LIMITS) == limits.LIMITS
    ours = {limits.PAYEE_REFUSES, limits.TOO_MANY_LOST, limits.TOO_MANY_LATE}
    assert set(peer_notes._OUR_LIMITS) == (limits.LIMITS - {limits.LINK_REFUSED}) | ours
