"""When a relay that leaves has its capital back: told before, as contracts and daemon then do it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.amounts import moment
from mixpay.epochs import Schedule
from mixpay.parameters import DAY, DEMO, HOUR, PRODUCTION, TOKEN, Parameters
from mixpay.types import Amount
from relay.operator.departure import Capital, departure, left_at, plan_lines, progress

GENESIS = 1_700_000_000


def schedule(parameters: Parameters) -> Schedule:
    return Schedule(GENESIS, parameters.epoch_length, parameters.term_length)


@pytest.mark.parametrize("parameters", [DEMO, PRODUCTION], ids=["demo", "production"])
@given(after=st.integers(0, 10**9))
def test_dates_followEachOther_andTheStakeComesLast(parameters: Parameters, after: int) -> None:
    """The last is an inequality of the parameters: a stake stands behind a channel until it is closed."""
    plan = departure(schedule(parameters), parameters, GENESIS + after)
    assert plan.left_at < plan.serves_until < plan.grace_until < plan.channels_back
    assert plan.channels_back + plan.hold < plan.stake_back
    assert plan.serves_until - plan.left_at <= 2 * parameters.epoch_length
    assert plan.serves_until == schedule(parameters).end(plan.last_epoch)
    assert left_at(plan.stake_back, parameters) == plan.left_at


def test_documentSays_whatProductionIs() -> None:
    """docs/operating.md, "Leaving"."""
    plan = departure(schedule(PRODUCTION), PRODUCTION, GENESIS)
    assert plan.serves_until - plan.left_at == 2 * DAY
    assert plan.grace_until - plan.serves_until == 300
    assert plan.channels_back - plan.grace_until == 2 * DAY
    assert (plan.hold, plan.stake_back - plan.left_at) == (36 * HOUR, 14 * DAY)


@pytest.mark.parametrize(("channels", "words"), [(None, "its channels hold"), (7, "7 tokens in channels")])
def test_plan_namesEveryPartOfTheCapital(channels: int | None, words: str) -> None:
    plan = departure(schedule(DEMO), DEMO, GENESIS)
    in_channels = None if channels is None else Amount(channels * TOKEN)
    text = "\n".join(plan_lines(plan, Capital(DEMO.stake, Amount(3 * TOKEN), in_channels)))
    for part in (words, "3 tokens in the ledger", "100 tokens of stake", moment(plan.stake_back)):
        assert part in text


def test_progress_goesThroughAllStages() -> None:
    plan = departure(schedule(DEMO), DEMO, GENESIS)
    assert "serves to the end of epoch 1" in progress(plan, plan.serves_until - 1, ["it serves"])
    assert "only packets that are on their way" in progress(plan, plan.serves_until, ["it serves"])
    assert progress(plan, plan.grace_until, ["one", "two"]) == "winding up: one; two"
    assert progress(plan, plan.grace_until, []) == "everything is settled and claimed"
