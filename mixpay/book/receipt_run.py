"""The payee's batch: the tickets, and the responses that make receipts of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mixpay import court
from mixpay.book.numbers import Numbers, of_stretches
from mixpay.book.rows import Demand, LateResponse, PlacedTicket, Response, ShortTickets
from mixpay.book.run import Run, stretches
from mixpay.crypto import secp256k1
from mixpay.merkle import NO_RESPONSE, SumTree
from mixpay.types import Value

_LOCK, _RESPONSE = 20, 32


class ReceiptRun(Run):
    """A batch and its receipts. Of tickets that are written down in short only those without a response have
    a lock; from a response it is computed when somebody asks.
    """

    __slots__ = ("_receipts", "_responses", "_shown", "answered", "demand", "given_up", "opened", "taken")

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.taken = Numbers()
        """Numbers of all its tickets."""
        self.answered = 0
        """Tickets with a response."""
        self.opened = 0
        """What these come to, in hop prices."""
        self.demand: Demand | None = None
        self.given_up = False
        """Whether nothing is asked for this batch any more, for a case is about the next one."""
        self._responses = bytearray()
        self._shown: dict[int, bytes] = {}
        self._receipts: SumTree | None = None

    def add(self, ticket: PlacedTicket) -> None:
        """See `Run`."""
        super().add(ticket)
        self.taken.add(ticket.seq)
        self._responses += NO_RESPONSE

    def lock(self, position: int) -> bytes:
        """See `Run`."""
        if position >= self.short:
            return super().lock(position - self.short)
        return self._shown.get(position) or secp256k1.base_address(self._response(position))

    @property
    def is_fixed(self) -> bool:
        """Whether it is out what is asked for: a response that comes now is worth nothing."""
        return self.commitment is not None or self.demand is not None or self.given_up

    def restore(self, responses: Iterable[Response | LateResponse], demands: Iterable[Demand]) -> None:
        """Take what the disk has of this batch beside its tickets."""
        for row in responses:
            if row.batch == self.number:
                self.respond(row.position, row.response)
        self.demand = next((row for row in demands if row.number == self.number), None)

    def respond(self, position: int, response: bytes) -> bool:
        """Take the response, 32 bytes and not zero, of the ticket at a place. Returns False if there is no
        ticket, or it has a response. Raises ValueError for another size.
        """
        if len(response) != _RESPONSE:
            raise ValueError(f"a response has {_RESPONSE} bytes")
        if response == NO_RESPONSE or not 0 <= position < self.count:
            return False
        if self._response(position) != NO_RESPONSE:
            return False
        self._responses[position * _RESPONSE : (position + 1) * _RESPONSE] = response
        self._shown.pop(position, None)
        self.answered += 1
        self.opened += self._values[position]
        return True

    def _response(self, position: int) -> bytes:
        return bytes(self._responses[position * _RESPONSE : (position + 1) * _RESPONSE])

    def response(self, position: int) -> bytes | None:
        """Return the response, 32 bytes, that makes a receipt of the ticket at a place."""
        response = self._response(position)
        return None if self.given_up or response == NO_RESPONSE else response

    def give_up(self) -> None:
        """Ask for nothing any more."""
        self.given_up = True
        self.answered = self.opened = 0

    # ------------------------------------------------------------------ what is proven

    def receipts(self) -> SumTree:
        """Return the tree of the receipts. It is made once: no response may come in after the first call."""
        if self._receipts is None:
            self._receipts = self._tree(self.count)
        return self._receipts

    def signed_receipts(self) -> tuple[int, int]:
        """Return the number and the value of the receipts under the payer's newest signature."""
        values = [self._values[p] for p in range(self.signed_count) if self.response(p) is not None]
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
        shown = [court.Receipt(self.lock(p), self.value_at(p), self.response(p)) for p in range(count)]
        return court.Evidence(shown, self._tree(count))

    def _tree(self, count: int) -> SumTree:
        """The tree of the receipts among the first `count` tickets."""
        responses = map(self.response, range(count))
        return SumTree(
            [
                (NO_RESPONSE, 0) if response is None else (response, value)
                for response, value in zip(responses, self._values[:count], strict=True)
            ]
        )

    # ------------------------------------------------------------------ in short

    def later_responses(self) -> list[Response]:
        """The rows of responses of tickets that are not written down in short."""
        answers = ((p, self._response(p)) for p in range(self.short, self.count))
        return [Response(self.number, p, answer) for p, answer in answers if answer != NO_RESPONSE]

    def _short_row(self, first: int, numbers: Sequence[int]) -> ShortTickets:
        places = range(first, self.short)
        shown = [p for p in places if self._response(p) == NO_RESPONSE]
        locks = {p: bytes(self._locks[(p - first) * _LOCK : (p - first + 1) * _LOCK]) for p in shown}
        del self._locks[: len(places) * _LOCK]
        self._shown |= locks
        responses = b"".join(self._response(p) for p in places if p not in locks)
        return ShortTickets(
            self.number, first, bytes(self._values[first : self.short]), b"".join(locks.values()), responses,
            tuple(p - first for p in shown), stretches(numbers),
        )  # fmt: skip

    def _restore_row(self, row: ShortTickets) -> None:
        shown = {row.first + place: index for index, place in enumerate(row.shown)}
        at = 0
        for position in range(row.first, row.first + len(row.values)):
            if position in shown:
                start = shown[position] * _LOCK
                self._shown[position] = row.locks[start : start + _LOCK]
                self._responses += NO_RESPONSE
                continue
            self._responses += row.responses[at : at + _RESPONSE]
            at += _RESPONSE
            self.answered += 1
            self.opened += row.values[position - row.first]
        for number in of_stretches((stretch.first, stretch.length) for stretch in row.numbers):
            self.taken.add(number)
