"""A payer's and a payee's book with their databases, and receipts between them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from mixpay import eip712
from mixpay.book import Limits, PayeeBook, PayerBook, events
from mixpay.book.events import Effect, SendAck, SendTicket
from mixpay.book.rows import Channel
from mixpay.crypto import secp256k1
from mixpay.types import Account, Amount, RelayId, Value
from relay.path.books import Side
from relay.store import Changes, IssuedTickets, RelayStore

PRICE = Amount(10**12)
_RICH = Channel(Amount(10**27))
_VALUE = Value(4)
_STOCK = 256
GROUP = 128
"""Tickets that come, are acknowledged and are answered together, as under load."""
LARGE = Limits(max_unsettled=Value(1 << 50), settle_tickets=1 << 30, settle_period=1e9, ack_timeout=1e9)
"""Batches are signed on the way, as in service, and nothing is settled before it is told to."""


class Ledger:
    """Both sides of a channel. `now` never moves."""

    def __init__(self, folder: Path, limits: Limits = LARGE) -> None:
        keys = [os.urandom(32) for _ in range(2)]
        payer, payee = (Account(eip712.account_of(key)) for key in keys)
        domain = eip712.channels_domain(31337, bytes(20))
        self.payer = PayerBook(domain, keys[0], payee, limits, os.urandom)
        self.payee = PayeeBook(domain, payer, payee, limits)
        self.stores = {side: RelayStore(folder / f"{side.name.lower()}.sqlite") for side in Side}
        """Of the two relays: under PAYER that of the payee, whose peer is the payer."""
        self._issued = {side: IssuedTickets() for side in Side}
        self._changes = {side: Changes(issued) for side, issued in self._issued.items()}
        self._stock = [self._secrets() for _ in range(_STOCK)]
        self._sent: list[tuple[Side, Effect]] = []
        self.turn(Side.PAYEE, self.payer.on_channel(_RICH))
        self.turn(Side.PAYER, self.payee.on_channel(_RICH, 0.0))

    @staticmethod
    def _secrets() -> tuple[bytes, bytes, bytes, bytes]:
        response, ack = (secp256k1.scalar_from(os.urandom(secp256k1.SEED_SIZE)) for _ in range(2))
        hint = secp256k1.base_mult(ack, secp256k1.LONG_POINT_SIZE)
        return response, secp256k1.base_address(response), ack, hint

    def turn(self, side: Side, effects: Iterable[Effect]) -> None:
        """Rows to the side's database, the rest to the other side. `side`: which of a relay's books it is."""
        for effect in effects:
            if isinstance(effect, events.DiskEffect):
                self._changes[side].book(side, RelayId(1), effect)
            else:
                self._sent.append((side, effect))

    async def written(self) -> None:
        """Everything is on disk, in one commit of each side."""
        ops = {side: changes.ops() for side, changes in self._changes.items()}
        self._changes = {side: Changes(issued) for side, issued in self._issued.items()}
        await asyncio.gather(*(store.written(ops[side]) for side, store in self.stores.items()))

    async def carry(self, count: int) -> None:
        """Tickets issued, taken, acknowledged and answered, in groups that are commits of their own."""
        for start in range(0, count, GROUP):
            self._group(range(start, min(start + GROUP, count)))
            await self.written()

    def _group(self, numbers: range) -> None:
        acks, places = [], []
        for number in numbers:
            response, lock, ack, hint = self._stock[number % _STOCK]
            issued = self.payer.issue(lock, hint, _VALUE, price=PRICE, now=0.0)
            if isinstance(issued, events.Wait):
                raise RuntimeError(f"the bench's payer waits: {issued.reason}")
            self.turn(Side.PAYEE, issued)
            seq = next(effect.seq for effect in issued if isinstance(effect, SendTicket))
            taken = self.payee.accept(seq, lock, ack, _VALUE, price=PRICE, now=0.0)
            self.turn(Side.PAYER, taken)
            acks += [(e.batch, e.position, e.seq, e.ack) for e in taken if isinstance(e, SendAck)]
            places.append(response)
        self.turn(Side.PAYEE, self.payer.on_acks(acks, 0.0))
        for (batch, position, _, _), response in zip(acks, places, strict=True):
            self.turn(Side.PAYER, self.payee.on_response(batch, position, response, 0.0))
        signed = [effect for _, effect in self._sent if isinstance(effect, events.SendBatch)]
        self._sent.clear()
        for promise in signed:
            self.turn(Side.PAYER, self._to_payee(promise))

    async def settle(self) -> None:
        """One settlement from beginning to end, every message delivered, every row on disk."""
        self.turn(Side.PAYER, self.payee.begin_settlement(0.0))
        while self._sent:
            sent, self._sent = self._sent, []
            await self.written()
            for side, effect in sent:
                if side is Side.PAYER:
                    self.turn(Side.PAYEE, self._to_payer(effect))
                else:
                    self.turn(Side.PAYER, self._to_payee(effect))
        await self.written()

    def _to_payer(self, effect: Effect) -> Iterable[Effect]:
        match effect:
            case events.SendCut():
                return self.payer.on_cut(effect.number, effect.count)
            case events.SendRedeem():
                return self.payer.on_redeem(effect.number, effect.root, effect.total)
            case events.SendOpenings():
                return self.payer.on_openings(effect.number, effect.openings)
        return ()

    def _to_payee(self, effect: Effect) -> Iterable[Effect]:
        match effect:
            case events.SendBatch():
                return self.payee.on_batch(effect.number, effect.count, effect.root, effect.signature, 0.0)
            case events.SendSamples():
                return self.payee.on_samples(effect.number, effect.points, 0.0)
            case events.SendVoucher():
                return self.payee.on_voucher(effect.cumulative, effect.upto_batch, effect.signature, 0.0)
        return ()

    async def close(self) -> None:
        """Both databases are closed, and their journals empty."""
        for store in self.stores.values():
            await store.close()
