"""What a redeeming relay asks the pool about campaigns."""

from __future__ import annotations

from typing import Protocol

from mixpay.chain.contracts import Contracts
from mixpay.passes import Scope
from mixpay.types import Account, Amount


class PoolView(Protocol):
    """What the pool says. Blocks; raises ChainError."""

    def signer(self, campaign: int) -> Account:
        """Who signs the campaign's vouchers."""

    def hop_price(self, scope: Scope) -> Amount:
        """Fixed with the scope's key, in token units."""

    def claimed(self, campaign: int) -> Amount:
        """All-time total paid by the campaign to this relay."""


class ChainPool:
    """The `PoolView` of an operator's account on the chain."""

    def __init__(self, contracts: Contracts, operator: Account) -> None:
        self._pool = contracts.pool
        self._operator = operator

    def signer(self, campaign: int) -> Account:
        """See `PoolView`."""
        return self._pool.campaign(campaign).signer

    def hop_price(self, scope: Scope) -> Amount:
        """See `PoolView`."""
        return self._pool.key(scope.campaign, scope.kind, scope.period).hop_price

    def claimed(self, campaign: int) -> Amount:
        """See `PoolView`."""
        return self._pool.claimed_by(campaign, self._operator).claimed
