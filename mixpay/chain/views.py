"""What the contracts' view functions return, as value objects. Amounts are the token's smallest unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mixpay.chain import abi
from mixpay.crypto.hashing import keccak256
from mixpay.types import Account, Amount, Epoch, Position, RelayId, Value

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
    budget: Amount
    relay_cap: Amount
    period_cap: Amount
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
    """What a campaign has paid to one relay: in all, and for the period last paid for. `vouchered`: a voucher
    paid a part of that, so its passes cannot be redeemed any more."""

    claimed: Amount
    period: Epoch
    in_period: Amount
    vouchered: bool


@dataclass(frozen=True, slots=True)
class FormerSigner:
    """The signer that a campaign replaced last (NOBODY: none), and the last second in which its vouchers are
    valid."""

    signer: Account
    until: int


@dataclass(frozen=True, slots=True)
class RelayProof:
    """A relay's place under the root frozen for an epoch; siblings (32 bytes each) bottom up."""

    id: RelayId
    position: Position
    link_key: bytes
    endpoint_hash: bytes
    siblings: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CaseBatch:
    """A batch in court: `count` tickets at a hop price in token units, and the root of their locks. `value`
    of them all, in hop prices: no more of them can be claimed."""

    number: int
    count: int
    value: Value
    price: Amount
    locks_root: bytes

    def fields(self) -> tuple[Any, ...]:
        """As the contract takes it."""
        return (self.number, self.count, self.value, self.price, self.locks_root)


@dataclass(frozen=True, slots=True)
class Case:
    """A case as its opening reports it; the contract keeps only the hash. `base` in token units, `amount` in
    hop prices, `opened_at` in seconds of chain time."""

    payer: Account
    payee: Account
    base: Amount
    amount: Value
    batch: CaseBatch
    receipts_root: bytes
    opened_at: int
    open_block: int

    TYPE: ClassVar = (
        "(address,address,uint96,uint64,(uint32,uint32,uint64,uint96,bytes32),bytes32,uint40,uint64)"
    )

    @classmethod
    def of(cls, fields: tuple[Any, ...]) -> Case:
        """From the contract's fields."""
        payer, payee, base, amount, batch, root, opened_at, open_block = fields
        return cls(payer, payee, base, amount, CaseBatch(*batch), root, opened_at, open_block)

    def fields(self) -> tuple[Any, ...]:
        """As the contract takes it."""
        before = (self.payer, self.payee, self.base, self.amount)
        return (*before, self.batch.fields(), self.receipts_root, self.opened_at, self.open_block)

    @property
    def hash(self) -> bytes:
        """What the contract keeps of it, 32 bytes."""
        return keccak256(abi.encode([self.TYPE], [self.fields()]))

    @property
    def claimed(self) -> Amount:
        """What the receipts come to, in token units."""
        return Amount(self.amount * self.batch.price)

    @property
    def total(self) -> Amount:
        """What is owed up to the batch if the claim is right; the court's costs not included."""
        return Amount(self.base + self.claimed)

    @property
    def bond(self) -> Amount:
        """What the payee has left for it."""
        return Amount((self.claimed + 1) // 2)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The court's newest word between two accounts: an all-time total up to a batch, and when it was made."""

    total: Amount
    number: int
    judged_at: int
