"""What a redeeming relay keeps on disk beside passes and vouchers: what is due to it, what the pool has paid.

    due      of a scope: what it must add to the campaign's total, if that is not what its passes are worth
    beyond   of a campaign: what the pool paid for passes, and no voucher's total had to include yet
    since    of a scope: when (chain time) its passes were last redeemed at the pool
    total    of a campaign: all that the pool ever paid for passes

Amounts in token units.
"""

from __future__ import annotations

from mixpay.passes import Scope
from mixpay.types import Amount
from relay.store import Delete, RelayStore, StoreOp, forget_pass_key_op, setting_op
from relay.store.tables import SETTINGS

_SIZE = 12


class Dues:
    """The notes of one relay. Reads are short: they run in the event loop."""

    def __init__(self, store: RelayStore) -> None:
        self._store = store

    def due(self, scope: Scope) -> Amount | None:
        """None as long as it is what all passes of the scope are worth."""
        return self._amount(_of_scope("short", scope))

    def beyond(self, campaign: int) -> Amount:
        """See above."""
        return self._amount(_of_campaign("beyond", campaign)) or Amount(0)

    def since(self, scope: Scope) -> int | None:
        """None if the pool was never asked."""
        return self._amount(_of_scope("since", scope))

    def totals(self) -> dict[int, Amount]:
        """All that the pool ever paid for passes, by campaign."""
        prefix = _of_campaign("total", "")
        found = self._store.rows(SETTINGS, low=prefix, high=prefix + "~")
        return {int(name.removeprefix(prefix)): _read(data) for (name,), data in found}

    def due_op(self, scope: Scope, amount: int) -> StoreOp:
        """Keep what is due."""
        return _put(_of_scope("short", scope), amount)

    def beyond_op(self, campaign: int, amount: int) -> StoreOp:
        """Keep what no voucher includes."""
        return _put(_of_campaign("beyond", campaign), amount)

    def since_op(self, scope: Scope, now: int) -> StoreOp:
        """Keep when the pool was asked."""
        return _put(_of_scope("since", scope), now)

    def total_op(self, campaign: int, amount: int) -> StoreOp:
        """Keep what the pool paid."""
        return _put(_of_campaign("total", campaign), amount)

    def forget_ops(self, scope: Scope) -> list[StoreOp]:
        """Drop all notes about a scope, with the key of its passes."""
        notes = [Delete(SETTINGS, (_of_scope(name, scope),)) for name in ("short", "since")]
        return [*notes, forget_pass_key_op(scope)]

    def _amount(self, name: str) -> Amount | None:
        stored = self._store.setting(name)
        return None if stored is None else _read(stored)


def _read(data: bytes) -> Amount:
    return Amount(int.from_bytes(data, "big"))


def _put(name: str, amount: int) -> StoreOp:
    return setting_op(name, amount.to_bytes(_SIZE, "big"))


def _of_scope(name: str, scope: Scope) -> str:
    return f"{name}:{scope.campaign}:{scope.kind}:{scope.period}"


def _of_campaign(name: str, campaign: int | str) -> str:
    return f"redeemed:{name}:{campaign}"
