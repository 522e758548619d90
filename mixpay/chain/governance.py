"""Who governs: Network belongs to OpenZeppelin's TimelockController, that one account can use: the governor.

The timelock begins without a delay and with two users, the deployer and the governor. The deployer offers it
Network and lets it run one batch (`handover`) that accepts the offer, takes every role from the deployer and
sets the delay. After that whatever the governor publishes is public for the whole delay before it can happen,
and nobody else can do anything; the timelock alone can change its roles and its delay, in the same way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from eth_utils.address import to_checksum_address as shown

from mixpay.chain import abi
from mixpay.chain.contract import Contract
from mixpay.chain.contracts import Network
from mixpay.chain.history import begins_with_creation, history
from mixpay.chain.records import Call
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import NOBODY
from mixpay.crypto.hashing import keccak256
from mixpay.deployment import Deployment, Governance
from mixpay.types import Account

ADMIN = bytes(32)
PROPOSER, CANCELLER, EXECUTOR = (
    keccak256(f"{n}_ROLE".encode()) for n in ("PROPOSER", "CANCELLER", "EXECUTOR")
)
ROLES = {"admin": ADMIN, "proposer": PROPOSER, "canceller": CANCELLER, "executor": EXECUTOR}
"""Name → 32-byte id of every role of the timelock."""

_ZERO = bytes(32)


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls that the timelock makes in one transaction, all or none. `salt`: tells equal batches apart."""

    calls: tuple[Call, ...]
    salt: bytes = _ZERO

    @property
    def id(self) -> bytes:
        """Under which the timelock knows it: keccak of the encoding below."""
        types = ["address[]", "uint256[]", "bytes[]", "bytes32", "bytes32"]
        return keccak256(abi.encode(types, self.arguments()))

    def arguments(self) -> tuple[list[Account | None], list[int], list[bytes], bytes, bytes]:
        """Targets, amounts of native currency, data, the batch that must be done before (none), salt."""
        calls = self.calls
        return [c.to for c in calls], [c.value for c in calls], [c.data for c in calls], _ZERO, self.salt


class Timelock(Contract):
    """OpenZeppelin's TimelockController."""

    NAME = "TimelockController"

    def min_delay(self) -> int:
        """Seconds between scheduling and the earliest execution."""
        return int(self._read("getMinDelay"))

    def has_role(self, role: bytes, account: Account) -> bool:
        """Whether the account may act in a role."""
        return bool(self._read("hasRole", role, account))

    def is_scheduled(self, batch: bytes) -> bool:
        """Whether a batch of this id was ever scheduled, and not cancelled."""
        return bool(self._read("isOperation", batch))

    def is_pending(self, batch: bytes) -> bool:
        """Whether it still waits to be executed."""
        return bool(self._read("isOperationPending", batch))

    def is_done(self, batch: bytes) -> bool:
        """Whether it was executed."""
        return bool(self._read("isOperationDone", batch))

    def ready_at(self, batch: bytes) -> int:
        """Seconds of chain time from which a pending batch can be executed."""
        return int(self._read("getTimestamp", batch))

    def schedule(self, batch: Batch, delay: int) -> Call:
        """Announces a batch. Only a proposer; `delay` in seconds, not below the timelock's own."""
        return self._write("scheduleBatch", *batch.arguments(), delay)

    def execute(self, batch: Batch) -> Call:
        """Makes the calls of a batch whose delay is over. Only an executor."""
        return self._write("executeBatch", *batch.arguments())

    def cancel(self, batch: bytes) -> Call:
        """Takes an announced batch back. Only a canceller."""
        return self._write("cancel", batch)

    def grant(self, role: bytes, account: Account) -> Call:
        """Gives a role. Only the timelock itself."""
        return self._write("grantRole", role, account)

    def revoke(self, role: bytes, account: Account) -> Call:
        """Takes a role away. Only the timelock itself."""
        return self._write("revokeRole", role, account)

    def update_delay(self, seconds: int) -> Call:
        """Sets the delay of later batches. Only the timelock itself."""
        return self._write("updateDelay", seconds)


def constructor_arguments(
    deployer: Account, governor: Account
) -> tuple[int, list[Account], list[Account], Account]:
    """Of the timelock: delay, proposers (who are cancellers too), executors, an admin (none)."""
    users = [deployer, governor]
    return 0, users, users, NOBODY


def handover(rpc: Rpc, deployment: Deployment, governance: Governance, deployer: Account) -> Batch:
    """With which the timelock becomes Network's owner, and nobody but the governor can use it."""
    timelock = Timelock(rpc, governance.timelock)
    return Batch(
        (
            Network(rpc, deployment.network).accept_ownership(),
            *(timelock.revoke(role, deployer) for role in (PROPOSER, CANCELLER, EXECUTOR)),
            timelock.update_delay(deployment.parameters.timelock_delay),
        )
    )


# ---------------------------------------------------------------------- verifying


@dataclass(frozen=True, slots=True)
class Announced:
    """A batch that waits in the timelock."""

    id: bytes
    delay: int
    """With which it was announced, seconds."""
    ready_at: int
    """Seconds of chain time."""


@dataclass(frozen=True, slots=True)
class TimelockFacts:
    """What the timelock's own events say: who holds each role, and what is announced."""

    holders: dict[str, frozenset[Account]]
    announced: tuple[Announced, ...]


def read_timelock(rpc: Rpc, deployment: Deployment, governance: Governance) -> TimelockFacts:
    """Of a timelock, since its deployment. Raises what `Rpc` raises."""
    timelock = Timelock(rpc, governance.timelock)
    events = abi.artifact(Timelock.NAME).events
    granted, revoked, scheduled = (
        events[name].topic for name in ("RoleGranted", "RoleRevoked", "CallScheduled")
    )
    holders: dict[bytes, set[Account]] = defaultdict(set)
    delays: dict[bytes, int] = {}
    for log in history(rpc, governance.timelock, deployment.block):
        if log.topics[0] == granted:
            holders[log.topics[1]].add(Account(log.topics[2][-20:]))
        elif log.topics[0] == revoked:
            holders[log.topics[1]].discard(Account(log.topics[2][-20:]))
        elif log.topics[0] == scheduled:
            delays[log.topics[1]] = int.from_bytes(log.data[4 * 32 : 5 * 32], "big")
    waiting = ((id, delay) for id, delay in delays.items() if timelock.is_pending(id))
    return TimelockFacts(
        holders={name: frozenset(holders[role]) for name, role in ROLES.items()},
        announced=tuple(Announced(id, delay, timelock.ready_at(id)) for id, delay in waiting),
    )


def governance_problems(rpc: Rpc, deployment: Deployment) -> list[str]:
    """In what Network's owner is not what the deployment file says; nothing if the file names none."""
    governance = deployment.governance
    return [] if governance is None else list(_problems(rpc, deployment, governance))


def _problems(rpc: Rpc, deployment: Deployment, governance: Governance) -> Iterator[str]:
    network = Network(rpc, deployment.network)
    owner, offered = network.owner(), network.pending_owner()
    if owner != governance.timelock:
        yield f"Network: its owner is {shown(owner)}, not the timelock"
    if offered != NOBODY:
        yield f"Network: it is offered to {shown(offered)}"
    delay, expected = Timelock(rpc, governance.timelock).min_delay(), deployment.parameters.timelock_delay
    if delay < expected:
        yield f"TimelockController: its delay is {delay} s, not {expected} s"
    if not begins_with_creation(rpc, governance.timelock, deployment.block):
        yield f"TimelockController: it is older than block {deployment.block}, before which nothing is read"
        return
    facts = read_timelock(rpc, deployment, governance)
    for name, holders in facts.holders.items():
        right = {governance.timelock if name == "admin" else governance.governor}
        for account in sorted(holders - right):
            yield f"TimelockController: {shown(account)} is {name} too"
        for account in sorted(right - holders):
            yield f"TimelockController: {shown(account)} is not {name}"
    for batch in facts.announced:
        if batch.delay < expected:
            yield f"TimelockController: batch 0x{batch.id.hex()} was announced only {batch.delay} s ahead"
