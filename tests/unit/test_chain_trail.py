"""The pure core of following: whatever the chain does, what is believed read is on it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay.chain.trail import KEEP, Checkpoint, Trail


def block(number: int, fork: int = 0) -> Checkpoint:
    return Checkpoint(number, bytes([fork]) * 4 + number.to_bytes(28, "big"))


def chain(newest: int, forks: dict[int, int] | None = None) -> dict[int, bytes]:
    """Hashes by number; `forks` says from which number on which fork holds."""
    found, fork = {}, 0
    for number in range(newest + 1):
        fork = (forks or {}).get(number, fork)
        found[number] = block(number, fork).hash
    return found


def test_reverted_isTheSameIfNothingChanged() -> None:
    trail = Trail(2).extended([block(5), block(9)])
    assert trail.head == 9
    assert trail.reverted(12, chain(12).get) is trail


def test_reverted_goesBackToNewestCheckpointThatHolds() -> None:
    trail = Trail(2).extended([block(5), block(7), block(9)])
    assert trail.reverted(9, chain(9, {8: 1}).get) == Trail(2, (block(5), block(7)))


def test_reverted_goesBackToOriginIfNoCheckpointHolds() -> None:
    trail = Trail(2).extended([block(5), block(9)])
    assert trail.reverted(20, chain(20, {0: 1}).get) == Trail(2)


def test_reverted_keepsAllIfTheNodeOnlyLags() -> None:
    trail = Trail(2).extended([block(5), block(9)])
    assert trail.reverted(6, chain(6).get) is trail
    assert trail.reverted(3, chain(3).get) is trail


def test_reverted_isSeenOnAShorterChainToo() -> None:
    trail = Trail(2).extended([block(5), block(9)])
    assert trail.reverted(7, chain(7, {5: 1}).get) == Trail(2)


def test_reverted_asksNoFurtherThanNeeded() -> None:
    asked = []
    trail = Trail(0).extended(block(n) for n in range(1, 50))

    def hash_at(number: int) -> bytes:
        asked.append(number)
        return block(number).hash

    trail.reverted(60, hash_at)
    assert asked == [49]


def test_extended_keepsTheNewest() -> None:
    trail = Trail(0).extended(block(n) for n in range(1, KEEP + 10))
    assert trail.checkpoints[0] == block(10)
    assert trail.head == KEEP + 9


@pytest.mark.parametrize("new", [[block(9)], [block(8), block(10)], [block(10), block(10, fork=1)]])
def test_extended_failsIfReadAlready_orAmbiguous(new: list[Checkpoint]) -> None:
    with pytest.raises(ValueError, match=r"read already|two hashes"):
        Trail(2).extended([block(9)]).extended(new)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_follower_believesOnlyWhatIsOnTheChain(data: st.DataObject) -> None:
    """A model of `Follower`: after each poll, the events it kept are those of the chain up to its head."""
    origin = 3
    hashes = chain(data.draw(st.integers(origin, 12)))
    trail, kept, forks = Trail(origin), {}, 0
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):
            forks += 1
            start = data.draw(st.integers(0, max(hashes)))
            hashes = {n: h for n, h in hashes.items() if n < start}
        grown = len(hashes) + data.draw(st.integers(0 if hashes else 1, 5))
        hashes |= {n: block(n, forks).hash for n in range(len(hashes), grown)}
        newest = max(hashes)
        trail = trail.reverted(newest, hashes.get)
        kept = {n: h for n, h in kept.items() if n <= trail.head}
        if newest > trail.head:
            kept |= {n: hashes[n] for n in range(trail.head + 1, newest + 1)}
            busy = data.draw(st.sets(st.integers(trail.head + 1, newest)))
            trail = trail.extended(Checkpoint(n, hashes[n]) for n in busy | {newest})
        if trail.head <= newest:
            assert kept == {n: hashes[n] for n in range(origin + 1, trail.head + 1)}
