"""A chain that is away, slow, out of its mind, or takes back what it said; and wallets without gas."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

from chaos.scenario import require, scenario
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


def _is_told(net: FaultWorld, relay: int) -> bool:
    notes = [note for note in net.status(relay).notes if "no answer from the RPC endpoint" in note]
    return bool(notes) and any("rpc_url" in note for note in net.status(relay).notes)


_NONSENSE = (
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


async def _errors(folder: Path) -> None:
    """Answers of every wrong kind end no daemon, hold up no packet, and cost no unit."""
    async with world(folder) as net:
        net.node.behave = _out_of_its_mind
        for _ in range(5):
            before = net.node.asked
            ends = await net.carry(20, pause=0.02)
            require(ends == {None: 20}, f"packets waited for the chain: {ends}")
            await sees("the node to be asked", lambda before=before: net.node.asked > before + 50)
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


def _deposits(net: FaultWorld) -> dict[tuple[int, int], int]:
    channel = net.contracts.channels.channel
    return {
        (payer, payee): channel(net.account(payer), net.account(payee)).deposit
        for payer, payee, _ in net.payees()
    }


SCENARIOS = (
    scenario("chain_down", _down),
    scenario("chain_errors", _errors),
    scenario("chain_stalls", _stalls),
    scenario("chain_stale", _stale),
)
