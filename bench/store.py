"""The store layer: what a receipt and a replay tag take on disk, and what writing them costs."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from bench.figures import Found, Scale
from bench.ledger import GROUP, Ledger
from mixpay.geometry import REPLAY_TAG_SIZE
from mixpay.types import Epoch
from relay.path.books import Side
from relay.store import Changes, IssuedTickets, RelayStore

_EPOCH = Epoch(1)


def measure(scale: Scale) -> Found:
    """Growth of files from empty ones to ones that hold a large open batch, closed each time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = asyncio.run(_sizes(folder / "empty", 0))
        full = asyncio.run(_sizes(folder / "full", scale.receipts))
        tags, us = asyncio.run(_tags(folder, scale.receipts))
    payee, payer = ((full[side] - empty[side]) / scale.receipts for side in (Side.PAYER, Side.PAYEE))
    detail = {"bytes_per_ticket_of_the_payer": payer, "bytes_per_tag": tags, "us_per_tag": us, "group": GROUP}
    return Found({"bytes_per_receipt": payee}, {**detail, "receipts": scale.receipts})


async def _sizes(folder: Path, receipts: int) -> dict[Side, int]:
    folder.mkdir()
    ledger = Ledger(folder)
    await ledger.carry(receipts)
    await ledger.close()
    return {side: store.path.stat().st_size for side, store in ledger.stores.items()}


async def _tags(folder: Path, count: int) -> tuple[float, float]:
    """Bytes and µs of CPU a tag, in commits of GROUP."""
    path = folder / "tags.sqlite"
    store = RelayStore(path)
    await store.written(())
    began, before = time.process_time(), path.stat().st_size
    for _ in range(0, count, GROUP):
        changes = Changes(IssuedTickets())
        for _ in range(GROUP):
            changes.tag(_EPOCH, os.urandom(REPLAY_TAG_SIZE))
        await store.written(changes.ops())
    used = time.process_time() - began
    await store.close()
    written = -(-count // GROUP) * GROUP
    return (path.stat().st_size - before) / written, used / written * 1e6
