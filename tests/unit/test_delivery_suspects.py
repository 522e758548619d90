"""Who lost the packets: a guess that finds one dead relay among nine, and accuses nobody without reason."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from mixpay.delivery import suspects as suspects_module
from mixpay.delivery.suspects import Suspects
from mixpay.types import RelayId

M = bytes(16)


def told(*packets: tuple[tuple[int, ...], bool | None]) -> frozenset[RelayId]:
    suspects = Suspects()
    for index, (route, arrived) in enumerate(packets):
        suspects.sent(M, index, map(RelayId, route))
        if arrived is not None:
            suspects.judge(M, index, arrived=arrived)
    return suspects.relays()


def test_relays_areThoseThatTheLostPacketsHaveInCommon() -> None:
    assert told(((1, 4, 7), False), ((2, 4, 8), False), ((3, 5, 7), True)) == {4}


def test_oneLoss_accusesNobody() -> None:
    assert told(((1, 4, 7), False), ((2, 5, 7), True)) == frozenset()
    assert told(((1, 4, 7), None), ((2, 4, 7), None)) == frozenset()


def test_whatArrivedLater_clearsARelay() -> None:
    assert told(((1, 4, 7), False), ((1, 4, 8), False), ((1, 4, 9), True), ((3, 5, 6), False)) == frozenset()


def test_whatArrivedBefore_clearsNobody() -> None:
    assert told(((1, 4, 7), True), ((2, 4, 8), False), ((3, 4, 9), False)) == {4}


def test_twoDeadRelays_areBothFound() -> None:
    lost = [((1, 4, 7), False), ((2, 4, 8), False), ((3, 4, 9), False)]
    others = [((1, 5, 8), False), ((2, 5, 8), False), ((1, 6, 7), True), ((2, 6, 9), True), ((3, 5, 9), True)]
    assert told(*lost, *others) == {4, 8}


def test_packetsSentAgain_leaveTheLossesKnown() -> None:
    suspects = Suspects()
    for index in (0, 1):
        suspects.sent(M, index, map(RelayId, (1 + index, 4, 7 + index)))
        suspects.judge(M, index, arrived=False)
        suspects.sent(M, index, map(RelayId, (1, 5, 8)))
    assert suspects.relays() == {4}
    suspects.judge(M, 0, arrived=True)
    assert suspects.relays() == {4}


def test_ofSeveralPacketsWithOnePiece_nobodyKnowsWhichArrived() -> None:
    suspects = Suspects()
    for index in (0, 1):
        suspects.sent(M, index, map(RelayId, (1 + index, 4, 7 + index)))
        suspects.judge(M, index, arrived=False)
    suspects.sent(M, 2, map(RelayId, (3, 5, 9)))
    suspects.sent(M, 2, map(RelayId, (3, 4, 9)))
    suspects.judge(M, 2, arrived=True)
    assert suspects.relays() == {4}


def test_ofSeveralPacketsWithOnePiece_allAreLost_ifItIsNotThere() -> None:
    suspects = Suspects()
    suspects.sent(M, 0, map(RelayId, (1, 4, 7)))
    suspects.sent(M, 0, map(RelayId, (2, 4, 8)))
    suspects.judge(M, 0, arrived=False)
    assert suspects.relays() == {4}


def test_aLatePacket_isNotLost() -> None:
    """A word that was spoken before it came was read after it."""
    suspects = Suspects()
    for index in (0, 1):
        suspects.sent(M, index, map(RelayId, (1, 4, 7)))
        suspects.judge(M, index, arrived=False)
    assert suspects.relays()
    for index in (0, 1):
        suspects.judge(M, index, arrived=True)
    assert suspects.relays() == frozenset()


def test_memory_isBounded() -> None:
    suspects = Suspects()
    for index in range(3 * suspects_module._MOST):
        suspects.sent(M, index % 20_000, map(RelayId, (1, 4, 7)))
    assert sum(map(len, suspects._open.values())) == len(suspects._packets) == suspects_module._MOST
    assert all(suspects._open.values())


@given(st.integers(0, 10_000))
def test_aRelayThatDied_isFoundAmongNine(seed: int) -> None:
    """Packets by uniform routes; from the tenth one on, those through relay 5 are lost."""
    dice = random.Random(seed)  # noqa: S311 tests repeat themselves exactly
    routes = [(dice.choice((1, 2, 3)), dice.choice((4, 5, 6)), dice.choice((7, 8, 9))) for _ in range(60)]
    found = told(*((route, number < 10 or 5 not in route) for number, route in enumerate(routes)))
    assert 5 in found
    assert len(found) <= 2
