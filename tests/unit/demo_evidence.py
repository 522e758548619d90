"""An honest small period for the verifier's tests: five relays, one campaign, three packets, all claimed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, TypeVar

from mixpay import eip712
from mixpay.chain import events
from mixpay.chain.events import Event
from mixpay.chain.views import NOBODY
from mixpay.demo.evidence import Answers, Counts, Evidence, SignedPoolVoucher, SignedVoucher
from mixpay.demo.money import Transferred, replay
from mixpay.deployment import Deployment
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Account, Amount, RelayId

PRICE = DEMO.hop_price
PACKETS = 3
CAPITAL = 10 * TOKEN
RELAYS = 5


def key(name: str) -> bytes:
    """A private key of 32 bytes."""
    return name.encode().rjust(32, b"\1")


def account(name: str) -> Account:
    return eip712.account_of(key(name))


def contract(number: int) -> Account:
    return Account(bytes([0xC0, number]).ljust(20, b"\0"))


DEPLOYMENT = Deployment(
    chain_id=31_337,
    block=0,
    token=contract(1),
    network=contract(2),
    registry=contract(3),
    channels=contract(4),
    court=contract(6),
    pool=contract(5),
    genesis=1_000,
    parameters=DEMO,
    artifacts={},
)
FAUCET, SPONSOR, SIGNER, USER = (account(name) for name in ("faucet", "sponsor", "signer", "user"))
CHANNELS_DOMAIN = eip712.channels_domain(DEPLOYMENT.chain_id, DEPLOYMENT.channels)
POOL_DOMAIN = eip712.pool_domain(DEPLOYMENT.chain_id, DEPLOYMENT.pool)
SINCE = 100
"""The relays are registered and equipped before this block."""

_E = TypeVar("_E", bound=Event)


def owner(relay: int) -> Account:
    return account(f"owner{relay}")


def operator(relay: int) -> Account:
    return account(f"operator{relay}")


class Chain:
    """Events, one a block."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._blocks = count(1)

    def skip_to(self, block: int) -> None:
        self._blocks = count(block)

    def emit(self, kind: type[_E], *fields: Any) -> None:
        self.events.append(kind(next(self._blocks), 0, bytes(32), *fields))

    def transfer(self, sender: Account, to: Account, amount: int) -> None:
        self.emit(Transferred, sender, to, amount)

    def deposit(self, sender: Account, amount: int) -> None:
        self.transfer(sender, DEPLOYMENT.channels, amount)
        self.emit(events.Deposited, sender, amount)

    def register(self, relay: int) -> None:
        self.transfer(FAUCET, owner(relay), DEMO.stake + CAPITAL)
        self.transfer(owner(relay), DEPLOYMENT.registry, DEMO.stake)
        fields = RelayId(relay), relay - 1, owner(relay), operator(relay), bytes(32), "127.0.0.1:1:2"
        self.emit(events.Registered, *fields)
        self.transfer(owner(relay), operator(relay), CAPITAL)
        self.deposit(operator(relay), CAPITAL)

    def campaign(self, budget: int) -> None:
        self.emit(events.CampaignCreated, 1, SPONSOR, SIGNER, budget, budget)
        self.transfer(FAUCET, SPONSOR, budget)
        self.transfer(SPONSOR, DEPLOYMENT.pool, budget)
        self.deposit(DEPLOYMENT.pool, budget)
        self.emit(events.CampaignFunded, 1, SPONSOR, budget)

    def claim(self, payer: int, payee: int, amount: int) -> None:
        pair = operator(payer), operator(payee)
        self.emit(events.Funded, *pair, 2 * amount, 2 * amount)
        self.emit(events.Claimed, *pair, amount, amount)

    def claim_pool(self, relay: int, amount: int) -> None:
        self.emit(events.Moved, DEPLOYMENT.pool, operator(relay), amount)
        self.emit(events.PoolClaimed, 1, operator(relay), 2, amount, amount)

    def sweep(self, relay: int, amount: int) -> None:
        self.emit(events.Withdrawn, operator(relay), owner(relay), amount)
        self.transfer(DEPLOYMENT.channels, owner(relay), amount)


def voucher(payer: int, payee: int, cumulative: int, signer: str | None = None) -> SignedVoucher:
    message = eip712.Voucher(operator(payer), operator(payee), Amount(cumulative), 1)
    signature = eip712.sign(key(signer or f"operator{payer}"), message.digest(CHANNELS_DOMAIN))
    return SignedVoucher(message, signature)


def pool_voucher(relay: int, cumulative: int, signer: str = "signer") -> SignedPoolVoucher:
    message = eip712.PoolVoucher(1, operator(relay), 2, Amount(cumulative))
    return SignedPoolVoucher(message, eip712.sign(key(signer), message.digest(POOL_DOMAIN)))


def history() -> Chain:
    """Relay 1 is entry; 2, 3 and 4 are mixes; 5 keeps the mailbox."""
    chain = Chain()
    chain.transfer(NOBODY, FAUCET, 10**6 * TOKEN)
    for relay in range(1, RELAYS + 1):
        chain.register(relay)
    chain.campaign(1_000 * TOKEN)
    chain.skip_to(SINCE + 1)
    chain.claim_pool(1, 5 * PACKETS * PRICE)
    for payee, amount in _steps():
        chain.claim(payee - 1, payee, amount)
    chain.sweep(1, PACKETS * PRICE)
    return chain


def _steps() -> Iterator[tuple[int, int]]:
    """Payees, and what the one before each owes it."""
    return ((payee, (6 - payee) * PACKETS * PRICE) for payee in range(2, RELAYS + 1))


def answers_to(found: tuple[Event, ...]) -> Answers:
    """What honest contracts answer after these events."""
    money = replay(DEPLOYMENT, found)
    return Answers(
        tokens=dict(money.tokens),
        ledger=dict(money.ledger),
        channels={pair: (channel.deposit, channel.claimed) for pair, channel in money.channels.items()},
        budgets=dict(money.budgets),
        native={USER: 0},
    )


def evidence_of(chain: Chain) -> Evidence:
    """Honest answers, vouchers and counts for what happened."""
    found = tuple(chain.events)
    roles = {1: Counts(entry=PACKETS), 5: Counts(mailbox=PACKETS)}
    return Evidence(
        deployment=DEPLOYMENT,
        events=found,
        answers=answers_to(found),
        senders={FAUCET: 10, SPONSOR: 3, SIGNER: 2, **{operator(relay): 4 for relay in range(1, RELAYS + 1)}},
        vouchers=tuple(voucher(payee - 1, payee, amount) for payee, amount in _steps()),
        pool_vouchers=(pool_voucher(1, 5 * PACKETS * PRICE),),
        counts={RelayId(relay): roles.get(relay, Counts(mix=PACKETS)) for relay in range(1, RELAYS + 1)},
        packets_delivered=PACKETS,
        users=(USER,),
        losses=None,
        since=SINCE,
    )


def honest() -> Evidence:
    """Nothing is wrong with it."""
    return evidence_of(history())
