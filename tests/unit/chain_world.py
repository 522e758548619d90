"""A development chain with deployed contracts, accounts and relays, for all tests that need a real chain."""

from __future__ import annotations

import secrets
import time

from mixpay import eip712
from mixpay.chain import abi
from mixpay.chain.contracts import Contracts
from mixpay.chain.deploy import deploy
from mixpay.chain.devchain import DevChain
from mixpay.chain.records import Call, Receipt, call_fields, from_hex, to_hex
from mixpay.chain.sender import Sender
from mixpay.epochs import Schedule
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Account, Amount, Epoch, RelayId

ETHER = 10**18


class World:
    """A chain, contracts of its own on it, and who deployed them (and has all tokens)."""

    def __init__(self, chain: DevChain) -> None:
        self.chain, self.rpc = chain, chain.rpc
        self.deployer = Sender(self.rpc, secrets.token_bytes(32))
        chain.fund(self.deployer.account, 100 * ETHER)
        self.deployment = deploy(self.rpc, self.deployer, DEMO)
        self.contracts = Contracts(self.rpc, self.deployment)
        self.schedule = Schedule(self.deployment.genesis, DEMO.epoch_length, DEMO.term_length)
        self._owners: dict[RelayId, User] = {}
        self._operators: dict[RelayId, User] = {}

    def user(self, tokens: int = 0) -> User:
        """A new account with ether, and with whole tokens that every contract may take."""
        user = User(self, secrets.token_bytes(32))
        self.chain.fund(user.account, ETHER)
        if tokens:
            self.deployer.send(self.contracts.token.transfer(user.account, Amount(tokens * TOKEN)))
            for contract in (self.contracts.registry, self.contracts.channels, self.contracts.pool):
                user.send(self.contracts.token.approve(contract.address, Amount(tokens * TOKEN)))
        return user

    # ------------------------------------------------------------------ relays

    def register(self) -> tuple[RelayId, Account]:
        """A new relay: its id, and its operator's account."""
        owner, operator = self.user(tokens=DEMO.stake // TOKEN), self.user()
        owner.register(operator, "127.0.0.1:1:2")
        relay = self.contracts.registry.relay_of(operator.account)
        self._owners[relay], self._operators[relay] = owner, operator
        return relay, operator.account

    def operator(self, relay: RelayId) -> User:
        """The operator of a relay of `register`."""
        return self._operators[relay]

    def leave(self, relay: RelayId) -> None:
        """A relay of `register` leaves."""
        self._owners[relay].send(self.contracts.registry.leave(relay))

    def court_says(self, function: str, *arguments: object) -> None:
        """The court calls the registry: `slash` or `condemn`. The development chain lends us its account."""
        court, entry = self.deployment.court, abi.artifact("RelayRegistry").functions[function]
        self.chain.fund(court, ETHER)
        self.rpc.request("anvil_impersonateAccount", to_hex(court))
        data = entry.selector + abi.encode(entry.inputs, arguments)
        fields = call_fields(Call(function, self.deployment.registry, data), court)
        sent = from_hex(self.rpc.request_once("eth_sendTransaction", fields))
        while (receipt := self.rpc.receipt(sent)) is None:
            time.sleep(0.01)  # mined at once, but not always before the answer
        assert receipt.succeeded

    # ------------------------------------------------------------------ epochs

    def epoch(self) -> Epoch:
        """Of the newest block."""
        return self.contracts.network.current_epoch()

    def next_epoch(self, count: int = 1) -> Epoch:
        """Advance the chain's clock to the beginning of an epoch to come."""
        epoch = Epoch(self.epoch() + count)
        self.chain.advance_time(to=self.schedule.start(epoch))
        return epoch

    def freeze(self) -> None:
        """Somebody touches the registry."""
        self.deployer.send(self.contracts.registry.freeze())

    def join(self) -> Epoch:
        """Advance to the first epoch in which the relays registered now are frozen."""
        self.next_epoch()
        self.freeze()
        return self.next_epoch()


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
        return self.world.contracts.pool.claim(campaign, period, Amount(cumulative), signature)
