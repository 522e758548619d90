"""How many passes an issuer and all entries together can match to their issue by time alone.

All else that they hold tells nothing (tests/unit/test_unlinkability.py). What is compared:

    in need      no keeper: each pass is fetched when the first packet is to be sent
    ahead        a keeper that always runs: at a moment of the epoch before, which the real `Plan` draws
    at start-up  a keeper that runs with the computer: fetches when that starts, the user sends a while later
    spares       heavy users: the second pass of an epoch, fetched after half of the first is spent

Whoever matches knows these habits, and takes for each pass the issue that is likeliest: the last one before
its first packet; of a spare, any in the hour after half of that user's first pass was spent.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

from mixpay.client.prefetch import SECRET_BYTES, SPARE_BELOW, Held, Plan, WantSpare
from mixpay.epochs import Schedule
from mixpay.passes import KIND_ENTRY, TICKS
from mixpay.types import Epoch

DAY, HOUR = 86_400, 3_600
SCHEDULE = Schedule(0, DAY, 28)
EPOCH = Epoch(28)
REQUEST_SECONDS = 1.0
"""Mean time from the answer of the issuer to the first packet, where a pass is fetched in need."""


@dataclass(frozen=True, slots=True)
class Matched:
    """`right`: share of passes whose issue was guessed; `chance`: what a blind guess gets."""

    habit: str
    passes: int
    right: float
    chance: float


def study(users: int, seed: int) -> list[Matched]:
    """One epoch of a campaign with so many users who send, each from a moment of its own on."""
    dice = Random(seed)  # noqa: S311 - repeatable
    first = [SCHEDULE.start(EPOCH) + dice.random() * DAY for _ in range(users)]
    plans = [Plan(SCHEDULE, dice.randbytes(SECRET_BYTES), dice.randbytes) for _ in range(users)]
    in_need = [sent - dice.expovariate(1 / REQUEST_SECONDS) for sent in first]
    ahead = [float(plan.moments(KIND_ENTRY, EPOCH)[0]) for plan in plans]
    started = [sent - dice.expovariate(1 / HOUR) for sent in first]
    blind = 1 / users
    return [
        Matched("in need", users, _last_before(in_need, first), blind),
        Matched("ahead", users, max(rule(ahead, first) for rule in (_last_before, _in_turn)), blind),
        Matched("at start-up", users, _last_before(started, first), blind),
        _spares(plans, first, dice),
    ]


def over(epochs: int, users: int, seed: int) -> list[Matched]:
    """The mean of so many epochs, of other users each; `passes` of all together."""
    found = [study(users, seed + epoch) for epoch in range(epochs)]
    return [
        Matched(
            same[0].habit,
            sum(one.passes for one in same),
            fmean(one.right for one in same),
            fmean(one.chance for one in same),
        )
        for same in zip(*found, strict=True)
    ]


def _last_before(issued: Sequence[float], sent: Sequence[float]) -> float:
    """Share of right guesses where each pass is taken for the last one issued before it was spent."""
    order = sorted(range(len(issued)), key=issued.__getitem__)
    times = [issued[user] for user in order]
    guesses = (order[max(0, bisect_right(times, moment) - 1)] for moment in sent)
    return _right(guesses.__next__, len(sent))


def _in_turn(issued: Sequence[float], sent: Sequence[float]) -> float:
    """The same where passes are taken to be spent in the order in which they were issued."""
    by_issue, by_use = (sorted(range(len(side)), key=side.__getitem__) for side in (issued, sent))
    guess = dict(zip(by_use, by_issue, strict=True))
    return _right(iter(guess[user] for user in range(len(sent))).__next__, len(sent))


def _right(guess: Callable[[], int], users: int) -> float:
    return sum(guess() == user for user in range(users)) / users


def _spares(plans: Sequence[Plan], first: Sequence[float], dice: Random) -> Matched:
    """Of users who spend half of a pass within the epoch: the chance to pick the right one of the fetches in
    the time in which theirs must lie.
    """
    windows = []
    for plan, sent in zip(plans, first, strict=True):
        half = int(sent + dice.random() * (SCHEDULE.end(EPOCH) - sent))
        steps = plan.steps(half, EPOCH, _half_spent, None)
        windows += [(half, step.at) for step in steps if isinstance(step, WantSpare)]
    fetches = sorted(at for _, at in windows)
    picked = []
    for half, _ in windows:
        end = min(half + HOUR, SCHEDULE.end(EPOCH))
        candidates = bisect_left(fetches, end) - bisect_left(fetches, half)
        picked.append(1 / max(1, candidates))
    return Matched("spares", len(windows), sum(picked) / len(picked), 1 / len(windows))


def _half_spent(kind: int, period: int) -> Held:
    """The first pass of the epoch is half spent; those of all other periods are there."""
    if (kind, period) == (KIND_ENTRY, EPOCH):
        return Held(1, SPARE_BELOW)
    return Held(1, TICKS)
