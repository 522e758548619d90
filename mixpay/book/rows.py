"""What a channel book keeps on disk: rows, each with a key. Storing a row again changes nothing.

A store needs one table (link, kind, number, place) → bytes, and no knowledge of the rules: `key_of` and
`encode` on the way in, `decode` on the way out, and the two deletions of `events`. A book is rebuilt from
its rows alone. No clock reading is among them, so a restart may come with another clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Annotated, TypeAlias

from mixpay.records import record
from mixpay.types import Amount, Value
from mixpay.wire.codec import (
    U32,
    U64,
    Bytes20,
    Bytes32,
    Bytes65,
    Integer,
    Label,
    Many,
    Raw,
    Vocabulary,
    malformed,
)
from mixpay.wire.frames import SAMPLES

MAX_LATE = 1024
"""How many tickets, older than the last one of a cut batch, may still arrive."""

MAX_SHORT = 2**16 - 1
"""Tickets in one `ShortTickets`."""


class Short:
    """Byte string of 0 to 255 bytes behind its length."""

    least, most = 1, 256

    def encode(self, value: bytes) -> bytes:
        if len(value) >= self.most:
            raise ValueError(f"{len(value)} bytes where at most {self.most - 1} belong")
        return bytes((len(value),)) + value

    def decode(self, data: bytes, at: int) -> tuple[bytes, int]:
        end = at + 1 + int.from_bytes(data[at : at + 1], "big")
        if end > len(data):
            raise malformed("cut short")
        return data[at + 1 : end], end


class Long:
    """Byte string behind its length, u32."""

    least, most = 4, 4 + 2**32

    def encode(self, value: bytes) -> bytes:
        return len(value).to_bytes(4, "big") + value

    def decode(self, data: bytes, at: int) -> tuple[bytes, int]:
        start = at + 4
        end = start + int.from_bytes(data[at:start], "big")
        if end > len(data):
            raise malformed("cut short")
        return data[start:end], end


ShortBytes = Annotated[bytes, Short()]
LongBytes = Annotated[bytes, Long()]
Units = Annotated[Value, Integer(8)]
Tokens = Annotated[Amount, Integer(12)]
_NOTHING = Value(0)
_NO_TOKENS = Amount(0)


@record
class IssuedTicket:
    """Payer: a ticket that was promised and is not acknowledged yet. `price`: token units of one hop.

    `hint` has 65 bytes; `origin` is the caller's note of where the packet came from, up to 255 bytes.
    """

    seq: U64
    lock: Bytes20
    hint: ShortBytes
    value: Units
    price: Tokens
    origin: ShortBytes = field(repr=False)


@record
class PlacedTicket:
    """Both: an acknowledged ticket at its place in a batch."""

    batch: U32
    position: U32
    seq: U64
    lock: Bytes20
    value: Units
    ack: Bytes32 = field(repr=False)


@record
class BatchPrice:
    """Both: token units of one hop in this batch, fixed by the ticket at position 0."""

    number: U32
    price: Tokens


@record
class Response:
    """Payee: the scalar that opens the lock at this place."""

    batch: U32
    position: U32
    response: Bytes32 = field(repr=False)


@record
class Stretch:
    """Ticket numbers without a gap, in the order of their places."""

    first: U64
    length: U32


@record
class ShortTickets:
    """Both: signed tickets at the places from `first` of a batch on, without what nobody asks for any more.

    `values`: a byte each. `shown`: the places, from `first`, of tickets with a lock of 20 bytes in `locks`;
    the others have a response of 32 bytes in `responses`, which tells the lock. At the payer all have locks,
    and `shown` is empty.
    """

    number: U32
    first: U32
    values: LongBytes
    locks: LongBytes
    responses: LongBytes = field(default=b"", repr=False)
    shown: Annotated[tuple[int, ...], Many(Integer(2), 0, MAX_SHORT)] = ()
    numbers: Annotated[tuple[Stretch, ...], Many(Stretch, 0, MAX_SHORT)] = ()


@record
class LocksTree:
    """Both: the tree of the locks of a batch's first `count` tickets, as far as it is needed to grow."""

    number: U32
    count: U32
    left: Annotated[tuple[bytes, ...], Many(Raw(32), 0, 33)] = ()


@record
class LateResponse:
    """Payee: the scalar that opens the lock of a ticket in `ShortTickets`."""

    batch: U32
    position: U32
    response: Bytes32 = field(repr=False)


@record
class SignedBatch:
    """Both: the payer's newest signature over the first `count` tickets of a batch; `root` of their locks."""

    number: U32
    count: U32
    root: Bytes32
    signature: Bytes65


@record
class Cut:
    """Both: the batch ends at `count` tickets."""

    number: U32
    count: U32


@record
class Commitment:
    """Both: root and sum of the receipts of a batch, and the points sampled of them (payee: once known)."""

    number: U32
    root: Bytes32
    total: Units
    points: Annotated[tuple[int, ...], Many(Integer(8), 0, SAMPLES)] = ()


@record
class Demand:
    """Payee: what it asks the court for, fixed: the receipts among the first `count` tickets of a batch.

    `signature` is the payer's over these tickets, `value` what they come to, `locks_root` the root of their
    locks, `root` and `total` those of the receipts' tree.
    """

    number: U32
    count: U32
    value: Units
    locks_root: Bytes32
    signature: Bytes65
    root: Bytes32
    total: Units


@record
class Settlements:
    """Payer: what is kept of settled batches, for the court. All-time totals in token units.

    `before` is what was owed before the newest of them, so that the newest voucher less `before` is what is
    owed for that batch, whatever the court adds to those before it. `most` is what all tickets that were
    ever acknowledged in them come to, those without a receipt too: no total is more, but for judged costs.
    """

    before: Tokens = _NO_TOKENS
    most: Tokens = _NO_TOKENS


@record
class LinkState:
    """Both: what remains when tickets are forgotten.

    `cumulative`, `upto_batch` and `signature` are the newest voucher (0, 0, empty before the first); without
    a signature, a judgement that the payee has no voucher for. `settled` is the value ever settled,
    `receipts` the number of receipts in it, which only the payee knows. `floor` and `late` say which ticket
    numbers may still come. `refusal` holds the reason if the link is refused.
    """

    cumulative: Tokens = _NO_TOKENS
    upto_batch: U32 = 0
    signature: ShortBytes = b""
    settled: Units = _NOTHING
    receipts: U64 = 0
    floor: U64 = 0
    late: Annotated[tuple[int, ...], Many(Integer(8), 0, MAX_LATE)] = ()
    refusal: Annotated[tuple[str, ...], Many(Label(), 0, 1)] = ()

    @property
    def refused(self) -> str | None:
        """Why the link is refused, or None."""
        return self.refusal[0] if self.refusal else None

    @property
    def is_judged(self) -> bool:
        """Whether the total is a judgement, for which there is no voucher."""
        return self.upto_batch > 0 and not self.signature


@record
class Channel:
    """Both: the channel on the chain, all-time totals in token units; `closes_at` in chain time or 0."""

    deposit: Tokens = _NO_TOKENS
    claimed: Tokens = _NO_TOKENS
    closes_at: U64 = 0


Row: TypeAlias = (
    IssuedTicket
    | PlacedTicket
    | ShortTickets
    | LocksTree
    | LateResponse
    | BatchPrice
    | Response
    | SignedBatch
    | Cut
    | Commitment
    | LinkState
    | Channel
    | Demand
    | Settlements
)

Key: TypeAlias = tuple[int, int, int]
"""Kind u8, number u64 (of a batch, or a ticket if the kind is ISSUED), place u32 in the batch."""

_KINDS: dict[int, type[Row]] = {
    1: IssuedTicket,
    2: PlacedTicket,
    3: BatchPrice,
    4: Response,
    5: SignedBatch,
    6: Cut,
    7: Commitment,
    8: LinkState,
    9: Channel,
    10: Demand,
    11: Settlements,
    12: ShortTickets,
    13: LocksTree,
    14: LateResponse,
}
_KIND_OF = {cls: kind for kind, cls in _KINDS.items()}
_ROWS: Vocabulary[Row] = Vocabulary(_KINDS)

ISSUED = _KIND_OF[IssuedTicket]
"""The kind that `ForgetTickets` deletes from, by number."""

APPENDED: frozenset[type[Row]] = frozenset((PlacedTicket, Response, LateResponse))
"""Rows that are written once and only removed with their batch: a store may join their bytes."""

_JOINED = frozenset((ISSUED, *(_KIND_OF[cls] for cls in APPENDED)))

OF_A_BATCH = (2, 3, 4, 5, 6, 7, 10, 12, 13, 14)
"""The kinds that `ForgetBatch` deletes from, up to a number."""

AT_LENGTH = (_KIND_OF[PlacedTicket], _KIND_OF[Response])
"""The kinds that `ForgetAtLength` deletes from."""


def key_of(row: Row) -> Key:
    """Return a row's key: a row with the same key takes its place."""
    kind = _KIND_OF[type(row)]
    match row:
        case IssuedTicket():
            return kind, row.seq, 0
        case PlacedTicket() | Response() | LateResponse():
            return kind, row.batch, row.position
        case ShortTickets():
            return kind, row.number, row.first
        case LinkState() | Channel() | Settlements():
            return kind, 0, 0
        case _:
            return kind, row.number, 0


def encode(row: Row) -> bytes:
    """Return a row's bytes. Raises ValueError if a field does not fit."""
    return _ROWS.encode(row)


def encode_all(rows: Iterable[Row]) -> bytes:
    """Return the bytes of several rows of a kind that is joined."""
    return b"".join(map(_ROWS.encode, rows))


def decode_all(data: bytes) -> list[Row]:
    """Return the rows in `data`: one, or several of a kind that is joined. Raises PeerError as `decode`."""
    if not data or data[0] not in _JOINED:
        return [decode(data)]
    rows, at = [], 0
    while at < len(data):
        row, at = _ROWS.decode_next(data, at)
        rows.append(row)
    return rows


def decode(data: bytes) -> Row:
    """Return the row in `data`. Raises PeerError `malformed_frame` if it is none: the store is damaged."""
    return _ROWS.decode(data)
