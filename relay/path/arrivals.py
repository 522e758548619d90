"""Packets from payers: what happens to one between its link and the mixer, or its mailbox.

    PACKET ▶ known? limits? ▶ open, lock ok? ▶ flow cap? replay? ▶ book ─┬─▶ on disk ▶ ack ▶ mixer
                              (perhaps a worker)                         └─▶ on disk ▶ ack ▶ mailbox, client

A ticket's value tells the layer its packet has here (value = 5 - layer). Everything about a packet that must
survive a crash is written in the transaction that is committed before its ack leaves.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mixpay import packet as packets
from mixpay.book.events import SendRefuseTicket, TicketTaken
from mixpay.book.limits import DRAINING
from mixpay.crypto.x25519 import SecretKey
from mixpay.errors import PeerError
from mixpay.mailbox import Delivered, Mailboxes
from mixpay.records import record
from mixpay.replay import TagStore
from mixpay.types import HOPS, MIX_LAYERS, Amount, Epoch, RelayId, Value
from mixpay.wire import frames
from relay.clients.passing import PassingMailboxes
from relay.keys.epoch_keys import EpochKeys
from relay.metrics import Metrics
from relay.path.books import Books, Side, Step
from relay.path.flows import FLOW_CAP, Flows
from relay.path.opening import Job, Key, Opened, Opener, Verdict

ORIGIN = struct.Struct(">IQI32s")
"""What we note of a mixed packet's own ticket: payer, batch, position, own scalar."""
MAILBOX_LAYER = MIX_LAYERS + 1
MAX_UNDER_WAY = 4_096
"""Packets with workers. Beyond it payers' links are read no more until half of them are back."""


@record
class Outgoing:
    """A packet on its way to its next relay, with the ticket that will pay for it."""

    relay: RelayId
    lock: bytes = field(repr=False)
    hint: bytes = field(repr=False)
    value: Value
    epoch: Epoch
    packet: bytes = field(repr=False)
    origin: bytes = field(repr=False)


@dataclass(slots=True)
class _UnderWay:
    """What of one payer is being opened."""

    tickets: int = 0
    value: int = 0


class Arrivals:
    """Checks, opens and books packets. `hold`: takes a packet that came then for so many seconds."""

    def __init__(
        self,
        me: RelayId,
        books: Books,
        tags: TagStore,
        mailboxes: Mailboxes,
        passing: PassingMailboxes,
        metrics: Metrics,
        clock: Callable[[], float],
        chain_time: Callable[[], int],
        opener: Opener,
        hold: Callable[[Outgoing, float, float], None],
        flows: Flows,
    ) -> None:
        self._me = me
        self._books = books
        self._tags = tags
        self._mailboxes = mailboxes
        self._passing = passing
        self._metrics = metrics
        self._clock = clock
        self._chain_time = chain_time
        self._opener = opener
        self._hold = hold
        self._flows = flows
        self._epochs: dict[Epoch, EpochKeys] = {}
        self._under_way: defaultdict[RelayId, _UnderWay] = defaultdict(_UnderWay)
        self.asked: Callable[[bytes, bytes], None] = lambda mailbox_id, part: None
        """Called with what comes for a mailbox's relay itself (`clients/request_desk.py`)."""
        self.stored: Callable[[bytes], None] = lambda _mailbox_id: None
        """Called when a message is in a mailbox, on disk."""
        self.closed = False
        """Whether no new packets are taken: this relay drains (`relay/draining.py`)."""
        self.under_way = 0
        """Packets that are being opened."""
        self.relieved: Callable[[], None] = lambda: None
        """Called when packets are back from workers."""

    def use_epochs(self, epochs: dict[Epoch, EpochKeys], floor: Epoch) -> None:
        """Take the key epochs whose packets are accepted from now on, and the oldest of them."""
        self._epochs = epochs
        self._tags.raise_floor(floor)
        keys = {epoch: Key(k.context, k.public, SecretKey(k.secret)) for epoch, k in epochs.items()}
        self._opener.use(keys)

    def on_packets(self, payer: RelayId, arrived: Sequence[frames.Packet], step: Step) -> None:
        """Take packets that came together. What is refused at once is in `step`; the others are booked when
        they are open.
        """
        fit = [frame for frame in arrived if self._may_be_opened(payer, frame, step)]
        if not fit:
            return
        came = self._clock()  # delays are counted from here: what the relay's own work takes is in them
        prices = [self._epochs[Epoch(frame.key_epoch)].hop_price for frame in fit]
        jobs = [Job(Epoch(f.key_epoch), HOPS - f.value, f.lock, f.hint, f.packet) for f in fit]

        def done(verdicts: Sequence[Verdict]) -> None:
            with self._books.step() as later:
                for frame, price, verdict in zip(fit, prices, verdicts, strict=True):
                    self._opened(payer, frame, price, verdict, came, later)
            self.relieved()

        self._opener.open(jobs, done)

    def _may_be_opened(self, payer: RelayId, frame: frames.Packet, step: Step) -> bool:
        """Whether a packet is worth the work: a flood of others costs little."""
        if self._repeated(payer, frame, step):
            return False
        book, ahead = self._books.payee(payer), self._under_way[payer]
        try:
            if self.closed:
                raise PeerError(DRAINING)
            price = self._keys(payer, frame).hop_price
            reason = book.refusal(frame.seq, Value(frame.value), price, ahead.tickets, ahead.value)
            if reason is not None:
                raise PeerError(reason)
        except PeerError as error:
            self._refuse(payer, frame.seq, error.reason, step)
            return False
        self._count(payer, 1, frame.value)
        return True

    def _count(self, payer: RelayId, tickets: int, value: int) -> None:
        ahead = self._under_way[payer]
        ahead.tickets += tickets
        ahead.value += value
        self.under_way += tickets

    def _keys(self, payer: RelayId, frame: frames.Packet) -> EpochKeys:
        """The keys of the packet's epoch, if its payer may send it here with this value."""
        keys = self._epochs.get(Epoch(frame.key_epoch))
        if keys is None:
            raise PeerError("wrong_epoch", f"no key for epoch {frame.key_epoch}")
        layer = HOPS - frame.value
        if not 1 <= layer <= MAILBOX_LAYER:
            raise PeerError("wrong_value")
        if not keys.may_come(payer, self._me, layer):
            raise PeerError("wrong_predecessor")
        return keys

    def _opened(
        self,
        payer: RelayId,
        frame: frames.Packet,
        price: Amount,
        verdict: Verdict,
        came: float,
        step: Step,
    ) -> None:
        """Book an opened packet, unless something is wrong with it."""
        self._count(payer, -1, -frame.value)
        if self._repeated(payer, frame, step):
            return
        try:
            opened = self._admitted(frame, verdict, step)
        except PeerError as error:
            self._refuse(payer, frame.seq, error.reason, step)
            return
        ack, value, now = opened.peeled.ack, Value(frame.value), self._clock()
        effects = self._books.payee(payer).accept(frame.seq, frame.lock, ack, value, price=price, now=now)
        step.add(Side.PAYER, payer, effects)
        for effect in effects:
            if type(effect) is TicketTaken:
                self._proceed(payer, frame, opened, effect, came, step)

    def _repeated(self, payer: RelayId, frame: frames.Packet, step: Step) -> bool:
        """Whether this ticket was taken before: it gets the same ack, whatever its packet is now."""
        book = self._books.payee(payer)
        if not book.known(frame.seq):
            return False
        again = book.accept(frame.seq, frame.lock, b"", Value(frame.value), price=Amount(0), now=0.0)
        step.add(Side.PAYER, payer, again)
        return True

    def _admitted(self, frame: frames.Packet, verdict: Verdict, step: Step) -> Opened:
        """What is in the packet, if it is in order, may go where it wants to, and is new."""
        if isinstance(verdict, str):
            raise PeerError(verdict)
        epoch, peeled = Epoch(frame.key_epoch), verdict.peeled
        keys = self._epochs.get(epoch)
        if keys is None:
            raise PeerError("wrong_epoch", f"the key of epoch {epoch} is gone")
        if isinstance(peeled, packets.Forward):
            layer = HOPS - frame.value
            if not keys.may_go(self._me, peeled.next_relay, layer):
                raise PeerError("wrong_successor")
            if not self._flows.allows(epoch, layer, peeled.next_relay):
                raise PeerError(FLOW_CAP)
        if not self._tags.add(epoch, peeled.tag):
            raise PeerError("replayed")
        step.changes.tag(epoch, peeled.tag)
        return verdict

    def _refuse(self, payer: RelayId, seq: int, reason: str, step: Step) -> None:
        self._metrics.dropped(reason)
        step.add(Side.PAYER, payer, (SendRefuseTicket(seq, reason),))

    def _proceed(
        self,
        payer: RelayId,
        frame: frames.Packet,
        opened: Opened,
        taken: TicketTaken,
        came: float,
        step: Step,
    ) -> None:
        peeled = opened.peeled
        if isinstance(peeled, packets.Deliver):
            self._metrics.carried("mailbox")
            step.changes.count("mailbox")
            book = self._books.payee(payer)
            response = book.on_response(taken.batch, taken.position, peeled.own, self._clock())
            step.add(Side.PAYER, payer, response)
            self._deliver(peeled, step)
            return
        self._flows.add(Epoch(frame.key_epoch), HOPS - frame.value, peeled.next_relay)
        self._metrics.carried("mix")
        step.changes.count("mix")
        origin = ORIGIN.pack(payer, taken.batch, taken.position, peeled.own)
        outgoing = Outgoing(
            peeled.next_relay, peeled.next_lock, opened.next_hint,
            Value(frame.value - 1), Epoch(frame.key_epoch), peeled.packet, origin,
        )  # fmt: skip
        step.then(lambda: self._hold(outgoing, came, peeled.delay_ms / 1000))

    def _deliver(self, peeled: packets.Deliver, step: Step) -> None:
        if peeled.kind == packets.KIND_REPLY:
            step.then(lambda: self._hand_over(peeled))
            return
        if peeled.kind == packets.KIND_REQUEST:
            step.then(lambda: self.asked(peeled.mailbox_id, peeled.user_data))
            return
        if peeled.kind != packets.KIND_MESSAGE:
            if peeled.kind != packets.KIND_COVER:
                self._metrics.dropped("unknown_kind")
            return
        outcome = self._mailboxes.deliver(peeled.mailbox_id, peeled.user_data, self._chain_time())
        if isinstance(outcome, Delivered):
            step.changes.mailbox(outcome.effects)
            step.then(lambda: self.stored(peeled.mailbox_id))
        else:
            self._metrics.dropped(f"mailbox_{outcome.reason}")

    def _hand_over(self, reply: packets.Deliver) -> None:
        dropped = self._passing.deliver(reply.mailbox_id, reply.user_data)
        if dropped is not None:
            self._metrics.dropped(dropped)
