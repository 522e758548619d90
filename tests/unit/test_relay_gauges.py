"""What /metrics tells: figures agree with the books, name no client, and join no two peers."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from mixpay.book import Limits
from mixpay.book.rows import Channel
from mixpay.crypto.rsa_permutation import ProvenKey
from mixpay.parameters import TOKEN
from mixpay.passes import KIND_ENTRY, PassSpender
from mixpay.types import Amount, Epoch, RelayId, Value
from relay.clients.gateway import Gateway
from relay.config import RelayConfig
from relay.court import CourtReport
from relay.court.actions import Matter
from relay.links import Identity, LinkLimits, LinkServer
from relay.metrics import Metrics
from relay.operator.gauge_table import TABLE
from relay.operator.gauge_table import sheet as new_sheet
from relay.operator.gauges import Gauges, Watched
from relay.path.books import Side
from relay.path.workers import WorkerPool
from relay.redeem.redeemer import RedeemReport
from relay.store import StoredPoolVoucher
from relay.treasury import Holdings, Postponed, Subject, TreasuryReport
from relay.treasury.facts import PoolFacts
from relay.waits import Waiting
from relay_parts import CAMPAIGN, EPOCH, Node, Parts, campaign, frame, link_seed, passes_for, signing_key

CONFIG = RelayConfig(
    rpc_url="http://127.0.0.1:1", deployment="x", host="127.0.0.1", link_port=1, client_port=2,
    owner="0x" + "ab" * 20,
)  # fmt: skip
HOLDINGS = Holdings(Amount(2 * TOKEN), Amount(TOKEN // 2), 3 * TOKEN // 1000, 1)
VOUCHER = StoredPoolVoucher(CAMPAIGN, 3, Amount(7 * TOKEN), bytes(65))
Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def money() -> SimpleNamespace:
    waiting = (
        Postponed(Subject.PAYER, 1, "a"),
        Postponed(Subject.PAYEE, 1, "b"),
        Postponed(Subject.PAYEE, 2, "c"),
    )
    pool = PoolFacts(VOUCHER, Amount(4 * TOKEN), Epoch(3), Amount(TOKEN), 1, 1)
    report = TreasuryReport(postponed=waiting, holdings=HOLDINGS, pool=(pool,))
    tried = Counter({("claim", "done"): 2, ("claim", "failed"): 1})
    redeemer = SimpleNamespace(
        vouchers={CAMPAIGN: VOUCHER},
        paid_at_pool=lambda: {CAMPAIGN: Amount(1), 8: Amount(TOKEN)},
        last=RedeemReport(waiting=(Waiting(CAMPAIGN, 2, "silent"),)),
    )
    return SimpleNamespace(treasury=SimpleNamespace(last=report, tried=tried), redeemer=redeemer)


def court() -> SimpleNamespace:
    matters = (Matter(RelayId(1), False, 1, 1, "", ""), Matter(RelayId(2), True, 1, 1, "", ""))
    return SimpleNamespace(last=CourtReport(matters=matters), tried=Counter({("open", "done"): 1}))


def watched(node: Node) -> Watched:
    server = LinkServer(Identity(node.me, link_seed(node.me)), lambda _: b"", None, LinkLimits())
    gateway = Gateway(node.state, node.router, node.passes, node.mailboxes, node.store, node.metrics, 10)
    return Watched(
        release=0,
        config=CONFIG,
        state=node.state,
        store=node.store,
        books=node.books,
        desk=node.desk,
        router=node.router,
        mixer=node.mixer,
        tags=node.tags,
        mailboxes=node.mailboxes,
        passes=node.passes,
        workers=WorkerPool(0, None),
        server=server,
        links_out=lambda: node.wires[Side.PAYEE],
        gateway=gateway,
        chain=node.chain,
        money=money(),
        court=court(),
        notes=lambda: ["one", "two"],
        clock=node.clock,
    )


def read(node: Node, changed: Watched | None = None) -> Figures:
    """What Prometheus reads in the text."""
    metrics = node.metrics
    gauges = Gauges(changed or watched(node), lambda: node.state.chain_time + 5.0)
    metrics.registry.register(gauges)
    text = metrics.render().decode()
    metrics.registry.unregister(gauges)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def at(figures: Figures, name: str, **labels: object) -> float | None:
    return figures.get((f"mixpay_{name}", tuple(sorted((k, str(v)) for k, v in labels.items()))))


@pytest_asyncio.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = Parts(tmp_path, limits=Limits(credit_limit=Value(10_000)))
    yield made
    await made.close()


async def carried(parts: Parts, packets: int = 3) -> Node:
    """The first mix, after packets of its entry that went on to the second."""
    entry, first, second, *_ = parts.path()
    node = await parts.node(first)
    await parts.connect(first, second)
    node.link(Side.PAYER, entry)
    built = [parts.packet() for _ in range(packets)]
    await node.hear(Side.PAYER, entry, *(frame(one, seq) for seq, one in enumerate(built, 1)))
    await parts.run(2.0)
    return node


async def test_figures_agreeWithTheBooks(parts: Parts) -> None:
    node = await carried(parts)
    entry, _, second, *_ = parts.path()
    figures = read(node)
    payer, payee = node.books.payees[entry], node.books.payers[second]
    owed, owing = payer.totals(node.state.hop_price), payee.totals(node.state.hop_price)
    assert owed.unsettled == 12 and owing.unsettled == 9 and owed.opened == 12
    assert at(figures, "unsettled_value", side="payer", relay=entry) == owed.unsettled
    assert at(figures, "unsettled_value", side="payee", relay=second) == owing.unsettled
    assert at(figures, "proven_value", relay=entry) == owed.opened
    assert at(figures, "exposure_free_value", side="payer", relay=entry) == 10_000 - 12
    assert at(figures, "tickets_issued_total") == 3 == at(figures, "acks_received_total")
    assert at(figures, "receipts_total") == 3 == at(figures, "packets_total", role="mix")
    assert at(figures, "link_up", side="payee", relay=second) == 1
    assert at(figures, "link_up", side="payer", relay=entry) == 0  # no such link in the server
    assert at(figures, "store_commits_total") == node.store.stats.commits > 0
    assert at(figures, "replay_tags") == 3


async def test_money_isInTokens_andTransactionsHaveTheirOutcome(parts: Parts) -> None:
    figures = read(await parts.node(1))
    assert at(figures, "ledger_tokens") == 2
    assert at(figures, "account_tokens") == 0.5
    assert at(figures, "account_ether") == 0.003
    assert at(figures, "transactions_pending") == 1
    assert at(figures, "transactions_total", kind="treasury_claim", outcome="failed") == 1
    assert at(figures, "transactions_total", kind="court_open", outcome="done") == 1
    assert [at(figures, "postponed", subject=s) for s in ("payer", "payee", "campaign", "account")] == [
        1,
        2,
        0,
        0,
    ]
    assert at(figures, "campaign_voucher_tokens", campaign=CAMPAIGN) == 7
    assert at(figures, "campaign_claimed_tokens", campaign=CAMPAIGN) == 4
    assert at(figures, "campaign_claimed_tokens", campaign=8) == 1
    assert at(figures, "campaign_waiting", campaign=CAMPAIGN) == 1
    assert at(figures, "court_cases", side="against_us") == 1 == at(figures, "court_cases", side="by_us")
    assert at(figures, "operator_notes") == 2


async def test_chainAndEpochs_areTold(parts: Parts) -> None:
    node = await parts.node(1)
    node.chain.read_at = node.clock() - 4
    figures = read(node)
    assert at(figures, "chain_lag_seconds") == 5
    assert at(figures, "chain_read_age_seconds") == 4
    assert at(figures, "chain_trouble") == 0
    assert at(figures, "epoch") == EPOCH
    assert at(figures, "packet_key", epoch="this") == 1 == at(figures, "member", epoch="this")
    assert at(figures, "packet_key", epoch="next") == 0 == at(figures, "epoch_fixed", epoch="next")
    assert at(figures, "descriptors_missing", epoch="this") == 8
    assert at(figures, "layer") in (1, 2, 3)


async def test_peerThatWasRefused_andChannelThatCloses_areTold(parts: Parts) -> None:
    node = await carried(parts)
    entry, _, second, *_ = parts.path()
    with node.books.step() as step:
        channel = Channel(Amount(TOKEN), Amount(0), 99)
        step.add(Side.PAYEE, second, node.books.payers[second].on_channel(channel))
        book = node.books.payees[entry]
        step.add(Side.PAYER, entry, book.on_batch(1, 3, bytes(32), bytes(65), node.clock()))
    figures = read(node)
    assert at(figures, "peer_refused", side="payer", relay=entry, reason="forged_batch") == 1
    assert at(figures, "channel_close_timestamp_seconds", side="payee", relay=second) == 99
    assert at(figures, "channel_deposit_tokens", side="payee", relay=second) == 1


async def test_everyFigureOfTheTable_hasSamples(parts: Parts) -> None:
    """One that never has any would be an alarm that never rings."""
    node = await carried(parts)
    entry, _, second, *_ = parts.path()
    parts.chain.set_key(signing_key(1), KIND_ENTRY, EPOCH)
    node.state.campaigns[CAMPAIGN] = campaign()
    owned = passes_for(parts.view, node.me, KIND_ENTRY, EPOCH)[0]
    key = ProvenKey.of(signing_key(1))
    shown, rules, position = node.state.shown_pass(owned.shown().encode(), key, KIND_ENTRY)
    presented, spender = node.passes.present(shown, rules, position, 1 << 20), PassSpender(owned)
    spender.reserve(1)
    node.passes.accept_tick(presented.pass_id, spender.next_tick())
    node.chain.read_at = node.clock()
    with node.books.step() as step:
        channel = Channel(Amount(TOKEN), Amount(0), 99)
        step.add(Side.PAYEE, second, node.books.payers[second].on_channel(channel))
        step.add(Side.PAYER, entry, node.books.payees[entry].on_batch(1, 3, bytes(32), bytes(65), 0.0))
    sampled = {name for name, _ in read(node)}
    assert set(TABLE) - sampled == set()


async def test_labels_areBounded_andJoinNoTwoPeers(parts: Parts) -> None:
    """I10: nothing tells which packet went from whom to whom, nor who the clients are."""
    node = await carried(parts)
    allowed = {
        "side", "relay", "queue", "kind", "state", "reason", "outcome", "subject", "campaign", "epoch",
        "role", "release", "software", "what",
    }  # fmt: skip
    for name, labels in read(node):
        assert {label for label, _ in labels} <= allowed, name
        assert [label for label, _ in labels].count("relay") <= 1


async def test_beforeTheChainWasRead_theRestIsTold(parts: Parts) -> None:
    node = await parts.node(1)

    class Nowhere:
        """A network that nothing is known of."""

        def __getattr__(self, name: str) -> object:
            from mixpay.errors import ChainUnavailable

            raise ChainUnavailable("the chain was not read yet")

    figures = read(node, replace(watched(node), state=Nowhere()))
    assert at(figures, "ledger_tokens") == 2
    assert at(figures, "queue_packets", queue="mixer") == 0
    assert at(figures, "epoch") is None


def test_sheet_refusesWhatIsInNoTable() -> None:
    sheet = new_sheet()
    with pytest.raises(KeyError):
        sheet.put("mixpay_nothing", 1)
    with pytest.raises(ValueError, match="has the labels"):
        sheet.put("mixpay_epoch", 1, "this")


def test_names_followTheConventions() -> None:
    units = ("packets", "changes", "seconds", "bytes", "tokens", "ether", "value", "tickets", "total", "info")
    counts = {
        "connections", "connections_bound", "links_paused", "workers", "replay_tags", "mailboxes",
        "mailbox_messages", "link_up", "peer_refused", "transactions_pending", "postponed", "campaign_ticks",
        "campaign_waiting", "court_cases", "chain_trouble", "epoch", "term", "layer", "epoch_fixed", "member",
        "packet_key", "descriptors_missing", "operator_notes", "tickets_lost",
    }  # fmt: skip
    for name, figure in TABLE.items():
        short = name.removeprefix("mixpay_")
        assert name != short
        assert short in counts or short.rsplit("_", 1)[-1] in units, name
        assert figure.grows is name.endswith("_total")
        assert figure.text and not figure.text.endswith(".")
    for family in Metrics().registry.collect():
        assert family.documentation
