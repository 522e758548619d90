"""Peers that lie or do not pay. What each can cost an honest relay stays within its limits; that relay's
status says what the peer has done, since when, and what brings it back; and where it comes back, it does.

One of two first mixes is the liar: as payee of the entries, or as payer of the second mix.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import choice

from chaos.scenario import require, scenario
from chaos.scenarios.liar import Change, speaks
from chaos.scenarios.world import PRICE, FaultWorld, Prepare, Way, sees, world
from mixpay import eip712
from mixpay.types import RelayId, Value
from mixpay.wire import frames
from mixpay.wire.frames import LinkFrame
from relay.daemon import Daemon
from relay.path.books import Side

WINDOW = 16
"""Tickets that a payer may leave unsigned."""
CREDIT = 120
"""Hop prices that one may owe without a channel."""
MOST = 3
"""Hop prices of a ticket to the second mix."""
_SETTINGS = {
    "limits.sign_after": "0.5",
    "treasury.open_at": "1000000",  # no channel but for vouchers: what limits is the credit
}
_TIGHT = {
    "limits.unsigned_tickets": str(WINDOW),
    "limits.credit_limit": str(CREDIT),
    "limits.ack_timeout": "2.0",
}
"""Soon reached; but of what comes then, packets may be lost."""


def _network(
    folder: Path, prepare: Prepare = lambda daemon: None, **more: str
) -> AbstractAsyncContextManager[FaultWorld]:
    limits = {f"limits.{name}": value for name, value in more.items()}
    return world(folder, 4, settings={**_SETTINGS, **_TIGHT, **limits}, prepare=prepare)


def _roomy(folder: Path) -> AbstractAsyncContextManager[FaultWorld]:
    """Limits as operators have them, far above the traffic here: no packet waits for money, or is lost."""
    return world(folder, 4, settings=_SETTINGS)


class Liar:
    """The mix that lies, while it does; and packets that pass it."""

    def __init__(self, net: FaultWorld) -> None:
        self.net = net
        self.me = net.in_layer(1)[0]
        self.lie: Change | None = None
        for side in (Side.PAYER, Side.PAYEE):
            speaks(self.daemon, side, self._say)

    @property
    def daemon(self) -> Daemon:
        """Itself."""
        return self.net.relay(self.me)

    def _say(self, peer: RelayId, frame: LinkFrame) -> Iterable[LinkFrame]:
        return (frame,) if self.lie is None else self.lie(peer, frame)

    def way(self) -> Way:
        """A packet's way through the liar."""
        ids = [daemon.me for daemon in self.net.daemons if daemon.me != self.me]
        entry = choice([relay for relay in ids if relay in self.payers])  # noqa: S311 -- no secret
        mailbox = choice([relay for relay in ids if relay not in self.net.in_layer(3)])  # noqa: S311
        return entry, (self.me, *self.net.in_layer(2), *self.net.in_layer(3)), mailbox

    async def carry(self, packets: int = 40) -> None:
        """Packets through the liar, whatever becomes of them."""
        await self.net.carry(packets, self.way, pause=0.01, limit=3.0)

    @property
    def payers(self) -> list[RelayId]:
        """Who pays it: as entries, those that are no first mixes."""
        return [*self.net.in_layer(2), *self.net.in_layer(3)]

    @property
    def payees(self) -> list[RelayId]:
        """Whom it pays."""
        return self.net.in_layer(2)

    def notes(self, relay: RelayId) -> str:
        """What an honest relay's operator reads of it."""
        status = self.net.status(relay)
        found = [note for p in status.payers if p.relay == self.me for note in p.notes]
        found += [note for p in status.payees if p.relay == self.me for note in p.notes]
        return "; ".join(found)

    def _reads(self, relay: RelayId, words: Iterable[str]) -> bool:
        return all(word in self.notes(relay) for word in words)

    async def is_told(self, relays: Iterable[RelayId], *words: str) -> None:
        """Each of these operators reads all of the words about it."""
        for relay in relays:
            await sees(
                f"relay {relay}'s operator to be told {words} of relay {self.me}, not {self.notes(relay)!r}",
                partial(self._reads, relay, words),
            )

    async def comes_back(self) -> None:
        """It tells the truth again: packets flow, and in the end every unit is there."""
        self.lie = None
        for daemon in self.net.daemons:
            daemon.desk.settle()

        await sees("everybody to take its tickets again", lambda: not self.net.refused())
        await self.net.settle()
        for _ in range(4):  # the first may meet what is left of its silence
            ends = await self.net.carry(20, self.way, pause=0.02, limit=5.0)
            if ends[None] > 15:
                break
        require(ends[None] > 15, f"packets through the relay that came back: {ends}")
        await self.net.all_is_well()


def _owes_nothing(liar: Liar) -> None:
    """Nobody has signed, or will sign, anything to it beyond what it has earned before it lied."""
    for payer in liar.payers:
        book = liar.net.owes(payer, liar.me)
        require(book.state.cumulative == 0, f"relay {payer} has signed {book.state.cumulative} to the liar")


# ---------------------------------------------------------------------- as payee


async def _withheld_acks(folder: Path) -> None:
    """It takes packets and acknowledges none: they are not paid, in no place, and it is given no more."""

    def few(daemon: Daemon) -> None:
        daemon.books._limits = replace(daemon.books._limits, max_lost=WINDOW, probe_interval=2.0)

    async with _network(folder, few) as net:
        liar = Liar(net)
        liar.lie = lambda peer, frame: () if isinstance(frame, frames.Acks) else (frame,)
        for _ in range(3):
            await liar.carry(25)
            await asyncio.sleep(2.5)  # past the time in which acknowledgements count
        await liar.is_told(liar.payers, "too_many_lost", "until it acknowledges in time")
        _owes_nothing(liar)
        for payer in liar.payers:
            lost = net.owes(payer, liar.me).totals(PRICE).lost
            require(lost <= 3 * WINDOW, f"relay {payer} has given it {lost} tickets")
        await liar.comes_back()


async def _wrong_responses(folder: Path) -> None:
    """Its acknowledgements open nothing: not one is paid, and its link is refused for good."""

    def wrong(peer: RelayId, frame: LinkFrame) -> Iterable[LinkFrame]:
        if isinstance(frame, frames.Acks):
            frame = frames.Acks(tuple(replace(a, ack=bytes(31) + b"\1") for a in frame.acks))
        return (frame,)

    await _for_good(folder, wrong, "bad_ack")


async def _padded_total(folder: Path) -> None:
    """It claims a hop price more than its tickets come to."""

    def padded(peer: RelayId, frame: LinkFrame) -> Iterable[LinkFrame]:
        if isinstance(frame, frames.Redeem):
            return (replace(frame, total=Value(frame.total + 1)),)
        return (frame,)

    await _for_good(folder, padded, "padded_total")


async def _padded_tree(folder: Path) -> None:
    """Its tree is another one than the receipts make: the sums within do not hold."""

    def padded(peer: RelayId, frame: LinkFrame) -> Iterable[LinkFrame]:
        if isinstance(frame, frames.Redeem):
            return (replace(frame, root=bytes(31) + b"\1"),)
        return (frame,)

    await _for_good(folder, padded, "bad_sample")


async def _for_good(folder: Path, lie: Change, reason: str) -> None:
    async with _roomy(folder) as net:
        liar = Liar(net)
        liar.lie = lie
        await liar.carry(30)
        await net.all_arrived()  # what is under way when its batch is cut may come too late to be paid for
        for daemon in net.daemons:
            daemon.desk.settle()
        await liar.is_told(liar.payers, f"gets no more tickets: {reason}, since ", "UTC, for good", "court")
        _owes_nothing(liar)
        for payer in liar.payers:
            require(reason in net.status(payer).refusals, f"relay {payer} does not count {reason}")
        liar.lie = None
        others = await net.carry(40, lambda: net.draw(without=[liar.me]), at_once=8)
        require(others[None] == 40, f"packets that do not pass it: {others}")
        await net.all_is_well(aside=[liar.me], lossless=True)
        _owes_nothing(liar)


# ---------------------------------------------------------------------- as payer


def _silent(kind: type[LinkFrame]) -> Change:
    return lambda peer, frame: () if isinstance(frame, kind) else (frame,)


async def _unsigned(folder: Path) -> None:
    """It signs no batch: its payees take a window of tickets, and no more, until it signs."""
    async with _network(folder) as net:
        liar = Liar(net)
        liar.lie = _silent(frames.Batch)
        await liar.carry(50)
        await liar.is_told(liar.payees, "refuses its tickets: unsigned_window", "until it signs the batch")
        for payee in liar.payees:
            unsigned = net.owed(liar.me, payee).totals(PRICE).unsigned
            require(unsigned <= WINDOW, f"relay {payee} took {unsigned} unsigned tickets")
        await liar.comes_back()


async def _mismatched(folder: Path) -> None:
    """It signs a batch of other tickets than it gave: none is taken any more, until it pays what is due."""
    async with _network(folder) as net:
        liar = Liar(net)
        domain = eip712.channels_domain(net.deployment.chain_id, net.deployment.channels)

        def other(peer: RelayId, frame: LinkFrame) -> Iterable[LinkFrame]:
            if isinstance(frame, frames.Batch):
                root, run = bytes(31) + b"\1", net.owes(liar.me, peer)._run(frame.number)
                if run is None:
                    return ()
                value, price = run.value_of(frame.count), run.price
                names = liar.daemon.account, net.account(peer)
                message = eip712.Batch(*names, frame.number, frame.count, value, price, root)
                signed = eip712.sign(liar.daemon.home.operator_key, message.digest(domain))
                return (replace(frame, root=root, signature=signed),)
            return (frame,)

        liar.lie = other
        await liar.carry(50)
        await liar.is_told(
            liar.payees, "takes no more of its tickets: wrong_root, since ", "UTC, until it signs the voucher"
        )
        for payee in liar.payees:
            unsigned = net.owed(liar.me, payee).totals(PRICE).unsigned
            require(unsigned <= WINDOW, f"relay {payee} took {unsigned} tickets without a right signature")
        await liar.comes_back()
        for payee in liar.payees:
            require("wrong_root" not in liar.notes(payee), "it is back, and still called a liar")


async def _no_vouchers(folder: Path) -> None:
    """It never pays: its payees give it what the limits allow, then wait for the court, or for a voucher."""
    async with _network(folder, max_unsettled=str(CREDIT)) as net:
        liar = Liar(net)
        liar.lie = _silent(frames.Voucher)
        for _ in range(3):
            await liar.carry(40)
        await liar.is_told(liar.payees, "refuses its tickets: max_unsettled", "until it settles what it owes")
        for payee in liar.payees:
            owed = net.owed(liar.me, payee).totals(PRICE).unsettled
            require(CREDIT - MOST < owed <= CREDIT, f"relay {payee} is owed {owed}")
        await liar.comes_back()


async def _wrong_hints(folder: Path) -> None:
    """Its hints fit other packets: each is refused before it is acknowledged, and nothing is owed."""
    async with _network(folder) as net:
        liar, last = Liar(net), b""

        def swapped(peer: RelayId, frame: LinkFrame) -> Iterable[LinkFrame]:
            nonlocal last
            if isinstance(frame, frames.Packet):
                hint, last = last, frame.hint
                frame = replace(frame, hint=hint or frame.hint)
            return (frame,)

        liar.lie = swapped
        await liar.carry(40)
        for payee in liar.payees:
            await sees("refusals", partial(_refuses_hints, net, payee))
            owed = net.owed(liar.me, payee).totals(PRICE).unsettled
            require(owed <= MOST, f"relay {payee} took {owed} with hints that do not fit")
        net.sent.clear()
        await liar.comes_back()


def _refuses_hints(net: FaultWorld, payee: RelayId) -> bool:
    return net.status(payee).drops.get("wrong_hint", 0) > 3


async def _closing(folder: Path) -> None:
    """It asks for its channel's end while packets flow: tickets end, and all is claimed in the notice."""
    async with _network(folder) as net:
        liar = Liar(net)
        await liar.carry(40)
        await net.settle()
        await net.claim()
        await liar.carry(30)
        payee = max(liar.payees, key=lambda relay: net.owed(liar.me, relay).totals(PRICE).unsettled)
        book, channel = net.owed(liar.me, payee), net.contracts.channels.channel
        accounts = liar.daemon.account, net.account(payee)
        require(book.totals(PRICE).unsettled > 0, "nothing is owed")
        closing = net.contracts.channels.request_close(net.account(payee))
        await asyncio.to_thread(liar.daemon.sender.send, closing)
        closes_at = channel(*accounts).closes_at
        await sees("the payee to know", lambda: book.channel.closes_at or not channel(*accounts).closes_at)
        await sees("all to be settled", lambda: not book.totals(PRICE).unsettled)
        await sees("all to be claimed", lambda: channel(*accounts).claimed == book.state.cumulative)
        require(net.chain.rpc.latest().timestamp < closes_at, "that took longer than the notice")
        await liar.comes_back()


SCENARIOS = (
    scenario("acks_withheld", _withheld_acks),
    scenario("responses_wrong", _wrong_responses),
    scenario("total_padded", _padded_total),
    scenario("sum_tree_padded", _padded_tree),
    scenario("batches_unsigned", _unsigned),
    scenario("batches_mismatched", _mismatched),
    scenario("vouchers_refused", _no_vouchers),
    scenario("hints_wrong", _wrong_hints),
    scenario("channel_closed_in_use", _closing),
)
