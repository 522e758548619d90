"""What a report of a campaign says: its records. `report.py` makes them, and has the rules. Pure.

All amounts are integers of the token's smallest unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mixpay.sponsor.facts import PolicyRule
from mixpay.types import Account, Amount, Epoch, RelayId, Term

FARMED_TENTHS, FARMED_PASSES = 30, 10
"""A relay is suspicious above three times its share, once so many passes were redeemed there."""


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """One kind and period. `identities` asked for its passes; `redeemed` of those came back, with `ticks`."""

    kind: int
    period: int
    identities: int
    issued: int
    redeemed: int
    ticks: int
    value: Amount
    over: bool


@dataclass(frozen=True, slots=True)
class RelayFigures:
    """What the campaign's passes brought one relay (0: never registered). `value`: of what it redeemed.

    `share`: its part of the whole, in thousandths. `times`: that as a multiple of an even share, in tenths.
    """

    relay: RelayId
    account: Account
    passes: int
    ticks: int
    value: Amount
    paid: Amount
    share: int
    times: int

    @property
    def is_suspicious(self) -> bool:
        """Whether it has far more than what even draws give."""
        return self.times > FARMED_TENTHS and self.passes >= FARMED_PASSES


@dataclass(frozen=True, slots=True)
class Money:
    """The budget, and what is promised of it.

    `guaranteed`: the budget less a withdrawal under notice; `share`: what that, and the caps, let one relay
    count on for an epoch. `owed`: in vouchers that are not claimed. `left`: guaranteed, less owed.
    """

    budget: Amount
    funded: Amount
    paid: Amount
    withdrawn: Amount
    withdrawal: Amount
    withdrawable_at: int
    guaranteed: Amount
    share: Amount
    owed: Amount
    left: Amount
    period_cap: Amount
    relay_cap: Amount


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast it goes. `spent` in `epochs` that are over; None where nothing is known yet.

    `user_epoch`: what one identity costs in an epoch; `most`: an entry pass that is used to its end.
    """

    epochs: int
    spent: Amount
    seconds_left: int | None
    worst_epochs_left: int | None
    user_epoch: Amount | None
    pass_ticks: int | None
    most: Amount


@dataclass(frozen=True, slots=True)
class Keys:
    """Registered ahead: the last epoch and term up to which no key is missing (None: the next has none), what
    the signer's account holds in wei, and for how many more keys that is enough.
    """

    until_epoch: Epoch | None
    until_term: Term | None
    signer_wei: int
    registrations: int | None


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """All of it, at block `head`. `refusals` and `serving` are None where no service could be asked."""

    campaign: int
    release: int | None
    head: int
    time: int
    epoch: Epoch
    term: Term
    epoch_length: int
    relays: int
    paused: bool
    serving: bool
    money: Money
    pace: Pace
    keys: Keys
    periods: tuple[PeriodFigures, ...]
    top: tuple[RelayFigures, ...]
    policies: tuple[PolicyRule, ...]
    refusals: Mapping[str, int] | None

    @property
    def suspects(self) -> tuple[RelayFigures, ...]:
        """The relays that somebody may farm the campaign with."""
        return tuple(relay for relay in self.top if relay.is_suspicious)
