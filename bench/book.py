"""The book layer: a large batch redeemed, both sides together, with their databases."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bench.figures import Found, Scale
from bench.ledger import PRICE, Ledger


def measure(scale: Scale) -> Found:
    """`settle_100k_s`: from the cut over the last signature, redeem, samples and openings to the voucher; all
    rows of both sides on disk. CPU of the whole process. Signatures on the way are the tickets' cost.
    """
    with tempfile.TemporaryDirectory() as folder:
        carried, settled = asyncio.run(_measure(Path(folder), scale.receipts))
    scaled = settled * 100_000 / scale.receipts
    detail = {"receipts": scale.receipts, "us_per_ticket_both_sides": carried / scale.receipts * 1e6}
    return Found({"settle_100k_s": scaled}, detail)


async def _measure(folder: Path, receipts: int) -> tuple[float, float]:
    ledger = Ledger(folder)
    began = time.process_time()
    await ledger.carry(receipts)
    between = time.process_time()
    await ledger.settle()
    ended = time.process_time()
    for book in (ledger.payee, ledger.payer):
        totals = book.totals(PRICE)
        if (totals.cumulative, totals.unsettled) != (4 * receipts * PRICE, 0):
            raise RuntimeError("the bench's books did not settle")
    await ledger.close()
    return between - began, ended - between
