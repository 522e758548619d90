"""The page's sections on the commons, and on times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import floor, log10
from typing import Any

from abuse.tables import percent, rule, table

_HOUR = 3600

WORK = """## The commons: passes for a proof of work

The policy `work` gives a pass to whoever computes: {difficulty:,} attempts on average unless you set another `difficulty`, each
an Argon2id over 1 MiB of memory. It doubles with every {raise_after:,} passes of a kind and period (`raise_after`). An attempt took
**{attempt:.2f} ms** of this machine's core (its own time, median).

Assumed, and yours to replace: {prices}; a token at ${token:g}. No card was
measured. Argon2id is bounded by memory: an attempt writes its MiB and reads as much from afar, {moved} MiB in all. A card whose
memory moves {bandwidth:,.0f} GB a second and does nothing else makes {card:,.0f} attempts a second, the work of {faster:.0f} such cores. That is
the best it can do from memory; a cache that holds many attempts, or a chip made for this, may do better.

What an attacker pays for one pass, and for passes that pay a million packets, by how often the difficulty has doubled:

{head}
{some}

(A packet's worth of abuse is a millionth of the last columns. [Each doubling](#work-doubling-by-doubling).)

A pass brings the largest farmer ${worth:.4f}. So farming stops paying at:

| with | attempts | an honest user's core works | doublings | passes before, of a kind and period | which leave |
|---|---:|---:|---:|---:|---:|
{stops}

**Work alone stops no farmer.** At the default difficulty a pass brings {core_times:,.0f} times what a core costs for it, and {card_times:,.0f} times
what a card costs; where it stops paying, a newcomer with one core waits for hours. What work does: it limits the rate, and makes a
flood dearer for whoever causes it. What limits the loss is `all_entry_passes` and `all_mailbox_passes` of the policy (passes ×
${worth:.4f} at the worst), and the campaign's `periodCap`: give a commons no more for an epoch than its donors can lose in it. Whoever
takes all of it leaves nothing to newcomers until the next one: that is what asking them for no account costs.
"""

TIMES = """## What times give away

Not about money, but about what your issuer learns if it works with all entries: could they tell whose pass is spent? Not by what they
store (`tests/unit/test_unlinkability.py`); by times, it depends. {users:,} users of a campaign, each sending from a moment of its own on;
how many passes are matched to their issue by whoever knows these habits and guesses the likeliest (mean of {epochs} epochs):

| a pass is fetched | matched | by chance |
|---|---:|---:|
{times}

A pass that is fetched when it is needed names its user; one that is fetched ahead of need by a keeper that always runs tells nothing.
Between them: a keeper that starts with the computer, and heavy users' second pass of an epoch; a larger crowd hides these better. So
let your users' programs keep passes (`mixpay passes keep`; `keep_passes` of a `mixpay.client.User`).
"""

_HABITS = {
    "in need": "when the first packet is to be sent: no keeper",
    "ahead": "ahead, by a keeper that always runs",
    "at start-up": "ahead, by a keeper that starts with the computer, about an hour before its user sends",
    "spares": "as a spare: the second in an epoch, after half of the first is spent",
}


def commons(found: Mapping[str, Any]) -> str:
    """What a pass for work costs."""
    core, card = found["machines"]
    steps = found["steps"]
    return WORK.format(
        difficulty=found["difficulty"],
        raise_after=found["raise_after"],
        attempt=1000 * found["attempt_seconds"],
        prices=" and ".join(f"{one['name']} at ${one['hour']:g} an hour" for one in found["machines"]),
        token=found["token_price"],
        bandwidth=found["card_bandwidth"] / 1e9,
        moved=found["moved"] >> 20,
        card=card["attempts"],
        faster=card["attempts"] / core["attempts"],
        head=head(),
        some=rows(one for one in steps if one["doublings"] % 4 == 0 or one is steps[-1]),
        worth=found["worth"],
        stops=table(_stop(one) for one in found["machines"]),
        core_times=steps[0]["worth_over_cost"][0],
        card_times=steps[0]["worth_over_cost"][1],
    )


def head() -> str:
    """Of the table of doublings."""
    cells = ("doublings", "attempts", "a core's seconds", "a pass: core", "card", "a million packets: core", "card")
    return f"| {' | '.join(cells)} |\n|{rule(len(cells))}|"


def rows(steps: Iterable[Mapping[str, Any]]) -> str:
    """Doublings, with what a pass, and a million packets' worth of abuse, cost in dollars."""
    return table(
        (
            str(one["doublings"]),
            f"{one['difficulty']:,}",
            f"{one['core_seconds']:,.1f}",
            *map(dollars, (*one["pass"], *(1e6 * cost for cost in one["packet"]))),
        )
        for one in steps
    )


def dollars(amount: float) -> str:
    """Of two digits that count, and no power of ten."""
    digits = max(0, 1 - floor(log10(amount)))
    return f"${amount:,.{digits}f}"


def _stop(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        one["name"],
        f"{one['stops_at'] / 1e6:,.0f} million",
        f"{one['core_seconds']:,.0f} s, {one['core_seconds'] / _HOUR:.1f} hours",
        str(one["doublings"]),
        f"{one['farmed_passes']:,}",
        f"${one['farmed_dollars']:,.0f}",
    )


def times(about: Mapping[str, Any]) -> str:
    """What is matched by times."""
    return TIMES.format(
        users=about["scale"]["timed"],
        epochs=about["scale"]["epochs"],
        times=table(
            (_HABITS[one["habit"]], f"{100 * one['right']:.1f} %", percent(round(one["chance"], 6)))
            for one in about["times"]
        ),
    )
