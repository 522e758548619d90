"""How far a relay has come that has left, for its operator."""

from __future__ import annotations

from collections.abc import Callable

from mixpay.chain.contracts import RelayRegistry
from mixpay.types import Amount
from relay.operator.answers import LeavingAnswer
from relay.operator.departure import Departure, departure, left_at, progress
from relay.state import State


class Leaving:
    """One relay's. `left_to_do`: why its daemon has to go on."""

    def __init__(self, state: State, registry: RelayRegistry, left_to_do: Callable[[], list[str]]) -> None:
        self._state, self._registry, self._left_to_do = state, registry, left_to_do
        self._plan: Departure | None = None
        self._stake = Amount(0)

    def read(self) -> None:
        """Ask the chain when the stake is free, once the relay has left. Blocks; raises ChainError."""
        view, me = self._state.view, self._state.me
        if self._plan is not None or view.relay(me) is not None:
            return
        bound = self._registry.relay(me).withdrawable_at
        if bound:
            parameters = view.deployment.parameters
            self._stake = self._registry.stake_left(me)
            self._plan = departure(view.schedule, parameters, left_at(bound, parameters))

    @property
    def stake_back(self) -> int | None:
        """When the stake is free, once that is known."""
        return self._plan.stake_back if self._plan is not None else None

    def answer(self) -> LeavingAnswer | None:
        """None while the relay is registered, or the chain was not asked yet."""
        plan = self._plan
        if plan is None:
            return None
        return LeavingAnswer(
            left_at=plan.left_at,
            serves_until=plan.serves_until,
            channels_back=plan.channels_back,
            stake_back=plan.stake_back,
            stake=str(self._stake),
            progress=progress(plan, self._state.chain_time, self._left_to_do()),
        )
