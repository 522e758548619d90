"""Between links and books: every frame to the right call, every answer to the right link.

    from our payers   PACKET, BATCH, SAMPLES, VOUCHER            → payee's book, router
    from our payees   ACKS, REFUSE_TICKETS, CUT, REDEEM, OPENINGS → payer's book
    both              REFUSE                                      → counted

All frames that arrive together make one step, so one transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import cast

from mixpay.book.events import BatchSettled, Effect, Refuse, TicketLost, TicketOpened
from mixpay.errors import PeerError
from mixpay.merkle import Opening
from mixpay.types import Amount, RelayId, Value
from mixpay.wire import frames
from mixpay.wire.codec import MALFORMED
from relay.links import Link
from relay.links.events import SHUTTING_DOWN, UNEXPECTED_FRAME
from relay.metrics import Metrics
from relay.path.arrivals import MAX_UNDER_WAY
from relay.path.books import Books, FrameSink, Side, Step
from relay.path.cut_off import CutOffs
from relay.path.router import Router

log = logging.getLogger(__name__)

_FAULTS = frozenset((MALFORMED, UNEXPECTED_FRAME))
"""Of a peer, for which the link itself ends an open connection."""


_LOOK_INTERVAL = 1.0
"""Seconds between two looks at what next relays may still answer."""
_BACK_SECONDS = 15.0


class Desk:
    """Reads frames of open links. One for all links of a side: see `SideEvents`."""

    def __init__(self, books: Books, router: Router, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._books = books
        self._router = router
        self._metrics = metrics
        self._clock = clock
        self._paused: list[Link] = []
        self._look_at = clock()
        self._began = clock()
        self._silent: dict[tuple[Side, RelayId], float] = {}
        router.arrivals.relieved = self.relieve
        self.payer_is_there: Callable[[RelayId], None] = lambda payer: None
        """Called when a payer has opened a link: so it is up, and may be a payee as well."""

    def opened(self, side: Side, peer: RelayId) -> None:
        """A link is up: repeat what still matters."""
        self._silent.pop((side, peer), None)
        with self._books.step() as step:
            book = self._books.payee(peer) if side is Side.PAYER else self._books.payer(peer)
            step.add(side, peer, book.resend(self._clock()))
        if side is Side.PAYER:
            self.payer_is_there(peer)

    def closed(self, side: Side, peer: RelayId) -> None:
        """A link is down."""
        self._silent[side, peer] = self._clock()

    def silent_for(self, side: Side, peer: RelayId) -> float:
        """Seconds since a link that is down was open last, or since the start."""
        return self._clock() - self._silent.get((side, peer), self._began)

    def received(self, side: Side, peer: RelayId, arrived: Sequence[frames.LinkFrame]) -> None:
        """Carry out frames in their order. Raises PeerError for one that has no place here."""
        take = self._from_payer if side is Side.PAYER else self._from_payee
        with self._books.step() as step:
            for kind, alike in groupby(arrived, type):
                if kind is frames.Packet and side is Side.PAYER:
                    self._router.on_packets(peer, cast(list[frames.Packet], list(alike)), step)
                    continue
                for frame in alike:
                    if isinstance(frame, frames.Refuse):
                        self._refused(peer, frame.reason)
                    else:
                        take(peer, frame, step)

    def relax(self, link: Link) -> None:
        """Read no more from a payer while there is more to do than can be done: its packets wait with it."""
        if self._router.arrivals.under_way >= MAX_UNDER_WAY or self._books.congested:
            link.pause()
            self._paused.append(link)
            self._metrics.pauses.inc()

    @property
    def paused(self) -> int:
        """Links that are not read at the moment."""
        return len(self._paused)

    def relieve(self) -> None:
        """Read again from payers, if enough is done."""
        free = self._router.arrivals.under_way < MAX_UNDER_WAY // 2 and not self._books.congested
        if self._paused and free:
            paused, self._paused = self._paused, []
            for link in paused:
                link.resume()

    def _refused(self, peer: RelayId, reason: str) -> None:
        if reason == SHUTTING_DOWN:
            return  # it says goodbye; links/ has written that down
        log.warning("relay %d refuses: %s", peer, reason)
        self._metrics.refused("by_peer")

    def _from_payer(self, payer: RelayId, frame: frames.LinkFrame, step: Step) -> None:
        book, now = self._books.payee(payer), self._clock()
        match frame:
            case frames.Batch():
                effects = book.on_batch(frame.number, frame.count, frame.root, frame.signature, now)
            case frames.Samples():
                effects = book.on_samples(frame.number, frame.points, now)
            case frames.Voucher():
                cumulative = Amount(frame.cumulative)
                effects = book.on_voucher(cumulative, frame.upto_batch, frame.signature, now)
            case _:
                raise PeerError("unexpected_frame", type(frame).__name__)
        step.add(Side.PAYER, payer, effects)

    def _from_payee(self, payee: RelayId, frame: frames.LinkFrame, step: Step) -> None:
        book, now = self._books.payer(payee), self._clock()
        effects: Iterable[Effect]
        match frame:
            case frames.Acks():
                self._metrics.acks.add(len(frame.acks))
                effects = book.on_acks([(a.batch, a.position, a.seq, a.ack) for a in frame.acks], now)
            case frames.RefuseTickets():
                refusals = (book.on_ticket_refused(t.seq, t.reason, now) for t in frame.tickets)
                effects = [effect for refusal in refusals for effect in refusal]
            case frames.Cut():
                effects = book.on_cut(frame.number, frame.count)
            case frames.Redeem():
                effects = book.on_redeem(frame.number, frame.root, Value(frame.total))
            case frames.Openings():
                effects = book.on_openings(frame.number, list(map(_opening, frame.openings)))
            case _:
                raise PeerError("unexpected_frame", type(frame).__name__)
        step.add(Side.PAYEE, payee, effects)

    def tick(self) -> None:
        """Let every book do what time asks for: sign, cut, redeem, repeat, give up."""
        self.relieve()
        self._router.tick()
        now = self._clock()
        if now >= self._look_at or any(book.gives_up(now) for book in self._books.payees.values()):
            self._look_at = now + _LOOK_INTERVAL
            for (payer, batch), away in self._router.in_doubt().items():
                # Who was away needs a while to say what it has.
                self._books.payee(payer).expect(batch, now + (_BACK_SECONDS if away else _LOOK_INTERVAL))
        with self._books.step() as step:
            for payer, payee_book in list(self._books.payees.items()):
                step.add(Side.PAYER, payer, payee_book.tick(now))
            for payee, payer_book in list(self._books.payers.items()):
                step.add(Side.PAYEE, payee, payer_book.tick(now))

    def settle(self) -> None:
        """Begin to settle with every payer now, whatever the thresholds say."""
        with self._books.step() as step:
            for payer, book in list(self._books.payees.items()):
                step.add(Side.PAYER, payer, book.begin_settlement(self._clock()))


def _opening(opening: frames.Opening) -> Opening:
    siblings = tuple((sibling.hash, sibling.sum) for sibling in opening.siblings)
    return Opening(opening.position, opening.response, opening.value, siblings)


class SideEvents:
    """`LinkEvents` of one side: the server's links are our payers', the dialer's our payees'."""

    def __init__(self, side: Side, desk: Desk, metrics: Metrics) -> None:
        self._side = side
        self._desk = desk
        self._metrics = metrics

    def opened(self, link: Link) -> None:
        """See `LinkEvents`."""
        self._desk.opened(self._side, link.peer)

    def received(self, link: Link, frames_: Sequence[frames.LinkFrame]) -> None:
        """See `LinkEvents`."""
        self._desk.received(self._side, link.peer, frames_)
        if self._side is Side.PAYER:
            self._desk.relax(link)

    def closed(self, link: Link, reason: str) -> None:
        """See `LinkEvents`."""
        self._desk.closed(self._side, link.peer)
        log.info("link with relay %d closed: %s", link.peer, reason)
        if reason in _FAULTS:  # others are no fault, or are counted where they were found
            self._metrics.refused(reason)

    def dropped(self, peer: RelayId, reason: str, frames: int) -> None:
        """See `LinkEvents`."""
        self._metrics.dropped(reason, frames)

    def failed(self, peer: RelayId | None, reason: str) -> None:
        """See `LinkEvents`."""
        self._metrics.refused(reason)


class RelayHooks:
    """What books tell the relay; carried out here. `links` and `router` are filled in when they exist."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.router: Router | None = None
        self.links: Mapping[Side, Callable[[RelayId], Link | None]] = {}
        self.claims: set[RelayId] = set()
        """Payers whose channels are closing: the treasury looks at once, and empties this."""
        self.cut_off: dict[tuple[Side, RelayId], str] = {}
        """Peers that broke the rules since the start, and how."""
        self.cut_offs: CutOffs | None = None

    def ticket_opened(self, opened: TicketOpened, step: Step) -> None:
        """See `Hooks`."""
        if self.router is not None:
            self.router.on_opened(opened, step)

    def ticket_lost(self, lost: TicketLost) -> None:
        """See `Hooks`."""
        if self.router is not None:
            self.router.on_lost(lost)

    def batch_settled(self, side: Side, peer: RelayId, settled: BatchSettled) -> None:
        """See `Hooks`."""
        if side is Side.PAYER:
            self.cut_off.pop((side, peer), None)  # a right voucher puts a payer's faults right
            if self.cut_offs is not None:
                self.cut_offs.end(side, peer)
        self._metrics.settled(side.name.lower(), settled.value)
        log.debug("batch %d with relay %d settled: %d hop prices", settled.number, peer, settled.value)

    def claim_due(self, payer: RelayId) -> None:
        """See `Hooks`."""
        self.claims.add(payer)

    def refused(self, side: Side, peer: RelayId, refusal: Refuse) -> None:
        """See `Hooks`."""
        self._metrics.refused(refusal.reason)
        self.cut_off[side, peer] = refusal.reason
        if self.cut_offs is not None:
            self.cut_offs.begin(side, peer)
        link = self.link(side, peer)
        if link is not None:
            link.refuse(refusal.reason)
        if side is Side.PAYEE and self.router is not None:
            self.router.cut_off(peer)

    def link(self, side: Side, peer: RelayId) -> FrameSink | None:
        """See `Hooks`."""
        find = self.links.get(side)
        link = find(peer) if find is not None else None
        return link if link is not None and link.is_open else None
