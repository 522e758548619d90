"""The payer's side of the channel book of one link. No I/O, no clock; `now` in seconds of any steady clock.

Rules
- A ticket is on disk before it is sent. It takes a place in the window and counts against the payee's
  limits until it is settled, or lost: refused by the payee, or not acknowledged within `ack_timeout`.
- A lost ticket is remembered until the payee can no longer acknowledge it: a payee that has cut batch n
  takes no ticket up to the highest number in batches before n. So a late acknowledgement finds its ticket.
  Those refused for their packets, not for a limit, are forgotten, the newest excepted.
- A late acknowledgement is paid, but earns nothing upstream: withholding acknowledgements until they are
  worth nothing to us must not be a way to earn. So sixteen in time make up for one.
- With too many tickets lost, one more is promised each `probe_interval`, and as many as were acknowledged in
  time since: once they are settled, lost ones before them are forgotten. With too many acknowledged late, the
  same, and a sixteenth of them.
- Acknowledgements are taken strictly in the order of their positions, each once, and only if ack·G = hint.
  One that is ahead of a gap is left out: the payee repeats what no signature covers.
- The tickets acknowledged in a batch are signed every half window, or `batch_interval` after the first of
  them.
- A batch is cut by the payee, signed as a whole, sampled once, paid once. A payee that is caught is paid
  nothing for this batch on the link, which is refused for good. It can still go to court: see
  `payer_settling`.
- One cut at a time: the next is taken when the last is settled. Until then the payee repeats it: it may have
  read of a judgement before us.
- Everything the payee repeats is answered as it was the first time; the payee repeats what it misses.

    batch     event                       what happens                                        next
    --------  --------------------------  --------------------------------------------------  --------
    open      on_acks                     place, open upstream; sign if due                   open
    open      on_cut                      remember; following acks belong to the next batch   cut
    cut       on_acks                     place until the cut is reached, then sign it all    full
    full      on_redeem, total > 0        draw points, remember them with the root: SAMPLES   sampled
    full      on_redeem, total = 0        VOUCHER over the same cumulative                    settled
    sampled   on_redeem, the same         the same SAMPLES                                    sampled
    sampled   on_openings, all good       VOUCHER, forget the batch                           settled
    sampled   on_openings, one bad        remember the refusal                                refused
    settled   on_cut, on_redeem,          the newest VOUCHER                                  settled
              on_openings
    any       on_judgement, admit         VOUCHER over that total, forget the batch           settled
    any       a rule broken               remember the refusal                                refused
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from mixpay import eip712, proof
from mixpay.book import limits as reasons
from mixpay.book.common import Totals
from mixpay.book.events import (
    Effect,
    Effects,
    ForgetTickets,
    Refuse,
    SendBatch,
    SendSamples,
    SendTicket,
    Store,
    TicketOpened,
    Wait,
    in_order,
)
from mixpay.book.limits import Limits, refusal, room
from mixpay.book.payer_settling import SettlingPayer
from mixpay.book.rows import (
    Channel,
    Commitment,
    Cut,
    IssuedTicket,
    PlacedTicket,
    Row,
    Settlements,
    SignedBatch,
)
from mixpay.book.run import Run
from mixpay.book.sampling import draw_points, openings_hold
from mixpay.crypto.secp256k1 import LONG_POINT_SIZE
from mixpay.merkle import Opening
from mixpay.types import Account, Amount, Random, Value

Ack: TypeAlias = tuple[int, int, int, bytes]
"""Batch, position, ticket number, ack (32 bytes)."""

_Fresh: TypeAlias = tuple[Run, IssuedTicket, bytes]

_LATE_WEIGHT = 16  # timely acks that make up for a late one
_LARGEST_VALUE = 255  # u8 on the wire


class PayerBook(SettlingPayer):
    """What this relay promised to one payee, and what the payee acknowledged.

    `key` (32 bytes) signs for the payer's account in `domain` (Channels); `random` draws samples and the
    weights of batched checks. `rows` are all that was stored, in any order, none for a new link; tickets
    under way get their time anew. `restored`: see `LinkBook`.
    """

    def __init__(
        self,
        domain: eip712.Domain,
        key: bytes,
        payee: Account,
        limits: Limits,
        random: Random,
        *,
        rows: Iterable[Row] = (),
        now: float = 0.0,
        restored: bool = False,
    ) -> None:
        super().__init__(domain, key, payee, limits, restored=restored)
        self._random = random
        self._paused_until = self._sign_at = self._issued_at = now
        self._last_refused = 0
        self._late = 0
        self._timely = 0  # acks since the last loss; a late one was lost before
        by_class = self._load(rows)
        self._settlements = (by_class[Settlements] or [Settlements()])[0]
        highest = max(self._state.floor, *(run.high for run in self._runs()))
        self._promises.load(by_class[IssuedTicket], highest, now)

    def issue(
        self, lock: bytes, hint: bytes, value: Value, *, price: Amount, now: float, origin: bytes = b""
    ) -> Wait | Effects:
        """Promise a ticket: Store and SendTicket, or Wait with the reason why not now.

        `lock` 20 bytes, `hint` 65 bytes, `value` 1 to 255 hop prices, `price`
        of a hop in token units at the packet's key epoch. `origin`, up to 255 bytes, comes back with the
        ack. Raises ValueError if one is out of range.
        """
        if len(lock) != 20 or len(hint) != LONG_POINT_SIZE or not 1 <= value <= _LARGEST_VALUE or price < 1:
            raise ValueError("a ticket has a lock of 20 bytes, a hint of 65, a value of 1 to 255, a price")
        reason = self._why_wait(value * price, price, now)
        if reason is not None:
            return Wait(reason)
        ticket = IssuedTicket(self._promises.next_seq, lock, hint, value, price, origin)
        self._promises.add(ticket, now)
        self._issued_at = now
        return Store(ticket), SendTicket(ticket.seq, lock, hint, value)

    def at_limit(self, price: Amount, now: float) -> str | None:
        """Return why even a ticket of the least value would have to wait now, or None."""
        return self._why_wait(price, price, now)

    def _why_wait(self, amount: int, price: Amount, now: float) -> str | None:
        if self.no_tickets is not None:
            return reasons.LINK_REFUSED
        if now < self._paused_until:
            return reasons.PAYEE_REFUSES
        if self._promises.lost >= self.limits.max_lost and not self._may_probe(self._timely, now):
            return reasons.TOO_MANY_LOST
        made_up = self._timely // _LATE_WEIGHT
        if self._late > self.limits.max_late * _LATE_WEIGHT and not self._may_probe(made_up, now):
            return reasons.TOO_MANY_LATE
        owed = self._acked_amount() + self._promises.amount + amount
        return refusal(
            self.limits,
            self._channel,
            self._state.cumulative,
            price,
            unsigned=self._unsigned(),
            owed=owed,
        )

    def _may_probe(self, allowed: int, now: float) -> bool:
        """Whether a payee that lost or delayed too many gets one more: now and then, or as it is in time."""
        return self._promises.under_way < allowed or now >= self._issued_at + self.limits.probe_interval

    @property
    def under_way(self) -> int:
        """Number of tickets that may be acknowledged any moment."""
        return self._promises.under_way

    def _unsigned(self) -> int:
        return self._promises.under_way + self._acked_unsigned()

    def awaits_acks(self, now: float) -> bool:
        """Say whether acks are missing that may still be worth something upstream, if the link comes back."""
        missing = self._promises.under_way or self._promises.lost
        return bool(missing) and self.refused is None and now - self._issued_at < self.limits.longest_wait

    def unanswered(self, now: float, *, away: bool) -> Iterator[bytes]:
        """Where the tickets came from that will soon be acknowledged, if ever: the payee may just be slow.

        `away`: it is not there, and may acknowledge older ones, too, when it is back.
        """
        return self._promises.origins(-math.inf if away else now - self.limits.response_timeout)

    def on_ticket_refused(self, seq: int, reason: str, now: float) -> Effects:
        """REFUSE_TICKET: the ticket is lost; at a limit, issuing pauses for `batch_interval`.

        A packet refused for what it is never gets another answer, so its ticket is forgotten: else `max_lost`
        bad packets from one client would close the link for ever. All but the newest such ticket, whose
        number would be used again after a restart.
        """
        lost = tuple(self._lose([seq], reason))
        if not lost:
            return ()
        self._timely = 0
        if reason in reasons.LIMITS:
            self._paused_until = now + self.limits.batch_interval
            return lost
        forgotten, self._last_refused = sorted((seq, self._last_refused))
        if not forgotten:
            return lost
        self._promises.drop(forgotten)
        return ForgetTickets((forgotten,)), *lost

    def on_acks(self, acks: Iterable[Ack], now: float) -> Effects:
        """ACKs, many at a time: TicketOpened for each new one, SendBatch when due.

        A false ack, or one that contradicts earlier ones, refuses the link for good; those before it count.
        """
        if self.refused is not None:
            return (Refuse(self.refused),)
        fresh, repeated, fault = self._sift(acks)
        bad = proof.bad_acks([(ack, ticket.hint) for _, ticket, ack in fresh], self._random)
        if bad:
            del fresh[bad[0] :]
            fault = reasons.BAD_ACK
        cut_before = self._cut is not None and self._cut.full
        if not self._open.unsigned:
            self._sign_at = now + self.limits.batch_interval
        effects = self._take(fresh)
        if fault is not None:
            return in_order(effects, self._accuse(fault))
        if self._cut is not None and self._cut.full and not cut_before:
            effects += self._conclude(self._cut)
        again = [run.signed for run in self._runs() if run.number in repeated]
        return in_order(effects, self._sign_if_due(now), map(_batch, filter(None, again)))

    def _accuse(self, reason: str) -> Effects:
        """Refuse the link for good: no ack counts any more, so no ticket need say where it came from."""
        accused = super()._accuse(reason)
        seqs = self._promises.upto(self._promises.next_seq) if accused else ()
        return in_order(self._drop(seqs), accused)

    def _sift(self, acks: Iterable[Ack]) -> tuple[list[_Fresh], set[int], str | None]:
        """Return the acks that come next in their batches, the batches of known ones, and the first fault."""
        fresh: dict[int, _Fresh] = {}
        repeated: set[int] = set()
        fault = None
        following = {run.number: run.count for run in self._runs()}
        for batch, position, seq, ack in acks:
            run = self._run(batch)
            if run is None or position > following[batch]:
                continue  # settled, or ahead of a gap
            if position < following[batch]:
                repeated.add(batch)
                if run.seq_at(position) not in (seq, None):
                    fault = reasons.CHANGED_ACK
                    break
                continue
            ticket = None if seq in fresh else self._promises.find(seq)
            if ticket is None or (run.cut is not None and position >= run.cut.count):
                fault = reasons.UNKNOWN_TICKET if ticket is None else reasons.ACK_AFTER_CUT
                break
            fresh[seq] = (run, ticket, ack)
            following[batch] += 1
        return list(fresh.values()), repeated, fault

    def _take(self, fresh: Sequence[_Fresh]) -> list[Effect]:
        effects: list[Effect] = []
        for run, ticket, ack in fresh:
            seq = ticket.seq
            if self._promises.is_lost(seq):
                self._late += _LATE_WEIGHT
            else:
                self._late, self._timely = max(0, self._late - 1), self._timely + 1
            self._promises.drop(seq)
            placed = PlacedTicket(run.number, run.count, seq, ticket.lock, ticket.value, ack)
            effects += self._place(run, placed, ticket.price)
        if fresh:
            effects.append(ForgetTickets(tuple(ticket.seq for _, ticket, _ in fresh)))
        effects += [TicketOpened(ticket.seq, ack, ticket.origin) for _, ticket, ack in fresh]
        return effects

    def _sign_if_due(self, now: float) -> Effects:
        """Sign the open batch when half a window of tickets is unsigned, or their time is over."""
        unsigned = self._open.unsigned
        if not unsigned or (2 * unsigned < self.limits.unsigned_window and now < self._sign_at):
            return ()
        return self._sign(self._open)

    def _sign(self, run: Run) -> Effects:
        count = run.count
        tree, value = run.grown(count), Value(run.value)
        message = eip712.Batch(self.payer, self.payee, run.number, count, value, run.price, tree.root())
        signature = eip712.sign(self._key, message.digest(self._domain))
        signed = SignedBatch(run.number, count, message.locks_root, signature)
        run.keep(signed, tree)
        return Store(signed), *self._shorten(run), _batch(signed)

    def _conclude(self, run: Run) -> Effects:
        """Sign a full batch, and forget the tickets that its payee can no longer acknowledge."""
        signed = (_batch(run.signed),) if run.signed and not run.unsigned else self._sign(run)
        return in_order(signed, self._forget_stale(run))

    def tick(self, now: float) -> Effects:
        """Call about every second: overdue tickets count as lost, a batch is signed in time."""
        if self.refused is not None:
            return ()
        lost = tuple(self._lose(self._promises.overdue(now - self.limits.ack_timeout), reasons.NO_ACK))
        if lost:
            self._timely = 0
        return in_order(lost, self._sign_if_due(now))

    def on_cut(self, number: int, count: int) -> Effects:
        """CUT: the batch ends at `count` tickets. SendBatch when all of them are acknowledged."""
        run = self._run(number)
        if self.refused is not None or run is None:
            return self._settled_or_refused(number)
        if run.cut is not None:
            if run.cut.count != count:
                return self._accuse(reasons.BAD_CUT)
            return (_batch(run.signed),) if run.full and run.signed else ()
        if count < max(1, run.count):
            return self._accuse(reasons.BAD_CUT)
        # Never two: after a restart the later one, taken for open, could be settled again and again.
        if self._cut is not None:
            return ()
        run.cut = Cut(number, count)
        self._cut, self._open = run, Run(number + 1)
        return in_order([Store(run.cut)], self._conclude(run) if run.full else ())

    def on_redeem(self, number: int, root: bytes, total: Value) -> Effects:
        """REDEEM: the payee's receipts. SendSamples, always the same; SendVoucher if there is no receipt."""
        run = self._run(number)
        if self.refused is not None or run is None:
            return self._settled_or_refused(number)
        if not run.full:
            return ()
        if total == 0 and run.commitment is None:
            return self._pay(run, total)
        if total > run.value:
            return self._accuse(reasons.PADDED_TOTAL)
        known = run.commitment or Commitment(number, root, total, draw_points(total, self._random))
        if (known.root, known.total) != (root, total):
            return self._accuse(reasons.CHANGED_ROOT)
        stored = () if run.commitment else (Store(known),)
        run.commitment = known
        return *stored, SendSamples(number, known.points)

    def on_openings(self, number: int, openings: Sequence[Opening]) -> Effects:
        """OPENINGS: the sampled receipts. All good: SendVoucher. One bad: nothing for this batch here."""
        run = self._run(number)
        if self.refused is not None or run is None:
            return self._settled_or_refused(number)
        if run.commitment is None:
            return ()
        if not openings_hold(run, run.commitment, openings):
            return self._accuse(reasons.BAD_SAMPLE)
        return self._pay(run, run.commitment.total)

    def _pay(self, run: Run, total: Value) -> Effects:
        return self._settle(run.number, Amount(self._state.cumulative + total * run.price), total)

    def _settled_or_refused(self, number: int) -> Effects:
        """Answer a message about a batch that is gone, or on a link that is refused."""
        if self.refused is not None:
            return (Refuse(self.refused),)
        return (self._voucher(),) if 0 < number <= self._state.upto_batch else ()

    def on_channel(self, channel: Channel) -> Effects:
        """The chain's newest word on the channel."""
        if channel == self._channel:
            return ()
        self._channel = channel
        return (Store(channel),)

    def resend(self, now: float) -> Effects:
        """What the payee needs on a new connection; the rest it asks for by repeating itself."""
        if self.refused is not None:
            return (Refuse(self.refused),)
        voucher = [self._voucher()] if self._state.upto_batch else []
        batches = [_batch(run.signed) for run in self._runs() if run.signed]
        commitment = self._cut.commitment if self._cut else None
        samples = [SendSamples(commitment.number, commitment.points)] if commitment else []
        return in_order(voucher, batches, samples)

    def totals(self, price: Amount) -> Totals:
        """The book in numbers; the room is computed at this hop price."""
        state = self._state
        return Totals(
            unsigned=self._unsigned(),
            unsettled=Value(self._promises.value + sum(run.value for run in self._runs())),
            opened=Value(0),
            settled=state.settled,
            receipts=0,
            lost=self._lost,
            cumulative=state.cumulative,
            upto_batch=state.upto_batch,
            deposit=self._channel.deposit,
            claimed=self._channel.claimed,
            room=room(self.limits, self._channel, state.cumulative, price),
            refused=self.no_tickets,
        )


def _batch(signed: SignedBatch) -> SendBatch:
    return SendBatch(signed.number, signed.count, signed.root, signed.signature)
