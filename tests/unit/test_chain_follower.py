"""Following a real chain: every event once and in order, through reorganisations, resets and outages."""

from __future__ import annotations

import dataclasses
import http.server
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from chain_world import User, World
from mixpay.chain.contracts import Contracts
from mixpay.chain.deploy import deploy
from mixpay.chain.devchain import DevChain
from mixpay.chain.errors import RpcError
from mixpay.chain.events import (
    CampaignCreated,
    CampaignFunded,
    Claimed,
    Closed,
    CloseRequested,
    Deposited,
    Event,
    Frozen,
    Funded,
    KeySet,
    Left,
    Moved,
    OwnershipTransferred,
    OwnershipTransferStarted,
    PoolClaimed,
    Registered,
    Released,
    ReleasePublished,
    SignerChanged,
    StakeWithdrawn,
    Updated,
    WithdrawalFinished,
    WithdrawalRequested,
    Withdrawn,
)
from mixpay.chain.follower import Batch, Follower
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.chain.views import FormerSigner
from mixpay.errors import ChainUnavailable
from mixpay.parameters import DEMO
from mixpay.types import Amount
from odd_nodes import Message, odd

NOTICE, EPOCH = DEMO.notice, DEMO.epoch_length


def follower_from_now(world: World) -> Follower:
    follower = Follower(world.rpc, world.deployment)
    follower.poll()
    return follower


def plain(event: Event) -> tuple[object, ...]:
    """The event's fields without its place."""
    return dataclasses.astuple(event)[3:]


def found(batch: Batch, kind: type[Event]) -> list[tuple[object, ...]]:
    return [plain(event) for event in batch.events if type(event) is kind]


def test_poll_givesWhatDeploymentDid(world: World) -> None:
    batch = Follower(world.rpc, world.deployment).poll()
    release = next(event for event in batch.events if isinstance(event, ReleasePublished))
    assert release.release.pool == world.deployment.pool
    assert release.release.hop_price == DEMO.hop_price
    assert found(batch, Frozen)[0][:3] == (0, bytes(32), 0)
    assert batch.head == batch.latest == world.rpc.latest().number
    assert batch.chain_time == world.rpc.latest().timestamp
    assert batch.reverted_to is None


def test_registryEvents(world: World) -> None:
    follower, registry = follower_from_now(world), world.contracts.registry
    owner, operator, buyer = world.user(tokens=200), world.user(), world.user()
    place = world.contracts.registry.count()
    owner.register(operator, "tcp://127.0.0.1:1")
    relay = registry.relay_of(operator.account)
    operator.send(registry.update(relay, b"\x08" * 32, "tcp://127.0.0.1:2"))
    owner.send(registry.transfer_ownership(relay, buyer.account))
    buyer.send(registry.accept_ownership(relay))
    buyer.send(registry.leave(relay))
    leaving = world.rpc.latest().timestamp
    world.chain.advance_time(DEMO.unbonding)
    buyer.send(registry.withdraw_stake(relay, owner.account))
    batch = follower.poll()
    parties = (owner.account, operator.account, b"\7" * 32, "tcp://127.0.0.1:1")
    assert found(batch, Registered) == [(relay, place, *parties)]
    assert found(batch, Updated) == [(relay, b"\x08" * 32, "tcp://127.0.0.1:2")]
    assert found(batch, OwnershipTransferStarted) == [(relay, owner.account, buyer.account)]
    assert found(batch, OwnershipTransferred) == [(relay, owner.account, buyer.account)]
    assert found(batch, Left) == [(relay, place, leaving + DEMO.unbonding)]
    assert found(batch, StakeWithdrawn) == [(relay, owner.account, DEMO.stake)]
    assert registry.relay(relay).owner == bytes(20)
    epoch = world.contracts.network.current_epoch()
    owner.send(registry.freeze())
    frozen = registry.frozen(epoch + 1)
    assert found(follower.poll(), Frozen) == [(epoch + 1, frozen.root, frozen.count, frozen.beacon)]
    assert registry.is_frozen(epoch + 1)


def test_channelEvents(world: World) -> None:
    follower, channels = follower_from_now(world), world.contracts.channels
    payer, payee = world.user(tokens=1), world.user()
    a, b = payer.account, payee.account
    payer.send(channels.deposit(Amount(100)))
    payer.send(channels.move(b, Amount(10)))
    payee.send(channels.withdraw(a, Amount(4)))
    payer.send(channels.fund(b, Amount(50)))
    payee.send(payer.voucher(b, 20))
    payer.send(channels.request_close(b))
    closing = world.rpc.latest().timestamp
    world.chain.advance_time(NOTICE)
    payer.send(channels.finish_close(b))
    payer.send(channels.fund(b, Amount(5)))
    payee.send(channels.release(a))
    batch = follower.poll()
    assert found(batch, Deposited) == [(a, 100)]
    assert found(batch, Moved) == [(a, b, 10)]
    assert found(batch, Withdrawn) == [(b, a, 4)]
    assert found(batch, Funded) == [(a, b, 50, 50), (a, b, 5, 25)]
    assert found(batch, Claimed) == [(a, b, 20, 20)]
    assert found(batch, CloseRequested) == [(a, b, closing + NOTICE)]
    assert found(batch, Closed) == [(a, b, 30)]
    assert found(batch, Released) == [(a, b, 5)]
    places = [(event.block, event.index) for event in batch.events]
    assert places == sorted(places)
    channel = channels.channel(a, b)
    assert (channel.deposit, channel.claimed, channel.closes_at, channel.free) == (20, 20, 0, 0)


def test_poolEvents(world: World) -> None:
    follower, pool = follower_from_now(world), world.contracts.pool
    sponsor, signer, relay = world.user(tokens=1), world.user(), world.user()
    sponsor.send(pool.create_campaign(signer.account, Amount(90), Amount(60)))
    campaign = pool.campaign_count()
    sponsor.send(pool.fund(campaign, Amount(1_000)))
    epoch = world.contracts.network.current_epoch() + 2
    signer.send(pool.set_key(campaign, 1, epoch, b"\x0a" * 32))
    world.chain.advance_time(to=world.deployment.genesis + epoch * EPOCH)
    relay.send(signer.pool_voucher(campaign, relay.account, epoch, 70))
    sponsor.send(pool.set_signer(campaign, sponsor.account))
    changed = world.rpc.latest().timestamp
    sponsor.send(pool.request_withdrawal(campaign, Amount(40)))
    asked = world.rpc.latest().timestamp
    world.chain.advance_time(DEMO.withdrawal_notice)
    sponsor.send(pool.finish_withdrawal(campaign, relay.account))
    batch = follower.poll()
    assert found(batch, CampaignCreated) == [(campaign, sponsor.account, signer.account, 90, 60)]
    assert found(batch, CampaignFunded) == [(campaign, sponsor.account, 1_000)]
    assert found(batch, KeySet) == [(campaign, 1, epoch, b"\x0a" * 32, DEMO.hop_price)]
    assert found(batch, PoolClaimed) == [(campaign, relay.account, epoch, 60, 60)]
    assert found(batch, SignerChanged) == [(campaign, sponsor.account, changed + DEMO.claim_window)]
    assert found(batch, WithdrawalRequested) == [(campaign, 40, asked + DEMO.withdrawal_notice)]
    assert found(batch, WithdrawalFinished) == [(campaign, relay.account, 40)]
    assert pool.campaign(campaign).budget == 1_000 - 60 - 40
    assert dataclasses.astuple(pool.claimed_by(campaign, relay.account)) == (60, epoch, 60, True)
    assert pool.paid_in_period(campaign, epoch) == 60
    assert pool.former_signer(campaign) == FormerSigner(signer.account, changed + DEMO.claim_window)
    assert pool.key(campaign, 1, epoch).key_hash == b"\x0a" * 32
    assert world.contracts.channels.balance_of(relay.account) == 60


def deposits(world: World, user: User, amounts: range) -> None:
    for amount in amounts:
        user.send(world.contracts.channels.deposit(Amount(amount)))


def test_poll_revertsWhatAReorganisationUndid(world: World) -> None:
    user = world.user(tokens=1)
    follower = follower_from_now(world)
    deposits(world, user, range(1, 3))
    before = follower.poll()
    deposits(world, user, range(3, 6))
    assert [amount for _, amount in found(follower.poll(), Deposited)] == [3, 4, 5]
    world.rpc.request("anvil_reorg", 3, [])
    batch = follower.poll()
    assert batch.reverted_to == before.head
    assert found(batch, Deposited) == []
    deposits(world, user, range(7, 8))
    after = follower.poll()
    assert after.reverted_to is None
    assert found(after, Deposited) == [(user.account, 7)]


def test_poll_revertsOnlyWhenALongerChainDisagrees(world: World) -> None:
    user = world.user(tokens=1)
    follower = follower_from_now(world)
    snapshot = world.rpc.request("evm_snapshot")
    start = world.rpc.latest()
    deposits(world, user, range(1, 4))
    head = follower.poll().head
    world.rpc.request("evm_revert", snapshot)
    shorter = follower.poll()
    assert (shorter.events, shorter.reverted_to, shorter.head) == ((), None, head)
    assert shorter.latest == start.number
    assert shorter.chain_time >= start.timestamp
    deposits(world, user, range(11, 15))
    longer = follower.poll()
    assert longer.reverted_to == start.number
    assert [amount for _, amount in found(longer, Deposited)] == [11, 12, 13, 14]


def test_poll_losesNothingInAnOutage(world: World) -> None:
    user = world.user(tokens=1)
    impatient = Rpc(world.chain.url, timeout=0.2, attempts=1)
    follower = Follower(impatient, world.deployment)
    follower.poll()
    deposits(world, user, range(1, 3))
    trail = follower.trail
    assert world.chain.pid is not None
    os.killpg(world.chain.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ChainUnavailable, match="took too long"):
            follower.poll()
    finally:
        os.killpg(world.chain.pid, signal.SIGCONT)
    assert follower.trail == trail
    assert [amount for _, amount in found(follower.poll(), Deposited)] == [1, 2]


def test_follower_goesOnFromAStoredTrail(world: World) -> None:
    user = world.user(tokens=1)
    first = follower_from_now(world)
    deposits(world, user, range(5, 6))
    second = Follower(world.rpc, world.deployment, trail=first.trail)
    batch = second.poll()
    assert found(batch, Deposited) == [(user.account, 5)]
    assert second.poll().events == ()


def test_confirmations_holdTheNewestBlocksBack(world: World) -> None:
    user = world.user(tokens=1)
    follower = Follower(world.rpc, world.deployment, confirmations=2)
    follower.poll()
    deposits(world, user, range(1, 2))
    assert found(follower.poll(), Deposited) == []
    world.chain.mine(2)
    assert found(follower.poll(), Deposited) == [(user.account, 1)]


def test_poll_catchesUpInPortions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Follower(world.rpc, world.deployment).poll()
    monkeypatch.setattr("mixpay.chain.follower._SPAN", 2)
    monkeypatch.setattr("mixpay.chain.follower._SPANS_A_POLL", 3)
    follower = Follower(world.rpc, world.deployment)
    batches = [follower.poll()]
    while batches[-1].head < batches[-1].latest:
        batches.append(follower.poll())
    assert len(batches) > 3
    assert tuple(event for batch in batches for event in batch.events) == whole.events


def test_poll_asksForLessIfTheNodeFindsItTooMuch(world: World) -> None:
    whole = Follower(world.rpc, world.deployment).poll()
    with strict_node(world.chain.url, most_blocks=3) as url:
        rpc = Rpc(url, attempts=1)
        assert Follower(rpc, world.deployment).poll().events == whole.events
    with strict_node(world.chain.url, most_blocks=0) as url, pytest.raises(RpcError, match="too many"):
        Follower(Rpc(url, attempts=1), world.deployment).poll()


@contextmanager
def strict_node(target: str, most_blocks: int) -> Iterator[str]:
    """Stands before a node and refuses to read logs of more blocks at once, as providers do."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = json.loads(body)
            answer = requests.post(target, data=body, headers=dict(self.headers), timeout=5).content
            if request["method"] == "eth_getLogs":
                query = request["params"][0]
                if int(query["toBlock"], 16) - int(query["fromBlock"], 16) >= most_blocks:
                    error = {"code": -32602, "message": "too many blocks"}
                    answer = json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_logThatNoContractEmits_isNoNews_andTheNextPollGoesOn(world: World) -> None:
    whole = Follower(world.rpc, world.deployment).poll()
    lies = [True]

    def shorten(request: Message, answer: Message) -> Message:
        if request["method"] == "eth_getLogs" and lies:
            answer["result"] = [{**log, "data": log["data"][:-64]} for log in answer["result"]]
        return answer

    with odd(world.chain.url, shorten) as url:
        follower = Follower(Rpc(url), world.deployment)
        with pytest.raises(ChainUnavailable, match="answers nonsense to eth_getLogs"):
            follower.poll()
        lies.clear()
        assert follower.poll().events == whole.events


def test_chainTime_neverFalls() -> None:
    with DevChain() as chain:
        deployer = Sender(chain.rpc, b"\x01" * 32)
        chain.fund(deployer.account, 10**20)
        deployment = deploy(chain.rpc, deployer, DEMO)
        follower = Follower(chain.rpc, deployment)
        snapshot = chain.rpc.request("evm_snapshot")
        chain.advance_time(EPOCH)
        ahead = follower.poll().chain_time
        chain.rpc.request("evm_revert", snapshot)
        assert chain.rpc.latest().timestamp < ahead
        assert follower.poll().chain_time == ahead == follower.chain_time


def test_contracts_canBeReadAsTheyStoodAtABlock(world: World) -> None:
    user = world.user(tokens=1)
    deposits(world, user, range(1, 2))
    block = world.rpc.latest().number
    deposits(world, user, range(2, 3))
    then = Contracts(world.rpc, world.deployment, block)
    assert then.channels.balance_of(user.account) == 1
    assert world.contracts.channels.balance_of(user.account) == 3
