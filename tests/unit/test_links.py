"""Links between relays, over real sockets: frames, queues, keep-alive, coming back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from link_ends import (
    ACKS,
    LIMITS,
    PACKET,
    PAYEE,
    PAYER,
    THIRD,
    Listener,
    Pair,
    Stranger,
    authorise,
    pair,
)
from mixpay.errors import PeerError
from mixpay.wire import frames
from relay.links import LinkLimits, LinkServer


async def test_frames_flow_both_ways_in_order() -> None:
    async with pair() as both:
        link = await both.connect()
        sent = [replace(PACKET, seq=seq) for seq in range(100)]
        assert all(link.send(packet) for packet in sent)
        await both.at_payee.until(lambda: len(both.at_payee.frames) == 100)
        assert both.at_payee.frames == sent

        (at_payee,) = both.at_payee.opened_links
        assert at_payee.peer == PAYER.relay
        assert link.peer == PAYEE.relay
        assert at_payee.send(ACKS)
        await both.at_payer.until(lambda: both.at_payer.frames)
        assert both.at_payer.frames == [ACKS]


async def test_frames_sent_together_are_written_together() -> None:
    async with pair() as both:
        link = await both.connect()
        for _ in range(500):
            link.send(frames.Voucher(1, 1, bytes(65)))
        await both.at_payee.until(lambda: len(both.at_payee.frames) == 500)
        assert both.at_payee.reads < 25


async def test_malformed_frame_closes_that_link_only() -> None:
    async with pair() as both:
        link = await both.connect()
        async with Stranger.at(both.server.port) as stranger:
            await stranger.shake(THIRD)
            stranger.write(frames.encode(PACKET) + b"\xff\xff\xff\xff")
            assert await stranger.hear() == frames.Refuse("malformed_frame")
            assert await stranger.hear() is None
        assert both.at_payee.frames == [PACKET]  # what came before the fault is not lost
        assert both.at_payee.closed_for == ["malformed_frame"]
        assert link.is_open
        assert list(both.server.links) == [PAYER.relay]


@pytest.mark.parametrize("said", [ACKS, frames.Welcome(), frames.Prove(1, THIRD.relay, bytes(64))])
async def test_frame_of_the_other_direction_closes_the_link(said: frames.LinkFrame) -> None:
    async with pair() as both, Stranger.at(both.server.port) as stranger:
        await stranger.shake(THIRD)
        stranger.say(said)
        assert await stranger.hear() == frames.Refuse("unexpected_frame")
        assert both.at_payee.closed_for == ["unexpected_frame"]


async def test_silent_peer_is_asked_then_given_up() -> None:
    async with pair(payee=replace(LIMITS, ping_after=0.05, dead_after=0.3)) as both:
        async with Stranger.at(both.server.port) as stranger:
            await stranger.shake(THIRD)
            assert isinstance(await stranger.hear(), frames.Ping)
            await both.at_payee.until(lambda: both.at_payee.closed_for)
        assert both.at_payee.closed_for == ["dead_peer"]


async def test_idle_peer_that_answers_is_kept() -> None:
    limits = replace(LIMITS, ping_after=0.05, dead_after=0.5)
    async with pair(payee=limits) as both, Stranger.at(both.server.port) as stranger:
        await stranger.shake(THIRD)
        for _ in range(15):  # longer than `dead_after`
            ping = await stranger.hear()
            assert isinstance(ping, frames.Ping)
            stranger.say(frames.Pong(ping.number))
        assert both.at_payee.closed_for == []


async def test_ping_is_answered() -> None:
    async with pair() as both, Stranger.at(both.server.port) as stranger:
        await stranger.shake(THIRD)
        stranger.say(frames.Ping(5))
        assert await stranger.hear() == frames.Pong(5)
        assert both.at_payee.frames == []


async def test_payer_comes_back_after_the_payee_restarts() -> None:
    both = Pair()
    await both.server.start("127.0.0.1", 0)
    link, port = await both.connect(), both.server.port
    await both.server.stop()
    await both.at_payer.until(lambda: both.at_payer.closed_for)
    assert both.at_payer.frames == [frames.Refuse("shutting_down")]
    assert both.at_payer.closed_for == ["refused_by_peer"]
    await both.at_payer.until(lambda: (PAYEE.relay, "unreachable") in both.at_payer.failures)
    assert not link.send(PACKET)
    assert both.at_payer.drops == [(PAYEE.relay, "link_down", 1)]

    again = Listener()
    server = LinkServer(PAYEE, authorise, again, LIMITS)
    await server.start("127.0.0.1", port)
    await both.at_payer.until(lambda: link.is_open)
    assert both.at_payer.opened_links == [link, link]
    assert link.send(PACKET)
    await again.until(lambda: again.frames == [PACKET])
    await both.dialer.stop()
    await again.until(lambda: again.closed_for == ["peer_closed"])
    await server.stop()


async def test_payer_that_comes_again_replaces_its_old_link() -> None:
    async with (
        pair() as both,
        Stranger.at(both.server.port) as before,
        Stranger.at(both.server.port) as after,
    ):
        await before.shake(THIRD)
        await after.shake(THIRD)
        assert both.at_payee.closed_for == ["replaced"]
        assert await before.hear() is None
        after.say(PACKET)
        await both.at_payee.until(lambda: both.at_payee.frames == [PACKET])
        assert both.server.links[THIRD.relay].is_open


async def test_full_queue_drops_packets_and_says_so() -> None:
    async with pair(payer=replace(LIMITS, max_queued_packets=10)) as both:
        link = await both.connect()
        both.at_payee.opened_links[0].pause()
        count, accepted = 20_000, 0
        for _ in range(count):
            accepted += link.send(PACKET)
            await asyncio.sleep(0)
        dropped = sum(frames for _, _, frames in both.at_payer.drops)
        assert {reason for _, reason, _ in both.at_payer.drops} == {"queue_full"}
        assert 0 < accepted == count - dropped
        both.at_payee.opened_links[0].resume()
        await both.at_payee.until(lambda: len(both.at_payee.frames) == accepted)
        assert link.is_open
        assert link.send(PACKET)


async def test_control_frames_are_never_dropped_one_by_one() -> None:
    limits = replace(LIMITS, max_queued_packets=1, max_queued_bytes=100_000, retry_first=60, retry_most=60)
    async with pair(payer=limits) as both:
        link = await both.connect()
        both.at_payee.opened_links[0].pause()
        while link.send(frames.Voucher(1, 1, bytes(65))):
            await asyncio.sleep(0)
        assert both.at_payer.closed_for == ["queue_full"]
        assert both.at_payer.drops[0] == (PAYEE.relay, "queue_full", 1)
        assert both.at_payer.drops[1][1] == "link_lost"


async def test_relay_that_objects_closes_the_link_and_says_why() -> None:
    async with pair() as both:
        link = await both.connect()
        both.at_payee.objection = PeerError("forged_batch")
        link.send(PACKET)
        await both.at_payer.until(lambda: both.at_payer.closed_for)
        assert both.at_payer.frames == [frames.Refuse("forged_batch")]
        assert both.at_payer.closed_for[0] == "refused_by_peer"
        assert both.at_payee.closed_for[0] == "forged_batch"


async def test_link_that_packets_wait_for_comes_back_soon() -> None:
    limits = replace(LIMITS, retry_first=600, retry_most=600, retry_wanted=0.01)
    async with pair(payer=limits) as both, asyncio.timeout(10):
        link = await both.connect()
        both.at_payee.opened_links[0].refuse("not_now")
        await both.at_payer.until(lambda: both.at_payer.closed_for)
        while not link.is_open:
            both.dialer.want([PAYEE.relay, THIRD.relay])  # nobody dials the third
            await asyncio.sleep(0)


async def test_last_frames_arrive_before_a_link_closes() -> None:
    async with pair() as both:
        link = await both.connect()
        link.send(PACKET)
        both.dialer.hang_up(PAYEE.relay)
        await both.at_payee.until(lambda: both.at_payee.closed_for)
        assert both.at_payee.frames == [PACKET]
        assert both.at_payer.closed_for == ["closed"]
        assert not link.send(PACKET)


async def test_dialling_again_keeps_the_link_unless_the_target_changed() -> None:
    async with pair() as both:
        link = await both.connect()
        assert both.dial() is link
        changed = both.dial(link_key=THIRD.link_key)
        assert changed is not link
        assert both.at_payer.closed_for == ["closed"]
        assert dict(both.dialer.links) == {PAYEE.relay: changed}


def test_limits_reject_nonsense() -> None:
    with pytest.raises(ValueError, match="max_links"):
        LinkLimits(max_links=0)
    with pytest.raises(ValueError, match="dead_after"):
        LinkLimits(ping_after=10, dead_after=5)
