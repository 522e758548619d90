"""What the daemon holds in memory with a million receipts and a million replay tags in its database."""

from __future__ import annotations

import asyncio
import os

from bench import proc
from bench.figures import Found, Scale
from bench.ledger import LARGE, PRICE
from bench.running import Daemon
from bench.world import EPOCH, RELAYS, World
from mixpay import eip712
from mixpay.book import PayeeBook
from mixpay.book.events import ForgetBatch, ForgetTickets, Store, TicketTaken
from mixpay.book.rows import Channel
from mixpay.crypto import secp256k1
from mixpay.geometry import REPLAY_TAG_SIZE
from mixpay.types import Account, Amount, RelayId, Value
from relay.path.books import Side
from relay.store import RelayStore, StoreOp, book_ops, tag_op

_GROUP = 1_000
_VALUE = Value(4)
_FOR_DISK = (Store, ForgetTickets, ForgetBatch)
_RICH = Channel(Amount(10**27))


def measure(found: Found, world: World, scale: Scale) -> None:
    """Fill the database of the relay under test, start it, and look."""
    asyncio.run(fill(world, scale.held))
    daemon = Daemon(world, "daemon-full")
    try:
        daemon.wait()
        found.figures["rss_mb"] = proc.rss_mb(daemon.pid)
        found.detail["memory"] = {
            "receipts": scale.held,
            "tags": scale.held,
            "processes": len(proc.tree(daemon.pid)),
            "file_mb": world.home.database.stat().st_size / 1e6,
        }
    finally:
        daemon.stop()


async def fill(world: World, held: int) -> None:
    """Receipts from eight payers, as their books write them, and as many tags. In a new database."""
    path = world.home.database
    for old in path.parent.glob(f"{path.name}*"):
        old.unlink()
    store = RelayStore(path)
    payers = [RelayId(relay) for relay in range(1, RELAYS + 1) if relay != world.me.relay]
    for payer in payers:
        await _receipts(store, world.me.account, payer, held // len(payers))
    for _ in range(0, held, _GROUP):
        await store.written([tag_op(EPOCH, os.urandom(REPLAY_TAG_SIZE)) for _ in range(_GROUP)])
    await world.plant_key(store)
    await store.close()


async def _receipts(store: RelayStore, me: Account, payer: RelayId, count: int) -> None:
    """One payer's open batch. Nobody checks a stored receipt's lock, so scalars are as they come."""
    book = PayeeBook(eip712.channels_domain(31337, bytes(20)), Account(os.urandom(20)), me, LARGE)
    ops = _ops(payer, book.on_channel(_RICH, 0.0))
    for seq in range(1, count + 1):
        noise = os.urandom(20 + 2 * secp256k1.SCALAR_SIZE)
        lock, ack, response = noise[:20], b"\1" + noise[21:52], b"\1" + noise[53:]
        taken = book.accept(seq, lock, ack, _VALUE, price=PRICE, now=0.0)
        place = next(effect for effect in taken if isinstance(effect, TicketTaken))
        ops += _ops(payer, taken)
        ops += _ops(payer, book.on_response(place.batch, place.position, response, 0.0))
        if seq % _GROUP == 0 or seq == count:
            await store.written(ops)
            ops = []


def _ops(payer: RelayId, effects: tuple[object, ...]) -> list[StoreOp]:
    return [
        op
        for effect in effects
        if isinstance(effect, _FOR_DISK)
        for op in book_ops(Side.PAYER, payer, effect)
    ]
