"""Acknowledgements as bytes: the content of a message of kind ACK, which is sent as any other.

One acknowledgement tells of many messages of one sender, and is one fragment: entries one after the other,
each message id 16 ‖ proof 16 ‖ size u8 ‖ that many bytes of bits. Size 0: the message is whole, and safe at
the receiver. Else bit i (the lowest of the first byte is bit 0) says whether fragment i is there.

The proof is a MAC under the message's ack key, which only those know who opened its first fragment: neither
relays nor strangers can tell a sender that something arrived, or that it did not. It covers the sender's
address, so it is good at one place only. Truth it does not prove: a receiver may say what it likes.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from mixpay.address import Address
from mixpay.envelope import (
    CHUNK_BYTES,
    MAX_LENGTH,
    MESSAGE_ID_BYTES,
    PREAMBLE_BYTES,
    EnvelopeError,
    Kind,
    Message,
    Reply,
    fragment_count,
)

_PROOF_BYTES = 16
_HEAD_BYTES = MESSAGE_ID_BYTES + _PROOF_BYTES + 1
_LONGEST = -(-fragment_count(MAX_LENGTH) // 8)


@dataclass(frozen=True, slots=True)
class Entry:
    """What an acknowledgement says of one message: its bits, and their proof. Not checked yet."""

    message_id: bytes
    bits: bytes
    proof: bytes = field(repr=False)

    @classmethod
    def of(cls, message_id: bytes, reply: Reply, have: Collection[int] | None, total: int) -> Entry:
        """Of a message that is whole (None), or of which some fragments are there."""
        bits = b"" if have is None else _bits(have, total)
        return cls(message_id, bits, _proof(message_id, reply.address, reply.key, bits))

    def proves(self, address: Address, key: bytes) -> bool:
        """Whether somebody made it who opened the message that asked for it, with this reply."""
        return hmac.compare_digest(self.proof, _proof(self.message_id, address, key, self.bits))

    def have(self, total: int) -> frozenset[int] | None:
        """The fragments that are there, None for all. Raises EnvelopeError if there are other ones."""
        if not self.bits:
            return None
        bits = int.from_bytes(self.bits, "little")
        if len(self.bits) != -(-total // 8) or bits >> total:
            raise EnvelopeError("ack", "of another number of fragments")
        return frozenset(index for index in range(total) if bits >> index & 1)


def messages(entries: Iterable[Entry]) -> list[Message]:
    """As few messages of one fragment each as hold all entries. One that is lost takes no other with it."""
    room, found = CHUNK_BYTES - PREAMBLE_BYTES, [b""]
    for entry in entries:
        data = entry.message_id + entry.proof + bytes((len(entry.bits),)) + entry.bits
        if len(found[-1]) + len(data) > room:
            found.append(b"")
        found[-1] += data
    return [Message(Kind.ACK, "", content) for content in found if content]


def read(content: bytes) -> Sequence[Entry]:
    """The entries of an acknowledgement. Raises EnvelopeError (ack)."""
    found, at = [], 0
    while at < len(content):
        head, at = content[at : at + _HEAD_BYTES], at + _HEAD_BYTES
        size = head[-1]
        bits, at = content[at : at + size], at + size
        if len(head) < _HEAD_BYTES or len(bits) < size or size > _LONGEST:
            raise EnvelopeError("ack")
        found.append(Entry(head[:MESSAGE_ID_BYTES], bits, head[MESSAGE_ID_BYTES:-1]))
    return found


def _bits(have: Collection[int], total: int) -> bytes:
    return sum(1 << index for index in have).to_bytes(-(-total // 8), "little")


def _proof(message_id: bytes, address: Address, key: bytes, bits: bytes) -> bytes:
    told = message_id + address.to_bytes() + bits
    return blake2b(told, key=key, digest_size=_PROOF_BYTES, person=b"mixpay-ack-v1").digest()
