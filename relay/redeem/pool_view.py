"""What a redeeming relay asks the pool, and sends to it. Everything blocks and raises ChainError."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mixpay import merkle
from mixpay.chain.contracts import Contracts
from mixpay.chain.sender import Sender
from mixpay.chain.views import PaidToRelay, RelayProof
from mixpay.crypto.hashing import keccak256
from mixpay.errors import ChainUnavailable
from mixpay.network import NetworkView
from mixpay.passes import Redemption, Scope
from mixpay.types import Account, Amount, Epoch, RelayId
from relay.store import StoredPoolVoucher


class PoolView(Protocol):
    """The pool, as one relay uses it."""

    def signer(self, campaign: int) -> Account:
        """Who signs the campaign's vouchers."""

    def hop_price(self, scope: Scope) -> Amount:
        """Fixed with the scope's key, in token units."""

    def paid(self, campaign: int) -> PaidToRelay:
        """What the campaign has paid to this relay."""

    def left(self, campaign: int, epoch: Epoch) -> Amount:
        """What budget and caps leave for this relay and an epoch."""

    def is_redeemed(self, digest: bytes) -> bool:
        """Whether the pool has paid for a pass."""

    def claim(self, voucher: StoredPoolVoucher) -> None:
        """Submit a voucher, and wait until that is mined. Raises NoEther, too."""

    def redeem(self, scope: Scope, modulus: bytes, epoch: Epoch, passes: Sequence[Redemption]) -> None:
        """Redeem passes, all or none, and wait until that is mined. `epoch`: whose relays they draw from.

        Raises NoEther, too.
        """


class ChainPool:
    """The `PoolView` of an operator's account on the chain. See there."""

    def __init__(self, contracts: Contracts, sender: Sender, view: NetworkView, me: RelayId) -> None:
        self._pool = contracts.pool
        self._sender = sender
        self._view = view
        self._me = me

    def signer(self, campaign: int) -> Account:
        """See `PoolView`."""
        return self._pool.campaign(campaign).signer

    def hop_price(self, scope: Scope) -> Amount:
        """See `PoolView`."""
        return self._pool.key(scope.campaign, scope.kind, scope.period).hop_price

    def paid(self, campaign: int) -> PaidToRelay:
        """See `PoolView`."""
        return self._pool.claimed_by(campaign, self._sender.account)

    def left(self, campaign: int, epoch: Epoch) -> Amount:
        """See `PoolView`."""
        terms, paid = self._pool.campaign(campaign), self.paid(campaign)
        in_period = paid.in_period if paid.period == epoch else 0
        paid_to_all = self._pool.paid_in_period(campaign, epoch)
        return Amount(min(terms.relay_cap - in_period, terms.period_cap - paid_to_all, terms.budget))

    def is_redeemed(self, digest: bytes) -> bool:
        """See `PoolView`."""
        return self._pool.is_redeemed(digest)

    def claim(self, voucher: StoredPoolVoucher) -> None:
        """See `PoolView`."""
        total = Epoch(voucher.period), voucher.cumulative, voucher.signature
        self._sender.send(self._pool.claim(voucher.campaign, *total))

    def redeem(self, scope: Scope, modulus: bytes, epoch: Epoch, passes: Sequence[Redemption]) -> None:
        """See `PoolView`."""
        key = scope.campaign, scope.kind, scope.period, modulus
        self._sender.send(self._pool.redeem_passes(*key, self._place(epoch), passes))

    def _place(self, epoch: Epoch) -> RelayProof:
        snapshot = self._view.snapshot(epoch)
        record = snapshot.by_id(self._me)
        if record is None:
            raise ChainUnavailable(f"relay {self._me} is not seen in epoch {epoch}, whose passes it took")
        leaves = [merkle.EMPTY] * snapshot.count
        for relay in snapshot.relays:
            leaves[relay.position] = relay.leaf()
        siblings = merkle.proof(leaves, record.position)
        endpoint = keccak256(record.endpoint_bytes)
        return RelayProof(record.id, record.position, record.link_key, endpoint, siblings)
