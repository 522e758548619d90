"""A packet whose response would come too late to be paid for is not paid for to the next relay either."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixpay.book import Limits
from mixpay.wire import frames
from relay.path.books import Side
from relay_parts import Parts, frame, only

LIMITS = Limits(response_timeout=15.0)


async def _mix_with_a_settled_packet(parts: Parts, delay_ms: int) -> list[frames.LinkFrame]:
    """What mix 1 sends on, if its payer settles right after a packet that asks for this delay."""
    entry, mix1, mix2, *_ = parts.path()
    for payer, payee in ((entry, mix1), (mix1, mix2)):
        await parts.node(payer)
        await parts.connect(payer, payee)
    node, payer = parts.nodes[mix1], parts.nodes[entry]
    built = parts.packet(delay_ms=delay_ms)
    sent = frame(built)
    payer.router.submit(mix1, sent.key_epoch, sent.lock, sent.hint, sent.packet)
    await parts.flow()
    node.desk.settle()
    await parts.flow()
    onward = node.wires[Side.PAYEE][mix2]
    await parts.flow()
    heard: list[frames.LinkFrame] = []
    for _ in range(140):
        parts.clock.now += 0.5
        for each in parts.nodes.values():
            each.router.release()
            each.desk.tick()
            await each.written()
        heard += onward.sent
        await parts.flow()
    return heard


@pytest.mark.parametrize(("delay_ms", "forwarded"), [(5_000, 1), (12_000, 0), (60_000, 0)])
async def test_packetIsForwarded_onlyWhileItsResponseIsPaidFor(
    tmp_path: Path, delay_ms: int, forwarded: int
) -> None:
    """I8. After 12 of 15 s an acknowledgement in its time, 5 s, could come when the root is out."""
    parts = Parts(tmp_path, limits=LIMITS)
    try:
        heard = await _mix_with_a_settled_packet(parts, delay_ms)
        entry, mix1, mix2, *_ = parts.path()
        assert len(only(heard, frames.Packet)) == forwarded
        node = parts.nodes[mix1]
        assert node.drops("paid_too_late") == 1 - forwarded
        owed = node.books.payer(mix2).totals(parts.view.release.hop_price).unsettled
        assert bool(owed) == bool(forwarded)
        assert parts.nodes[entry].books.payer(mix1).state.upto_batch == 1
    finally:
        await parts.close()
