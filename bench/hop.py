"""One hop by its pure cores: open a packet, check replay and lock, book its tickets, build the next frame.

Nothing of it is stored or sent. Packets come in groups, as they do under load.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator

from bench.figures import Found, Scale
from bench.meter import floor, slice_us
from bench.packet import CONTEXT
from bench.supply import Ready, Supply
from mixpay import eip712
from mixpay.book import Limits, PayeeBook, PayerBook
from mixpay.book.events import SendTicket, Wait
from mixpay.book.rows import Channel
from mixpay.crypto import x25519
from mixpay.packet import Forward
from mixpay.replay import TagStore
from mixpay.types import Account, Amount, Epoch, RelayId, Value
from mixpay.wire import frames
from relay.path.opening import Job, Key, Opened, open_all

GROUP = 32
"""Packets that arrive together."""
EPOCH = Epoch(1)
PRICE = Amount(10**12)
RICH = Channel(Amount(10**27))
WIDE = Limits(unsigned_window=1 << 20, max_unsettled=Value(1 << 40), batch_interval=3600.0)
VALUE = Value(4)


class Hop:
    """A mix of layer 1, one payer, one payee."""

    def __init__(self) -> None:
        secret, key, other = (os.urandom(32) for _ in range(3))
        public = x25519.public_key(secret)
        self.supply = Supply(CONTEXT, public, [RelayId(2)], os.urandom)
        self.keys = {EPOCH: Key(CONTEXT, public, x25519.SecretKey(secret))}
        self.tags = TagStore(EPOCH, 1 << 24)
        me, peer = (Account(eip712.account_of(one)) for one in (key, other))
        domain = eip712.channels_domain(31337, bytes(20))
        self.payee = PayeeBook(domain, peer, me, WIDE)
        self.payee.on_channel(RICH, 0.0)
        self.payer = PayerBook(domain, key, peer, WIDE, os.urandom)
        self.payer.on_channel(RICH)
        self.seq = 0

    def arrivals(self) -> list[frames.Packet]:
        """Frames of a group of packets."""
        return [self._frame(self.supply.take()) for _ in range(GROUP)]

    def _frame(self, ready: Ready) -> frames.Packet:
        self.seq += 1
        return frames.Packet(self.seq, EPOCH, ready.lock, ready.hint, VALUE, ready.packet)

    def carry(self, arrived: list[frames.Packet]) -> list[bytes]:
        """All of a hop; the next relay's frames."""
        jobs = [Job(EPOCH, 1, frame.lock, frame.hint, frame.packet) for frame in arrived]
        verdicts = open_all(self.keys, jobs, os.urandom, self.tags.seen)
        return [
            self._forward(frame, opened)
            for frame, opened in zip(arrived, verdicts, strict=True)
            if isinstance(opened, Opened)
        ]

    def _forward(self, frame: frames.Packet, opened: Opened) -> bytes:
        out = opened.peeled
        if not isinstance(out, Forward) or not self.tags.add(EPOCH, out.tag):
            raise RuntimeError("a packet of the bench is no good")
        self.payee.accept(frame.seq, frame.lock, out.ack, VALUE, price=PRICE, now=0.0)
        issued = self.payer.issue(out.next_lock, opened.next_hint, Value(VALUE - 1), price=PRICE, now=0.0)
        if isinstance(issued, Wait):
            raise RuntimeError(f"the bench's payer waits: {issued.reason}")
        ticket = next(effect for effect in issued if isinstance(effect, SendTicket))
        return frames.encode(
            frames.Packet(ticket.seq, EPOCH, ticket.lock, ticket.hint, ticket.value, out.packet)
        )


def measure(scale: Scale) -> Found:
    """`hop_us` and `floor_us`, taking turns."""
    hop = Hop()
    groups: Iterator[list[frames.Packet]] = iter([hop.arrivals() for _ in range(scale.slices)])
    least = floor()
    hops, floors = [], []
    for arrived in groups:
        hops.append(slice_us(lambda arrived=arrived: hop.carry(arrived), 1) / GROUP)  # type: ignore[misc]
        floors.append(slice_us(least, GROUP))
    hop_us, floor_us = statistics.median(hops), statistics.median(floors)
    figures = {"floor_us": floor_us, "hop_us": hop_us, "hop_over_floor": hop_us / floor_us}
    return Found(figures, {"group": GROUP, "slices": scale.slices})
