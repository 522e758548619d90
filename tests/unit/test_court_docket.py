"""What follows from the court's reports, through reorganisations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from court_facts import BLOCK, ME, OTHER, SIGNATURE, THIRD, admitted, answered, case, expired, judged, opened
from mixpay.chain import events
from mixpay.chain.follower import Batch
from mixpay.types import Amount
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
    assert made.outcomes == (Outcome(CASE, 1, 500, 1_000, costs=Amount(100)),)
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


def test_answerUpToALaterBatch_countsUpToThatBatch() -> None:
    made = docket(opened(CASE), answered(CASE, 9_999, 8), judged(CASE, 9_999, upto=8))
    assert [(o.number, o.total, o.signature) for o in made.outcomes] == [
        (8, 9_999, SIGNATURE),
        (8, 9_999, b""),
    ]
    newest = made.judged(PAIR)
    assert newest is not None and newest.number == 8
    assert made.costs(PAIR) == 0


def test_answerBelowAnEarlierJudgement_isToldAllTheSame() -> None:
    """None is reported then: else the payee would never read that its case is over, and open it for ever."""
    second = case(number=2)
    for upto in (2, 3):
        made = docket(opened(CASE), judged(CASE, 500), opened(second), answered(second, 450, upto))
        assert [(o.number, o.total, o.signature) for o in made.outcomes][1:] == [(upto, 450, SIGNATURE)]
        assert made.case(PAIR) is None


def test_admittedCase_isKnownAsSuch_untilItEnds() -> None:
    made = docket(opened(CASE), admitted(CASE, 600, 3))
    assert made.is_admitted(PAIR) and made.case(PAIR) == CASE
    made.take(batch(judged(CASE, 400)))
    assert not made.is_admitted(PAIR)
    assert [(o.number, o.total, o.costs) for o in made.outcomes] == [(1, 400, 0)]
    made.take(batch(opened(CASE)))
    assert not made.is_admitted(PAIR)


def test_costs_areThoseOfProvenCases() -> None:
    second, third = case(number=2, base=500), case(number=3, base=1_000)
    told = (opened(CASE), judged(CASE, 500), opened(second), judged(second, 1_000), opened(third))
    made = docket(*told, answered(third, 1_400, 3), judged(third, 1_400))
    assert [o.costs for o in made.outcomes] == [100, 200, 200, 200]
    assert made.costs(PAIR) == 200
    assert made.costs(Pair(ME, OTHER)) == 0


def test_costs_areThoseThatTheTotalsHold_howeverOftenTheyAreJudged() -> None:
    """All upon nothing: each judgement is a little above the one before, and has the same costs in it."""
    cases = [case(number=number, amount=39 + number) for number in (1, 2, 3, 4)]
    told = [report for about in cases for report in (opened(about), judged(about, about.total + 100))]
    made = docket(*told)
    assert [o.costs for o in made.outcomes] == [100, 110, 120, 130]
    assert made.costs(PAIR) == 130
    newest = made.judged(PAIR)
    assert newest is not None and newest.total - made.costs(PAIR) == 400  # what the first one claimed
    made.take(batch(reverted_to=BLOCK - 1))
    made.take(batch(*told[:2], *told[-2:]))
    assert made.costs(PAIR) == 130


def test_costs_ofACaseUponAVoucher_countOnlyAsFarAsItIsJudgedForMore() -> None:
    """The answer before was for more than that voucher."""
    second, third = case(number=2, amount=30), case(number=3, amount=60)
    told = (opened(CASE), answered(CASE, 350, 1), judged(CASE, 350), opened(second), judged(second, 400))
    made = docket(*told)
    assert made.costs(PAIR) == 50
    made.take(batch(opened(third), judged(third, 700)))
    assert made.costs(PAIR) == 150


def test_costs_count_whenNothingTakesThemBack() -> None:
    """A payer signs for them."""
    made = docket(opened(CASE), judged(CASE, 500, block=1_989))
    assert made.costs(PAIR) == 0
    made.take(batch(head=2_001))
    assert made.costs(PAIR) == 100


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
        st.sampled_from("oadje"), st.integers(1, 3), st.integers(1, 30),
    ),
    max_size=20,
)  # fmt: skip


@given(REPORTS, st.integers(0, 30))
def test_revertedDocket_isAsIfItHadNeverReadTheRest(reports: list, back_to: int) -> None:
    make = {"o": opened, "a": lambda c, block: answered(c, 400, c.batch.number, block),
            "d": lambda c, block: admitted(c, 400, 4, block), "j": lambda c, block: judged(c, 500, block),
            "e": expired}  # fmt: skip
    happened = [make[kind](about, block=block) for kind, about, block in sorted(reports, key=lambda r: r[2])]
    made, fresh = docket(*happened), docket(*(event for event in happened if event.block <= back_to))
    made.take(batch(reverted_to=back_to))
    assert made._record == fresh._record
