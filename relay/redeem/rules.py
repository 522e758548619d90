"""When passes are redeemed, at their issuer or at the pool itself, and which are worth gas. Pure.

period ends   its issuer is asked; not before, for it must not learn when a pass was in use
due           what it has not paid in full is redeemed at the pool: after `after`, by 3/4 of the window
hopeless      nothing is held back for that any more: at 7/8 of the window
closes        last second in which the pool pays for the period
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mixpay.epochs import Schedule
from mixpay.passes import KIND_ENTRY, TICK_VALUE, HeldPass, Scope
from mixpay.types import Amount, Epoch, Term


@dataclass(frozen=True, slots=True)
class RedeemRules:
    """`window`: the pool's claim window. `after`: seconds of chain time that an issuer has. `least`: what a
    pass must be worth, in hop prices, for a transaction of its own.
    """

    schedule: Schedule
    window: int
    after: int
    least: int

    def last_epoch(self, scope: Scope) -> Epoch:
        """The epoch in which the scope's passes count."""
        if scope.kind == KIND_ENTRY:
            return Epoch(scope.period)
        return self.schedule.last_epoch(Term(scope.period))

    def first_epoch(self, scope: Scope) -> Epoch:
        """The epoch from whose relays its passes draw."""
        return (
            Epoch(scope.period) if scope.kind == KIND_ENTRY else self.schedule.first_epoch(Term(scope.period))
        )

    def ends(self, scope: Scope) -> int:
        """The first second after the scope's period."""
        return self.schedule.end(self.last_epoch(scope))

    def due(self, scope: Scope) -> int:
        """From when on its passes are redeemed at the pool."""
        return self.ends(scope) + min(self.after, self.window * 3 // 4)

    def hopeless(self, scope: Scope) -> int:
        """From when on nothing waits for that any more: better what a voucher brings than nothing."""
        return self.closes(scope) - self.window // 8

    def closes(self, scope: Scope) -> int:
        """The last second in which the pool pays for it."""
        return self.ends(scope) + self.window

    def is_worth_gas(self, held: HeldPass) -> bool:
        """Whether a pass is redeemed at the pool at all."""
        return held.number * TICK_VALUE >= self.least


def worth(passes: Iterable[HeldPass], price: Amount) -> Amount:
    """What passes pay at a hop price, in token units."""
    return Amount(sum(held.number for held in passes) * TICK_VALUE * price)
