"""Sending: refusals cost nothing and are readable, nonces never collide, a stuck transaction is replaced."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from chain_world import ETHER, World
from mixpay.chain import sender
from mixpay.chain.errors import NoEther, NotMined, Reverted
from mixpay.chain.records import Call
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Fees, Sender
from mixpay.errors import ChainUnavailable, TransactionFailed
from mixpay.types import Account, Amount

SOMEBODY = Account(b"\x55" * 20)


@contextmanager
def mining_by_hand(world: World) -> Iterator[None]:
    """Transactions wait until `world.chain.mine`."""
    world.rpc.request("evm_setAutomine", False)
    try:
        yield
    finally:
        world.rpc.request("anvil_dropAllTransactions")
        world.rpc.request("evm_setAutomine", True)


def wait_until(condition: Callable[[], bool]) -> None:
    """Polls what another thread does on the chain; fails after 10 s."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def waiting(world: World) -> int:
    """Transactions in the node's pool."""
    return int(world.rpc.request("txpool_status")["pending"], 16)


def test_send_returnsReceipt(world: World) -> None:
    user = world.user(tokens=10)
    receipt = user.send(world.contracts.channels.deposit(Amount(7)))
    assert receipt.succeeded
    assert 0 < receipt.gas_used < 200_000
    assert receipt.gas_price > 0
    assert len(receipt.logs) == 2
    assert world.contracts.channels.balance_of(user.account) == 7


def test_send_failsReadably_andCostsNothing(world: World) -> None:
    user = world.user()
    with pytest.raises(Reverted) as caught:
        user.send(world.contracts.channels.withdraw(SOMEBODY, Amount(5)))
    assert str(caught.value) == "Channels.withdraw failed: InsufficientBalance(balance=0, amount=5)"
    assert caught.value.error == "InsufficientBalance"
    assert world.rpc.balance(user.account) == ETHER


def test_send_failsIfNoEther(world: World) -> None:
    sender = Sender(world.rpc, secrets.token_bytes(32))
    call = world.contracts.token.approve(SOMEBODY, Amount(1))
    with pytest.raises(NoEther, match="has no ether: send it some"):
        sender.send(call)
    world.chain.fund(sender.account, 10**9)
    with pytest.raises(NoEther, match=r"has only 0\.000000 ether"):
        sender.send(call)
    with pytest.raises(NoEther, match="ether: send it some"):
        sender.transfer_ether(SOMEBODY, ETHER)


def test_transferEther_arrives(world: World) -> None:
    to = Account(secrets.token_bytes(20))
    world.user().transfer_ether(to, 12_345)
    assert world.rpc.balance(to) == 12_345


def test_transferRest_leavesLittleMoreThanTheCost_andNothingWhereNothingIs(world: World) -> None:
    user, to = world.user(), Account(secrets.token_bytes(20))
    moved = user.transfer_rest(to)
    assert world.rpc.balance(to) == moved > ETHER * 99 // 100
    assert user.transfer_rest(to) == 0, "what is left would not pay for itself"
    assert world.rpc.balance(to) == moved
    assert Sender(world.rpc, secrets.token_bytes(32)).transfer_rest(to) == 0


def test_send_fromManyThreads_usesEachNonceOnce(world: World) -> None:
    user = world.user(tokens=1)
    before = world.rpc.nonce(user.account)
    with ThreadPoolExecutor(8) as pool:
        calls = [world.contracts.channels.deposit(Amount(n)) for n in range(1, 17)]
        receipts = list(pool.map(user.send, calls))
    assert all(receipt.succeeded for receipt in receipts)
    assert world.rpc.nonce(user.account) == before + 16
    assert world.contracts.channels.balance_of(user.account) == sum(range(1, 17))


def test_send_replacesStuckTransaction(world: World) -> None:
    user = world.user()
    patient = Sender(world.rpc, user.key, stuck_after=0.3)
    with mining_by_hand(world), ThreadPoolExecutor(1) as pool:
        sent = pool.submit(patient.transfer_ether, SOMEBODY, 1)
        wait_until(lambda: waiting(world) == 1)
        first = fees_of_waiting(world)
        wait_until(lambda: fees_of_waiting(world) > first)
        assert waiting(world) == 1
        world.chain.mine()
        assert sent.result(10).succeeded
    assert world.rpc.nonce(user.account) == 1


def fees_of_waiting(world: World) -> int:
    content = world.rpc.request("txpool_content")["pending"]
    return max(int(tx["maxFeePerGas"], 16) for txs in content.values() for tx in txs.values())


def test_send_givesUpAfterLimit_andTheNextOneQueuesBehind(world: World) -> None:
    user = world.user()
    hasty = Sender(world.rpc, user.key, limit=0.3)
    with mining_by_hand(world), ThreadPoolExecutor(1) as pool:
        with pytest.raises(NotMined, match=r"transfer of ether: sent as 0x[0-9a-f]{64}, but in no block"):
            hasty.transfer_ether(SOMEBODY, 1)
        sent = pool.submit(user.transfer_ether, SOMEBODY, 2)
        wait_until(lambda: waiting(world) == 2)
        world.chain.mine()
        assert sent.result(10).succeeded
    assert world.rpc.nonce(user.account) == 2


def test_clear_takesThePlaceOfWhatAnEarlierRunLeft_howeverDear(world: World) -> None:
    user = world.user()
    with mining_by_hand(world), ThreadPoolExecutor(1) as pool:
        earlier = Sender(world.rpc, user.key)
        fees = Fees(3 * earlier._market().most, 2 * 10**9)
        earlier._submit(Call("transfer of ether", SOMEBODY, b"", 5), 21_000, fees)
        before = world.rpc.balance(SOMEBODY)
        cleared = pool.submit(Sender(world.rpc, user.key).clear)
        wait_until(lambda: fees_of_waiting(world) > fees.most)
        assert waiting(world) == 1
        world.chain.mine()
        receipt = cleared.result(10)
    assert receipt is not None and receipt.succeeded
    assert world.rpc.nonce(user.account) == 1
    assert world.rpc.balance(SOMEBODY) == before


def test_clear_leavesAloneWhatIsLookedAfter(world: World) -> None:
    user = world.user()
    assert user.clear() is None
    with mining_by_hand(world), ThreadPoolExecutor(1) as pool:
        sent = pool.submit(user.transfer_ether, SOMEBODY, 1)
        wait_until(lambda: waiting(world) == 1)
        assert user.clear() is None
        world.chain.mine()
        assert sent.result(10).succeeded


def test_stop_endsTheWaitForABlock_andNothingIsSentAfterIt(world: World) -> None:
    user = world.user()
    quick = Sender(Rpc(world.chain.url), user.key)
    with mining_by_hand(world), ThreadPoolExecutor(1) as pool:
        waits = pool.submit(quick.transfer_ether, SOMEBODY, 1)
        wait_until(lambda: waiting(world) == 1)
        quick.stop()
        with pytest.raises(NotMined, match="in no block when this program ended"):
            waits.result(timeout=10)
        with pytest.raises(ChainUnavailable, match="not sent, for this program ends"):
            quick.transfer_ether(SOMEBODY, 1)
        assert waiting(world) == 1


def test_stop_endsTheWaitForANodeThatIsAway(world: World) -> None:
    """The node goes away between two looks for the receipt: none of its requests is repeated for long."""
    user = world.user()
    rpc = Rpc(world.chain.url, attempts=10**6)
    quick = Sender(rpc, user.key)
    asked = threading.Event()

    def silent(method: str, params: object) -> object:
        asked.set()
        raise requests.ConnectionError("away")

    with mining_by_hand(world), ThreadPoolExecutor(1) as pool:
        waits = pool.submit(quick.transfer_ether, SOMEBODY, 1)
        wait_until(lambda: waiting(world) == 1)
        rpc._provider.make_request = silent  # type: ignore[method-assign,assignment]
        assert asked.wait(10)
        quick.stop()
        with pytest.raises(NotMined):
            waits.result(timeout=10)


def test_send_failsIfTheBlockDecidedOtherwise(world: World) -> None:
    user, channels = world.user(tokens=1), world.contracts.channels
    contract, code = f"0x{channels.address.hex()}", world.rpc.code(channels.address)
    with mining_by_hand(world), ThreadPoolExecutor(1) as pool:
        sent = pool.submit(user.send, channels.deposit(Amount(5)))
        wait_until(lambda: waiting(world) == 1)
        world.rpc.request("anvil_setCode", contract, "0x5f5ffd")  # reverts, whatever is called
        world.chain.mine()
        error = sent.exception(10)
    world.rpc.request("anvil_setCode", contract, f"0x{code.hex()}")
    assert isinstance(error, TransactionFailed)
    assert "Channels.deposit failed" in str(error)


def test_send_sendsAgainIfTheNodeForgot(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixpay.chain.sender._RESEND_SECONDS", 0.2)
    user = world.user()
    with mining_by_hand(world), ThreadPoolExecutor(1) as pool:
        sent = pool.submit(user.transfer_ether, SOMEBODY, 1)
        wait_until(lambda: waiting(world) == 1)
        world.rpc.request("anvil_dropAllTransactions")
        wait_until(lambda: waiting(world) == 1)
        world.chain.mine()
        assert sent.result(10).succeeded


def test_send_failsIfAnotherProgramTookTheNonce(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixpay.chain.sender._RESEND_SECONDS", 0.0)
    user = world.user()
    with mining_by_hand(world), ThreadPoolExecutor(1) as pool:
        sent = pool.submit(user.transfer_ether, SOMEBODY, 1)
        wait_until(lambda: waiting(world) == 1)
        world.rpc.request("anvil_setNonce", f"0x{user.account.hex()}", "0x5")
        world.rpc.request("anvil_dropAllTransactions")
        error = sent.exception(20)
    assert isinstance(error, TransactionFailed)
    assert "is another program sending from this account?" in str(error)


def test_confirmations_areWaitedFor(world: World) -> None:
    user = world.user()
    careful = Sender(world.rpc, user.key, confirmations=3)
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(careful.transfer_ether, SOMEBODY, 1)
        wait_until(lambda: world.rpc.nonce(user.account, "latest") == 1)
        assert not sent.done()
        world.chain.mine(2)
        assert sent.result(10).succeeded


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_bumpedFees_areAcceptedByNodes(most: int, tip: int, market: int, market_tip: int) -> None:
    old = Fees(most + tip, tip)
    new = old.bumped(Fees(market + market_tip, market_tip))
    assert new.most * 1_000 >= old.most * 1_125
    assert new.priority is not None
    assert new.priority * 1_000 >= tip * 1_125
    assert new.most >= new.priority
    assert new.most >= market + market_tip


def test_bumpedFees_withoutBaseFee() -> None:
    assert Fees(100, None).bumped(Fees(90, None)) == Fees(126, None)
    assert Fees(100, None).bumped(Fees(900, None)) == Fees(900, None)


def test_send_comesAgainWithMoreGas_ifAnotherTransactionMadeItDearer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crediting an account costs more once it was emptied, which happens here after the estimate."""
    monkeypatch.setattr(sender, "_GAS_MARGINS", (1.0, 2.0))
    payer, payee, channels = world.user(tokens=10), world.user(tokens=10), world.contracts.channels
    for user in (payer, payee):
        user.send(channels.deposit(Amount(5)))
    emptied: list[int] = []

    def meanwhile(*_: object) -> None:
        if not emptied:
            emptied.append(payee.send(channels.move(SOMEBODY, Amount(5))).block)

    monkeypatch.setattr(payer, "_check_ether", meanwhile)
    credited = payer.send(channels.move(payee.account, Amount(1)))
    assert credited.succeeded
    assert credited.block == emptied[0] + 2  # the first attempt ran out of gas in the block between
    assert channels.balance_of(payee.account) == 1
