"""The payer's tickets that are not acknowledged: under way, or lost but still possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import takewhile

from mixpay.book.rows import IssuedTicket


class Promises:
    """Tickets by number. Those under way count against the limits; lost ones are only remembered."""

    __slots__ = ("_lost", "_under_way", "amount", "next_seq")

    def __init__(self) -> None:
        self.next_seq = 1
        self.amount = 0
        """Of the tickets under way, in token units."""
        self._under_way: dict[int, tuple[IssuedTicket, float]] = {}  # in the order of their issue
        self._lost: dict[int, tuple[IssuedTicket, float]] = {}

    def load(self, tickets: Iterable[IssuedTicket], highest_known: int, now: float) -> None:
        """Take tickets from the disk, all under way again; numbers go on above the highest."""
        self.next_seq = highest_known + 1
        for ticket in sorted(tickets, key=lambda ticket: ticket.seq):
            self.add(ticket, now)

    def add(self, ticket: IssuedTicket, now: float) -> None:
        """Take a ticket that is sent now."""
        self.next_seq = max(self.next_seq, ticket.seq + 1)
        self.amount += ticket.value * ticket.price
        self._under_way[ticket.seq] = (ticket, now)

    @property
    def under_way(self) -> int:
        """Number of tickets that may be acknowledged any moment."""
        return len(self._under_way)

    @property
    def value(self) -> int:
        """Of the tickets under way, in hop prices."""
        return sum(ticket.value for ticket, _ in self._under_way.values())

    @property
    def lost(self) -> int:
        """Number of lost tickets still remembered."""
        return len(self._lost)

    def origins(self, sent_after: float) -> Iterator[bytes]:
        """Return where the tickets came from that were sent after this time, lost ones too."""
        for promises in (self._under_way, self._lost):
            yield from (ticket.origin for ticket, at in promises.values() if at > sent_after)

    def find(self, seq: int) -> IssuedTicket | None:
        """Return the ticket, under way or lost."""
        promise = self._under_way.get(seq) or self._lost.get(seq)
        return promise[0] if promise else None

    def is_lost(self, seq: int) -> bool:
        """Say whether a ticket counts as lost."""
        return seq in self._lost

    def drop(self, seq: int) -> None:
        """Forget a ticket."""
        if self._lost.pop(seq, None) is None:
            self._stop_counting(seq)

    def lose(self, seq: int) -> IssuedTicket | None:
        """Count a ticket as lost. Returns it if it was under way until now."""
        promise = self._stop_counting(seq)
        if promise is None:
            return None
        self._lost[seq] = promise
        return promise[0]

    def overdue(self, sent_before: float) -> list[int]:
        """Return the tickets under way that were sent at this time or earlier."""
        return [seq for seq, _ in takewhile(lambda item: item[1][1] <= sent_before, self._under_way.items())]

    def upto(self, seq: int) -> tuple[int, ...]:
        """Return the tickets with numbers up to this one, under way or lost."""
        return tuple(known for known in (*self._lost, *self._under_way) if known <= seq)

    def _stop_counting(self, seq: int) -> tuple[IssuedTicket, float] | None:
        promise = self._under_way.pop(seq, None)
        if promise is None:
            return None
        self.amount -= promise[0].value * promise[0].price
        return promise
