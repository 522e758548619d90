"""What the owner of a mailbox asks its relay through the network, and what the relay answers by reply blocks
(docs/design.md §11).

A request is one frame below. It goes as the data of packets of kind REQUEST to the mailbox, in as many parts
as it takes; an answer is the data of a reply.

    part    request id 16 ‖ index u8 ‖ parts u8 ‖ length u16 ‖ bytes ‖ zeros             2,048 bytes
    answer  kind u8 ‖ number, 7 bytes ‖ content                                          2,056 bytes
            0 TERMS: MAILBOX_TERMS or REFUSED of `wire.client`, then zeros; number 0
            1 MESSAGE: a stored one, number its sequence      2 MORE: likewise, and there are others behind it

A FETCH confirms what is already on its owner's disk and asks for what comes after it; each block is answered
by one message, and one by the terms if there are none. One that waits is answered by the terms first; its
other blocks are for the messages that are there, and those to come: the relay keeps them until the next
FETCH, or until their epoch is over. A FETCH is signed with the mailbox's key. That nobody can send it a
second time is the packet's doing, whose replay tag the relay keeps.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Annotated, TypeAlias

from mixpay.geometry import GEOMETRY
from mixpay.mailbox import sign_request
from mixpay.packet.reply import block_size
from mixpay.types import Random, RelayId
from mixpay.wire import client
from mixpay.wire.client import Body, MailboxTerms, PassBytes, ProofBytes, Refused, ShownTick
from mixpay.wire.codec import U64, Bytes32, Bytes64, Bytes256, Many, Raw, Vocabulary, YesNo, malformed

MOST_BLOCKS = 7
"""Reply blocks in a FETCH: as many as fit into two packets."""
BLOCKS_OF_ONE_PACKET = 3
REQUEST_ID_SIZE = 16
_PART = struct.Struct(f">{REQUEST_ID_SIZE}sBBH")
_ROOM = GEOMETRY.user_size - _PART.size
_SIGNATURE_SIZE = 64
_LARGEST_NUMBER = 2**56 - 1

BlockBytes = Annotated[bytes, Raw(block_size())]


@dataclass(frozen=True, slots=True)
class Create:
    """As MAILBOX_CREATE of `wire.client`, with the block that is answered."""

    modulus: Bytes256
    proof: ProofBytes
    shown: PassBytes
    fetch_key: Bytes32
    tick: ShownTick
    block: BlockBytes


@dataclass(frozen=True, slots=True)
class Fetch:
    """Drop the messages up to `after`, send those behind it, one for each block; `waits`: see above.

    `tick` pays for as many replies as there are blocks; none where that is free. The signature is the fetch
    key's (`mailbox.sign_request`), over everything before it.
    """

    after: U64
    waits: YesNo
    tick: Annotated[tuple[ShownTick, ...], Many(ShownTick, 0, 1)]
    blocks: Annotated[tuple[bytes, ...], Many(Raw(block_size()), 1, MOST_BLOCKS)]
    signature: Bytes64

    def signed(self, seed: bytes, relay: RelayId, mailbox_id: bytes) -> Fetch:
        """The same with the signature of the mailbox's owner; `seed`: the fetch key's, 32 bytes."""
        signature = sign_request(seed, relay, mailbox_id, self.said())
        return replace(self, signature=signature)

    def said(self) -> bytes:
        """What is signed."""
        return REQUESTS.encode(self)[:-_SIGNATURE_SIZE]


Request: TypeAlias = Create | Fetch

REQUESTS: Vocabulary[Request] = Vocabulary({0x01: Create, 0x02: Fetch})
MOST_PARTS = -(-REQUESTS.most // _ROOM)


class AnswerKind(IntEnum):
    """What an answer holds."""

    TERMS = 0
    MESSAGE = 1
    MORE = 2


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message; `more`: there are others behind it."""

    sequence: int
    body: Body = field(repr=False)
    more: bool


Answer: TypeAlias = MailboxTerms | Refused | Message


def parts_of(request: Request, random: Random) -> list[bytes]:
    """The data of the packets that carry a request. Raises ValueError when a field does not fit."""
    data, request_id = REQUESTS.encode(request), random(REQUEST_ID_SIZE)
    pieces = [data[at : at + _ROOM] for at in range(0, len(data), _ROOM)]
    return [
        (_PART.pack(request_id, index, len(pieces), len(piece)) + piece).ljust(GEOMETRY.user_size, b"\0")
        for index, piece in enumerate(pieces)
    ]


class Assembly:
    """Requests of which parts are missing: at most `most` of them, of which the oldest makes room, each for
    `seconds`.
    """

    def __init__(self, most: int = 256, seconds: float = 60.0) -> None:
        self._most, self._seconds = most, seconds
        self._partial: OrderedDict[tuple[bytes, bytes], tuple[float, list[bytes | None]]] = OrderedDict()

    def take(self, mailbox_id: bytes, part: bytes, now: float) -> Request | None:
        """A part for a mailbox has come; the request that is whole by it, if one is.

        Raises PeerError `malformed_frame`.
        """
        request_id, index, total, piece = _read_part(part)
        self._forget(now)
        if total == 1:
            return REQUESTS.decode(piece)
        key = mailbox_id, request_id
        _, pieces = self._partial.setdefault(key, (now, [None] * total))
        if len(pieces) != total or pieces[index] not in (None, piece):
            del self._partial[key]
            raise malformed("parts of different requests")
        pieces[index] = piece
        whole = [one for one in pieces if one is not None]
        if len(whole) < total:
            while len(self._partial) > self._most:
                self._partial.popitem(last=False)
            return None
        del self._partial[key]
        return REQUESTS.decode(b"".join(whole))

    def _forget(self, now: float) -> None:
        while self._partial:
            key, (since, _) = next(iter(self._partial.items()))
            if since + self._seconds > now:
                return
            del self._partial[key]


def _read_part(part: bytes) -> tuple[bytes, int, int, bytes]:
    request_id, index, total, length = _PART.unpack_from(part)
    piece, padding = part[_PART.size : _PART.size + length], part[_PART.size + length :]
    is_last = index + 1 == total
    if not index < total <= MOST_PARTS or not 0 < length <= _ROOM or (length != _ROOM and not is_last):
        raise malformed("no part of a request")
    if any(padding):
        raise malformed("padding")
    return request_id, index, total, piece


def encode_answer(answer: Answer) -> bytes:
    """The data of a reply. Raises ValueError when a field does not fit."""
    if isinstance(answer, Message):
        if not 0 < answer.sequence <= _LARGEST_NUMBER or len(answer.body) != GEOMETRY.user_size:
            raise ValueError("a message has a number of 56 bits and 2,048 bytes")
        kind = AnswerKind.MORE if answer.more else AnswerKind.MESSAGE
        return bytes([kind]) + answer.sequence.to_bytes(7, "big") + answer.body
    return (bytes(8) + client.encode(answer)).ljust(GEOMETRY.reply_size, b"\0")


def decode_answer(data: bytes) -> Answer:
    """Read the data of a reply. Raises PeerError `malformed_frame`."""
    if len(data) != GEOMETRY.reply_size:
        raise malformed("size")
    kind, number, content = data[0], int.from_bytes(data[1:8], "big"), data[8:]
    if kind in (AnswerKind.MESSAGE, AnswerKind.MORE) and number:
        return Message(number, content, kind == AnswerKind.MORE)
    if kind != AnswerKind.TERMS or number:
        raise malformed("no such answer")
    try:
        answer, end = client.CLIENT.decode_next(content, 0)
    except IndexError:
        raise malformed("an empty answer") from None
    if not isinstance(answer, MailboxTerms | Refused) or end > len(content) or any(content[end:]):
        raise malformed("no such answer")
    return answer


