"""The issuer's side after a period: what each relay is owed for the passes it carried.

Rules
- A redemption counts if the campaign's key signed the pass for its scope, the pass draws the relay that hands
  it in, and the tick's link leads to a head under the anchor.
- Each pass counts once, for its furthest tick; handing it in again adds nothing, with a further tick the
  difference.
- What is owed is one total for each campaign and relay over all periods, as the pool's voucher wants it. It
  never falls. A tick is worth `TICK_VALUE` times the hop price of its scope.
- Every credit is returned as a record. It is to be on disk before a voucher is signed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mixpay.passes.terms import TICK_VALUE, PassRules, Redemption, Scope
from mixpay.types import Account, Amount, Position


@dataclass(frozen=True, slots=True)
class RedeemedPass:
    """A pass that was handed in: its id (32 bytes), scope, and the ticks it was credited for so far."""

    pass_id: bytes
    scope: Scope
    ticks: int


@dataclass(frozen=True, slots=True)
class RelayTotal:
    """All that a campaign ever owed a relay, in token units: the `cumulative` of its next pool voucher."""

    campaign: int
    relay: Account
    cumulative: Amount


@dataclass(frozen=True, slots=True)
class Credit:
    """What a redemption changed. `added` ticks (0: known already); both records are to be stored."""

    added: int
    redeemed: RedeemedPass
    total: RelayTotal


class RedemptionBook:
    """Redeemed passes and relays' totals of one pool."""

    def __init__(self) -> None:
        self._ticks: dict[bytes, int] = {}
        self._totals: dict[tuple[int, Account], Amount] = {}

    @classmethod
    def from_records(cls, redeemed: Iterable[RedeemedPass], totals: Iterable[RelayTotal]) -> RedemptionBook:
        """Rebuild a book from its store."""
        book = cls()
        book._ticks = {record.pass_id: record.ticks for record in redeemed}
        book._totals = {(record.campaign, record.relay): record.cumulative for record in totals}
        return book

    def total(self, campaign: int, relay: Account) -> Amount:
        """Return what a campaign has owed a relay in all, in token units."""
        return self._totals.get((campaign, relay), Amount(0))

    def redeem(
        self, redemption: Redemption, rules: PassRules, relay: Account, position: Position | None
    ) -> Credit:
        """Credit one pass to the relay that hands it in.

        `rules` are those of the scope it is handed in for; `position` is where `relay` (its operator's
        address, which the caller has authenticated) stands in the snapshot they draw from. Takes at most
        about 250 µs. Raises PassError `bad_signature`, `wrong_relay` or `bad_link`; nothing is changed then.
        """
        rules.check(redemption.anchor, redemption.signature, position)
        redemption.check_link()
        scope, pass_id = rules.scope, rules.scope.pass_id(redemption.anchor)
        known = self._ticks.get(pass_id, 0)
        ticks = max(known, redemption.tick.number)
        account = (scope.campaign, relay)
        cumulative = Amount(self.total(*account) + (ticks - known) * TICK_VALUE * rules.hop_price)
        self._ticks[pass_id] = ticks
        self._totals[account] = cumulative
        record = RedeemedPass(pass_id, scope, ticks)
        return Credit(ticks - known, record, RelayTotal(scope.campaign, relay, cumulative))
