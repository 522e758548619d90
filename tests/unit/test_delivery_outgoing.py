"""The sender's side: what is due when, and that it ends whatever a receiver says."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mixpay.delivery.outgoing import Outgoing, Patience, Record, State

NOW = 1_000
PATIENCE = Patience()
WEEK = PATIENCE.limit


def begun(total: int) -> Outgoing:
    outgoing = Outgoing.begin(total, NOW)
    for index in outgoing.due(NOW):
        outgoing.sent(index, NOW)
    return outgoing


def resumed(outgoing: Outgoing) -> Outgoing:
    """After a crash: from what is on disk."""
    data = msgspec.msgpack.encode(outgoing.record)
    return Outgoing(msgspec.msgpack.decode(data, type=Record))


def test_due_isEverythingAtFirst_andWhatWasNotSentAfterACrash() -> None:
    outgoing = Outgoing.begin(3, NOW)
    assert outgoing.due(NOW) == [0, 1, 2]
    outgoing.sent(1, NOW)
    assert resumed(outgoing).due(NOW) == [0, 2]


def test_acknowledged_endsIt() -> None:
    outgoing = begun(3)
    assert outgoing.state(NOW) is State.WAITING
    outgoing.heard(None, NOW)
    assert (outgoing.state(NOW), outgoing.unconfirmed, outgoing.due(NOW + WEEK)) == (
        State.ACKNOWLEDGED,
        0,
        [],
    )
    outgoing.heard(frozenset(), NOW)
    assert outgoing.state(NOW + WEEK) is State.ACKNOWLEDGED, "an older word that comes later changes nothing"


def test_missingPieces_areDue_onceTheirPacketsHadTimeToArrive() -> None:
    outgoing = begun(4)
    outgoing.heard({0, 2}, NOW + 2)
    assert outgoing.due(NOW + PATIENCE.settled - 1) == []
    assert outgoing.due(NOW + PATIENCE.settled) == [1, 3]
    assert outgoing.unconfirmed == 2
    outgoing.sent(1, NOW + 10)
    outgoing.sent(3, NOW + 10)
    assert outgoing.due(NOW + 10 + PATIENCE.settled) == [], "nobody has said yet that these are missing"
    assert (outgoing.repeated, outgoing.record.questions) == (2, 0)


def test_pieceThatStaysMissing_isSentSoonAtFirst_thenEverMoreSeldom_andNotForEver() -> None:
    outgoing, sent, now = begun(1), [NOW], NOW
    while now < NOW + WEEK:
        outgoing.heard(set(), now)
        if outgoing.due(now) and outgoing.record.copies[0] < PATIENCE.copies:
            outgoing.sent(0, now)
            sent.append(now)
        now += 10
    assert [later - earlier for earlier, later in pairwise(sent)][:6] == [10, 10, 10, 20, 40, 80]
    assert len(sent) == outgoing.record.copies[0] == PATIENCE.copies == 16
    assert sent[-1] - sent[0] < 24 * 3_600


def test_silence_isAskedAbout_byTheFirstPieceAlone_everMoreSeldom() -> None:
    outgoing, asked = begun(50), []
    for now in range(NOW, NOW + WEEK, 5):
        due = outgoing.due(now)
        assert due in ([], [0])
        if due:
            outgoing.sent(0, now)
            asked.append(now)
    assert [later - now for now, later in pairwise(asked)][:5] == [15, 15, 30, 60, 120]
    assert asked[0] == NOW + PATIENCE.question
    assert len(asked) < 24


def test_questionsAreQuickAgain_afterAWord_butNotForEver() -> None:
    """What is lost between two who speak is lost on the way."""
    outgoing, asked, words = begun(2), [], 0
    for now in range(NOW, NOW + 3_600):
        for index in outgoing.due(now):
            outgoing.sent(index, now)
            asked.append(now)
        if len(asked) % 4 == 3 and words < len(asked) // 4 + 1:
            words += 1
            outgoing.heard({0, 1}, now)
    gaps = [later - now for now, later in pairwise(asked)]
    quick = PATIENCE.eager - 1
    assert set(gaps[:quick]) <= {15, 30}
    assert gaps[:quick].count(30) < 3
    assert gaps[quick:] == sorted(gaps[quick:])
    assert gaps[-1] >= 8 * PATIENCE.question


def test_theNewestWordCounts_becauseAReceiverMayLoseWhatItHad() -> None:
    outgoing = begun(3)
    outgoing.heard({0, 1}, NOW + 5)
    outgoing.heard({0}, NOW + 50)
    assert outgoing.due(NOW + 50) == [1, 2]


def test_givenUp_afterTheLimit() -> None:
    outgoing = begun(3)
    outgoing.heard({0, 1}, NOW + 5)
    assert outgoing.state(NOW + WEEK - 1) is State.WAITING
    assert outgoing.state(NOW + WEEK) is State.GIVEN_UP
    assert outgoing.due(NOW + WEEK) == []
    assert outgoing.unconfirmed == 1


@given(
    total=st.integers(1, 12),
    words=st.lists(
        st.tuples(st.integers(0, 40_000), st.none() | st.frozensets(st.integers(0, 11), max_size=12)),
        max_size=120,
    ),
)
def test_sender_ends_andSendsEachPieceAFewTimesOnly_whateverAReceiverSays(total, words) -> None:
    """A hostile receiver: whatever it says, and whenever, each after some seconds; None: nothing said."""
    outgoing, now, packets = Outgoing.begin(total, NOW), NOW, 0
    for seconds, have in [*words, *[(3_600, frozenset())] * 200]:
        now += seconds
        for index in outgoing.due(now):
            assert 0 <= index < total
            outgoing.sent(index, now)
            packets += 1
        outgoing = resumed(outgoing)
        if have is not None:
            outgoing.heard({index for index in have if index < total}, now)
    assert outgoing.state(now) is State.GIVEN_UP
    assert packets <= total * PATIENCE.copies + 24
    assert packets == sum(outgoing.record.copies) + outgoing.record.questions
