"""Since when batches wait for their vouchers, in chain time, across restarts."""

from __future__ import annotations

import struct

from mixpay.types import RelayId
from relay.store import Delete, RelayStore, setting_op
from relay.store.tables import SETTINGS

_ROW = struct.Struct(">IQ")


class Noticed:
    """One batch a payer: that which is cut. Kept in the store."""

    def __init__(self, store: RelayStore) -> None:
        self._store = store
        self._known: dict[RelayId, tuple[int, int] | None] = {}

    def since(self, payer: RelayId, batch: int, now: int) -> int:
        """When this batch was first seen to wait; that is now, if it is a new one."""
        known = self._of(payer)
        if known is not None and known[0] == batch:
            return known[1]
        self._known[payer] = (batch, now)
        self._store.write([setting_op(_name(payer), _ROW.pack(batch, now))])
        return now

    def settled(self, payer: RelayId) -> None:
        """None waits."""
        if self._of(payer) is not None:
            self._known[payer] = None
            self._store.write([Delete(SETTINGS, (_name(payer),))])

    def _of(self, payer: RelayId) -> tuple[int, int] | None:
        if payer not in self._known:
            row = self._store.setting(_name(payer))
            self._known[payer] = _ROW.unpack(row) if row is not None else None
        return self._known[payer]


def _name(payer: RelayId) -> str:
    return f"court:{payer}"
