"""What an account, or a pass of the commons, has to cost so that farming does not pay.

    a pass is worth to a farmer      share × 16,384 × 5 hop prices
    an account stops paying at       passes it gets in its life × that
    a pass by proof of work costs    2^bits attempts / attempts an hour × price of the hour

Prices of machines and the token's price are assumptions, and stand in the report beside what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log2

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
TOKEN_PRICE = 1.0
"""Assumed: dollars for a token."""
SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Machine:
    """What tries proofs of work. Assumed, both: dollars an hour, and SHA-256 attempts a second."""

    name: str
    hour: float
    attempts: float


MACHINES = (
    Machine("one rented core", 0.04, 1e7),
    Machine("one rented graphics card", 0.4, 5e9),
)
"""A core: about what large clouds ask for one on demand; attempts with the processor's SHA instructions.
A card: about what is asked for a consumer's card, with published rates of password crackers."""
BITS = (20, 24, 28, 32, 36, 40)


def tokens(hop_prices: float, hop_price: int = PRODUCTION.hop_price) -> float:
    """Tokens that so many hop prices are."""
    return hop_prices * hop_price / TOKEN


def break_even(share: float, quota: int, hop_price: int = PRODUCTION.hop_price) -> float:
    """Tokens that an account of so many passes must cost, if a farmer takes this share of what each pulls."""
    return quota * tokens(share * PULL, hop_price)


def most_passes(account: float, share: float) -> int:
    """Passes that an account which costs so many tokens can be given without paying a farmer."""
    return int(account / break_even(share, 1)) if share else 0


def work(bits: int, machine: Machine) -> float:
    """Dollars that one pass costs by a proof of work with 2^bits attempts, expected."""
    return 2.0**bits / (machine.attempts * SECONDS) * machine.hour


def bits_to_stop(share: float, machine: Machine, token_price: float = TOKEN_PRICE) -> int:
    """Difficulty at which a pass costs as much as a farmer takes of it."""
    worth = break_even(share, 1) * token_price
    return ceil(log2(worth / work(0, machine)))


def best_volume(takes: Mapping[int, int], account: float, quota: int = 1) -> tuple[int, float]:
    """The number of passes, of those in `takes` (hop prices taken with so many), that profits most, and the
    profit in tokens; 0 passes if none does.
    """
    profits = {passes: tokens(taken) - account * passes / quota for passes, taken in takes.items()}
    best = max(profits, key=lambda passes: profits[passes])
    return (best, profits[best]) if profits[best] > 0 else (0, 0.0)
