"""Sums over what an issuer's store keeps: what a sponsor is told. They name no identity and no pass.

Periods whose counts were forgotten are in them: the store adds up before it forgets.
"""

from __future__ import annotations

from dataclasses import dataclass

from mixpay.types import Account


@dataclass(frozen=True, slots=True)
class Issued:
    """Passes signed of a kind and period, and for how many identities."""

    kind: int
    period: int
    identities: int
    passes: int


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Passes of a kind and period that a relay's account was credited for, and their ticks."""

    relay: Account
    kind: int
    period: int
    passes: int
    ticks: int
