"""How a payee's batches are closed: by the payer's vouchers, or by what the court makes of a case.

Rules
- Vouchers and judgements are absolute totals of one series. For the newest settled batch the larger counts;
  one for an older batch changes nothing. So they may come twice, late, or out of order.
- While ours is a judgement, a voucher for less than is due from there is no fault: the payer may not have
  read of it yet. A voucher for what was judged, or more, takes the judgement's place.
- A batch that goes to court may be settled for what was demanded there, although more may be due by now.
"""

from __future__ import annotations

from mixpay import court, eip712
from mixpay.book import limits as reasons
from mixpay.book.common import LinkBook
from mixpay.book.events import BatchSettled, ClaimDue, Effect, Effects, ForgetBatch, Store, in_order
from mixpay.book.limits import Limits
from mixpay.book.rows import Demand, PlacedTicket
from mixpay.book.run import ReceiptRun
from mixpay.types import Account, Amount, Value


class SettlingPayee(LinkBook[ReceiptRun]):
    """What `payer` owes `payee`, without how it came about. `domain` is that of Channels."""

    def __init__(self, domain: eip712.Domain, payer: Account, payee: Account, limits: Limits) -> None:
        super().__init__(limits, ReceiptRun)
        self.payer = payer
        self.payee = payee
        self._domain = domain
        self._places: dict[int, PlacedTicket] = {}

    def _cut_if_due(self, now: float) -> Effects:
        """The next settlement begins, if it is due."""
        raise NotImplementedError

    # ------------------------------------------------------------------ vouchers

    def on_voucher(self, cumulative: Amount, upto_batch: int, signature: bytes, now: float) -> Effects:
        """VOUCHER: if it is what is due, keep it and forget the batch. ClaimDue if the channel is closing."""
        run, state = self._cut, self._state
        if upto_batch <= state.upto_batch:
            return self._renew(cumulative, upto_batch, signature)
        due = None if run is None or run.number != upto_batch else self._due(run)
        if run is None or due is None:
            return self._accuse(reasons.WRONG_VOUCHER)
        if not self._is_signed(cumulative, upto_batch, signature):
            return self._accuse(reasons.FORGED_VOUCHER)
        if cumulative < state.cumulative + due * run.price:
            return () if state.is_judged else self._accuse(reasons.WRONG_VOUCHER)
        value = self._settled_value(run, cumulative)
        return in_order(self._settle(upto_batch, cumulative, value, signature), self._after(now))

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
                for ticket in run.tickets:
                    del self._places[ticket.seq]
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
        amount = Amount(cumulative - before)
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
        return self._cut.demand if self._cut is not None else None

    @property
    def unsettled_cut(self) -> int | None:
        """The number of the batch that waits for its voucher; None if none does."""
        return self._cut.number if self._cut is not None else None

    @property
    def cut_price(self) -> Amount:
        """Hop price of the batch that waits for its voucher, in token units; 0 if none does."""
        return self._cut.price if self._cut is not None else Amount(0)

    def provable(self) -> tuple[Amount, Amount]:
        """What a case could claim now for the cut batch, and for all living ones, in token units."""
        amounts = [run.signed_receipts()[1] * run.price for run in self._runs()]
        first = amounts[0] if self._cut is not None else 0
        return Amount(first), Amount(sum(amounts))

    def prepare_case(self) -> Effects:
        """Fix what the court is asked for of the cut batch; nothing if there is nothing, or it is fixed."""
        run = self._cut
        if run is None or run.demand is not None:
            return ()
        run.demand = run.make_demand()
        return () if run.demand is None else (Store(run.demand),)

    def evidence(self) -> court.Evidence | None:
        """What the court is shown for `demand`."""
        return self._cut.evidence() if self._cut is not None else None

    def on_judgement(self, number: int, total: Amount, value: Value, now: float) -> Effects:
        """The court has judged an all-time total up to a batch; `value` of its receipts, in hop prices."""
        state = self._state
        if number > state.upto_batch:
            total = Amount(max(total, state.cumulative))
            return in_order(self._settle(number, total, value, b""), self._after(now))
        if number < state.upto_batch or total <= state.cumulative:
            return ()
        return in_order([self._change(cumulative=total, signature=b"")], self._claim_due())

    def on_answer(
        self, number: int, cumulative: Amount, signature: bytes, value: Value, now: float
    ) -> Effects:
        """The court was shown the payer's voucher for exactly the batches up to a case's."""
        if number <= self._state.upto_batch:
            return self._renew(cumulative, number, signature)
        total = Amount(max(cumulative, self._state.cumulative))
        return in_order(self._settle(number, total, value, signature), self._after(now))
