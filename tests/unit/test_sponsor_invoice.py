"""The invoice: what is in it, and that it adds up, whatever moved the budget."""

from __future__ import annotations

import csv
import io
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign_samples import ONE, SCHEDULE, SPONSOR, TWO, movement
from mixpay.accounts import show_account
from mixpay.chain import events
from mixpay.parameters import DAY, TOKEN
from mixpay.sponsor.invoice import COLUMNS, Span, invoice, invoice_csv, summary
from mixpay.sponsor.movements import PAYMENTS, Movement, What, budget, movements, total
from mixpay.types import Account, Amount, Epoch, RelayId

MOVED = (
    movement(What.FUNDED, SPONSOR, 100 * TOKEN, 1),
    movement(What.CLAIMED, ONE, TOKEN, 2, epoch=Epoch(1)),
    movement(What.REDEEMED, TWO, 3 * TOKEN // 2, 3, epoch=Epoch(7), kind=2, period=1, ticks=300_000),
    movement(What.CLAIMED, ONE, 1, 3, epoch=Epoch(3)),
    movement(What.WITHDRAWN, SPONSOR, 7 * TOKEN, 4),
)


def day_of(block: int) -> int:
    """Each block is made at noon of its day."""
    return block * DAY + DAY // 2


def rows(first: date, last: date, moved: tuple[Movement, ...] = MOVED) -> list[dict[str, str]]:
    text = invoice_csv(invoice(Span.of_days(first, last), moved, day_of), {ONE: RelayId(5)})
    return list(csv.DictReader(io.StringIO(text)))


def test_lines_areAllOfTheDaysNamed_bothIncluded() -> None:
    opening, one, two, three, paid, closing = rows(date(1970, 1, 3), date(1970, 1, 4))
    assert tuple(opening) == COLUMNS
    assert one == {
        "time_utc": "1970-01-03T12:00:00Z",
        "block": "2",
        "transaction": "0x" + "02" * 32,
        "what": "claimed",
        "relay": "5",
        "account": show_account(ONE),
        "kind": "",
        "period": "1",
        "ticks": "",
        "amount_tokens": "-1",
        "budget_tokens": "99",
    }
    assert (two["what"], two["relay"], two["kind"], two["period"], two["ticks"]) == (
        "redeemed", "", "mailbox", "1", "300000",
    )  # fmt: skip
    assert (three["amount_tokens"], three["budget_tokens"]) == (
        "-0.000000000000000001", "97.499999999999999999",
    )  # fmt: skip
    assert (opening["what"], opening["time_utc"], opening["budget_tokens"]) == (
        "opening", "1970-01-03T00:00:00Z", "100",
    )  # fmt: skip
    assert (paid["what"], paid["amount_tokens"]) == ("paid_to_relays", "-2.500000000000000001")
    assert (closing["what"], closing["time_utc"], closing["budget_tokens"]) == (
        "closing", "1970-01-05T00:00:00Z", three["budget_tokens"],
    )  # fmt: skip


def test_everything_beginsWithNothing_andEndsWithTheBudget() -> None:
    found = invoice(Span.of_days(date(1970, 1, 1), date(1971, 1, 1)), MOVED, day_of)
    assert (found.opening, found.closing, len(found.lines)) == (0, budget(MOVED), len(MOVED))
    assert summary(found) == (
        "3 payments to relays, 2.500000000000000001 tokens; budget 0 before, 90.499999999999999999 after"
    )


def test_daysWithoutPayments_haveTheirBudget() -> None:
    opening, paid, closing = rows(date(1980, 1, 1), date(1980, 1, 1))
    assert opening["budget_tokens"] == closing["budget_tokens"] == "90.499999999999999999"
    assert paid["amount_tokens"] == "0"


def test_days_areInOrder() -> None:
    with pytest.raises(ValueError, match="the last day is before the first"):
        Span.of_days(date(2026, 2, 1), date(2026, 1, 31))


moves = st.lists(
    st.builds(
        movement,
        st.sampled_from(list(What)),
        st.sampled_from([ONE, TWO]),
        st.integers(0, 2**96 - 1),
        st.integers(1, 30),
        epoch=st.just(Epoch(1)),
    ),
    max_size=20,
).map(lambda found: tuple(sorted(found, key=lambda one: one.block)))


@given(moves, st.integers(1, 30), st.integers(0, 30))
def test_lines_addUp(moved: tuple[Movement, ...], first: int, more: int) -> None:
    """Of any span; and what one span ends with, the next one begins with."""
    span = Span(first * DAY, (first + more) * DAY)
    found = invoice(span, moved, day_of)
    lines = [one for _, one in found.lines]
    sums = {what: total(lines, what) for what in What}
    paid = total(lines, *PAYMENTS)
    assert found.opening + sums[What.FUNDED] - paid - sums[What.WITHDRAWN] == found.closing
    after = invoice(Span(span.ends, 99 * DAY), moved, day_of)
    assert found.closing == after.opening and after.closing == budget(moved)
    table = list(csv.DictReader(io.StringIO(invoice_csv(found, {}))))
    left = Fraction(table[0]["budget_tokens"])
    for row in table[1:-2]:
        left += Fraction(row["amount_tokens"])
        assert Fraction(row["budget_tokens"]) == left
    assert Fraction(table[-1]["budget_tokens"]) == left
    assert Fraction(table[-2]["amount_tokens"]) * TOKEN == -paid


def test_movements_areTheCampaigns_fromThePoolsEvents() -> None:
    place = 5, 0, b"\7" * 32
    happened = [
        events.CampaignFunded(*place, 3, SPONSOR, Amount(10)),
        events.CampaignFunded(*place, 4, SPONSOR, Amount(99)),
        events.PoolClaimed(*place, 3, ONE, Epoch(9), Amount(2), Amount(2)),
        events.PoolClaimed(*place, 4, ONE, Epoch(9), Amount(99), Amount(2)),
        events.PassesRedeemed(*place, 3, TWO, 2, 2, Amount(3), Amount(3), (b"a", b"b"), (10, 5)),
        events.WithdrawalRequested(*place, 3, Amount(99), 1),
        events.WithdrawalFinished(*place, 3, SPONSOR, Amount(4)),
        events.SignerChanged(*place, 3, Account(bytes(20)), 1),
    ]
    found = list(movements(SCHEDULE, 3, happened))
    assert found == [
        Movement(5, b"\7" * 32, What.FUNDED, SPONSOR, Amount(10)),
        Movement(5, b"\7" * 32, What.CLAIMED, ONE, Amount(2), Epoch(9)),
        Movement(5, b"\7" * 32, What.REDEEMED, TWO, Amount(3), Epoch(11), 2, 2, 15),
        Movement(5, b"\7" * 32, What.WITHDRAWN, SPONSOR, Amount(4)),
    ]
    assert budget(found) == 1
