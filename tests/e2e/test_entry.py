"""Clients at real relays: the whole conversation, a relay that restarts meanwhile, a channel that closes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from mixpay import tls
from mixpay.chain.sender import Sender
from mixpay.client.errors import RelayRefused
from mixpay.client.relays import RelaySocket
from mixpay.errors import PeerError, UserError
from mixpay.packet import Built, ReplyBlock, open_reply, use_surb
from mixpay.parameters import TOKEN
from mixpay.types import Amount, Epoch
from mixpay.wire import client, frames
from mixpay.wire.client import DownStatus
from relay.daemon import Daemon, assemble
from relay.path.books import Side
from relay.store import StoreFailed, role_op
from relay_world import EPOCH, RelayWorld, running, until
from users import Box, User, packet, record, show

CLIENT = "127.0.0.3"
"""Where clients come from; relays are at 127.0.0.1."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayWorld]:
    async with running(tmp_path_factory.mktemp("world"), campaign=True) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(CLIENT, 0))) as session:
        yield session


async def test_userSendsAndReceives_andNothingIsWrittenDownOfIt(
    world: RelayWorld, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    user, box = User(world, http), Box(world, http)
    terms = await box.make()
    assert terms.stored == 0

    assert await user.enter() == 0
    packets = [packet(world, user.entry, box.keeper, box.id) for _ in range(10)]
    sent = [user.send(built) for built in packets]
    for one in sent:
        await user.socket.say(one)
    downs = {down.answers[0].seq: down for down in [await user.hear() for _ in sent]}
    for number, built in enumerate(packets, start=1):
        assert downs[number].answers[0].status is DownStatus.ACKNOWLEDGED
        assert downs[number].answers[0].ack == built.first_ack
    assert {len(client.encode(down)) for down in downs.values()} == {len(client.encode(downs[1]))}
    keeper = world.relay(box.keeper)
    await until(lambda: keeper.mailboxes.counts[1] == 10, "all packets to arrive")

    assert len(await box.fetch()) == 10
    assert await box.fetch() == ()
    with pytest.raises(RelayRefused, match="not_the_owner"):
        await box.fetch(os.urandom(32))

    again = await user.ask(sent[0])  # a tick used twice
    assert (again.answers[0].status, again.answers[0].ack) == (DownStatus.BAD_TICK, bytes(32))
    stranger = next(daemon for daemon in world.daemons if daemon.me != user.entry)
    other = await RelaySocket.open(http, record(world, stranger.me), "/v1/entry")
    with pytest.raises(RelayRefused, match="wrong_relay"):
        await other.ask(show(world, user.owned))
    await other.close()
    await user.socket.close()

    entry = world.relay(user.entry)
    assert entry.passes.ticks(user.owned.scope) == 10
    assert entry.store.roles()["entry"] == 10
    secrets = [box.id, user.owned.signature[:16], sent[0].link, sent[0].packet[:16], box.seed]
    secrets += [daemon.home.operator_key for daemon in world.daemons]
    for secret in secrets:
        assert secret.hex() not in caplog.text
        assert repr(secret)[2:-1] not in caplog.text
    assert CLIENT not in caplog.text


async def test_reply_findsWhoMadeItsBlock_whereverThatIs(
    world: RelayWorld, http: aiohttp.ClientSession
) -> None:
    """Bob answers Alice with nothing but a block: through mixes that she has drawn, to her own entry."""
    alice, bob = User(world, http), User(world, http)
    await alice.enter()
    await bob.enter()
    said, keys = {}, {}
    for number in range(6):
        made = world.layers().draw_path(bob.entry, alice.entry, lambda relay: True, os.urandom)
        name = number.to_bytes(8, "big")
        block, keys[name] = world.block(made, alice.entry, alice.passing + name)
        said[name] = os.urandom(2056)
        built = use_surb(ReplyBlock.decode(block.encode()), said[name])
        down = await bob.ask(bob.send(built))
        assert (down.answers[0].status, down.answers[0].ack) == (DownStatus.ACKNOWLEDGED, built.first_ack)
    again = await bob.ask(bob.send(built))
    assert again.answers[0].status is DownStatus.REFUSED_BY_MIX  # a block is good for one reply
    heard: dict[bytes, bytes] = {}
    async with asyncio.timeout(20):
        while len(heard) < 6:  # she sends something all the time, and hears as often
            down = await alice.ask(alice.send(packet(world, alice.entry, bob.entry, bytes(16))))
            if down.kind is client.DownKind.REPLY:
                assert down.number not in heard
                heard[down.number] = open_reply(keys[down.number], down.payload)
    assert heard == said
    for user in (alice, bob):
        await user.socket.close()


async def test_directoryOfAnotherEpoch_isNotFound(world: RelayWorld, http: aiohttp.ClientSession) -> None:
    config, key = world.homes[0].config, tls.link_key_of(world.homes[0].link_seed)
    for epoch, status in ((2, 200), (0, 404), (4, 404)):
        url = f"https://127.0.0.1:{config.client_port}/v1/directory?epoch={epoch}"
        async with http.get(url, ssl=tls.PinnedKey(key)) as response:
            assert response.status == status


async def test_relaysThatRestart_loseNothingThatWasPromised(
    world: RelayWorld, http: aiohttp.ClientSession
) -> None:
    user, box = User(world, http), Box(world, http)
    await box.make()
    await user.enter()
    first = packet(world, user.entry, box.keeper, box.id)
    sent = user.send(first)
    assert (await user.ask(sent)).answers[0].status is DownStatus.ACKNOWLEDGED
    keeper = world.relay(box.keeper)
    await until(lambda: keeper.mailboxes.counts[1] == 1, "the packet to arrive")
    await user.socket.close()

    keys = {relay: world.relay(relay).store.packet_keys() for relay in (user.entry, first.first_relay)}
    restarted = {user.entry, first.first_relay, box.keeper}
    for relay in restarted:
        await world.restart(relay)
    for relay, before in keys.items():
        assert world.relay(relay).store.packet_keys() == before

    assert await user.enter() == 1  # the pass and its tick are known
    await until(lambda: bool(world.relay(user.entry).state.campaigns), "the campaign to be known again")
    assert (await user.ask(sent)).answers[0].status is DownStatus.BAD_TICK
    replay = user.send(first)
    assert (await user.ask(replay)).answers[0].status is DownStatus.REFUSED_BY_MIX  # I9
    entry = world.relay(user.entry)
    with pytest.raises(PeerError, match="replayed"):
        await entry.router.submit(first.first_relay, EPOCH, first.lock, first.hint, first.packet)
    for _ in range(5):
        built = packet(world, user.entry, box.keeper, box.id)
        down = await user.ask(user.send(built))
        assert (down.answers[0].status, down.answers[0].ack) == (DownStatus.ACKNOWLEDGED, built.first_ack)
    await until(lambda: world.relay(box.keeper).mailboxes.counts[1] == 6, "the packets to arrive")
    assert len(await box.fetch()) == 6
    await user.socket.close()
    await settle(world)


async def settle(world: RelayWorld) -> None:
    """Everybody settles; then every payee's book says what its payer's says (I7)."""
    price = world.deployment.parameters.hop_price

    def pairs() -> list[tuple[Daemon, Daemon]]:
        return [(world.relay(payer), daemon) for daemon in world.daemons for payer in daemon.books.payees]

    def agreed() -> bool:
        for payer, payee in pairs():
            if payee.me not in payer.books.payers:
                return False  # the link is open on one side only yet
            ours = payee.books.payees[payer.me].totals(price)
            theirs = payer.books.payers[payee.me].totals(price)
            if ours.unsettled or theirs.unsettled or ours.cumulative != theirs.cumulative:
                return False
        return True

    for daemon in world.daemons:
        daemon.desk.settle()
    await until(agreed, "all books to be equal")


async def test_closingChannel_takesNoTicketsAndIsClaimedInTime(
    world: RelayWorld, http: aiohttp.ClientSession
) -> None:
    user, channels = User(world, http), world.contracts.channels
    await user.enter()
    mailbox = next(daemon.me for daemon in world.daemons if daemon.me != user.entry)
    built = packet(world, user.entry, mailbox, bytes(16))
    payer, payee = world.relay(user.entry), world.relay(built.first_relay)
    operator = Sender(world.rpc, payer.home.operator_key)
    await asyncio.to_thread(operator.send, channels.fund(payee.account, Amount(TOKEN // 100)))
    book = payee.books.payee(payer.me)
    await until(lambda: book.channel.deposit > 0, "the payee to see the channel")
    assert (await user.ask(user.send(built))).answers[0].status is DownStatus.ACKNOWLEDGED

    await asyncio.to_thread(operator.send, channels.request_close(payee.account))
    await until(lambda: book.channel.closes_at > 0, "the payee to see that it closes")
    assert book.refusal(2**40, 4, world.deployment.parameters.hop_price) == "channel_closing"
    # Nobody told it to settle: it does, and claims all there is before the notice ends.
    await until(lambda: book.totals(1).unsettled == 0, "the payee to settle")
    await until(
        lambda: channels.channel(payer.account, payee.account).claimed == book.state.cumulative > 0,
        "the payee to claim",
    )

    await asyncio.to_thread(operator.send, channels.fund(payee.account, Amount(1)))  # it stays after all
    mirror = payer.books.payer(payee.me)
    await until(lambda: book.channel.closes_at == mirror.channel.closes_at == 0, "both to see that it stays")
    built = packet(world, user.entry, mailbox, bytes(16))
    assert (await user.ask(user.send(built))).answers[0].status is DownStatus.ACKNOWLEDGED
    await user.socket.close()


async def test_secondDaemonInOneFolder_isRefused(world: RelayWorld) -> None:
    with pytest.raises(UserError, match="in use by another relay daemon"):
        assemble(world.daemons[0].home)


async def test_portThatIsTaken_isSaid_andNothingIsLeftBehind(world: RelayWorld, tmp_path: Path) -> None:
    home = replace(world.daemons[0].home, path=tmp_path)
    for _ in range(2):
        second = assemble(home)  # which it could not, if the first try had left the folder locked
        with pytest.raises(UserError, match="another program has it"):
            await second.start()
        await second.stop()


async def test_epochEnds_packetsOfItsKeysToo_debtsDoNot(world: RelayWorld) -> None:
    """Layers change with the term, so next hops of yesterday are none today; they are still paid."""
    entry, mailbox = world.daemons[0], world.daemons[-1]

    def draw(epoch: Epoch) -> Built:
        layers = world.layers(epoch)
        path = layers.draw_path(entry.me, mailbox.me, lambda relay: True, os.urandom)
        return world.packet(path, mailbox.me, bytes(16), epoch=epoch)

    async def carry(built: Built, epoch: Epoch) -> None:
        before = arrived()
        entry.router.check_first_mix(built.first_relay, epoch)
        sent = entry.router.submit(built.first_relay, epoch, built.lock, built.hint, built.packet)
        assert await asyncio.wait_for(sent, 10) == built.first_ack
        await until(lambda: arrived() > before, "the packet to arrive")

    def arrived() -> int:
        return mailbox.store.roles().get("mailbox", 0)

    for _ in range(20):
        await carry(draw(EPOCH), EPOCH)
    early, late = draw(EPOCH), draw(EPOCH)
    after = Epoch(EPOCH + 1)
    world.to_epoch(after)
    await until(lambda: all(daemon.state.epoch == after for daemon in world.daemons), "the next epoch")
    await carry(early, EPOCH)  # the last epoch's keys count for a grace
    world.chain.advance_time(world.deployment.parameters.key_grace)
    for daemon in world.daemons:
        await until(lambda d=daemon: EPOCH not in d.store.packet_keys(), "the end of the old key")
        await until(lambda d=daemon: not d.state.directories.missing(after), "the next directory")
    with pytest.raises(PeerError, match="wrong_epoch"):
        await carry(late, EPOCH)
    await carry(draw(after), after)
    await settle(world)


async def test_forgeriesOverALink_closeIt_andTheirReasonIsKept(world: RelayWorld) -> None:
    payer = world.daemons[1]
    payee = world.relay(min(payer.dialer.links))
    as_payer, as_payee = (Side.PAYER, payer.me), (Side.PAYEE, payee.me)

    await until(lambda: payer.dialer.links[payee.me].is_open, "the link")
    assert payer.dialer.links[payee.me].send(frames.Voucher(10**18, 2**31, bytes(65)))
    await until(lambda: as_payer in payee.hooks.cut_off, "the voucher to be refused")
    assert payee.hooks.cut_off[as_payer] == "wrong_voucher"
    await until(
        lambda: payer.dialer.links[payee.me].is_open and payer.me in payee.server.links,
        "the link to come back",
    )
    assert payee.books.payees[payer.me].refusal(2**40, 4, 1) == "link_refused"

    number = payer.books.payer(payee.me).state.upto_batch + 1
    payee.server.links[payer.me].send(frames.Acks((frames.Ack(number, 0, 2**40, bytes(32)),)))
    await until(lambda: as_payee in payer.hooks.cut_off, "the ack to be refused")
    assert payer.hooks.cut_off[as_payee] == "unknown_ticket"
    assert "unknown_ticket" in payer.metrics.render().decode()


async def test_diskThatFails_endsTheDaemonWithAWord(world: RelayWorld) -> None:
    """At last, for the relay is lost: what it cannot write down it must not promise."""
    daemon = world.daemons[0]
    daemon.store._database.execute("PRAGMA query_only = ON")  # like a full disk, it refuses every write
    daemon.store.write([role_op("entry")])
    with pytest.raises(StoreFailed, match="cannot write"):
        await asyncio.wait_for(daemon.failed, 10)
    await daemon.stop()
