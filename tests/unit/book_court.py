"""A court as far as books are concerned, batches for it, and a storm with it."""

from dataclasses import dataclass, field

from book_helpers import DOMAIN, PAYEE, PAYER, PRICE, Link
from book_storm import SMALL, Storm
from mixpay import eip712
from mixpay.book import Limits, rows
from mixpay.book.events import Store

COST = 1000 * PRICE


@dataclass
class Case:
    """What the chain keeps of a case, and what has become of it. `value` in hop prices; `demand`: if the
    payee's book asks for it; `true`: whether it can be proven, by receipts or by luck."""

    base: int
    number: int
    value: int
    demand: rows.Demand | None = None
    true: bool = True
    finishing: bool = False
    admitted: bool = False

    @property
    def total(self):
        return self.base + self.value * PRICE


@dataclass
class Report:
    """Of an outcome. `costs`: those in all that was judged until then."""

    kind: str
    number: int
    total: int
    value: int
    costs: int
    signature: bytes = b""


@dataclass
class Court:
    """ReceiptCourt as far as books are concerned: its reports, in order, and how far each side has read."""

    case: Case | None = None
    reports: list[Report] = field(default_factory=list)
    read: dict = field(default_factory=lambda: {"payer": 0, "payee": 0})
    judged: int = 0
    judged_number: int = 0
    costs: int = 0

    def open(self, link):
        """The payee's case, on what it has on disk; the chain knows the newest judgement."""
        (demand,) = link.disks["payee"].of(rows.Demand)
        named = demand.number, demand.count, demand.value, PRICE, demand.locks_root
        assert eip712.signed_by(PAYER, eip712.Batch(PAYER, PAYEE, *named), DOMAIN, demand.signature)
        assert self.takes(demand.number, demand.total, demand.value)
        state = link.payee.state
        assert state.upto_batch < demand.number
        if state.signature:
            base = eip712.Voucher(PAYER, PAYEE, state.cumulative, state.upto_batch)
            assert eip712.signed_by(PAYER, base, DOMAIN, state.signature)
        else:
            assert (state.cumulative, bool(state.upto_batch)) == (self.judged, bool(self.judged))
            assert self.judged_number <= state.upto_batch
        assert self.case is None
        self.case = Case(state.cumulative, demand.number, demand.total, demand)

    def takes(self, number, value, signed):
        """Whether a claim of so much is heard, about a batch that the payer has signed for `signed`."""
        return value <= signed and self.judged_number < number

    def answers(self, state):
        """Whether this side's voucher covers the case."""
        case = self.case
        return state.signature and state.upto_batch >= case.number and state.cumulative >= case.total

    def answer(self, state, side):
        case = self.case
        if state.upto_batch > case.number and side == "payer":
            case.admitted = True
            return
        self.case = None
        said = state.upto_batch, state.cumulative, case.value, self.costs
        self.reports.append(Report("answer", *said, state.signature))
        self._judge(*said[:3], 0)

    def finish(self):
        case, self.case = self.case, None
        costs = 0 if case.admitted else COST
        self._judge(case.number, case.total + costs, case.value, costs)

    def _judge(self, number, total, value, costs):
        if total > self.judged:
            self.costs += min(costs, total - self.judged)
            self.judged, self.judged_number = total, number
            self.reports.append(Report("judgement", number, total, value, self.costs))

    def tell(self, link, side, crash=None):
        """The next report for this side."""
        said = self.reports[self.read[side]]
        if crash is None:
            self.read[side] += 1
        about = said.number, said.total, said.value
        match side, said.kind:
            case "payer", "answer":
                return
            case "payer", _:
                effects = link.payer.on_judgement(*about, said.costs)
            case _, "answer":
                effects = link.payee.on_answer(*about[:2], said.signature, said.value, link.now)
            case _:
                effects = link.payee.on_judgement(*about, link.now)
        link.turn(side, effects, crash)

    def tell_all(self, link):
        for side in self.read:
            while self.read[side] < len(self.reports):
                self.tell(link, side)


def cut_batch(count=6, *, signed=None, opened=None, limits_=None):
    """A batch of `count` tickets of 4 that the payee has cut; `signed` of them, then the payer went away."""
    link = Link(limits=limits_ or Limits())
    link.carry(signed if signed is not None else count)
    link.tick(2.0)
    link.flow()
    for _ in range(count - link.payee.totals(PRICE).unsettled // 4):
        link.issue()
        link.turn("payee", link.handle("payee", link.wires["payee"].popleft()))
        link.wires["payer"].clear()
    link.respond_all(keep=lambda ticket: opened is None or ticket.position in opened)
    link.turn("payee", link.payee.begin_settlement(link.now))
    link.wires["payer"].clear()
    return link


def demanded(*args, **kwargs):
    link = cut_batch(*args, **kwargs)
    link.turn("payee", link.payee.prepare_case())
    return link, link.payee.demand


class CourtStorm(Storm):
    """A storm with a court in it: cases are opened, finished, answered at any moment, and read of late."""

    def __init__(self, seed, limits=SMALL, shielded=False):
        """`shielded`: responses come for every second batch only."""
        super().__init__(seed, limits)
        self.court = Court()
        self.shielded = shielded
        self.skipped = 0
        self.acked = {}
        """What the payer has ever acknowledged: tickets by their places."""
        self.link.turn, self._turn = self._watched_turn, self.link.turn
        self.STEPS = {**Storm.STEPS, "tell": 3, "prepare": 2, "open": 2, "finish": 1, "mine": 1, "answer": 1,
                      "admit": 1, "again": 1}  # fmt: skip

    def _watched_turn(self, side, effects, crash=None):
        """After each step of the payer's, it has signed for what was acknowledged and judged, and no more."""
        if side == "payer" and crash != "before":
            placed = [e.row for e in effects if isinstance(e, Store) and isinstance(e.row, rows.PlacedTicket)]
            self.acked |= {(ticket.batch, ticket.position): ticket.value for ticket in placed}
        done = self._turn(side, effects, crash)
        assert self.link.payer.state.cumulative <= self.owed_at_most()
        return done

    def owed_at_most(self):
        return sum(self.acked.values()) * PRICE + self.court.costs

    def tell(self, crash):
        side = self.dice.choice(["payer", "payee"])
        if self.court.read[side] < len(self.court.reports):
            self.court.tell(self.link, side, crash)

    def again(self, _):
        """A side reads all of it once more, as after a restart."""
        self.court.read[self.dice.choice(["payer", "payee"])] = 0

    def respond(self, crash):
        tickets = self.link.disks["payee"].tickets()
        if not self.shielded:
            super().respond(crash)
        elif tickets:
            ticket = self.dice.choice(tickets)
            if ticket.batch % 2 == 0:
                self.link.respond(ticket, crash)

    def prepare(self, crash):
        self.link.turn("payee", self.link.payee.prepare_case(), crash)

    def open(self, _):
        on_disk = self.link.disks["payee"].of(rows.Demand)
        if on_disk and self.court.case is None and self.court.read["payee"] == len(self.court.reports):
            self.court.open(self.link)
            self.skipped += self.court.case.number > self.link.payee.state.upto_batch + 1

    def finish(self, _):
        """The payee sends its samples, unless it has the voucher by now."""
        case = self.court.case
        if case is not None and case.demand and not self.court.answers(self.link.payee.state):
            assert self.link.payee.demand == case.demand
            case.finishing = True

    def mine(self, _):
        if self.court.case is not None and self.court.case.finishing:
            self.court.finish()

    def answer(self, _):
        side = self.dice.choice(["payer", "payee"])
        state = getattr(self.link, side).state
        if self.court.case is not None and self.court.answers(state):
            self.court.answer(state, side)

    def admit(self, crash):
        case = self.court.case
        if case is not None:
            claim = case.number, case.total, case.value, self.court.costs
            self.link.turn("payer", self.link.payer.admit(*claim), crash)

    def compare(self):
        if not self.link.payee.state.is_judged:
            super().compare()

    def calm(self):
        if self.court.case is not None and self.court.case.true:
            self.court.finish()
        self.court.tell_all(self.link)
        super().calm()
