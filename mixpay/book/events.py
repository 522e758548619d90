"""What a channel book asks its relay to do: frozen effects, in the order to do them.

Every call of a book returns a tuple of effects in which all of the first group stand before all of the
second:

    for the disk            Store, ForgetTickets, ForgetBatch
    for the wire            SendTicket, SendAck, SendRefuseTicket, SendBatch, SendCut, SendRedeem,
                            SendSamples, SendOpenings, SendVoucher, Refuse
    for the relay itself    TicketTaken, TicketOpened, TicketLost, BatchSettled, ClaimDue

Those for the disk belong to one transaction, committed before any of the others is carried out. To send
nothing (no connection, a crash) is always safe: `resend` repeats what still matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeAlias

from mixpay.book.rows import Row
from mixpay.errors import PeerError
from mixpay.merkle import Opening
from mixpay.types import Amount, Value


@dataclass(frozen=True, slots=True)
class Store:
    """Write a row in the place of the one with the same key."""

    row: Row


@dataclass(frozen=True, slots=True)
class ForgetTickets:
    """Delete the `IssuedTicket` rows of these tickets."""

    seqs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ForgetBatch:
    """Delete all rows of batches up to `number`: what was carried leaves no trace (I10)."""

    number: int


@dataclass(frozen=True, slots=True)
class SendTicket:
    """PACKET, to be completed with the packet. `hint` has 33 bytes, `value` is in hop prices."""

    seq: int
    lock: bytes
    hint: bytes
    value: Value


@dataclass(frozen=True, slots=True)
class SendAck:
    """ACK: the ticket has this place of this batch."""

    batch: int
    position: int
    seq: int
    ack: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendRefuseTicket:
    """REFUSE_TICKET."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class SendBatch:
    """BATCH: the payer's signature over the first `count` tickets; `root` of their locks."""

    number: int
    count: int
    root: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SendCut:
    """CUT: the batch ends at `count` tickets."""

    number: int
    count: int


@dataclass(frozen=True, slots=True)
class SendRedeem:
    """REDEEM: root and sum (hop prices) of the batch's receipts."""

    number: int
    root: bytes
    total: Value


@dataclass(frozen=True, slots=True)
class SendSamples:
    """SAMPLES: the points of the receipts to open."""

    number: int
    points: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SendOpenings:
    """OPENINGS: the receipts at those points, in their order."""

    number: int
    openings: tuple[Opening, ...]


@dataclass(frozen=True, slots=True)
class SendVoucher:
    """VOUCHER: all that is owed up to a batch, in token units."""

    cumulative: Amount
    upto_batch: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Refuse:
    """The peer broke the rules: tell it the reason, close the connection, count the reason.

    The book remembers it. A payer issues no more tickets on this link, ever; a payee takes none until the
    payer has put it right by the voucher that is due.
    """

    reason: str

    @property
    def error(self) -> PeerError:
        """The same as an exception, for callers that unwind."""
        return PeerError(self.reason)


@dataclass(frozen=True, slots=True)
class TicketTaken:
    """Payee: the ticket is new and has this place. Forward its packet, once; without this, do not."""

    batch: int
    position: int
    seq: int


@dataclass(frozen=True, slots=True)
class TicketOpened:
    """Payer: the payee has the packet; `ack` (checked) completes the response of the packet's own ticket."""

    seq: int
    ack: bytes = field(repr=False)
    origin: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TicketLost:
    """Payer: refused by the payee, or not acknowledged in time. A late ack is still taken."""

    seq: int
    reason: str
    origin: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BatchSettled:
    """Both: a voucher closed the batch. `value` in hop prices, `amount` and `cumulative` in token units."""

    number: int
    value: Value
    amount: Amount
    cumulative: Amount


@dataclass(frozen=True, slots=True)
class ClaimDue:
    """Payee: claim the newest voucher now, whatever the gas costs: the channel is closing."""

    reason: str


Effect: TypeAlias = (
    Store
    | ForgetTickets
    | ForgetBatch
    | SendTicket
    | SendAck
    | SendRefuseTicket
    | SendBatch
    | SendCut
    | SendRedeem
    | SendSamples
    | SendOpenings
    | SendVoucher
    | Refuse
    | TicketTaken
    | TicketOpened
    | TicketLost
    | BatchSettled
    | ClaimDue
)
Effects: TypeAlias = tuple[Effect, ...]

ON_DISK: frozenset[type[Effect]] = frozenset((Store, ForgetTickets, ForgetBatch))
"""Classes of the first group."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The payer may not issue this ticket now: the link's packets wait, or go another way."""

    reason: str


def in_order(*effects: Iterable[Effect]) -> Effects:
    """Join effects: those for the disk first, otherwise in the order given."""
    joined = list(chain(*effects))
    on_disk = [effect for effect in joined if type(effect) in ON_DISK]
    return *on_disk, *[effect for effect in joined if type(effect) not in ON_DISK]
