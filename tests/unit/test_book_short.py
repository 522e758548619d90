"""Signed tickets that are written down in short: the same books, from less."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from book_helpers import PRICE, Link, one, secrets
from book_storm import SHORT
from mixpay.book import events, rows
from mixpay.book.numbers import Numbers, of_stretches, to_stretches
from mixpay.merkle import Frontier, lock_leaf, root

NUMBER = st.integers(0, 2**64 - 1)


@given(st.lists(NUMBER | st.integers(0, 200)))
def test_numbers_areASet(numbers):
    kept = Numbers()
    for number in numbers:
        kept.add(number)
    assert all(number in kept for number in numbers)
    assert not any(number in kept for number in set(range(210)) - set(numbers))


@given(st.lists(st.integers(0, 2**64 - 2) | st.integers(0, 20)))
def test_stretches_keepNumbersAndTheirOrder(numbers):
    assert list(of_stretches(to_stretches(numbers))) == numbers


def test_stretches_areOneWithoutGaps():
    assert to_stretches(range(5, 5000)) == ((5, 4995),)


@given(st.integers(0, 40), st.integers(1, 40))
def test_frontier_growsOnFromWhatWasKeptOfIt(first, more):
    leaves = [lock_leaf(bytes([n]) * 20, n) for n in range(first + more)]
    grown = Frontier()
    for leaf in leaves[:first]:
        grown.append(leaf)
    again = Frontier.of(grown.count, grown.left)
    for leaf in leaves[first:]:
        again.append(leaf)
    assert again.root() == root(leaves)


def carried(count, limits=SHORT, answered=lambda ticket: True):
    """A link over which so many tickets went, all signed in the end."""
    link = Link(limits=replace(limits, settle_tickets=10_000))
    for _ in range(count):
        link.issue()
        link.flow()
        link.respond_all(answered)
    link.tick(3.0)
    link.flow()
    link.tick(0.0)
    return link


@pytest.mark.parametrize("side", ["payer", "payee"])
def test_signedTickets_areWrittenInShort_andNothingElseIsKeptOfThem(side):
    link = carried(20)
    short = link.disks[side].of(rows.ShortTickets)
    assert sum(len(row.values) for row in short) == 20
    assert link.disks[side].of(rows.PlacedTicket) == link.disks[side].of(rows.Response) == []
    assert {row.count for row in link.disks[side].of(rows.LocksTree)} == {20}
    responses = b"".join(row.responses for row in short)
    found = [responses[at : at + 32] for at in range(0, len(responses), 32)]
    found += [row.response for row in link.disks[side].of(rows.LateResponse)]
    assert sorted(found) == (sorted(secrets(n)[0] for n in range(20)) if side == "payee" else [])


@pytest.mark.parametrize("crashes", [(), ("payer",), ("payee",), ("payer", "payee")])
def test_whatIsInShort_isSettledToTheUnit(crashes):
    """I7, I8: whatever one side has of a batch, from the disk or not, both come to the same total."""
    link = carried(20)
    for side in crashes:
        link.crash(side)
    link.carry(5)
    link.respond_all()
    link.settle()
    assert link.payer.totals(PRICE).cumulative == link.payee.totals(PRICE).cumulative == 25 * 4 * PRICE
    assert not link.reasons("payer") and not link.reasons("payee")
    for disk in link.disks.values():  # I10
        assert {type(row) for row in disk.rows()} <= {rows.LinkState, rows.Channel, rows.Settlements}


@pytest.mark.parametrize("crash", [False, True])
def test_ticketInShortWithoutResponse_keepsItsLock_andItsResponseMayComeLater(crash):
    link = carried(20, answered=lambda ticket: ticket.position != 4)
    row = next(row for row in link.disks["payee"].of(rows.ShortTickets) if row.shown)
    assert (row.first + row.shown[0], row.locks[:20]) == (4, secrets(4)[1])
    if crash:
        link.crash("payee")
    effects = link.payee.on_response(1, 4, secrets(4)[0], link.now)
    assert one(effects, events.Store).row == rows.LateResponse(1, 4, secrets(4)[0])
    link.turn("payee", effects)
    if crash:
        link.crash("payee")
    assert link.payee.on_response(1, 4, secrets(4)[0], link.now) == ()
    assert link.payee.totals(PRICE).opened == 80
    link.settle()
    assert link.payer.totals(PRICE).cumulative == 80 * PRICE


def test_ticketWithoutResponse_isNotPaid_inShortNeither():
    link = carried(20, answered=lambda ticket: ticket.position != 4)
    link.settle()
    link.tick(20.0)
    link.flow()
    assert link.payer.totals(PRICE).cumulative == 19 * 4 * PRICE


@pytest.mark.parametrize("crash", [False, True])
def test_ticketInShort_isTakenOnce(crash):
    """I9: its number is known for ever, though nobody asks for its ack any more."""
    link = carried(20)
    if crash:
        link.crash("payee")
    for number in range(1, 21):
        assert link.payee.known(number)
        assert link.payee.accept(number, secrets(0)[1], secrets(0)[2], 4, price=PRICE, now=link.now) == ()
    assert not link.payee.known(21)


@pytest.mark.parametrize("crash", [False, True])
def test_court_seesLocksThatAreComputed(crash):
    link = carried(20, answered=lambda ticket: ticket.position != 4)
    link.turn("payee", link.payee.begin_settlement(link.now))
    link.turn("payee", link.payee.prepare_case())
    if crash:
        link.crash("payee")
    evidence, demand = link.payee.evidence(), link.payee.demand
    assert demand.total == 19 * 4 and demand.count == 20
    assert evidence.locks_root == demand.locks_root


def test_ticketsWhoseResponsesAreOnTheirWay_areNotShortened():
    link = carried(20, answered=lambda ticket: ticket.position < 15)
    assert all(row.first + len(row.values) <= 16 for row in link.disks["payee"].of(rows.ShortTickets))
    link.respond_all()
    link.tick(1.0)
    assert sum(len(row.values) for row in link.disks["payee"].of(rows.ShortTickets)) == 20


def test_receiptInShort_takes48BytesAtMost():
    link = carried(256, replace(SHORT, shorten_after=64, unsigned_window=64))
    assert sum(map(len, link.disks["payee"].table.values())) <= 48 * 256
