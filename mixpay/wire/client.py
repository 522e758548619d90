"""Messages between a client and a relay: one binary WebSocket message each, u8 type and body
(docs/design.md §9).

To its entry a client says PRESENT_PASS, then SEND for each tick; every SEND is answered by exactly one DOWN
of equal size. Directly to its mailbox relay (which shows that relay its network address) it says
MAILBOX_CREATE, or FETCH and DELETE after it has signed the relay's CHALLENGE.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from mixpay.packet import GEOMETRY
from mixpay.types import RelayId
from mixpay.wire.codec import (
    U8,
    U16,
    U32,
    U64,
    Bytes16,
    Bytes20,
    Bytes32,
    Bytes33,
    Bytes64,
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

CHAINS = 64
"""Hash chains of a pass (docs/design.md §8)."""

MAX_MESSAGES = 32
"""Messages in one answer of a mailbox; the rest is fetched by the next question."""

Body = Annotated[bytes, Raw(GEOMETRY.user_size)]


class PassKind(IntEnum):
    """What a pass is for."""

    ENTRY = 1
    MAILBOX = 2


class DownKind(IntEnum):
    """What the body of a DOWN message holds."""

    DUMMY = 0
    PACKET = 1


class DownStatus(IntEnum):
    """What became of the packet a SEND carried.

    Only ACKNOWLEDGED comes with an ack; the others have zero bytes there.
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


@dataclass(frozen=True, slots=True)
class ShownPass:
    """A pass as its owner shows it:

    what was signed, the signature, the key's modulus, the heads of its chains.
    """

    campaign: U32
    kind: Annotated[PassKind, Code(PassKind)]
    period: U32
    anchor: Bytes32
    signature: Bytes256
    modulus: Bytes256
    heads: Annotated[tuple[bytes, ...], Many(Raw(32), CHAINS, CHAINS)]


@dataclass(frozen=True, slots=True)
class PresentPass:
    """Client to entry, once a connection."""

    shown: ShownPass


@dataclass(frozen=True, slots=True)
class PassOk:
    """The entry takes the pass."""


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
    link: Bytes32
    first_mix: Annotated[RelayId, Integer(4)]
    key_epoch: U32
    lock: Bytes20
    hint: Bytes33
    packet: PacketBytes


@dataclass(frozen=True, slots=True)
class Down:
    """Entry to client, one for each SEND, all of one size:

    what became of packet `seq`, mix 1's ack, and a body.
    """

    seq: U32
    status: Annotated[DownStatus, Code(DownStatus)]
    ack: Bytes32
    kind: Annotated[DownKind, Code(DownKind)]
    body: Body


@dataclass(frozen=True, slots=True)
class MailboxCreate:
    """A mailbox pass and the Ed25519 key that will sign fetches."""

    shown: ShownPass
    fetch_key: Bytes32


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

    messages: Annotated[tuple[StoredMessage, ...], Many(StoredMessage, 0, MAX_MESSAGES)]
    more: YesNo


@dataclass(frozen=True, slots=True)
class MailboxDelete:
    """Forget the messages up to and including this sequence, of the mailbox fetched on this connection."""

    upto: U64


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
        0x20: MailboxCreate,
        0x21: Challenge,
        0x22: MailboxFetch,
        0x23: MailboxMessages,
        0x24: MailboxDelete,
        0x25: Done,
        0x26: Refused,
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
