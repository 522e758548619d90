"""What the verifier judges by, as value objects: chain, signed vouchers, clients' counts; nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mixpay import eip712
from mixpay.chain.events import Event
from mixpay.deployment import Deployment
from mixpay.passes import TICK_VALUE
from mixpay.types import Account, RelayId


@dataclass(frozen=True, slots=True)
class Counts:
    """How many packets a relay carried in each role, as the sending clients counted them; and the ticks of
    mailbox passes that it was paid by the owners of its mailboxes, as these count them.
    """

    entry: int = 0
    mix: int = 0
    mailbox: int = 0
    tolls: int = 0

    @property
    def packets(self) -> int:
        """All of them; each earns one hop price."""
        return self.entry + self.mix + self.mailbox

    @property
    def worth(self) -> int:
        """What all this earns, in hop prices."""
        return self.packets + TICK_VALUE * self.tolls

    def __add__(self, other: Counts) -> Counts:
        packets = self.entry + other.entry, self.mix + other.mix, self.mailbox + other.mailbox
        return Counts(*packets, self.tolls + other.tolls)


def added(counts: Iterable[Mapping[RelayId, Counts]]) -> dict[RelayId, Counts]:
    """All of them together."""
    found: dict[RelayId, Counts] = {}
    for each in counts:
        for relay, count in each.items():
            found[relay] = found.get(relay, Counts()) + count
    return found


@dataclass(frozen=True, slots=True)
class Carried:
    """Packets that a client gave one path of five relays, and how many of them surely arrived."""

    relays: tuple[RelayId, ...]
    packets: int
    arrived: int


@dataclass(frozen=True, slots=True)
class Losses:
    """What is known where packets were lost, because relays were killed.

    `opened`: how many tickets each payee says it was paid for, by payer and payee.
    """

    killed: frozenset[RelayId]
    paths: tuple[Carried, ...]
    opened: Mapping[tuple[Account, Account], int]


@dataclass(frozen=True, slots=True)
class SignedVoucher:
    """A voucher as its payee presents it."""

    message: eip712.Voucher
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedPoolVoucher:
    """A pool voucher as its relay presents it."""

    message: eip712.PoolVoucher
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the contracts' view functions and the node say now; token units, and wei in `native`."""

    tokens: Mapping[Account, int]
    """Token balances."""
    ledger: Mapping[Account, int]
    channels: Mapping[tuple[Account, Account], tuple[int, int]]
    """Payer and payee → all-time deposit and claimed."""
    budgets: Mapping[int, int]
    native: Mapping[Account, int]
    """Of the users' accounts."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known when the demo's period is over and all is claimed."""

    deployment: Deployment
    events: tuple[Event, ...]
    """All of them since the deployment, token transfers included, in the chain's order."""
    answers: Answers
    senders: Mapping[Account, int]
    """Transactions since the deployment, by who sent them."""
    vouchers: tuple[SignedVoucher, ...]
    pool_vouchers: tuple[SignedPoolVoucher, ...]
    counts: Mapping[RelayId, Counts]
    packets_delivered: int
    """What the receiving client took out of its mailboxes."""
    users: tuple[Account, ...]
    """The accounts that the users' keys would own."""
    losses: Losses | None
    """None: no packet was lost, and none may have been."""
    since: int
    """Block from which changes of holdings count: the relays were registered and equipped by then."""
