"""One look into one mailbox, however it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from mixpay.client.errors import RelayUnavailable
from mixpay.client.inbox import Arrived, Inbox
from mixpay.snapshot import RelayRecord
from mixpay.types import RelayId, Term

_SEQUENCES = 1 << 63
"""Beyond what a store can count, and any honest relay."""


@dataclass(slots=True)
class Round:
    """What one look into all mailboxes brought.

    `troubles`: mailboxes that could not be looked into, and why.
    """

    arrived: int = 0
    fetched: int = 0
    troubles: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Visit:
    """One look into one mailbox."""

    relay: RelayRecord
    term: Term
    inbox: Inbox
    now: int
    deliver: Callable[[list[Arrived]], None]
    round: Round
    patient: bool


def require_rising(relay: RelayId, after: int, sequences: list[int]) -> None:
    """Raise RelayUnavailable unless each sequence is above the one before, and the first above `after`.

    Otherwise a relay could send the same messages for ever, or a number that no store can keep.
    """
    for before, sequence in pairwise([after, *sequences]):
        if not before < sequence < _SEQUENCES:
            raise RelayUnavailable(
                f"relay {relay} does not speak our protocol: it sent message {sequence} behind {before}"
            )
