"""What the court's desk asks the chain. Blocks; raises ChainError."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mixpay.chain.contracts import Contracts
from mixpay.chain.follower import Batch, Follower
from mixpay.chain.rpc import Rpc
from mixpay.network import NetworkView
from mixpay.types import Account, Amount, RelayId
from relay.court.facts import CaseFacts, Facts, Judged, Moment, PayeeFacts, PayerFacts

_NO_SEED = bytes(32)


class Reader:
    """Follows the court, and completes facts."""

    def __init__(
        self, rpc: Rpc, contracts: Contracts, follower: Follower, me: Account, view: NetworkView
    ) -> None:
        self._rpc = rpc
        self._contracts = contracts
        self._follower = follower
        self._me = me
        self._view = view

    def poll(self) -> Iterator[Batch]:
        """All that the court has reported since the last poll."""
        while True:
            batch = self._follower.poll()
            yield batch
            if batch.head >= batch.latest:
                return

    def moment(self, now: int, block: int) -> Moment:
        """What we have."""
        in_flight = self._rpc.nonce(self._me, "pending") - self._rpc.nonce(self._me, "latest")
        return Moment(
            now=now,
            block=block,
            ledger=self._contracts.channels.balance_of(self._me),
            tokens=self._contracts.token.balance_of(self._me),
            ether=self._rpc.balance(self._me),
            in_flight=max(0, in_flight),
        )

    def complete(self, facts: Facts) -> Facts:
        """The same with cases and judgements as the chain has them."""
        return replace(
            facts,
            payers=tuple(map(self._payer, facts.payers)),
            payees=tuple(map(self._payee, facts.payees)),
        )

    def _payer(self, f: PayerFacts) -> PayerFacts:
        pair = (f.account, self._me)
        return replace(f, case=self._case(f.case), judged=self._judged(f.judged, f.relay, *pair))

    def _payee(self, f: PayeeFacts) -> PayeeFacts:
        pair = (self._me, f.account)
        return replace(f, case=self._case(f.case), judged=self._judged(f.judged, None, *pair))

    def _case(self, facts: CaseFacts | None) -> CaseFacts | None:
        if facts is None:
            return None
        case = facts.case
        found, seed = self._contracts.court.open_case(case.payer, case.payee)
        return replace(facts, is_open=found == case.hash, seed=b"" if seed == _NO_SEED else seed)

    def _judged(
        self, judged: Judged | None, relay: RelayId | None, payer: Account, payee: Account
    ) -> Judged | None:
        """`relay`: the payer's, whose stake stands behind it; None where that does not matter."""
        if judged is None or not judged.lacking:
            return judged
        newest = self._contracts.court.judgement(payer, payee)
        stake = self._collectable(relay) if relay is not None else Amount(0)
        deposit = self._contracts.channels.channel(payer, payee).deposit
        return Judged(newest.total, newest.number, newest.judged_at, deposit, stake)

    def _collectable(self, relay: RelayId) -> Amount:
        """What judgements can still take of a stake. The registry keeps the penalty back, even before there
        is one; once settled, it is not in what is left. A view that lags makes it too little."""
        view = self._view
        settled = relay in view.condemned and relay not in view.unsettled_penalties
        kept = 0 if settled else view.deployment.parameters.penalty
        return Amount(max(0, self._contracts.registry.stake_left(relay) - kept))
