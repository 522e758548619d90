"""Chance drives a link, and what has to hold afterwards (I7)."""

from dataclasses import replace
from typing import ClassVar

from book_helpers import PRICE, Link
from mixpay.book import Limits, rows

SMALL = Limits(unsigned_window=8, settle_tickets=12, retry_interval=3.0, ack_timeout=4.0, max_lost=1000)

SHORT = replace(SMALL, shorten_after=3)
"""So that rows of every kind stand beside each other."""


def assert_equal_books(link, *, but=()):
    """I7."""
    payer, payee = link.payer.totals(PRICE), link.payee.totals(PRICE)
    for name in {"unsigned", "unsettled", "settled", "cumulative", "upto_batch", "refused"} - set(but):
        assert getattr(payer, name) == getattr(payee, name), name
    for kind in (rows.PlacedTicket, rows.SignedBatch, rows.BatchPrice, rows.Cut, rows.Commitment):
        assert link.disks["payer"].of(kind) == link.disks["payee"].of(kind), kind


def assert_rebuilds(link):
    """A book from the disk says the same as the living one; the payer's lost tickets are under way again."""
    link.tick(10.0)
    for side in ("payer", "payee"):
        before = getattr(link, side).totals(PRICE)
        link.crash(side)
        link.turn("payer", link.payer.tick(link.now + 10.0))
        after = getattr(link, side).totals(PRICE)
        for name in ("unsettled", "opened", "settled", "cumulative", "upto_batch", "receipts", "refused"):
            assert getattr(before, name) == getattr(after, name), name


class Storm:
    """Chance drives a link: messages lost, repeated, out of order; crashes before and after each write.

    `opened` is the oracle: the value of every response that the payee had on its disk in time.
    """

    STEPS: ClassVar = {
        "issue": 6,
        "deliver": 20,
        "lose": 2,
        "repeat": 2,
        "respond": 5,
        "tick": 2,
        "settle": 1,
        "connect": 1,
    }

    def __init__(self, seed, limits=SMALL):
        self.link = Link(seed, limits=limits)
        self.dice = self.link.dice
        self.opened = 0

    def step(self):
        (name,) = self.dice.choices(list(self.STEPS), list(self.STEPS.values()))
        (crash,) = self.dice.choices([None, "before", "after"], [40, 1, 1])
        getattr(self, name)(crash)
        self.blame()
        self.compare()

    def blame(self):
        assert not self.link.reasons("payer")
        assert not self.link.reasons("payee")

    def compare(self):
        assert self.link.payer.totals(PRICE).cumulative >= self.link.payee.totals(PRICE).cumulative

    def issue(self, crash):
        self.link.issue(self.dice.randint(1, 4), crash=crash)

    def deliver(self, crash, lose=False, repeat=False):
        side = self.dice.choice(["payer", "payee"])
        wire = self.link.wires[side]
        if not wire:
            return
        # Mostly in order, as TCP; sometimes from anywhere.
        index = self.dice.randrange(len(wire)) if self.dice.random() < 0.2 else 0
        message = wire[index]
        if not repeat:
            del wire[index]
        if not lose:
            self.link.turn(side, self.link.handle(side, message), crash)

    def lose(self, crash):
        self.deliver(crash, lose=True)

    def repeat(self, crash):
        self.deliver(crash, repeat=True)

    def respond(self, crash):
        tickets = self.link.disks["payee"].tickets()
        if tickets:
            ticket = self.dice.choice(tickets)
            if self.link.respond(ticket, crash) and crash != "before":
                self.opened += ticket.value

    def tick(self, _):
        self.link.tick(self.dice.choice([0.5, 1.0, 5.0]))

    def settle(self, crash):
        self.link.turn("payee", self.link.payee.begin_settlement(self.link.now), crash)

    def connect(self, crash):
        for wire in self.link.wires.values():
            wire.clear()
        self.link.turn("payer", self.link.payer.resend(self.link.now), crash)
        self.link.turn("payee", self.link.payee.resend(self.link.now))

    def calm(self):
        """Lose what is on the wires; then all responses come that still can, and one round is exchanged."""
        for wire in self.link.wires.values():
            wire.clear()
        disk = self.link.disks["payee"]
        answered = disk.answered()
        fixed = {row.number for row in disk.of(rows.Commitment)}
        for ticket in disk.tickets():
            if (ticket.batch, ticket.position) not in answered and ticket.batch not in fixed:
                self.opened += ticket.value
        self.link.heal()
