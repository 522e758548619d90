"""Messages between a client and a relay: one binary WebSocket message each, u8 type and body
(docs/design.md §9).

To its entry a client says PRESENT_PASS, then SEND for each tick; DOWNs come back, all of equal size: one for
each SEND, or one at each beat of a clock. Directly to its mailbox relay (which shows that relay its network
address) it says MAILBOX_CREATE, or FETCH and DELETE after it has signed the relay's CHALLENGE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated

from mixpay.crypto.rsa_permutation import PROOF_SIZE
from mixpay.mailbox import PAGE_MESSAGES
from mixpay.packet import GEOMETRY
from mixpay.passes.terms import PASS_SIZE, Tick
from mixpay.types import RelayId
from mixpay.wire.codec import (
    U8,
    U16,
    U32,
    U64,
    Bytes8,
    Bytes16,
    Bytes20,
    Bytes32,
    Bytes64,
    Bytes65,
    Bytes256,
    Code,
    Integer,
    Many,
    Raw,
    Reason,
    Vocabulary,
    YesNo,
)
from mixpay.wire.frames import PacketBytes

MAX_MESSAGES = PAGE_MESSAGES
"""Messages in one answer of a mailbox; the rest is fetched by the next question."""

MOST_ANSWERS = 3
"""Answers in one DOWN: more than SENDs come in a beat of any profile, so that none has to wait."""

SHORTEST_BEAT = 100
"""Milliseconds."""

NO_LINK = bytes(32)
"""Where there is no tick yet."""

PassBytes = Annotated[bytes, Raw(PASS_SIZE)]
ProofBytes = Annotated[bytes, Raw(PROOF_SIZE)]
Body = Annotated[bytes, Raw(GEOMETRY.user_size)]
Payload = Annotated[bytes, Raw(GEOMETRY.payload_size)]


class DownKind(IntEnum):
    """What the body of a DOWN message holds: nothing, or the payload of a reply."""

    DUMMY = 0
    REPLY = 1


class DownStatus(IntEnum):
    """What became of the packet a SEND carried.

    Only ACKNOWLEDGED comes with an ack; the others have zero bytes there. NOTHING is said of no packet, where
    a DOWN has fewer answers than room.
    """

    ACKNOWLEDGED = 0
    NO_ACK = 1
    REFUSED_BY_MIX = 2
    BAD_TICK = 3
    WRONG_EPOCH = 4
    NO_SUCH_MIX = 5
    FLOW_CAP = 6
    BUSY = 7
    MIX_UNREACHABLE = 8
    CAMPAIGN_LIMIT = 9
    NOTHING = 255


@dataclass(frozen=True, slots=True)
class PresentPass:
    """Client to entry, once a connection: the modulus of the campaign's key with the proof that it is a
    permutation (`crypto/rsa_permutation.py`), the pass (`Pass.encode`), and 8 random bytes: replies to
    mailbox ids that begin with them are for this connection.

    `beat`: milliseconds between two DOWNs, which come then whatever happens; 0 for one DOWN as soon as there
    is an answer to a SEND. Below SHORTEST_BEAT it is refused.
    """

    modulus: Bytes256
    proof: ProofBytes
    shown: PassBytes
    passing: Bytes8
    beat: U16


@dataclass(frozen=True, slots=True)
class PassOk:
    """The entry takes the pass; the furthest tick it holds of it is number `furthest` (0: none), as its link
    shows.
    """

    furthest: U32
    link: Bytes32


@dataclass(frozen=True, slots=True)
class PassRefused:
    """The entry does not, and why."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Send:
    """A tick (link `k` of chain `chain`, k from 1) and the packet it pays for.

    `seq` is the client's own number.
    """

    seq: U32
    chain: U8
    k: U16
    link: Bytes32 = field(repr=False)
    first_mix: Annotated[RelayId, Integer(4)]
    key_epoch: U32
    lock: Bytes20
    hint: Bytes65
    packet: PacketBytes


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of packet `seq`, and mix 1's ack."""

    seq: U32
    status: Annotated[DownStatus, Code(DownStatus)]
    ack: Bytes32


NOTHING_ANSWERED = Answered(0, DownStatus.NOTHING, bytes(32))
"""Fills the room for answers."""


@dataclass(frozen=True, slots=True)
class Down:
    """Entry to client, one for each SEND or one a beat, all of one size:

    what became of packets, and a reply that came meanwhile, if one did: the second half of its mailbox id,
    and its payload for `packet.open_reply`; zeros else.
    """

    answers: Annotated[tuple[Answered, ...], Many(Answered, MOST_ANSWERS, MOST_ANSWERS)]
    kind: Annotated[DownKind, Code(DownKind)]
    number: Bytes8
    payload: Payload


def down(answers: Sequence[Answered], reply: tuple[bytes, bytes] | None = None) -> Down:
    """The DOWN with some answers, MOST_ANSWERS at most, and a reply: the number and the payload of `Down`."""
    filled = (*answers, *(NOTHING_ANSWERED,) * (MOST_ANSWERS - len(answers)))
    if reply is None:
        return Down(filled, DownKind.DUMMY, bytes(8), bytes(GEOMETRY.payload_size))
    return Down(filled, DownKind.REPLY, *reply)


@dataclass(frozen=True, slots=True)
class ShownTick:
    """A tick of the mailbox pass: link `k` of chain `chain`, k from 1."""

    chain: U8
    k: U16
    link: Bytes32 = field(repr=False)


def shown_tick(tick: Tick) -> ShownTick:
    """A tick as it is shown."""
    return ShownTick(tick.chain, tick.k, tick.link)


@dataclass(frozen=True, slots=True)
class MailboxCreate:
    """A mailbox pass, as in PRESENT_PASS, the Ed25519 key that will sign fetches, and the tick that pays for
    storage (`mixpay.mailbox.STORAGE_TICKS`).
    """

    modulus: Bytes256
    proof: ProofBytes
    shown: PassBytes
    fetch_key: Bytes32
    tick: ShownTick


@dataclass(frozen=True, slots=True)
class MailboxTerms:
    """What a mailbox may hold, and holds. Answers MAILBOX_CREATE; `expires` in seconds of chain time.

    `furthest`, `link`: the furthest tick held of the pass that pays for it; `room`: how many more of
    its campaign the relay takes. Both 0 when nothing is to be paid any more.
    """

    quota_messages: U32
    ttl_seconds: U32
    expires: U64
    stored: U32
    furthest: U32
    link: Bytes32
    room: U32


@dataclass(frozen=True, slots=True)
class Challenge:
    """The relay's first words on a mailbox connection: a fresh nonce for FETCH to sign."""

    nonce: Bytes32


@dataclass(frozen=True, slots=True)
class MailboxFetch:
    """The messages behind `after`.

    The signature is the fetch key's, over label ‖ relay id ‖ nonce ‖ mailbox id.
    """

    mailbox: Bytes16
    after: U64
    signature: Bytes64


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One stored message. `sequence` grows with each message of a mailbox."""

    sequence: U64
    body: Body


@dataclass(frozen=True, slots=True)
class MailboxMessages:
    """Stored messages in the order of their sequence; `more` when the next fetch would bring others."""

    terms: MailboxTerms
    messages: Annotated[tuple[StoredMessage, ...], Many(StoredMessage, 0, MAX_MESSAGES)]
    more: YesNo


@dataclass(frozen=True, slots=True)
class MailboxDelete:
    """Forget the messages up to and including this sequence, of the mailbox fetched on this connection.

    `tick` pays for confirming them (`mixpay.mailbox.page_ticks`); none where that is free.
    """

    upto: U64
    tick: Annotated[tuple[ShownTick, ...], Many(ShownTick, 0, 1)]


@dataclass(frozen=True, slots=True)
class Done:
    """The last request was carried out."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The last request was not, and why."""

    reason: Reason


ClientFrame = (
    PresentPass
    | PassOk
    | PassRefused
    | Send
    | Down
    | MailboxCreate
    | MailboxTerms
    | Challenge
    | MailboxFetch
    | MailboxMessages
    | MailboxDelete
    | Done
    | Refused
)

CLIENT: Vocabulary[ClientFrame] = Vocabulary(
    {
        0x01: PresentPass,
        0x02: PassOk,
        0x03: PassRefused,
        0x10: Send,
        0x11: Down,
        0x20: Challenge,
        0x21: MailboxCreate,
        0x22: MailboxTerms,
        0x23: MailboxFetch,
        0x24: MailboxMessages,
        0x25: MailboxDelete,
        0x26: Done,
        0x27: Refused,
    }
)

MAX_MESSAGE_BYTES = CLIENT.most
"""Largest WebSocket message either side may send."""


def encode(frame: ClientFrame) -> bytes:
    """One WebSocket message. Raises ValueError when a field does not fit."""
    return CLIENT.encode(frame)


def decode(message: bytes) -> ClientFrame:
    """The frame in one WebSocket message. Raises PeerError `malformed_frame`."""
    return CLIENT.decode(message)
