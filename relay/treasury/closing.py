"""Closing the channels to payees whom nothing more will be promised: this relay serves in no epoch any more.

- A channel is closed when everything it has to pay is in vouchers, and they are covered. The notice lets the
  payee claim them; what is left then comes back into the ledger.
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

    Nothing while this relay serves.
    """
    if not facts.winding_up:
        return
    for payee in facts.payees:
        free = payee.deposit - payee.claimed
        if free < max(least, 1):
            continue
        amount = shown(free)
        if not _is_settled(payee):
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


def _is_settled(payee: PayeeFacts) -> bool:
    return (not payee.unsettled or payee.refused) and not payee.uncovered


def nothing_left(facts: Facts, least: Amount) -> bool:
    """Whether no channel and no debt needs the ledger any more, for this relay serves in no epoch."""
    return (
        facts.winding_up
        and all(map(_is_settled, facts.payees))
        and not any(True for _ in closings(facts, least))
    )
