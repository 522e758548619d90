"""What both sides of a link keep alike, and how it comes back from the disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from mixpay.book import limits as reasons
from mixpay.book.events import Effects, ForgetAtLength, Refuse, Store
from mixpay.book.limits import Limits
from mixpay.book.rows import (
    MAX_SHORT,
    BatchPrice,
    Channel,
    Commitment,
    Cut,
    LinkState,
    LocksTree,
    PlacedTicket,
    Row,
    ShortTickets,
    SignedBatch,
)
from mixpay.book.run import Run
from mixpay.types import Amount, Value

AnyRun = TypeVar("AnyRun", bound=Run)
Rows = dict[type[Row], list[Any]]


@dataclass(frozen=True, slots=True)
class Totals:
    """A book in numbers. Values in hop prices, amounts in token units."""

    unsigned: int
    """Tickets that no batch signature covers (payer: with those not acknowledged yet)."""
    unsettled: Value
    """Value of tickets that no voucher or judgement covers (payer: with those not acknowledged yet)."""
    opened: Value
    """Payee: the part of `unsettled` whose responses are in. Payer: 0, it is told of none."""
    settled: Value
    """Value ever settled by vouchers and judgements."""
    receipts: int
    """Payee: number of receipts ever settled. Payer: 0."""
    lost: int
    """Payer: tickets lost since the book was built. Payee: tickets refused since then."""
    cumulative: Amount
    """The newest voucher or judgement."""
    upto_batch: int
    """The newest settled batch."""
    deposit: Amount
    claimed: Amount
    room: int
    """What unsettled tickets may add up to under the channel or the credit; below 0 if too much is owed."""
    refused: str | None
    """Why the link is refused, or None."""

    @property
    def claimable(self) -> Amount:
        """What a claim of the newest voucher would pay now."""
        return Amount(max(0, min(self.cumulative, self.deposit) - self.claimed))


class LinkBook(Generic[AnyRun]):
    """The open batch, the cut one (at most one at a time), and what is left of all settled ones.

    `restored`: the rows are an older copy, so the peer may hold tickets, acks, batches and vouchers that this
    side has forgotten. Such a book takes part in no new ticket, for numbers and places would be given twice,
    and it blames nobody: what looks like a fault may be true. What it knows it still settles.
    """

    def __init__(self, limits: Limits, new_run: Callable[[int], AnyRun], *, restored: bool = False) -> None:
        self.limits = limits
        self.restored = restored
        self._new_run = new_run
        self._state = LinkState()
        self._channel = Channel()
        self._open = new_run(1)
        self._cut: AnyRun | None = None
        self._lost = 0
        self.refused: str | None = None
        """Why the link is refused, or None."""

    @property
    def state(self) -> LinkState:
        """What outlives tickets: the newest voucher (cumulative, batch, signature), and the value settled."""
        return self._state

    @property
    def channel(self) -> Channel:
        """The channel as last told."""
        return self._channel

    def _runs(self) -> tuple[AnyRun, ...]:
        """Return the living batches, oldest first."""
        return (self._open,) if self._cut is None else (self._cut, self._open)

    @property
    def no_tickets(self) -> str | None:
        """Why no ticket passes, or None."""
        return self.refused or (reasons.RESTORED if self.restored else None)

    def _run(self, number: int) -> AnyRun | None:
        """Return a living batch by its number."""
        if number == self._open.number:
            return self._open
        return self._cut if self._cut is not None and number == self._cut.number else None

    def _place(self, run: AnyRun, ticket: PlacedTicket, price: Amount) -> Effects:
        """Append a ticket to a batch; the first one fixes the batch's price."""
        if run.count:
            run.add(ticket)
            return (Store(ticket),)
        run.price = price
        run.add(ticket)
        return Store(ticket), Store(BatchPrice(run.number, price))

    def _shorten(self, run: AnyRun) -> Effects:
        """Write down in short what is signed of a batch, if that is much by now."""
        if run.signed_count - run.short < self.limits.shorten_after:
            return ()
        rows = run.shorten(MAX_SHORT)
        if rows is None:
            return ()
        anew: list[Row] = [*rows, *run.recent]
        return ForgetAtLength(run.number), *map(Store, anew)

    def _leave(self, number: int) -> None:
        """Let go of all batches up to a number."""
        if self._cut is not None and self._cut.number <= number:
            self._cut = None
        if self._open.number <= number:
            self._open = self._new_run(number + 1)

    def _change(self, **changes: Any) -> Store:
        """Change the link's state."""
        self._state = replace(self._state, **changes)
        self.refused = self._state.refused
        return Store(self._state)

    def _accuse(self, reason: str) -> Effects:
        """Remember the peer's fault; no ticket passes this link until further notice."""
        if self.restored:
            return ()
        return self._change(refusal=(reason,)), Refuse(reason)

    def _acked_amount(self) -> int:
        """Return what the acknowledged tickets without voucher may cost, in token units."""
        cut = self._cut
        return self._open.amount + cut.amount if cut is not None else self._open.amount

    def _acked_unsigned(self) -> int:
        """Return the number of acknowledged tickets without a batch signature."""
        cut = self._cut
        return self._open.unsigned + cut.unsigned if cut is not None else self._open.unsigned

    def _load(self, rows: Iterable[Row]) -> Rows:
        """Rebuild the common part; return the rows by class for the rest."""
        by_class: Rows = defaultdict(list)
        for row in rows:
            by_class[type(row)].append(row)
        self._state = (by_class[LinkState] or [LinkState()])[0]
        self.refused = self._state.refused
        self._channel = (by_class[Channel] or [Channel()])[0]
        number = self._state.upto_batch + 1
        self._open = self._new_run(number)
        if any(cut.number == number for cut in by_class[Cut]):
            self._cut, self._open = self._open, self._new_run(number + 1)
        for run in self._runs():
            self._fill(run, by_class)
        return by_class

    @staticmethod
    def _fill(run: AnyRun, rows: Rows) -> None:
        number = run.number
        run.price = next((row.price for row in rows[BatchPrice] if row.number == number), Amount(0))
        tree = next((row for row in rows[LocksTree] if row.number == number), None)
        run.restore_short((row for row in rows[ShortTickets] if row.number == number), tree)
        mine = (ticket for ticket in rows[PlacedTicket] if ticket.batch == number)
        for ticket in sorted(mine, key=lambda ticket: ticket.position):
            run.add(ticket)
        for signed in rows[SignedBatch]:
            if signed.number == number:
                run.keep(signed)
        run.cut = next((row for row in rows[Cut] if row.number == number), None)
        run.commitment = next((row for row in rows[Commitment] if row.number == number), None)
