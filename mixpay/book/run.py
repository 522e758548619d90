"""One batch in memory: its tickets in the order of their acknowledgement, and the root of every prefix."""

from __future__ import annotations

from collections.abc import Iterable

from mixpay import court
from mixpay.book.rows import Commitment, Cut, Demand, PlacedTicket, Response, SignedBatch
from mixpay.merkle import NO_RESPONSE, Frontier, SumTree, lock_leaf
from mixpay.types import Amount, Value


class Run:
    """A batch. Payer and payee hold the same run as soon as the same acknowledgements are known to both."""

    __slots__ = (
        "_frontier",
        "amount",
        "commitment",
        "cut",
        "high",
        "number",
        "price",
        "signed",
        "signed_count",
        "signed_value",
        "tickets",
        "value",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.price = Amount(0)
        self.tickets: list[PlacedTicket] = []
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
        self.cut: Cut | None = None
        self.commitment: Commitment | None = None
        self._frontier = Frontier()

    def add(self, ticket: PlacedTicket) -> None:
        """Append the ticket, whose position is the next one."""
        self.tickets.append(ticket)
        self.value += ticket.value
        self.amount += ticket.value * self.price
        self.high = max(self.high, ticket.seq)

    @property
    def unsigned(self) -> int:
        """Tickets without a signature over them."""
        return len(self.tickets) - self.signed_count

    @property
    def full(self) -> bool:
        """Whether the batch is cut, and every ticket up to the cut is here."""
        return self.cut is not None and len(self.tickets) == self.cut.count

    def grown(self, count: int) -> Frontier:
        """Return the locks' tree over the first `count` tickets; `count` is not below `signed_count`."""
        frontier = self._frontier.copy()
        for ticket in self.tickets[frontier.count : count]:
            frontier.append(lock_leaf(ticket.lock, ticket.value))
        return frontier

    def value_of(self, count: int) -> Value:
        """Return what the first `count` tickets come to; `count` is not below `signed_count`."""
        return Value(self.signed_value + sum(t.value for t in self.tickets[self.signed_count : count]))

    def keep(self, signed: SignedBatch, frontier: Frontier | None = None) -> None:
        """Remember a signature and its tree, from which the next one grows (without one: from the start)."""
        self.signed = signed
        self.signed_value = self.value_of(signed.count)
        self.signed_count = signed.count
        if frontier is not None:
            self._frontier = frontier


class ReceiptRun(Run):
    """The payee's batch: the tickets, and the responses that make receipts of them."""

    __slots__ = ("_receipts", "demand", "given_up", "opened", "responses")

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.responses: dict[int, bytes] = {}
        self.opened = 0
        """Of the tickets with a response, in hop prices."""
        self.demand: Demand | None = None
        self.given_up = False
        """Whether nothing is asked for this batch any more, for a case is about the next one."""
        self._receipts: SumTree | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether it is out what is asked for: a response that comes now is worth nothing."""
        return self.commitment is not None or self.demand is not None or self.given_up

    def restore(self, responses: Iterable[Response], demands: Iterable[Demand]) -> None:
        """Take what the disk has of this batch beside its tickets."""
        for row in responses:
            if row.batch == self.number:
                self.respond(row.position, row.response)
        self.demand = next((row for row in demands if row.number == self.number), None)

    def respond(self, position: int, response: bytes) -> bool:
        """Take the response of the ticket at a place. Returns False if there is none, or it has one."""
        if not 0 <= position < len(self.tickets) or position in self.responses:
            return False
        self.responses[position] = response
        self.opened += self.tickets[position].value
        return True

    def give_up(self) -> None:
        """Ask for nothing any more."""
        self.given_up = True
        self.responses, self.opened = {}, 0

    def receipts(self) -> SumTree:
        """Return the tree of the receipts. It is made once: no response may come in after the first call."""
        if self._receipts is None:
            self._receipts = self._tree(len(self.tickets))
        return self._receipts

    def signed_receipts(self) -> tuple[int, int]:
        """Return the number and the value of the receipts under the payer's newest signature."""
        values = [t.value for t in self.tickets[: self.signed_count] if t.position in self.responses]
        return len(values), sum(values)

    @property
    def provable(self) -> int:
        """What a case can claim, in hop prices: what is demanded, or could be now."""
        return self.signed_receipts()[1] if self.demand is None else self.demand.total

    def make_demand(self) -> Demand | None:
        """Return what a court can be asked for, or None if no receipt is under a signature of the payer's."""
        signed = self.signed
        if signed is None or not self.signed_receipts()[1]:
            return None
        tree, promised = self._tree(signed.count), (signed.root, signed.signature)
        value = Value(self.signed_value)
        return Demand(self.number, signed.count, value, *promised, tree.root, Value(tree.total))

    def evidence(self) -> court.Evidence | None:
        """Return what the court is shown for the demand, or None without one."""
        if self.demand is None:
            return None
        count = self.demand.count
        shown = [
            court.Receipt(ticket.lock, Value(ticket.value), self.responses.get(ticket.position))
            for ticket in self.tickets[:count]
        ]
        return court.Evidence(shown, self._tree(count))

    def _tree(self, count: int) -> SumTree:
        """The tree of the receipts among the first `count` tickets."""
        return SumTree(
            [
                (self.responses[ticket.position], ticket.value)
                if ticket.position in self.responses
                else (NO_RESPONSE, 0)
                for ticket in self.tickets[:count]
            ]
        )
