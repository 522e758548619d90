"""Messages become fragments of one size, each sealed to the receiver's identity key; and back again.

A mailbox sees 2,048 bytes that tell it nothing: an ephemeral X25519 key and a ChaCha20-Poly1305 box. Its key
is BLAKE2b over the shared secret, the ephemeral key and the receiver's whole address; it is used once, so the
nonce is zero. The address is authenticated: a fragment copied into another mailbox does not open.

Inside the seal: version u8 ‖ message id 16 ‖ index u32 ‖ total u32 ‖ length u64 ‖ chunk length u16 ‖ chunk ‖
zeros. The chunks together are `length` bytes: kind u8 ‖ name length u8 ‖ name ‖ reply 72 or nothing ‖
digest 32 ‖ content, so that the first fragment always carries the name, the reply and the digest.

Bit 7 of the kind says that there is a reply: the sender's address 56 ‖ ack key 16, where and with which key
it wants to be told what has arrived (`mixpay.delivery`). An acknowledgement never has one: nobody
acknowledges those. How fragments are put together again: `mixpay.reassembly`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from enum import IntEnum

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError

from mixpay.address import ADDRESS_BYTES, Address, UnusableAddress
from mixpay.crypto import x25519
from mixpay.errors import PeerError, UserError
from mixpay.types import Random

FRAGMENT_BYTES = 2048
MAX_MESSAGE = 1 << 20
MAX_NAME = 255
MESSAGE_ID_BYTES = 16
VERSION = 1

_KEY_BYTES = 32
_TAG_BYTES = 16
_DIGEST_BYTES = 32
_HEADER_BYTES = 1 + MESSAGE_ID_BYTES + 4 + 4 + 8 + 2
_PLAIN_BYTES = FRAGMENT_BYTES - _KEY_BYTES - _TAG_BYTES
CHUNK_BYTES = _PLAIN_BYTES - _HEADER_BYTES
PREAMBLE_BYTES = 2 + _DIGEST_BYTES
"""What a message takes beside its content, if it has neither name nor reply."""
ACK_KEY_BYTES = 16
_REPLY_BYTES = ADDRESS_BYTES + ACK_KEY_BYTES
_WANTS_REPLY = 0x80
MAX_LENGTH = PREAMBLE_BYTES + MAX_NAME + _REPLY_BYTES + MAX_MESSAGE
_NONCE = bytes(12)
_NAMELESS = "unnamed"
_LEADING = re.compile(r"\A[\s.~-]+")


class EnvelopeError(PeerError):
    """A body that is no fragment for us.

    Reasons: size, low_order, not_for_us, version, header; of a whole message: preamble, digest; of an
    acknowledgement: ack.
    """


class Kind(IntEnum):
    """What the content of a message is."""

    TEXT = 1
    FILE = 2
    ACK = 3
    """What has arrived (`mixpay.delivery.acks`): between programs, never shown."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Whom to acknowledge a message to, and the key that proves that it was opened (16 bytes, for this
    message alone).
    """

    address: Address
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """A text (`name` empty, content UTF-8) or a file with its base name."""

    kind: Kind
    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fragment:
    """One opened piece: number `index` of `total`, of a message of `length` bytes (preamble and content)."""

    message_id: bytes
    index: int
    total: int
    length: int
    chunk: bytes = field(repr=False)


def text_message(text: str) -> Message:
    """A message to be read. Raises UserError if it is empty or longer than 1 MiB in UTF-8."""
    content = text.encode("utf-8", "surrogateescape")
    if not content:
        raise UserError("there is nothing to send: the message is empty")
    return Message(Kind.TEXT, "", _within_limit(content, "the message"))


def file_message(path: str, content: bytes) -> Message:
    """A file under the base name of `path`. Raises UserError over 1 MiB, or for a name over 255 bytes."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    size = len(name.encode("utf-8", "surrogateescape"))
    if size > MAX_NAME:
        raise UserError(f"the file's name has {size} bytes, at most {MAX_NAME} can be sent: rename it first")
    return Message(Kind.FILE, name, _within_limit(content, f"the file {name!r}"))


def fragments(message: Message, random: Random, reply: Reply | None = None) -> list[Fragment]:
    """Cut a message into pieces under a fresh message id. Keep them to seal one again if it was lost.

    `reply` shows the receiver who sends.
    """
    return cut(message, random(MESSAGE_ID_BYTES), reply)


def cut(message: Message, message_id: bytes, reply: Reply | None) -> list[Fragment]:
    """The same under a known id: always the same pieces."""
    stream = _encode(message, reply)
    total = fragment_count(len(stream))
    chunks = [stream[i * CHUNK_BYTES : (i + 1) * CHUNK_BYTES] for i in range(total)]
    return [Fragment(message_id, i, total, len(stream), chunk) for i, chunk in enumerate(chunks)]


def fragment_count(length: int) -> int:
    """How many fragments `length` bytes of preamble and content take."""
    return -(-length // CHUNK_BYTES)


def seal(fragment: Fragment, receiver: Address, random: Random) -> bytes:
    """2,048 bytes only the receiver can open; no two seals of one fragment can be told to be the same.

    Raises UnusableAddress if the receiver's identity is not a usable key (`x25519.WeakKey`).
    """
    ephemeral_secret = random(_KEY_BYTES)
    ephemeral = crypto_scalarmult_base(ephemeral_secret)
    shared = _shared(ephemeral_secret, receiver.identity)
    if shared is None:
        raise UnusableAddress("the address is unusable: its identity key is not a valid key")
    header = (
        bytes([VERSION])
        + fragment.message_id
        + fragment.index.to_bytes(4, "big")
        + fragment.total.to_bytes(4, "big")
        + fragment.length.to_bytes(8, "big")
        + len(fragment.chunk).to_bytes(2, "big")
    )
    plain = (header + fragment.chunk).ljust(_PLAIN_BYTES, b"\0")
    key = _key(shared, ephemeral, receiver)
    return ephemeral + crypto_aead_chacha20poly1305_ietf_encrypt(plain, receiver.to_bytes(), _NONCE, key)


def open_fragment(identity_secret: bytes, receiver: Address, body: bytes) -> Fragment:
    """Open a body fetched from `receiver`, one of our own addresses, with its X25519 secret (32 bytes).

    Raises EnvelopeError; its reason says which check failed.
    """
    if len(body) != FRAGMENT_BYTES:
        raise EnvelopeError("size", f"{len(body)} bytes")
    ephemeral, box = body[:_KEY_BYTES], body[_KEY_BYTES:]
    shared = _shared(identity_secret, ephemeral)
    if shared is None:
        raise EnvelopeError("low_order")
    key = _key(shared, ephemeral, receiver)
    try:
        plain = crypto_aead_chacha20poly1305_ietf_decrypt(box, receiver.to_bytes(), _NONCE, key)
    except CryptoError:
        raise EnvelopeError("not_for_us") from None
    return _parse(plain)


def reply_of(fragment: Fragment) -> Reply | None:
    """Whom the sender of a message wants to hear from: in its first fragment, if at all."""
    if fragment.index:
        return None
    try:
        kind, at, end = _start(fragment.chunk)
    except EnvelopeError:
        return None
    if end == at or kind is Kind.ACK:
        return None
    try:
        address = Address.from_bytes(fragment.chunk[at : at + ADDRESS_BYTES])
    except ValueError:
        return None
    return Reply(address, fragment.chunk[at + ADDRESS_BYTES : end])


def join(chunks: bytes) -> Message:
    """The message whose chunks are all there, in order. Raises EnvelopeError (preamble, digest)."""
    kind, at, end = _start(chunks)
    name, digest, content = chunks[2:at], chunks[end : end + _DIGEST_BYTES], chunks[end + _DIGEST_BYTES :]
    if len(content) > MAX_MESSAGE:
        raise EnvelopeError("preamble")
    if _digest(chunks[:end], content) != digest:
        raise EnvelopeError("digest")
    shown = safe_name(name.decode("utf-8", "replace")) if kind is Kind.FILE else ""
    return Message(kind, shown, content)


def safe_name(name: str) -> str:
    """A stranger's file name made safe to create: a base name, not hidden, nothing unprintable in it."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in base if not unicodedata.category(c).startswith("C") and c not in ':*?"<>|')
    kept = _LEADING.sub("", kept).strip()
    while len(kept.encode()) > MAX_NAME:
        kept = kept[:-1]
    return kept.rstrip() or _NAMELESS


def safe_text(content: bytes) -> str:
    """A stranger's text made safe to print: control and direction characters are shown as escapes."""
    text = content.decode("utf-8", "replace")
    return "".join(
        c if c in "\n\t" or not unicodedata.category(c).startswith("C") else f"\\u{ord(c):04x}" for c in text
    )


def _within_limit(content: bytes, what: str) -> bytes:
    if len(content) > MAX_MESSAGE:
        raise UserError(f"{what} has {len(content)} bytes; at most {MAX_MESSAGE} (1 MiB) can be sent at once")
    return content


def _start(chunks: bytes) -> tuple[Kind, int, int]:
    """The kind, where name and reply end. Raises EnvelopeError (preamble) if the digest does not fit in."""
    if len(chunks) < PREAMBLE_BYTES or chunks[0] & ~_WANTS_REPLY not in tuple(Kind):
        raise EnvelopeError("preamble")
    kind, at = Kind(chunks[0] & ~_WANTS_REPLY), 2 + chunks[1]
    end = at + (_REPLY_BYTES if chunks[0] & _WANTS_REPLY else 0)
    if len(chunks) < end + _DIGEST_BYTES or (kind is Kind.ACK and end != at):
        raise EnvelopeError("preamble")
    return kind, at, end


def _encode(message: Message, reply: Reply | None = None) -> bytes:
    name = message.name.encode("utf-8", "surrogateescape")
    _within_limit(message.content, "the message")
    start = bytes([message.kind | (_WANTS_REPLY if reply else 0), len(name)]) + name
    if reply is not None:
        start += reply.address.to_bytes() + reply.key
    return start + _digest(start, message.content) + message.content


def _digest(start: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(start + content, digest_size=_DIGEST_BYTES, person=b"mixpay-message-1").digest()


def _shared(secret: bytes, public: bytes) -> bytes | None:
    """X25519; None for a point of low order, or not in its one encoding: nobody honest sends either."""
    try:
        return x25519.exchange(secret, public)
    except x25519.WeakKey:
        return None


def _key(shared: bytes, ephemeral: bytes, receiver: Address) -> bytes:
    transcript = ephemeral + receiver.to_bytes()
    keyed = hashlib.blake2b(transcript, key=shared, digest_size=_KEY_BYTES, person=b"mixpay-envelope1")
    return keyed.digest()


def _parse(plain: bytes) -> Fragment:
    if plain[0] != VERSION:
        raise EnvelopeError("version", str(plain[0]))
    at = 1 + MESSAGE_ID_BYTES
    index, total = int.from_bytes(plain[at : at + 4], "big"), int.from_bytes(plain[at + 4 : at + 8], "big")
    length = int.from_bytes(plain[at + 8 : at + 16], "big")
    size = int.from_bytes(plain[at + 16 : at + 18], "big")
    if not PREAMBLE_BYTES <= length <= MAX_LENGTH or total != fragment_count(length) or index >= total:
        raise EnvelopeError("header")
    # Every length follows from the total; a sender has no choice to hide a mark in, nor the padding.
    if size != min(CHUNK_BYTES, length - index * CHUNK_BYTES) or any(plain[_HEADER_BYTES + size :]):
        raise EnvelopeError("header")
    return Fragment(plain[1:at], index, total, length, plain[_HEADER_BYTES : _HEADER_BYTES + size])
