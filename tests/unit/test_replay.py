"""Invariant I9: a packet with the same tag is processed at most once in its key's life, across restarts."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay.errors import PeerError
from mixpay.replay import TagRefused, TagStore
from mixpay.types import Epoch

PLENTY = 10**6


def tag(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_add_is_true_once_for_each_epoch() -> None:
    store = TagStore(Epoch(3), PLENTY)
    assert not store.seen(Epoch(3), tag(1))
    assert store.add(Epoch(3), tag(1))
    assert store.seen(Epoch(3), tag(1))
    assert not store.add(Epoch(3), tag(1))
    assert store.add(Epoch(4), tag(1))
    assert (store.count(Epoch(3)), store.count(Epoch(4)), store.count(Epoch(5))) == (1, 1, 0)


def test_seen_only_looks() -> None:
    store = TagStore(Epoch(0), PLENTY)
    assert not store.seen(Epoch(0), tag(1))
    assert not store.seen(Epoch(0), tag(1))
    assert store.count(Epoch(0)) == 0


def test_below_the_floor_everything_is_refused_for_ever() -> None:
    store = TagStore(Epoch(0), PLENTY)
    for epoch in range(4):
        store.add(Epoch(epoch), tag(epoch))
    assert store.raise_floor(Epoch(2)) == [0, 1]
    assert store.raise_floor(Epoch(1)) == []
    assert store.floor == 2
    for number in (0, 1, 99):
        assert store.seen(Epoch(1), tag(number))
        with pytest.raises(TagRefused) as caught:
            store.add(Epoch(1), tag(number))
        assert caught.value.reason == "expired_key"
        assert isinstance(caught.value, PeerError)
    assert not store.add(Epoch(2), tag(2))
    assert store.raise_floor(Epoch(9)) == [2, 3]


def test_a_full_epoch_refuses_new_tags_but_knows_the_old() -> None:
    store = TagStore(Epoch(0), capacity=2)
    assert store.add(Epoch(0), tag(1))
    assert store.add(Epoch(0), tag(2))
    assert not store.add(Epoch(0), tag(1))
    with pytest.raises(TagRefused) as caught:
        store.add(Epoch(0), tag(3))
    assert caught.value.reason == "tags_full"
    assert store.count(Epoch(0)) == 2
    assert store.add(Epoch(1), tag(3))


def test_loaded_tags_are_known() -> None:
    on_disk = [(Epoch(6), tag(1)), (Epoch(4), tag(2)), (Epoch(6), tag(3)), (Epoch(6), tag(1))]
    store = TagStore(Epoch(5), 1, on_disk)
    assert not store.add(Epoch(6), tag(1))
    assert not store.add(Epoch(6), tag(3))
    assert store.count(Epoch(6)) == 2
    assert store.count(Epoch(4)) == 0


def test_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="at least one"):
        TagStore(Epoch(0), 0)
    with pytest.raises(ValueError, match="16"):
        TagStore(Epoch(0), 1, [(Epoch(0), b"short")])
    with pytest.raises(ValueError, match="16"):
        TagStore(Epoch(0), 1).add(Epoch(0), bytes(17))


events = st.lists(
    st.one_of(
        st.tuples(st.just("packet"), st.integers(0, 4), st.integers(0, 5)),
        st.tuples(st.just("commit"), st.just(0), st.just(0)),
        st.tuples(st.just("crash"), st.just(0), st.just(0)),
        st.tuples(st.just("epoch"), st.integers(0, 4), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(events)
def test_i9_no_packet_takes_effect_twice(happenings: list[tuple[str, int, int]]) -> None:
    """A host that follows the rules, under any repetition, order, loss of unwritten tags, and restarts."""
    disk: set[tuple[Epoch, bytes]] = set()
    added: list[tuple[Epoch, bytes]] = []
    floor = Epoch(0)
    store = TagStore(floor, PLENTY)
    effects: Counter[tuple[Epoch, bytes]] = Counter()
    for what, number, which in happenings:
        epoch = Epoch(number)
        if what == "packet":
            if not store.seen(epoch, tag(which)):
                assert store.add(epoch, tag(which))
                added.append((epoch, tag(which)))
        elif what == "commit":
            disk.update(added)
            effects.update(added)
            added.clear()
        elif what == "crash":
            added.clear()
            store = TagStore(floor, PLENTY, sorted(disk))
        else:
            floor = max(floor, epoch)
            forgotten = store.raise_floor(floor)
            disk = {(old, mark) for old, mark in disk if old not in forgotten}
    assert all(count == 1 for count in effects.values())
