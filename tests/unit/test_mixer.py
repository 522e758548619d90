"""The mixer: nothing leaves early, late, twice or never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.path.mixer import Mixer

delays = st.floats(0, 65.535)


@given(st.lists(st.tuples(st.floats(0, 100), delays), max_size=50), st.lists(st.floats(0, 200), max_size=20))
def test_items_leave_once_in_order_and_on_time(
    arrivals: list[tuple[float, float]], visits: list[float]
) -> None:
    mixer: Mixer[tuple[float, int]] = Mixer(50)
    for number, (arrival, delay) in enumerate(arrivals):
        assert mixer.add(arrival, delay, (arrival + delay, number))
    taken = []
    for now in sorted(visits):
        left = mixer.due(now)
        assert all(due <= now for due, _ in left)
        assert mixer.next_due is None or mixer.next_due > now
        taken += left
    taken += mixer.drain()
    assert taken == sorted(taken)
    assert sorted(number for _, number in taken) == list(range(len(arrivals)))
    assert len(mixer) == 0


def test_items_need_not_be_comparable() -> None:
    mixer: Mixer[object] = Mixer(2)
    one, two = object(), object()
    mixer.add(0.0, 1.0, one)
    mixer.add(0.5, 0.5, two)
    assert mixer.due(1.0) == [one, two]


def test_order_is_by_time_not_by_arrival() -> None:
    mixer: Mixer[str] = Mixer(3)
    mixer.add(0.0, 3.0, "first in")
    mixer.add(0.1, 1.0, "second in")
    assert mixer.next_due == pytest.approx(1.1)
    assert mixer.due(3.0) == ["second in", "first in"]


def test_full_mixer_turns_the_new_item_away() -> None:
    mixer: Mixer[int] = Mixer(2)
    assert [mixer.add(0.0, 1.0, number) for number in range(3)] == [True, True, False]
    assert mixer.due(1.0) == [0, 1]
    assert mixer.add(1.0, 0.0, 3)


def test_empty_mixer_waits_for_nothing() -> None:
    mixer: Mixer[int] = Mixer(1)
    assert mixer.next_due is None
    assert mixer.due(1e9) == []


def test_negative_delay_is_none() -> None:
    mixer: Mixer[int] = Mixer(1)
    mixer.add(5.0, -1.0, 1)
    assert mixer.next_due == 5.0


def test_capacity_must_be_positive() -> None:
    with pytest.raises(ValueError):
        Mixer(0)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), max_size=50))
def test_item_leaves_at_the_pulse_nearest_to_its_time(arrivals: list[tuple[float, float]]) -> None:
    pulse, mixer = 0.25, Mixer[float](64, 0.25)
    arrivals = sorted(arrivals)
    for count in range(80):
        now = count * pulse
        while arrivals and arrivals[0][0] <= now:
            came, delay = arrivals.pop(0)
            mixer.add(came, delay, max(came + delay, now - pulse / 2))
        assert all(abs(now - due) <= pulse / 2 + 1e-9 for due in mixer.due(now))
    assert not arrivals
    assert len(mixer) == 0
