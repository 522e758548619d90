"""The payee's side of the channel book of one link. No I/O, no clock; `now` in seconds of any steady clock.

Rules
- A ticket whose packet is in order takes the next place of the open batch, is on disk, then acknowledged.
  The same ticket again gets the same acknowledgement, and its packet is not forwarded again.
- What the payer may owe is limited (see `limits`); a ticket above a limit is refused with the reason.
- A batch is cut when it is large or old enough, when it fills half the limits, when the channel closes, or
  when told; one at a time. New tickets go to the next batch. Once batch n is cut, no ticket comes in any
  more up to the highest number in batches before n, so the payer can forget those.
- A cut batch is redeemed when the payer has signed all of it, and all responses are in or their time is
  over. The root of the receipts is then fixed: a response that comes later is worth nothing.
- Openings are given for one set of 16 points only: more would show which single packets have no response.
- A voucher must be the payer's, for what is due at least. Then tickets and responses are forgotten. The same
  when the court has judged or was shown a voucher: see `payee_settling`.
- What the court is asked for is fixed, on disk, before it is asked: a batch as far as it is signed. That is
  the cut one or, if there is nothing to prove of it, the open one, which then takes no more tickets.
- A payer that sends what an honest one cannot send gets no more tickets accepted, until a right voucher
  comes. Settling what it owes stays possible.
- Without progress for `retry_interval`, everything unanswered is repeated: the payer answers repetitions.

    batch      event                          what happens                                         next
    ---------  -----------------------------  ---------------------------------------------------  ---------
    open       accept                         place, acknowledge                                   open
    open       on_batch                       check signer, count and root; keep the newest        open
    open       begin_settlement, tick if due  CUT                                                  cut
    cut        on_batch                       as above, up to the cut                              cut
    cut        on_response                    keep it                                              cut
    cut        all signed, and all responses  REDEEM with the root and sum of the receipts         redeemed
               or time over
    redeemed   on_samples                     remember the points: OPENINGS                        opened
    opened     on_samples, the same           the same OPENINGS                                    opened
    cut, ...   prepare_case                   write down what is demanded; no response counts now  demanded
    open       prepare_case, cut unprovable   the same; the cut batch is worth nothing any more    demanded
    redeemed,  on_voucher, as due             keep it, forget the batch                            settled
    ... demanded
    any        on_judgement, on_answer        keep the total, forget the batch                     settled
    any        a rule broken                  refuse; take no more tickets                         as before
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mixpay import eip712
from mixpay.book import limits as reasons
from mixpay.book.common import Totals
from mixpay.book.events import (
    Effect,
    Effects,
    SendAck,
    SendCut,
    SendOpenings,
    SendRedeem,
    SendRefuseTicket,
    Store,
    TicketTaken,
    in_order,
)
from mixpay.book.limits import Limits, refusal, room
from mixpay.book.payee_settling import SettlingPayee
from mixpay.book.receipt_run import ReceiptRun
from mixpay.book.rows import (
    MAX_LATE,
    Channel,
    Commitment,
    Cut,
    Demand,
    LateResponse,
    PlacedTicket,
    Response,
    Row,
    SignedBatch,
)
from mixpay.book.standing import Standing, batch_standing
from mixpay.types import Account, Amount, Value
from mixpay.wire.frames import SAMPLES

_NEXT = 2**64 - 1
"""A ticket number that none was given yet."""


class PayeeBook(SettlingPayee):
    """What one payer owes this relay. `domain` is that of Channels.

    `rows` are all that was stored, in any order, none for a new link; responses under way get their time
    anew. `restored`: see `LinkBook`.
    """

    def __init__(
        self,
        domain: eip712.Domain,
        payer: Account,
        payee: Account,
        limits: Limits,
        *,
        rows: Iterable[Row] = (),
        now: float = 0.0,
        restored: bool = False,
    ) -> None:
        super().__init__(domain, payer, payee, limits, restored=restored)
        self._told = False
        self._opened_at = now  # when the open batch got its first ticket
        self._deadline = now + limits.response_timeout  # for the responses of the cut batch
        self._progress_at = now
        by_class = self._load(rows)
        for run in self._runs():
            run.restore([*by_class[Response], *by_class[LateResponse]], by_class[Demand])
        self._skip()
        self._late = set(self._state.late)

    def known(self, seq: int) -> bool:
        """Say whether this ticket was taken already: `accept` repeats its ack, whatever the packet is."""
        return seq in self._open.taken or (self._cut is not None and seq in self._cut.taken)

    def accept(
        self, seq: int, lock: bytes, ack: bytes, value: Value, *, price: Amount, now: float
    ) -> Effects:
        """PACKET, after the packet, lock and hint were checked.

        A new ticket: Store, SendAck, TicketTaken. A known one: the same SendAck again, unless the payer has
        signed for it. Else SendRefuseTicket. `lock` 20 bytes, `ack` 32, `value` in hop prices as the packet's
        layer asks, `price` of a hop in token units at the packet's key epoch.
        """
        if self.known(seq):
            return tuple(_ack(ticket) for run in self._runs() for ticket in run.recent if ticket.seq == seq)
        reason = self.refusal(seq, value, price)
        if reason is not None:
            self._lost += 1
            return (SendRefuseTicket(seq, reason),)
        run = self._open
        if not run.count:
            self._opened_at = now
        if not self._acked_unsigned():
            self._progress_at = now
        ticket = PlacedTicket(run.number, run.count, seq, lock, value, ack)
        effects = self._place(run, ticket, price)
        return *effects, _ack(ticket), TicketTaken(run.number, ticket.position, seq)

    def refusal(
        self, seq: int, value: Value, price: Amount, ahead: int = 0, ahead_value: int = 0
    ) -> str | None:
        """Return why a new ticket would be refused, or None. Cheap: ask before the packet is opened.

        `ahead`: number of tickets that may be accepted before it, `ahead_value` what they come to.
        """
        if self.no_tickets is not None or self._open.demand is not None:
            return reasons.LINK_REFUSED
        if seq <= self._state.floor and seq not in self._late:
            return reasons.STALE_TICKET
        owed = self._acked_amount() + (ahead_value + value) * (self._open.price or price)
        return refusal(
            self.limits,
            self._channel,
            self._state.cumulative,
            price,
            unsigned=self._acked_unsigned() + ahead,
            owed=owed,
        )

    def at_limit(self, price: Amount) -> str | None:
        """Return why the next ticket, even one of the least value, would be refused for a limit, or None."""
        return self.refusal(_NEXT, Value(1), price)

    def takes_responses(self, batch: int, now: float) -> bool:
        """Say whether the response of a packet that is sent on now would be paid: not once the root of the
        receipts is out, nor so shortly before it that an acknowledgement in time may come after it.
        """
        run = self._run(batch)
        if run is None or run.is_fixed:
            return False
        return run is self._open or now <= self._deadline - self.limits.ack_timeout

    def on_response(self, batch: int, position: int, response: bytes, now: float) -> Effects:
        """The response of a ticket, 32 bytes, from the next relay's checked ack (the last layer: at once)."""
        run = self._run(batch)
        if run is None or run.is_fixed or not run.respond(position, response):
            return ()
        stored = Store((LateResponse if position < run.short else Response)(batch, position, response))
        return (stored,) if run is self._open else in_order([stored], self._redeem_if_ready(now))

    def on_batch(self, number: int, count: int, root: bytes, signature: bytes, now: float) -> Effects:
        """BATCH: the payer's signature over the first `count` tickets of a batch."""
        run = self._run(number)
        if run is None:
            return () if number <= self._state.upto_batch else self._accuse(reasons.WRONG_COUNT)
        if count <= run.signed_count:
            return ()
        if count > run.count:
            return self._accuse(reasons.WRONG_COUNT)
        value = run.value_of(count)
        message = eip712.Batch(self.payer, self.payee, number, count, value, run.price, root)
        if not eip712.signed_by(self.payer, message, self._domain, signature):
            return self._accuse(reasons.FORGED_BATCH)
        tree = run.grown(count)
        if tree.root() != root:
            return self._accuse(reasons.WRONG_ROOT)
        signed = SignedBatch(number, count, root, signature)
        run.keep(signed, tree)
        self._progress_at = now
        return in_order([Store(signed)], self._shorten(run), self._redeem_if_ready(now))

    def _shorten(self, run: ReceiptRun) -> Effects:
        """See `LinkBook`. Not while many responses are on their way: they would stand beside locks."""
        if run.is_fixed or 8 * (run.count - run.answered) > run.signed_count - run.short:
            return ()
        effects = super()._shorten(run)
        return in_order(effects, map(Store, run.later_responses())) if effects else ()

    def begin_settlement(self, now: float) -> Effects:
        """Settle what there is: SendCut now, or as soon as the settlement under way is done."""
        self._told = True
        return self._cut_if_due(now)

    def _cut_if_due(self, now: float) -> Effects:
        if self._cut is not None or not self._is_due(now):
            return ()
        run = self._cut = self._open
        run.cut = Cut(run.number, run.count)
        floor = max(self._state.floor, run.high)
        late = self._still_late(self._state.floor, floor)
        self._late = set(late)
        self._open = ReceiptRun(run.number + 1)
        self._told = False
        self._deadline = now + self.limits.response_timeout
        self._progress_at = now
        cut = SendCut(run.cut.number, run.cut.count)
        return in_order(
            [Store(run.cut), self._change(floor=floor, late=late), cut], self._redeem_if_ready(now)
        )

    def _is_due(self, now: float) -> bool:
        run, limits = self._open, self.limits
        if not run.count:
            self._told = False
            return False
        allowed = room(limits, self._channel, self._state.cumulative, run.price)
        return (
            self._told
            or run.demand is not None
            or run.count >= limits.settle_tickets
            or now - self._opened_at >= limits.settle_period
            or self._channel.closes_at > 0
            or 2 * run.value >= limits.max_unsettled
            or 4 * run.amount >= 3 * allowed
        )

    def _still_late(self, floor: int, high: int) -> tuple[int, ...]:
        """Return the newest missing ticket numbers in (floor, high], which may come until the next cut."""
        late: list[int] = []
        for seq in range(high, floor, -1):
            if not self.known(seq):
                late.append(seq)
                if len(late) == MAX_LATE:
                    break
        return tuple(late)

    def _redeem_if_ready(self, now: float) -> Effects:
        run = self._cut
        if run is None or run.commitment is not None or run.unsigned:
            return ()
        if run.answered < run.count and now < self._deadline:
            return ()
        tree = run.receipts()
        run.commitment = Commitment(run.number, tree.root, Value(tree.total))
        self._progress_at = now
        return Store(run.commitment), _redeem(run.commitment)

    def on_samples(self, number: int, points: Sequence[int], now: float) -> Effects:
        """SAMPLES: SendOpenings for 16 points below the total; for no others afterwards."""
        run = self._cut
        if run is None or run.number != number or run.commitment is None:
            return ()
        commitment, asked = run.commitment, tuple(points)
        if len(asked) != SAMPLES or not all(0 <= point < commitment.total for point in asked):
            return self._accuse(reasons.BAD_POINTS)
        if commitment.points and commitment.points != asked:
            return self._accuse(reasons.CHANGED_POINTS)
        self._progress_at = now
        run.commitment = Commitment(number, commitment.root, commitment.total, asked)
        return Store(run.commitment), *_openings(run)

    def on_channel(self, channel: Channel, now: float) -> Effects:
        """The chain's newest word on the channel. If it is closing: settle, and claim what there is."""
        if channel == self._channel:
            return ()
        self._channel = channel
        return in_order([Store(channel)], self._after(now))

    def tick(self, now: float) -> Effects:
        """Call about every second: settlements begin and go on in time, unanswered messages are repeated."""
        shorter = [effect for run in self._runs() for effect in self._shorten(run)]
        effects = in_order(shorter, self._cut_if_due(now), self._redeem_if_ready(now))
        if now - self._progress_at >= self.limits.retry_interval:
            return in_order(effects, self.resend(now))
        return effects

    def resend(self, now: float) -> Effects:
        """What the payer needs on a new connection: every ack without a signature, then the settlement."""
        self._progress_at = now
        effects: list[Effect] = []
        for run in self._runs():
            effects += map(_ack, run.recent)
        settling = self._cut
        if settling is not None:
            effects.append(SendCut(settling.number, settling.count))
            if settling.commitment is not None:
                effects.append(_redeem(settling.commitment))
                effects += _openings(settling)
        return tuple(effects)

    def standing(self, now: float) -> Standing:
        """How far its batches are."""
        waiting = max(0.0, self._deadline - now)
        return Standing(
            open=batch_standing(self._open, waits=True),
            cut=None if self._cut is None else batch_standing(self._cut, waits=waiting > 0),
            cut_in=max(0.0, self._opened_at + self.limits.settle_period - now),
            redeemed_in=waiting,
        )

    def totals(self, price: Amount) -> Totals:
        """The book in numbers; the room is computed at this hop price."""
        state = self._state
        return Totals(
            unsigned=self._acked_unsigned(),
            unsettled=Value(sum(run.value for run in self._runs())),
            opened=Value(sum(run.opened for run in self._runs())),
            settled=state.settled,
            receipts=state.receipts,
            lost=self._lost,
            cumulative=state.cumulative,
            upto_batch=state.upto_batch,
            deposit=self._channel.deposit,
            claimed=self._channel.claimed,
            room=room(self.limits, self._channel, state.cumulative, price),
            refused=self.no_tickets,
        )


def _ack(ticket: PlacedTicket) -> SendAck:
    return SendAck(ticket.batch, ticket.position, ticket.seq, ticket.ack)


def _redeem(commitment: Commitment) -> SendRedeem:
    return SendRedeem(commitment.number, commitment.root, commitment.total)


def _openings(run: ReceiptRun) -> Effects:
    """Open the receipts at the points asked for, if they were."""
    if run.commitment is None or not run.commitment.points:
        return ()
    tree = run.receipts()
    return (SendOpenings(run.number, tuple(map(tree.open, run.commitment.points))),)
