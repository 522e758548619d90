"""What a channel book asks its relay to do: frozen effects, in the order to do them.

Every call of a book returns a tuple of effects in which all of the first group stand before all of the
second:

    for the disk            Store, ForgetTickets, ForgetAtLength, ForgetBatch
    for the wire            SendTicket, SendAck, SendRefuseTicket, SendBatch, SendCut, SendRedeem,
                            SendSamples, SendOpenings, SendVoucher, Refuse
    for the relay itself    TicketTaken, TicketOpened, TicketLost, BatchSettled, ClaimDue

Those for the disk belong to one transaction, committed before any of the others is carried out. To send
nothing (no connection, a crash) is always safe: `resend` repeats what still matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from itertools import chain
from typing import TypeAlias

from mixpay.book.rows import Row
from mixpay.errors import PeerError
from mixpay.merkle import Opening
from mixpay.records import record
from mixpay.types import Amount, Value
from mixpay.wire.frames import Ack


@record
class Store:
    """Write a row in the place of the one with the same key."""

    row: Row


@record
class ForgetTickets:
    """Delete the `IssuedTicket` rows of these tickets."""

    seqs: tuple[int, ...]


@record
class ForgetBatch:
    """Delete all rows of batches up to `number`: what was carried leaves no trace (I10)."""

    number: int


@record
class ForgetAtLength:
    """Delete the `PlacedTicket` and `Response` rows of a batch: what follows takes their place."""

    number: int


@record
class SendTicket:
    """PACKET, to be completed with the packet. `hint` has 65 bytes, `value` is in hop prices."""

    seq: int
    lock: bytes
    hint: bytes
    value: Value


SendAck = Ack
"""ACK: the ticket has this place of this batch. As it goes over the wire: there is one for each packet."""


@record
class SendRefuseTicket:
    """REFUSE_TICKET."""

    seq: int
    reason: str


@record
class SendBatch:
    """BATCH: the payer's signature over the first `count` tickets; `root` of their locks."""

    number: int
    count: int
    root: bytes
    signature: bytes


@record
class SendCut:
    """CUT: the batch ends at `count` tickets."""

    number: int
    count: int


@record
class SendRedeem:
    """REDEEM: root and sum (hop prices) of the batch's receipts."""

    number: int
    root: bytes
    total: Value


@record
class SendSamples:
    """SAMPLES: the points of the receipts to open."""

    number: int
    points: tuple[int, ...]


@record
class SendOpenings:
    """OPENINGS: the receipts at those points, in their order."""

    number: int
    openings: tuple[Opening, ...]


@record
class SendVoucher:
    """VOUCHER: all that is owed up to a batch, in token units."""

    cumulative: Amount
    upto_batch: int
    signature: bytes


@record
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


@record
class TicketTaken:
    """Payee: the ticket is new and has this place. Forward its packet, once; without this, do not."""

    batch: int
    position: int
    seq: int


@record
class TicketOpened:
    """Payer: the payee has the packet; `ack` (checked) completes the response of the packet's own ticket."""

    seq: int
    ack: bytes = field(repr=False)
    origin: bytes = field(repr=False)


@record
class TicketLost:
    """Payer: refused by the payee, or not acknowledged in time. A late ack is still taken."""

    seq: int
    reason: str
    origin: bytes = field(repr=False)


@record
class BatchSettled:
    """Both: a voucher closed the batch. `value` in hop prices, `amount` and `cumulative` in token units."""

    number: int
    value: Value
    amount: Amount
    cumulative: Amount


@record
class ClaimDue:
    """Payee: claim the newest voucher now, whatever the gas costs: the channel is closing."""

    reason: str


Effect: TypeAlias = (
    Store
    | ForgetTickets
    | ForgetAtLength
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

DiskEffect: TypeAlias = Store | ForgetTickets | ForgetAtLength | ForgetBatch
FOR_DISK = (Store, ForgetTickets, ForgetAtLength, ForgetBatch)
"""Classes of the first group."""
ON_DISK: frozenset[type[Effect]] = frozenset(FOR_DISK)


@record
class Wait:
    """The payer may not issue this ticket now: the link's packets wait, or go another way."""

    reason: str


def in_order(*effects: Iterable[Effect]) -> Effects:
    """Join effects: those for the disk first, otherwise in the order given."""
    joined = list(chain(*effects))
    on_disk = [effect for effect in joined if type(effect) in ON_DISK]
    return *on_disk, *[effect for effect in joined if type(effect) not in ON_DISK]
