"""Honest traffic of an epoch, in every relay's meters.

Each honest user spends a pass at the entry it draws. Every packet goes to a uniform next hop, so what a relay
forwards to each is binomial; it is drawn as a rounded normal number here (`honest.py` sends packet by packet,
along paths of the client's drawing). What a mix forwards is what it was sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from random import Random

from abuse.market import PAYERS, Market
from mixpay.layers import Role
from mixpay.passes.terms import TICKS
from mixpay.types import RelayId


@dataclass(frozen=True, slots=True)
class Load:
    """Packets that each payer has forwarded, by role, in the order of its next hops."""

    counts: Mapping[Role, Mapping[RelayId, list[int]]]

    def of(self, payer: RelayId, role: Role) -> list[int]:
        """What a payer forwarded in a role."""
        return self.counts[role][payer]


def honest_load(market: Market, passes: Mapping[RelayId, int], dice: Random) -> Load:
    """The load of honest users, `passes` at each entry."""
    arrived: Mapping[RelayId, int] = {relay: number * TICKS for relay, number in passes.items()}
    counts: dict[Role, dict[RelayId, list[int]]] = {}
    for role in PAYERS:
        sent: Counter[RelayId] = Counter()
        of_role = counts[role] = {}
        for payer in market.payers(role):
            hops = market.next_hops(payer, role)
            of_role[payer] = forwarded = _spread(arrived.get(payer, 0), len(hops), dice)
            for hop, number in zip(hops, forwarded, strict=True):
                sent[hop] += number
        arrived = sent
    return Load(counts)


def _spread(packets: int, hops: int, dice: Random) -> list[int]:
    if not packets:
        return [0] * hops
    mean = packets / hops
    deviation = sqrt(mean * (1 - 1 / hops))
    gauss = dice.gauss
    return [max(0, round(gauss(mean, deviation))) for _ in range(hops)]
