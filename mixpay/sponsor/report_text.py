"""A campaign's report as text for a terminal, as plain values for JSON, and what is to be done about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from mixpay.accounts import show_account
from mixpay.amounts import moment, shown
from mixpay.parameters import DAY, HOUR
from mixpay.passes import KIND_ENTRY
from mixpay.sponsor.facts import PolicyRule
from mixpay.sponsor.report_records import CampaignReport, PeriodFigures, RelayFigures
from mixpay.types import Account

LOW_DAYS = 7
"""The sponsor is warned when the budget lasts fewer days."""
LOW_REGISTRATIONS = 30
"""And when the signer's ether is enough for fewer keys."""


def warnings(report: CampaignReport) -> list[str]:
    """What the sponsor should do something about, the most urgent first."""
    return list(_warnings(report))


def _warnings(r: CampaignReport) -> Iterator[str]:
    money, pace, keys = r.money, r.pace, r.keys
    if money.guaranteed == 0:
        yield "no relay can count on a budget: entries take one pass each at most; `mixpay sponsor fund`"
    elif money.left == 0:
        yield "vouchers promise all that there is: `mixpay sponsor fund`"
    elif pace.seconds_left is not None and pace.seconds_left < LOW_DAYS * DAY:
        yield f"the budget lasts {span(pace.seconds_left)} at this rate: `mixpay sponsor fund`"
    if keys.until_epoch is None:
        yield f"no key is registered for epoch {r.epoch + 1}: does the service run, has its signer ether?"
    if keys.registrations is not None and keys.registrations < LOW_REGISTRATIONS:
        left = f"{shown(keys.signer_wei)} ether, enough for {keys.registrations} keys"
        yield f"the signer has {left}: send it some"
    for relay in r.suspects:
        times = f"{relay.times // 10}.{relay.times % 10}"
        yield (
            f"{_who(relay)} got {times} times an even share: its operator may have users of its own; "
            "lower the quotas, or ask more of who wants passes"
        )
    if money.withdrawal:
        yield "a withdrawal is under notice: relays count on that part no more (`withdraw --cancel` ends it)"
    if r.paused:
        yield "issuing is paused: `mixpay sponsor resume`"


def status_text(report: CampaignReport) -> str:
    """All of it; `--json` has accounts and exact numbers."""
    return "\n".join(_lines(report))


def _lines(r: CampaignReport) -> Iterator[str]:
    yield f"campaign {r.campaign}, epoch {r.epoch}, term {r.term}, {r.relays} relays, block {r.head}"
    yield _state(r)
    yield from _money(r)
    yield from _pace(r)
    yield from _keys(r)
    yield from _section("passes (what is redeemed is known when the period is over)", map(_period, r.periods))
    yield from _section("relays, by what they got", map(_relay, r.top))
    refusals = sorted((r.refusals or {}).items(), key=lambda one: (-one[1], one[0]))
    yield from _section(
        "refused since the service started", (f"{number} {reason}" for reason, number in refusals)
    )
    yield from _section("policies, and what they give one identity in a period", map(_policy, r.policies))
    yield from _section("to do", warnings(r))


def _policy(p: PolicyRule) -> str:
    kind = "" if p.kind == p.name else f" ({p.kind})"
    return f"{p.name}{kind}: {p.entry} entry passes, {p.mailbox} mailbox passes"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    items = list(lines)
    if items:
        yield ""
        yield f"{title}:"
        yield from (f"  {item}" for item in items)


def _state(r: CampaignReport) -> str:
    if r.paused:
        return "paused: no passes are issued; those that users have stay good, and relays are paid for them"
    return "passes are issued" if r.serving else "no service of this folder answers: refusals are not known"


def _money(r: CampaignReport) -> Iterator[str]:
    m = r.money
    moved = f"{shown(m.funded)} paid in, {shown(m.paid)} paid to relays, {shown(m.withdrawn)} taken back"
    yield f"budget {shown(m.budget)} tokens: {moved}"
    if m.withdrawal:
        free = moment(m.withdrawable_at)
        yield (
            f"withdrawal of {shown(m.withdrawal)} tokens: it can be paid out from {free} on; "
            "until then relays claim what they have carried, out of the whole budget"
        )
    yield f"owed {shown(m.owed)} tokens: in vouchers that relays have not claimed yet"
    yield f"left {shown(m.left)} tokens; each relay can count on {shown(m.share)} in an epoch"


def _pace(r: CampaignReport) -> Iterator[str]:
    pace, cap = r.pace, r.money.period_cap
    if pace.seconds_left is None:
        yield "lasts: no payments yet"
    else:
        spent = f"{shown(pace.spent)} tokens in the last {pace.epochs} epochs"
        yield f"lasts {span(pace.seconds_left)} at the rate of {spent}"
    if pace.worst_epochs_left is not None:
        worst = span(pace.worst_epochs_left * r.epoch_length)
        yield f"an epoch costs {shown(cap)} tokens at the worst (the period cap): then it lasts {worst}"
    measured = "not known yet" if pace.user_epoch is None else f"{shown(pace.user_epoch)} tokens"
    yield (
        f"an active user cost {measured} an epoch; with cover, an entry pass used to its end, "
        f"{shown(pace.most)} at most"
    )


def _keys(r: CampaignReport) -> Iterator[str]:
    keys = r.keys
    entry = "the next epoch has none" if keys.until_epoch is None else f"up to epoch {keys.until_epoch}"
    mailbox = "the next term has none" if keys.until_term is None else f"up to term {keys.until_term}"
    yield f"keys: entry passes, {entry}; mailbox passes, {mailbox}"
    enough = "" if keys.registrations is None else f", enough for {keys.registrations} more keys"
    yield f"signer: {shown(keys.signer_wei)} ether{enough}"


def _period(p: PeriodFigures) -> str:
    name = f"entry, epoch {p.period}" if p.kind == KIND_ENTRY else f"mailbox, term {p.period}"
    line = f"{name}: {p.issued} issued to {p.identities}"
    if not p.over:
        return f"{line}; not over yet"
    return f"{line}; {p.redeemed} redeemed, {p.ticks} ticks, {shown(p.value)} tokens"


def _relay(r: RelayFigures) -> str:
    share = f"{r.share // 10}.{r.share % 10} %, {r.times // 10}.{r.times % 10} times an even share"
    return (
        f"{_who(r)}: {shown(r.value)} tokens ({share}) for {r.ticks} ticks of {r.passes} passes; "
        f"{shown(r.paid)} paid"
    )


def _who(r: RelayFigures) -> str:
    return f"relay {r.relay}" if r.relay else f"account {show_account(r.account)}"


def span(seconds: int) -> str:
    """A length of time, in a unit that fits."""
    for unit, length in (("days", DAY), ("hours", HOUR)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds // 60} minutes"


# ---------------------------------------------------------------------- JSON


def plain(report: CampaignReport) -> dict[str, object]:
    """The report for JSON: amounts as decimal strings of the smallest unit, accounts in hexadecimal."""
    return {**_plain(report), "warnings": warnings(report)}


def _plain(value: object) -> dict[str, object]:
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"no record: {value!r}")
    return {field.name: _value(field, getattr(value, field.name)) for field in dataclasses.fields(value)}


def _value(field: dataclasses.Field[object], value: object) -> object:
    # A JavaScript number is exact to 2^53 only; 10^18 of the smallest unit are a token.
    if value is not None and (str(field.type).startswith("Amount") or field.name == "signer_wei"):
        return str(value)
    match value:
        case bytes():
            return show_account(Account(value))
        case tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return dict(value)
        case _ if dataclasses.is_dataclass(value):
            return _plain(value)
        case _:
            return value
