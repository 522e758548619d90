"""Frames: what is encoded comes back, and nothing else is ever taken for a frame."""

from __future__ import annotations

from dataclasses import fields
from random import Random
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay.errors import PeerError
from mixpay.packet import GEOMETRY
from mixpay.wire import client, codec, frames
from mixpay.wire.codec import Vocabulary

LINK_CLASSES = sorted(get_args(frames.LinkFrame), key=lambda cls: cls.__name__)
CLIENT_CLASSES = sorted(get_args(client.ClientFrame), key=lambda cls: cls.__name__)
ALL_CLASSES = [(frames.LINK, cls) for cls in LINK_CLASSES] + [(client.CLIENT, cls) for cls in CLIENT_CLASSES]


def dice(seed: int) -> Random:
    return Random(seed)  # noqa: S311 -- nothing here is secret


def make(cls: type, choose: Random | None = None) -> Any:
    """A value object of a wire dataclass: a random one, or the one with the longest encoding."""
    hints = get_type_hints(cls, include_extras=True)
    return cls(*(field_value(hints[field.name], choose) for field in fields(cls)))


def field_value(hint: Any, choose: Random | None) -> Any:
    return value(get_args(hint)[1], choose) if get_origin(hint) is Annotated else make(hint, choose)


def value(kind: Any, choose: Random | None) -> Any:
    """A value that a codec takes."""
    choose, longest = choose or dice(0), choose is None
    if isinstance(kind, codec.Integer):
        return choose.choice([0, 1, 256**kind.most - 1, choose.getrandbits(8 * kind.most)])
    if isinstance(kind, codec.Raw):
        return choose.randbytes(kind.most)
    if isinstance(kind, codec.Label):
        return "a" + "z0_" * (21 if longest else choose.randrange(22))
    if isinstance(kind, codec.Code):
        return choose.choice(list(kind._names))
    if isinstance(kind, codec.Flag):
        return choose.random() < 0.5
    assert isinstance(kind, codec.Many)
    most = kind._largest if longest else min(kind._largest, kind._fewest + choose.randrange(4))
    passed_on = None if longest else choose
    item = kind._item
    return tuple(
        make(item._cls, passed_on) if hasattr(item, "_cls") else value(item, passed_on) for _ in range(most)
    )


def objects(cls: type) -> st.SearchStrategy[Any]:
    """Any value object of a wire dataclass, from a seed: hypothesis would choke on the size of packets."""
    return st.integers(0, 2**32).map(lambda seed: make(cls, dice(seed)))


LONGEST = [(vocabulary, vocabulary.encode(make(cls))) for vocabulary, cls in ALL_CLASSES]


def reason_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(PeerError) as caught:
        call(*arguments)
    return caught.value.reason


@pytest.mark.parametrize("cls", LINK_CLASSES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_link_frame_round_trip(cls: type, data: Any) -> None:
    frame = data.draw(objects(cls))
    encoded = frames.LINK.encode(frame)
    assert frames.LINK.decode(encoded) == frame
    assert len(encoded) <= frames.LINK.size_of(cls) <= frames.MAX_FRAME_BYTES


@pytest.mark.parametrize("cls", CLIENT_CLASSES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_client_frame_round_trip(cls: type, data: Any) -> None:
    frame = data.draw(objects(cls))
    encoded = client.encode(frame)
    assert client.decode(encoded) == frame
    assert len(encoded) <= client.CLIENT.size_of(cls) <= client.MAX_MESSAGE_BYTES


@pytest.mark.parametrize(("vocabulary", "cls"), ALL_CLASSES)
def test_bound_is_the_largest_frame(vocabulary: Vocabulary[Any], cls: type) -> None:
    assert len(vocabulary.encode(make(cls))) == vocabulary.size_of(cls)


@given(st.binary(max_size=300))
def test_garbage_is_malformed_or_canonical(garbage: bytes) -> None:
    for vocabulary in (frames.LINK, client.CLIENT):
        try:
            frame = vocabulary.decode(garbage)
        except PeerError as error:
            assert error.reason == "malformed_frame"
        else:
            assert vocabulary.encode(frame) == garbage


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_frame_is_malformed_or_another_frame(data: Any) -> None:
    vocabulary, frame = data.draw(st.sampled_from(LONGEST))
    encoded = bytearray(frame)
    at = data.draw(st.integers(0, min(len(encoded), 200) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(encoded)))
    for damaged in (bytes(encoded), bytes(encoded[:cut]), bytes(encoded) + b"\0"):
        try:
            frame = vocabulary.decode(damaged)
        except PeerError as error:
            assert error.reason == "malformed_frame"
        else:
            assert vocabulary.encode(frame) == damaged


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(LINK_CLASSES).flatmap(objects), max_size=6), st.data())
def test_deframer_finds_frames_however_the_stream_is_cut(sent: list[Any], data: Any) -> None:
    stream = b"".join(map(frames.encode, sent))
    deframer, received, at = frames.Deframer(), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        received += deframer.feed(stream[at : at + size])
        at += size
    assert received == sent


def test_deframer_gives_the_good_frames_before_the_bad_one() -> None:
    good = frames.encode(frames.Ping(7))
    stream = frames.Deframer().feed(good + b"\0\0\0\x01\xff" + good)
    assert next(stream) == frames.Ping(7)
    assert reason_of(next, stream) == "malformed_frame"


@pytest.mark.parametrize("length", [0, frames.MAX_FRAME_BYTES + 1, 2**32 - 1])
def test_deframer_refuses_a_length_before_its_bytes_arrive(length: int) -> None:
    assert reason_of(list, frames.Deframer().feed(length.to_bytes(4, "big"))) == "malformed_frame"


def test_deframer_keeps_little_of_a_stranger() -> None:
    deframer = frames.Deframer(frames.MAX_HANDSHAKE_BYTES)
    packet = frames.Packet(0, 0, bytes(20), bytes(65), 4, bytes(GEOMETRY.packet_size))
    assert reason_of(list, deframer.feed(frames.encode(packet)[:4])) == "malformed_frame"
    assert frames.MAX_HANDSHAKE_BYTES < 100


def test_packet_frames_have_one_size() -> None:
    sizes = {
        len(
            frames.encode(frames.Packet(seq, epoch, bytes(20), bytes(65), value, bytes(GEOMETRY.packet_size)))
        )
        for seq, epoch, value in ((0, 0, 1), (2**64 - 1, 2**32 - 1, 4))
    }
    assert len(sizes) == 1


def test_down_messages_have_one_size() -> None:
    nothing, reply = bytes(GEOMETRY.payload_size), b"\xff" * GEOMETRY.payload_size
    dummy = client.Down((client.NOTHING_ANSWERED,) * 3, client.DownKind.DUMMY, bytes(8), nothing)
    acknowledged = client.Answered(2**32 - 1, client.DownStatus.ACKNOWLEDGED, b"\xff" * 32)
    full = client.Down((acknowledged,) * 3, client.DownKind.REPLY, b"\xff" * 8, reply)
    assert len(client.encode(dummy)) == len(client.encode(full))


def test_voucher_carries_the_largest_amount() -> None:
    voucher = frames.Voucher(2**96 - 1, 2**32 - 1, bytes(65))
    assert frames.LINK.decode(frames.LINK.encode(voucher)) == voucher


@pytest.mark.parametrize(
    "frame",
    [
        frames.Packet(0, 0, bytes(19), bytes(65), 4, bytes(GEOMETRY.packet_size)),
        frames.Packet(0, 0, bytes(20), bytes(65), 4, bytes(GEOMETRY.packet_size - 1)),
        frames.Packet(2**64, 0, bytes(20), bytes(65), 4, bytes(GEOMETRY.packet_size)),
        frames.Packet(-1, 0, bytes(20), bytes(65), 4, bytes(GEOMETRY.packet_size)),
        frames.Voucher(2**96, 0, bytes(65)),
        frames.Acks(()),
        frames.Samples(1, (0,) * 15),
        frames.Refuse("Not A Label"),
        frames.Refuse("a" * 65),
    ],
)
def test_encoding_rejects_what_does_not_fit(frame: Any) -> None:
    with pytest.raises(ValueError):
        frames.encode(frame)


@pytest.mark.parametrize("text", [b"", b"A", b"0", b"a b", b"a\n", b"\xff", b"a" * 65])
def test_decoding_rejects_what_is_no_label(text: bytes) -> None:
    number = frames.LINK.encode(frames.Refuse("a"))[:1]
    assert reason_of(frames.LINK.decode, number + bytes((len(text),)) + text) == "malformed_frame"


def test_frames_are_values() -> None:
    assert frames.Ping(1) == frames.Ping(1) != frames.Ping(2)
    assert {frames.Ping(1), frames.Ping(1)} == {frames.Ping(1)}
    with pytest.raises(AttributeError):  # slots: no field can be added; that none is changed is mypy's to see
        frames.Ping(1).other = 2  # type: ignore[attr-defined]
