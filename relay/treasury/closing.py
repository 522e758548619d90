"""Closing the channels to payees whom nothing more will be promised: of a relay that serves no more.

- A channel is closed when everything it has to pay is in vouchers, and they are covered. The notice lets the
  payee claim them; what is left then comes back into the ledger.
- A payee that never settles, or claims, must not keep what the channel holds for ever: once our stake is free
  (overdue), notice is given whatever is unsettled. The payee can still claim while it runs, and go to court.
- A notice that somebody gave for a relay that still serves, with the operator's key, is finished too, unless
  packets wait for the payee: then the channel is funded, which takes the notice back.
- What is not worth opening a channel for is not worth closing one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mixpay.amounts import moment, shown
from mixpay.types import Account, Amount, RelayId
from relay.treasury.facts import Facts, PayeeFacts


@dataclass(frozen=True, slots=True)
class RequestClose:
    """Give notice for the channel to a payee."""

    relay: RelayId
    payee: Account
    why: str


@dataclass(frozen=True, slots=True)
class FinishClose:
    """Take back what was not claimed, now that the notice is over."""

    relay: RelayId
    payee: Account
    why: str


@dataclass(frozen=True, slots=True)
class ClosesLater:
    """A channel that waits, and for what."""

    relay: RelayId
    why: str


def closings(facts: Facts, least: Amount) -> Iterator[RequestClose | FinishClose | ClosesLater]:
    """What to do about each channel that still holds `least` or more (token units).

    While this relay serves, only of those whose notice is over.
    """
    for payee in facts.payees:
        free = payee.deposit - payee.claimed
        if free < max(least, 1) or not (facts.winding_up or _is_unused(payee, facts.now)):
            continue
        amount = shown(free)
        if not (facts.overdue or _is_settled(payee)):
            yield ClosesLater(payee.relay, f"its channel ({amount} tokens) is closed when all is settled")
        elif not payee.closes_at:
            why = f"notice for the channel to relay {payee.relay}, which holds {amount} tokens"
            yield RequestClose(payee.relay, payee.account, why)
        elif facts.now < payee.closes_at:
            when = moment(payee.closes_at)
            yield ClosesLater(payee.relay, f"its channel ({amount} tokens) closes at {when}")
        else:
            why = f"{amount} tokens of the channel to relay {payee.relay}: its notice is over"
            yield FinishClose(payee.relay, payee.account, why)


def _is_unused(payee: PayeeFacts, now: int) -> bool:
    """Whether a channel's notice has run out, and nothing speaks for taking it back."""
    return 0 < payee.closes_at <= now and not payee.waiting


def _is_settled(payee: PayeeFacts) -> bool:
    return (not payee.unsettled or payee.refused) and not payee.uncovered


def nothing_left(facts: Facts, least: Amount) -> bool:
    """Whether no channel and no debt needs the ledger any more, for this relay serves in no epoch."""
    return (
        facts.winding_up
        and (facts.overdue or all(map(_is_settled, facts.payees)))
        and not any(True for _ in closings(facts, least))
    )
