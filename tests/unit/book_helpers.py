"""A link in memory: two channel books, their disks, and the wire between them.

The disk is the reference for a store: it knows keys and bytes, none of the rules.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from random import Random

from mixpay import eip712, merkle
from mixpay.book import Limits, PayeeBook, PayerBook, events, rows
from mixpay.book.events import Store
from mixpay.book.rows import Channel
from mixpay.crypto import secp256k1
from mixpay.crypto.hashing import keccak256

PRICE = 10**12
DOMAIN = eip712.channels_domain(31337, b"\x11" * 20)
PAYER_KEY, PAYEE_KEY = keccak256(b"payer"), keccak256(b"payee")
PAYER, PAYEE = eip712.account_of(PAYER_KEY), eip712.account_of(PAYEE_KEY)
RICH = Channel(deposit=10**27)

TO_PAYEE = (events.SendTicket, events.SendBatch, events.SendSamples, events.SendVoucher)
TO_PAYER = (
    events.SendAck,
    events.SendRefuseTicket,
    events.SendCut,
    events.SendRedeem,
    events.SendOpenings,
)


@cache
def secrets(index):
    """Response, lock, ack and hint of a packet."""
    response = secp256k1.scalar_from(keccak256(b"response %d" % index) + bytes(16))
    ack = secp256k1.scalar_from(keccak256(b"ack %d" % index) + bytes(16))
    return (
        response,
        secp256k1.base_address(response),
        ack,
        secp256k1.base_mult(ack, secp256k1.LONG_POINT_SIZE),
    )


@cache
def by_lock(index):
    return {secrets(i)[1]: i for i in range(index)}


def only(effects, kind):
    return [effect for effect in effects if isinstance(effect, kind)]


def one(effects, kind):
    (effect,) = only(effects, kind)
    return effect


class Disk:
    """Rows by key. Reads come back in an order of their own."""

    def __init__(self):
        self.table = {}

    def apply(self, effects):
        """Carry out the effects for the disk; they stand before all others."""
        seen_others = False
        for effect in effects:
            assert not (seen_others and type(effect) in events.ON_DISK), "sent before it was stored"
            seen_others = seen_others or type(effect) not in events.ON_DISK
            if isinstance(effect, Store):
                self.table[rows.key_of(effect.row)] = rows.encode(effect.row)
            elif isinstance(effect, events.ForgetTickets):
                for seq in effect.seqs:
                    self.table.pop((rows.ISSUED, seq, 0), None)
            elif isinstance(effect, events.ForgetAtLength):
                for key in [k for k in self.table if k[0] in rows.AT_LENGTH and k[1] == effect.number]:
                    del self.table[key]
            elif isinstance(effect, events.ForgetBatch):
                for key in [k for k in self.table if k[0] in rows.OF_A_BATCH and k[1] <= effect.number]:
                    del self.table[key]

    def rows(self):
        return [rows.decode(self.table[key]) for key in sorted(self.table, reverse=True)]

    def of(self, kind):
        return [row for row in self.rows() if isinstance(row, kind)]

    def tickets(self):
        """Placed tickets, those in short too unless they have their responses there. Those say no number."""
        short = [
            rows.PlacedTicket(
                row.number, row.first + place, 0, row.locks[20 * n :][:20], row.values[place], b""
            )
            for row in self.of(rows.ShortTickets)
            for n, place in enumerate(row.shown)
        ]
        return self.of(rows.PlacedTicket) + short

    def answered(self):
        """Places whose responses came after their tickets were written down."""
        answers = self.of(rows.Response) + self.of(rows.LateResponse)
        return {(row.batch, row.position) for row in answers}


class Link:
    """Both sides with their disks; `now` moves only when told.

    `turn` is the one way effects are carried out: disk, then wire. A crash throws a book away before or after
    its disk was written, and builds it again from the rows.
    """

    def __init__(self, seed=0, limits=None, payee_limits=None, channel=RICH):
        self.dice = Random(seed)  # noqa: S311 - tests repeat
        self.limits = limits or Limits()
        self.payee_limits = payee_limits or self.limits
        self.now = 1000.0
        self.disks = {"payer": Disk(), "payee": Disk()}
        self.wires = {"payer": deque(), "payee": deque()}  # by receiver
        self.events = []
        self.issued = 0
        self.payer = self.payee = None
        self._handlers = {
            events.SendTicket: self._accept,
            events.SendBatch: lambda m: self.payee.on_batch(m.number, m.count, m.root, m.signature, self.now),
            events.SendSamples: lambda m: self.payee.on_samples(m.number, m.points, self.now),
            events.SendVoucher: lambda m: self.payee.on_voucher(
                m.cumulative, m.upto_batch, m.signature, self.now
            ),
            events.SendAck: lambda m: self.payer.on_acks([(m.batch, m.position, m.seq, m.ack)], self.now),
            events.SendRefuseTicket: lambda m: self.payer.on_ticket_refused(m.seq, m.reason, self.now),
            events.SendCut: lambda m: self.payer.on_cut(m.number, m.count),
            events.SendRedeem: lambda m: self.payer.on_redeem(m.number, m.root, m.total),
            events.SendOpenings: lambda m: self.payer.on_openings(m.number, m.openings),
        }
        self.crash("payer")
        self.crash("payee")
        if channel is not None:
            self.set_channel(channel)

    def crash(self, side):
        """Build a book from its disk."""
        stored = self.disks[side].rows()
        if side == "payer":
            self.payer = PayerBook(
                DOMAIN, PAYER_KEY, PAYEE, self.limits, self.dice.randbytes, rows=stored, now=self.now
            )
        else:
            self.payee = PayeeBook(DOMAIN, PAYER, PAYEE, self.payee_limits, rows=stored, now=self.now)

    def set_channel(self, channel):
        self.turn("payer", self.payer.on_channel(channel))
        return self.turn("payee", self.payee.on_channel(channel, self.now))

    def turn(self, side, effects, crash=None):
        """Carry out effects. `crash`: "before" the disk is written, "after" it, or None."""
        if crash == "before":
            self.crash(side)
            return ()
        self.disks[side].apply(effects)
        if crash == "after":
            self.crash(side)
            return ()
        for effect in effects:
            if isinstance(effect, TO_PAYEE):
                self.wires["payee"].append(effect)
            elif isinstance(effect, TO_PAYER):
                self.wires["payer"].append(effect)
            else:
                self.events.append((side, effect))
        return effects

    def issue(self, value=4, price=PRICE, crash=None):
        """Issue the next ticket; returns the effects or the Wait."""
        _, lock, _, hint = secrets(self.issued)
        self.issued += 1
        effects = self.payer.issue(lock, hint, value, price=price, now=self.now, origin=b"%d" % self.issued)
        if isinstance(effects, events.Wait):
            return effects
        return self.turn("payer", effects, crash)

    def handle(self, side, message):
        """Hand a message to its receiver; returns the effects, not yet carried out."""
        return self._handlers[type(message)](message)

    def _accept(self, message):
        _, _, ack, hint = secrets(by_lock(self.issued)[message.lock])
        assert message.hint == hint
        return self.payee.accept(message.seq, message.lock, ack, message.value, price=PRICE, now=self.now)

    def flow(self):
        """Deliver everything, in order, until the wires are silent."""
        while any(self.wires.values()):
            for side, wire in self.wires.items():
                if wire:
                    self.turn(side, self.handle(side, wire.popleft()))

    def respond(self, ticket, crash=None):
        """Give the payee the response of a placed ticket."""
        response = secrets(by_lock(self.issued)[ticket.lock])[0]
        effects = self.payee.on_response(ticket.batch, ticket.position, response, self.now)
        self.turn("payee", effects, crash)
        return effects

    def respond_all(self, keep=lambda ticket: True):
        have = self.disks["payee"].answered()
        for ticket in self.disks["payee"].tickets():
            if (ticket.batch, ticket.position) not in have and keep(ticket):
                self.respond(ticket)

    def tick(self, seconds=0.0):
        self.now += seconds
        self.turn("payer", self.payer.tick(self.now))
        self.turn("payee", self.payee.tick(self.now))

    def carry(self, count, value=4):
        """Issue and acknowledge tickets, signing as needed."""
        for _ in range(count):
            effects = self.issue(value)
            if isinstance(effects, events.Wait):
                raise AssertionError(effects.reason)
            self.flow()

    def settle(self):
        """A whole settlement, nothing lost."""
        self.turn("payee", self.payee.begin_settlement(self.now))
        self.flow()

    def heal(self):
        """A new connection and time for everything to end; all responses are in."""
        for _ in range(40):
            self.respond_all()
            self.turn("payer", self.payer.resend(self.now))
            self.turn("payee", self.payee.resend(self.now))
            self.flow()
            self.tick(2.0)
            self.turn("payee", self.payee.begin_settlement(self.now))
            self.flow()
            if self.payee.totals(PRICE).unsettled == 0 and self.payer.totals(PRICE).unsigned == 0:
                return

    def reasons(self, side):
        return [e.reason for s, e in self.events if s == side and isinstance(e, events.Refuse)]


def honest_batch(number, count, root, key=PAYER_KEY, price=PRICE, value=None):
    """A BATCH message signed by this key, over tickets of 4 unless told otherwise."""
    message = eip712.Batch(PAYER, PAYEE, number, count, 4 * count if value is None else value, price, root)
    return events.SendBatch(number, count, root, eip712.sign(key, message.digest(DOMAIN)))


def honest_voucher(cumulative, upto, key=PAYER_KEY):
    """A VOUCHER message signed by this key."""
    message = eip712.Voucher(PAYER, PAYEE, cumulative, upto)
    return events.SendVoucher(cumulative, upto, eip712.sign(key, message.digest(DOMAIN)))


def locks_root(tickets):
    return merkle.root([merkle.lock_leaf(ticket.lock, ticket.value) for ticket in tickets])
