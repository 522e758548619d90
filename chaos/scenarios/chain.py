"""A chain that is away, slow, out of its mind, or takes back what it said; and wallets without gas."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from pathlib import Path
from typing import Any

from chaos.scenario import NotHeld, require, scenario
from chaos.scenarios.node import (
    Answer,
    Ask,
    Message,
    Page,
    Reset,
    as_of,
    down,
    failing,
    honest,
    result,
)
from chaos.scenarios.world import PRICE, FaultWorld, sees, world
from mixpay.book import PayeeBook
from mixpay.chain import abi
from mixpay.chain.records import Call, to_hex
from mixpay.chain.sender import Sender
from mixpay.errors import ChainError
from mixpay.parameters import DEMO
from mixpay.types import Account, RelayId
from relay.daemon import Daemon

CREDIT = 60
"""Hop prices: so little that it is used up while the chain is away."""


async def _down(folder: Path) -> None:
    """Packets go on within the credit, and no further; vouchers too; the chain's return opens channels."""
    async with world(folder, settings={"limits.credit_limit": str(CREDIT)}) as net:
        net.node.behave = down
        ends = await net.carry(60, pause=0.01, limit=4.0)
        require(ends[None] >= CREDIT // 4, f"packets waited for the chain: {ends}")
        require(ends[None] < 60, f"the credit was never used up: {ends}")
        _within_credit(net)
        await sees("every operator to be told", lambda: all(_is_told(net, d.me) for d in net.daemons))
        await net.settle()
        _within_credit(net)
        net.node.behave = honest
        await sees(
            "channels to open",
            lambda: all(b.channel.deposit for _, _, b in net.payees() if b.state.upto_batch),
        )
        ends = await net.carry(40, pause=0.01)
        require(ends == {None: 40}, f"packets after the chain's return: {ends}")
        await net.all_is_well()


def _within_credit(net: FaultWorld) -> None:
    for payer, payee, book in net.payees():
        owed = book.totals(PRICE)
        promised = owed.unsettled * PRICE + owed.cumulative
        require(promised <= CREDIT * PRICE, f"{payer} owes {payee} {promised}, above the credit")


def _is_told(net: FaultWorld, relay: RelayId) -> bool:
    notes = [note for note in net.status(relay).notes if "no answer from the RPC endpoint" in note]
    return bool(notes) and any("rpc_url" in note for note in net.status(relay).notes)


_NONSENSE: tuple[Any, ...] = (
    Reset(),
    Page(502),
    Page(429),
    Page(200),
    Page(200, b"[]"),
    Page(200, b'{"jsonrpc":"2.0","id":1,"result":'),
    -32_000,
    -32_005,
    None,
    "0x",
    "0xzz",
    {},
    [],
    [None],
    7,
)


def _out_of_its_mind(request: Message, ask: Ask) -> Answer:
    """Two in three answers are right; the others are none."""
    if random.random() < 0.66:  # noqa: S311 -- a fault, not a secret
        return ask(request)
    said = random.choice(_NONSENSE)  # noqa: S311
    if isinstance(said, Reset | Page):
        return said
    if isinstance(said, int) and said < 0:
        return failing(request, said, "header not found")
    if request["method"] == "eth_getTransactionCount" and said == "0x":
        time.sleep(0.5)
    return result(request, said)


def _is_asked(net: FaultWorld, times: int) -> bool:
    return net.node.asked > times


async def _errors(folder: Path) -> None:
    """Answers of every wrong kind end no daemon, hold up no packet, and cost no unit."""
    async with world(folder) as net:
        net.node.behave = _out_of_its_mind
        for _ in range(5):
            more = net.node.asked + 50
            ends = await net.carry(20, pause=0.02)
            require(ends == {None: 20}, f"packets waited for the chain: {ends}")
            await sees("the node to be asked", partial(_is_asked, net, more))
        net.node.behave = honest
        await net.all_is_well(lossless=True)


async def _stalls(folder: Path) -> None:
    """A node that takes its requests and says nothing: no packet waits for it, nor does the operator."""

    def silent(request: Message, ask: Ask) -> Answer:
        time.sleep(25)
        return Reset()

    async with world(folder) as net:
        net.node.behave = silent
        await asyncio.sleep(1.0)  # until every part of every daemon waits for an answer
        began = asyncio.get_running_loop().time()
        ends = await net.carry(50, pause=0.01)
        require(ends == {None: 50}, f"packets waited for the chain: {ends}")
        await net.all_arrived()
        await net.settle()
        took = asyncio.get_running_loop().time() - began
        require(took < 20, f"{took:.0f} s: settling waited for the chain")
        net.node.behave = honest
        await net.all_is_well(lossless=True)


async def _stale(folder: Path) -> None:
    """A node that stands still a while, behind the others: nothing is paid twice on its word."""
    async with world(folder) as net:
        await net.carry(30)
        await net.all_arrived()
        old = net.chain.rpc.latest().number
        await net.settle()
        await net.claim()
        # A channel without room would be topped up by a treasury that knows what there is, and packets wait.
        await sees("channels with room", lambda: all(_has_room(net, *link) for link in net.payees()))
        net.node.behave = as_of(old)  # of before channels, claims, and what they cost
        before = _deposits(net)
        for daemon in net.daemons:
            await daemon.money.treasury.run_once(urgent=True)
        await net.carry(30)
        await net.all_arrived()
        net.node.behave = honest
        await net.all_is_well(lossless=True)
        spent = {pair: amount - before.get(pair, 0) for pair, amount in _deposits(net).items()}
        limit = 40_000 * PRICE
        require(all(amount <= limit for amount in spent.values()), f"funded on stale words: {spent}")


def _has_room(net: FaultWorld, payer: RelayId, payee: RelayId, book: PayeeBook) -> bool:
    """Whether both sides of a link know of a deposit beyond its voucher, if there is one."""
    promised, known = book.state.cumulative, net.owes(payer, payee).channel.deposit
    return not promised or book.channel.deposit == known > promised


def _deposits(net: FaultWorld) -> dict[tuple[int, int], int]:
    channel = net.contracts.channels.channel
    return {
        (payer, payee): channel(net.account(payer), net.account(payee)).deposit
        for payer, payee, _ in net.payees()
    }


async def _lies(folder: Path) -> None:
    """A node that keeps a closing to itself, makes deposits larger, and names another link key."""
    closing, funded = event("Channels", "CloseRequested"), event("Channels", "Funded")
    registered = event("RelayRegistry", "Registered")

    def without_closings(request: Message, ask: Ask) -> Answer:
        answer = ask(request)
        if request["method"] == "eth_getLogs":
            logs = [log for log in answer["result"] if log["topics"][0] != closing]
            answer["result"] = [swollen(log) if log["topics"][0] == funded else log for log in logs]
        return answer

    def with_another_key(request: Message, ask: Ask) -> Answer:
        answer = ask(request)
        if request["method"] == "eth_getLogs":
            answer["result"] = [
                another(log) if log["topics"][0] == registered else log for log in answer["result"]
            ]
        return answer

    async with world(folder) as net:
        net.node.behave = without_closings
        await net.carry(40)
        await net.all_arrived()
        await net.settle()
        payer, payee, book = max(net.payees(), key=lambda link: link[2].state.cumulative)
        await sees("a channel", lambda: book.channel.deposit)
        channels = net.contracts.channels
        net.relay(payer).sender.send(channels.request_close(net.account(payee)))
        true = channels.channel(net.account(payer), net.account(payee))
        require(book.channel.deposit == true.deposit, "a deposit was believed that is none")
        for _ in range(4):
            net.chain.advance_time(DEMO.notice // 8)
            await asyncio.sleep(0.3)
        await sees("the closing to be found out", lambda: book.channel.closes_at == true.closes_at)
        await sees(
            "what is owed to be claimed in its notice",
            lambda: channels.channel(net.account(payer), net.account(payee)).claimed == book.state.cumulative,
        )
        require(net.chain.rpc.latest().timestamp < true.closes_at, "the notice was over")
        await net.all_is_well()

        liar = net.daemons[0]
        await liar.stop()
        net.node.behave = with_another_key
        try:
            daemon = net._assemble(liar.home)
        except ChainError as error:
            require("use another one" in str(error), f"the operator is not told: {error}")
        else:
            daemon.store.abandon()
            raise NotHeld("a relay believed in keys that the frozen root has not")
        net.node.behave = honest
        await net.start_again(liar.me)


def swollen(log: Message) -> Message:
    """An event whose first amount is larger than it was."""
    return {**log, "data": "0x" + "00" * 20 + "ff" * 12 + log["data"][66:]}


def another(log: Message) -> Message:
    """A registration with another link key."""
    data = log["data"]
    return {**log, "data": data[:66] + flip(data[66:130]) + data[130:]}


def flip(word: str) -> str:
    """32 bytes with each bit turned over."""
    return f"{int(word, 16) ^ (2**256 - 1):064x}"


def event(contract: str, name: str) -> str:
    """The topic of an event."""
    return to_hex(abi.artifact(contract).events[name].topic)


async def _reorganised(folder: Path) -> None:
    """The chain takes claims, and the channels they came from, back: they are made and claimed anew."""
    async with world(folder) as net:
        await net.carry(30)
        await net.all_arrived()
        await net.settle()
        before = net.chain.rpc.latest().number
        await net.claim()
        claimed = net.contracts.channels.balance_of
        rich = {daemon.me: claimed(daemon.account) for daemon in net.daemons}
        depth = net.chain.rpc.latest().number - before
        net.chain.rpc.request("anvil_reorg", depth, [])
        require(net.unclaimed(), "nothing was taken back")
        await net.all_is_well(lossless=True)
        again = {daemon.me: claimed(daemon.account) for daemon in net.daemons}
        require(sum(rich.values()) == sum(again.values()), f"money came or went: {rich}, {again}")


async def _stuck(folder: Path) -> None:
    """Transactions that no block takes get dearer; an earlier run's is replaced; nothing is paid twice."""

    def hasty(daemon: Daemon) -> None:
        daemon.sender._stuck_after = daemon.money.treasury._stuck_after = 1.0

    async with world(folder, prepare=hasty) as net:
        await net.carry(30)
        await net.all_arrived()
        await net.settle()
        rpc, nobody = net.chain.rpc, Account(b"\x0e" * 20)
        late = net.daemons[0]
        await late.stop()
        rpc.request("evm_setAutomine", False)
        try:
            earlier = Sender(rpc, late.home.operator_key)
            earlier._submit(Call("an earlier run's", nobody, b"", 1), 21_000, earlier._market())
            claims = asyncio.ensure_future(net.claim(aside=[late.me]))
            await sees("others' transactions", lambda: len(_pool(net)) > 1)
            first = _pool(net)
            await net.start_again(late.me)
            await sees("all of them to be replaced", lambda: _are_dearer(first, _pool(net)))
        finally:
            rpc.request("evm_setAutomine", True)
            rpc.request("evm_mine")
        await claims
        await net.all_is_well()
        require(rpc.balance(nobody) == 0, "what was replaced was mined all the same")


def _pool(net: FaultWorld) -> dict[tuple[str, str], int]:
    """Fees of what is in no block yet, by sender and nonce."""
    waiting = net.chain.rpc.request("txpool_content")["pending"]
    return {
        (sender, nonce): int(tx["maxFeePerGas"], 16)
        for sender, txs in waiting.items()
        for nonce, tx in txs.items()
    }


def _are_dearer(before: dict[tuple[str, str], int], now: dict[tuple[str, str], int]) -> bool:
    return all(now.get(key, 0) > fee for key, fee in before.items())


async def _no_gas(folder: Path) -> None:
    """Wallets without gas: packets go on, each operator is told what to send, then all is claimed."""
    async with world(folder) as net:
        for daemon in net.daemons:
            net.chain.fund(daemon.account, 0)
        ends = await net.carry(60, pause=0.01)
        require(ends == {None: 60}, f"packets waited for gas: {ends}")
        await net.all_arrived()
        await net.settle()
        for daemon in net.daemons:
            await daemon.money.treasury.run_once(urgent=True)
            told = net.text(daemon.me)
            require("no ether to pay for gas: send it some" in told, f"the operator is not told: {told}")
        require(net.unclaimed(), "something was claimed without gas")
        for daemon in net.daemons:
            net.chain.fund(daemon.account, 10**18)
        await net.all_is_well(lossless=True)


SCENARIOS = (
    scenario("chain_down", _down),
    scenario("chain_errors", _errors),
    scenario("chain_stalls", _stalls),
    scenario("chain_stale", _stale),
    scenario("chain_lies", _lies),
    scenario("chain_reorganised", _reorganised),
    scenario("transaction_stuck", _stuck),
    scenario("wallet_without_gas", _no_gas),
)
