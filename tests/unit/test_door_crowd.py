"""How many strangers are let in: nobody takes all places, and what is counted is given back."""

from __future__ import annotations

from collections import Counter
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.door import Crowd, CrowdLimits, crowd
from mixpay.door.crowd import TOO_FAST, TOO_MANY, TOO_MANY_OF_ADDRESS, group_of

LIMITS = CrowdLimits(at_once=5, of_address=2, per_second=1.0, burst=3)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("", "", True),
    ],
)
def test_addressesOfOneLine_countAsOne(one: str, other: str, same: bool) -> None:
    assert (group_of(one) == group_of(other)) is same


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.floats(0, 3)), max_size=60))
def test_crowd_keepsItsLimits_andCountsRight(events: list[tuple[str, bool, float]]) -> None:
    inside, doors, now = Counter[str](), Crowd(LIMITS), 0.0
    entered: list[tuple[str, float]] = []
    for group, comes, pause in events:
        now += pause
        if comes:
            reason = doors.enter(group, now)
            full, many = inside.total() >= 5, inside[group] >= 2
            if full or many:
                assert reason == (TOO_MANY if full else TOO_MANY_OF_ADDRESS)
            elif reason is None:
                inside[group] += 1
                entered.append((group, now))
            else:
                assert reason == TOO_FAST
        elif inside[group]:
            inside[group] -= 1
            doors.leave(group)
        assert doors.total == inside.total()
    for group in "abcdef":  # never more than the burst and what the time allows
        times = [at for name, at in entered if name == group]
        for i, begin in enumerate(times):
            for j in range(i, len(times)):
                assert j - i + 1 <= 3 + (times[j] - begin) + 1e-6


def test_oneCustomersWholeNetwork_locksNobodyOut() -> None:
    """The attack: a /48, which one gets with many a line, has 65,536 addresses that look like strangers."""
    doors = Crowd(CrowdLimits(at_once=256, of_address=32, per_second=50.0))
    reasons = [doors.enter(group_of(f"2001:db8:1:{number % 64:x}::1"), 0.0) for number in range(1000)]
    assert reasons.count(None) == doors.total == 4 * 32
    assert doors.enter(group_of("2001:db8:2::1"), 0.0) is None
    for number in range(64):
        if reasons[number] is None:
            doors.leave(group_of(f"2001:db8:1:{number:x}::1"))
    assert doors.enter(group_of("2001:db8:1:ffff::1"), 100.0) is None


def test_oneCustomersWholeNetwork_isSlowedDown() -> None:
    doors = Crowd(CrowdLimits(at_once=9, of_address=9, per_second=1.0, burst=2))
    asked = [doors.may_work(group_of(f"2001:db8:1:{number:x}::1"), 0.0) for number in range(64)]
    assert asked.count(True) == 4 * 2
    assert doors.may_work(group_of("2001:db8:2::1"), 0.0)


def test_whoCameTooFast_isLetInLater() -> None:
    doors = Crowd(CrowdLimits(at_once=9, of_address=9, per_second=2.0, burst=2))
    assert [doors.enter("a", 0.0) for _ in range(3)] == [None, None, TOO_FAST]
    assert doors.enter("b", 0.0) is None  # the others are not touched by it
    assert doors.enter("a", 0.4) == TOO_FAST
    assert doors.enter("a", 0.5) is None


def test_manyAddresses_doNotFillOurMemory() -> None:
    with patch.object(crowd, "_REMEMBERED", 10):
        doors = Crowd(CrowdLimits(at_once=9, of_address=9, per_second=1.0, burst=2))
        allowed = [doors.may_work(str(number), 0.0) for number in range(100)]
        assert allowed == [True] * 12 + [False] * 88  # beyond ten, strangers share one
        assert len(doors._levels) <= 11
        assert doors.may_work("0", 0.0)  # who was known is not touched by it
        assert doors.may_work("another", 10.0)
        assert len(doors._levels) == 1  # what ran dry is forgotten


@pytest.mark.parametrize("changes", [{"at_once": 0}, {"of_address": 0}, {"per_second": 0.0}, {"burst": -1}])
def test_limits_rejectNonsense(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        CrowdLimits(**({"at_once": 1, "of_address": 1, "per_second": 1.0} | changes))


def test_crowd_showsNobodysAddress() -> None:
    doors = Crowd(LIMITS)
    doors.enter("192.0.2.1", 0.0)
    assert repr(doors) == "Crowd(1 inside)"
