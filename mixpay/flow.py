"""Flow caps: how much a relay forwards to one next hop (docs/design.md §6). A pure core; whole numbers only.

Honest senders draw each mix uniformly among the usable ones, so what a relay forwards in one role and epoch
spreads evenly over its next hops. A farmer's fake users send through the farmer's own relays only. Let each
packet forwarded have found u usable next hops (u may change from one to the next), and

    share = Σ 1/u              what one next hop can expect
    var   = Σ 1/u · (1 - 1/u)  the variance of a count with that expectation, packets being independent

Then one next hop gets at most

    share + share/4 + 8·√var + FEW + grace

- Statistics: by Bernstein's inequality a sum of independent indicators exceeds its mean by
  2L/3 + √(2·var·L) with probability at most e^-L, at any n. Eight standard deviations are L = 32, FEW is
  ⌈2L/3⌉, which covers the first packets, where a count is nothing like a normal variable. The quarter
  comes on top: the more packets, the further away the cap.
- The quarter is for senders' views that differ from ours, and for paths that avoid their own entry and
  mailbox: a sender that avoids two of u gives each of the others 1/(u-2), within 5/4u from u = 10 on.
- `grace` is for networks with fewer: packets of one sender are not independent there, as all avoid the same
  mailbox. While u < 10, each packet forwarded adds one to it, up to what one pass pays for. What a farmer
  gains by that is once an epoch, and a payer, a pass's worth for each of its relays.

A next hop that was down has the same share as others, so what waited for it may follow; it is only counted
among the usable ones while it is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isqrt

import msgspec

from mixpay.errors import MixpayError
from mixpay.types import RelayId

FEW = 22
"""Packets beyond eight deviations that small counts need: two thirds of L = 8²/2."""
SMALL = 10
"""Below so many next hops, avoiding two of them can exceed a quarter more than the fair share."""
MOST_GRACE = 64 * 256
"""Packets that one pass pays for: one sender's day."""

_UNIT = 1 << 24
"""Fixed point of shares and variances: errors below 2^-16 of a share, for any u up to 256."""


class FlowMeter:
    """What one relay forwarded in one role and epoch, and to whom. `usable`: its usable next hops, u."""

    __slots__ = ("_counts", "_grace", "_share", "_share_each", "_small", "_usable", "_var", "_var_each")

    def __init__(self, usable: int = 1) -> None:
        self._counts: dict[RelayId, int] = {}
        self._share = self._var = self._grace = 0
        self._usable = 0
        self.use(usable)

    def use(self, usable: int) -> None:
        """From now on so many next hops are usable; with none it is as with one, as nothing is forwarded."""
        usable = max(1, usable)
        if usable == self._usable:
            return
        self._usable, self._small = usable, usable < SMALL
        self._share_each = -(-_UNIT // usable)
        self._var_each = -(-_UNIT * (usable - 1) // usable**2)

    @property
    def usable(self) -> int:
        """How many next hops are usable, at least 1."""
        return self._usable

    @property
    def forwarded(self) -> int:
        """Packets forwarded to anybody."""
        return sum(self._counts.values())

    def count(self, next_hop: RelayId) -> int:
        """Packets forwarded to one next hop."""
        return self._counts.get(next_hop, 0)

    @property
    def cap(self) -> int:
        """The most that one next hop may have got, after the next packet; whoever that goes to."""
        share, var = self._share + self._share_each, self._var + self._var_each
        return (5 * share) // (4 * _UNIT) + isqrt(64 * var // _UNIT) + self._grace + FEW

    def allows(self, next_hop: RelayId) -> bool:
        """Whether one more packet may go to this next hop."""
        count = self._counts.get(next_hop, 0)
        # The share alone is enough for nearly every packet, and needs no root.
        return 4 * _UNIT * (count - FEW) < 5 * self._share or count < self.cap

    def add(self, next_hop: RelayId) -> None:
        """A packet went to this next hop."""
        counts = self._counts
        counts[next_hop] = counts.get(next_hop, 0) + 1
        self._share += self._share_each
        self._var += self._var_each
        if self._small and self._grace < MOST_GRACE:
            self._grace += 1

    # ------------------------------------------------------------------ memory

    def state(self) -> list[int]:
        """All that it knows, but for how many are usable now: plain numbers, for `restored`."""
        return [self._share, self._var, self._grace, *(n for pair in self._counts.items() for n in pair)]

    @classmethod
    def restored(cls, state: Iterable[int]) -> FlowMeter:
        """The meter whose `state` this was. Raises MixpayError if it is none."""
        numbers = list(state)
        if len(numbers) < 3 or len(numbers) % 2 == 0 or min(numbers) < 0:
            raise MixpayError("no flow was counted like this")
        meter = cls()
        meter._share, meter._var, meter._grace = numbers[:3]
        meter._counts = {RelayId(hop): n for hop, n in zip(numbers[3::2], numbers[4::2], strict=True)}
        return meter


Meters = dict[tuple[int, int], FlowMeter]
"""By key epoch and role (`mixpay.layers.Role`)."""


def encode(meters: Meters) -> bytes:
    """Meters as they are kept on disk: MessagePack, a list of [epoch, role, state]."""
    return msgspec.msgpack.encode([[*key, meter.state()] for key, meter in meters.items()])


def decode(data: bytes) -> Meters:
    """Read what `encode` wrote. Raises MixpayError for anything else."""
    try:
        rows = msgspec.msgpack.decode(data, type=list[tuple[int, int, list[int]]])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MixpayError(f"unreadable flows: {error}") from None
    return {(epoch, role): FlowMeter.restored(state) for epoch, role, state in rows}
