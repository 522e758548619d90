"""What the issuer sees of the chain: its time, and the relays frozen for each epoch that can be redeemed.

The registry's events are applied to a copy that then takes the place of the old one, so readers on other
threads never see half of a block. Copies at recent blocks stay, to go back to when the chain reorganises.
"""

from __future__ import annotations

from itertools import groupby

from mixpay.chain.contracts import RelayRegistry
from mixpay.chain.events import Event, Frozen, Left, Registered, Updated
from mixpay.chain.follower import Batch, Follower
from mixpay.chain.rpc import Rpc
from mixpay.chain.trail import KEEP
from mixpay.chain.views import NOBODY
from mixpay.deployment import Deployment
from mixpay.epochs import Schedule
from mixpay.errors import ChainUnavailable
from mixpay.registry_replica import RegistryReplica, ReplicaError
from mixpay.snapshot import Snapshot
from mixpay.types import Account, Epoch, RelayId

_RECENT_BLOCKS = 1024
"""Only these get copies; a deeper reorganisation is followed by reading everything again."""


class FollowedChain:
    """A `ChainView` fed by polling one node. `poll` belongs to one thread, the rest to any."""

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self._rpc, self._deployment = rpc, deployment
        self._registry = RelayRegistry(rpc, deployment.registry)
        parameters = deployment.parameters
        self._schedule = Schedule(deployment.genesis, parameters.epoch_length, parameters.term_length)
        self._window = parameters.claim_window
        self._time = 0
        self._restart()

    def poll(self) -> None:
        """Take in everything up to the newest block. Raises ChainError; nothing is lost, call again."""
        while True:
            batch = self._follower.poll()
            if batch.reverted_to is not None and not self._go_back(batch.reverted_to):
                self._restart()
                continue
            try:
                self._apply(batch)
            except ReplicaError:
                # The node left something out; the next call reads everything again.
                self._restart()
                raise
            self._time = max(self._time, batch.chain_time)
            if batch.head >= batch.latest:
                break
        self._replica.forget_before(self._oldest_needed())

    def now(self) -> int:
        """See `ChainView`."""
        if self._time == 0:
            raise ChainUnavailable("the chain has not been read yet")
        return self._time

    def snapshot(self, epoch: Epoch) -> Snapshot:
        """See `ChainView`."""
        return self._replica.snapshot(epoch, self._schedule.epoch_at(self.now()))

    def operator(self, relay: RelayId) -> Account | None:
        """See `ChainView`."""
        found = self._registry.relay(relay).operator
        return None if found == NOBODY else found

    def _restart(self) -> None:
        self._follower = Follower(self._rpc, self._deployment)
        self._replica = RegistryReplica()
        self._copies: list[tuple[int, RegistryReplica]] = [(self._deployment.block, self._replica)]

    def _go_back(self, block: int) -> bool:
        """Take up the copy that holds at `block`; False if none is old enough."""
        while self._copies and self._copies[-1][0] > block:
            self._copies.pop()
        if not self._copies:
            return False
        self._replica = self._copies[-1][1].copy()
        return True

    def _apply(self, batch: Batch) -> None:
        events = [event for event in batch.events if isinstance(event, Registered | Updated | Left | Frozen)]
        replica = self._replica.copy() if events else self._replica
        for block, together in groupby(events, key=lambda event: event.block):
            for event in together:
                _take(replica, event)
            old = block <= batch.latest - _RECENT_BLOCKS
            self._copies = [] if old else [*self._copies, (block, replica.copy())][-KEEP - 1 :]
        self._copies = self._copies or [(batch.head, replica)]
        self._replica = replica

    def _oldest_needed(self) -> Epoch:
        """First epoch of the oldest period that can still be redeemed."""
        oldest = max(self._time - self._window - self._schedule.epoch_length, self._schedule.genesis)
        return self._schedule.first_epoch(self._schedule.term_of(self._schedule.epoch_at(oldest)))


def _take(replica: RegistryReplica, event: Event) -> None:
    match event:
        case Registered():
            replica.registered(event.id, event.position, event.operator, event.link_key, event.endpoint)
        case Updated():
            replica.updated(event.id, event.link_key, event.endpoint)
        case Left():
            replica.left(event.id, event.position)
        case Frozen():
            replica.frozen(event.epoch, event.root, event.count, event.beacon)
