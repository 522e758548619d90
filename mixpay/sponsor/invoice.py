"""What a campaign has paid, between two days, as CSV for somebody's accounts. Pure.

Between the first line, the budget before, and the last one, the budget after, there is a line for each
payment, and for what was paid in or taken back. The lines add up:

    opening + funded - claimed - redeemed - withdrawn = closing
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from mixpay.accounts import show_account
from mixpay.amounts import shown
from mixpay.passes import KIND_ENTRY
from mixpay.sponsor.movements import PAYMENTS, Movement, budget, total
from mixpay.types import Account, RelayId

COLUMNS = (
    "time_utc",
    "block",
    "transaction",
    "what",
    "relay",
    "account",
    "kind",
    "period",
    "ticks",
    "amount_tokens",
    "budget_tokens",
)
"""`amount_tokens` adds to the budget or, negative, takes from it; `budget_tokens` is what it is then."""


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds of chain time: the first that counts, and the first that does not any more."""

    begins: int
    ends: int

    @classmethod
    def of_days(cls, first: date, last: date) -> Span:
        """Both days are in it, in UTC. Raises ValueError if the last is before the first."""
        if last < first:
            raise ValueError("the last day is before the first")
        return cls(_midnight(first), _midnight(last + timedelta(days=1)))


@dataclass(frozen=True, slots=True)
class Invoice:
    """The movements in a span, each with its time, and the budget (smallest units) before and after them."""

    span: Span
    opening: int
    lines: tuple[tuple[int, Movement], ...]
    closing: int


def invoice(span: Span, moved: Sequence[Movement], time_of: Callable[[int], int]) -> Invoice:
    """The invoice of a campaign with these movements, all that there were. `time_of`: of a block, seconds."""
    timed = [(time_of(movement.block), movement) for movement in moved]
    lines = tuple((time, movement) for time, movement in timed if span.begins <= time < span.ends)
    opening = budget(movement for time, movement in timed if time < span.begins)
    return Invoice(span, opening, lines, opening + budget(movement for _, movement in lines))


def invoice_csv(found: Invoice, ids: Mapping[Account, RelayId]) -> str:
    """A row of names; the budget before; the movements; the sum of the payments; the budget after."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(found, ids))
    return text.getvalue()


def _rows(found: Invoice, ids: Mapping[Account, RelayId]) -> Iterator[list[str]]:
    left = found.opening
    yield _total(found.span.begins, "opening", "", left)
    for time, movement in found.lines:
        left += movement.change
        yield _row(time, movement, ids, left)
    paid = total((movement for _, movement in found.lines), *PAYMENTS)
    yield _total(found.span.ends, "paid_to_relays", shown(-paid), found.closing)
    yield _total(found.span.ends, "closing", "", found.closing)


def _row(time: int, movement: Movement, ids: Mapping[Account, RelayId], left: int) -> list[str]:
    period = movement.epoch if movement.kind is None else movement.period
    kind = "" if movement.kind is None else ("entry" if movement.kind == KIND_ENTRY else "mailbox")
    return [
        _shown_time(time),
        str(movement.block),
        f"0x{movement.transaction.hex()}",
        movement.what.value,
        _text(ids.get(movement.party)) if movement.what in PAYMENTS else "",
        show_account(movement.party),
        kind,
        _text(period),
        _text(movement.ticks),
        shown(movement.change),
        shown(left),
    ]


def _total(time: int, what: str, amount: str, left: int) -> list[str]:
    return [_shown_time(time), "", "", what, "", "", "", "", "", amount, shown(left)]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _shown_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def summary(found: Invoice) -> str:
    """One line for the terminal."""
    moved = [movement for _, movement in found.lines]
    paid = total(moved, *PAYMENTS)
    count = sum(movement.what in PAYMENTS for movement in moved)
    return (
        f"{count} payments to relays, {shown(paid)} tokens; budget {shown(found.opening)} before, "
        f"{shown(found.closing)} after"
    )
