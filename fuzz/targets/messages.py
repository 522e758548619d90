"""What strangers send to a person: sealed fragments, and how they are put together."""

from __future__ import annotations

from functools import cache

from nacl.bindings import crypto_aead_chacha20poly1305_ietf_encrypt

from fuzz import world
from fuzz.target import Target, require
from mixpay import envelope
from mixpay.address import Address
from mixpay.crypto import x25519
from mixpay.delivery import acks
from mixpay.envelope import (
    FRAGMENT_BYTES,
    MAX_LENGTH,
    EnvelopeError,
    Fragment,
    Kind,
    Message,
    Reply,
    join,
)
from mixpay.reassembly import Completed, Reassembler, ReassemblyLimits
from mixpay.types import RelayId

_SECRET = world.name("identity")
_LIMITS = ReassemblyLimits(max_incomplete=3, max_bytes=MAX_LENGTH, remembered_finished=4)
_SHORT = 64
"""Bytes of a chunk in the inputs for reassembly: so that messages are complete after few bytes."""


@cache
def _me() -> Address:
    return Address(b"mark", RelayId(1), bytes(16), x25519.public_key(_SECRET))


def _whole(kind: Kind, name: str, content: bytes) -> bytes:
    return envelope._encode(Message(kind, name, content))


# ------------------------------------------------------------------ fragments


@cache
def _sealing() -> tuple[bytes, bytes]:
    """A stranger's ephemeral key, and the key of the seal that follows from it."""
    secret = world.name("ephemeral")
    ephemeral, shared = x25519.public_key(secret), x25519.exchange(secret, _me().identity)
    return ephemeral, envelope._key(shared, ephemeral, _me())


def _sealed(plain: bytes) -> bytes:
    ephemeral, key = _sealing()
    size, me = envelope._PLAIN_BYTES, _me().to_bytes()
    plain = plain[:size].ljust(size, b"\0")
    box: bytes = crypto_aead_chacha20poly1305_ietf_encrypt(plain, me, bytes(12), key)
    return ephemeral + box


def run_fragment(data: bytes) -> None:
    """Bit 0 of the first byte: what a stranger seals, padded; else the body as it lies in the mailbox."""
    if not data:
        return
    body = _sealed(data[1:]) if data[0] & 1 else data[1:]
    try:
        fragment = envelope.open_fragment(_SECRET, _me(), body)
    except EnvelopeError as error:
        require(not (data[0] & 1 and error.reason == "not_for_us"), "what is sealed for us is opened")
        return
    require(0 <= fragment.index < fragment.total <= 600, "no message is longer than one may be")
    reply = envelope.reply_of(fragment)
    require(reply is None or not fragment.index, "the first fragment alone says whom to acknowledge it to")
    require(len(fragment.chunk) <= envelope.CHUNK_BYTES, "a chunk fits")
    if data[0] & 1:
        again = envelope.seal(fragment, _me(), lambda _: world.name("ephemeral"))
        require(again == body, "a fragment has one encoding")


def _fragment_seeds() -> list[bytes]:
    random = world.dice(6).randbytes
    long = envelope.fragments(Message(Kind.FILE, "a.txt", bytes(5000)), random)
    short = envelope.fragments(Message(Kind.TEXT, "", b"hello"), random)
    short += envelope.fragments(Message(Kind.TEXT, "", b"hello"), random, Reply(_me(), random(16)))
    bodies = [envelope.seal(fragment, _me(), random) for fragment in (*long[:1], *short)]
    plain = []
    for fragment in (*long, *short):
        numbers = fragment.index.to_bytes(4, "big") + fragment.total.to_bytes(4, "big")
        sizes = fragment.length.to_bytes(8, "big") + len(fragment.chunk).to_bytes(2, "big")
        plain.append(
            b"\1" + bytes((envelope.VERSION,)) + fragment.message_id + numbers + sizes + fragment.chunk
        )
    return [*plain, *(b"\0" + body for body in bodies), b"\0" + bytes(FRAGMENT_BYTES)]


# ------------------------------------------------------------------ whole messages


def run_message(data: bytes) -> None:
    """The bytes of all fragments. Bit 0 of the first byte: with the right digest."""
    if not data:
        return
    stream = data[1:]
    if data[0] & 1 and len(stream) >= 2:
        end = 2 + stream[1]
        content = stream[end:]
        stream = stream[:end] + envelope._digest(stream[:end], content) + content
    try:
        message = join(stream)
    except EnvelopeError:
        return
    require(len(message.content) <= len(stream), "a message is no longer than its bytes")
    require((message.kind is Kind.FILE) == bool(message.name), "files have names, others have none")


def _message_seeds() -> list[bytes]:
    wholes = [_whole(Kind.TEXT, "", b"hello"), _whole(Kind.FILE, "photo.jpg", b"\xff\xd8")]
    return [*(b"\0" + whole for whole in wholes), b"\1\1\0hello", b"\1\2\5a.txtcontent", b"\1\2\3\xff\xfe/x"]


# ------------------------------------------------------------------ reassembly


def run_reassembly(data: bytes) -> None:
    """Fragments of four messages, in any order: u8 each of message, index, total, kind of chunk, wait."""
    book, now = Reassembler(_LIMITS), 0
    for at in range(0, min(len(data), 5 * 200), 5):
        number, index, total, kind, wait = data[at : at + 5].ljust(5, b"\0")
        total, now = 1 + total % 8, now + wait * 10_000
        fragment = _fragment(number % 4, index % total, total, kind)
        outcome = book.accept(fragment, now)
        if isinstance(outcome, Completed):
            require(len(outcome.message.content) <= total * _SHORT, "what is complete was sent")
        if kind & 128:
            book.expire(now)
        kept = sum(len(chunk) for entry in book._incomplete.values() for chunk in entry.chunks.values())
        require(kept == book._bytes <= _LIMITS.max_bytes, "what is kept is counted, and bounded")
        require(len(book.pending()) <= _LIMITS.max_incomplete, "incomplete messages are bounded")
        require(len(book._finished) <= _LIMITS.remembered_finished, "finished messages are bounded")


def _fragment(number: int, index: int, total: int, kind: int) -> Fragment:
    """One of a message whose chunks are short; with bit 0 of `kind` of one that has no right digest."""
    whole = _long(number, total, bool(kind & 1))
    length = len(whole) + (kind >> 1 & 1)
    return Fragment(bytes((number,)) * 16, index, total, length, whole[index * _SHORT : (index + 1) * _SHORT])


@cache
def _long(number: int, total: int, bad: bool) -> bytes:
    content = bytes((number,)) * (total * _SHORT - 34)
    whole = _whole(Kind.TEXT, "", content)
    return bytes(len(whole)) if bad else whole


def _reassembly_seeds() -> list[bytes]:
    def told(*fragments: tuple[int, int, int, int, int]) -> bytes:
        return b"".join(map(bytes, fragments))

    in_order = [(0, index, 3, 0, 1) for index in range(4)]
    mixed = [(number, index, 2, 0, 0) for index in (1, 0, 1) for number in range(4)]
    late = [(1, 0, 7, 0, 255), (2, 0, 7, 128, 255), (1, 1, 7, 128, 255), (1, 0, 0, 1, 0), (3, 0, 0, 2, 0)]
    return [told(*in_order), told(*mixed), told(*late), told(*in_order, *mixed, *late)]


# ------------------------------------------------------------------ acknowledgements


def run_acks(data: bytes) -> None:
    """What a stranger acknowledges. The first byte: of how many fragments the message is."""
    try:
        entries = acks.read(data[1:])
    except EnvelopeError:
        return
    total = 1 + data[0] if data else 1
    for entry in entries:
        require(not entry.proves(_me(), bytes(16)), "nobody proves what he did not open")
        try:
            have = entry.have(total)
        except EnvelopeError:
            continue
        require(have is None or all(0 <= index < total for index in have), "only fragments that there are")
    again = b"".join(message.content for message in acks.messages(entries))
    require(again == data[1:], "an acknowledgement has one encoding")


def _ack_seeds() -> list[bytes]:
    reply = Reply(_me(), world.name("ack key")[:16])
    entries = [acks.Entry.of(world.name("message")[:16], reply, have, 9) for have in (None, {0, 8}, set())]
    return [bytes((8,)) + message.content for message in acks.messages(entries)]


TARGETS = (
    Target("fragment", 5, 2100, _fragment_seeds, run_fragment),
    Target("message", 8, 512, _message_seeds, run_message),
    Target("acks", 5, 512, _ack_seeds, run_acks),
    Target("reassembly", 3, 200, _reassembly_seeds, run_reassembly),
)
