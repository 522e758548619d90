"""Amounts as people write and read them."""

from __future__ import annotations

import pytest

from mixpay.amounts import moment, parse, shown
from mixpay.errors import UserError


@pytest.mark.parametrize(
    ("text", "amount"), [("0", 0), ("1", 10**18), ("0.000000000000000001", 1), ("12.50", 125 * 10**17)]
)
def test_amounts_are_exact(text: str, amount: int) -> None:
    assert parse(text) == amount
    assert parse(shown(amount)) == amount
    assert shown(-amount) == f"-{shown(amount)}" or not amount


@pytest.mark.parametrize("text", ["", "x", "-1", "1e40", "0.0000000000000000001", "nan", "inf"])
def test_no_amount_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not an amount"):
        parse(text)


def test_shown_inAnotherUnit() -> None:
    assert shown(1_234_500, 10**6) == "1.2345"
    assert shown(-(10**6), 10**6) == "-1"


def test_moment_isInUniversalTime() -> None:
    assert moment(1_700_000_000) == "2023-11-14 22:13:20 UTC"
