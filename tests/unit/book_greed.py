"""A storm whose payee goes to court for all it can get, about any batch that the payer ever signed."""

from book_court import Case, CourtStorm
from book_helpers import PRICE
from book_storm import SMALL
from mixpay.book import limits, rows
from mixpay.book.events import Store


class GreedyStorm(CourtStorm):
    """Its book is an honest payee's, but it settles without the receipts that it keeps back, and sues beside
    it: on any total that was ever signed or judged, for anything, which luck may prove without a receipt."""

    def __init__(self, seed, limits=SMALL):
        super().__init__(seed, limits)
        self.values = {}
        """Of all tickets, by batch, in order."""
        self.signed = {}
        """How many of them the payer has signed, by batch."""
        self.vouchers = {(0, 0)}
        self.STEPS = {**self.STEPS, "sue": 4, "answer": 2, "admit": 2, "finish": 4, "lapse": 1, "settle": 3,
                      "cheat": 1}  # fmt: skip

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
        assert set(self.link.reasons("payer")) <= {limits.PADDED_TOTAL}

    def cheat(self, crash):
        """Seldom: it is caught on the link, which is closed for good, and has only the court from then on."""
        if self.dice.random() < 0.2:
            number = self.link.payer.state.upto_batch + 1
            self.link.turn("payer", self.link.payer.on_redeem(number, bytes(32), 10**9), crash)

    def compare(self):
        """A payer that has read all admits whatever is claimed: else luck would make it pay for the court."""
        super().compare()
        case = self.court.case
        if case is not None and self.court.read["payer"] == len(self.court.reports):
            assert self.link.payer.admits(case.number, case.total, self.court.costs)

    def sue(self, _):
        """The court hears no claim of more than was signed, nor of what was judged."""
        numbers = [number for number in sorted(self.signed) if self.court.takes(number, 0, 0)]
        if self.court.case is not None or not numbers:
            return
        number = min(self.dice.choices(numbers, k=3))  # the later a judgement is, the fewer cases remain
        bases = [total for total, upto in self.vouchers if upto < number]
        bases.append(self.court.judged)
        signed = sum(self.values[number][place] for place in range(self.signed[number]))
        base, value = self.dice.choice(sorted(bases)), signed
        if self.dice.random() < 0.3:
            newest = self.link.payer.state.cumulative // PRICE - base // PRICE
            value = self.dice.choice([signed + 1, max(1, newest), self.dice.randint(1, signed)])
        if self.court.takes(number, value, signed):
            self.court.case = Case(base, number, value, true=self.dice.random() < 0.8)

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
            assert self.court.answers(self.link.payer.state)
            self.court.answer(self.link.payer.state, "payer")
        super().mine(crash)
        while self.court.read["payer"] < len(self.court.reports):
            self.court.tell(self.link, "payer")

    def calm(self):
        if self.court.case is not None:
            self.court.case.finishing = self.court.case.true
            self.mine(None)
        super().calm()
