"""What a relay's cores want kept comes back after a restart as they left it. Real files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import DataObject, booleans, data, integers, sets

from mixpay.book import rows as book
from mixpay.book.events import ForgetBatch, ForgetTickets
from mixpay.book.events import Store as StoreRow
from mixpay.errors import UserError
from mixpay.mailbox import Created, Deleted, Delivered, Mailboxes, PutMailbox, Span, mailbox_id_of
from mixpay.passes import Pass, PassRecord, Scope, TickTaken
from mixpay.types import Amount, Epoch, RelayId, Value
from relay import store as relay_store
from relay.store import (
    Changes,
    Delete,
    IssuedTickets,
    Put,
    RelayStore,
    StoredPoolVoucher,
    StoreLimits,
    StoreOp,
)
from relay.store.tables import BOOKS, MIGRATIONS, TAGS

PEER = RelayId(7)
BODY = 2048


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.db"


@asynccontextmanager
async def after(path: Path, *groups: Iterable[StoreOp]) -> AsyncIterator[RelayStore]:
    """The store as a daemon finds it at its next start, after these changes."""
    before = RelayStore(path)
    for ops in groups:
        await before.written(list(ops))
    await before.close()
    opened = RelayStore(path)
    yield opened
    await opened.close()


def rows_of_a_batch(number: int) -> list[book.Row]:
    return [
        book.PlacedTicket(number, 0, 5, bytes(20), Value(4), bytes(32)),
        book.BatchPrice(number, Amount(10**12)),
        book.Response(number, 0, bytes(32)),
        book.SignedBatch(number, 1, bytes(32), bytes(65)),
        book.Cut(number, 1),
        book.Commitment(number, bytes(32), Value(4), (1,) * 16),
    ]


def changed(
    side: int, peer: RelayId, *effects: StoreRow | ForgetTickets | ForgetBatch, issued: IssuedTickets
) -> list[StoreOp]:
    changes = Changes(issued)
    for effect in effects:
        changes.book(side, peer, effect)
    return changes.ops()


def stored(side: int, peer: RelayId, rows: Iterable[book.Row]) -> list[StoreOp]:
    return changed(side, peer, *map(StoreRow, rows), issued=IssuedTickets())


def tagged(epoch: int, *tags: bytes) -> list[StoreOp]:
    changes = Changes(IssuedTickets())
    for tag in tags:
        changes.tag(Epoch(epoch), tag)
    return changes.ops()


async def test_book_rows_come_back_by_side_and_peer(path: Path) -> None:
    state = book.LinkState(cumulative=Amount(2**90), upto_batch=3, late=(1, 2))
    ticket = book.IssuedTicket(2**40, bytes(20), bytes(65), Value(4), Amount(1), b"origin")
    rows = [*rows_of_a_batch(1), state]
    async with after(
        path, stored(0, PEER, rows), stored(1, PEER, [ticket]), stored(0, RelayId(8), [state])
    ) as kept:
        found = dict(kept.book_rows())
        assert set(found) == {(0, PEER), (1, PEER), (0, RelayId(8))}
        assert sorted(map(repr, found[0, PEER])) == sorted(map(repr, rows))
        assert found[1, PEER] == [ticket]


async def test_tickets_and_responses_of_a_commit_share_a_row(path: Path) -> None:
    placed = [book.PlacedTicket(1, n, 9 - n, bytes([n]) * 20, Value(4), bytes(32)) for n in range(6)]
    answered = [book.Response(1, n, bytes([n]) * 32) for n in (4, 0, 3)]
    first, second = stored(0, PEER, [*placed[:4], answered[0]]), stored(0, PEER, [*placed[4:], *answered[1:]])
    async with after(path, first, second) as kept:
        assert len(kept.rows(BOOKS)) == 4
        found = dict(kept.book_rows())[0, PEER]
        assert [row for row in found if isinstance(row, book.PlacedTicket)] == placed
        assert {row for row in found if isinstance(row, book.Response)} == set(answered)


async def test_rows_of_earlier_versions_are_read(path: Path) -> None:
    """Which kept tickets, responses and tags one by one."""
    rows = [book.PlacedTicket(1, n, n, bytes(20), Value(4), bytes(32)) for n in range(3)]
    ops: list[StoreOp] = [Put(BOOKS, (0, PEER, *book.key_of(row)), book.encode(row)) for row in rows]
    ops += [Put(TAGS, (1, bytes([n]) * 16)) for n in range(3)]
    more = [*stored(0, PEER, [book.Response(1, 2, bytes(32))]), *tagged(1, b"t" * 16)]
    async with after(path, ops, more) as kept:
        assert dict(kept.book_rows())[0, PEER] == [*rows, book.Response(1, 2, bytes(32))]
        assert {tag for _, tag in kept.tags(Epoch(0))} == {*(bytes([n]) * 16 for n in range(3)), b"t" * 16}


async def test_release_that_cannot_read_short_tickets_says_so_and_speaks_of_no_damage(path: Path) -> None:
    """Who is told of damage puts back an old backup, and loses what came after it."""
    async with after(path, stored(1, PEER, issued_tickets(1, 2))):
        pass
    with pytest.raises(UserError, match="newer release"):
        RelayStore(path, migrations=MIGRATIONS[:2])


@pytest.mark.parametrize("data", [b"", b"\x02", b"\x02" * 78, b"\x04" * 82 + b"\x02"])
async def test_joined_rows_that_are_cut_short_are_told(path: Path, data: bytes) -> None:
    async with after(path, [Put(BOOKS, (0, PEER, 2, 1, 0), data)]) as kept:
        with pytest.raises(UserError, match="damaged"):
            dict(kept.book_rows())


async def test_tags_of_another_size_are_told(path: Path) -> None:
    async with after(path, [Put(TAGS, (1, b"t" * 16), b"t" * 17)]) as kept:
        with pytest.raises(UserError, match="damaged"):
            list(kept.tags(Epoch(0)))


async def test_row_takes_the_place_of_the_one_with_its_key(path: Path) -> None:
    old, new = book.LinkState(upto_batch=1), book.LinkState(upto_batch=2)
    async with after(path, stored(0, PEER, [old]), stored(0, PEER, [new])) as kept:
        assert dict(kept.book_rows())[0, PEER] == [new]


async def test_settled_batches_are_forgotten_up_to_a_number(path: Path) -> None:
    rows = [row for number in (1, 2, 3) for row in rows_of_a_batch(number)]
    state = book.LinkState()
    forget = changed(0, PEER, ForgetBatch(2), issued=IssuedTickets())
    both = stored(0, PEER, [*rows, state]) + stored(1, PEER, rows)
    async with after(path, both, forget) as kept:
        assert sorted(map(repr, dict(kept.book_rows())[0, PEER])) == sorted(
            map(repr, [*rows_of_a_batch(3), state])
        )
        assert len(dict(kept.book_rows())[1, PEER]) == len(rows)


def issued_tickets(*seqs: int) -> list[book.IssuedTicket]:
    return [book.IssuedTicket(seq, bytes(20), bytes(65), Value(4), Amount(1), b"o") for seq in seqs]


async def test_answered_tickets_are_forgotten_by_number(path: Path) -> None:
    tickets, issued = issued_tickets(1, 2, 3), IssuedTickets()
    issue = changed(1, PEER, *map(StoreRow, tickets), issued=issued)
    forget = changed(1, PEER, ForgetTickets((1, 3)), issued=issued)
    async with after(path, issue, forget) as kept:
        assert dict(kept.book_rows())[1, PEER] == [tickets[1]]
        assert len(kept.rows(BOOKS)) == 1
    async with after(path, changed(1, PEER, ForgetTickets((2, 9)), issued=issued)) as kept:
        assert kept.rows(BOOKS) == []


async def test_answered_ticket_leaves_no_trace_though_others_of_its_row_wait(path: Path) -> None:
    """I10: where it came from leaves the journal too, before anything else is forgotten."""
    first, second = issued_tickets(1, 2)
    first, issued = replace(first, origin=b"who sent what to whom"), IssuedTickets()
    kept = RelayStore(path, StoreLimits(scrub_after=0.01))
    await kept.written(changed(1, PEER, StoreRow(first), StoreRow(second), issued=issued))
    assert any(first.origin in file.read_bytes() for file in path.parent.iterdir())
    await kept.written(changed(1, PEER, ForgetTickets((1,)), issued=issued))
    async with asyncio.timeout(10):
        while any(first.origin in file.read_bytes() for file in path.parent.iterdir()):
            await asyncio.sleep(0.01)  # the scrub comes by itself
    assert dict(kept.book_rows())[1, PEER] == [second]
    await kept.close()


async def test_tickets_of_a_step_share_a_row_and_each_leaves_it_after_a_restart(path: Path) -> None:
    first, second, issued = issued_tickets(1, 2), issued_tickets(3, 4), IssuedTickets()
    steps = [changed(1, PEER, *map(StoreRow, step), issued=issued) for step in (first, second)]
    async with after(path, *steps) as kept:
        assert len(kept.rows(BOOKS)) == 2
        loaded = IssuedTickets()
        for number, tickets in kept.issued_tickets(1, PEER):
            loaded.load(1, PEER, number, tickets)
    async with after(path, changed(1, PEER, ForgetTickets((2, 3, 4)), issued=loaded)) as kept:
        assert dict(kept.book_rows())[1, PEER] == first[:1]


def test_payee_that_acknowledges_tickets_one_by_one_makes_little_to_write() -> None:
    """Though all of them were issued in one step."""
    tickets, issued = issued_tickets(*range(1, 257)), IssuedTickets()
    changed(1, PEER, *map(StoreRow, tickets), issued=issued)
    alone = len(book.encode(tickets[0]))
    for ticket in tickets:
        ops = changed(1, PEER, ForgetTickets((ticket.seq,)), issued=issued)
        assert sum(len(op.data) for op in ops if isinstance(op, Put)) < 32 * alone


@given(data())
async def test_issued_tickets_are_those_that_were_not_forgotten(draw: DataObject) -> None:
    """Whatever steps issue and forget, on whichever links, and whenever the relay restarts."""
    issued, rows, alive, last = IssuedTickets(), dict[Any, bytes](), set[tuple[RelayId, int]](), 0
    for _ in range(draw.draw(integers(1, 8), "steps")):
        if draw.draw(booleans(), "restart"):
            issued = IssuedTickets()
            for (_, peer, _, number, _), kept in rows.items():
                issued.load(1, peer, number, [t for t in book.decode_all(kept) if hasattr(t, "seq")])
        changes = Changes(issued)
        for peer in (PEER, RelayId(8)):
            for ticket in issued_tickets(*range(last + 1, last + 1 + draw.draw(integers(0, 3), "issued"))):
                changes.book(1, peer, StoreRow(ticket))
                alive.add((peer, ticket.seq))
                last = ticket.seq
            gone = draw.draw(sets(integers(0, last)), "forgotten")
            changes.book(1, peer, ForgetTickets(tuple(gone)))
            alive -= {(peer, seq) for seq in gone}
        for op in changes.ops():
            if isinstance(op, Put):
                rows[op.key] = op.data
            elif isinstance(op, Delete):
                rows.pop(op.key, None)
        found = [(key[1], row.seq) for key, kept in rows.items() for row in book.decode_all(kept)]
        assert sorted(found) == sorted(alive)


async def test_what_a_step_joined_before_its_batch_was_forgotten_is_forgotten_too(path: Path) -> None:
    both = (
        StoreRow(book.Response(1, 0, bytes(32))),
        ForgetBatch(1),
        StoreRow(book.Response(2, 0, bytes(32))),
    )
    async with after(path, changed(0, PEER, *both, issued=IssuedTickets())) as kept:
        assert dict(kept.book_rows())[0, PEER] == [both[2].row]


async def test_unreadable_row_is_told(path: Path) -> None:
    async with after(path, [Put(BOOKS, (0, PEER, 8, 0, 0), b"\xff\xff")]) as kept:
        with pytest.raises(UserError, match="damaged"):
            dict(kept.book_rows())


async def test_keys_and_tags_go_together_when_an_epoch_is_over(path: Path) -> None:
    ops = [relay_store.key_op(Epoch(e), bytes([e]) * 32) for e in (1, 2)]
    ops += [op for e in (1, 2) for op in tagged(e, *(bytes([n]) * 16 for n in range(3)))]
    async with after(path, ops) as kept:
        assert kept.packet_keys() == {1: b"\x01" * 32, 2: b"\x02" * 32}
        assert len(list(kept.tags(Epoch(0)))) == 6
        assert {epoch for epoch, _ in kept.tags(Epoch(2))} == {2}
    async with after(path, relay_store.forget_epoch_ops(Epoch(1))) as kept:
        assert kept.packet_keys() == {2: b"\x02" * 32}
        assert list(kept.tags(Epoch(0))) == [(2, bytes([n]) * 16) for n in range(3)]
    assert b"\x01" * 32 not in path.read_bytes()


async def test_passes_come_back_with_their_furthest_tick(path: Path) -> None:
    pool = b"p" * 20
    shown = [Pass(Scope(31337, pool, 1, 1, 5), bytes([n]) * 2048, bytes(256)) for n in range(3)]
    ops = [relay_store.pass_op(one.id, PassRecord(one, 0, b"")) for one in shown]
    ticks = [relay_store.tick_op(TickTaken(shown[0].id, number, bytes(32), 1)) for number in (3, 16_384)]
    async with after(path, ops, ticks, relay_store.forget_pass_ops([shown[2].id])) as kept:
        found = {record.shown.id: record for record in kept.passes(31337, pool)}
        assert found == {
            shown[0].id: PassRecord(shown[0], 16_384, bytes(32)),
            shown[1].id: PassRecord(shown[1], 0, b""),
        }


async def test_mailboxes_come_back(path: Path) -> None:
    boxes, fetch_key = Mailboxes(RelayId(1)), bytes(32)
    mailbox = mailbox_id_of(fetch_key)
    created = boxes.create(mailbox, fetch_key, 10**9, now=0)
    assert isinstance(created, Created)
    groups = [relay_store.mailbox_ops(created.effects)]
    for number in range(5):
        delivered = boxes.deliver(mailbox, bytes([number]) * BODY, now=0)
        assert isinstance(delivered, Delivered)
        groups.append(relay_store.mailbox_ops(delivered.effects))
    deleted = boxes.delete(mailbox, 2)
    assert isinstance(deleted, Deleted)
    groups.append(relay_store.mailbox_ops(deleted.effects))

    async with after(path, *groups) as kept:
        again = Mailboxes(RelayId(1))
        again.restore(kept.mailboxes(), kept.message_index())
        assert again.counts == boxes.counts == (1, 3)
        span = again.fetch(mailbox, 0, 2, now=0)
        assert isinstance(span, Span)
        assert kept.messages(mailbox, span.first, span.last) == [(3, b"\x02" * BODY), (4, b"\x03" * BODY)]
        gone = again.expire(now=10**9)
    async with after(path, relay_store.mailbox_ops(gone.effects)) as kept:
        assert kept.mailboxes() == kept.message_index() == []


async def test_mailbox_rows_keep_every_field(path: Path) -> None:
    unpaid = PutMailbox(b"m" * 16, b"k" * 32, 2**40, 2**33)  # as an earlier release kept it
    paid = PutMailbox(b"n" * 16, b"k" * 32, 2**40, 2**33, b"p" * 32)
    async with after(path, relay_store.mailbox_ops([unpaid, paid])) as kept:
        assert kept.mailboxes() == [unpaid, paid]


async def test_mailbox_row_of_another_length_is_damage(path: Path) -> None:
    row = PutMailbox(b"m" * 16, b"k" * 32, 2**40, 2**33, b"p")
    async with after(path, relay_store.mailbox_ops([row])) as kept:
        with pytest.raises(UserError, match="unreadable row"):
            kept.mailboxes()


async def test_counts_vouchers_and_settings_come_back(path: Path) -> None:
    voucher = StoredPoolVoucher(3, 4, Amount(2**96 - 1), b"s" * 65)
    ops = [relay_store.role_op("mix"), relay_store.role_op("mix"), relay_store.role_op("entry")]
    more = [relay_store.pool_voucher_op(voucher), relay_store.setting_op("cursor", b"\x01")]
    async with after(path, ops, more) as kept:
        assert kept.roles() == {"entry": 1, "mix": 2}
        assert kept.pool_vouchers() == {3: voucher}
        assert kept.setting("cursor") == b"\x01"
        assert kept.setting("nothing") is None


async def test_rowsThatContradictEachOther_areDamage_toldWithTheWayOut(tmp_path: Path) -> None:
    opened = RelayStore(tmp_path / "relay.sqlite")
    with pytest.raises(UserError, match="mixpay-relay restore"), opened.understood():
        raise ValueError("a message is out of place")
    await opened.close()
