"""What follows from the court's reports, through reorganisations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from court_facts import ME, OTHER, SIGNATURE, THIRD, answered, case, expired, judged, opened
from mixpay.chain import events
from mixpay.chain.follower import Batch
from relay.court.docket import Docket, Outcome, Pair

PAIR = Pair(OTHER, ME)
CASE = case()


def batch(*reports: events.Event, reverted_to: int | None = None, head: int = 2_000) -> Batch:
    return Batch(reports, reverted_to, head, head, 0)


def docket(*reports: events.Event) -> Docket:
    made = Docket(ME)
    made.take(batch(*reports))
    return made


def test_openedCase_isThere_untilItEnds() -> None:
    made = docket(opened(CASE))
    assert made.case(PAIR) == CASE
    assert made.pairs() == {PAIR}
    made.take(batch(judged(CASE, 500)))
    assert made.case(PAIR) is None
    assert made.outcomes == (Outcome(CASE, 500, 1_000),)
    assert made.judged(PAIR) == made.outcomes[0]
    assert made.outcomes[0].pair == PAIR


def test_casesAgainstUs_areOursToo_othersAreNot() -> None:
    against, strange = case(ME, OTHER), case(OTHER, THIRD)
    made = docket(opened(against), opened(strange), judged(strange, 500))
    assert made.case(Pair(ME, OTHER)) == against
    assert made.pairs() == {Pair(ME, OTHER)}
    assert made.outcomes == ()


def test_answeredCase_isToldAsAnswered_thenAsJudged() -> None:
    made = docket(opened(CASE), answered(CASE, 450, 1), judged(CASE, 400))
    assert [(o.total, o.signature) for o in made.outcomes] == [(450, SIGNATURE), (400, b"")]
    assert made.judged(PAIR) == made.outcomes[1]


def test_answerThatCoversMoreThanTheBatch_countsAsJudgedOnly() -> None:
    made = docket(opened(CASE), answered(CASE, 9_999, 8), judged(CASE, 400))
    assert [(o.total, o.signature) for o in made.outcomes] == [(400, b"")]


def test_expiredCases_areCounted() -> None:
    made = docket(opened(CASE), expired(CASE), opened(CASE), expired(CASE))
    assert made.expired(PAIR, 1) == 2
    assert made.expired(PAIR, 2) == 0
    assert made.case(PAIR) is None
    assert made.outcomes == ()


def test_endOfACaseThatWeNeverSaw_isNothing() -> None:
    made = docket(judged(CASE, 5), answered(CASE, 5, 1), expired(CASE))
    assert made.outcomes == ()
    assert made.expired(PAIR, 1) == 0


def test_whatAReorganisationTookBack_isForgotten() -> None:
    made = docket(opened(CASE, block=10), judged(CASE, 500, block=20))
    made.take(batch(reverted_to=15))
    assert made.case(PAIR) == CASE
    assert made.judged(PAIR) is None
    assert made.outcomes == ()
    made.take(batch(expired(CASE, block=18), reverted_to=15, head=18))
    assert made.case(PAIR) is None
    assert made.expired(PAIR, 1) == 1
    assert made.head == 18


REPORTS = st.lists(
    st.builds(
        lambda kind, number, block: (kind, case(number=number), block),
        st.sampled_from("oaje"), st.integers(1, 3), st.integers(1, 30),
    ),
    max_size=20,
)  # fmt: skip


@given(REPORTS, st.integers(0, 30))
def test_revertedDocket_isAsIfItHadNeverReadTheRest(reports: list, back_to: int) -> None:
    make = {"o": opened, "a": lambda c, block: answered(c, 400, c.batch.number, block),
            "j": lambda c, block: judged(c, 500, block), "e": expired}  # fmt: skip
    happened = [make[kind](about, block=block) for kind, about, block in sorted(reports, key=lambda r: r[2])]
    made, fresh = docket(*happened), docket(*(event for event in happened if event.block <= back_to))
    made.take(batch(reverted_to=back_to))
    assert made._record == fresh._record
