"""Reply blocks: nobody but the maker of its block reads a reply, and on its way it looks like any packet."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay import proof
from mixpay.packet import (
    GEOMETRY,
    KIND_REPLY,
    BadBlock,
    Built,
    Deliver,
    Geometry,
    Malformed,
    Replayed,
    ReplyBlock,
    ReplyKeys,
    build,
    build_surb,
    open_reply,
    peel,
    use_surb,
)
from mixpay.types import Epoch, RelayId
from test_packet import (
    CONTEXT,
    KEYS,
    MAILBOX,
    MAILBOX_ID,
    MIXES,
    PUBLICS,
    forward,
    peel_at,
    seeded,
)
from tickets import check_ticket

EPOCH = Epoch(9)
KNOWN = "afce91fbc69416a4676af64b05b6d321409f561793c83b253f4ef16b75c55bfb"
"""Of a block and its reply: what this format is, so that it does not change unseen."""
HEADER = GEOMETRY.header_sizes[0]
USER_DATA = bytes(i % 251 for i in range(GEOMETRY.reply_size))


def block_of(seed: bytes = b"seed") -> tuple[ReplyBlock, ReplyKeys]:
    return build_surb(CONTEXT, EPOCH, MIXES, MAILBOX, MAILBOX_ID, seeded(seed))


BLOCK, REPLY_KEYS = block_of()


def carried(packet: bytes, layer: int = 1) -> Deliver:
    """What the last relay finds of a packet that is at `layer`."""
    for mix in range(layer, 4):
        packet = forward(mix, packet).packet
    delivered = peel_at(4, packet)
    assert isinstance(delivered, Deliver)
    return delivered


def flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 0x40
    return bytes(changed)


# --- there and back ---------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=2056))
def test_who_made_the_block_reads_the_reply(seed: bytes, data: bytes) -> None:
    block, keys = block_of(seed)
    user_data = data.ljust(2056, b"\x01")
    made = use_surb(ReplyBlock.decode(block.encode()), user_data)
    assert made.first_relay == MIXES[0].relay
    delivered = carried(made.packet)
    assert (delivered.mailbox_id, delivered.kind) == (MAILBOX_ID, KIND_REPLY)
    assert open_reply(keys, delivered.user_data) == user_data


def test_every_relay_checks_pays_and_forwards_it_like_any_packet() -> None:
    made = use_surb(BLOCK, USER_DATA)
    other = build(CONTEXT, MIXES, MAILBOX, MAILBOX_ID, 0, bytes(2048), seeded(b"other"))
    assert [len(made.packet), len(made.hint)] == [len(other.packet), len(other.hint)]
    packet, lock, hint, first_acks, opened = made.packet, made.lock, made.hint, [made.first_ack], []
    for layer in (1, 2, 3):
        peeled = forward(layer, packet)
        check_ticket(peeled, lock, hint)
        opened.append((peeled.own, lock))
        first_acks.append(peeled.ack)
        assert (peeled.next_relay, peeled.delay_ms) == ((*MIXES, MAILBOX)[layer].relay, 100 * layer)
        packet, lock, hint = peeled.packet, peeled.next_lock, peeled.next_hint
        assert len(packet) == GEOMETRY.packet_size
    end = peel_at(4, packet)
    check_ticket(end, lock, hint)
    opened.append((end.own, lock))
    assert first_acks[0] == first_acks[1]
    for (own, paid), ack in zip(opened, [*first_acks[2:], end.ack, None], strict=True):
        assert proof.opens(proof.response(own, ack), paid)


def test_another_geometry_makes_working_blocks() -> None:
    small = Geometry(user_size=48, mixes=1)
    block, keys = build_surb(CONTEXT, EPOCH, MIXES[:1], MAILBOX, MAILBOX_ID, seeded(b""), small)
    made = use_surb(ReplyBlock.decode(block.encode(), small), bytes(range(56)), small)
    first = peel(CONTEXT, KEYS[0], PUBLICS[0], 1, made.packet, lambda tag: False, small)
    end = peel(CONTEXT, KEYS[3], PUBLICS[3], 2, first.packet, lambda tag: False, small)  # type: ignore[union-attr]
    assert open_reply(keys, end.user_data, small) == bytes(range(56))  # type: ignore[union-attr]


# --- nobody else, and nothing else ------------------------------------------------------------------------


def test_what_the_last_relay_finds_says_nothing_of_the_reply() -> None:
    """Not even that two replies say the same, nor that one says nothing."""
    found = []
    for seed in (b"one", b"two"):
        block, _ = block_of(seed)
        found.append(carried(use_surb(block, bytes(2056)).packet).user_data)
    assert len(found[0]) == GEOMETRY.payload_size and found[0] != found[1]
    for payload in found:
        assert len(set(payload)) > 200 and not payload.startswith(bytes(16))


def test_who_replies_does_not_know_it_again_behind_the_first_relay() -> None:
    """He has the block's seed, and knows what he sent; each payload on the way needs one more key."""
    made = use_surb(BLOCK, USER_DATA)
    sent, packet = made.packet[HEADER:], made.packet
    guesses = ReplyKeys(BLOCK.seed, ()), replace(REPLY_KEYS, layers=REPLY_KEYS.layers[1:])
    for layer in (1, 2, 3):
        packet = forward(layer, packet).packet
        assert packet[HEADER:] != sent
        with pytest.raises(Malformed):
            open_reply(guesses[0], packet[HEADER:])
    with pytest.raises(Malformed):
        open_reply(guesses[1], carried(packet, 4).user_data)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(0, GEOMETRY.payload_size - 1))
def test_a_change_of_the_payload_anywhere_is_found_by_the_maker(layer: int, at: int) -> None:
    packet = use_surb(BLOCK, USER_DATA).packet
    for mix in range(1, layer):
        packet = forward(mix, packet).packet
    delivered = carried(flipped(packet, HEADER + at), layer)
    with pytest.raises(Malformed, match="payload"):
        open_reply(REPLY_KEYS, delivered.user_data)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, HEADER - 1))
def test_a_change_of_the_header_ends_it_at_the_next_relay(at: int) -> None:
    with pytest.raises(Malformed):
        peel_at(1, flipped(use_surb(BLOCK, USER_DATA).packet, at))


def test_another_blocks_keys_open_nothing() -> None:
    payload = carried(use_surb(BLOCK, USER_DATA).packet).user_data
    _, others = block_of(b"another")
    for keys in (others, replace(REPLY_KEYS, seed=others.seed), replace(others, seed=REPLY_KEYS.seed)):
        with pytest.raises(Malformed):
            open_reply(keys, payload)
    for size in (0, len(payload) - 1, len(payload) + 1):
        with pytest.raises(Malformed, match="size"):
            open_reply(REPLY_KEYS, payload[:size].ljust(size, b"\0"))


def test_a_second_reply_is_a_replay_whatever_it_says() -> None:
    seen: set[bytes] = set()

    def is_replay(tag: bytes) -> bool:
        return tag in seen or bool(seen.add(tag))

    peel_at(1, use_surb(BLOCK, USER_DATA).packet, is_replay)
    with pytest.raises(Replayed):
        peel_at(1, use_surb(BLOCK, bytes(2056)).packet, is_replay)


# --- the block --------------------------------------------------------------------------------------------


def test_block_has_the_size_and_the_bytes_of_the_format() -> None:
    encoded = BLOCK.encode()
    assert len(encoded) == 512
    assert encoded[:9] == bytes([1]) + EPOCH.to_bytes(4, "big") + MIXES[0].relay.to_bytes(4, "big")
    assert encoded[9:29] == BLOCK.lock and encoded[-HEADER:] == BLOCK.header
    made = use_surb(BLOCK, USER_DATA)
    assert hashlib.sha256(encoded + made.packet).hexdigest() == KNOWN


def test_a_block_that_is_none_is_refused_by_name() -> None:
    encoded = BLOCK.encode()
    for data, reason in (
        (encoded[:-1], "block_size"),
        (encoded + b"\0", "block_size"),
        (b"", "block_size"),
        (b"\2" + encoded[1:], "block_version"),
        (encoded[:29] + bytes(33) + encoded[62:], "block_hint"),
    ):
        with pytest.raises(BadBlock) as caught:
            ReplyBlock.decode(data)
        assert caught.value.reason == reason


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.integers(0, 511), st.integers(0, 255), max_size=6))
def test_whatever_a_stranger_calls_a_block_is_refused_or_makes_a_packet(changes: dict[int, int]) -> None:
    data = bytearray(BLOCK.encode())
    for at, byte in changes.items():
        data[at] = byte
    try:
        block = ReplyBlock.decode(bytes(data))
    except BadBlock:
        return
    assert block.encode() == bytes(data)
    made: Built = use_surb(block, USER_DATA)
    assert len(made.packet) == GEOMETRY.packet_size and made.first_relay == block.first_relay


def test_only_a_block_makes_a_reply_and_only_of_the_right_size() -> None:
    with pytest.raises(ValueError, match="block"):
        build(CONTEXT, MIXES, MAILBOX, MAILBOX_ID, KIND_REPLY, bytes(2048), seeded(b""))
    for size in (0, 2048, 2055, 2057):
        with pytest.raises(ValueError, match="2056 bytes"):
            use_surb(BLOCK, bytes(size))
    with pytest.raises(ValueError, match="mixes"):
        build_surb(CONTEXT, EPOCH, MIXES[:2], MAILBOX, MAILBOX_ID, seeded(b""))


def test_nothing_secret_is_shown() -> None:
    assert repr(BLOCK) == f"ReplyBlock(epoch={EPOCH}, first_relay={RelayId(11)})"
    assert repr(REPLY_KEYS) == "ReplyKeys()"
