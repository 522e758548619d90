"""Whole histories of events: of a contract from its creation on, or of what names somebody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixpay.chain.errors import RpcError
from mixpay.chain.records import Log
from mixpay.chain.rpc import Rpc
from mixpay.types import Account

_SPAN = 10_000
"""Blocks asked for at once; nodes limit it."""


@dataclass(frozen=True, slots=True)
class Query:
    """Events of these contracts; with `topics`, those that have them at their places (None: any)."""

    addresses: tuple[Account, ...]
    topics: tuple[bytes | None, ...] = ()


def history(rpc: Rpc, address: Account, since: int) -> Iterator[Log]:
    """Everything that a contract emitted from block `since` on, in order. Raises what `Rpc.logs` raises."""
    return search(rpc, [Query((address,))], since, rpc.latest().number)


def search(rpc: Rpc, queries: Sequence[Query], since: int, newest: int) -> Iterator[Log]:
    """What any of the queries finds in blocks `since` to `newest`, each event once, in order."""
    span = _SPAN
    while since <= newest:
        last = min(since + span - 1, newest)
        try:
            found = {log for query in queries for log in rpc.logs(since, last, query.addresses, query.topics)}
        except RpcError:
            if span == 1:
                raise
            span = max(1, span // 2)
            continue
        yield from sorted(found, key=lambda log: (log.block, log.index))
        since = last + 1


def begins_with_creation(rpc: Rpc, address: Account, since: int) -> bool:
    """Whether the contract's creation, which must emit something, is not before block `since`."""
    first = next(history(rpc, address, since), None)
    receipt = None if first is None else rpc.receipt(first.transaction)
    return receipt is not None and receipt.contract == address
