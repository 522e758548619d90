"""A storm whose payee goes to court for all it can get, about any batch that the payer ever signed."""

from book_court import Case, CourtStorm
from book_helpers import PRICE
from mixpay.book import rows
from mixpay.book.events import Store


class GreedyStorm(CourtStorm):
    """Its book is an honest payee's, but it settles without the receipts that it keeps back, and sues beside
    it: on any total that was ever signed or judged, for what it can prove, or for more."""

    def __init__(self, seed):
        super().__init__(seed)
        self.values = {}
        """Of all tickets, by batch, in order."""
        self.signed = {}
        """How many of them the payer has signed, by batch."""
        self.vouchers = {(0, 0)}
        self.STEPS = {**self.STEPS, "sue": 4, "answer": 3, "admit": 3, "finish": 3, "lapse": 1, "settle": 3}

    def _watched_turn(self, side, effects, crash=None):
        done = super()._watched_turn(side, effects, crash)
        for row in [e.row for e in effects if isinstance(e, Store)] if side == "payee" else []:
            if isinstance(row, rows.PlacedTicket):
                self.values.setdefault(row.batch, {})[row.position] = row.value
            elif isinstance(row, rows.SignedBatch):
                self.signed[row.number] = max(row.count, self.signed.get(row.number, 0))
        state = self.link.payee.state
        if state.signature:
            self.vouchers.add((state.cumulative, state.upto_batch))
        self.vouchers.add((self.link.payer.state.cumulative, self.link.payer.state.upto_batch))
        return done

    def blame(self):
        """Its own book, which knows nothing of these cases, takes what answers them for a fault."""
        assert not self.link.reasons("payer")

    def sue(self, _):
        """True claims are what a payer that has read all admits: else it would pay for the court."""
        if self.court.case is not None or not self.signed:
            return
        number = self.dice.choice(sorted(self.signed))
        bases = [total for total, upto in self.vouchers if upto < number]
        if self.court.judged_number < number:
            bases.append(self.court.judged)
        value = sum(self.values[number][place] for place in range(self.signed[number]))
        case = Case(self.dice.choice(sorted(bases)), number, value)
        if self.dice.random() < 0.3:
            case.true = False
            newest = self.link.payer.state.cumulative // PRICE - case.base // PRICE
            case.value = self.dice.choice([value + 1, max(1, newest), self.dice.randint(1, 200)])
        self.court.case = case
        if case.true and self.court.read["payer"] == len(self.court.reports):
            assert self.link.payer.admits(number, case.total, self.court.costs)

    def finish(self, crash):
        case = self.court.case
        if case is not None and case.demand is None:
            case.finishing = case.true
        else:
            super().finish(crash)

    def lapse(self, _):
        if self.court.case is not None and not self.court.case.true:
            self.court.case = None


class AttendedStorm(GreedyStorm):
    """The payer is always there: it reads what is judged at once, and answers before a case can be proven."""

    def mine(self, crash):
        case = self.court.case
        if case is not None and case.finishing:
            self.admit(None)
            if self.court.answers(self.link.payer.state):
                self.court.answer(self.link.payer.state, "payer")
        super().mine(crash)
        while self.court.read["payer"] < len(self.court.reports):
            self.court.tell(self.link, "payer")

    def calm(self):
        if self.court.case is not None:
            self.court.case.finishing = self.court.case.true
            self.mine(None)
        super().calm()
