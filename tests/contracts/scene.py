"""What the contract tests play with: everything deployed, and people whose private keys are known.

Signatures are made by the library that relays and sponsors use: so these tests also say that both sides
hash alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import brownie
from brownie import accounts, chain, web3

from mixpay import eip712
from mixpay.crypto.hashing import keccak256

HOUR = 3600
EPOCH = HOUR
TERM = 4
STAKE = 1000 * 10**18
UNBONDING = 14 * 24 * HOUR
NOTICE = 48 * HOUR
ANSWER_WINDOW = 24 * HOUR
FINISH_WINDOW = 12 * HOUR
GRACE = 24 * HOUR
COST = 10**17
PENALTY = 500 * 10**18
CLAIM_WINDOW = 3 * HOUR
WITHDRAWAL_NOTICE = 7 * HOUR
HOP_PRICE = 10**12
SUPPLY = 10**30
ZERO = "0x" + 40 * "0"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a private key: 32 bytes, and brownie's account for it."""

    key: bytes
    account: Any

    @property
    def raw(self) -> bytes:
        """The address, 20 bytes."""
        return eip712.account_of(self.key)


@dataclass(frozen=True, slots=True)
class Scene:
    """The contracts, deployed a little after genesis; `deployer` holds all tokens and governs."""

    deployer: Any
    token: Any
    network: Any
    channels: Any
    registry: Any
    court: Any
    pool: Any

    def give(self, who: Any, spender: Any, amount: int) -> None:
        """Hand tokens to an account, approved for a contract."""
        self.token.transfer(who, amount, {"from": self.deployer})
        self.token.approve(spender, 2**256 - 1, {"from": who})

    def credit(self, who: Any, amount: int) -> None:
        """Give an account a balance in the ledger."""
        self.give(who, self.channels, amount)
        self.channels.deposit(amount, {"from": who})

    def open(self, payer: Person, payee: Person, amount: int) -> None:
        """Give a payer a channel with this deposit."""
        self.credit(payer.account, amount)
        self.channels.fund(payee.account, amount, {"from": payer.account})

    def voucher(self, payer: Person, payee: Person, cumulative: int, batch: int = 1) -> bytes:
        """The payer's signature over a voucher."""
        message = eip712.Voucher(payer.raw, payee.raw, cumulative, batch)
        return eip712.sign(payer.key, message.digest(self.channels_domain))

    def claim(self, payer: Person, payee: Person, cumulative: int, batch: int = 1, by: Any = None) -> Any:
        """Submit a voucher that the payer signs for it; returns the transaction."""
        signature = self.voucher(payer, payee, cumulative, batch)
        sender = {"from": by or payee.account}
        return self.channels.claim(payer.account, payee.account, cumulative, batch, signature, sender)

    def consent(self, operator: Person, owner: Person) -> bytes:
        """The operator's signature under which the owner may register it."""
        message = eip712.OperatorConsent(operator.raw, owner.raw)
        return eip712.sign(operator.key, message.digest(self.registry_domain))

    def register(self, owner: Person, operator: Person, endpoint: str = "host:1") -> Any:
        """Register a relay, stake included; returns the transaction."""
        self.give(owner.account, self.registry, STAKE)
        signature = self.consent(operator, owner)
        link_key = keccak256(endpoint.encode())
        return self.registry.register(
            operator.account, link_key, endpoint, signature, {"from": owner.account}
        )

    def pool_voucher(self, signer: Person, campaign: int, relay: Person, period: int, total: int) -> bytes:
        """The signer's signature over a pool voucher."""
        message = eip712.PoolVoucher(campaign, relay.raw, period, total)
        return eip712.sign(signer.key, message.digest(self.pool_domain))

    def claim_pool(self, signer: Person, campaign: int, relay: Person, period: int, total: int) -> Any:
        """The relay submits a pool voucher that the signer makes for it; returns the transaction."""
        signed = eip712.compact(self.pool_voucher(signer, campaign, relay, period, total))
        return self.pool.claim(campaign, period, total, *signed, {"from": relay.account})

    def go_to(self, epoch: int) -> None:
        """Advance the chain into an epoch."""
        if epoch != self.network.currentEpoch():
            wait(self.network.epochStart(epoch) + 1 - now())

    @property
    def channels_domain(self) -> eip712.Domain:
        """Domain of vouchers."""
        return eip712.channels_domain(web3.eth.chain_id, raw(self.channels))

    @property
    def registry_domain(self) -> eip712.Domain:
        """Domain of consents."""
        return eip712.registry_domain(web3.eth.chain_id, raw(self.registry))

    @property
    def pool_domain(self) -> eip712.Domain:
        """Domain of pool vouchers."""
        return eip712.pool_domain(web3.eth.chain_id, raw(self.pool))


def deploy(project: Any) -> Scene:
    """Deploy all contracts and publish them as the first release."""
    by = {"from": accounts[0]}
    token = project.Token.deploy(SUPPLY, by)
    network = project.Network.deploy(now() - 10, EPOCH, accounts[0], by)
    court_address = accounts[0].get_deployment_address(accounts[0].nonce + 2)
    channels = project.Channels.deploy(token, NOTICE, court_address, by)
    registry = project.RelayRegistry.deploy(
        token, network, STAKE, UNBONDING, channels, court_address, PENALTY, by
    )
    windows = (ANSWER_WINDOW, FINISH_WINDOW, GRACE, COST)
    court = project.ReceiptCourt.deploy(channels, registry, windows, by)
    pool = project.SubsidyPool.deploy(channels, registry, network, TERM, CLAIM_WINDOW, WITHDRAWAL_NOTICE, by)
    network.publish((registry, channels, pool, 1, HOP_PRICE, 0), by)
    return Scene(accounts[0], token, network, channels, registry, court, pool)


def judged_by(scene: Scene, project: Any, judge: Any) -> Scene:
    """Deploy channels and registry once more, with an ordinary account as their court."""
    by = {"from": scene.deployer}
    channels = project.Channels.deploy(scene.token, NOTICE, judge, by)
    registry = project.RelayRegistry.deploy(
        scene.token, scene.network, STAKE, UNBONDING, channels, judge, PENALTY, by
    )
    return replace(scene, channels=channels, registry=registry, court=judge)


def person(name: str) -> Person:
    """Somebody whose key follows from the name, with ether for gas."""
    key = keccak256(name.encode())
    account = accounts.add("0x" + key.hex())
    accounts[9].transfer(account, "10 ether")
    return Person(key, account)


def raw(account: Any) -> bytes:
    """Address of an account or contract, 20 bytes."""
    return bytes.fromhex(str(account)[2:])


def reverts(name: str, *values: Any) -> Any:
    """Expect a custom error with these values (brownie prints addresses in lower case)."""
    return brownie.reverts(f"{name}: {', '.join(str(value).lower() for value in values)}")


def now() -> int:
    """The time of a block made now.

    When brownie rolls the chain back, anvil's clock goes back with it and chain.time() does not; ganache's
    goes on, but it shows no pending block.
    """
    if "anvil" in web3.client_version.lower():
        return web3.eth.get_block("pending")["timestamp"]
    return chain.time()


def wait(seconds: int) -> None:
    """Let time pass on the chain."""
    chain.sleep(seconds)
    chain.mine()
