"""A contract's whole history of events, and whether it is whole: from its creation on."""

from __future__ import annotations

from collections.abc import Iterator

from mixpay.chain.errors import RpcError
from mixpay.chain.records import Log
from mixpay.chain.rpc import Rpc
from mixpay.types import Account

_SPAN = 10_000
"""Blocks asked for at once; nodes limit it."""


def history(rpc: Rpc, address: Account, since: int) -> Iterator[Log]:
    """Everything that a contract emitted from block `since` on, in order. Raises what `Rpc.logs` raises."""
    newest, span = rpc.latest().number, _SPAN
    while since <= newest:
        last = min(since + span - 1, newest)
        try:
            logs = rpc.logs(since, last, [address])
        except RpcError:
            if span == 1:
                raise
            span = max(1, span // 2)
            continue
        yield from logs
        since = last + 1


def begins_with_creation(rpc: Rpc, address: Account, since: int) -> bool:
    """Whether the contract's creation, which must emit something, is not before block `since`."""
    first = next(history(rpc, address, since), None)
    receipt = None if first is None else rpc.receipt(first.transaction)
    return receipt is not None and receipt.contract == address
