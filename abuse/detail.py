"""The page's last part: what is behind its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from abuse import commons, price
from abuse.findings import ABOUT, CAPPED
from abuse.money import PLACES
from abuse.tables import by_scheme, mended, percent, rule, share, table

_TEXT = """## In detail

### Every scenario

*Thin*: an honest user for each relay; *busy*: a hundred. In % of what the farmer's passes can pull; (a) and (b) do not depend on others'
traffic. The draw of its passes moves these by {wobble:.1f} points at most (95 %).

| | {heads} |
|---|{rule}|
{takes}

### To the hop price

For 1,000 passes, under (c), {scenario}. What left the pool is what all relays have; the last columns are the farmer's part by
where its first relay stood.

| stake | left the pool | the farmer has | others earned | {places} |
|---|---:|---:|---:|{place_rule}|
{accounts}

### What one would expect, and what is so

| | | |
|---|---|---|
{claims}

{verdict}

### All that its relays earn

Honest traffic included, in multiples of their share of all that the pool pays:

| | {heads} |
|---|{rule}|
{income}

### Two changes, simulated

(m) A path pays four hops, and mailboxes are paid only by passes that draw them; in % of what four hops are worth. (d) An entry
counts each pass by itself, too, with the same kind of meter, so that the room which many honest users leave is not one pass's; mixes
cannot, for they see no passes.

| | {heads} |
|---|{rule}|
{mended}

### How many accounts pay

Beside {users:,} honest users, each with one pass: which of the simulated numbers of accounts brings most, in tokens.

| an account costs | {heads} |
|---:|{rule}|
{volumes}

### Work, doubling by doubling

Until a card stops paying, in dollars:

{work_head}
{work}

### Honest traffic, packet by packet

| packets | offered | refused | at most (95 %) |
|---|---:|---:|---:|
{uniform}
"""


def detail(about: Mapping[str, Any]) -> str:
    """The part, from a report."""
    stakes = [float(stake) for stake in about["prices"]["shares"]]
    capped = [one for one in about["takes"] if one["scheme"] == CAPPED]
    last = [one for one in capped if one["scenario"] == capped[-1]["scenario"]]
    return _TEXT.format(
        heads=" | ".join(map(percent, stakes)),
        rule=rule(len(stakes)),
        takes=by_scheme(about, share),
        wobble=100 * max(one["by_the_draw"] for one in capped),
        scenario=last[0]["scenario"],
        places=" | ".join(PLACES[:-1]),
        place_rule=rule(len(PLACES) - 1),
        accounts=table(map(_account, last)),
        claims=table(map(_claim, about["claims"])),
        verdict=_verdict(capped),
        income=by_scheme(about, lambda one: f"{one['income_over_stake']:.2f}", bounded=True),
        mended=mended(about),
        users=max(one["users"] for one in capped),
        volumes=table(_volumes(about["prices"]["volumes"], account, stakes) for account in price.ACCOUNTS),
        work_head=commons.head(),
        work=commons.rows(about["prices"]["work"]["steps"]),
        uniform=table(
            (name, f"{one['offered']:,}", str(one["refused"]), f"{one['at_most']:.1e}")
            for name, one in about["honest"]["uniform"].items()
        ),
    )


def _claim(one: Mapping[str, Any]) -> tuple[str, ...]:
    return one["claim"], "holds" if one["holds"] else "**does not hold**", one["figure"]


def _account(one: Mapping[str, Any]) -> tuple[str, ...]:
    thousand = 1000 / one["passes"]
    numbers = [one["pool"], one["farmer"], one["others"], *one["by_place"].values()]
    return percent(one["stake"]), *(f"{number * thousand:,.0f}" for number in numbers)


def _volumes(found: list[Mapping[str, Any]], account: float, stakes: list[float]) -> tuple[str, ...]:
    rows = {one["stake"]: one for one in found if one["account"] == account}
    return f"{account:g}", *(_volume(rows[stake]) for stake in stakes)


def _volume(one: Mapping[str, Any]) -> str:
    return f"{one['passes']:,}: takes {one['tokens']:,.0f}, keeps {one['profit']:,.0f}" if one["passes"] else "none"


def _verdict(capped: list[Mapping[str, Any]]) -> str:
    """Why a farmer has more than its share, in figures, or that it has not."""
    small = capped[-len({one["stake"] for one in capped})]
    if max(one["over_stake"] for one in capped) <= ABOUT:
        return "A farmer's part of its passes is about its part of the stake."
    return (
        "A farmer gets several times its share, for three reasons:\n\n"
        "- *The mailbox.* It is the receiver's choice, so fake packets end at one of the farmer's, and bring up to a fifth of their\n"
        f"  price however small the stake: {percent(small['stake'])} of the stake takes {100 * small['share']:.1f} % of its passes, "
        f"{100 * small['by_place']['mailbox'] / small['pool']:.1f} points of it so ({small['scenario']}).\n"
        "- *The first of its relays keeps the rest.* Caps that were exact would still leave a small farmer (5 + 4 + 3 + 2) hop prices × its\n"
        "  share, and not 5 ×.\n"
        "- *The caps bound what a relay sends to another, not what a pass does.* What they leave free above the share (a quarter, and eight\n"
        "  deviations) is one farmer's if there is but one. So few fake passes beside much honest traffic bring nearly what they bring without\n"
        "  caps; only many of them bring less each."
    )
