"""The relay's neighbours: an entry that pays it, and a mix that it pays, with real links and books, but lean.

Nothing of theirs is stored, and nothing is opened: packets were made here, so what they hold is known. Their
books are the daemons' own: they promise, acknowledge, sign, settle and sample as on any link.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import cast

from bench.supply import Ready, Supply, number_of
from mixpay import eip712
from mixpay.book import Limits, PayeeBook, PayerBook
from mixpay.book import events as effects_
from mixpay.book.events import Effect, SendAck, SendRefuseTicket, SendTicket, TicketTaken, Wait
from mixpay.book.rows import Channel
from mixpay.merkle import Opening
from mixpay.types import Account, Amount, Epoch, Random, RelayId, Value
from mixpay.wire import frames
from relay.links import Identity, Link, LinkDialer, LinkServer
from relay.links.events import SHUTTING_DOWN
from relay.path.books import to_frame

ENTRY_VALUE = Value(4)
"""Of a ticket for a mix of layer 1."""
QUEUE = 2_000
"""Packets that wait at an entry for a ticket; more are dropped there, as at a real one's `link_queue`."""
_QUIET = (
    *effects_.ON_DISK, TicketTaken, effects_.TicketOpened, effects_.TicketLost, effects_.BatchSettled,
    effects_.ClaimDue,
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What happened to packets, by number; `arrived` is when each came through."""

    offered: int = 0
    issued: int = 0
    acked: int = 0
    arrived: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """Packets that were offered and went no further than their entry, or were refused, by reason."""
    late: array[float] = field(default_factory=lambda: array("d"))
    """Of each packet that came through: seconds from its ticket to its arrival, less its delay."""
    waited: array[float] = field(default_factory=lambda: array("d"))
    """Of each that came through: seconds it waited for its ticket."""


@dataclass(slots=True)
class Scene:
    """What both kinds of neighbours need. `price`, `deposit` in token units. A run has a tally of its own."""

    domain: eip712.Domain
    me: Account
    price: Amount
    deposit: Amount
    epoch: Epoch
    supply: Supply
    clock: Callable[[], float]
    random: Random
    limits: Limits = field(default_factory=Limits)
    tally: Tally = field(default_factory=Tally)
    due: dict[int, tuple[float, float, float]] = field(default_factory=dict)
    """Of packets under way, by number: when due, when its ticket was issued, and its delay. Seconds."""


class Quiet:
    """The parts of `LinkEvents` that nobody here waits for."""

    def __init__(self) -> None:
        self.link: Link | None = None

    def closed(self, link: Link, reason: str) -> None:
        """See `LinkEvents`."""
        self.link = None

    def failed(self, peer: RelayId | None, reason: str) -> None:
        """See `LinkEvents`."""

    def send(self, effects: Iterable[Effect]) -> None:
        """Send what is for the wire."""
        acks: list[frames.Ack] = []
        for effect in effects:
            if isinstance(effect, SendAck):
                acks.append(effect)
                continue
            if isinstance(effect, effects_.Refuse):
                raise RuntimeError(f"a book refuses: {effect.reason}")
            if not isinstance(effect, _QUIET) and self.link is not None:
                self.link.send(to_frame(effect))
        self.acknowledge(acks)

    def acknowledge(self, acks: Sequence[frames.Ack]) -> None:
        """Send acks, many in a frame."""
        for start in range(0, len(acks), frames.MAX_ACKS):
            if self.link is not None:
                self.link.send(frames.Acks(tuple(acks[start : start + frames.MAX_ACKS])))


class Entry(Quiet):
    """A payer of the relay under test. `plain`: without tickets, for a relay that wants none."""

    def __init__(self, scene: Scene, key: bytes, *, plain: bool = False) -> None:
        super().__init__()
        self._scene, self._plain, self._seq = scene, plain, 0
        self.queue: deque[tuple[float, Ready]] = deque()
        self.book = PayerBook(scene.domain, key, scene.me, scene.limits, scene.random, now=scene.clock())
        self.book.on_channel(Channel(scene.deposit))

    def dial(self, relay: RelayId, seed: bytes, peer: RelayId, port: int, link_key: bytes) -> LinkDialer:
        """Keep a link up."""
        dialer = LinkDialer(Identity(relay, seed), self)
        dialer.dial(peer, "127.0.0.1", port, link_key)
        return dialer

    def offer(self, due: float) -> None:
        """Take a packet that was due at a time; if too many wait, it is dropped."""
        self._scene.tally.offered += 1
        if len(self.queue) >= QUEUE:
            self._scene.tally.lost["entry_queue_full"] += 1
        else:
            self.queue.append((due, self._scene.supply.take()))

    def pump(self) -> None:
        """Send what may be sent."""
        scene, now = self._scene, self._scene.clock()
        while self.queue and self.link is not None:
            due, ready = self.queue[0]
            seq = self._ticket(ready, now)
            if seq is None:
                return
            self.queue.popleft()
            scene.tally.issued += 1
            scene.due[ready.number] = due, now, ready.delay_ms / 1000
            self.link.send(frames.Packet(seq, scene.epoch, ready.lock, ready.hint, ENTRY_VALUE, ready.packet))

    def _ticket(self, ready: Ready, now: float) -> int | None:
        if self._plain:
            self._seq += 1
            return self._seq
        found = self.book.issue(ready.lock, ready.hint, ENTRY_VALUE, price=self._scene.price, now=now)
        if isinstance(found, Wait):
            return None
        return next(effect.seq for effect in found if isinstance(effect, SendTicket))

    def abandon(self) -> None:
        """What still waits is dropped."""
        self._scene.tally.lost["entry_left_waiting"] += len(self.queue)
        self.queue.clear()

    def tick(self) -> None:
        """What time asks for."""
        if not self._plain:
            self.send(self.book.tick(self._scene.clock()))

    # ------------------------------------------------------------------ LinkEvents

    def opened(self, link: Link) -> None:
        """See `LinkEvents`."""
        self.link = link
        self.send(self.book.resend(self._scene.clock()))

    def dropped(self, peer: RelayId, reason: str, frames: int) -> None:
        """See `LinkEvents`."""
        self._scene.tally.lost[f"entry_{reason}"] += frames

    def received(self, link: Link, arrived: Sequence[frames.LinkFrame]) -> None:
        """See `LinkEvents`."""
        book, now, tally = self.book, self._scene.clock(), self._scene.tally
        for frame in arrived:
            match frame:
                case frames.Acks():
                    tally.acked += len(frame.acks)
                    self.send(book.on_acks([(a.batch, a.position, a.seq, a.ack) for a in frame.acks], now))
                case frames.RefuseTickets():
                    for ticket in frame.tickets:
                        tally.lost[f"relay_{ticket.reason}"] += 1
                        self.send(book.on_ticket_refused(ticket.seq, ticket.reason, now))
                case frames.Cut():
                    self.send(book.on_cut(frame.number, frame.count))
                case frames.Redeem():
                    self.send(book.on_redeem(frame.number, frame.root, Value(frame.total)))
                case frames.Openings():
                    self.send(book.on_openings(frame.number, [_opening(one) for one in frame.openings]))
                case frames.Refuse():
                    _only_goodbye(frame.reason)
        self.pump()


class Next(Quiet):
    """A payee of the relay under test. `plain`: it counts packets, and acknowledges none."""

    def __init__(self, scene: Scene, payer: Account, account: Account, *, plain: bool = False) -> None:
        super().__init__()
        self._scene, self._plain = scene, plain
        self.book = PayeeBook(scene.domain, payer, account, scene.limits, now=scene.clock())
        self.book.on_channel(Channel(scene.deposit), scene.clock())

    async def listen(self, relay: RelayId, seed: bytes, port: int, payer_key: bytes) -> LinkServer:
        """Take the relay's link."""
        server = LinkServer(Identity(relay, seed), lambda payer: payer_key, self)
        await server.start("127.0.0.1", port)
        return server

    def tick(self) -> None:
        """What time asks for."""
        if not self._plain:
            self.send(self.book.tick(self._scene.clock()))

    def _take(self, packets: Sequence[frames.Packet], now: float) -> None:
        acks: list[frames.Ack] = []
        refused: list[frames.RefusedTicket] = []
        scene, others = self._scene, list[Effect]()
        for frame in packets:
            number = number_of(frame.packet)
            self._arrived(number, now)
            if self._plain:
                continue
            behind, value = scene.supply.behind(number), Value(frame.value)
            for effect in self.book.accept(
                frame.seq, frame.lock, behind.ack, value, price=scene.price, now=now
            ):
                if isinstance(effect, SendAck):
                    acks.append(effect)
                elif isinstance(effect, SendRefuseTicket):
                    refused.append(frames.RefusedTicket(effect.seq, effect.reason))
                    scene.tally.lost[f"next_{effect.reason}"] += 1
                elif isinstance(effect, TicketTaken):
                    others += self.book.on_response(effect.batch, effect.position, behind.response, now)
        self.acknowledge(acks)
        if refused and self.link is not None:
            self.link.send(frames.RefuseTickets(tuple(refused)))
        self.send(others)

    def _arrived(self, number: int, now: float) -> None:
        tally = self._scene.tally
        found = self._scene.due.pop(number, None)
        if found is None:
            return  # of a run before, which did not wait for it any longer
        due, issued, delay = found
        tally.arrived += 1
        tally.late.append(now - issued - delay)
        tally.waited.append(issued - due)

    # ------------------------------------------------------------------ LinkEvents

    def opened(self, link: Link) -> None:
        """See `LinkEvents`."""
        self.link = link
        if not self._plain:
            self.send(self.book.resend(self._scene.clock()))

    def dropped(self, peer: RelayId, reason: str, frames: int) -> None:
        """See `LinkEvents`."""
        self._scene.tally.lost[f"next_{reason}"] += frames

    def received(self, link: Link, arrived: Sequence[frames.LinkFrame]) -> None:
        """See `LinkEvents`."""
        now = self._scene.clock()
        for kind, alike in groupby(arrived, type):
            if kind is frames.Packet:
                self._take(cast(list[frames.Packet], list(alike)), now)
                continue
            self._settle(alike, now)

    def _settle(self, arrived: Iterable[frames.LinkFrame], now: float) -> None:
        book = self.book
        for frame in arrived:
            match frame:
                case frames.Batch():
                    self.send(book.on_batch(frame.number, frame.count, frame.root, frame.signature, now))
                case frames.Samples():
                    self.send(book.on_samples(frame.number, frame.points, now))
                case frames.Voucher():
                    total = Amount(frame.cumulative)
                    self.send(book.on_voucher(total, frame.upto_batch, frame.signature, now))
                case frames.Refuse():
                    _only_goodbye(frame.reason)


def _only_goodbye(reason: str) -> None:
    if reason != SHUTTING_DOWN:
        raise RuntimeError(f"the relay refuses the link: {reason}")


def _opening(opening: frames.Opening) -> Opening:
    siblings = tuple((sibling.hash, sibling.sum) for sibling in opening.siblings)
    return Opening(opening.position, opening.response, opening.value, siblings)
