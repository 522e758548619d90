"""A relay's status, and the result of a settlement, as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from mixpay.amounts import moment, shown
from relay.in_flight import InFlight
from relay.operator.answers import (
    AgendaAnswer,
    CampaignAnswer,
    CaseAnswer,
    DrainAnswer,
    DueAnswer,
    LeavingAnswer,
    PayeeAnswer,
    PayerAnswer,
    ReleaseAnswer,
    SettleAnswer,
    StatusAnswer,
)

Peer = TypeVar("Peer", PayerAnswer, PayeeAnswer)


def status_text(status: StatusAnswer) -> str:
    """All of it but signatures; `--json` has those."""
    return "\n".join(_lines(status))


def _lines(s: StatusAnswer) -> Iterator[str]:
    layer = f"mix layer {s.layer}" if s.layer else "not in this epoch: it joins the next one that is fixed"
    yield f"relay {s.relay} at {s.endpoint}, epoch {s.epoch}, {layer}"
    yield f"operator {s.operator}, owner {s.owner}"
    yield f"links: {len(s.links_in)} payers, {len(s.links_out)} payees"
    yield f"packets: {s.roles.entry} as entry, {s.roles.mix} as mix, {s.roles.mailbox} as mailbox"
    if s.capacity is not None:
        opened = f"one is opened in {s.capacity.open_us:.0f} µs"
        yield f"capacity: about {s.capacity.packets} packets a second ({opened})"
    income = s.income
    received, given = _tokens(income.received), _tokens(income.given)
    yield f"earned {_tokens(income.earned)} tokens: {received} received, {given} passed on"
    yield f"claimed {_tokens(income.claimed)} tokens, {_tokens(income.unclaimed)} to be claimed"
    if s.balances is not None:
        b = s.balances
        account = f"{_tokens(b.tokens)} tokens, {_tokens(b.ether)} ether"
        yield f"ledger {_tokens(b.ledger)} tokens; account {account}"
    yield from _section("leaving", _leaving(s.leaving) if s.leaving else ())
    yield from _section("draining", (_drain(s.draining),) if s.draining else ())
    yield from _section("payers (who owes us)", _peers(s.payers, _payer, "owe us nothing, and never did"))
    yield from _section("payees (whom we owe)", _peers(s.payees, _payee, "are owed nothing, and never were"))
    yield from _section("campaigns", map(_campaign, s.campaigns))
    yield from _section("court, against payers", (_case(c) for c in s.cases if not c.against_us))
    yield from _section("court, against us", (_case(c) for c in s.cases if c.against_us))
    yield from _section("drops", (f"{n} {reason}" for reason, n in sorted(s.drops.items())))
    yield from _section("refusals", (f"{n} {reason}" for reason, n in sorted(s.refusals.items())))
    yield from _section("next", map(_item, s.agenda))
    yield from _section("notes", s.notes)
    if [release.state for release in s.releases] != ["serving"]:
        yield from _section("releases of the network", map(_release, s.releases))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    items = list(lines)
    if items:
        yield ""
        yield f"{title}:"
        yield from (f"  {item}" for item in items)


def _leaving(leaving: LeavingAnswer) -> Iterator[str]:
    yield leaving.progress
    yield f"channels and ledger back from {moment(leaving.channels_back)} on, if no case holds them longer"
    free = moment(leaving.stake_back)
    yield f"stake of {_tokens(leaving.stake)} tokens: `mixpay-relay withdraw` from {free} on"


def _drain(drain: DrainAnswer) -> str:
    left = InFlight(drain.opening, drain.held, drain.waiting, drain.unacknowledged)
    if drain.complete:
        return f"{left} left: to stop now loses nothing; `mixpay-relay drain --resume` takes packets again"
    return f"no new packets are taken; {left}"


def drain_text(drain: DrainAnswer) -> str:
    """What `mixpay-relay drain` says."""
    return _drain(drain) if drain.draining else "packets are taken"


def _peers(peers: Sequence[Peer], line: Callable[[Peer], str], nothing: str) -> Iterator[str]:
    """Those with whom there is or was something; there may be hundreds of others."""
    some = [p for p in peers if p.dues or p.notes or p.cumulative != "0" or p.deposit != "0"]
    yield from map(line, some)
    if len(some) < len(peers):
        linked = sum(p.linked for p in peers if p not in some)
        yield f"{len(peers) - len(some)} others, {linked} of them linked, {nothing}"


def _payer(p: PayerAnswer) -> str:
    line = (
        f"relay {p.relay}{_link(p.linked)}: {_tokens(p.cumulative)} tokens in vouchers, "
        f"{_tokens(p.claimed)} claimed, {p.unsettled_value} hop prices unsettled"
    )
    return _explained(line, p.dues, p.notes)


def _payee(p: PayeeAnswer) -> str:
    line = (
        f"relay {p.relay}{_link(p.linked)}: {_tokens(p.cumulative)} tokens in vouchers, "
        f"channel of {_tokens(p.deposit)}, {p.unsettled_value} hop prices unsettled, {p.lost} tickets lost"
    )
    return _explained(line, p.dues, p.notes)


def _campaign(c: CampaignAnswer) -> str:
    owed = "no voucher yet"
    if c.voucher is not None:
        claimed = f"{_tokens(c.claimed)} claimed" if c.claimed is not None else "the chain was not asked yet"
        owed = f"{_tokens(c.voucher.cumulative)} tokens in vouchers, {claimed}"
    if c.paid_for_passes != "0":
        owed += f", {_tokens(c.paid_for_passes)} tokens paid by the pool for passes"
    held = "".join(f", {ticks} ticks of {period}" for period, ticks in sorted(c.ticks.items()))
    return _explained(f"campaign {c.campaign}: {owed}{held}", c.dues, c.notes)


def _case(c: CaseAnswer) -> str:
    when = f" at {moment(c.at)}" if c.at is not None else ""
    return f"relay {c.relay}, batch {c.batch}, {_tokens(c.amount)} tokens: {c.state}; {c.follows}{when}"


def _release(r: ReleaseAnswer) -> str:
    until = "" if r.ends is None else f" to {r.ends - 1}"
    who = "" if r.relay is None else f", relay {r.relay}"
    return _with_notes(f"release {r.number}, epochs {r.begins}{until or ' on'}{who}: {r.state}", r.notes)


def _link(linked: bool) -> str:
    return "" if linked else " (no link)"


def _explained(line: str, dues: Sequence[DueAnswer], notes: Sequence[str]) -> str:
    """With the reason of each amount that is not paid yet."""
    return _with_notes(line, [*map(_due, dues), *notes])


def _due(d: DueAnswer) -> str:
    return f"{_tokens(d.amount)} tokens: {d.why}; {d.follows}{_at(d.at)}"


def _item(i: AgendaAnswer) -> str:
    return f"{i.what}: {i.when}" if i.at is None else f"{moment(i.at)}: {i.what}: {i.when}"


def _at(moment_of_it: int | None) -> str:
    return "" if moment_of_it is None else f" ({moment(moment_of_it)})"


def _with_notes(line: str, notes: Sequence[str]) -> str:
    return "\n".join((line, *(f"    - {note}" for note in notes)))


def _tokens(amount: str) -> str:
    return shown(int(amount))


def settle_text(answer: SettleAnswer) -> str:
    """What was done, what failed, what waits."""
    lines = [
        f"campaign {r.campaign}, period {r.period}: {r.passes} passes, {_tokens(r.amount)} tokens"
        + (" from the pool itself" if r.at_pool else "")
        for r in answer.redeemed
    ]
    lines += [
        f"done: {a.what}" if a.error is None else f"failed: {a.what}: {a.error}" for a in answer.actions
    ]
    lines += [f"waiting: {why}" for why in answer.waiting]
    lines.append("everything is settled" if answer.complete else "not everything is settled yet")
    return "\n".join(lines)
