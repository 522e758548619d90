"""How a payee's batches are closed: by the payer's vouchers, or by what the court makes of a case.

Rules
- Vouchers and judgements are absolute totals of one series: the larger counts. A voucher up to an older batch
  changes nothing; a judgement up to one is owed, too. So they may come twice, late, or out of order.
- A voucher for 2^95 or more is not taken: there must be room for what builds on it, since the court judges
  totals of 96 bits, costs included.
- While ours is a judgement, a voucher for less than is due from there is no fault: the payer may not have
  read of it yet. A voucher for what was judged, or more, takes the judgement's place.
- A batch that goes to court may be settled for what was demanded there, although more may be due by now.
- A case is about the cut batch or, where that has no receipt under the payer's signature, about the next
  one: else a payer that keeps one batch from being provable could never be sued again. The case builds on the
  newest total, and its judgement contains nothing of the batch that it skips. So from the demand on nothing
  is asked for that batch any more: its receipts, all without signature, are given up, and a payer that comes
  back settles it for nothing, before it settles the next one for what is demanded.
- What is demanded of an open batch is all that it will ever be worth, so it takes no tickets.
- A book that was restored from an older copy takes a voucher for batches that it has forgotten, if it is for
  no less than what the book can prove up to there: it is all that will ever be paid of them.
- A total without a signature is just what the court pays, even if a payer had signed for more than was due.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from mixpay import court, eip712
from mixpay.book import limits as reasons
from mixpay.book.common import LinkBook
from mixpay.book.events import BatchSettled, ClaimDue, Effect, Effects, ForgetBatch, Store, in_order
from mixpay.book.limits import Limits
from mixpay.book.receipt_run import ReceiptRun
from mixpay.book.rows import Demand
from mixpay.types import Account, Amount, Value

_TOO_MUCH = 2**95
"""Token units: half of what a total can be."""


class SettlingPayee(LinkBook[ReceiptRun], ABC):
    """What `payer` owes `payee`, without how it came about. `domain` is that of Channels."""

    def __init__(
        self, domain: eip712.Domain, payer: Account, payee: Account, limits: Limits, *, restored: bool = False
    ) -> None:
        super().__init__(limits, ReceiptRun, restored=restored)
        self.payer = payer
        self.payee = payee
        self._domain = domain

    @abstractmethod
    def _cut_if_due(self, now: float) -> Effects:
        """The next settlement begins, if it is due."""

    # ------------------------------------------------------------------ vouchers

    def on_voucher(self, cumulative: Amount, upto_batch: int, signature: bytes, now: float) -> Effects:
        """VOUCHER: if it is what is due, keep it and forget the batch. ClaimDue if the channel is closing."""
        run, state = self._run(upto_batch), self._state
        if upto_batch <= state.upto_batch:
            return self._renew(cumulative, upto_batch, signature)
        if self.restored:
            return self._recover(cumulative, upto_batch, signature, now)
        due = None if run is None else self._due(run)
        if run is None or due is None or cumulative >= _TOO_MUCH:
            return self._accuse(reasons.WRONG_VOUCHER)
        if not self._is_signed(cumulative, upto_batch, signature):
            return self._accuse(reasons.FORGED_VOUCHER)
        if cumulative < state.cumulative + due * run.price:
            return () if state.is_judged else self._accuse(reasons.WRONG_VOUCHER)
        value = self._settled_value(run, cumulative)
        return in_order(self._settle(upto_batch, cumulative, value, signature), self._after(now))

    def _recover(self, cumulative: Amount, upto_batch: int, signature: bytes, now: float) -> Effects:
        """A voucher that may be for what was forgotten. What it is for in hop prices, nobody can tell."""
        proven = sum(run.provable * run.price for run in self._runs() if run.number <= upto_batch)
        if not self._state.cumulative + proven <= cumulative < _TOO_MUCH:
            return ()
        if not self._is_signed(cumulative, upto_batch, signature):
            return ()
        return in_order(self._settle(upto_batch, cumulative, Value(0), signature), self._after(now))

    def _is_signed(self, cumulative: Amount, upto_batch: int, signature: bytes) -> bool:
        message = eip712.Voucher(self.payer, self.payee, cumulative, upto_batch)
        return eip712.signed_by(self.payer, message, self._domain, signature)

    @staticmethod
    def _due(run: ReceiptRun) -> Value | None:
        """The least that settles a batch, in hop prices: what was redeemed, or demanded in court."""
        asked = [row.total for row in (run.commitment, run.demand) if row is not None]
        return Value(min(asked)) if asked else None

    def _settled_value(self, run: ReceiptRun, cumulative: Amount) -> Value:
        """What a voucher is for. If it is for neither, the payer has read of a judgement before us."""
        amount = cumulative - self._state.cumulative
        if run.commitment is not None and (run.demand is None or amount == run.commitment.total * run.price):
            return run.commitment.total
        return run.demand.total if run.demand is not None else Value(0)

    def _renew(self, cumulative: Amount, upto_batch: int, signature: bytes) -> Effects:
        """A voucher for a batch that is settled: of use if it is for more, or if we have only a judgement."""
        state = self._state
        useful = state.is_judged if cumulative == state.cumulative else cumulative > state.cumulative
        if upto_batch < max(1, state.upto_batch) or not useful:
            return ()
        if cumulative >= _TOO_MUCH:
            return self._accuse(reasons.WRONG_VOUCHER)
        if not self._is_signed(cumulative, upto_batch, signature):
            return self._accuse(reasons.FORGED_VOUCHER)
        return in_order([self._change(cumulative=cumulative, signature=signature)], self._claim_due())

    def _settle(self, number: int, cumulative: Amount, value: Value, signature: bytes) -> list[Effect]:
        """Close all batches up to a number; `value` of their receipts in hop prices."""
        before, floor, receipts = self._state.cumulative, self._state.floor, 0
        for run in self._runs():
            if run.number <= number:
                receipts += run.signed_receipts()[0]
                floor = max(floor, run.high)
        self._leave(number)
        state = self._change(
            cumulative=cumulative,
            upto_batch=number,
            signature=signature,
            settled=Value(self._state.settled + value),
            receipts=self._state.receipts + receipts,
            floor=floor,
            refusal=(),
        )
        amount = Amount(max(0, cumulative - before))
        return [state, ForgetBatch(number), BatchSettled(number, value, amount, cumulative)]

    def _claim_due(self) -> Effects:
        owed = self._state.cumulative > self._channel.claimed
        return (ClaimDue(reasons.CHANNEL_CLOSING),) if self._channel.closes_at and owed else ()

    def _after(self, now: float) -> Effects:
        """What a settlement makes room for."""
        return in_order(self._claim_due(), self._cut_if_due(now))

    # ------------------------------------------------------------------ court

    @property
    def demand(self) -> Demand | None:
        """What the court is, or is about to be, asked for."""
        run = self._demanded()
        return run.demand if run is not None else None

    @property
    def unsettled_cut(self) -> int | None:
        """The number of the batch that waits for its voucher; None if none does."""
        return self._cut.number if self._cut is not None else None

    @property
    def case_batch(self) -> int | None:
        """The number of the batch that a case is, or would be, about; None while none has to be settled."""
        run = self._at_issue()
        return run.number if run is not None else None

    @property
    def case_price(self) -> Amount:
        """Hop price of that batch, in token units; 0 if there is none."""
        run = self._at_issue()
        return run.price if run is not None else Amount(0)

    def provable(self) -> tuple[Amount, Amount]:
        """What a case could claim now for `case_batch`, and for all living batches, in token units."""
        run = self._at_issue()
        first = run.provable * run.price if run is not None else 0
        return Amount(first), Amount(sum(run.provable * run.price for run in self._runs()))

    def prepare_case(self) -> Effects:
        """Fix what the court is asked for of `case_batch`; nothing if there is nothing, or it is fixed."""
        run = self._at_issue()
        if run is None or run.demand is not None:
            return ()
        run.demand = run.make_demand()
        self._skip()
        return () if run.demand is None else (Store(run.demand),)

    def evidence(self) -> court.Evidence | None:
        """What the court is shown for `demand`."""
        run = self._demanded()
        return run.evidence() if run is not None else None

    def _demanded(self) -> ReceiptRun | None:
        return next((run for run in self._runs() if run.demand is not None), None)

    def _at_issue(self) -> ReceiptRun | None:
        """What is demanded; else the first batch with something to demand, once one has to be settled."""
        demanded = self._demanded()
        if demanded is not None or self._cut is None:
            return demanded
        return next((run for run in self._runs() if run.provable), self._cut)

    def _skip(self) -> None:
        """Give the cut batch up if the one after it is demanded."""
        if self._cut is not None and self._open.demand is not None:
            self._cut.give_up()

    def on_judgement(self, number: int, total: Amount, value: Value, now: float) -> Effects:
        """The court has judged an all-time total up to a batch; `value` of its receipts, in hop prices."""
        state = self._state
        if number > state.upto_batch:
            return in_order(self._settle(number, total, value, b""), self._after(now))
        return self._take_judged(total)

    def _take_judged(self, total: Amount) -> Effects:
        """A total that the court pays, for batches that are settled."""
        if total <= self._state.cumulative:
            return ()
        return in_order([self._change(cumulative=total, signature=b"")], self._claim_due())

    def on_answer(
        self, number: int, cumulative: Amount, signature: bytes, value: Value, now: float
    ) -> Effects:
        """A case was ended by the payer's voucher, up to its batch or a later one."""
        state = self._state
        if number < state.upto_batch:
            return self._take_judged(cumulative)  # as it is judged, unless more was
        if number == state.upto_batch:
            return self._renew(cumulative, number, signature)
        if cumulative < state.cumulative:
            return ()  # the case was built on less than we know by now; the judgement is told next
        return in_order(self._settle(number, cumulative, value, signature), self._after(now))
