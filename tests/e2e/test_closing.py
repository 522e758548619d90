"""I4 from the daemons' side: a payer gives notice; whoever is away, both have their own at the end."""

from __future__ import annotations

import asyncio
import os

import pytest

from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Amount, Epoch, RelayId
from relay.daemon import Daemon, assemble
from relay_world import EPOCH, RelayWorld, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEPOSIT = Amount(TOKEN // 100)
PACKETS = 12
PRICE = DEMO.hop_price


async def start_again(world: RelayWorld, before: Daemon) -> Daemon:
    """A daemon that was stopped comes back from its folder."""
    place = world.daemons.index(before)
    daemon = world.daemons[place] = assemble(before.home)
    await daemon.start()
    return daemon


async def carry(world: RelayWorld, entry: Daemon, first: RelayId) -> None:
    """Packets from an entry through one first mix; what they cost it is acknowledged."""
    mailbox = next(daemon.me for daemon in reversed(world.daemons) if daemon.me not in (entry.me, first))
    for _ in range(PACKETS):
        path = world.layers().draw_path(entry.me, mailbox, lambda relay: True, os.urandom)
        built = world.packet((first, *path[1:]), mailbox, bytes(16))
        sent = entry.router.submit(first, EPOCH, built.lock, built.hint, built.packet)
        assert await asyncio.wait_for(sent, 10) == built.first_ack


async def test_noticeOfAPayer_paysThePayeeAndBringsTheRestBack_whoeverCrashes(world: RelayWorld) -> None:
    first = world.layers().members(1)[0]
    payer = next(daemon for daemon in world.daemons if daemon.me not in world.layers().members(1))
    payee, channels = world.relay(first), world.contracts.channels
    accounts = payer.account, payee.account
    await asyncio.to_thread(payer.sender.send, channels.fund(payee.account, DEPOSIT))
    await until(lambda: payer.books.payer(first).channel.deposit >= DEPOSIT, "the payer to see its channel")
    deposit = channels.channel(*accounts).deposit
    await carry(world, payer, first)
    due = PACKETS * 4 * PRICE
    assert payer.books.payer(first).totals(PRICE).unsettled == PACKETS * 4
    owed = payee.books.payee(payer.me)
    await until(lambda: owed.totals(PRICE).opened == PACKETS * 4, "the payee to have all receipts")

    await payee.stop()  # it does not see the notice
    await asyncio.to_thread(payer.sender.send, channels.request_close(payee.account))
    payee = await start_again(world, payee)
    await until(lambda: channels.channel(*accounts).claimed == due, "the payee to settle and claim")
    assert channels.channel(*accounts).closes_at > world.rpc.latest().timestamp, "before the notice ends"

    await until(lambda: payer.books.payer(first).channel.claimed == due, "the payer to see it")

    def elsewhere() -> int:
        """What the payer has in its ledger and in its other channels."""
        others = (daemon.account for daemon in world.daemons if daemon not in (payer, payee))
        deposits = sum(channels.channel(payer.account, other).deposit for other in others)
        return deposits + channels.balance_of(payer.account)

    before = elsewhere()
    await payer.stop()  # nor does it see the notice end
    world.to_epoch(EPOCH + 1)
    await until(lambda: world.contracts.registry.is_frozen(Epoch(EPOCH + 2)), "the epoch after to be fixed")
    world.chain.advance_time(to=channels.channel(*accounts).closes_at)
    payer = await start_again(world, payer)
    await until(lambda: channels.channel(*accounts).deposit == due, "the payer to take back the rest")
    closed = channels.channel(*accounts)
    assert (closed.claimed, closed.closes_at) == (due, 0)
    assert elsewhere() == before + deposit - due
    book, mirror = payee.books.payee(payer.me), payer.books.payer(first)
    assert book.state.cumulative == mirror.state.cumulative == due  # I7: nothing is owed any more
    assert mirror.totals(PRICE).unsettled == 0
