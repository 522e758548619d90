"""What real relays say of themselves while they carry, settle and wait: reasons for all that is unpaid, and
figures that agree with the books.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from mixpay.chain.devchain import DevChain
from relay.daemon import Daemon
from relay.operator.answers import PayeeAnswer, PayerAnswer, StatusAnswer
from relay.operator.status_text import status_text
from relay_world import CAMPAIGN, RelayWorld, until
from users import Box, User, packet

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayWorld]:
    with DevChain() as chain:
        world = RelayWorld(chain, tmp_path_factory.mktemp("world"))
        world.open_campaign()
        world.register()
        try:
            await world.start()
            await until(lambda: all(d.state.campaigns for d in world.daemons), "the campaign to be known")
            async with aiohttp.ClientSession() as http:
                user, box = User(world, http), Box(world, http)
                await box.make()
                await user.enter()
                for _ in range(20):
                    await user.ask(user.send(packet(world, user.entry, box.keeper, box.id)))
                keeper = world.relay(box.keeper)
                await until(lambda: keeper.mailboxes.counts[1] == 20, "all packets to arrive")
                yield world
        finally:
            await world.stop()


def figures(daemon: Daemon) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(daemon.operations.metrics().decode())
        for sample in family.samples
    }


def unpaid(peer: PayerAnswer | PayeeAnswer, price: int) -> int:
    return peer.unsettled_value * price + max(0, int(peer.cumulative) - int(peer.claimed))


def check(daemon: Daemon) -> StatusAnswer:
    """Everything that is owed has its reasons, and the figures say the same."""
    status = daemon.operations.status()
    price, found = int(status.hop_price), figures(daemon)
    for side, peers in (("payer", status.payers), ("payee", status.payees)):
        for peer in peers:
            assert sum(int(due.amount) for due in peer.dues) == unpaid(peer, price)
            assert all(due.why and due.follows for due in peer.dues)
            labels = frozenset({("side", side), ("relay", str(peer.relay))})
            assert found["mixpay_unsettled_value", labels] == peer.unsettled_value
            assert found["mixpay_voucher_tokens", labels] == int(peer.cumulative) / 10**18
            assert found["mixpay_link_up", labels] == peer.linked
    for campaign in status.campaigns:
        ticks = sum(campaign.ticks.values())
        assert sum(int(due.amount) for due in campaign.dues) == ticks * 5 * price
    assert [item.at for item in status.agenda if item.at is not None]
    return status


async def test_everyUnpaidAmount_hasAReason_beforeAndAfterASettlement(world: RelayWorld) -> None:
    before = [check(daemon) for daemon in world.daemons]
    assert sum(p.unsettled_value for status in before for p in status.payers) == 20 * (4 + 3 + 2 + 1)
    entry = next(status for status in before if status.campaigns and status.campaigns[0].dues)
    assert entry.campaigns[0].campaign == CAMPAIGN
    assert "which is not over" in status_text(entry)
    assert "tickets: settled at 1,000" in "".join(map(status_text, before))
    for daemon in world.daemons:
        daemon.desk.settle()
    await until(
        lambda: not any(p.unsettled_value for d in world.daemons for p in check(d).payers), "vouchers"
    )
    after = [check(daemon) for daemon in world.daemons]
    texts = "".join(map(status_text, after))
    assert "not worth a claim's gas yet" in texts or "the channel" in texts
    assert sum(int(p.cumulative) for s in after for p in s.payers) == 200 * int(after[0].hop_price)


async def test_payerThatIsGone_isCalledSilent(world: RelayWorld) -> None:
    gone = next(
        d for d in world.daemons if any(book.totals(1).cumulative for book in d.books.payers.values())
    )
    payee = next(relay for relay, book in gone.books.payers.items() if book.totals(1).cumulative)
    owed = world.relay(payee)
    gone.dialer.hang_up(payee)
    await until(lambda: gone.me not in owed.server.links, "the link to end")
    peer = next(p for p in check(owed).payers if p.relay == gone.me)
    assert not peer.linked


async def test_metrics_tellOfTheChainAndTheEpoch(world: RelayWorld) -> None:
    daemon = world.daemons[0]
    found = figures(daemon)
    assert found["mixpay_epoch", frozenset()] == 2
    assert found["mixpay_chain_height", frozenset()] > 0
    assert found["mixpay_account_ether", frozenset()] > 9
    assert found["mixpay_packet_key", frozenset({("epoch", "this")})] == 1
    assert found["mixpay_store_commits_total", frozenset()] > 0
    assert found["process_open_fds", frozenset()] > 0
