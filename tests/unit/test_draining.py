"""Draining: nothing new, everything that is here goes on its way, and the books stay even."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mixpay.book.limits import DRAINING, LIMITS
from mixpay.errors import PeerError
from mixpay.types import Amount
from mixpay.wire import frames
from relay.draining import LONGEST, Drain, Draining
from relay.in_flight import InFlight
from relay.path.books import Side
from relay.path.router import MAX_WAIT, TICKET_REASONS
from relay_parts import EPOCH, Node, Parts, frame, only, reasons

DELAY = 5_000


@pytest_asyncio.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    parts = Parts(tmp_path)
    for payer, payee in zip(parts.path(), parts.path()[1:], strict=False):
        await parts.connect(payer, payee)
    yield parts
    await parts.close()


def mix_of(parts: Parts) -> Node:
    return parts.nodes[parts.path()[1]]


def drain_of(node: Node) -> Drain:
    return Drain(node.router, node.books, node.store)


def submit(parts: Parts, delay_ms: int = DELAY) -> asyncio.Future[bytes]:
    built = parts.packet(delay_ms=delay_ms)
    entry = parts.nodes[parts.path()[0]]
    return entry.router.submit(built.first_relay, EPOCH, built.lock, built.hint, built.packet)


async def test_packetsThatAreHere_goOn_andNoOthersCome(parts: Parts) -> None:
    mix = mix_of(parts)
    drain = drain_of(mix)
    sent = submit(parts)
    await parts.flow()
    assert sent.done() and drain.in_flight() == InFlight(held=1)
    drain.begin()
    late = submit(parts)
    await parts.flow()
    assert mix.drops(DRAINING) == 1
    with pytest.raises(PeerError, match="refused_by_mix"):
        await late
    emptied = asyncio.ensure_future(drain.empty())
    await parts.run(DELAY / 1000 - 1)
    assert not emptied.done(), "a packet is held"
    await parts.run(2)
    await asyncio.wait_for(emptied, 10)
    entry = parts.nodes[parts.path()[0]]
    assert mix.books.payees[entry.me].totals(Amount(1)).opened == 4, "it went on, and its receipt is here"


async def test_packetThatIsNotAcknowledgedYet_isWaitedFor(parts: Parts) -> None:
    mix = mix_of(parts)
    drain = drain_of(mix)
    del mix.wires[Side.PAYEE][parts.path()[2]]
    submit(parts, delay_ms=10)
    await parts.run(1)
    assert drain.in_flight() == InFlight(waiting=1)
    await parts.connect(mix.me, parts.path()[2])
    await mix.pass_time(0.1)
    assert drain.in_flight() == InFlight(unacknowledged=1)
    await parts.flow()
    assert drain.in_flight() == InFlight()


async def test_payerKeepsItsPackets_untilTheyAreTakenAgain(parts: Parts) -> None:
    """A relay that is restarted soon costs no packet but the one that was refused."""
    mix, entry = mix_of(parts), parts.nodes[parts.path()[0]]
    drain = drain_of(mix)
    drain.begin()
    refused = submit(parts)
    await parts.flow()
    assert refused.done() and refused.exception() is not None
    waiting = submit(parts)
    await parts.run(1.5)
    assert not waiting.done() and entry.router.waiting(mix.me) == 1
    drain.resume()
    await parts.run(3)
    assert waiting.done() and waiting.exception() is None


async def test_ticketThatWasTaken_getsItsAckAgain_whileDraining_I7_I9(parts: Parts) -> None:
    mix, payer = mix_of(parts), parts.path()[0]
    sent = frame(parts.packet())
    (first,) = only(await mix.hear(Side.PAYER, payer, sent), frames.Acks)
    drain_of(mix).begin()
    (again,) = only(await mix.hear(Side.PAYER, payer, sent), frames.Acks)
    assert again == first
    assert reasons(await mix.hear(Side.PAYER, payer, frame(parts.packet(), seq=2))) == [DRAINING]


async def test_booksAreEven_afterARefusalByDraining_I7(parts: Parts) -> None:
    mix, entry = mix_of(parts), parts.nodes[parts.path()[0]]
    submit(parts, delay_ms=10)
    await parts.run(1)
    drain_of(mix).begin()
    submit(parts)
    await parts.run(3)
    drain_of(mix).resume()
    submit(parts, delay_ms=10)
    await parts.run(3)
    mix.desk.settle()
    await parts.run(parts.limits.response_timeout + 2)
    ours, theirs = mix.books.payee(entry.me).totals(Amount(1)), entry.books.payer(mix.me).totals(Amount(1))
    assert (ours.unsettled, theirs.unsettled) == (0, 0)
    assert ours.cumulative == theirs.cumulative and ours.settled == 8


async def test_clients_areToldToComeAgain(parts: Parts) -> None:
    entry, first = parts.nodes[parts.path()[0]], parts.path()[1]
    entry.router.check_first_mix(first, EPOCH)
    drain_of(entry).begin()
    with pytest.raises(PeerError, match="busy"):
        entry.router.check_first_mix(first, EPOCH)


async def test_drainingOfAll_isAskedAgain_andTakenBack(parts: Parts) -> None:
    mix, entry = mix_of(parts), parts.nodes[parts.path()[0]]
    draining = Draining(lambda: [drain_of(mix), drain_of(entry)])
    assert not draining.begun and not draining.answer().complete
    submit(parts)
    await parts.flow()
    await draining.drain(0)
    answer = draining.answer()
    assert (answer.draining, answer.complete, answer.held) == (True, False, 1)
    await parts.run(DELAY / 1000 + 2)
    await draining.drain(10)
    assert draining.answer().complete
    draining.resume()
    assert not draining.begun and not draining.answer().complete
    submit(parts, delay_ms=10)
    await parts.run(1)
    assert mix.drops(DRAINING) == 0


def test_reason_isKnownToPayers_andPausesThem() -> None:
    assert DRAINING in LIMITS and DRAINING in TICKET_REASONS


def test_longestDrain_coversTheLongestDelayAndTheLongestWait() -> None:
    assert LONGEST > 65.535 + MAX_WAIT


def test_inFlight_isToldInWords() -> None:
    assert str(InFlight()) == "no packets"
    text = str(InFlight(1, 2, 3, 4))
    assert text.startswith("1 being opened, 2 held") and text.endswith("4 sent and not acknowledged yet")
    assert InFlight(1, 2, 3, 4).total == 10
