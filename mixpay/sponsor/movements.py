"""What moved a campaign's budget, from the pool's events. Pure.

    budget = funded - paid - withdrawn

for the whole history of a campaign, or for a time when that begins with the budget before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mixpay.chain import events
from mixpay.epochs import Schedule
from mixpay.sponsor.keys import Period
from mixpay.types import Account, Amount, Epoch


class What(StrEnum):
    """Why the budget rose or fell."""

    FUNDED = "funded"
    CLAIMED = "claimed"
    """A relay was paid by a voucher."""
    REDEEMED = "redeemed"
    """A relay was paid by the pool itself for passes."""
    WITHDRAWN = "withdrawn"


PAYMENTS = frozenset((What.CLAIMED, What.REDEEMED))


@dataclass(frozen=True, slots=True)
class Movement:
    """One event. `party`: who paid in, or was paid. `epoch`: in which a payment counts.

    `kind`, `period` and `ticks` are known of passes redeemed at the pool only: a voucher is for all kinds,
    and names an epoch.
    """

    block: int
    transaction: bytes
    what: What
    party: Account
    amount: Amount
    epoch: Epoch | None = None
    kind: int | None = None
    period: int | None = None
    ticks: int | None = None

    @property
    def change(self) -> int:
        """What it adds to the budget."""
        return self.amount if self.what is What.FUNDED else -self.amount


def movements(schedule: Schedule, campaign: int, found: Iterable[events.Event]) -> Iterator[Movement]:
    """The movements among events, of one campaign."""
    for event in found:
        place = event.block, event.transaction
        match event:
            case events.CampaignFunded(campaign=number) if number == campaign:
                yield Movement(*place, What.FUNDED, event.sender, event.amount)
            case events.PoolClaimed(campaign=number) if number == campaign:
                yield Movement(*place, What.CLAIMED, event.relay, event.amount, event.period)
            case events.PassesRedeemed(campaign=number) if number == campaign:
                yield _redeemed(schedule, event)
            case events.WithdrawalFinished(campaign=number) if number == campaign:
                yield Movement(*place, What.WITHDRAWN, event.to, event.amount)


def _redeemed(schedule: Schedule, event: events.PassesRedeemed) -> Movement:
    return Movement(
        event.block,
        event.transaction,
        What.REDEEMED,
        event.relay,
        event.amount,
        Period(event.kind, event.period).last_epoch(schedule),
        event.kind,
        event.period,
        sum(event.ticks),
    )


def budget(moved: Iterable[Movement]) -> int:
    """What is left after these movements of what was there before."""
    return sum(movement.change for movement in moved)


def total(moved: Iterable[Movement], *whats: What) -> Amount:
    """The sum of the movements of some kinds."""
    return Amount(sum(movement.amount for movement in moved if movement.what in whats))
