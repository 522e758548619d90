"""A replica of the relay registry, made of the contract's events in the order of the chain.

Rules
- Each event's method is called once, in order; a `Frozen` comes before the change that caused it.
- A relay that the court evicts goes by a `Left` like any other.
- What an epoch froze must be what the replica held at that moment: root and count are compared, so an event
  that an RPC endpoint left out or invented is found at the next freeze.
- An epoch that nobody touched in advance inherits root and count of the last one drawn; its beacon is
  keccak(last drawn beacon ‖ epoch u32). It is fixed only once it has begun: until then a touch may draw it.
- A replica is cheap to copy. A follower keeps copies at recent blocks and goes back to one when the chain
  reorganises.
"""

from __future__ import annotations

from mixpay.crypto.hashing import keccak256
from mixpay.errors import ChainError
from mixpay.registry_tree import EMPTY, RegistryTree
from mixpay.snapshot import DirectoryError, RelayRecord, Snapshot
from mixpay.types import Account, Epoch, Position, RelayId


class ReplicaError(ChainError):
    """The events are not a whole history of the registry: the RPC endpoint left some out, or lies."""


class NotFrozen(ChainError):
    """Root, count and beacon of this epoch are not fixed yet, or were before the registry's time."""


class RegistryReplica:
    """The living relays, their tree, and the snapshots of epochs that were drawn."""

    def __init__(self) -> None:
        self._relays: dict[RelayId, RelayRecord] = {}
        self._tree = RegistryTree()
        self._drawn: dict[Epoch, Snapshot] = {}

    @property
    def root(self) -> bytes:
        """Root of the tree as it is now, 32 bytes."""
        return self._tree.root

    @property
    def count(self) -> int:
        """Positions ever used."""
        return self._tree.count

    def relay(self, relay: RelayId) -> RelayRecord | None:
        """Return a living relay's record as it is now, None if it left or never was."""
        return self._relays.get(relay)

    def registered(
        self, relay: RelayId, position: Position, operator: Account, link_key: bytes, endpoint: str
    ) -> None:
        """Take a `Registered` event; `endpoint` decoded with `surrogateescape`. Raises ReplicaError."""
        free = position == self.count or (position < self.count and self._tree.leaf(position) == EMPTY)
        if relay in self._relays or not free:
            raise ReplicaError(f"relay {relay} cannot have registered at position {position}")
        self._put(_record(relay, position, operator, link_key, endpoint))

    def updated(self, relay: RelayId, link_key: bytes, endpoint: str) -> None:
        """Take an `Updated` event. Raises ReplicaError."""
        known = self._known(relay)
        self._put(_record(relay, known.position, known.operator, link_key, endpoint))

    def left(self, relay: RelayId, position: Position) -> None:
        """Take a `Left` event. Raises ReplicaError."""
        if self._known(relay).position != position:
            raise ReplicaError(f"relay {relay} was not at position {position}")
        del self._relays[relay]
        self._tree.clear(position)

    def frozen(self, epoch: Epoch, root: bytes, count: int, beacon: bytes) -> None:
        """Take a `Frozen` event. Raises ReplicaError if it differs from the replica or is no later epoch."""
        if (root, count) != (self.root, self.count):
            raise ReplicaError(
                f"the events before epoch {epoch} was frozen are not complete: the RPC endpoint left "
                "some out, or changed them; use another one"
            )
        if self._drawn and epoch <= max(self._drawn):
            raise ReplicaError(f"epoch {epoch} was frozen before")
        relays = tuple(sorted(self._relays.values(), key=lambda relay: relay.position))
        self._drawn[epoch] = Snapshot(epoch, root, count, beacon, relays)

    def _known(self, relay: RelayId) -> RelayRecord:
        known = self._relays.get(relay)
        if known is None:
            raise ReplicaError(f"there is no relay {relay}")
        return known

    def _put(self, record: RelayRecord) -> None:
        self._relays[record.id] = record
        self._tree.set(record.position, record.leaf())

    def is_frozen(self, epoch: Epoch, current: Epoch) -> bool:
        """Say whether an epoch is fixed while `current` is the chain's epoch."""
        return bool(self._drawn) and min(self._drawn) <= epoch <= max(current, *self._drawn)

    def snapshot(self, epoch: Epoch, current: Epoch) -> Snapshot:
        """Return the relays of an epoch while `current` is the chain's epoch. Raises NotFrozen."""
        snapshots = self._drawn  # as they are now: another thread may forget some meanwhile
        newest = max((known for known in snapshots if known <= epoch), default=None)
        if newest is None or epoch > max(current, *snapshots):
            raise NotFrozen(f"epoch {epoch} is not fixed in epoch {current}")
        drawn = snapshots[newest]
        if drawn.epoch == epoch:
            return drawn
        beacon = keccak256(drawn.beacon + epoch.to_bytes(4, "big"))
        return Snapshot(epoch, drawn.root, drawn.count, beacon, drawn.relays)

    def forget_before(self, epoch: Epoch) -> None:
        """Drop the snapshots that no epoch from `epoch` on needs."""
        needed = max((known for known in self._drawn if known <= epoch), default=epoch)
        self._drawn = {known: snapshot for known, snapshot in self._drawn.items() if known >= needed}

    def copy(self) -> RegistryReplica:
        """Return a replica that changes on its own; records and snapshots are shared."""
        twin = RegistryReplica()
        twin._relays, twin._drawn = self._relays.copy(), self._drawn.copy()
        twin._tree = self._tree.copy()
        return twin


def _record(
    relay: RelayId, position: Position, operator: Account, link_key: bytes, endpoint: str
) -> RelayRecord:
    try:
        return RelayRecord(relay, position, operator, link_key, endpoint)
    except DirectoryError as error:
        raise ReplicaError(str(error)) from None
