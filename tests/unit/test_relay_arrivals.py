"""Packets that are opened elsewhere and come back later: nothing about them is forgotten meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from mixpay.book import Limits
from mixpay.types import Epoch
from mixpay.wire import frames
from relay.path import arrivals
from relay.path.books import Side
from relay.path.desk import SideEvents
from relay.path.opening import Done, InlineOpener, Job, Key
from relay_parts import EPOCH, Node, Parts, frame, only, reasons


class LateOpener:
    """Opens packets when it is told to."""

    def __init__(self, inner: InlineOpener) -> None:
        self._inner = inner
        self.waiting: list[tuple[Sequence[Job], Done]] = []

    def use(self, keys: Mapping[Epoch, Key]) -> None:
        self._inner.use(keys)

    def open(self, jobs: Sequence[Job], done: Done) -> None:
        self.waiting.append((jobs, done))

    def work(self) -> None:
        waiting, self.waiting = self.waiting, []
        for jobs, done in waiting:
            self._inner.open(jobs, done)


class SlowLink:
    """A payer's link that can be told to wait."""

    def __init__(self, peer: int) -> None:
        self.peer = peer
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


@pytest_asyncio.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = Parts(tmp_path, limits=Limits(unsigned_window=8))
    yield made
    await made.close()


@pytest_asyncio.fixture
async def mix(mix: Node) -> Node:
    """Mix 1 of the usual path, whose packets are opened late."""
    mix.router.arrivals._opener = LateOpener(mix.router.arrivals._opener)
    return mix


def opener(node: Node) -> LateOpener:
    late = node.router.arrivals._opener
    assert isinstance(late, LateOpener)
    return late


async def answers(parts: Parts, node: Node) -> list[frames.LinkFrame]:
    """What the payer hears once the packets are open."""
    opener(node).work()
    return await parts.bring(node)


async def test_packets_areAcknowledgedWhenTheyAreOpen(parts: Parts, mix: Node) -> None:
    sent = [frame(parts.packet(), seq=seq) for seq in range(1, 6)]
    assert await parts.bring(mix, *sent[:3]) == []
    assert await parts.bring(mix, *sent[3:]) == []
    assert mix.router.arrivals.under_way == 5
    acks = [ack for many in only(await answers(parts, mix), frames.Acks) for ack in many.acks]
    assert [(ack.position, ack.seq) for ack in acks] == [(n, n + 1) for n in range(5)]
    assert mix.router.arrivals.under_way == 0
    assert len(mix.mixer) == 5


async def test_limits_countWhatIsUnderWay(parts: Parts, mix: Node) -> None:
    sent = [frame(parts.packet(), seq=seq) for seq in range(1, 12)]
    first = await parts.bring(mix, *sent[:6])
    second = await parts.bring(mix, *sent[6:])
    assert reasons([*first, *second]) == ["unsigned_window"] * 3
    acks = [ack for many in only(await answers(parts, mix), frames.Acks) for ack in many.acks]
    assert len(acks) == 8
    assert mix.router.arrivals.under_way == 0


async def test_sameTicketTwiceUnderWay_isTakenOnce(parts: Parts, mix: Node) -> None:
    built = parts.packet()
    await parts.bring(mix, frame(built))
    await parts.bring(mix, frame(built))
    acks = [ack for many in only(await answers(parts, mix), frames.Acks) for ack in many.acks]
    assert len(acks) == 2
    assert acks[0] == acks[1]
    assert len(mix.mixer) == 1


async def test_keyThatExpiresMeanwhile_isWrongEpoch(parts: Parts, mix: Node) -> None:
    await parts.bring(mix, frame(parts.packet()))
    arrived, mix.router.arrivals._epochs = mix.router.arrivals._epochs, {}
    assert EPOCH in arrived
    assert reasons(await answers(parts, mix)) == ["wrong_epoch"]
    assert len(mix.mixer) == 0
    assert mix.router.arrivals.under_way == 0


async def test_tooManyUnderWay_payersWait(parts: Parts, mix: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.path.desk.MAX_UNDER_WAY", 4)
    assert arrivals.MAX_UNDER_WAY > 4
    entry = parts.path()[0]
    side, link = SideEvents(Side.PAYER, mix.desk, mix.metrics), SlowLink(entry)
    for seq in (1, 2, 3):
        side.received(link, [frame(parts.packet(), seq=seq)])
        assert not link.paused
    side.received(link, [frame(parts.packet(), seq=4)])
    assert link.paused
    mix.desk.tick()
    assert link.paused
    opener(mix).work()
    assert not link.paused
    assert len(only(await parts.bring(mix), frames.Acks)) >= 1
