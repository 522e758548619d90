"""One batch in memory: its tickets in the order of their acknowledgement, and the root of every prefix.

A relay may hold a million receipts, so what is under a signature takes few bytes of each: the payer keeps
lock and value, the payee the response, which tells the lock, and the value.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from mixpay.book.numbers import to_stretches
from mixpay.book.rows import Commitment, Cut, LocksTree, PlacedTicket, ShortTickets, SignedBatch, Stretch
from mixpay.merkle import Frontier, lock_leaf
from mixpay.types import Amount, Value

_LOCK = 20


class Run:
    """A batch. Payer and payee hold the same run as soon as the same acknowledgements are known to both."""

    __slots__ = (
        "_frontier",
        "_locks",
        "_numbers",
        "_values",
        "amount",
        "commitment",
        "cut",
        "high",
        "number",
        "price",
        "recent",
        "short",
        "signed",
        "signed_count",
        "signed_value",
        "value",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.price = Amount(0)
        self.recent: list[PlacedTicket] = []
        """The newest tickets, those that no signature covers."""
        self.value = 0
        """Of all tickets, in hop prices."""
        self.amount = 0
        """The same in token units."""
        self.high = 0
        """Highest ticket number in the run."""
        self.signed: SignedBatch | None = None
        self.signed_count = 0
        """Tickets under the newest signature."""
        self.signed_value = 0
        """What these come to, in hop prices."""
        self.short = 0
        """Tickets that are written down in short."""
        self.cut: Cut | None = None
        self.commitment: Commitment | None = None
        self._values = bytearray()
        self._locks = bytearray()
        self._numbers = array("Q")  # of those that are not written down in short
        self._frontier = Frontier()

    def add(self, ticket: PlacedTicket) -> None:
        """Append the ticket, whose position is the next one."""
        seq, value = ticket.seq, ticket.value
        self.recent.append(ticket)
        self._values.append(value)
        self._locks += ticket.lock
        self._numbers.append(seq)
        self.value += value
        self.amount += value * self.price
        self.high = max(self.high, seq)

    @property
    def count(self) -> int:
        """Number of tickets."""
        return len(self._values)

    @property
    def unsigned(self) -> int:
        """Tickets without a signature over them."""
        return len(self._values) - self.signed_count

    @property
    def full(self) -> bool:
        """Whether the batch is cut, and every ticket up to the cut is here."""
        return self.cut is not None and self.count == self.cut.count

    def lock(self, position: int) -> bytes:
        """Return the lock, 20 bytes, of the ticket at a place."""
        return bytes(self._locks[position * _LOCK : (position + 1) * _LOCK])

    def value_at(self, position: int) -> Value:
        """Return the value, in hop prices, of the ticket at a place."""
        return Value(self._values[position])

    def seq_at(self, position: int) -> int | None:
        """Return the number of the ticket at a place, None if it is forgotten."""
        return self._numbers[position - self.short] if self.short <= position < self.count else None

    def grown(self, count: int) -> Frontier:
        """Return the locks' tree over the first `count` tickets; `count` is not below `signed_count`."""
        frontier = self._frontier.copy()
        for position in range(frontier.count, count):
            frontier.append(lock_leaf(self.lock(position), self._values[position]))
        return frontier

    def value_of(self, count: int) -> Value:
        """Return what the first `count` tickets come to; `count` is not below `signed_count`."""
        return Value(self.signed_value + sum(self._values[self.signed_count : count]))

    def keep(self, signed: SignedBatch, frontier: Frontier | None = None) -> None:
        """Remember a signature and its tree, from which the next one grows."""
        self.signed = signed
        self.signed_value = self.value_of(signed.count)
        self.signed_count = signed.count
        del self.recent[: len(self.recent) - self.unsigned]
        if frontier is not None:
            self._frontier = frontier

    # ------------------------------------------------------------------ in short

    def shorten(self, most: int) -> tuple[ShortTickets, LocksTree] | None:
        """Take what is signed, `most` tickets at the utmost, as rows that take the place of theirs.

        Returns None if the locks' tree is not at hand. All later tickets' rows have to be written anew.
        """
        if self._frontier.count != self.signed_count or self.signed_count - self.short > most:
            return None
        first, self.short = self.short, self.signed_count
        row = self._short_row(first, self._numbers[: self.short - first])
        del self._numbers[: self.short - first]
        return row, LocksTree(self.number, self.short, self._frontier.left)

    def _short_row(self, first: int, numbers: Sequence[int]) -> ShortTickets:
        locks = bytes(self._locks[first * _LOCK : self.short * _LOCK])
        values = bytes(self._values[first : self.short])
        return ShortTickets(self.number, first, values, locks, numbers=stretches(numbers))

    def restore_short(self, rows: Iterable[ShortTickets], tree: LocksTree | None) -> None:
        """Take what the disk has of this batch in short. Nothing else is here yet."""
        for row in sorted(rows, key=lambda row: row.first):
            self._restore_row(row)
            self._values += row.values
            self.high = max([self.high, *(stretch.first + stretch.length - 1 for stretch in row.numbers)])
        self.short = len(self._values)
        self.value = sum(self._values)
        self.amount = self.value * self.price
        if tree is not None:
            self._frontier = Frontier.of(tree.count, tree.left)

    def _restore_row(self, row: ShortTickets) -> None:
        self._locks += row.locks


def stretches(numbers: Iterable[int]) -> tuple[Stretch, ...]:
    """Return ticket numbers as a row has them."""
    return tuple(Stretch(*one) for one in to_stretches(numbers))
