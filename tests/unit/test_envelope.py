"""Sealed fragments: what goes in comes out, nobody else opens them, and hostile ones are refused."""

from __future__ import annotations

import random as seeded
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_scalarmult,
    crypto_scalarmult_base,
)

from mixpay import envelope
from mixpay.address import Address
from mixpay.envelope import (
    CHUNK_BYTES,
    FRAGMENT_BYTES,
    MAX_MESSAGE,
    EnvelopeError,
    Fragment,
    Kind,
    Message,
    Reply,
    cut,
    file_message,
    fragments,
    join,
    open_fragment,
    reply_of,
    safe_name,
    safe_text,
    seal,
    text_message,
)
from mixpay.errors import UserError
from mixpay.types import RelayId

RANDOM = seeded.Random(2).randbytes  # noqa: S311 tests repeat themselves exactly
SECRET = bytes(range(1, 33))
BOB = Address(bytes(4), RelayId(7), bytes(16), crypto_scalarmult_base(SECRET))


def through(message: Message) -> Message:
    bodies = [seal(f, BOB, RANDOM) for f in fragments(message, RANDOM)]
    assert all(len(body) == FRAGMENT_BYTES for body in bodies)
    return join(b"".join(open_fragment(SECRET, BOB, body).chunk for body in bodies))


@given(st.binary(max_size=3 * CHUNK_BYTES))
@settings(max_examples=40, deadline=None)
def test_seal_thenOpen_returnsTheFile(content: bytes) -> None:
    message = file_message("notes/plan.txt", content)
    assert through(message) == Message(Kind.FILE, "plan.txt", content)


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_seal_thenOpen_atTheEdgeOfAFragment(extra: int) -> None:
    content = bytes(2 * CHUNK_BYTES - 2 - 5 - 32 + extra)
    message = file_message("plan.", content)
    assert len(fragments(message, RANDOM)) == (3 if extra > 0 else 2)
    assert through(message) == message


def test_fragments_acceptsOneMebibyteAndNoByteMore() -> None:
    message = file_message("x" * 255, bytes(MAX_MESSAGE))
    pieces = fragments(message, RANDOM)
    assert len(pieces) == 534
    assert join(b"".join(piece.chunk for piece in pieces)) == message
    with pytest.raises(UserError, match="1048577 bytes; at most 1048576"):
        file_message("x", bytes(MAX_MESSAGE + 1))
    with pytest.raises(UserError, match="1048577 bytes"):
        text_message("x" * (MAX_MESSAGE + 1))


def test_text_roundTrip() -> None:
    assert through(text_message("grüß dich")) == Message(Kind.TEXT, "", "grüß dich".encode())
    with pytest.raises(UserError, match="empty"):
        text_message("")


def test_fileMessage_failsIfTheNameIsTooLong() -> None:
    with pytest.raises(UserError, match="rename it"):
        file_message("ü" * 128, b"")


def test_seal_neverRepeatsAByteOfAFragment() -> None:
    piece = fragments(text_message("again"), RANDOM)[0]
    first, second = seal(piece, BOB, RANDOM), seal(piece, BOB, RANDOM)
    assert first[:32] != second[:32] and first[32:] != second[32:]
    assert open_fragment(SECRET, BOB, first) == open_fragment(SECRET, BOB, second) == piece


@given(st.integers(0, FRAGMENT_BYTES - 1), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_open_failsIfAnyByteWasChanged(place: int, change: int) -> None:
    body = bytearray(seal(fragments(text_message("hello"), RANDOM)[0], BOB, RANDOM))
    body[place] ^= change
    if place == 31 and change == 128:
        return  # X25519 ignores this bit, the next test shows that we do not
    with pytest.raises(EnvelopeError):
        open_fragment(SECRET, BOB, bytes(body))


def test_open_failsIfTheIgnoredBitOfX25519WasChanged() -> None:
    body = bytearray(seal(fragments(text_message("hello"), RANDOM)[0], BOB, RANDOM))
    body[31] ^= 128
    with pytest.raises(EnvelopeError, match="low_order"):
        open_fragment(SECRET, BOB, bytes(body))


@pytest.mark.parametrize(
    "other",
    [
        Address(b"\1" * 4, RelayId(7), BOB.mailbox_id, BOB.identity),
        Address(BOB.mark, RelayId(8), BOB.mailbox_id, BOB.identity),
        Address(BOB.mark, RelayId(7), b"\1" * 16, BOB.identity),
    ],
)
def test_open_failsIfCopiedToAnotherMailbox(other: Address) -> None:
    body = seal(fragments(text_message("hello"), RANDOM)[0], BOB, RANDOM)
    with pytest.raises(EnvelopeError) as caught:
        open_fragment(SECRET, other, body)
    assert caught.value.reason == "not_for_us"


SECOND_ENCODINGS = [
    BOB.identity[:31] + bytes([BOB.identity[31] | 0x80]),
    (2**255 - 10).to_bytes(32, "little"),
]


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31), *SECOND_ENCODINGS])
def test_weakPoints_areRefusedOnBothSides(point: bytes) -> None:
    with pytest.raises(EnvelopeError) as caught:
        open_fragment(SECRET, BOB, point + bytes(FRAGMENT_BYTES - 32))
    assert caught.value.reason == "low_order"
    piece = fragments(text_message("hello"), RANDOM)[0]
    with pytest.raises(UserError, match="not a valid key"):
        seal(piece, Address(bytes(4), RelayId(1), bytes(16), point), RANDOM)


@pytest.mark.parametrize("size", [0, FRAGMENT_BYTES - 1, FRAGMENT_BYTES + 1])
def test_open_failsForAnotherSize(size: int) -> None:
    with pytest.raises(EnvelopeError, match="size"):
        open_fragment(SECRET, BOB, bytes(size))


def sealed_by_hand(plain: bytes) -> bytes:
    ephemeral = crypto_scalarmult_base(b"\5" * 32)
    key = envelope._key(crypto_scalarmult(b"\5" * 32, BOB.identity), ephemeral, BOB)
    return ephemeral + crypto_aead_chacha20poly1305_ietf_encrypt(plain, BOB.to_bytes(), bytes(12), key)


def header(version: int, index: int, total: int, length: int, size: int) -> bytes:
    numbers = index.to_bytes(4, "big") + total.to_bytes(4, "big") + length.to_bytes(8, "big")
    return bytes([version]) + bytes(16) + numbers + size.to_bytes(2, "big")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((2, 0, 1, 100, 100), "version"),
        ((1, 1, 1, 100, 100), "header"),
        ((1, 0, 2, 100, 100), "header"),
        ((1, 0, 0, 0, 0), "header"),
        ((1, 0, 1, 33, 33), "header"),
        ((1, 0, 1, 100, 99), "header"),
        ((1, 0, 1, 100, 101), "header"),
        ((1, 0, 2, CHUNK_BYTES + 1, 1), "header"),
        ((1, 0, 2**32 - 1, 2**63, CHUNK_BYTES), "header"),
        ((1, 0, 535, envelope.MAX_LENGTH + 1, CHUNK_BYTES), "header"),
    ],
)
def test_open_failsIfTheHeaderContradictsItself(fields: tuple[int, int, int, int, int], reason: str) -> None:
    plain = header(*fields).ljust(2000, b"\0")
    with pytest.raises(EnvelopeError) as caught:
        open_fragment(SECRET, BOB, sealed_by_hand(plain))
    assert caught.value.reason == reason


def test_open_failsIfThePaddingIsNotZero() -> None:
    good = header(1, 0, 1, 100, 100).ljust(2000, b"\0")
    assert open_fragment(SECRET, BOB, sealed_by_hand(good)).length == 100
    with pytest.raises(EnvelopeError, match="header"):
        open_fragment(SECRET, BOB, sealed_by_hand(good[:-1] + b"\1"))


def test_join_failsIfTheDigestOrThePreambleIsWrong() -> None:
    whole = b"".join(f.chunk for f in fragments(file_message("a.txt", b"content"), RANDOM))
    assert join(whole).content == b"content"
    for wrong, reason in [
        (whole[:-1], "digest"),
        (whole[:3] + b"b" + whole[4:], "digest"),
        (b"\2" + b"\xff" + whole[2:], "preamble"),
        (b"\4" + whole[1:], "preamble"),
        (b"\x81" + whole[1:], "preamble"),
        (b"\x83" + whole[1:], "preamble"),
        (b"", "preamble"),
    ]:
        with pytest.raises(EnvelopeError) as caught:
            join(wrong)
        assert caught.value.reason == reason


def test_join_cleansTheNameOfAHostileSender() -> None:
    hostile = Message(Kind.FILE, "../../.ssh/\x1bauthorized_keys", b"x")
    assert through(hostile).name == "authorized_keys"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("plan.txt", "plan.txt"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("..", "unnamed"),
        ("a/", "unnamed"),
        ("", "unnamed"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("- ~x", "x"),
        ("-\0 \x80~", "unnamed"),
        ("a\x00b\nc\x1b[2J.txt", "abc[2J.txt"),
        ("fdp\u202egpj.exe", "fdpgpj.exe"),
        ("C:\\x", "x"),
        ("con:aux", "conaux"),
        ("ü" * 200, "ü" * 127),
    ],
)
def test_safeName(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(max_size=300))
def test_safeName_isAlwaysAPlainBaseName(name: str) -> None:
    safe = safe_name(name)
    assert safe and safe not in (".", "..") and not set(safe) & set('/\\\0\n\x1b:*?"<>|')
    assert len(safe.encode()) <= 255
    assert not safe.startswith((".", "-", "~", " "))
    assert safe_name(safe) == safe


def test_safeText_showsEscapes() -> None:
    assert safe_text(b"a\tb\n\x1b[2Jc\xff") == "a\tb\n\\u001b[2Jc\ufffd"


def test_contentIsNotInReprs() -> None:
    assert "secret" not in repr(text_message("secret"))
    assert "secret" not in repr(Fragment(bytes(16), 0, 1, 6, b"secret"))


# ---------------------------------------------------------------------- the reply


REPLY = Reply(BOB, b"\6" * 16)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES])
def test_reply_isInTheFirstFragment_andChangesNothingElse(size: int) -> None:
    message = file_message("a" * 255, bytes(size))
    asking, plain = cut(message, b"\1" * 16, REPLY), cut(message, b"\1" * 16, None)
    assert [reply_of(piece) for piece in asking] == [REPLY, *([None] * (len(asking) - 1))]
    assert reply_of(plain[0]) is None
    for pieces in (asking, plain):
        assert join(b"".join(piece.chunk for piece in pieces)) == message
    assert asking[0].length - plain[0].length == 72


@given(st.integers(0, 71), st.integers(1, 255))
def test_join_failsIfAnyByteOfTheReplyWasChanged(place: int, change: int) -> None:
    whole = bytearray(b"".join(piece.chunk for piece in cut(text_message("hello"), b"\1" * 16, REPLY)))
    whole[2 + place] ^= change
    with pytest.raises(EnvelopeError, match="digest"):
        join(bytes(whole))


def test_acknowledgement_hasNoReply() -> None:
    """Else two programs could acknowledge each other's acknowledgements for ever."""
    pieces = cut(Message(Kind.ACK, "", bytes(4_000)), b"\1" * 16, REPLY)
    assert reply_of(pieces[0]) is None
    with pytest.raises(EnvelopeError, match="preamble"):
        join(b"".join(piece.chunk for piece in pieces))


def test_reply_thatIsNoAddress_isNone() -> None:
    (piece,) = cut(text_message("hello"), b"\1" * 16, REPLY)
    chunk = bytearray(piece.chunk)
    chunk[6:10] = bytes(4)  # the relay's id
    assert reply_of(replace(piece, chunk=bytes(chunk))) is None


def test_ackKey_isInNoRepr() -> None:
    assert "\\x06" not in repr(REPLY)
