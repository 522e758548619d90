"""What the daemon holds in memory with a million receipts and a million replay tags in its database."""

from __future__ import annotations

import asyncio
import os

from bench import proc
from bench.figures import Found, Scale
from bench.ledger import GROUP, LARGE, PRICE
from bench.running import Daemon
from bench.world import EPOCH, Place, World
from mixpay import eip712
from mixpay.book import PayeeBook
from mixpay.book.events import DiskEffect, Effect, Refuse, TicketTaken
from mixpay.book.rows import Channel
from mixpay.crypto import secp256k1
from mixpay.geometry import REPLAY_TAG_SIZE
from mixpay.merkle import Frontier, lock_leaf
from mixpay.types import Amount, Value
from relay.path.books import Side
from relay.store import Changes, IssuedTickets, RelayStore

_GROUP = 1_000
_VALUE = Value(4)
_RICH = Channel(Amount(10**27))


def measure(found: Found, world: World, scale: Scale) -> None:
    """Fill the database of the relay under test, start it without workers, as it comes, and look."""
    world.set("workers", "0")
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
    payers = [place for relay, place in world.places.items() if relay != world.me.relay]
    for payer in payers:
        await _receipts(store, world, payer, held // len(payers))
    for _ in range(0, held, _GROUP):
        changes = Changes(IssuedTickets())
        for _ in range(_GROUP):
            changes.tag(EPOCH, os.urandom(REPLAY_TAG_SIZE))
        await store.written(changes.ops())
    await world.plant_key(store)
    await store.close()


async def _receipts(store: RelayStore, world: World, payer: Place, count: int) -> None:
    """One payer's open batch, signed on the way. Nobody checks a stored receipt, so scalars are noise."""
    book = PayeeBook(world.domain, payer.account, world.me.account, LARGE)
    locks, changes = Frontier(), Changes(IssuedTickets())
    _keep(changes, payer, book.on_channel(_RICH, 0.0))
    for seq in range(1, count + 1):
        noise = os.urandom(20 + 2 * secp256k1.SCALAR_SIZE)
        lock, ack, response = noise[:20], b"\1" + noise[21:52], b"\1" + noise[53:]
        taken = book.accept(seq, lock, ack, _VALUE, price=PRICE, now=0.0)
        place = next(effect for effect in taken if isinstance(effect, TicketTaken))
        _keep(changes, payer, taken)
        _keep(changes, payer, book.on_response(place.batch, place.position, response, 0.0))
        locks.append(lock_leaf(lock, _VALUE))
        if seq % GROUP == 0 or seq == count:
            message = eip712.Batch(
                payer.account, world.me.account, place.batch, seq, Value(seq * _VALUE), PRICE, locks.root()
            )
            signature = eip712.sign(payer.key, message.digest(world.domain))
            _keep(changes, payer, book.on_batch(place.batch, seq, locks.root(), signature, 0.0))
            await store.written(changes.ops())
            changes = Changes(IssuedTickets())


def _keep(changes: Changes, payer: Place, effects: tuple[Effect, ...]) -> None:
    for effect in effects:
        if isinstance(effect, Refuse):
            raise RuntimeError(f"the bench's payee refuses: {effect.reason}")
        if isinstance(effect, DiskEffect):
            changes.book(Side.PAYER, payer.relay, effect)
