"""Messages become fragments of one size, each sealed to the receiver's identity key; and back again.

A mailbox sees 2,048 bytes that tell it nothing: an ephemeral X25519 key and a ChaCha20-Poly1305 box. Its key
is BLAKE2b over the shared secret, the ephemeral key and the receiver's whole address; it is used once, so the
nonce is zero. The address is authenticated: a fragment copied into another mailbox does not open.

Inside the seal: version u8 ‖ message id 16 ‖ index u32 ‖ total u32 ‖ length u64 ‖ chunk length u16 ‖ chunk ‖
zeros. The chunks together are `length` bytes: kind u8 ‖ name length u8 ‖ name ‖ digest 32 ‖ content, so
that the first fragment always carries the name and the digest of the whole. How fragments are put together
again: `mixpay.reassembly`.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, field
from enum import IntEnum

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError

from mixpay.address import Address
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
_PREAMBLE_BYTES = 2 + _DIGEST_BYTES
MAX_LENGTH = _PREAMBLE_BYTES + MAX_NAME + MAX_MESSAGE
_NONCE = bytes(12)
_NAMELESS = "unnamed"


class EnvelopeError(PeerError):
    """A body that is no fragment for us.

    Reasons: size, low_order, not_for_us, version, header; of a whole message: preamble, digest.
    """


class Kind(IntEnum):
    """What the content of a message is."""

    TEXT = 1
    FILE = 2


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


def fragments(message: Message, random: Random) -> list[Fragment]:
    """Cut a message into pieces under a fresh message id. Keep them to seal one again if it was lost."""
    message_id = random(MESSAGE_ID_BYTES)
    stream = _encode(message)
    total = fragment_count(len(stream))
    chunks = [stream[i * CHUNK_BYTES : (i + 1) * CHUNK_BYTES] for i in range(total)]
    return [Fragment(message_id, i, total, len(stream), chunk) for i, chunk in enumerate(chunks)]


def fragment_count(length: int) -> int:
    """How many fragments `length` bytes of preamble and content take."""
    return -(-length // CHUNK_BYTES)


def seal(fragment: Fragment, receiver: Address, random: Random) -> bytes:
    """2,048 bytes only the receiver can open; no two seals of one fragment can be told to be the same.

    Raises UserError if the receiver's identity is not a usable key (`x25519.WeakKey`).
    """
    ephemeral_secret = random(_KEY_BYTES)
    ephemeral = crypto_scalarmult_base(ephemeral_secret)
    shared = _shared(ephemeral_secret, receiver.identity)
    if shared is None:
        raise UserError("the address is unusable: its identity key is not a valid key")
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


def join(chunks: bytes) -> Message:
    """The message whose chunks are all there, in order. Raises EnvelopeError (preamble, digest)."""
    if len(chunks) < _PREAMBLE_BYTES or len(chunks) < _PREAMBLE_BYTES + chunks[1]:
        raise EnvelopeError("preamble")
    end = 2 + chunks[1]
    name, digest, content = chunks[2:end], chunks[end : end + _DIGEST_BYTES], chunks[end + _DIGEST_BYTES :]
    if chunks[0] not in tuple(Kind) or len(content) > MAX_MESSAGE:
        raise EnvelopeError("preamble")
    if _digest(chunks[:end], content) != digest:
        raise EnvelopeError("digest")
    kind = Kind(chunks[0])
    shown = safe_name(name.decode("utf-8", "replace")) if kind is Kind.FILE else ""
    return Message(kind, shown, content)


def safe_name(name: str) -> str:
    """A stranger's file name made safe to create: a base name, not hidden, nothing unprintable in it."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c for c in base if not unicodedata.category(c).startswith("C") and c not in ':*?"<>|')
    kept = kept.strip().lstrip(".~-").strip()
    while len(kept.encode()) > MAX_NAME:
        kept = kept[:-1]
    return kept or _NAMELESS


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


def _encode(message: Message) -> bytes:
    name = message.name.encode("utf-8", "surrogateescape")
    _within_limit(message.content, "the message")
    start = bytes([message.kind, len(name)]) + name
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
    if not _PREAMBLE_BYTES <= length <= MAX_LENGTH or total != fragment_count(length) or index >= total:
        raise EnvelopeError("header")
    # Every length follows from the total; a sender has no choice to hide a mark in, nor the padding.
    if size != min(CHUNK_BYTES, length - index * CHUNK_BYTES) or any(plain[_HEADER_BYTES + size :]):
        raise EnvelopeError("header")
    return Fragment(plain[1:at], index, total, length, plain[_HEADER_BYTES : _HEADER_BYTES + size])
