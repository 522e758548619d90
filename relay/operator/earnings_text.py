"""A relay's earnings as CSV, and their sums for a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

from mixpay.accounts import show_account
from mixpay.amounts import shown
from relay.operator.earnings import MONEY
from relay.operator.earnings_reader import Earnings, Entry

_UNIT = "smallest_unit"
"""Of the token: 10^18 are one. A part of the columns' names, so that nobody takes them for tokens."""

COLUMNS = (
    "release",
    "epoch",
    "time_utc",
    "block",
    "transaction",
    "event",
    "party",
    *(f"{name}_{_UNIT}" for name in MONEY),
    "gas_wei",
)


def earnings_csv(earnings: Earnings) -> str:
    """A row for each entry, in the chain's order within a release, below a row of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_row(entry) for entry in earnings.entries)
    return text.getvalue()


def _row(entry: Entry) -> list[str]:
    booking = entry.booking
    time = datetime.fromtimestamp(entry.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    place = [str(entry.release), str(entry.epoch), time, str(booking.event.block)]
    amounts = [str(getattr(booking, name)) for name in MONEY]
    what = [f"0x{booking.event.transaction.hex()}", booking.name, booking.party]
    return [*place, *what, *amounts, "" if entry.gas is None else str(entry.gas)]


def earnings_text(earnings: Earnings) -> str:
    """The sums, all in all and by kind of event."""
    return "\n".join(_lines(earnings))


def _lines(earnings: Earnings) -> Iterator[str]:
    sums = {name: sum(getattr(e.booking, name) for e in earnings.entries) for name in MONEY}
    gas = sum(entry.gas or 0 for entry in earnings.entries)
    yield f"operator {show_account(earnings.operator)}, up to block {earnings.head}"
    earned, spent = shown(sums["earned"]), shown(sums["spent"])
    yield f"earned {earned} tokens, spent {spent}, and {shown(gas)} ether for gas"
    yield f"capital {shown(sums['capital'])} tokens: brought in, less what was taken out"
    places = ", ".join(f"{name} {shown(sums[name])}" for name in ("ledger", "locked", "stake"))
    yield f"now there: {places}"
    for name in dict.fromkeys(entry.booking.name for entry in earnings.entries):
        yield _kind(name, [entry for entry in earnings.entries if entry.booking.name == name])


def _kind(name: str, entries: list[Entry]) -> str:
    amounts = {field: sum(getattr(e.booking, field) for e in entries) for field in MONEY}
    told = ", ".join(f"{field} {shown(amount)}" for field, amount in amounts.items() if amount)
    return f"  {len(entries)} {name}: {told or 'gas only'}"


def gas_note(earnings: Earnings) -> str | None:
    """What the gas leaves out, if anything."""
    sent, here = earnings.transactions
    if sent == here:
        return None
    return (
        f"note: gas is told of {here} of the operator's {sent} transactions; the others left no event here, "
        "as those that failed"
    )
