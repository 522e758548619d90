"""What the contracts' view functions return, as value objects. Amounts are the token's smallest unit."""

from __future__ import annotations

from dataclasses import dataclass

from mixpay.types import Account, Amount, Epoch, Position

NOBODY = Account(bytes(20))
"""The zero address."""


@dataclass(frozen=True, slots=True)
class Release:
    """What is in force from its activation epoch on."""

    registry: Account
    channels: Account
    pool: Account
    wire_version: int
    hop_price: Amount
    activation_epoch: Epoch

    @property
    def contracts(self) -> tuple[Account, Account, Account]:
        """Registry, channels, pool: what tells releases apart that are more than a new price."""
        return (self.registry, self.channels, self.pool)


@dataclass(frozen=True, slots=True)
class RegisteredRelay:
    """A relay as the registry keeps it. `leaf`, 32 bytes, binds id, operator, link key and endpoint
    (`registry_tree.relay_leaf`); it is zero once the relay has left or was evicted. `withdrawable_at` is 0
    until then, afterwards seconds of chain time. The owner is NOBODY once the stake is withdrawn."""

    owner: Account
    operator: Account
    leaf: bytes
    position: Position
    withdrawable_at: int


@dataclass(frozen=True, slots=True)
class FrozenEpoch:
    """What the registry fixed for an epoch; root and beacon are 32 bytes."""

    root: bytes
    count: int
    beacon: bytes


@dataclass(frozen=True, slots=True)
class Channel:
    """All-time totals of a channel. `closes_at` is 0, or when a requested close can be finished."""

    deposit: Amount
    claimed: Amount
    closes_at: int

    @property
    def free(self) -> Amount:
        """What can still be claimed."""
        return Amount(self.deposit - self.claimed)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A sponsor's budget and its limits; the sponsor is NOBODY where there is no campaign."""

    signer: Account
    relay_cap: Amount
    period_cap: Amount
    budget: Amount
    withdrawable_at: int
    sponsor: Account
    withdrawal: Amount


@dataclass(frozen=True, slots=True)
class PeriodKey:
    """The blind-signing key of a period (32 zero bytes: not set) and the hop price fixed with it."""

    key_hash: bytes
    hop_price: Amount


@dataclass(frozen=True, slots=True)
class PaidToRelay:
    """What a campaign has paid to one relay: in all, and for the period last claimed for."""

    claimed: Amount
    period: Epoch
    in_period: Amount
