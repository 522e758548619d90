"""What a relay can do in court, and how a case stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from mixpay.chain.views import Case
from mixpay.types import Account, RelayId
from relay.court.facts import Voucher


@dataclass(frozen=True, slots=True)
class Open:
    """Bring a batch of the payer's to court. `deposit`: tokens that the bond needs first."""

    relay: RelayId
    number: int
    deposit: int
    why: str


@dataclass(frozen=True, slots=True)
class Record:
    """Record the seed of our case."""

    relay: RelayId
    case: Case
    why: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Prove our case by the samples that the seed draws."""

    relay: RelayId
    case: Case
    seed: bytes = field(repr=False)
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Show the payer's voucher in a case, ours or against us: it ends it, or admits what it claims."""

    relay: RelayId
    case: Case
    voucher: Voucher
    why: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Sign a voucher over what a case against us claims. Nothing is sent by this; the answer follows."""

    relay: RelayId
    case: Case
    why: str


@dataclass(frozen=True, slots=True)
class Expire:
    """End a case that was not proven in time."""

    relay: RelayId
    case: Case
    why: str


@dataclass(frozen=True, slots=True)
class Collect:
    """Take what a payer's channel lacks from its stake."""

    relay: RelayId
    payer: Account
    why: str


Action: TypeAlias = Open | Record | Finish | Answer | Admit | Expire | Collect


@dataclass(frozen=True, slots=True)
class Matter:
    """One case, or what may become or was one, for the operator. `amount` in token units.

    `follows`: what happens next; `at`: when, in chain time, None for now or when something else happens.
    """

    relay: RelayId
    against_us: bool
    batch: int
    amount: int
    state: str
    follows: str
    at: int | None = None


Step: TypeAlias = tuple[Matter, Action | None]
"""How something stands, and what is to be done about it now."""
