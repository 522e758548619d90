"""The shuffle, layers, next hops and paths."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import pairwise
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mixpay.crypto.hashing import keccak256
from mixpay.layers import PathError, Role, TermLayers, layer_of
from mixpay.shuffle import ROUNDS, Shuffle
from mixpay.snapshot import Snapshot
from mixpay.types import Position, RelayId
from registry_samples import name, plain_record, snapshot

SEEDS = st.binary(min_size=32, max_size=32)


def anybody(_: RelayId) -> bool:
    return True


def network(size: int, beacon: int = 0) -> Snapshot:
    return snapshot([plain_record(position + 1, position) for position in range(size)], beacon=beacon)


def source(seed: int = 1) -> Random:
    return Random(seed)  # noqa: S311 - a repeatable test, not a secret


# ---------------------------------------------------------------- shuffle


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, count=st.integers(1, 300))
def test_shuffle_isBijection(seed: bytes, count: int) -> None:
    shuffle = Shuffle(seed, count)
    places = [shuffle.forward(position) for position in range(count)]
    assert sorted(places) == list(range(count))
    assert [shuffle.backward(place) for place in places] == list(range(count))


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, count=st.integers(1, 2**32), data=st.data())
def test_shuffle_invertsOnePlaceOfMany(seed: bytes, count: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, count - 1))
    shuffle = Shuffle(seed, count)
    assert shuffle.backward(shuffle.forward(position)) == position


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, count=st.integers(1, 700), data=st.data())
def test_shuffle_isTheSpecificationsArrangement(seed: bytes, count: int, data: st.DataObject) -> None:
    """compute_shuffled_index of the consensus specification, with keccak-256 and big-endian numbers."""
    position = index = data.draw(st.integers(0, count - 1))
    for number in range(ROUNDS):
        pivot = int.from_bytes(keccak256(seed + bytes([number]))[:8], "big") % count
        flip = (pivot + count - index) % count
        higher = max(index, flip)
        bits = keccak256(seed + bytes([number]) + (higher // 256).to_bytes(4, "big"))
        if bits[higher % 256 // 8] >> higher % 8 & 1:
            index = flip
    assert Shuffle(seed, count).forward(position) == index


def test_shuffle_spreadsEvenly() -> None:
    goes = Counter(Shuffle(name("seed", seed), 9).forward(0) for seed in range(1800))
    # 200 expected each, standard deviation 13
    assert all(140 < goes[place] < 260 for place in range(9))


def test_shuffle_refusesWhatIsNotThere() -> None:
    with pytest.raises(ValueError):
        Shuffle(bytes(32), 0)
    for position in (-1, 9):
        with pytest.raises(ValueError):
            Shuffle(bytes(32), 9).forward(position)


# ---------------------------------------------------------------- layers


@given(size=st.integers(1, 60), beacon=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_layers_partitionEvenly(size: int, beacon: int) -> None:
    layers = TermLayers(network(size, beacon), network(size, beacon))
    members = [layers.members(layer) for layer in (1, 2, 3)]
    assert sorted(relay for layer in members for relay in layer) == list(range(1, size + 1))
    assert max(map(len, members)) - min(map(len, members)) <= 1


def test_layer_of_needsNoList() -> None:
    start = network(30)
    layers = TermLayers(start, start)
    for relay in start.relays:
        assert layers.layer(relay.id) == layer_of(relay.position, relay.id, start.beacon, start.count)
    late = RelayId(31)
    expected = int.from_bytes(keccak256(start.beacon + bytes([0, 0, 0, 31])), "big") % 3 + 1
    assert layers.layer(late) == layer_of(None, late, start.beacon, start.count) == expected
    with pytest.raises(ValueError):
        layer_of(Position(30), late, start.beacon, 30)


def test_layers_lastATerm() -> None:
    """Whoever leaves, arrives or takes a freed position does not move the others."""
    start = network(12)
    before = TermLayers(start, start)
    stayed = [relay for relay in start.relays if relay.id != 4]
    now = snapshot(sorted([*stayed, plain_record(13, 3), plain_record(14, 12)], key=lambda r: r.position))
    after = before.in_epoch(now)
    fresh = TermLayers(start, now)
    for relay in now.relays:
        assert after.layer(relay.id) == fresh.layer(relay.id)
        if relay.id <= 12:
            assert after.layer(relay.id) == before.layer(relay.id)
    # the new relay at position 3 has its own layer, not the one of the relay that left
    assert after.layer(RelayId(13)) == layer_of(None, RelayId(13), start.beacon, start.count)
    assert not any(4 in after.members(layer) for layer in (1, 2, 3))


def test_layers_ofATermThatBeganEmpty() -> None:
    layers = TermLayers(snapshot([]), network(20))
    assert sum(len(layers.members(layer)) for layer in (1, 2, 3)) == 20


# ---------------------------------------------------------------- next hops


def test_successors_areAllOfASmallLayer() -> None:
    start = network(20)
    layers = TermLayers(start, start)
    mix1, mix2, mix3 = (layers.members(layer)[0] for layer in (1, 2, 3))
    assert layers.successors(mix2, Role.ENTRY) == layers.members(1)
    assert layers.successors(mix1, Role.ENTRY) == layers.members(1)[1:]
    assert layers.successors(mix1, Role.MIX1) == layers.members(2)
    assert layers.successors(mix2, Role.MIX2) == layers.members(3)
    assert set(layers.successors(mix3, Role.MIX3)) == set(range(1, 21)) - {mix3}


def test_successors_ofALargeLayerAreDrawn() -> None:
    start = network(90)
    layers = TermLayers(start, start, most=8)
    drawn = Counter[RelayId]()
    for relay in start.relays:
        for role in (Role.ENTRY, Role.MIX1, Role.MIX2):
            chosen = layers.successors(relay.id, role)
            assert set(chosen) <= set(layers.members(role + 1))
            # of those drawn, one in layer 1 that is an entry leaves itself out
            assert len(set(chosen)) == 8 or (len(set(chosen)) == 7 and layers.layer(relay.id) == role + 1)
            drawn.update(chosen)
    # 90 relays draw 8 of 30: 24 times each
    assert len(drawn) == 90 and max(drawn.values()) < 50
    other = TermLayers(network(90, beacon=1), network(90, beacon=1), most=8)
    same = [layers.successors(r.id, Role.ENTRY) == other.successors(r.id, Role.ENTRY) for r in start.relays]
    assert sum(same) < 3, "another beacon draws others"


def test_successors_outlastArrivalsAndDepartures() -> None:
    start = network(90)
    before = TermLayers(start, start, most=8)
    gone = before.members(1)[0]
    relays = [relay for relay in start.relays if relay.id != gone] + [plain_record(91, 90)]
    after = before.in_epoch(snapshot(relays))
    for relay in relays[:-1]:
        old = set(before.successors(relay.id, Role.ENTRY))
        new = set(after.successors(relay.id, Role.ENTRY))
        assert len(old - new) <= 2 and len(new) in (7, 8)
        if gone not in old and RelayId(91) not in new:
            assert old == new


def test_mailboxes_ofALargeLayerAreLinkedInPairs() -> None:
    start = network(300)
    layers = TermLayers(start, start, most=20)
    links = {mix: layers.successors(mix, Role.MIX3) for mix in layers.members(3)}
    reached = Counter(mailbox for boxes in links.values() for mailbox in boxes)
    # each of 300 mailboxes is linked with one in five of 100 mixes: 20, standard deviation 4
    assert len(reached) == 300 and all(4 <= times <= 40 for times in reached.values())
    assert all(30 <= len(boxes) <= 95 for boxes in links.values())
    for mix, boxes in list(links.items())[:3]:
        for relay in start.relays:
            assert layers.serves(mix, Role.MIX3, relay.id) == (relay.id in boxes)
            assert (mix in layers.gateways(relay.id)) == (relay.id in boxes)


def test_serves_refusesOtherLayersAndStrangers() -> None:
    start = network(20)
    layers = TermLayers(start, start)
    relay = RelayId(1)
    assert all(layers.serves(relay, Role.ENTRY, mix) for mix in layers.members(1))
    assert not any(layers.serves(relay, Role.ENTRY, mix) for mix in layers.members(2))
    assert not layers.serves(relay, Role.MIX3, RelayId(21))
    with pytest.raises(PathError, match="relay 21"):
        layers.successors(RelayId(21), Role.ENTRY)


# ---------------------------------------------------------------- paths


@settings(max_examples=40, deadline=None)
@given(size=st.integers(9, 40), most=st.sampled_from([6, 256]), seed=st.integers(0, 10**6), data=st.data())
def test_draw_path_followsLinksAndAvoidsTheEnds(size: int, most: int, seed: int, data: st.DataObject) -> None:
    start = network(size)
    layers = TermLayers(start, start, most)
    entry, mailbox = (RelayId(data.draw(st.integers(1, size))) for _ in range(2))
    assume(all(set(layers.members(layer)) - {entry, mailbox} for layer in (1, 2, 3)))
    path = layers.draw_path(entry, mailbox, anybody, source(seed).randbytes)
    assert [layers.layer(mix) for mix in path] == [1, 2, 3]
    hops = [entry, *path, mailbox]
    assert all(layers.serves(hops[role], role, hops[role + 1]) for role in Role)
    if most == 256:
        assert not {entry, mailbox} & set(path)


def test_draw_path_isUniform() -> None:
    start = network(9)
    layers = TermLayers(start, start)
    entry, mailbox = layers.members(1)[0], layers.members(3)[0]
    random = source().randbytes
    paths = Counter(layers.draw_path(entry, mailbox, anybody, random) for _ in range(2400))
    # 2 · 3 · 2 paths, 200 expected each, standard deviation 14
    assert len(paths) == 12 and all(140 < times < 260 for times in paths.values())


def test_draw_path_usesOnlyUsableRelays() -> None:
    start = network(12)
    layers = TermLayers(start, start)
    down = {layers.members(layer)[0] for layer in (1, 2, 3)}
    entry, mailbox = RelayId(1), RelayId(2)
    random = source().randbytes
    for _ in range(100):
        assert not down & set(layers.draw_path(entry, mailbox, lambda r: r not in down, random))


def test_draw_path_takesTheEndsWhenNobodyElseIsLeft_butNoNeighbour() -> None:
    start = network(6)
    layers = TermLayers(start, start)
    random = source().randbytes
    for _ in range(20):
        entry, mailbox = layers.members(3)
        assert layers.draw_path(entry, mailbox, anybody, random)[2] == entry
        entry, mailbox = layers.members(1)
        assert layers.draw_path(entry, mailbox, anybody, random)[0] == mailbox


@pytest.mark.parametrize("layer", [1, 3])
def test_draw_path_findsNone_whereARelayWouldForwardToItself(layer: int) -> None:
    start = network(3)
    layers = TermLayers(start, start)
    (alone,), (other,) = layers.members(layer), layers.members(2)
    entry, mailbox = (alone, other) if layer == 1 else (other, alone)
    with pytest.raises(PathError, match=f"no usable relays lead from entry {entry} to mailbox {mailbox}"):
        layers.draw_path(entry, mailbox, anybody, source().randbytes)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(3, 12), most=st.sampled_from([1, 256]), seed=st.integers(0, 10**6))
def test_nobodyIsItsOwnNextHop(size: int, most: int, seed: int) -> None:
    start = network(size, beacon=seed)
    layers = TermLayers(start, start, most)
    random = source(seed)
    for relay in start.relays:
        for role in Role:
            assert relay.id not in layers.successors(relay.id, role)
            assert not layers.serves(relay.id, role, relay.id)
        assert relay.id not in layers.gateways(relay.id)
    entry, mailbox = (RelayId(random.randint(1, size)) for _ in range(2))
    with suppress(PathError):
        path = [entry, *layers.draw_path(entry, mailbox, anybody, random.randbytes), mailbox]
        assert all(before != after for before, after in pairwise(path))


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_draw_path_namesTheEmptyLayer(layer: int) -> None:
    start = network(12)
    layers = TermLayers(start, start)
    down = set(layers.members(layer))
    with pytest.raises(PathError, match=f"layer {layer} has no usable relay in epoch 0"):
        layers.draw_path(RelayId(1), RelayId(2), lambda relay: relay not in down, source().randbytes)


def test_draw_path_namesMissingEnds() -> None:
    start = network(12)
    layers = TermLayers(start, start)
    for entry, mailbox in ((13, 1), (1, 13)):
        with pytest.raises(PathError, match="relay 13 is not in the directory"):
            layers.draw_path(RelayId(entry), RelayId(mailbox), anybody, source().randbytes)


def test_draw_path_namesUnreachableMailbox() -> None:
    start = network(90)
    layers = TermLayers(start, start, most=2)
    only = layers.members(1)[0]
    entry = next(r.id for r in start.relays if only not in layers.successors(r.id, Role.ENTRY))
    with pytest.raises(PathError, match="lead from entry"):
        layers.draw_path(entry, RelayId(1), lambda r: layers.layer(r) != 1 or r == only, source().randbytes)
