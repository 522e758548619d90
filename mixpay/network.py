"""What the chain says about the network, followed: time, releases, relays of each epoch, keys of campaigns.

Clients, relays and sponsors look at the network through the same `NetworkView`. `refresh` does the chain
I/O and blocks (call it through `asyncio.to_thread`); everything else answers at once from what the last
refresh found, and may be asked from another thread meanwhile.

Rules
  * Time is the newest block's, never earlier than seen before; epochs and terms follow from it.
  * What a reorganised chain takes back is forgotten: the state is made again from the events that remain.
  * Events that contradict each other, or the roots that the chain froze, are never believed in part: the view
    stays as it was, and the next refresh reads everything again from the beginning.

A view shows one deployment. When a release names other contracts, this one's time ends; what is owed on its
contracts does not. `mixpay.releases` has the views of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from mixpay import eip712
from mixpay.address import mark_of
from mixpay.chain import events
from mixpay.chain.follower import Batch, Follower
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import PeriodKey, Release
from mixpay.deployment import Deployment
from mixpay.epochs import Schedule
from mixpay.errors import ChainError, ChainUnavailable, UserError
from mixpay.layers import TermLayers
from mixpay.packet import KeyContext
from mixpay.registry_replica import RegistryReplica
from mixpay.snapshot import RelayRecord, Snapshot
from mixpay.types import Account, Epoch, RelayId, Term
from mixpay.wire import WIRE_VERSION

_KEPT_TERMS = 2
_KEPT_EPOCHS = 8
"""How many terms and epochs before the present snapshots are kept for, at least."""

_FOLLOWED = (
    events.Registered,
    events.Updated,
    events.Left,
    events.Condemned,
    events.PenaltySettled,
    events.Frozen,
    events.ReleasePublished,
    events.KeySet,
)


class OtherContracts(UserError):
    """In the epoch asked for, the network works on other contracts than a view's."""


class _State:
    """What follows from the events up to some block."""

    def __init__(self) -> None:
        self.replica = RegistryReplica()
        self.ever: dict[RelayId, RelayRecord] = {}
        self.left: dict[RelayId, int] = {}
        self.condemned: dict[RelayId, Account] = {}
        self.unsettled: frozenset[RelayId] = frozenset()
        self.releases: list[tuple[int, Release]] = []
        self.keys: dict[tuple[int, int, int], PeriodKey] = {}

    def copy(self) -> _State:
        twin = _State()
        twin.replica, twin.ever = self.replica.copy(), self.ever.copy()
        twin.left = self.left.copy()
        twin.condemned, twin.unsettled = self.condemned.copy(), self.unsettled
        twin.releases, twin.keys = self.releases.copy(), self.keys.copy()
        return twin

    def apply(self, event: events.Event) -> None:
        match event:
            case events.Registered():
                place = event.id, event.position
                self.replica.registered(*place, event.operator, event.link_key, event.endpoint)
                self._remember(event.id)
            case events.Updated():
                self.replica.updated(event.id, event.link_key, event.endpoint)
                self._remember(event.id)
            case events.Left():
                self.replica.left(event.id, event.position)
                self.left[event.id] = event.withdrawable_at
            case events.Condemned():
                self.condemned[event.id] = event.reporter
                self.unsettled |= {event.id}
            case events.PenaltySettled():
                self.unsettled -= {event.id}
            case events.Frozen():
                self.replica.frozen(event.epoch, event.root, event.count, event.beacon)
            case events.ReleasePublished():
                self.releases.append((event.number, event.release))
            case events.KeySet():
                place_of_key = event.campaign, event.kind, event.period
                self.keys[place_of_key] = PeriodKey(event.key_hash, event.hop_price)

    def _remember(self, relay: RelayId) -> None:
        record = self.replica.relay(relay)
        if record is not None:
            self.ever[relay] = record


class NetworkView:
    """One deployment, as its chain has it. `not_before`: a moment of chain time seen in an earlier run."""

    def __init__(self, rpc: Rpc, deployment: Deployment, *, not_before: int = 0) -> None:
        self.deployment = deployment
        self.schedule = Schedule(deployment.genesis, deployment.epoch_length, deployment.term_length)
        self._rpc = rpc
        self._chain_time = not_before
        self._seen = False
        self._state = _State()
        self._layers: dict[Epoch, tuple[Snapshot, TermLayers]] = {}
        self._begin()

    def _begin(self) -> None:
        self._follower = Follower(self._rpc, self.deployment)
        self._base, self._base_block = _State(), self.deployment.block
        self._recent: list[events.Event] = []
        self._tip = self._base

    # ------------------------------------------------------------------ following

    def refresh(self) -> list[Batch]:
        """Read all that is new on the chain. Blocks.

        Returns the batches, for callers that follow other events as well. Raises ChainError; nothing is lost
        then, the next refresh goes on.
        """
        batches = []
        while True:
            batch = self._follower.poll()
            trail = self._follower.trail
            self.take(batch, trail.checkpoints[0].number if trail.checkpoints else trail.origin)
            batches.append(batch)
            if batch.head >= batch.latest:
                return batches

    def take(self, batch: Batch, settled: int) -> None:
        """Take what one poll found; it shows when the chain's newest block is reached.

        The chain will not be taken back below block `settled`, unless entirely.
        """
        try:
            self._tip = self._after(batch)
            self._settle(settled)
        except ChainError:
            self._begin()
            raise
        if batch.head < batch.latest:
            return
        self._state = self._tip
        self._chain_time = max(self._chain_time, batch.chain_time)
        self._seen = True
        if self._chain_time >= self.schedule.genesis:
            self._forget()

    def _after(self, batch: Batch) -> _State:
        """The state after a batch, in an object of its own: the present one may be in use."""
        new = [event for event in batch.events if isinstance(event, _FOLLOWED)]
        if batch.reverted_to is None:
            if not new:
                return self._tip
            state = self._tip.copy()
        else:
            if batch.reverted_to < self._base_block:
                self._base, self._base_block, self._recent = _State(), batch.reverted_to, []
            self._recent = [event for event in self._recent if event.block <= batch.reverted_to]
            state = self._base.copy()
            _apply(state, self._recent)
        _apply(state, new)
        self._recent += new
        return state

    def _settle(self, settled: int) -> None:
        """Move the base up to a block that stays: what may have to be forgotten is kept apart."""
        self._base_block = max(self._base_block, settled)
        staying = [event for event in self._recent if event.block <= settled]
        if staying:
            self._base = self._base.copy()
            _apply(self._base, staying)
            self._recent = self._recent[len(staying) :]

    def _forget(self) -> None:
        term = min(self.term - _KEPT_TERMS, self._oldest_redeemable())
        oldest = Epoch(min(self.schedule.first_epoch(Term(max(0, term))), max(0, self.epoch - _KEPT_EPOCHS)))
        end = self.ends
        if end is not None and end <= self.epoch:
            oldest = Epoch(max(0, min(oldest, end - 1)))  # its relays settle as long as it takes
        self._state.replica.forget_before(oldest)
        self._base.replica.forget_before(oldest)

    def _oldest_redeemable(self) -> Term:
        """The oldest term whose passes, or those of its epochs, the pool may still pay for."""
        window = self.deployment.parameters.claim_window + self.schedule.epoch_length
        return self.schedule.term_of(
            self.schedule.epoch_at(max(self._chain_time - window, self.schedule.genesis))
        )

    # ------------------------------------------------------------------ time

    @property
    def chain_time(self) -> int:
        """Seconds; of the newest block seen. Raises ChainUnavailable before the first refresh."""
        if not self._seen:
            raise ChainUnavailable("the chain has not been read yet")
        return self._chain_time

    @property
    def epoch(self) -> Epoch:
        """The current epoch. Raises BeforeGenesis, ChainUnavailable."""
        return self.schedule.epoch_at(self.chain_time)

    @property
    def term(self) -> Term:
        """The current term."""
        return self.schedule.term_of(self.epoch)

    # ------------------------------------------------------------------ releases

    @property
    def releases(self) -> tuple[tuple[int, Release], ...]:
        """All releases published since this deployment's first block, each with its number, oldest first."""
        return tuple(self._state.releases)

    @property
    def release(self) -> Release:
        """The release in force. Raises UserError if this program does not know it, or there is none yet."""
        return self.release_at(self.epoch)

    def release_at(self, epoch: Epoch) -> Release:
        """The release in force in an epoch, as far as published.

        Raises OtherContracts if it names other contracts, UserError if there is none or it speaks another
        version on the wire.
        """
        releases = self._state.releases
        if not releases:
            raise UserError("the network has no release in force: is the deployment complete?")
        active = [release for _, release in releases if release.activation_epoch <= epoch]
        if not active:
            first = releases[0][1].activation_epoch
            raise OtherContracts(f"the network works on these contracts from epoch {first} on")
        release = active[-1]
        if not self._is_ours(release):
            raise OtherContracts("the network has moved to new contracts: get its new deployment file")
        if release.wire_version != WIRE_VERSION:
            raise UserError(
                f"the network speaks version {release.wire_version}, this program {WIRE_VERSION}: "
                "install the release that fits"
            )
        return release

    def works_in(self, epoch: Epoch) -> bool:
        """Whether the network works on these contracts in an epoch, and speaks as this program does."""
        try:
            self.release_at(epoch)
        except UserError:
            return False
        return True

    @property
    def ends(self) -> Epoch | None:
        """The first epoch after the last release that names these contracts, as far as published."""
        end = None
        for _, release in self._state.releases:
            if self._is_ours(release):
                end = None
            elif end is None:
                end = release.activation_epoch
        return end

    @property
    def is_over(self) -> bool:
        """Whether the network has left these contracts for good. Raises BeforeGenesis, ChainUnavailable."""
        end = self.ends
        return end is not None and self.epoch >= end

    def _is_ours(self, release: Release) -> bool:
        return release.contracts == self.deployment.contracts

    # ------------------------------------------------------------------ relays

    def relay(self, relay: RelayId) -> RelayRecord | None:
        """A living relay as it is registered now; None if it left or never was."""
        return self._state.replica.relay(relay)

    def last_record(self, relay: RelayId) -> RelayRecord | None:
        """A relay as it was registered last, even if it has left. None if it never was."""
        return self._state.ever.get(relay)

    def withdrawable_at(self, relay: RelayId) -> int | None:
        """From when on the stake of a relay that has left can be paid out; None if it has not left."""
        return self._state.left.get(relay)

    def operator(self, relay: RelayId) -> Account | None:
        """A relay's operator, even if it has left: an id keeps it for ever. None if it never was."""
        record = self._state.ever.get(relay)
        return record.operator if record is not None else None

    @property
    def condemned(self) -> Mapping[RelayId, Account]:
        """Relays that signed two packet keys for one epoch, and who proved it. Nobody uses them any more."""
        return self._state.condemned

    @property
    def unsettled_penalties(self) -> frozenset[RelayId]:
        """The condemned relays whose penalty is not divided yet."""
        return self._state.unsettled

    def is_frozen(self, epoch: Epoch) -> bool:
        """Whether the relays and the beacon of an epoch are fixed."""
        return self._state.replica.is_frozen(epoch, self.epoch)

    def snapshot(self, epoch: Epoch) -> Snapshot:
        """The relays of an epoch under the root that the chain froze for it. Raises NotFrozen."""
        return self._state.replica.snapshot(epoch, self.epoch)

    def layers(self, epoch: Epoch) -> TermLayers:
        """Layers and next hops in an epoch.

        Raises NotFrozen if it, or its term's first epoch, is not fixed.
        """
        current = self.snapshot(epoch)
        known = self._layers.get(epoch)
        if known is not None and known[0] == current:
            return known[1]
        start = self.snapshot(self.schedule.first_epoch(self.schedule.term_of(epoch)))
        layers = TermLayers(start, current)
        self._layers = {kept: value for kept, value in self._layers.items() if kept + 1 >= self.epoch}
        self._layers[epoch] = current, layers
        return layers

    def key_context(self, epoch: Epoch) -> KeyContext:
        """What packet keys of an epoch are bound to. Raises NotFrozen."""
        return KeyContext(self.deployment.chain_id, self.deployment.registry, self.snapshot(epoch).root)

    @cached_property
    def mark(self) -> bytes:
        """What addresses at relays of this registry begin with, 4 bytes."""
        return mark_of(self.deployment.chain_id, self.deployment.registry)

    @cached_property
    def registry_domain(self) -> eip712.Domain:
        """Domain of descriptors' signatures."""
        return eip712.registry_domain(self.deployment.chain_id, self.deployment.registry)

    # ------------------------------------------------------------------ campaigns

    def pool_key(self, campaign: int, kind: int, period: int) -> PeriodKey | None:
        """The blind-signing key registered for a period (kind 1: epoch, 2: term); None if there is none."""
        return self._state.keys.get((campaign, kind, period))


def _apply(state: _State, followed: Sequence[events.Event]) -> None:
    for event in followed:
        state.apply(event)
