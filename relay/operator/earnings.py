"""What a relay has earned and spent, event by event, from what the contracts report of it. Pure.

Every entry is a balanced booking of the operator's money, in the token's smallest unit:

    earned - spent + capital = ledger + locked + stake

The left side says why: `earned` and `spent` in the relay's work, `capital` brought in, or (negative) taken
out. The right side says where: the change of the operator's balance in the ledger; of what is locked, in
channels to next relays and in bonds at the court; of the stake. What an event tells beside another one (the
ledger reports a movement, the pool reports what it is for) is booked once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from mixpay.accounts import show_account
from mixpay.chain import events
from mixpay.chain.events import Event
from mixpay.types import Account, Amount, RelayId


@dataclass(frozen=True, slots=True)
class Us:
    """Whose money it is, and how others are told from us. `stake`: of every relay; `relay` 0: none yet."""

    operator: Account
    relay: RelayId
    stake: Amount
    pool: Account
    court: Account


@dataclass(frozen=True, slots=True)
class Booking:
    """An event, and what it changed. `party`: an account or a campaign, if one had to do with it."""

    name: str
    event: Event
    party: str = ""
    earned: int = 0
    spent: int = 0
    capital: int = 0
    ledger: int = 0
    locked: int = 0
    stake: int = 0


MONEY = tuple(field.name for field in fields(Booking) if field.type == "int")
"""Names of the amounts."""


def bookings(us: Us, found: Iterable[Event]) -> Iterator[Booking]:
    """All bookings, from events in the chain's order. One that moves nothing of ours has no amounts."""
    previous: Event | None = None
    for event in found:
        if previous is not None and previous.transaction != event.transaction:
            previous = None
        booked = list(_booked(us, event, previous))
        yield from booked or [Booking(_name(event), event)]
        previous = event


def _name(event: Event) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def _booked(us: Us, event: Event, previous: Event | None) -> Iterator[Booking]:
    match event:
        case events.Deposited() | events.Withdrawn() | events.Moved():
            yield from _in_ledger(us, event, previous)
        case events.Funded() | events.Claimed() | events.Closed() | events.Released():
            yield from _in_channel(us, event, previous)
        case events.PoolClaimed() | events.PassesRedeemed() if event.relay == us.operator:
            name = "pool_claimed" if isinstance(event, events.PoolClaimed) else "passes_redeemed"
            party = f"campaign {event.campaign}"
            yield Booking(name, event, party, earned=event.amount, ledger=event.amount)
        case events.CaseExpired():
            if event.payer == us.operator:
                party = show_account(event.payee)
                yield Booking("bond_won", event, party, earned=event.bond, ledger=event.bond)
            if event.payee == us.operator:
                yield Booking(
                    "bond_lost", event, show_account(event.payer), spent=event.bond, locked=-event.bond
                )
        case _:
            yield from _of_stake(us, event)


def _in_ledger(
    us: Us, event: events.Deposited | events.Withdrawn | events.Moved, previous: Event | None
) -> Iterator[Booking]:
    amount = event.amount
    match event:
        case events.Deposited() if event.account == us.operator:
            if not isinstance(previous, events.PenaltySettled):  # the bounty is booked with that
                yield Booking("deposited", event, capital=amount, ledger=amount)
        case events.Withdrawn() if event.account == us.operator:
            yield Booking("withdrawn", event, show_account(event.to), capital=-amount, ledger=-amount)
        case events.Moved():
            if event.to == us.operator:
                yield from _moved_in(us, event, previous)
            if event.sender == us.operator:
                bond = event.to == us.court
                name, where = ("bond_given", "locked") if bond else ("moved_out", "capital")
                change = {where: amount if bond else -amount}
                yield Booking(name, event, show_account(event.to), ledger=-amount, **change)


def _moved_in(us: Us, event: events.Moved, previous: Event | None) -> Iterator[Booking]:
    party, amount = show_account(event.sender), event.amount
    if event.sender == us.court:
        if not isinstance(previous, events.CaseExpired):  # a bond of somebody else's is booked with that
            yield Booking("bond_returned", event, party, ledger=amount, locked=-amount)
    elif event.sender != us.pool:  # what the pool pays is booked with what it is for
        yield Booking("moved_in", event, party, capital=amount, ledger=amount)


def _in_channel(
    us: Us,
    event: events.Funded | events.Claimed | events.Closed | events.Released,
    previous: Event | None,
) -> Iterator[Booking]:
    payer, payee = show_account(event.payer), show_account(event.payee)
    match event:
        case events.Claimed():
            if event.payee == us.operator:
                yield Booking("claimed", event, payer, earned=event.amount, ledger=event.amount)
            if event.payer == us.operator:
                yield Booking("paid", event, payee, spent=event.amount, locked=-event.amount)
        case events.Funded() if event.payer == us.operator:
            if not isinstance(previous, events.StakeCollected):  # our stake, not our balance, has filled it
                yield Booking("funded", event, payee, ledger=-event.amount, locked=event.amount)
        case events.Closed() | events.Released() if event.payer == us.operator:
            yield Booking("refunded", event, payee, ledger=event.refund, locked=-event.refund)


def _of_stake(us: Us, event: Event) -> Iterator[Booking]:
    match event:
        case events.Registered() if event.operator == us.operator:
            yield Booking("staked", event, show_account(event.owner), capital=us.stake, stake=us.stake)
        case events.StakeWithdrawn() if event.id == us.relay:
            party = show_account(event.to)
            yield Booking("stake_withdrawn", event, party, capital=-event.amount, stake=-event.amount)
        case events.StakeCollected() if event.payer == us.operator:
            party = show_account(event.payee)
            yield Booking("stake_collected", event, party, locked=event.amount, stake=-event.amount)
        case events.PenaltySettled():
            if event.id == us.relay:
                lost = event.bounty + event.burnt
                yield Booking("penalty", event, show_account(event.reporter), spent=lost, stake=-lost)
            if event.reporter == us.operator:
                yield Booking("bounty", event, f"relay {event.id}", earned=event.bounty, ledger=event.bounty)
