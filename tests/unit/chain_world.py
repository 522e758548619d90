"""A development chain with deployed contracts, and accounts on it, for the tests of the chain edge."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mixpay import eip712
from mixpay.chain.contracts import Contracts
from mixpay.chain.deploy import deploy
from mixpay.chain.devchain import DevChain
from mixpay.chain.records import Call, Receipt
from mixpay.chain.rpc import Rpc, connect
from mixpay.chain.sender import Sender
from mixpay.deployment import Deployment
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Account, Amount

ETHER = 10**18


@dataclass
class World:
    """A chain, what stands on it, and who deployed it (and has all tokens)."""

    chain: DevChain
    rpc: Rpc
    deployer: Sender
    deployment: Deployment
    contracts: Contracts

    def user(self, tokens: int = 0) -> User:
        """A new account with ether, and with whole tokens that every contract may take."""
        user = User(self, secrets.token_bytes(32))
        self.chain.fund(user.account, ETHER)
        if tokens:
            self.deployer.send(self.contracts.token.transfer(user.account, Amount(tokens * TOKEN)))
            for contract in (self.contracts.registry, self.contracts.channels, self.contracts.pool):
                user.send(self.contracts.token.approve(contract.address, Amount(tokens * TOKEN)))
        return user


class User(Sender):
    """A sender that keeps its key, to sign other things with it."""

    def __init__(self, world: World, key: bytes) -> None:
        super().__init__(world.rpc, key, limit=30)
        self.world, self.key = world, key

    def register(self, operator: User, endpoint: str) -> Receipt:
        """Registers a relay that `operator` serves, its link key being 32 times 7."""
        domain = eip712.registry_domain(self.world.deployment.chain_id, self.world.deployment.registry)
        consent = eip712.OperatorConsent(operator.account, self.account).digest(domain)
        signature = eip712.sign(operator.key, consent)
        registry = self.world.contracts.registry
        return self.send(registry.register(operator.account, b"\7" * 32, endpoint, signature))

    def voucher(self, payee: Account, cumulative: int, upto_batch: int = 1) -> Call:
        """A claim of this user's voucher."""
        domain = eip712.channels_domain(self.world.deployment.chain_id, self.world.deployment.channels)
        voucher = eip712.Voucher(self.account, payee, Amount(cumulative), upto_batch)
        signature = eip712.sign(self.key, voucher.digest(domain))
        channels = self.world.contracts.channels
        return channels.claim(self.account, payee, Amount(cumulative), upto_batch, signature)

    def pool_voucher(self, campaign: int, relay: Account, period: int, cumulative: int) -> Call:
        """A claim of the pool voucher that this user, as the campaign's signer, gives."""
        domain = eip712.pool_domain(self.world.deployment.chain_id, self.world.deployment.pool)
        voucher = eip712.PoolVoucher(campaign, relay, period, Amount(cumulative))
        signature = eip712.sign(self.key, voucher.digest(domain))
        return self.world.contracts.pool.claim(campaign, relay, period, Amount(cumulative), signature)


@contextmanager
def running_world() -> Iterator[World]:
    """Starts a chain and deploys on it; ends it afterwards."""
    with DevChain() as chain:
        rpc = connect(chain.url)
        deployer = Sender(rpc, secrets.token_bytes(32))
        chain.fund(deployer.account, 100 * ETHER)
        deployment = deploy(rpc, deployer, DEMO)
        yield World(chain, rpc, deployer, deployment, Contracts(rpc, deployment))
