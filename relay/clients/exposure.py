"""How much a relay lets a campaign owe it before it is paid (docs/design.md §8)."""

from __future__ import annotations

from contextlib import suppress

from mixpay.errors import ChainError
from mixpay.passes import KIND_ENTRY, TICK_VALUE, EntryPassBook, Scope
from mixpay.types import Epoch, Term
from relay.state import State


def pass_limit(state: State, passes: EntryPassBook, scope: Scope) -> int:
    """Ticks of a scope that are taken in all: those that the campaign's budget guarantees this relay.

    From the caps that is taken what its passes of the other kind are worth if they count in the same epoch,
    for caps are an epoch's; from the budget, what all passes are worth that are not redeemed yet. Raises
    KeyError for a campaign that is not served, ChainError while the epoch's relays are not known.
    """
    epoch = _counts_in(state, scope)
    others = [other for other in passes.scopes() if other.campaign == scope.campaign and other != scope]
    worth = {other: TICK_VALUE * passes.ticks(other) * _price(state, other) for other in others}
    in_epoch = sum(amount for other, amount in worth.items() if _counts_in(state, other) == epoch)
    return state.pass_limit(scope, in_epoch, sum(worth.values()))


def renew_limits(state: State, passes: EntryPassBook) -> None:
    """Take `pass_limit` ticks of each scope from now on, also from those whose pass was shown long ago: what
    was taken of one kind, or withdrawn, is not there for the other any more.
    """
    for scope in passes.scopes():
        if scope.campaign in state.campaigns:
            with suppress(ChainError):  # the epoch's relays are not known yet: what held before holds on
                passes.limit(scope, pass_limit(state, passes, scope))


def _counts_in(state: State, scope: Scope) -> Epoch:
    """The epoch whose caps hold for a scope: the last one of its period."""
    return (
        Epoch(scope.period)
        if scope.kind == KIND_ENTRY
        else state.view.schedule.last_epoch(Term(scope.period))
    )


def _price(state: State, scope: Scope) -> int:
    key = state.view.pool_key(scope.campaign, scope.kind, scope.period)
    return 0 if key is None else key.hop_price
