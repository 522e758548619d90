"""The relays of one epoch as the chain knows them: records, and the snapshot under the frozen root."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from operator import attrgetter

from mixpay import merkle, registry_tree
from mixpay.endpoint import MAX_ENDPOINT
from mixpay.errors import PeerError
from mixpay.types import Account, Epoch, Position, RelayId

_U32 = 1 << 32


class DirectoryError(PeerError):
    """A directory, or a part of one, that does not fit what the chain says.

    Reasons: `malformed`, `wrong_epoch`, `wrong_root`, `bad_descriptor`, `unknown_relay`, `equivocation`.
    """


@dataclass(frozen=True, slots=True)
class RelayRecord:
    """A living relay as its leaf has it: id u32 from 1, position u32, operator 20 bytes, link key 32.

    `endpoint` may be any 1 to 128 bytes that somebody wrote to the chain. What is not UTF-8 in it stands as
    lone surrogates (error handler `surrogateescape`), so that the leaf can be recomputed. Use it through
    `parse_endpoint` only.
    Raises DirectoryError `malformed` if a field does not fit.
    """

    id: RelayId
    position: Position
    operator: Account
    link_key: bytes
    endpoint: str

    def __post_init__(self) -> None:
        fits = 0 < self.id < _U32 and 0 <= self.position < _U32
        if not fits or (len(self.operator), len(self.link_key)) != (20, 32):
            raise DirectoryError("malformed", f"a field of relay {self.id} does not fit")
        if not 0 < len(self.endpoint_bytes) <= MAX_ENDPOINT:
            raise DirectoryError("malformed", f"the endpoint of relay {self.id} does not fit")

    @property
    def endpoint_bytes(self) -> bytes:
        """The endpoint as it was written to the chain."""
        return self.endpoint.encode("utf-8", "surrogateescape")

    def leaf(self) -> bytes:
        """Return the relay's leaf in the registry's tree, 32 bytes."""
        return registry_tree.relay_leaf(self.id, self.operator, self.link_key, self.endpoint_bytes)


@dataclass(frozen=True, slots=True)
class Frozen:
    """What the registry fixed for an epoch: root 32 bytes, count of positions ever used, beacon 32 bytes."""

    epoch: Epoch
    root: bytes
    count: int
    beacon: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The relays of an epoch, in order of position, with what the chain froze for it."""

    epoch: Epoch
    root: bytes
    count: int
    beacon: bytes
    relays: tuple[RelayRecord, ...] = field(repr=False)
    _ids: dict[RelayId, RelayRecord] = field(init=False, repr=False, compare=False, default_factory=dict)

    def recompute_root(self) -> bytes:
        """Return the root that these relays make over `count` positions.

        Raises DirectoryError `malformed` if positions are not in order and below `count`, or an id stands
        twice.
        """
        leaves = [merkle.EMPTY] * self.count
        last = -1
        for relay in self.relays:
            if not last < relay.position < self.count:
                raise DirectoryError("malformed", f"position {relay.position} is out of place")
            last = relay.position
            leaves[last] = relay.leaf()
        if len({relay.id for relay in self.relays}) != len(self.relays):
            raise DirectoryError("malformed", "a relay stands in it twice")
        return merkle.root(leaves)

    def verify(self) -> None:
        """Raise DirectoryError unless the relays are exactly those under the frozen root."""
        if self.recompute_root() != self.root:
            raise DirectoryError("wrong_root", f"the relays do not make the root of epoch {self.epoch}")

    def by_id(self, relay: RelayId) -> RelayRecord | None:
        """Return a relay's record, None if it is not in this epoch."""
        # Made on first use: of the many epochs that a replica keeps, few are ever asked.
        if not self._ids:
            self._ids.update((record.id, record) for record in self.relays)
        return self._ids.get(relay)

    def at(self, position: Position) -> RelayRecord | None:
        """Return the relay at a position, None if it is empty."""
        index = bisect_left(self.relays, position, key=attrgetter("position"))
        found = self.relays[index] if index < len(self.relays) else None
        return found if found is not None and found.position == position else None

    def by_operator(self, operator: Account) -> RelayRecord | None:
        """Return the relay of an operator's account, None if it has none in this epoch."""
        return next((record for record in self.relays if record.operator == operator), None)
