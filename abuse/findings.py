"""What follows from the sums: shares, prices of accounts and of work, and which expectations hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import sqrt
from typing import Any

from abuse import honest, price, work
from abuse.figures import Scenario, at_most
from abuse.money import Tally
from mixpay.passes.terms import TICKS

CHOSEN, DRAWN, CAPPED, EACH_PASS = "a", "b", "c", "d"
SCHEMES = {CHOSEN: "entry chosen", DRAWN: "entry drawn", CAPPED: "entry drawn, flow caps"}
WHAT_IF = {EACH_PASS: "and a cap on each pass"}
"""Not what Mixpay does."""


def lost_part(loss: honest.Loss) -> dict[str, Any]:
    """A loss, with its share and the share's upper bound."""
    part = loss.refused / loss.offered
    return {**asdict(loss), "share": part, "at_most": at_most(loss.refused, loss.offered)}


def row(
    stake: float, scenario: Scenario, scheme: str, users: int, passes: int, tally: Tally
) -> dict[str, Any]:
    """One line of what is taken. Money in hop prices, but for what is said to be in tokens."""
    part = tally.share
    # Honest users' traffic earns the farmer's relays one hop price in each role that they happen to have.
    carried = stake * users * price.PULL
    own = tally.ticks[0] / TICKS / passes
    wobble = 1.96 * sqrt(own * (1 - own) / passes)
    return {
        "stake": stake,
        "scenario": scenario.name,
        "scheme": scheme,
        "users": users,
        "passes": passes,
        "pool": tally.pool,
        "farmer": tally.farmer,
        "others": tally.others,
        "by_place": tally.by_place(),
        "share": part,
        "share_without_mailbox": tally.share_without_mailbox,
        "by_the_draw": wobble * (1 - (part - own) / (1 - own)) if own < 1 else 0.0,
        "over_stake": part / stake,
        "income_over_stake": (tally.farmer + carried) / (price.PULL * (users + passes)) / stake,
        "tokens_per_pass": price.tokens(tally.farmer / passes),
        "tokens_per_1000_passes": price.tokens(tally.farmer / passes * 1000),
    }


def worst(takes: list[dict[str, Any]], stake: float, scheme: str = CAPPED) -> float:
    """The largest share of a pass that a farmer of this size takes, over all scenarios."""
    return max(float(one["share"]) for one in takes if (one["stake"], one["scheme"]) == (stake, scheme))


def prices(takes: list[dict[str, Any]]) -> dict[str, Any]:
    """What accounts and proofs of work have to cost, for each size of a farmer at its best under the caps."""
    stakes = sorted({float(one["stake"]) for one in takes})
    shares = {stake: worst(takes, stake) for stake in stakes}
    return {
        "shares": {str(stake): part for stake, part in shares.items()},
        "break_even": [
            {
                "stake": stake,
                "quota": quota,
                "tokens": {str(hop): price.break_even(part, quota, hop) for hop in price.HOP_PRICES},
            }
            for stake, part in shares.items()
            for quota in price.QUOTAS
        ],
        "most_passes": [
            {"account": account, **{str(s): price.most_passes(account, part) for s, part in shares.items()}}
            for account in price.ACCOUNTS
        ],
        "volumes": [
            {"stake": stake, "account": account, "passes": passes, "profit": profit, "tokens": taken}
            for stake in stakes
            for account in price.ACCOUNTS
            for passes, profit, taken in [_volume(takes, stake, account)]
        ],
        "work": work.report(list(shares.values()), work.attempt_seconds()),
    }


def _volume(takes: list[dict[str, Any]], stake: float, account: float) -> tuple[int, float, float]:
    """How many accounts pay best beside the most honest users that were simulated."""
    capped = [one for one in takes if (one["stake"], one["scheme"]) == (stake, CAPPED)]
    users = max(one["users"] for one in capped)
    by_passes = {one["passes"]: one["farmer"] for one in capped if one["users"] == users}
    passes, profit = price.best_volume(by_passes, account)
    return passes, profit, price.tokens(by_passes.get(passes, 0))


def claims(
    takes: list[dict[str, Any]],
    lost: Mapping[str, Any],
    draws: Mapping[str, Any],
    checks: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """What one would expect, whether the design says so (`designed`), and whether it is so here."""
    capped = [one for one in takes if one["scheme"] == CAPPED]
    per_pass = max(one["over_stake"] for one in capped)
    income = max(one["income_over_stake"] for one in capped)
    signed = draws["signed"]
    inside = all(_plausible(one["own"], signed, float(stake)) for stake, one in draws["own"].items())
    return [
        _claim("a pass draws a farmer's relay as often as its share of the stake", inside, "", designed=True),
        _claim("a farmer takes at most about its share of a pass", per_pass <= ABOUT, f"{per_pass:.1f} ×"),
        _claim(
            "a farmer's relays earn little more than their share of the stake",
            income <= ABOUT,
            f"{income:.1f} ×",
        ),
        _claim(
            "uniform users never meet a cap",
            lost["refused"] == 0,
            f"at most {lost['at_most']:.1e}",
            designed=True,
        ),
        _claim(
            "relays let through, packet by packet, what is reckoned here in bulk",
            all(one["holds"] for one in checks),
            f"{len(checks)} relays",
            designed=True,
        ),
    ]


ABOUT = 1.5
"""How many times its share a farmer may have for "about its share": a quarter, and deviations."""


def _plausible(hits: int, tries: int, chance: float) -> bool:
    """Whether so many hits are within four deviations, and one, of what is expected."""
    return abs(hits - tries * chance) <= 4 * sqrt(tries * chance * (1 - chance)) + 1


def _claim(text: str, holds: bool, figure: str, *, designed: bool = False) -> dict[str, Any]:
    return {"claim": text, "designed": designed, "holds": holds, "figure": figure}
