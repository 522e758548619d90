"""Frames between relays: u32 length, u8 type, body (docs/design.md §9).

The dialling relay is the payer, the accepting one the payee. Which frame goes which way:

    payee → payer   HELLO, WELCOME, ACKS, REFUSE_TICKETS, CUT, REDEEM, OPENINGS
    payer → payee   PROVE, PACKET, BATCH, SAMPLES, VOUCHER
    both            REFUSE, PING, PONG

A link opens with HELLO, PROVE, WELCOME and carries nothing else before. Signatures of batches and vouchers
are EIP-712 signatures by the payer's operator key, r‖s‖v; the signature in PROVE is Ed25519 by its link
key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated

from mixpay.packet import GEOMETRY
from mixpay.records import record
from mixpay.types import RelayId
from mixpay.wire.codec import (
    U8,
    U16,
    U32,
    U64,
    U96,
    Bytes20,
    Bytes32,
    Bytes64,
    Bytes65,
    Integer,
    Many,
    Raw,
    Reason,
    Vocabulary,
    malformed,
)

MAX_ACKS = 512
"""Acknowledgements in one frame."""

MAX_DEPTH = 32
"""Siblings on a path of the receipts tree: batch positions are u32."""

SAMPLES = 16
"""Points a payer samples of a batch's receipts (docs/design.md §7)."""

Relay = Annotated[RelayId, Integer(4)]
PacketBytes = Annotated[bytes, Raw(GEOMETRY.packet_size)]


@record
class Hello:
    """The payee's first words: who it is, and a fresh nonce for the payer to sign."""

    version: U16
    relay: Relay
    nonce: Bytes32


@record
class Prove:
    """The payer's answer: its own id, and its link key's signature bound to this connection."""

    version: U16
    relay: Relay
    signature: Bytes64


@record
class Welcome:
    """The payee accepts the payer: from here on, other frames flow."""


@record
class Packet:
    """A ticket and the packet it pays for.

    `seq` numbers the tickets of this link, never reused; `value` in hop prices.
    """

    seq: U64
    key_epoch: U32
    lock: Bytes20
    hint: Bytes65
    value: U8
    packet: PacketBytes


@record
class Ack:
    """The payee's acknowledgement of ticket `seq`, which takes this position of this batch."""

    batch: U32
    position: U32
    seq: U64
    ack: Bytes32 = field(repr=False)


@record
class Acks:
    """Acknowledgements, in the order of their positions."""

    acks: Annotated[tuple[Ack, ...], Many(Ack, 1, MAX_ACKS)]


@record
class RefusedTicket:
    """A ticket the payee does not take, and why."""

    seq: U64
    reason: Reason


@record
class RefuseTickets:
    """Tickets the payee does not take: the payer forgets them."""

    tickets: Annotated[tuple[RefusedTicket, ...], Many(RefusedTicket, 1, MAX_ACKS)]


@record
class Batch:
    """The payer's signature over the first `count` acknowledged tickets of batch `number`; `root` of their
    locks.
    """

    number: U32
    count: U32
    root: Bytes32
    signature: Bytes65


@record
class Cut:
    """The payee closes batch `number` at `count` tickets; later ones go to the next batch."""

    number: U32
    count: U32


@record
class Redeem:
    """The payee's commitment to the receipts of a batch: root and sum (hop prices) of their sum tree."""

    number: U32
    root: Bytes32
    total: U64


@record
class Samples:
    """Points below the total, drawn by the payer, that the payee must open."""

    number: U32
    points: Annotated[tuple[int, ...], Many(Integer(8), SAMPLES, SAMPLES)]


@record
class Sibling:
    """A neighbour on the path to the root of the sum tree."""

    hash: Bytes32
    sum: U64


@record
class Opening:
    """One receipt and its path, leaf to root."""

    position: U32
    response: Bytes32
    value: U64
    siblings: Annotated[tuple[Sibling, ...], Many(Sibling, 0, MAX_DEPTH)]


@record
class Openings:
    """The receipts at the sampled points, in the points' order."""

    number: U32
    openings: Annotated[tuple[Opening, ...], Many(Opening, 1, SAMPLES)]


@record
class Voucher:
    """All that is owed up to and including a batch, signed. `cumulative` in the token's smallest unit."""

    cumulative: U96
    upto_batch: U32
    signature: Bytes65


@record
class Refuse:
    """Why a message or the link was refused: a stable label."""

    reason: Reason


@record
class Ping:
    """Are you there? The other side returns the number."""

    number: U64


@record
class Pong:
    """I am."""

    number: U64


LinkFrame = (
    Hello
    | Prove
    | Welcome
    | Packet
    | Acks
    | RefuseTickets
    | Batch
    | Cut
    | Redeem
    | Samples
    | Openings
    | Voucher
    | Refuse
    | Ping
    | Pong
)

LINK: Vocabulary[LinkFrame] = Vocabulary(
    {
        0x01: Hello,
        0x02: Prove,
        0x03: Welcome,
        0x10: Packet,
        0x11: Acks,
        0x12: RefuseTickets,
        0x20: Batch,
        0x21: Cut,
        0x22: Redeem,
        0x23: Samples,
        0x24: Openings,
        0x25: Voucher,
        0x30: Refuse,
        0x31: Ping,
        0x32: Pong,
    }
)

LENGTH_BYTES = 4
MAX_FRAME_BYTES = LINK.most
"""Largest value a length prefix may have: that of the largest frame there is."""

MAX_HANDSHAKE_BYTES = max(LINK.size_of(cls) for cls in (Hello, Prove, Welcome, Refuse))
"""The same before a link is open, so that a stranger can make us keep next to nothing."""


def encode(frame: LinkFrame) -> bytes:
    """A frame with its length in front. Raises ValueError when a field does not fit."""
    body = LINK.encode(frame)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class Deframer:
    """Cuts a byte stream into frames, however it arrives. After an error the stream is beyond repair."""

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self.limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[LinkFrame]:
        """The frames completed by `data`, one at a time, the good ones before the first bad one.

        Raises PeerError `malformed_frame`.
        """
        data = self._rest + data if self._rest else data
        at = 0
        try:
            while len(data) - at >= LENGTH_BYTES:
                start = at + LENGTH_BYTES
                end = start + int.from_bytes(data[at:start], "big")
                if not start < end <= start + self.limit:
                    raise malformed(f"a frame of {end - start} bytes")
                if end > len(data):
                    return
                at = end
                yield LINK.decode(data, start, end)
        finally:
            self._rest = data[at:]
