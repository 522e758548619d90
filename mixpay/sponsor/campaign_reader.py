"""Reads what the chain says of one campaign: terms, every movement of its budget, keys, relays. Blocks.

What was read is compared with what the pool says at the same block, so that a node that has lost old events
is found out.
"""

from __future__ import annotations

from mixpay.amounts import shown
from mixpay.chain.contracts import Contracts
from mixpay.chain.errors import Reverted
from mixpay.chain.events import Event, KeySet, Registered
from mixpay.chain.follower import Follower
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import NOBODY
from mixpay.deployment import Deployment
from mixpay.epochs import Schedule
from mixpay.errors import ChainUnavailable, UserError
from mixpay.sponsor.facts import ChainFacts
from mixpay.sponsor.keys import Period
from mixpay.sponsor.movements import Movement, budget, movements
from mixpay.types import Account, Amount, Epoch, RelayId

SET_KEY_GAS = 93_671
"""What registering a key takes (docs/gas.md)."""


class CampaignReader:
    """One campaign, followed: each `read` asks for what is new."""

    def __init__(self, rpc: Rpc, deployment: Deployment, campaign: int) -> None:
        self._rpc, self._deployment, self._campaign = rpc, deployment, campaign
        self.schedule = Schedule(deployment.genesis, deployment.epoch_length, deployment.term_length)
        self._follower = Follower(rpc, deployment, contracts=["SubsidyPool", "RelayRegistry"])
        self._movements: list[Movement] = []
        self._keys: list[tuple[int, Period, Amount]] = []
        self._relays: list[tuple[int, Account, RelayId]] = []

    def read(self) -> ChainFacts:
        """Raises ChainError, and UserError if there is no such campaign."""
        while True:
            batch = self._follower.poll()
            if batch.reverted_to is not None:
                self._forget_after(batch.reverted_to)
            for event in batch.events:
                self._take(event)
            if batch.head >= batch.latest:
                return self._facts(batch.head)

    def time_of(self, block: int) -> int:
        """When a block was made, in seconds of chain time. Raises ChainUnavailable."""
        found = self._rpc.block(block)
        if found is None:
            raise ChainUnavailable(f"{self._rpc.shown} has lost block {block}; use another endpoint")
        return found.timestamp

    def _forget_after(self, block: int) -> None:
        self._movements = [movement for movement in self._movements if movement.block <= block]
        self._keys = [key for key in self._keys if key[0] <= block]
        self._relays = [relay for relay in self._relays if relay[0] <= block]

    def _take(self, event: Event) -> None:
        match event:
            case Registered():
                self._relays.append((event.block, event.operator, event.id))
            case KeySet() if event.campaign == self._campaign:
                self._keys.append((event.block, Period(event.kind, event.period), event.hop_price))
            case _:
                self._movements += movements(self.schedule, self._campaign, [event])

    def _facts(self, head: int) -> ChainFacts:
        contracts = Contracts(self._rpc, self._deployment, head)
        terms, now = contracts.pool.campaign(self._campaign), self.time_of(head)
        if terms.sponsor == NOBODY:
            raise UserError(f"there is no campaign {self._campaign} in this deployment: check sponsor.toml")
        found = budget(self._movements)
        if found != terms.budget:
            raise ChainUnavailable(
                f"the events that {self._rpc.shown} knows come to a budget of {shown(found)} tokens, but "
                f"there are {shown(terms.budget)}: it has not kept all of them; use an endpoint that has"
            )
        return ChainFacts(
            campaign=self._campaign,
            head=head,
            now=now,
            terms=terms,
            relays=self._places(contracts, self.schedule.epoch_at(now)),
            ids={account: relay for _, account, relay in self._relays},
            movements=tuple(self._movements),
            prices={period: price for _, period, price in self._keys},
            hop_price=self._hop_price(contracts),
            signer_wei=self._rpc.balance(terms.signer),
            registration_wei=SET_KEY_GAS * self._rpc.gas_price(),
        )

    def _places(self, contracts: Contracts, epoch: Epoch) -> int:
        try:
            return contracts.registry.frozen(epoch).count
        except Reverted:  # nobody has touched the registry in this epoch yet
            return contracts.registry.count()

    def _hop_price(self, contracts: Contracts) -> Amount:
        try:
            return contracts.network.release().hop_price
        except Reverted:  # the first release is not in force yet
            return self._deployment.parameters.hop_price
