"""What a campaign's report is made from: what the chain, the database and the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mixpay.chain.views import Campaign
from mixpay.sponsor.keys import Period
from mixpay.sponsor.movements import Movement
from mixpay.sponsor.tallies import Issued, Redeemed
from mixpay.types import Account, Amount, RelayId


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """A campaign as the chain has it at block `head`, chain time `now` (seconds).

    `relays`: how many places passes draw from in this epoch. `ids`: relays by their operators' accounts.
    `prices`: the hop price of each period that has a key. `registration_wei`: what the next key costs.
    """

    campaign: int
    head: int
    now: int
    terms: Campaign
    relays: int
    ids: Mapping[Account, RelayId]
    movements: tuple[Movement, ...]
    prices: Mapping[Period, Amount]
    hop_price: Amount
    signer_wei: int
    registration_wei: int


@dataclass(frozen=True, slots=True)
class Books:
    """What the issuer's database says. `owed`: all-time totals of the newest vouchers, by relay's account."""

    issued: tuple[Issued, ...] = ()
    credited: tuple[Redeemed, ...] = ()
    owed: Mapping[Account, Amount] = field(default_factory=dict)
    paused: bool = False


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """A policy, its kind, and how many passes of each kind it gives one identity in a period."""

    name: str
    kind: str
    entry: int
    mailbox: int
