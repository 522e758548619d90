"""A next relay that is away for a while with acks that it owes costs its payer nothing (I8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mixpay.book import Limits
from mixpay.wire import frames
from relay.path.books import Side
from relay_parts import EPOCH, PRICE, Parts, only

LIMITS = Limits(response_timeout=15.0, longest_wait=600.0)


@pytest_asyncio.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = Parts(tmp_path, limits=LIMITS)
    yield made
    await made.close()


async def leave_with_the_ack(parts: Parts, *, taken: bool = True) -> None:
    """Mix 2 dies before it acknowledges a packet, which is on its disk by then if it was `taken`; then mix 1,
    which was paid for it, settles.
    """
    entry, mix1, mix2, *_ = parts.path()
    await parts.connect(entry, mix1)
    await parts.connect(mix1, mix2)
    built = parts.packet(delay_ms=0)
    parts.nodes[entry].router.submit(mix1, EPOCH, built.lock, built.hint, built.packet)
    await parts.flow()
    parts.nodes[mix1].router.release()
    await parts.nodes[mix1].written()
    sent = only(parts.nodes[mix1].wires[Side.PAYEE][mix2].take(), frames.Packet)
    assert len(sent) == 1
    if taken:
        parts.nodes[mix2].desk.received(Side.PAYER, mix1, sent)
        await parts.nodes[mix2].written()
        assert only(parts.nodes[mix2].wires[Side.PAYER][mix1].take(), frames.Acks)
    del parts.nodes[mix1].wires[Side.PAYEE][mix2]
    await parts.restart(mix2, crash=True)
    parts.nodes[mix1].desk.settle()
    await parts.flow()


def earned(parts: Parts) -> tuple[int, int]:
    """What mix 1 was signed for the packet, and what it owes mix 2 for it, in hop prices."""
    entry, mix1, mix2, *_ = parts.path()
    books = parts.nodes[mix1].books
    owed = books.payers[mix2].totals(PRICE)
    return books.payees[entry].totals(PRICE).cumulative // PRICE, owed.unsettled + owed.cumulative // PRICE


async def test_settlement_waitsForTheRelayThatIsAway(parts: Parts) -> None:
    await leave_with_the_ack(parts)
    await parts.run(LIMITS.response_timeout * 4)
    assert earned(parts)[0] == 0
    await parts.connect(*parts.path()[1:3])
    await parts.run(1)
    assert earned(parts) == (4, 3)


async def test_settlement_waitsAcrossARestartOfItsOwn(parts: Parts) -> None:
    entry, mix1, mix2, *_ = parts.path()
    await leave_with_the_ack(parts)
    await parts.run(LIMITS.response_timeout)
    await parts.restart(mix1, crash=True)
    await parts.connect(entry, mix1)
    await parts.run(LIMITS.response_timeout * 2)
    await parts.connect(mix1, mix2)
    await parts.run(1)
    assert earned(parts) == (4, 3)


async def test_settlement_doesNotWaitForARelayThatIsBack_andHasNothing(parts: Parts) -> None:
    await leave_with_the_ack(parts, taken=False)
    await parts.connect(*parts.path()[1:3])
    await parts.run(LIMITS.response_timeout + 1)
    entry, mix1, *_ = parts.path()
    assert parts.nodes[mix1].books.payees[entry].state.upto_batch == 1
    assert earned(parts) == (0, 0)


async def test_settlement_waitsForAnAckThatIsUnderWay(parts: Parts) -> None:
    """The ticket is given as late as it may be, and the answer comes when the time of its batch is over."""
    entry, mix1, mix2, *_ = parts.path()
    await parts.connect(entry, mix1)
    await parts.connect(mix1, mix2)
    latest = LIMITS.response_timeout - LIMITS.ack_timeout
    built = parts.packet(delay_ms=round(latest * 1_000) - 400)
    parts.nodes[entry].router.submit(mix1, EPOCH, built.lock, built.hint, built.packet)
    await parts.flow()
    parts.nodes[mix1].desk.settle()
    await parts.run(latest - 1)
    for _ in range(14):
        parts.pass_time(0.5)  # what is sent stays on the wire
        await parts.nodes[mix1].written()
    await parts.run(2)
    assert earned(parts) == (4, 3)


async def test_settlement_doesNotWaitForEver(parts: Parts) -> None:
    await leave_with_the_ack(parts)
    entry, mix1, *_ = parts.path()
    book = parts.nodes[mix1].books.payees[entry]
    await parts.run(LIMITS.longest_wait - 5, step=1.0)
    assert book.state.upto_batch == 0
    await parts.run(10)
    assert book.state.upto_batch == 1


@pytest.mark.parametrize("limits", [Limits(max_unsettled=7), Limits(credit_limit=5)], ids=["debt", "credit"])
async def test_settlement_doesNotWait_ifTheLimitsLeaveTooLittleRoom(tmp_path: Path, limits: Limits) -> None:
    """4 hop prices are owed: more than half of what may be, or than three quarters of the credit."""
    parts = Parts(tmp_path, limits=limits)
    try:
        await leave_with_the_ack(parts)
        await parts.run(limits.response_timeout + 1)
        entry, mix1, *_ = parts.path()
        assert parts.nodes[mix1].books.payees[entry].state.upto_batch == 1
    finally:
        await parts.close()
