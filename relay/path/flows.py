"""Flow caps in the data path: what counts, who is usable, what is kept. The rule is `mixpay/flow.py`'s.

asked     before a packet is acknowledged, or a client's tick is taken: a refusal moves no money, and its
          payer hears of it at once. Dropped after its ack, it would be lost in silence, and the payer be paid
          for it.
counted   when it is taken, though it may be dropped yet: else a crowd that asks for a minute's delay would
          be in before the first of it counts, and honest packets be refused until the cap has caught up.
mailbox   no cap for the last hop: it is the receiver's choice, not the sender's draw.
usable    a next hop whose link is up, which we have not cut off, for which nothing waits longer than `SLOW`,
          and whose packet key of the epoch is known (clients draw no others). Counted anew at each tick.
kept      all meters in one row, a second after they changed. A crash forgets that second in the counts and in
          the shares alike, so it takes from no honest sender.
"""

from __future__ import annotations

from collections.abc import Callable

from mixpay.flow import FlowMeter, Meters
from mixpay.layers import Role
from mixpay.types import Epoch, RelayId
from relay.keys.epoch_keys import EpochKeys
from relay.store import StoreOp, flows_op

FLOW_CAP = "flow_cap"
"""Why a packet is refused: its next hop has had more than its share."""
SLOW = 1.0
"""Seconds that packets may wait for a next hop before it counts as not usable."""
KEEP_EVERY = 1.0
"""Seconds between two looks whether there is something new to keep."""

_ROLES = (Role.ENTRY, Role.MIX1, Role.MIX2)


class Flows:
    """The meters of one relay's key epochs.

    `published`: whether a relay's packet key of an epoch is known. `stored`: what was kept in an earlier run.
    """

    def __init__(
        self,
        me: RelayId,
        published: Callable[[Epoch, RelayId], bool] = lambda epoch, relay: True,
        stored: Meters | None = None,
    ) -> None:
        self._me = me
        self._published = published
        self._epochs: dict[Epoch, EpochKeys] = {}
        self._meters = dict(stored or {})
        self._changed = False
        self._keep_at = 0.0

    def use_epochs(self, epochs: dict[Epoch, EpochKeys]) -> None:
        """Take the key epochs in use from now on; what was counted in others is over."""
        self._epochs = epochs
        kept: Meters = {}
        for epoch, keys in epochs.items():
            for role in _ROLES:
                if role is Role.ENTRY or keys.layers.layer(self._me) == role:
                    kept[epoch, role] = self._meters.get((epoch, role)) or FlowMeter()
        self._meters = kept

    def survey(self, reachable: Callable[[RelayId], bool]) -> None:
        """Count the usable next hops of every epoch and role. `reachable`: packets could go there now."""
        for (number, role), meter in self._meters.items():
            epoch = Epoch(number)
            hops = self._epochs[epoch].layers.successors(self._me, Role(role))
            meter.use(sum(reachable(hop) and self._published(epoch, hop) for hop in hops))

    def allows(self, epoch: Epoch, role: int, next_hop: RelayId) -> bool:
        """Whether a packet of a key epoch, for which this relay has a role, may go to this next hop."""
        meter = self._meters.get((epoch, role))
        return meter is None or meter.allows(next_hop)

    def add(self, epoch: Epoch, role: int, next_hop: RelayId) -> None:
        """Such a packet was taken, to go there."""
        meter = self._meters.get((epoch, role))
        if meter is not None:
            meter.add(next_hop)
            self._changed = True

    def to_keep(self, now: float) -> list[StoreOp]:
        """What is to be written at this moment, if anything."""
        if not self._changed or now < self._keep_at:
            return []
        self._changed, self._keep_at = False, now + KEEP_EVERY
        return [flows_op(self._meters)]
