"""The channel books of one relay, one for each payer and payee: their rows, and what they ask to be sent.

A *step* gathers what one event changes: rows for the disk first, then everything else. It is committed as one
transaction; frames leave, and the relay itself goes on, only when it is on disk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from mixpay import eip712
from mixpay.book import Limits, PayeeBook, PayerBook
from mixpay.book.events import (
    FOR_DISK,
    BatchSettled,
    ClaimDue,
    Effect,
    Refuse,
    SendAck,
    SendBatch,
    SendCut,
    SendOpenings,
    SendRedeem,
    SendRefuseTicket,
    SendSamples,
    SendTicket,
    SendVoucher,
    TicketLost,
    TicketOpened,
    TicketTaken,
)
from mixpay.book.rows import Row
from mixpay.merkle import Opening
from mixpay.types import Account, Epoch, Random, RelayId
from mixpay.wire import frames
from relay.store import Changes, IssuedTickets, RelayStore, StoreOp


class Side(IntEnum):
    """Which of a peer's two books: the one in which it pays us, or the one in which we pay it."""

    PAYER = 0
    """The peer is our payer; ours is the payee's book."""
    PAYEE = 1
    """The peer is our payee; ours is the payer's book."""


class Hooks(Protocol):
    """What books tell the relay."""

    def ticket_opened(self, opened: TicketOpened, step: Step) -> None:
        """Our ticket's ack is here and checked; what follows belongs into the same step."""

    def ticket_lost(self, lost: TicketLost) -> None:
        """Our ticket was refused or never acknowledged."""

    def batch_settled(self, side: Side, peer: RelayId, settled: BatchSettled) -> None:
        """A voucher closed a batch."""

    def claim_due(self, payer: RelayId) -> None:
        """The channel of a payer is closing: claim now."""

    def refused(self, side: Side, peer: RelayId, refusal: Refuse) -> None:
        """The peer broke the rules."""

    def link(self, side: Side, peer: RelayId) -> FrameSink | None:
        """The open link of that side, if there is one."""


class FrameSink(Protocol):
    """A link, as far as books care."""

    def send(self, frame: frames.LinkFrame) -> bool:
        """Queue a frame."""

    def refuse(self, reason: str) -> None:
        """Tell the peer why, and close."""


class Step:
    """One transaction, of one book or several, and what follows it."""

    def __init__(self, hooks: Hooks, issued: IssuedTickets) -> None:
        self._hooks = hooks
        self.changes = Changes(issued)
        self.after: list[tuple[Side, RelayId, Effect] | Callable[[], None]] = []
        self.acks: defaultdict[RelayId, list[frames.Ack]] = defaultdict(list)
        self.packets: dict[tuple[RelayId, int], tuple[Epoch, bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self.changes or self.after or self.acks)

    def add(
        self, side: Side, peer: RelayId, effects: Iterable[Effect], packet: tuple[Epoch, bytes] | None = None
    ) -> None:
        """Take the effects of a peer's book; `packet` is what goes with the ticket among them."""
        for effect in effects:
            if isinstance(effect, FOR_DISK):
                self.changes.book(side, peer, effect)
            elif isinstance(effect, SendAck):
                self.acks[peer].append(effect)
            elif isinstance(effect, TicketOpened):
                # At once, so that the response it completes is in the same transaction.
                self._hooks.ticket_opened(effect, self)
            elif not isinstance(effect, TicketTaken):  # which the router sees when the book returns it
                if packet is not None and isinstance(effect, SendTicket):
                    self.packets[peer, effect.seq] = packet
                self.after.append((side, peer, effect))

    def then(self, action: Callable[[], None]) -> None:
        """Do something once all is on disk."""
        self.after.append(action)


@dataclass(frozen=True, slots=True)
class Purse:
    """Who we are on the chain: the operator's key (32 bytes) and account, and the domain of Channels."""

    key: bytes
    account: Account
    domain: eip712.Domain

    def __repr__(self) -> str:
        return f"Purse(0x{self.account.hex()})"


class Books:
    """Finds, makes and restores books, and carries out what they ask."""

    def __init__(
        self,
        purse: Purse,
        limits: Limits,
        store: RelayStore,
        hooks: Hooks,
        account_of: Callable[[RelayId], Account],
        random: Random,
        now: float,
        *,
        restored: bool = False,
    ) -> None:
        """`restored`: whether the store is an older copy, so that books may be missing, too."""
        self._restored = restored
        self._purse = purse
        self._limits = limits
        self._store = store
        self._hooks = hooks
        self._account_of = account_of
        self._random = random
        self._issued = IssuedTickets()
        self._step: Step | None = None
        self._payees: dict[RelayId, PayeeBook] = {}
        self._payers: dict[RelayId, PayerBook] = {}
        for (side, peer), rows in store.book_rows():
            if side == Side.PAYER:
                self._payees[peer] = self._new_payee(peer, rows, now)
            else:
                self._payers[peer] = self._new_payer(peer, rows, now)
                for number, tickets in store.issued_tickets(side, peer):
                    self._issued.load(side, peer, number, tickets)

    def _new_payee(self, payer: RelayId, rows: Iterable[Row] = (), now: float = 0.0) -> PayeeBook:
        purse = self._purse
        return PayeeBook(
            purse.domain, self._account_of(payer), purse.account, self._limits, rows=rows, now=now,
            restored=self._restored,
        )  # fmt: skip

    def _new_payer(self, payee: RelayId, rows: Iterable[Row] = (), now: float = 0.0) -> PayerBook:
        purse, payee_account = self._purse, self._account_of(payee)
        return PayerBook(
            purse.domain, purse.key, payee_account, self._limits, self._random, rows=rows, now=now,
            restored=self._restored,
        )  # fmt: skip

    # ------------------------------------------------------------------ finding books

    @property
    def payees(self) -> Mapping[RelayId, PayeeBook]:
        """Our books as payee, by payer."""
        return self._payees

    @property
    def payers(self) -> Mapping[RelayId, PayerBook]:
        """Our books as payer, by payee."""
        return self._payers

    def payee(self, payer: RelayId) -> PayeeBook:
        """The book of what `payer` owes us."""
        book = self._payees.get(payer)
        if book is None:
            book = self._payees[payer] = self._new_payee(payer)
        return book

    def payer(self, payee: RelayId) -> PayerBook:
        """The book of what we owe `payee`."""
        book = self._payers.get(payee)
        if book is None:
            book = self._payers[payee] = self._new_payer(payee)
        return book

    def awaited(self, now: float) -> list[RelayId]:
        """The payees whose acks are missing and still worth something."""
        return [payee for payee, book in self._payers.items() if book.awaits_acks(now)]

    @property
    def congested(self) -> bool:
        """Whether so much waits for the disk that no new work should be taken on."""
        return self._store.congested

    def keep(self, ops: Sequence[StoreOp]) -> None:
        """Write something that is no book's, and that nothing waits for."""
        if ops:
            self._store.write(ops)

    # ------------------------------------------------------------------ steps

    @contextmanager
    def step(self) -> Iterator[Step]:
        """Gather effects of books; commit and carry them out at the end of the block, which awaits nothing.

        Within another step it is that step: some changes remove what a book told before, and nothing later.
        """
        if self._step is not None:
            yield self._step
            return
        step = self._step = Step(self._hooks, self._issued)
        try:
            yield step
        finally:
            self._step = None
            # Even when a later frame was bad: what the books took in is taken in. And even without rows: what
            # earlier steps wrote must be sent first, and the store keeps the order.
            if step:
                self._store.write(step.changes.ops(), lambda: self._carry_out(step))

    def _carry_out(self, step: Step) -> None:
        refused: dict[RelayId, list[frames.RefusedTicket]] = {}
        for item in step.after:
            if not isinstance(item, tuple):
                item()
                continue
            side, peer, effect = item
            if isinstance(effect, SendRefuseTicket):
                refused.setdefault(peer, []).append(frames.RefusedTicket(effect.seq, effect.reason))
            elif isinstance(effect, SendTicket):
                epoch, packet = step.packets[peer, effect.seq]
                self._send(side, peer, _ticket(effect, epoch, packet))
            else:
                self._act(side, peer, effect)
        for peer, many in step.acks.items():
            for start in range(0, len(many), frames.MAX_ACKS):
                self._send(Side.PAYER, peer, frames.Acks(tuple(many[start : start + frames.MAX_ACKS])))
        for peer, tickets in refused.items():
            for start in range(0, len(tickets), frames.MAX_ACKS):
                chunk = tuple(tickets[start : start + frames.MAX_ACKS])
                self._send(Side.PAYER, peer, frames.RefuseTickets(chunk))

    def _act(self, side: Side, peer: RelayId, effect: Effect) -> None:
        match effect:
            case TicketLost():
                self._hooks.ticket_lost(effect)
            case BatchSettled():
                self._hooks.batch_settled(side, peer, effect)
            case ClaimDue():
                self._hooks.claim_due(peer)
            case Refuse():
                self._hooks.refused(side, peer, effect)
            case _:
                self._send(side, peer, to_frame(effect))

    def _send(self, side: Side, peer: RelayId, frame: frames.LinkFrame) -> None:
        link = self._hooks.link(side, peer)
        if link is not None:  # without one nothing is lost: books repeat what matters
            link.send(frame)


def _ticket(effect: SendTicket, epoch: Epoch, packet: bytes) -> frames.Packet:
    return frames.Packet(effect.seq, epoch, effect.lock, effect.hint, effect.value, packet)


def to_frame(effect: Effect) -> frames.LinkFrame:
    """The frame that carries an effect. Raises TypeError for one that is not for the wire."""
    match effect:
        case SendBatch():
            return frames.Batch(effect.number, effect.count, effect.root, effect.signature)
        case SendCut():
            return frames.Cut(effect.number, effect.count)
        case SendRedeem():
            return frames.Redeem(effect.number, effect.root, effect.total)
        case SendSamples():
            return frames.Samples(effect.number, effect.points)
        case SendOpenings():
            return frames.Openings(effect.number, tuple(map(_opening, effect.openings)))
        case SendVoucher():
            return frames.Voucher(effect.cumulative, effect.upto_batch, effect.signature)
        case _:
            raise TypeError(f"{type(effect).__name__} is not for the wire")


def _opening(opening: Opening) -> frames.Opening:
    siblings = tuple(frames.Sibling(hash_, sum_) for hash_, sum_ in opening.siblings)
    return frames.Opening(opening.position, opening.response, opening.value, siblings)
