"""The demo's chain: anvil or ganache, the contracts, a faucet, and a clock that the story moves on."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from mixpay import deployment as deployments
from mixpay.chain.contracts import Contracts
from mixpay.chain.deploy import deploy
from mixpay.chain.devchain import DevChain
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.deployment import Deployment
from mixpay.epochs import Schedule
from mixpay.parameters import DEMO
from mixpay.types import Account, Amount, Epoch

ETHER = 10**18


class DemoChain:
    """The contracts on a development chain that runs. Whoever deployed them has all tokens."""

    def __init__(self, chain: DevChain, folder: Path, progress: Callable[[str], None]) -> None:
        self._chain = chain
        self.rpc: Rpc = chain.rpc
        self._faucet = Sender(self.rpc, secrets.token_bytes(32))
        chain.fund(self._faucet.account, 1_000 * ETHER)
        self.deployment: Deployment = deploy(self.rpc, self._faucet, DEMO, progress=progress)
        self.deployment_file = folder / "deployment.json"
        deployments.save(self.deployment_file, self.deployment)
        self.contracts = Contracts(self.rpc, self.deployment)
        parameters = self.deployment.parameters
        self.schedule = Schedule(self.deployment.genesis, parameters.epoch_length, parameters.term_length)

    @property
    def url(self) -> str:
        """Of the RPC endpoint."""
        return self._chain.url

    def give(self, account: Account, ether: int, tokens: Amount) -> None:
        """What the relays and the sponsor bring along: whole ether, and smallest units of the token."""
        self._chain.fund(account, ether * ETHER)
        if tokens:
            self._faucet.send(self.contracts.token.transfer(account, tokens))

    def enter(self, epoch: Epoch) -> None:
        """Move the chain's clock to the beginning of an epoch."""
        self._chain.advance_time(to=self.schedule.start(epoch))

    def tick(self) -> Epoch:
        """Mine a block, so that the chain's time is this computer's again, and return the epoch.

        Between blocks the chain's time stands still, and nothing but transactions makes blocks.
        """
        self._chain.mine()
        return self.epoch()

    def epoch(self) -> Epoch:
        """Of the newest block."""
        return self.schedule.epoch_at(self.rpc.latest().timestamp)

    def head(self) -> int:
        """Number of the newest block."""
        return self.rpc.latest().number
