"""Steps: what is promised to a peer is on disk before, and what one step took in is never lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import pytest_asyncio

from mixpay.book.events import ClaimDue, SendAck, SendCut, SendRefuseTicket, TicketTaken
from mixpay.types import Amount, Value
from mixpay.wire import frames
from registry_samples import operator_key
from relay.path.books import Purse, Side, to_frame
from relay.store import StoreFailed
from relay_parts import EPOCH, PRICE, Node, Parts, account, frame, only

LOCK, HINT = bytes(20), b"\4" + bytes(64)


@pytest_asyncio.fixture
async def mix(parts: Parts) -> Node:
    """Mix 1 of the usual path, with links from its entry and to its next hop."""
    node = await parts.node(parts.path()[1])
    node.link(Side.PAYER, parts.path()[0])
    node.link(Side.PAYEE, parts.path()[2])
    await node.written()
    return node


def rows(path: Path) -> int:
    """Rows of channel books on the disk, as anybody can see them."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return int(database.execute("SELECT count(*) FROM books").fetchone()[0])


async def test_ack_leavesAfterItIsOnDisk(parts: Parts, mix: Node) -> None:
    entry = parts.path()[0]
    wire = mix.wires[Side.PAYER][entry]
    seen: list[int] = []
    wire.send = lambda sent: seen.append(rows(mix.store.path)) or True  # type: ignore[method-assign]
    before = rows(mix.store.path)
    mix.desk.received(Side.PAYER, entry, [frame(parts.packet())])
    assert seen == []
    await mix.written()
    assert seen == [before + 2]  # the ticket, and the price of its batch


async def test_payeeWhoseAckIsMissing_isAwaited(parts: Parts, mix: Node) -> None:
    mix2 = parts.path()[2]
    assert mix.books.awaited(mix.clock()) == []
    await mix.hear(Side.PAYER, parts.path()[0], frame(parts.packet(delay_ms=0)))
    mix.router.release()
    await mix.written()
    assert mix.books.awaited(mix.clock()) == [mix2]


async def test_ticket_leavesAfterItIsOnDisk(parts: Parts, mix: Node) -> None:
    mix2 = parts.path()[2]
    wire = mix.wires[Side.PAYEE][mix2]
    await mix.hear(Side.PAYER, parts.path()[0], frame(parts.packet(delay_ms=0)))
    before = rows(mix.store.path)
    seen: list[int] = []
    wire.send = lambda sent: seen.append(rows(mix.store.path)) or True  # type: ignore[method-assign]
    mix.router.release()
    assert seen == []
    await mix.written()
    assert seen == [before + 1]


async def test_failedDisk_promisesNothing(parts: Parts, mix: Node) -> None:
    entry = parts.path()[0]
    mix.store._database.execute("PRAGMA query_only = ON")  # as a full disk does, it refuses every write
    mix.desk.received(Side.PAYER, entry, [frame(parts.packet())])
    with pytest.raises(StoreFailed):
        await mix.written()
    assert mix.wires[Side.PAYER][entry].take() == []
    with pytest.raises(StoreFailed):
        mix.desk.received(Side.PAYER, entry, [frame(parts.packet(), seq=2)])


async def test_step_isWrittenEvenIfItsBlockFails(mix: Node) -> None:
    with pytest.raises(ZeroDivisionError), mix.books.step() as step:
        step.changes.count("mix")
        raise ZeroDivisionError
    await mix.written()
    assert mix.store.roles() == {"mix": 1}


async def test_emptyStep_writesNothing(mix: Node) -> None:
    before = mix.store.stats.commits
    with mix.books.step():
        pass
    await mix.written()
    assert mix.store.stats.commits == before


async def test_stepWithoutRows_keepsItsPlaceInTheOrder(mix: Node) -> None:
    order: list[str] = []
    with mix.books.step() as step:
        step.changes.count("mix")
        step.then(lambda: order.append("first"))
    with mix.books.step() as step:
        step.then(lambda: order.append("second"))
    assert order == []
    await mix.written()
    assert order == ["first", "second"]


async def test_manyAcks_goIntoFramesThatHoldThem(mix: Node) -> None:
    (payer,) = mix.wires[Side.PAYER].values()
    many = frames.MAX_ACKS + 1
    with mix.books.step() as step:
        step.add(Side.PAYER, payer.peer, [SendAck(1, n, n + 1, bytes(32)) for n in range(many)])
        step.add(Side.PAYER, payer.peer, [SendRefuseTicket(n, "replayed") for n in range(many)])
    await mix.written()
    sent = payer.take()
    assert [len(found.acks) for found in only(sent, frames.Acks)] == [frames.MAX_ACKS, 1]
    assert [len(found.tickets) for found in only(sent, frames.RefuseTickets)] == [frames.MAX_ACKS, 1]


async def test_effectsOfSeveralPeers_goToTheirOwnLinks(parts: Parts, mix: Node) -> None:
    one = mix.wires[Side.PAYER][parts.path()[0]]
    other = mix.link(Side.PAYER, 5)
    with mix.books.step() as step:
        step.add(Side.PAYER, one.peer, [SendAck(1, 0, 1, bytes(32)), SendCut(1, 1)])
        step.add(Side.PAYER, other.peer, [SendAck(2, 0, 9, bytes(32))])
    await mix.written()
    assert {ack.seq for found in only(one.take(), frames.Acks) for ack in found.acks} == {1}
    assert {ack.seq for found in only(other.take(), frames.Acks) for ack in found.acks} == {9}


async def test_withoutALink_nothingIsLost(parts: Parts, mix: Node) -> None:
    """A link that is down is written to by nobody; what mattered is repeated on the next one."""
    entry = parts.path()[0]
    built = parts.packet()
    mix.wires[Side.PAYER].clear()
    mix.desk.received(Side.PAYER, entry, [frame(built)])
    await mix.written()
    wire = mix.link(Side.PAYER, entry)
    await mix.written()
    assert wire.take() == [frames.Acks((frames.Ack(1, 0, 1, built.first_ack),))]


async def test_books_comeBackFromTheirRows(parts: Parts, mix: Node) -> None:
    entry, _, mix2, *_ = parts.path()
    await mix.hear(Side.PAYER, entry, frame(parts.packet(delay_ms=0)))
    await mix.pass_time(0.1)
    before = mix.books.payee(entry).totals(PRICE), mix.books.payer(mix2).totals(PRICE)
    again = await parts.restart(mix.me)
    assert (again.books.payees[entry].totals(PRICE), again.books.payers[mix2].totals(PRICE)) == before
    assert set(again.books.payees) == {entry}
    assert set(again.books.payers) == {mix2}


async def test_ticketNumbers_goOnAfterARestart(parts: Parts, mix: Node) -> None:
    _, _, mix2, *_ = parts.path()
    book = mix.books.payer(mix2)
    with mix.books.step() as step:
        effects = book.issue(LOCK, HINT, Value(3), price=Amount(PRICE), now=mix.clock())
        step.add(Side.PAYEE, mix2, effects, packet=(EPOCH, bytes(2450)))
    await mix.written()
    again = await parts.restart(mix.me)
    effects = again.books.payer(mix2).issue(LOCK, HINT, Value(3), price=Amount(PRICE), now=mix.clock())
    assert effects[1].seq == 2


def test_toFrame_knowsWhatIsNotForTheWire() -> None:
    for effect in (TicketTaken(1, 0, 1), ClaimDue("channel_closing")):
        with pytest.raises(TypeError):
            to_frame(effect)


def test_purse_isNotShown() -> None:
    purse = Purse(operator_key(1), account(1), None)  # type: ignore[arg-type]
    assert operator_key(1).hex() not in repr(purse)
    assert repr(operator_key(1)) not in repr(purse)
    assert account(1).hex() in repr(purse)
