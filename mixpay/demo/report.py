"""What the demo shows at its end: a table for people, reports/demo.json for programs.

`earned` and `claimed` are what is a relay's own: what it is paid less what it pays to the next relays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mixpay.amounts import shown
from mixpay.demo.verifier import RelayResult, Verdict
from mixpay.errors import UserError
from mixpay.parameters import TOKEN
from mixpay.types import Amount, RelayId

_LISTED = ("I1", "I8")
"""Invariants that reports/demo.json names; the others count for the exit status all the same."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the story and how long it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Killing:
    """A relay that was killed while packets were under way.

    `in_flight`: packets that it had and no next relay had answered for, by its books a moment before;
    `repeated`: packets that the sender sent again. `held`: what it was owed for receipts then, token units;
    `paid`: whether its payers have signed for all of that since.
    """

    relay: RelayId
    in_flight: int
    repeated: int
    held: int
    paid: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that the demo found. `packets_sent`: by the sending client; `bytes_sent`: the file's size.

    By the relays' own books, shown and never judged by: `proven`, tickets and ticks that each redeemed;
    `drops`, what it dropped, by reason.
    """

    verdict: Verdict
    hop_price: Amount
    packets_sent: int
    bytes_sent: int
    bytes_equal: bool
    proven: Mapping[RelayId, int]
    drops: Mapping[RelayId, Mapping[str, int]]
    steps: Sequence[Step]
    seconds: float
    killing: Killing | None = None

    @property
    def packets_lost(self) -> int:
        """Sent and never taken out of a mailbox."""
        return self.packets_sent - self.verdict.packets_delivered

    def failures(self) -> Iterator[str]:
        """Why the demo did not hold what it promises; nothing if it did."""
        verdict = self.verdict
        if not self.bytes_equal:
            yield "the file that arrived is not the file that was sent"
        if self.killing is not None:
            if not self.killing.paid:
                yield f"relay {self.killing.relay} was killed, and is not paid for all receipts that it held"
        elif self.packets_lost:
            yield f"{self.packets_lost} packets were lost"
            for relay, reasons in sorted(self.drops.items()):
                listed = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
                yield f"relay {relay} says that it dropped: {listed}"
        if verdict.unclaimed:
            yield f"{shown(verdict.unclaimed)} tokens were earned and not claimed"
        if verdict.user_paid:
            yield f"users paid {shown(verdict.user_paid)} tokens"
        if verdict.users_native:
            yield f"users hold {verdict.users_native} wei"
        for objection in verdict.objections:
            yield f"{objection.invariant}: {objection.text}"


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The content of reports/demo.json. Amounts are the token's smallest unit; `seconds` is all of it."""
    verdict, killing = outcome.verdict, outcome.killing
    found = {
        "relays": [_relay_json(relay) for relay in verdict.relays],
        "sponsor_paid": verdict.sponsor_paid,
        "campaigns": {str(campaign): paid for campaign, paid in verdict.paid.items()},
        "user_paid": verdict.user_paid,
        "hop_price": outcome.hop_price,
        "packets_sent": outcome.packets_sent,
        "packets_delivered": verdict.packets_delivered,
        "bytes_equal": outcome.bytes_equal,
        "invariants": {name: verdict.holds(name) for name in _LISTED},
        "seconds": round(outcome.seconds, 3),
        "users_native_balance": verdict.users_native,
        "transactions": verdict.transactions,
    }
    return found if killing is None else found | {"killing": asdict(killing)}


def _relay_json(relay: RelayResult) -> dict[str, int]:
    return {
        "id": relay.id,
        "as_entry": relay.counts.entry,
        "as_mix": relay.counts.mix,
        "as_mailbox": relay.counts.mailbox,
        "mailbox_ticks": relay.counts.tolls,
        "earned": relay.earned,
        "claimed": relay.claimed,
        "unclaimed": relay.unclaimed,
    }


def make_room(path: Path) -> None:
    """Make the report's folder, remove an older report. Raises UserError if that is impossible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write the report {path}: {error.strerror}") from None


def write(path: Path, outcome: Outcome) -> None:
    """Write reports/demo.json. Raises UserError if that is impossible."""
    try:
        path.write_text(json.dumps(as_json(outcome), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write the report {path}: {error.strerror}") from None


def table(outcome: Outcome) -> RenderableType:
    """What is printed at the end."""
    return Group(_relays(outcome), _summary(outcome), _steps(outcome))


def _relays(outcome: Outcome) -> Table:
    grid = Table(title="Relays: packets by role, and money in millionths of a MIX", title_justify="left")
    for name in ("relay", "entry", "mix", "mailbox", "kept", "proven", "earned", "claimed", "holdings"):
        grid.add_column(name, justify="right")
    for relay in outcome.verdict.relays:
        counts = relay.counts
        proven = str(outcome.proven.get(relay.id, "?"))
        packets = str(counts.entry), str(counts.mix), str(counts.mailbox), str(counts.tolls), proven
        money = _micro(relay.earned), _micro(relay.claimed), _micro(relay.gained, sign=True)
        grid.add_row(str(relay.id), *packets, *money)
    return grid


def _summary(outcome: Outcome) -> Table:
    verdict = outcome.verdict
    grid = Table.grid(padding=(0, 2))
    arrived = "arrived unchanged" if outcome.bytes_equal else "did NOT arrive unchanged"
    rows: list[tuple[str, str | Text]] = [
        ("file", f"{outcome.bytes_sent} bytes {arrived}"),
        ("packets sent", str(outcome.packets_sent)),
        ("packets lost", str(outcome.packets_lost)),
        *((f"campaign {number} paid", f"{shown(paid)} MIX") for number, paid in verdict.paid.items()),
        ("users paid", f"{shown(verdict.user_paid)} MIX, and hold {verdict.users_native} wei"),
        ("not claimed", f"{shown(verdict.unclaimed)} MIX"),
        ("I1: money is conserved", _judged(verdict, "I1")),
        (_i8(outcome), _judged(verdict, "I8")),
        ("transactions", str(verdict.transactions)),
    ]
    rows += _killing(outcome.killing)
    for name, value in rows:
        grid.add_row(name, value)
    return grid


def _killing(killing: Killing | None) -> list[tuple[str, str | Text]]:
    if killing is None:
        return []
    paid = "all signed for since" if killing.paid else "NOT all signed for since"
    return [
        ("killed", f"relay {killing.relay}, with {killing.in_flight} packets under way"),
        ("sent again", f"{killing.repeated} packets"),
        ("receipts it held", f"{shown(killing.held)} MIX, {paid}"),
    ]


def _i8(outcome: Outcome) -> str:
    if outcome.killing is None:
        return "I8: income is price times packets"
    return "I8: income is that of opened tickets"


def _judged(verdict: Verdict, invariant: str) -> Text:
    return Text("holds", style="green") if verdict.holds(invariant) else Text("BROKEN", style="bold red")


def _steps(outcome: Outcome) -> Table:
    grid = Table.grid(padding=(0, 2))
    for step in outcome.steps:
        grid.add_row(f"{step.seconds:6.1f} s", step.name)
    grid.add_row(f"{outcome.seconds:6.1f} s", "in all")
    return grid


def _micro(amount: int, *, sign: bool = False) -> str:
    """Millionths of a token, exact: one of them is the default hop price. `sign`: a gain shows its plus."""
    return "+" * (sign and amount > 0) + shown(amount, TOKEN // 10**6)
