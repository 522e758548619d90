"""The meters of `mixpay/flow.py` for many packets at once.

A meter's share and variance are sums over packets, so what it would say after n of them, all with the same
next hops usable, is what one that is restored with n times the sums of one packet says. The cap itself is the
meter's own. `onebyone.py` sends packet by packet instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from mixpay.flow import SMALL, FlowMeter
from mixpay.types import RelayId


def loaded(hops: Sequence[RelayId], counts: Sequence[int]) -> FlowMeter:
    """A meter that has forwarded `counts[i]` packets to `hops[i]`, all hops being usable all the time.

    Raises ValueError for so few hops that packets have a grace.
    """
    share, var = _of_one(len(hops))
    packets = sum(counts)
    pairs = (number for pair in zip(hops, counts, strict=True) for number in pair)
    meter = FlowMeter.restored([share * packets, var * packets, 0, *pairs])
    meter.use(len(hops))
    return meter


def cap_after(usable: int, packets: int) -> int:
    """The most that one next hop may have got, once a relay has forwarded so many packets."""
    share, var = _of_one(usable)
    before = max(0, packets - 1)
    meter = FlowMeter.restored([share * before, var * before, 0])
    meter.use(usable)
    return meter.cap


_ONES: dict[int, tuple[int, int]] = {}


def _of_one(usable: int) -> tuple[int, int]:
    if usable < SMALL:
        raise ValueError("with so few next hops packets have a grace")
    if usable not in _ONES:
        meter = FlowMeter(usable)
        meter.add(RelayId(1))
        share, var, *_ = meter.state()
        _ONES[usable] = share, var
    return _ONES[usable]
