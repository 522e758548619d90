"""What the reader takes from a real chain satisfies the verifier, and shows what was done behind its back."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace

import pytest

from chain_world import ETHER, User, World
from mixpay.chain.records import from_hex, to_hex
from mixpay.demo.evidence import Evidence
from mixpay.demo.reader import ChainRecord, read_chain
from mixpay.demo.verifier import verify
from mixpay.parameters import TOKEN
from mixpay.types import Account, Amount

NEWCOMER = Account(bytes([0xAA]).ljust(20, b"\1"))


def evidence(world: World, record: ChainRecord) -> Evidence:
    return Evidence(
        deployment=world.deployment,
        events=record.events,
        answers=record.answers,
        senders=record.senders,
        vouchers=(),
        pool_vouchers=(),
        counts={},
        packets_delivered=0,
        users=(NEWCOMER,),
        losses=None,
        since=record.head,
    )


def read(world: World, users: Iterable[Account] = (NEWCOMER,)) -> ChainRecord:
    return read_chain(world.rpc, world.deployment, users)


@pytest.fixture(scope="module")
def relays(world: World) -> tuple[User, User]:
    """Two relays with a channel between them, a campaign, and everything that moves money."""
    contracts = world.contracts
    operators = []
    for number in (1, 2):
        owner, operator = world.user(500), world.user(50)
        owner.register(operator, f"127.0.0.1:{number}:9")
        operator.send(contracts.channels.deposit(Amount(20 * TOKEN)))
        operators.append(operator)
    payer, payee = operators
    payer.send(contracts.channels.fund(payee.account, Amount(5 * TOKEN)))
    payee.send(payer.voucher(payee.account, 3 * TOKEN))
    payee.send(contracts.channels.withdraw(payee.account, Amount(TOKEN)))
    payee.send(contracts.channels.release(payer.account))
    sponsor = world.user(500)
    sponsor.send(contracts.pool.create_campaign(sponsor.account, Amount(100 * TOKEN), Amount(100 * TOKEN)))
    sponsor.send(contracts.pool.fund(1, Amount(200 * TOKEN)))
    payee.send(sponsor.pool_voucher(1, payee.account, 0, 7 * TOKEN))
    return payer, payee


def test_readChain_showsHonestMoney(world: World, relays: tuple[User, User]) -> None:
    payer, payee = relays
    record = read(world)
    verdict = verify(evidence(world, record))
    # No voucher and no count is among the evidence, so of I3 and I8 nothing can be said.
    assert all(verdict.holds(invariant) for invariant in ("I1", "I2", "users"))
    assert verdict.sponsor_paid == 7 * TOKEN
    assert [relay.claimed for relay in verdict.relays] == [-3 * TOKEN, 10 * TOKEN]
    assert record.answers.native == {NEWCOMER: 0}
    assert record.answers.channels == {(payer.account, payee.account): (3 * TOKEN, 3 * TOKEN)}
    assert record.answers.budgets == {1: 193 * TOKEN}


def test_readChain_countsSenders(world: World, relays: tuple[User, User]) -> None:
    record = read(world)
    assert record.senders[relays[0].account] == 5  # three approvals, deposit, fund
    assert sum(record.senders.values()) == record.head - world.deployment.block


def test_readChain_showsAContractThatLostTokens(world: World, relays: tuple[User, User]) -> None:
    honest = read(world)
    slot = _balance_slot(world, world.deployment.channels)
    stolen = honest.answers.tokens[world.deployment.channels] - 1
    word = to_hex(stolen.to_bytes(32, "big"))
    before = world.rpc.request("eth_getStorageAt", to_hex(world.deployment.token), slot, "latest")
    world.rpc.request("anvil_setStorageAt", to_hex(world.deployment.token), slot, word)
    world.chain.mine()
    try:
        verdict = verify(evidence(world, read(world)))
    finally:
        world.rpc.request("anvil_setStorageAt", to_hex(world.deployment.token), slot, before)
        world.chain.mine()
    assert not verdict.holds("I1")


def test_readChain_showsAUserWhoPays(world: World, relays: tuple[User, User]) -> None:
    user = User(world, secrets.token_bytes(32))
    world.chain.fund(user.account, ETHER)
    user.transfer_ether(relays[0].account, 1)
    record = read(world, [user.account])
    verdict = verify(replace(evidence(world, record), users=(user.account,)))
    assert not verdict.holds("users")
    assert 0 < verdict.users_native < ETHER


def _balance_slot(world: World, account: Account) -> str:
    """Where the token keeps an account's balance: found by looking, for the layout is the library's."""
    from mixpay.crypto.hashing import keccak256

    balance = world.contracts.token.balance_of(account)
    for base in range(10):
        slot = to_hex(keccak256(account.rjust(32, b"\0") + base.to_bytes(32, "big")))
        word = world.rpc.request("eth_getStorageAt", to_hex(world.deployment.token), slot, "latest")
        if int.from_bytes(from_hex(word), "big") == balance:
            return slot
    raise AssertionError("no slot holds the balance")
