"""Reads the figures of `gauge_table.py` from a daemon's parts, at the moment when Prometheus asks.

No I/O beyond the size of a file, and no locks: all in the event loop, like everything that it reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from mixpay.book.common import Totals
from mixpay.errors import MixpayError
from mixpay.figures import Sheet
from mixpay.mailbox import Mailboxes
from mixpay.passes import EntryPassBook
from mixpay.replay import TagStore
from mixpay.types import Epoch, RelayId
from relay.chainside import ChainSide
from relay.clients.gateway import Gateway
from relay.config import RelayConfig
from relay.court import CourtDesk
from relay.keys.directories import SOFTWARE
from relay.links import LinkServer
from relay.moneyside import MoneySide
from relay.operator.gauge_table import SIDE_PAYEE, SIDE_PAYER, described
from relay.operator.gauge_table import sheet as new_sheet
from relay.path.arrivals import MAX_UNDER_WAY
from relay.path.books import Books
from relay.path.desk import Desk
from relay.path.router import Router
from relay.path.workers import WorkerPool
from relay.state import State
from relay.store import RelayStore
from relay.treasury.actions import Subject


@dataclass(frozen=True, slots=True)
class Watched:
    """The parts of one daemon that have figures. `links_out`: open links, by payee."""

    release: int
    config: RelayConfig
    state: State
    store: RelayStore
    books: Books
    desk: Desk
    router: Router
    mixer: Sized
    tags: TagStore
    mailboxes: Mailboxes
    passes: EntryPassBook
    workers: WorkerPool
    server: LinkServer
    links_out: Callable[[], Mapping[RelayId, object]]
    gateway: Gateway
    chain: ChainSide
    money: MoneySide
    court: CourtDesk
    notes: Callable[[], list[str]]
    clock: Callable[[], float]


class Gauges(Collector):
    """What a registry asks, each time."""

    def __init__(self, watched: Watched, wall_clock: Callable[[], float] = time.time) -> None:
        self._watched, self._wall_clock = watched, wall_clock

    def describe(self) -> Iterable[Metric]:
        """All families, without samples."""
        return described()

    def collect(self) -> Iterator[Metric]:
        """All figures now. One area that cannot be read (no chain yet) does not hide the others."""
        sheet = new_sheet()
        for read in (_queues, _store, _books, _money, _campaigns, _epochs):
            with suppress(MixpayError):
                read(self._watched, sheet)
        with suppress(MixpayError):
            _chain(self._watched, sheet, self._wall_clock())
        return sheet.families()


def _queues(w: Watched, sheet: Sheet) -> None:
    limits, door = w.config.limits, w.gateway.door
    waiting = sum(map(w.router.waiting, w.router.awaited()))
    for queue, length, bound in (
        ("opening", w.router.arrivals.under_way, MAX_UNDER_WAY),
        ("mixer", len(w.mixer), limits.mixer_packets),
        ("next_hops", waiting, limits.link_queue),
    ):
        sheet.put("mixpay_queue_packets", length, queue)
        sheet.put("mixpay_queue_bound_packets", bound, queue)
    crowd = w.server.strangers
    for kind, count, most in (
        ("links_in", len(w.server.links), w.server.limits.max_links),
        ("strangers", crowd.total, crowd.limits.at_once),
        ("clients", w.gateway.clients, limits.clients),
    ):
        sheet.put("mixpay_connections", count, kind)
        sheet.put("mixpay_connections_bound", most, kind)
    if door is not None:
        sheet.put("mixpay_connections", door.crowd.total, "web")
        sheet.put("mixpay_connections_bound", door.crowd.limits.at_once, "web")
    sheet.put("mixpay_connections", len(w.links_out()), "links_out")
    sheet.put("mixpay_links_paused", w.desk.paused)
    sheet.put("mixpay_workers", len(w.workers.pids), "running")
    sheet.put("mixpay_workers", w.config.workers, "wanted")


def _store(w: Watched, sheet: Sheet) -> None:
    stats = w.store.stats
    sheet.put("mixpay_store_commits_total", stats.commits)
    sheet.put("mixpay_store_changes_total", stats.changes)
    sheet.put("mixpay_store_commit_seconds_total", stats.seconds)
    sheet.put("mixpay_store_backlog_changes", w.store.backlog)
    sheet.put("mixpay_store_bytes", _size(w.store.path))
    sheet.put("mixpay_replay_tags", sum(map(w.tags.count, w.state.living_epochs())))
    boxes, messages = w.mailboxes.counts
    sheet.put("mixpay_mailboxes", boxes)
    sheet.put("mixpay_mailbox_messages", messages)


def _size(database: Path) -> int:
    size = 0
    for path in (database, Path(f"{database}-wal")):
        with suppress(OSError):
            size += path.stat().st_size
    return size


# ---------------------------------------------------------------------- books


def _books(w: Watched, sheet: Sheet) -> None:
    price, links_out = w.state.hop_price, w.links_out()
    bound = w.config.limits.max_unsettled
    sheet.put("mixpay_exposure_bound_value", bound)
    for relay, payee_book in w.books.payees.items():
        totals, closes = payee_book.totals(price), payee_book.channel.closes_at
        _book(
            sheet, (SIDE_PAYER, relay), totals, closes, relay in w.server.links, _free(totals, price, bound)
        )
        sheet.put("mixpay_proven_value", totals.opened, relay)
    for relay, payer_book in w.books.payers.items():
        totals, closes = payer_book.totals(price), payer_book.channel.closes_at
        _book(sheet, (SIDE_PAYEE, relay), totals, closes, relay in links_out, _free(totals, price, bound))
        sheet.put("mixpay_waiting_packets", w.router.waiting(relay), relay)


def _free(totals: Totals, price: int, bound: int) -> int:
    """Hop prices that may be added before a limit of value is met."""
    room = totals.room // price if price else bound
    return max(0, min(bound, room) - totals.unsettled)


def _book(
    sheet: Sheet, peer: tuple[str, RelayId], totals: Totals, closes_at: int, linked: bool, free: int
) -> None:
    sheet.put("mixpay_link_up", linked, *peer)
    sheet.put("mixpay_unsettled_value", totals.unsettled, *peer)
    sheet.put("mixpay_unsigned_tickets", totals.unsigned, *peer)
    sheet.put("mixpay_exposure_free_value", free, *peer)
    sheet.tokens("mixpay_voucher_tokens", totals.cumulative, *peer)
    sheet.tokens("mixpay_claimed_tokens", totals.claimed, *peer)
    sheet.tokens("mixpay_channel_deposit_tokens", totals.deposit, *peer)
    sheet.put("mixpay_tickets_lost", totals.lost, *peer)
    if closes_at:
        sheet.put("mixpay_channel_close_timestamp_seconds", closes_at, *peer)
    if totals.refused is not None:
        sheet.put("mixpay_peer_refused", 1, *peer, totals.refused)


# ---------------------------------------------------------------------- money


def _money(w: Watched, sheet: Sheet) -> None:
    report, held = w.money.treasury.last, w.money.treasury.last.holdings
    if held is not None:
        sheet.tokens("mixpay_ledger_tokens", held.ledger)
        sheet.tokens("mixpay_account_tokens", held.tokens)
        sheet.tokens("mixpay_account_ether", held.ether)
        sheet.put("mixpay_transactions_pending", held.in_flight)
    for desk, tried in (("treasury", w.money.treasury.tried), ("court", w.court.tried)):
        for (kind, outcome), count in tried.items():
            sheet.put("mixpay_transactions_total", count, f"{desk}_{kind}", outcome)
    for subject in Subject:
        sheet.put("mixpay_postponed", sum(p.subject is subject for p in report.postponed), subject.value)
    cases = w.court.last.matters
    against = sum(matter.against_us for matter in cases)
    sheet.put("mixpay_court_cases", len(cases) - against, "by_us")
    sheet.put("mixpay_court_cases", against, "against_us")


def _campaigns(w: Watched, sheet: Sheet) -> None:
    redeemer, ticks = w.money.redeemer, dict[int, int]()
    for scope in w.passes.scopes():
        ticks[scope.campaign] = ticks.get(scope.campaign, 0) + w.passes.ticks(scope)
    for campaign, number in ticks.items():
        sheet.put("mixpay_campaign_ticks", number, campaign)
    for campaign, voucher in redeemer.vouchers.items():
        sheet.tokens("mixpay_campaign_voucher_tokens", voucher.cumulative, campaign)
    claimed = {
        **redeemer.paid_at_pool(),
        **{f.voucher.campaign: f.claimed for f in w.money.treasury.last.pool},
    }
    for campaign, amount in claimed.items():
        sheet.tokens("mixpay_campaign_claimed_tokens", amount, campaign)
    waiting = [waiting.campaign for waiting in redeemer.last.waiting]
    for campaign in {*waiting, *ticks, *redeemer.vouchers}:
        sheet.put("mixpay_campaign_waiting", waiting.count(campaign), campaign)


# ---------------------------------------------------------------------- the network


def _chain(w: Watched, sheet: Sheet, wall_time: float) -> None:
    sheet.put("mixpay_chain_trouble", w.chain.trouble is not None)
    if w.chain.read_at is not None:
        sheet.put("mixpay_chain_read_age_seconds", w.clock() - w.chain.read_at)
    now = w.state.chain_time
    sheet.put("mixpay_chain_timestamp_seconds", now)
    sheet.put("mixpay_chain_lag_seconds", wall_time - now)


def _epochs(w: Watched, sheet: Sheet) -> None:
    state, view = w.state, w.state.view
    sheet.put("mixpay_relay_info", 1, state.me, w.release, SOFTWARE)
    sheet.put("mixpay_operator_notes", len(w.notes()))
    epoch = state.epoch
    sheet.put("mixpay_epoch", epoch)
    sheet.put("mixpay_term", view.term)
    sheet.put("mixpay_epoch_end_timestamp_seconds", view.schedule.end(epoch))
    living = state.living_epochs()
    for name, one in (("this", epoch), ("next", Epoch(epoch + 1))):
        fixed = one in living
        member = fixed and state.is_member(one)
        sheet.put("mixpay_epoch_fixed", view.is_frozen(one), name)
        sheet.put("mixpay_member", member, name)
        sheet.put("mixpay_packet_key", state.keys.get(one) is not None, name)
        if fixed:
            sheet.put("mixpay_descriptors_missing", len(state.directories.missing(one)), name)
    is_mix = epoch in living and state.is_member(epoch)
    sheet.put("mixpay_layer", view.layers(epoch).layer(state.me) if is_mix else 0)
