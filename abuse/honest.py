"""What honest users lose to the caps: packets of uniform traffic, one by one, through a relay's meter.

    paths      whole passes from one entry, along paths that the client's own code draws, thin traffic
    entry      one entry with a busy day's packets
    mix1       one mix of layer 1 with a busy day's packets
    mix2       one of layer 2: there a client draws among the mixes that also serve the receiver's mailbox,
               and as each of them serves others, the draw is not quite uniform over all packets
    popular    the same, where one mailbox receives a part of all packets
    beside     an entry at which a farmer keeps its own mixes at their caps: how often honest draws meet one
    spite      the same with others' mixes, as many as fake packets by turns with honest ones can keep full

A packet that is refused is not counted by the meter, as in the relay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from abuse.market import Market
from mixpay.flow import FlowMeter
from mixpay.layers import Role
from mixpay.passes.terms import TICKS
from mixpay.types import RelayId

POPULAR = (0.01, 0.02, 0.05, 0.2, 1.0)
"""Parts of all packets that go to one mailbox."""
_SAME = 5
"""A sender's packets that cross one mix of layer 2 and go to one mailbox: 16,384 / 3,333."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Packets offered to a meter, and those it refused."""

    offered: int
    refused: int


def uniform(hops: Sequence[RelayId], packets: int, dice: Random) -> Loss:
    """Packets that draw among all next hops."""
    pick, number = dice.random, len(hops)
    return offer(FlowMeter(number), lambda: hops[int(pick() * number)], packets)


def offer(meter: FlowMeter, draw: Callable[[], RelayId], packets: int) -> Loss:
    """Packets through a meter, each to the next hop that it draws."""
    refused = 0
    for _ in range(packets):
        hop = draw()
        if meter.allows(hop):
            meter.add(hop)
        else:
            refused += 1
    return Loss(packets, refused)


class Meters:
    """The meters of a whole network, made as relays are met."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._meters: dict[tuple[Role, RelayId], FlowMeter] = {}

    def send(self, path: Sequence[RelayId]) -> bool:
        """Whether a packet is refused nowhere. `path`: entry and three mixes."""
        for role, (payer, hop) in enumerate(pairwise(path)):
            meter = self._meter(Role(role), payer)
            if not meter.allows(hop):
                return False
            meter.add(hop)
        return True

    def _meter(self, role: Role, payer: RelayId) -> FlowMeter:
        known = self._meters.get((role, payer))
        if known is None:
            known = FlowMeter(len(self._market.next_hops(payer, role)))
            self._meters[role, payer] = known
        return known


def paths(market: Market, users: int, dice: Random) -> Loss:
    """Users of one entry, each with a pass and one correspondent. Paths as `mixpay.layers` draws them."""
    everybody = [record.id for record in market.snapshot.relays]
    entry, meters, lost = dice.choice(everybody), Meters(market), 0
    for _ in range(users):
        mailbox = dice.choice(everybody)
        for _ in range(TICKS):
            path = market.layers.draw_path(entry, mailbox, _up, dice.randbytes)
            lost += not meters.send((entry, *path))
    return Loss(users * TICKS, lost)


def _up(_: RelayId) -> bool:
    return True


class LastMixes:
    """One mix of layer 2, and for each mailbox those of its next hops that serve it."""

    def __init__(self, market: Market, mix: RelayId) -> None:
        self.hops = market.next_hops(mix, Role.MIX2)
        self._before: dict[RelayId, list[RelayId]] = {}
        for record in market.snapshot.relays:
            serve = market.layers.serves
            self._before[record.id] = [hop for hop in self.hops if serve(hop, Role.MIX3, record.id)]
        # From a mix 2 without a way to the mailbox the client draws another path.
        self._mailboxes = [mailbox for mailbox, hops in self._before.items() if hops]

    def offer(self, packets: int, popular: float, dice: Random) -> Loss:
        """Packets, a part of which go to one mailbox and the rest to all, a few of each sender."""
        favourite = self._before[dice.choice(self._mailboxes)]
        pick, mailboxes, current, left = dice.random, self._mailboxes, favourite, 0

        def draw() -> RelayId:
            nonlocal current, left
            if not left:
                known = pick() < popular
                current = favourite if known else self._before[mailboxes[int(pick() * len(mailboxes))]]
                left = _SAME
            left -= 1
            return current[int(pick() * len(current))]

        return offer(FlowMeter(len(self.hops)), draw, packets)


SPITED = 0.55
"""Part of an entry's next hops that is attacked. One fake packet for each honest one keeps so many full,
about: the caps are 5/4 of a fair share, so 5/4 · s · (2 - s) = 1. More of them cost no more packets.
"""


def spite(hops: Sequence[RelayId], packets: int, dice: Random) -> Loss:
    """The same at somebody else's cost: the farmer fills others' mixes, to turn honest packets away."""
    return beside(hops, frozenset(hops[: int(SPITED * len(hops))]), packets, dice)


def beside(hops: Sequence[RelayId], own: frozenset[RelayId], packets: int, dice: Random) -> Loss:
    """Honest packets by turns with a farmer's, who fills its own next hops whenever they have room."""
    meter, mine = FlowMeter(len(hops)), [hop for hop in hops if hop in own]
    others = [hop for hop in hops if hop not in own]
    refused = turn = 0
    for _ in range(packets):
        free = next((hop for hop in mine if meter.allows(hop)), None)
        turn = (turn + 1) % len(others)
        meter.add(free if free is not None else others[turn])
        hop = hops[int(dice.random() * len(hops))]
        if meter.allows(hop):
            meter.add(hop)
        else:
            refused += 1
    return Loss(packets, refused)
