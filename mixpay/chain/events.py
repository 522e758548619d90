"""What the contracts report, as frozen value objects in the contracts' own order of fields.

Every event carries its place: block, position in the block's logs, and transaction hash (32 bytes). Amounts
are the token's smallest unit; times are seconds of chain time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mixpay.chain import abi
from mixpay.chain.records import Log
from mixpay.chain.views import Case, Release
from mixpay.deployment import Deployment
from mixpay.types import Account, Amount, Epoch, Position, RelayId


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a contract reported."""

    block: int
    index: int
    transaction: bytes = field(repr=False)


# Network


@dataclass(frozen=True, slots=True)
class ReleasePublished(Event):
    """A release, when it is published, not when it takes effect."""

    number: int
    activation_epoch: Epoch
    release: Release


# RelayRegistry


@dataclass(frozen=True, slots=True)
class Registered(Event):
    """A relay joined."""

    id: RelayId
    position: Position
    owner: Account
    operator: Account
    link_key: bytes
    endpoint: str


@dataclass(frozen=True, slots=True)
class Updated(Event):
    """A relay changed how it is reached."""

    id: RelayId
    link_key: bytes
    endpoint: str


@dataclass(frozen=True, slots=True)
class Left(Event):
    """A relay left, or the court evicted it; its position is free."""

    id: RelayId
    position: Position
    withdrawable_at: int


@dataclass(frozen=True, slots=True)
class StakeWithdrawn(Event):
    """What was left of a stake was paid out."""

    id: RelayId
    to: Account
    amount: Amount


@dataclass(frozen=True, slots=True)
class Slashed(Event):
    """The court took from a relay's stake. Where it evicted the relay by this, `Left` comes before."""

    id: RelayId
    amount: Amount


@dataclass(frozen=True, slots=True)
class Condemned(Event):
    """A relay's equivocation was proven. Where it was evicted by this, `Left` comes before."""

    id: RelayId
    reporter: Account


@dataclass(frozen=True, slots=True)
class PenaltySettled(Event):
    """A condemned relay's penalty was divided."""

    id: RelayId
    reporter: Account
    bounty: Amount
    burnt: Amount


@dataclass(frozen=True, slots=True)
class Frozen(Event):
    """Root, count and beacon of an epoch are fixed."""

    epoch: Epoch
    root: bytes
    count: int
    beacon: bytes


@dataclass(frozen=True, slots=True)
class OwnershipTransferStarted(Event):
    """A relay was offered to a new owner."""

    id: RelayId
    owner: Account
    new_owner: Account


@dataclass(frozen=True, slots=True)
class OwnershipTransferred(Event):
    """A relay has a new owner."""

    id: RelayId
    previous_owner: Account
    new_owner: Account


# Channels


@dataclass(frozen=True, slots=True)
class Deposited(Event):
    """Tokens entered the ledger."""

    account: Account
    amount: Amount


@dataclass(frozen=True, slots=True)
class Withdrawn(Event):
    """Tokens left the ledger."""

    account: Account
    to: Account
    amount: Amount


@dataclass(frozen=True, slots=True)
class Moved(Event):
    """An amount moved between two balances."""

    sender: Account
    to: Account
    amount: Amount


@dataclass(frozen=True, slots=True)
class Funded(Event):
    """A channel was opened or topped up; `deposit` is its all-time total."""

    payer: Account
    payee: Account
    amount: Amount
    deposit: Amount


@dataclass(frozen=True, slots=True)
class Claimed(Event):
    """A payee was credited; `claimed` is the channel's all-time total."""

    payer: Account
    payee: Account
    amount: Amount
    claimed: Amount


@dataclass(frozen=True, slots=True)
class CloseRequested(Event):
    """A payer gave notice."""

    payer: Account
    payee: Account
    closes_at: int


@dataclass(frozen=True, slots=True)
class Closed(Event):
    """A channel was closed after its notice."""

    payer: Account
    payee: Account
    refund: Amount


@dataclass(frozen=True, slots=True)
class Released(Event):
    """A payee let the payer out at once."""

    payer: Account
    payee: Account
    refund: Amount


@dataclass(frozen=True, slots=True)
class Held(Event):
    """The court keeps a closing channel open for a case."""

    payer: Account
    payee: Account
    closes_at: int


# ReceiptCourt


@dataclass(frozen=True, slots=True)
class CaseOpened(Event):
    """A payee brings a batch to court."""

    payer: Account
    payee: Account
    case: Case


@dataclass(frozen=True, slots=True)
class SeedDrawn(Event):
    """A case has its seed, 32 bytes."""

    payer: Account
    payee: Account
    seed: bytes


@dataclass(frozen=True, slots=True)
class CaseAnswered(Event):
    """The payer's voucher has ended a case."""

    payer: Account
    payee: Account
    cumulative: Amount
    upto_batch: int
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CaseAdmitted(Event):
    """The payer's voucher, up to a later batch than a case's, was shown: the case goes on, without costs."""

    payer: Account
    payee: Account
    cumulative: Amount
    upto_batch: int
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Judged(Event):
    """An all-time total up to a batch was judged."""

    payer: Account
    payee: Account
    number: int
    total: Amount


@dataclass(frozen=True, slots=True)
class CaseExpired(Event):
    """A case is over without a judgement: the payer has got the bond."""

    payer: Account
    payee: Account
    bond: Amount


@dataclass(frozen=True, slots=True)
class StakeCollected(Event):
    """A payer's stake has paid what its channel lacked."""

    payer: Account
    payee: Account
    relay: RelayId
    amount: Amount


@dataclass(frozen=True, slots=True)
class Equivocated(Event):
    """A relay was shown to have signed two packet keys for one epoch."""

    relay: RelayId
    epoch: Epoch
    reporter: Account


# SubsidyPool


@dataclass(frozen=True, slots=True)
class CampaignCreated(Event):
    """A campaign exists."""

    campaign: int
    sponsor: Account
    signer: Account
    period_cap: Amount
    relay_cap: Amount


@dataclass(frozen=True, slots=True)
class CampaignFunded(Event):
    """A budget rose."""

    campaign: int
    sender: Account
    amount: Amount


@dataclass(frozen=True, slots=True)
class KeySet(Event):
    """A period has its blind-signing key: an epoch for kind 1, a term for kind 2."""

    campaign: int
    kind: int
    period: int
    key_hash: bytes
    hop_price: Amount


@dataclass(frozen=True, slots=True)
class PoolClaimed(Event):
    """A relay was paid by a voucher; `claimed` is the all-time total of this campaign and relay."""

    campaign: int
    relay: Account
    period: Epoch
    amount: Amount
    claimed: Amount


@dataclass(frozen=True, slots=True)
class PassesRedeemed(Event):
    """A relay was paid for passes; `claimed` as above. The tick of each pass pays for all ticks up to it."""

    campaign: int
    relay: Account
    kind: int
    period: int
    amount: Amount
    claimed: Amount
    anchors: tuple[bytes, ...]
    ticks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WithdrawalRequested(Event):
    """A sponsor gave notice; amount 0 takes it back."""

    campaign: int
    amount: Amount
    withdrawable_at: int


@dataclass(frozen=True, slots=True)
class WithdrawalFinished(Event):
    """Budget was paid out."""

    campaign: int
    to: Account
    amount: Amount


@dataclass(frozen=True, slots=True)
class SignerChanged(Event):
    """A campaign has another signer; the former one's vouchers are valid until `former_until`."""

    campaign: int
    signer: Account
    former_until: int


KINDS: Mapping[str, tuple[type[Event], ...]] = {
    "Network": (ReleasePublished,),
    "RelayRegistry": (
        Registered,
        Updated,
        Left,
        StakeWithdrawn,
        Slashed,
        Condemned,
        PenaltySettled,
        Frozen,
        OwnershipTransferStarted,
        OwnershipTransferred,
    ),
    "Channels": (Deposited, Withdrawn, Moved, Funded, Claimed, CloseRequested, Closed, Released, Held),
    "ReceiptCourt": (
        CaseOpened,
        SeedDrawn,
        CaseAnswered,
        CaseAdmitted,
        Judged,
        CaseExpired,
        StakeCollected,
        Equivocated,
    ),
    "SubsidyPool": (
        CampaignCreated,
        CampaignFunded,
        KeySet,
        PoolClaimed,
        PassesRedeemed,
        WithdrawalRequested,
        WithdrawalFinished,
        SignerChanged,
    ),
}
"""Which contract reports what."""


_STRUCTS: Mapping[type[Event], Callable[[tuple[Any, ...]], Release | Case]] = {
    ReleasePublished: lambda fields: Release(*fields),
    CaseOpened: Case.of,
}
"""Events with a struct, and what makes it of its fields."""


class Decoder:
    """Turns logs of one deployment's contracts into events; `names`: of these contracts only."""

    def __init__(self, deployment: Deployment, names: Iterable[str] = tuple(KINDS)) -> None:
        addresses = {
            "Network": deployment.network,
            "RelayRegistry": deployment.registry,
            "Channels": deployment.channels,
            "ReceiptCourt": deployment.court,
            "SubsidyPool": deployment.pool,
        }
        contracts = {name: addresses[name] for name in names}
        self.addresses = tuple(contracts.values())
        self._kinds: dict[tuple[Account, bytes], tuple[type[Event], abi.Entry]] = {}
        for name, address in contracts.items():
            for kind in KINDS[name]:
                entry = abi.artifact(name).events[kind.__name__]
                self._kinds[address, entry.topic] = (kind, entry)

    def decode(self, log: Log) -> Event | None:
        """None for an event that nobody follows. Raises eth_abi's DecodingError if the log is not what the
        contract's code can emit."""
        found = self._kinds.get((log.address, log.topics[0])) if log.topics else None
        if found is None:
            return None
        kind, entry = found
        plain = [t for t, indexed in zip(entry.inputs, entry.indexed, strict=True) if not indexed]
        rest = iter(abi.decode(plain, log.data))
        topics = iter(log.topics[1:])
        values = (
            abi.decode([t], next(topics))[0] if indexed else next(rest)
            for t, indexed in zip(entry.inputs, entry.indexed, strict=True)
        )
        converted = (
            _STRUCTS[kind](v) if t.startswith("(") else v for t, v in zip(entry.inputs, values, strict=True)
        )
        return kind(log.block, log.index, log.transaction, *converted)
