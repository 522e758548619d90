"""The replica against a plain model of the contract, through epochs, gaps and reorganisations."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay import merkle
from mixpay.crypto.hashing import keccak256
from mixpay.registry_replica import NotFrozen, RegistryReplica, ReplicaError
from mixpay.snapshot import RelayRecord
from mixpay.types import Account, Epoch, RelayId
from registry_samples import name, plain_record


@dataclass
class Registry:
    """The contract, written plainly: emits its events into a replica and answers `frozen`."""

    replica: RegistryReplica = field(default_factory=RegistryReplica)
    seats: list[RelayRecord | None] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    ids: int = 0
    now: int = 3
    snapshots: dict[int, tuple[bytes, int, bytes]] = field(default_factory=dict)

    def root(self) -> bytes:
        return merkle.root([seat.leaf() if seat else merkle.EMPTY for seat in self.seats])

    def draw(self, epoch: int, previous: bytes) -> None:
        beacon = keccak256(previous + name("prevrandao", epoch))
        self.snapshots[epoch] = (self.root(), len(self.seats), beacon)
        self.replica.frozen(Epoch(epoch), *self.snapshots[epoch])

    def touch(self) -> None:
        if max(self.snapshots) <= self.now:
            self.draw(self.now + 1, self.frozen(self.now)[2])

    def frozen(self, epoch: int) -> tuple[bytes, int, bytes]:
        drawn = max(known for known in self.snapshots if known <= epoch)
        root, count, beacon = self.snapshots[drawn]
        return root, count, beacon if drawn == epoch else keccak256(beacon + epoch.to_bytes(4, "big"))

    def register(self) -> None:
        self.touch()
        self.ids += 1
        if not self.free:
            self.free.append(len(self.seats))
            self.seats.append(None)
        relay = plain_record(self.ids, self.free.pop())
        self.seats[relay.position] = relay
        self.replica.registered(relay.id, relay.position, relay.operator, relay.link_key, relay.endpoint)

    def update(self, choice: int) -> None:
        living = [seat for seat in self.seats if seat]
        if living:
            self.touch()
            old = living[choice % len(living)]
            new = RelayRecord(old.id, old.position, old.operator, name("link", choice), f"new{choice}:1:2")
            self.seats[old.position] = new
            self.replica.updated(new.id, new.link_key, new.endpoint)

    def leave(self, choice: int) -> None:
        living = [seat for seat in self.seats if seat]
        if living:
            self.touch()
            gone = living[choice % len(living)]
            self.seats[gone.position] = None
            self.free.append(gone.position)
            self.replica.left(gone.id, gone.position)


def deployed() -> Registry:
    registry = Registry()
    registry.draw(registry.now, bytes(32))
    return registry


MOVES = st.lists(st.tuples(st.sampled_from("rrruleetw"), st.integers(0, 20)), max_size=60)


def play(registry: Registry, moves: list[tuple[str, int]]) -> None:
    for move, number in moves:
        if move == "r":
            registry.register()
        elif move == "u":
            registry.update(number)
        elif move == "l":
            registry.leave(number)
        elif move == "t":
            registry.touch()
        else:
            registry.now += 1 + number % 3 * (move == "w")


@settings(max_examples=80, deadline=None)
@given(moves=MOVES)
def test_replica_followsTheContract(moves: list[tuple[str, int]]) -> None:
    registry = deployed()
    play(registry, moves)
    replica, now = registry.replica, Epoch(registry.now)
    assert (replica.root, replica.count) == (registry.root(), len(registry.seats))
    for seat in filter(None, registry.seats):
        assert replica.relay(seat.id) == seat
    last = max(now, *registry.snapshots)
    for number in range(3, last + 1):
        snapshot = replica.snapshot(Epoch(number), now)
        assert (snapshot.root, snapshot.count, snapshot.beacon) == registry.frozen(number)
        assert snapshot.epoch == number
        snapshot.verify()
    for number in (2, last + 1):
        assert not replica.is_frozen(Epoch(number), now)
        with pytest.raises(NotFrozen):
            replica.snapshot(Epoch(number), now)


@settings(max_examples=30, deadline=None)
@given(kept=MOVES, orphaned=MOVES)
def test_copy_bringsBackAReorganisedChain(
    kept: list[tuple[str, int]], orphaned: list[tuple[str, int]]
) -> None:
    registry = deployed()
    play(registry, kept)
    before = registry.replica.copy()
    last = max(registry.snapshots)
    facts = [(before.snapshot(Epoch(e), Epoch(registry.now)).beacon) for e in range(3, last + 1)]
    root, count = before.root, before.count
    play(registry, orphaned)
    assert (before.root, before.count) == (root, count)
    if not orphaned:
        assert registry.replica.root == root
    now = Epoch(max(before._drawn))
    assert [(before.snapshot(Epoch(e), now).beacon) for e in range(3, last + 1)] == facts


@settings(max_examples=30, deadline=None)
@given(moves=MOVES, cut=st.integers(3, 30))
def test_forget_before_keepsWhatIsNeeded(moves: list[tuple[str, int]], cut: int) -> None:
    registry = deployed()
    play(registry, moves)
    replica, now = registry.replica, Epoch(registry.now)
    last = max(now, *registry.snapshots)
    replica.forget_before(Epoch(cut))
    for number in range(cut, last + 1):
        assert replica.snapshot(Epoch(number), now).beacon == registry.frozen(number)[2]
    assert len(replica._drawn) <= max(1, last - cut + 2)


def test_frozen_findsMissingEvents() -> None:
    registry = deployed()
    registry.register()
    registry.now += 1
    quiet = RegistryReplica()
    quiet.frozen(Epoch(3), *registry.snapshots[3])
    quiet.frozen(Epoch(4), *registry.snapshots[4])
    registry.touch()
    with pytest.raises(ReplicaError, match="not complete"):
        quiet.frozen(Epoch(5), *registry.snapshots[5])


def test_events_mustFitTheState() -> None:
    registry = deployed()
    registry.register()
    replica, relay = registry.replica, plain_record(1, 0)
    fields = (relay.operator, relay.link_key, relay.endpoint)
    bad = (
        lambda: replica.registered(relay.id, relay.position, *fields),
        lambda: replica.registered(RelayId(2), relay.position, *fields),
        lambda: replica.registered(RelayId(2), plain_record(2, 2).position, *fields),
        lambda: replica.registered(RelayId(2), plain_record(2, 1).position, Account(b""), b"", ""),
        lambda: replica.updated(RelayId(2), relay.link_key, relay.endpoint),
        lambda: replica.updated(RelayId(1), relay.link_key, "x" * 129),
        lambda: replica.left(RelayId(2), relay.position),
        lambda: replica.left(RelayId(1), plain_record(1, 1).position),
        lambda: replica.frozen(Epoch(4), registry.root(), 1, bytes(32)),
    )
    root = replica.root
    for event in bad:
        with pytest.raises(ReplicaError):
            event()
    assert replica.root == root


def test_endpoint_survivesAnyBytes() -> None:
    """Somebody may register an endpoint that is not UTF-8; the network must go on."""
    replica = RegistryReplica()
    raw = b"\xff\xfe host"
    relay = plain_record(1, 0)
    replica.registered(
        relay.id, relay.position, relay.operator, relay.link_key, raw.decode("utf-8", "surrogateescape")
    )
    found = replica.relay(RelayId(1))
    assert found is not None and found.endpoint_bytes == raw
    replica.frozen(Epoch(1), replica.root, 1, bytes(32))
    replica.snapshot(Epoch(1), Epoch(1)).verify()
