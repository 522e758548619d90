"""How a payer's batches are closed: by its vouchers, or by what the court makes of a case.

Rules
- Totals are absolute, of one series. A judgement becomes our total, and we sign a voucher over it: the next
  batch then builds on the same total on both sides, and the payee needs no court to claim it.
- A judgement for the batch before the newest one, which we read of late, is owed and the newest batch too.
  One for an earlier batch is owed at least: what came after it, we have forgotten.
- What is owed for the newest batch is fixed when it is settled. Whatever a judgement or an admission adds to
  our total, it adds to the batches before, so that no order of them adds anything twice.
- A case is admitted, that is, a voucher is signed for what it claims and not a unit more, if our acknowledged
  tickets and the costs judged so far come to that much: a lost case would cost more than any tickets without
  receipts. That holds for batches settled before too: a payee may have kept receipts back to claim them in
  court, and each of its claims may build on the one before. It holds for a payee that was caught without its
  receipts as well: it may still have true ones, and win the court's costs with them.
- No case claims more of a batch than we signed it for, nor is a batch judged twice. So what can be claimed is
  admitted, once we have read all that was judged.
- A book that was restored from an older copy knows neither all batches nor all acknowledged tickets. It
  admits every case: the court opens none but upon a voucher and a batch that we have signed, or a judgement,
  for no more than the batch's value; and such a book signs no new batches, so no number stands for two.
- So our total is never more than what was ever acknowledged, and the costs that were judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mixpay import eip712
from mixpay.book import limits as reasons
from mixpay.book.common import LinkBook
from mixpay.book.events import (
    BatchSettled,
    Effects,
    ForgetBatch,
    ForgetTickets,
    SendVoucher,
    Store,
    TicketLost,
    in_order,
)
from mixpay.book.limits import Limits
from mixpay.book.promises import Promises
from mixpay.book.rows import Settlements
from mixpay.book.run import Run
from mixpay.types import Account, Amount, Value

_NOTHING = Amount(0)


class SettlingPayer(LinkBook[Run]):
    """What we owe `payee`, without how it came about. `key` (32 bytes) signs in `domain` (Channels)."""

    def __init__(
        self, domain: eip712.Domain, key: bytes, payee: Account, limits: Limits, *, restored: bool = False
    ) -> None:
        super().__init__(limits, Run, restored=restored)
        self.payer = eip712.account_of(key)
        self.payee = payee
        self._domain = domain
        self._key = key
        self._promises = Promises()
        self._settlements = Settlements()

    def _settle(
        self, number: int, cumulative: Amount, value: Value, acknowledged: Amount = _NOTHING
    ) -> Effects:
        """Close all batches up to a number with a voucher; `value` of their receipts in hop prices.
        `acknowledged`: what tickets ever came to in token units, at least, whatever we know of them."""
        before, most, forgotten = self._state.cumulative, self._settlements.most, []
        for run in self._runs():
            if run.number <= number:
                most = Amount(most + run.amount)
                if not run.full:  # else that was done when it became full
                    forgotten.append(self._forget_stale(run))
        newest = self._run(number)
        owed = min(cumulative - before, newest.amount) if newest is not None else 0
        self._leave(number)
        self._settlements = Settlements(Amount(cumulative - owed), max(most, acknowledged))
        settled = BatchSettled(number, value, Amount(cumulative - before), cumulative)
        voucher = self._promise(cumulative, number, Value(self._state.settled + value))
        return in_order([ForgetBatch(number)], *forgotten, voucher, [settled])

    def _promise(self, cumulative: Amount, number: int, settled: Value) -> Effects:
        """Sign a voucher: it is our newest from now on."""
        message = eip712.Voucher(self.payer, self.payee, cumulative, number)
        signature = eip712.sign(self._key, message.digest(self._domain))
        state = self._change(cumulative=cumulative, upto_batch=number, signature=signature, settled=settled)
        told = () if self.refused is not None else (self._voucher(),)
        return Store(self._settlements), state, *told

    def _voucher(self) -> SendVoucher:
        return SendVoucher(self._state.cumulative, self._state.upto_batch, self._state.signature)

    # ------------------------------------------------------------------ court

    def on_judgement(self, number: int, total: Amount, value: Value, costs: Amount = _NOTHING) -> Effects:
        """The court has judged an all-time total up to a batch; `value` of its receipts, in hop prices;
        `costs` in token units: all that were judged so far, with this judgement's. It may be told again.
        """
        state = self._state
        if number > state.upto_batch:
            acknowledged = Amount(max(0, total - costs))
            return self._settle(number, max(total, state.cumulative), value, acknowledged)
        newest = state.cumulative - self._settlements.before if number == state.upto_batch - 1 else 0
        return self._raise(Amount(total + newest), costs)

    def _raise(self, total: Amount, costs: Amount) -> Effects:
        """Owe this total at least, no more for the newest batch than before."""
        state, kept = self._state, self._settlements
        if total <= state.cumulative:
            return ()
        before = Amount(kept.before + total - state.cumulative)
        self._settlements = Settlements(before, Amount(max(kept.most, total - costs)))
        return self._promise(total, state.upto_batch, state.settled)

    def admits(self, number: int, total: Amount, costs: Amount = _NOTHING) -> bool:
        """Say whether a case that claims an all-time total up to a batch is to be admitted. `costs` in token
        units: all that were judged so far."""
        if self.restored:
            return True
        if number <= self._state.upto_batch:
            return total <= max(self._settlements.most + costs, self._state.cumulative)
        run = self._run(number)  # a batch that the case skips is not in what it claims
        return run is not None and total <= self._state.cumulative + run.amount

    def admit(self, number: int, total: Amount, value: Value, costs: Amount = _NOTHING) -> Effects:
        """Sign a voucher for what the case claims, if `admits`; else nothing. `value`: as for `on_judgement`.

        For a batch that is settled it is one up to the newest: if that is a later one, the case goes on.
        """
        if not self.admits(number, total, costs):
            return ()
        if number > self._state.upto_batch:
            return self.on_judgement(number, total, value, costs)  # as it will be judged when it is answered
        return self._raise(total, costs)

    # ------------------------------------------------------------------ tickets that come to nothing

    def _forget_stale(self, run: Run) -> Effects:
        """Forget the tickets that a payee which has cut this batch can no longer acknowledge."""
        stale = self._promises.upto(self._state.floor)
        lost = tuple(self._lose(stale, reasons.NO_ACK))
        forget = self._drop(stale)
        return *forget, self._change(floor=max(self._state.floor, run.high)), *lost

    def _drop(self, seqs: tuple[int, ...]) -> Effects:
        for seq in seqs:
            self._promises.drop(seq)
        return (ForgetTickets(seqs),) if seqs else ()

    def _lose(self, seqs: Iterable[int], reason: str) -> Iterator[TicketLost]:
        for seq in seqs:
            ticket = self._promises.lose(seq)
            if ticket is not None:
                self._lost += 1
                yield TicketLost(seq, reason, ticket.origin)
