"""Epochs and terms: the edges between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.epochs import BeforeGenesis, Schedule
from mixpay.types import Epoch, Term

DAYS = Schedule(genesis=1_700_000_000, epoch_length=86_400, term_length=28)


def test_epoch_at_changesOnTheSecond() -> None:
    assert DAYS.epoch_at(DAYS.genesis) == 0
    assert DAYS.epoch_at(DAYS.genesis + 86_399) == 0
    assert DAYS.epoch_at(DAYS.genesis + 86_400) == 1


def test_epoch_at_failsBeforeGenesis() -> None:
    with pytest.raises(BeforeGenesis):
        DAYS.epoch_at(DAYS.genesis - 1)


@given(time=st.integers(0, 2**40), length=st.integers(1, 10**7), term=st.integers(1, 100))
def test_epochsAndTerms_coverTimeWithoutGaps(time: int, length: int, term: int) -> None:
    schedule = Schedule(0, length, term)
    epoch = schedule.epoch_at(time)
    assert schedule.start(epoch) <= time < schedule.end(epoch) == schedule.start(Epoch(epoch + 1))
    number = schedule.term_of(epoch)
    assert schedule.first_epoch(number) <= epoch <= schedule.last_epoch(number)
    assert schedule.last_epoch(number) + 1 == schedule.first_epoch(Term(number + 1))


@pytest.mark.parametrize("numbers", [(-1, 1, 1), (0, 0, 1), (0, 1, 0)])
def test_schedule_refusesNonsense(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError):
        Schedule(*numbers)
