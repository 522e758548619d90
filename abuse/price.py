"""What an account has to cost so that farming does not pay.

    a pass is worth to a farmer      share × 16,384 × 5 hop prices
    an account stops paying at       passes it gets in its life × that

What a pass for a proof of work costs: abuse/work.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from mixpay.parameters import PRODUCTION, TOKEN
from mixpay.passes.terms import TICKS
from mixpay.types import HOPS

PULL = TICKS * HOPS
"""Hop prices that one pass can take from the pool."""
HOP_PRICES = (10**10, 10**11, 10**12, 10**13, 10**14)
"""In the token's smallest units; the middle one is the default."""
QUOTAS = (1, 7, 30, 365)
"""Passes that an account gets in its life: one; a week's; a month's; a year's, one a day."""
ACCOUNTS = (0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
"""What an account may cost an attacker, in tokens."""


def tokens(hop_prices: float, hop_price: int = PRODUCTION.hop_price) -> float:
    """Tokens that so many hop prices are."""
    return hop_prices * hop_price / TOKEN


def break_even(share: float, quota: int, hop_price: int = PRODUCTION.hop_price) -> float:
    """Tokens that an account of so many passes must cost, if a farmer takes this share of what each pulls."""
    return quota * tokens(share * PULL, hop_price)


def most_passes(account: float, share: float) -> int:
    """Passes that an account which costs so many tokens can be given without paying a farmer."""
    return int(account / break_even(share, 1)) if share else 0


def best_volume(takes: Mapping[int, int], account: float, quota: int = 1) -> tuple[int, float]:
    """The number of passes, of those in `takes` (hop prices taken with so many), that profits most, and the
    profit in tokens; 0 passes if none does.
    """
    profits = {passes: tokens(taken) - account * passes / quota for passes, taken in takes.items()}
    best = max(profits, key=lambda passes: profits[passes])
    return (best, profits[best]) if profits[best] > 0 else (0, 0.0)
