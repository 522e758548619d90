"""The data path of a relay: what happens to a packet between arrival and departure (docs/design.md §12).

    arrivals.py ▶ mixer (delay) ▶ next ticket ▶ next link
    ack from the next relay ▶ response ▶ book
    a client's tick (clients/gateway.py) ▶ first ticket ▶ first mix ▶ its ack ▶ client

A packet waits for its next link at most `MAX_WAIT` seconds; every drop has a reason.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence

from mixpay import proof
from mixpay.book.events import TicketLost, TicketOpened, Wait
from mixpay.book.limits import LIMITS, LINK_REFUSED, NO_ACK, STALE_TICKET
from mixpay.errors import PeerError
from mixpay.layers import Role
from mixpay.mailbox import Mailboxes
from mixpay.replay import TagStore
from mixpay.types import HOPS, Epoch, RelayId, Value
from mixpay.wire import frames
from relay.clients.passing import PassingMailboxes
from relay.keys.epoch_keys import EpochKeys
from relay.metrics import Metrics
from relay.path.arrivals import ORIGIN, Arrivals, Outgoing
from relay.path.books import Books, FrameSink, Side, Step
from relay.path.flows import FLOW_CAP, SLOW, Flows
from relay.path.mixer import Mixer
from relay.path.opening import Opener
from relay.path.submissions import Submissions

log = logging.getLogger(__name__)

MAX_WAIT = 20.0
"""Seconds a packet waits for a link or a limit before it is dropped: far above any honest pause."""

REFUSED_BY_MIX = "refused_by_mix"
"""What a client hears of a ticket that its first mix refused: a mix's own label must not pass for ours."""

TICKET_REASONS = LIMITS | frozenset(
    f"{FLOW_CAP} {NO_ACK} {STALE_TICKET} expired_key low_order malformed replayed tags_full wrong_epoch "
    "wrong_hint wrong_lock wrong_predecessor wrong_successor wrong_value".split()
)
"""Why a relay like this one refuses tickets, or loses them."""


class Router:
    """Takes packets in, holds them, sends them on. All calls come from the event loop."""

    def __init__(
        self,
        me: RelayId,
        books: Books,
        tags: TagStore,
        mixer: Mixer[Outgoing],
        mailboxes: Mailboxes,
        metrics: Metrics,
        clock: Callable[[], float],
        chain_time: Callable[[], int],
        links: Callable[[Side, RelayId], FrameSink | None],
        link_queue: int,
        opener: Opener,
        flows: Flows | None = None,
    ) -> None:
        """`flows`: None for a relay that forgets what it forwarded, and asks nobody for packet keys."""
        self._me = me
        self._books = books
        self._mixer = mixer
        self._metrics = metrics
        self._clock = clock
        self._links = links
        self._link_queue = link_queue
        self.flows = flows or Flows(me)
        self.passing = PassingMailboxes()
        """Where replies wait for clients of this relay."""
        self.arrivals = Arrivals(
            me,
            books,
            tags,
            mailboxes,
            self.passing,
            metrics,
            clock,
            chain_time,
            opener,
            self._mix,
            self.flows,
        )
        self._epochs: dict[Epoch, EpochKeys] = {}
        self._waiting: dict[RelayId, deque[tuple[float, Outgoing]]] = {}
        self.waits: dict[RelayId, str] = {}
        """Which limit of a next hop's book packets wait for, as long as some do."""
        self._submissions = Submissions()

    def use_epochs(self, epochs: dict[Epoch, EpochKeys], floor: Epoch) -> None:
        """Take the key epochs whose packets are accepted from now on, and the oldest of them."""
        self._epochs = epochs
        self.flows.use_epochs(epochs)
        self.arrivals.use_epochs(epochs, floor)

    def on_packets(self, payer: RelayId, arrived: Sequence[frames.Packet], step: Step) -> None:
        """Packets came from a payer: see `Arrivals`."""
        self.arrivals.on_packets(payer, arrived, step)

    def _mix(self, outgoing: Outgoing, came: float, delay: float) -> None:
        if not self._mixer.add(came, delay, outgoing):
            self._metrics.dropped("mixer_full")

    # ------------------------------------------------------------------ packets to payees

    def release(self) -> None:
        """Send on what has been held long enough, and what was waiting for a link or a limit."""
        now = self._clock()
        for outgoing in self._mixer.due(now):
            self._enqueue(outgoing, now)
        with self._books.step() as step:
            for relay in list(self._waiting):
                self._flush(relay, now, step)
        self._metrics.held.set(len(self._mixer))

    def awaited(self) -> Collection[RelayId]:
        """The next hops that packets wait for."""
        return self._waiting.keys()

    def in_doubt(self) -> dict[tuple[RelayId, int], bool]:
        """Payer and batch of the tickets whose packets next relays may have taken without a word yet, and
        whether one of these relays is away: it says so when it is back.
        """
        found: dict[tuple[RelayId, int], bool] = {}
        for payee, book in self._books.payers.items():
            away = self._links(Side.PAYEE, payee) is None
            for origin in book.unanswered(self._clock(), away=away):
                if not self._submissions.is_origin(origin):
                    payer, batch, _, _ = ORIGIN.unpack(origin)
                    found[RelayId(payer), batch] = away or found.get((RelayId(payer), batch), False)
        return found

    @property
    def held(self) -> int:
        """How many packets are held for their delay."""
        return len(self._mixer)

    def waiting(self, relay: RelayId) -> int:
        """How many packets wait for this next hop."""
        return len(self._waiting.get(relay, ()))

    def _enqueue(self, outgoing: Outgoing, now: float) -> None:
        queue = self._waiting.setdefault(outgoing.relay, deque())
        if len(queue) >= self._link_queue:
            self._drop(outgoing, "link_queue_full")
            return
        queue.append((now, outgoing))

    def _flush(self, relay: RelayId, now: float, step: Step) -> None:
        queue = self._waiting[relay]
        while queue:
            since, outgoing = queue[0]
            if not self._issue(outgoing, now, step):
                if now - since <= MAX_WAIT:
                    return
                self._drop(outgoing, "waited_too_long")
            queue.popleft()
        del self._waiting[relay]
        self.waits.pop(relay, None)

    def _issue(self, outgoing: Outgoing, now: float, step: Step) -> bool:
        """Give the next relay its ticket and packet; False while the link or a limit says wait."""
        keys = self._epochs.get(outgoing.epoch)
        if keys is None:
            self._drop(outgoing, "expired_key")
            return True
        if self._is_cut_off(outgoing.relay):
            self._drop(outgoing, LINK_REFUSED)
            return True
        if not self._is_paid_for(outgoing.origin, now):
            self._drop(outgoing, "paid_too_late")
            return True
        if self._links(Side.PAYEE, outgoing.relay) is None:
            return False
        effects = self._books.payer(outgoing.relay).issue(
            outgoing.lock,
            outgoing.hint,
            outgoing.value,
            price=keys.hop_price,
            now=now,
            origin=outgoing.origin,
        )
        if isinstance(effects, Wait):
            self.waits[outgoing.relay] = effects.reason
            return False
        self._metrics.issued.add()
        step.add(Side.PAYEE, outgoing.relay, effects, packet=(outgoing.epoch, outgoing.packet))
        return True

    def _is_paid_for(self, origin: bytes, now: float) -> bool:
        """Whether a response would still count. Once its batch is redeemed (a sender may ask for a minute's
        delay), the next relay would be paid out of our own pocket.
        """
        if self._submissions.is_origin(origin):
            return True
        payer, batch, _, _ = ORIGIN.unpack(origin)
        return self._books.payee(RelayId(payer)).takes_responses(batch, now)

    def _drop(self, outgoing: Outgoing, reason: str) -> None:
        self._metrics.dropped(reason)
        self._submissions.lose(outgoing.origin, PeerError(reason))

    def tick(self) -> None:
        """See which next hops are usable, and keep what went to each."""
        now = self._clock()
        self.flows.survey(lambda relay: self._is_reachable(relay, now))
        self._books.keep(self.flows.to_keep(now))

    def _is_reachable(self, relay: RelayId, now: float) -> bool:
        """Whether packets to a next hop leave at once, as far as can be seen."""
        if self._links(Side.PAYEE, relay) is None or self._is_cut_off(relay):
            return False
        queue = self._waiting.get(relay)
        return not queue or now - queue[0][0] <= SLOW

    def _is_cut_off(self, payee: RelayId) -> bool:
        book = self._books.payers.get(payee)
        return book is not None and book.refused is not None

    def cut_off(self, payee: RelayId) -> None:
        """A next hop broke the rules: no ticket goes to it any more, and no answer will come from it."""
        if payee in self._waiting:
            with self._books.step() as step:
                self._flush(payee, self._clock(), step)
        self._submissions.lose_all(payee, PeerError(LINK_REFUSED))

    # ------------------------------------------------------------------ acks from payees

    def on_opened(self, opened: TicketOpened, step: Step) -> None:
        """An ack came back and was checked: complete the response of the ticket we were paid with."""
        if self._submissions.is_origin(opened.origin):
            step.then(lambda: self._submissions.acknowledge(opened.origin, opened.ack))
            return
        number, batch, position, own = ORIGIN.unpack(opened.origin)
        payer, response = RelayId(number), proof.response(own, opened.ack)
        effects = self._books.payee(payer).on_response(batch, position, response, self._clock())
        if effects:
            self._metrics.receipts.add()
        else:
            self._metrics.late_acks.inc()
            log.info("an ack from the next relay came too late to be paid for")
        step.add(Side.PAYER, payer, effects)

    def on_lost(self, lost: TicketLost) -> None:
        """A ticket of ours was refused, or nobody acknowledged it: tell the client, if it came from one."""
        known = lost.reason in TICKET_REASONS
        self._metrics.dropped(lost.reason if known else REFUSED_BY_MIX)
        reason = NO_ACK if lost.reason == NO_ACK else REFUSED_BY_MIX
        self._submissions.lose(lost.origin, PeerError(reason, lost.reason))

    # ------------------------------------------------------------------ packets from clients

    def check_first_mix(self, mix: RelayId, epoch: Epoch) -> None:
        """Raise PeerError if a packet could not go to this mix now.

        Reasons: `wrong_epoch`, `no_such_mix`, `link_refused`, `flow_cap`, `busy`.
        """
        keys = self._epochs.get(epoch)
        if keys is None:
            raise PeerError("wrong_epoch", f"no key for epoch {epoch}")
        if not keys.may_come(self._me, mix, 1):
            raise PeerError("no_such_mix", f"relay {mix} is not a next hop of this entry")
        if self._is_cut_off(mix):
            raise PeerError(LINK_REFUSED, f"relay {mix} broke the rules")
        if self.arrivals.closed:
            raise PeerError("busy", "this relay drains")
        if not self.flows.allows(epoch, Role.ENTRY, mix):
            raise PeerError(FLOW_CAP, f"relay {mix} has had its share of this entry's packets")
        if self.waiting(mix) >= self._link_queue // 2:
            raise PeerError("busy", f"too much waits for relay {mix}")

    def submit(
        self, mix: RelayId, epoch: Epoch, lock: bytes, hint: bytes, packet: bytes
    ) -> asyncio.Future[bytes]:
        """Send a client's packet, checked with `check_first_mix`, to its first mix.

        The result is that mix's ack (32 bytes), or PeerError with the reason of the loss.
        """
        self.flows.add(epoch, Role.ENTRY, mix)
        origin, future = self._submissions.add(mix)
        now = self._clock()
        self._enqueue(Outgoing(mix, lock, hint, Value(HOPS - 1), epoch, packet, origin), now)
        with self._books.step() as step:
            self._flush(mix, now, step)
        return future
