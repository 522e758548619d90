"""IRelayRegistry, without its tree: who stakes, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model.refused import require


@dataclass
class Relay:
    """One stake."""

    owner: Any
    left: int
    withdrawable_at: int = 0
    reporter: Any = None
    settled: bool = False


class Stakes:
    """`relays` by operator."""

    def __init__(self, stake: int, unbonding: int, penalty: int) -> None:
        self.stake, self.unbonding, self.penalty = stake, unbonding, penalty
        self.relays: dict[Any, Relay] = {}
        self.burnt = 0

    def register(self, owner: Any, operator: Any) -> None:
        require(operator not in self.relays, "OperatorUsed")
        self.relays[operator] = Relay(owner, self.stake)

    def leave(self, who: Any, operator: Any, now: int) -> None:
        relay = self.relays[operator]
        require(relay.owner == who, "NotOwner")
        require(not relay.withdrawable_at, "RelayHasLeft")
        self._evict(relay, now)

    def slash(self, operator: Any, wanted: int, now: int) -> int:
        relay = self.relays.get(operator)
        taken = min(wanted, self._reachable(relay)) if relay and relay.owner is not None else 0
        require(relay is not None and taken > 0, "NoStake")
        assert relay is not None
        relay.left -= taken
        self._evict(relay, now)
        return taken

    def condemn(self, operator: Any, reporter: Any, now: int) -> None:
        relay = self.relays[operator]
        require(relay.owner is not None, "RelayGone")
        require(relay.reporter is None, "AlreadyCondemned")
        relay.reporter = reporter
        self._evict(relay, now)

    def settle(self, operator: Any) -> int:
        """Return the bounty."""
        relay = self.relays[operator]
        require(relay.reporter is not None, "NotCondemned")
        require(not relay.settled, "PenaltyAlreadySettled")
        bounty = self.penalty * 5 // 100
        relay.left, relay.settled = relay.left - self.penalty, True
        self.burnt += self.penalty - bounty
        return bounty

    def withdraw(self, who: Any, operator: Any, now: int) -> None:
        """What a penalty may still take stays behind."""
        relay = self.relays[operator]
        require(relay.owner == who, "NotOwner")
        require(relay.withdrawable_at != 0, "RelayHasNotLeft")
        require(now >= relay.withdrawable_at, "StakeBound")
        open_ = relay.reporter is not None and not relay.settled
        relay.owner, relay.left = None, self.penalty if open_ else 0

    def _reachable(self, relay: Relay) -> int:
        """What judgements can take: never the penalty."""
        return relay.left if relay.settled else relay.left - self.penalty

    def _evict(self, relay: Relay, now: int) -> None:
        relay.withdrawable_at = relay.withdrawable_at or now + self.unbonding
