"""A farm's packets at one payer, one by one, through the meter that the payer has in `relay/path/flows.py`.

The bulk of `farm.py` says how many the farmer's next hops get once all are through. Here each asks the meter,
as it would at the relay: to the emptiest of the farmer's next hops while that is allowed, else to another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace

from abuse.caps import loaded
from mixpay.layers import Role
from mixpay.types import RelayId


@dataclass(frozen=True, slots=True)
class Check:
    """Packets at a payer, and how many of them reach the farmer: in bulk, and one by one."""

    role: Role
    packets: int
    bulk: int
    one_by_one: int
    hops: int
    """The farmer's among the payer's next hops."""

    @property
    def holds(self) -> bool:
        """Whether both are the same, but for two packets a hop: the cap rises until the last packet."""
        return abs(self.bulk - self.one_by_one) <= 2 * self.hops


def one_by_one(
    hops: Sequence[RelayId],
    counts: Sequence[int],
    own: Collection[RelayId],
    others: Sequence[RelayId],
    packets: int,
) -> int:
    """How many of these packets reach next hops in `own`. `others`: the rest, those first that it prefers.

    Raises AssertionError if a packet is refused everywhere.
    """
    meter = loaded(hops, counts)
    mine = [(count, hop) for hop, count in zip(hops, counts, strict=True) if hop in own]
    heapify(mine)
    taken = turn = 0
    for _ in range(packets):
        if mine and meter.allows(mine[0][1]):
            count, hop = mine[0]
            heapreplace(mine, (count + 1, hop))
            taken += 1
        else:
            tries = 0
            while not meter.allows(others[turn]):
                turn, tries = (turn + 1) % len(others), tries + 1
                if tries > len(others):
                    raise AssertionError("every next hop is at its cap")
            hop = others[turn]
        meter.add(hop)
    return taken
