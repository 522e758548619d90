"""How a link opens, and who is kept out, over real sockets."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from link_ends import (
    LIMITS,
    PACKET,
    PAYEE,
    PAYER,
    THIRD,
    Listener,
    Stranger,
    pair,
)
from mixpay.errors import PeerError
from mixpay.types import RelayId
from mixpay.wire import frames
from relay.links import Identity, LinkLimits, handshake
from relay.links.dialer import LinkDialer, retry_after


async def test_payer_leaves_a_payee_with_another_key_before_it_says_anything() -> None:
    async with pair() as both:
        both.dial(link_key=THIRD.link_key)
        await both.at_payer.until(lambda: both.at_payer.failures)
        assert both.at_payer.failures[0] == (PAYEE.relay, "wrong_link_key")
        assert both.at_payee.opened_links == []


async def test_payee_refuses_an_unknown_relay() -> None:
    async with pair() as both:
        stranger = LinkDialer(Identity(RelayId(9), bytes([9]) * 32), both.at_payer, LIMITS)
        stranger.dial(PAYEE.relay, "127.0.0.1", both.server.port, PAYEE.link_key)
        await both.at_payee.until(lambda: both.at_payee.failures)
        await both.at_payer.until(lambda: both.at_payer.failures)
        await stranger.stop()
        assert both.at_payee.failures[0] == (None, "unknown_relay")
        assert both.at_payer.failures[0] == (PAYEE.relay, "refused_by_peer")


async def test_payee_refuses_a_relay_under_anothers_name() -> None:
    async with pair() as both:
        thief = LinkDialer(Identity(PAYER.relay, THIRD.seed), both.at_payer, LIMITS)
        thief.dial(PAYEE.relay, "127.0.0.1", both.server.port, PAYEE.link_key)
        await both.at_payee.until(lambda: both.at_payee.failures)
        await thief.stop()
        assert both.at_payee.failures[0] == (None, "bad_proof")


def test_proof_is_good_for_one_nonce_and_one_payee() -> None:
    hello = frames.Hello(1, PAYEE.relay, bytes(32))
    proof = handshake.prove(PAYER, PAYEE.relay, PAYEE.link_key, hello)
    handshake.check(PAYEE, PAYER.link_key, bytes(32), proof)
    with pytest.raises(PeerError, match="bad_proof"):
        handshake.check(PAYEE, PAYER.link_key, b"\x01" * 32, proof)
    # A payee in the middle passes on what it was given, to one that it wants to pay for the payer.
    with pytest.raises(PeerError, match="bad_proof"):
        handshake.check(Identity(PAYEE.relay, THIRD.seed), PAYER.link_key, bytes(32), proof)
    with pytest.raises(PeerError, match="bad_proof"):
        handshake.check(Identity(THIRD.relay, PAYEE.seed), PAYER.link_key, bytes(32), proof)


def test_proof_is_refused_to_another_relay_or_version() -> None:
    with pytest.raises(PeerError, match="wrong_relay"):
        handshake.prove(PAYER, PAYEE.relay, PAYEE.link_key, frames.Hello(1, THIRD.relay, bytes(32)))
    with pytest.raises(PeerError, match="wrong_version"):
        handshake.prove(PAYER, PAYEE.relay, PAYEE.link_key, frames.Hello(2, PAYEE.relay, bytes(32)))
    proof = handshake.prove(PAYER, PAYEE.relay, PAYEE.link_key, frames.Hello(1, PAYEE.relay, bytes(32)))
    with pytest.raises(PeerError, match="wrong_version"):
        handshake.check(replace(PAYEE, version=2), PAYER.link_key, bytes(32), proof)


def test_identity_does_not_show_its_seed() -> None:
    assert repr(PAYER.seed) not in repr(PAYER)


@pytest.mark.parametrize("said", [frames.Ping(1), frames.Cut(1, 1), frames.Welcome()])
async def test_stranger_must_prove_itself_first(said: frames.LinkFrame) -> None:
    async with pair() as both, Stranger.at(both.server.port) as stranger:
        stranger.say(said)
        assert isinstance(await stranger.hear(), frames.Hello)
        assert await stranger.hear() == frames.Refuse("unexpected_frame")
        assert both.at_payee.failures == [(None, "unexpected_frame")]


async def test_stranger_cannot_fill_our_memory() -> None:
    async with pair() as both, Stranger.at(both.server.port) as stranger:
        stranger.write(frames.encode(PACKET)[:100])
        assert isinstance(await stranger.hear(), frames.Hello)
        assert await stranger.hear() == frames.Refuse("malformed_frame")


async def test_slow_handshake_is_ended() -> None:
    async with pair(payee=replace(LIMITS, handshake_timeout=0.2)) as both:
        async with Stranger.at(both.server.port) as stranger:
            assert isinstance(await stranger.hear(), frames.Hello)
            assert await stranger.hear() is None
        assert both.at_payee.failures == [(None, "handshake_timeout")]


async def test_too_many_handshakes_are_refused() -> None:
    async with (
        pair(payee=replace(LIMITS, max_handshakes=1)) as both,
        Stranger.at(both.server.port) as first,
    ):
        assert isinstance(await first.hear(), frames.Hello)
        with pytest.raises(OSError):
            async with Stranger.at(both.server.port):
                pass
        assert both.at_payee.failures == [(None, "too_many_strangers")]


async def test_strangers_of_one_address_leave_room_and_relays_with_links_take_none() -> None:
    async with pair(payee=replace(LIMITS, handshakes_of_address=1)) as both:
        link = await both.connect()
        async with Stranger.at(both.server.port) as stranger:  # the link is no stranger any more
            assert isinstance(await stranger.hear(), frames.Hello)
            with pytest.raises(OSError):
                async with Stranger.at(both.server.port):
                    pass
            assert both.at_payee.failures == [(None, "too_many_of_one_address")]
        await both.at_payee.until(lambda: len(both.at_payee.failures) == 2)
        async with Stranger.at(both.server.port) as next_one:
            assert isinstance(await next_one.hear(), frames.Hello)
        assert link.is_open


async def test_too_many_links_are_refused() -> None:
    async with pair(payee=replace(LIMITS, max_links=1)) as both:
        link = await both.connect()
        other = LinkDialer(THIRD, both.at_payer, LIMITS)
        other.dial(PAYEE.relay, "127.0.0.1", both.server.port, PAYEE.link_key)
        await both.at_payee.until(lambda: both.at_payee.failures)
        await other.stop()
        assert both.at_payee.failures[0][1] == "too_many_links"
        assert link.is_open


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", 99999), ("127.0.0.1", -1), ("a" * 70 + ".invalid", 1), ("", 1), ("..", 1), ("\0", 1)],
)
async def test_nonsense_addresses_are_unreachable(host: str, port: int) -> None:
    listener = Listener()
    dialer = LinkDialer(PAYER, listener, LIMITS)
    dialer.dial(PAYEE.relay, host, port, PAYEE.link_key)
    await listener.until(lambda: len(listener.failures) >= 2)
    assert set(listener.failures) == {(PAYEE.relay, "unreachable")}
    await dialer.stop()


async def test_payee_that_says_nothing_is_given_up() -> None:
    limits = replace(LIMITS, handshake_timeout=0.2)
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    listener = Listener()
    dialer = LinkDialer(PAYER, listener, limits)
    dialer.dial(PAYEE.relay, "127.0.0.1", server.sockets[0].getsockname()[1], PAYEE.link_key)
    await listener.until(lambda: listener.failures)
    assert listener.failures[0] == (PAYEE.relay, "unreachable")
    await dialer.stop()
    server.close()
    for writer in held:
        writer.close()


def test_retries_grow_and_are_spread() -> None:
    limits = LinkLimits(retry_first=1, retry_most=30)
    shortest = [retry_after(failures, limits, bytes) for failures in range(1, 8)]
    longest = [retry_after(failures, limits, lambda size: b"\xff" * size) for failures in range(1, 8)]
    assert shortest == [0.5, 1, 2, 4, 8, 15, 15]
    assert longest == pytest.approx([1, 2, 4, 8, 16, 30, 30])
    assert retry_after(10**6, limits, os.urandom) <= 30
