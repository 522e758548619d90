"""Every part of one relay in one release, made and connected.

files      configuration, key store, deployment file, database: all in or named by the relay's folder
data path  links ▶ desk ▶ router ▶ books ▶ store ▶ links
clients    gateway
chain      chainside (looks, keys, dialling), treasury and redeemer (money), court
operator   operations; supervisor.py, which runs a daemon for each release, has the interface to them
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from mixpay import eip712
from mixpay.book import Limits
from mixpay.chain.contracts import Contracts
from mixpay.chain.follower import Follower
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.endpoint import Endpoint, EndpointError, parse_endpoint
from mixpay.errors import UserError
from mixpay.mailbox import Mailboxes
from mixpay.network import NetworkView
from mixpay.passes import EntryPassBook
from mixpay.replay import TagStore
from mixpay.types import RelayId, Value
from relay.capacity import Capacity
from relay.chainside import Accounts, ChainSide
from relay.clients.gateway import Gateway
from relay.clients.request_desk import RequestDesk
from relay.config import RelayConfig
from relay.court import Clerk, CourtDesk, Terms
from relay.court import Reader as CourtReader
from relay.draining import Drain
from relay.home import Home
from relay.keys.epoch_keys import PacketKeys
from relay.keys.gossip import Gossip
from relay.keys.key_desk import KeyDesk
from relay.keys.reporter import Reporter
from relay.keys.signed_epochs import SignedEpochs
from relay.links import Identity, LinkDialer, LinkLimits, LinkServer, PayerLink
from relay.metrics import Metrics
from relay.moneyside import MoneySide, debts
from relay.operator.gauges import Gauges, Watched
from relay.operator.leaving import Leaving
from relay.operator.operations import RelayOperations
from relay.operator.prospects import Reader
from relay.path.arrivals import Outgoing
from relay.path.books import Books, Purse, Side
from relay.path.cut_off import CutOffs
from relay.path.desk import Desk, RelayHooks, SideEvents
from relay.path.flows import Flows
from relay.path.mixer import PULSE, Mixer
from relay.path.opening import InlineOpener
from relay.path.router import Router
from relay.path.workers import WorkerPool
from relay.redeem.campaign_issuers import CampaignIssuers
from relay.redeem.issuer_desk import IssuerDesk, RelayIdentity
from relay.redeem.pool_view import ChainPool
from relay.redeem.redeemer import PassRedeemer
from relay.redeem.rules import RedeemRules
from relay.state import State
from relay.store import RelayStore, StoreFailed, StoreLimits
from relay.treasury import TreasuryDesk
from relay.winding_up import left_to_do

_TAGS = 50_000_000
_GATHER = 0.004
"""Seconds that an ack waits for others of the same commit; a packet's delay has this in it."""


def book_limits(config: RelayConfig) -> Limits:
    """The channel books' limits as the operator set them."""
    limits, settlement = config.limits, config.settlement
    return Limits(
        unsigned_window=limits.unsigned_tickets,
        batch_interval=limits.sign_after,
        max_unsettled=Value(limits.max_unsettled),
        credit_limit=Value(limits.credit_limit),
        ack_timeout=limits.ack_timeout,
        settle_tickets=settlement.tickets,
        settle_period=settlement.period,
    )


def link_limits(config: RelayConfig) -> LinkLimits:
    """The limits of links, those for strangers as the operator set them."""
    rules = config.strangers
    return LinkLimits(
        max_handshakes=rules.handshakes,
        handshakes_of_address=rules.handshakes_of_address,
        arrivals_per_second=rules.per_second,
        handshake_timeout=rules.handshake_seconds,
    )


class Assembly:
    """The parts of one relay. Nothing of it runs yet; its folder is locked, and its database open.

    `sender`: the operator's, one for all daemons of a process; `on_failure`: told when the database fails.
    """

    def __init__(
        self,
        home: Home,
        rpc: Rpc,
        me: RelayId,
        view: NetworkView,
        sender: Sender,
        on_failure: Callable[[StoreFailed], None],
    ) -> None:
        self.home, self.me, self.view, self.sender = home, me, view, sender
        self.clock = time.monotonic
        self.metrics = Metrics()
        self.capacity: Capacity | None = None
        """What the relay can carry, once it was measured at the start."""
        self.contracts = Contracts(rpc, home.deployment)
        self.endpoint = _registered_endpoint(view, me)
        self.store = RelayStore(home.database, StoreLimits(gather=_GATHER), on_failure=on_failure)
        try:
            self.record = SignedEpochs(home.signed_epochs, view.registry_domain)
            keys = PacketKeys(self.store.packet_keys(), os.urandom, self.record.newest)
            self.state = State(me, view, keys, home.operator_key, restored=home.restored)
            self._make_data_path()
            self._make_edges()
            self._make_court(rpc)
            self._make_money(rpc)
            self._make_operations()
            self.leaving = Leaving(self.state, self.contracts.registry, self.left_to_do)
        except BaseException:
            self.store.abandon()
            raise

    def _make_data_path(self) -> None:
        home, config, store = self.home, self.home.config, self.store
        domain = eip712.channels_domain(home.deployment.chain_id, home.deployment.channels)
        purse = Purse(home.operator_key, home.operator, domain)
        self.account = purse.account
        self.accounts = Accounts(self.contracts)
        self.accounts.learn(self.state)
        self.accounts.look_up({peer for _, peer in store.books()})
        self.hooks = RelayHooks(self.metrics)
        self.hooks.cut_offs = self.cut_offs = CutOffs(store, lambda: self.state.chain_time)
        with store.understood():
            self.books = Books(
                purse, book_limits(config), store, self.hooks, self.accounts.of, os.urandom, self.clock(),
                restored=self.state.restored,
            )  # fmt: skip
            floor = self.state.floor
            tags = self.tags = TagStore(floor, _TAGS, store.tags(floor))
            self.mailboxes = Mailboxes(self.me)
            self.mailboxes.restore(store.mailboxes(), store.message_index())
            self.passes = EntryPassBook.from_records(store.passes(self.state.chain_id, self.state.pool))
        self.mixer: Mixer[Outgoing] = Mixer(config.limits.mixer_packets, PULSE)
        self.workers = WorkerPool(config.workers, InlineOpener(os.urandom, tags.seen))
        self.router = Router(
            self.me, self.books, tags, self.mixer, self.mailboxes, self.metrics, self.clock,
            lambda: self.state.chain_time, self.hooks.link, config.limits.link_queue, self.workers,
            Flows(self.me, self.state.directories.knows, store.flows()),
        )  # fmt: skip
        self.hooks.router = self.router
        self.drain = Drain(self.router, self.books, store)

    def _make_edges(self) -> None:
        home = self.home
        identity = Identity(self.me, home.link_seed)
        self.desk = Desk(self.books, self.router, self.metrics, self.clock)
        events = SideEvents(Side.PAYER, self.desk, self.metrics)
        self.server = LinkServer(identity, self._link_key, events, link_limits(home.config))
        self.dialer = LinkDialer(identity, SideEvents(Side.PAYEE, self.desk, self.metrics))
        self.desk.payer_is_there = lambda payer: self.dialer.want((payer,))
        self.hooks.links = {Side.PAYER: self.server.links.get, Side.PAYEE: self.dialer.links.get}
        self.gateway = Gateway(
            self.state, self.router, self.passes, self.mailboxes, self.store, self.metrics,
            home.config.limits.clients, home.config.strangers,
        )  # fmt: skip
        self.requests = RequestDesk(
            self.state, self.router, self.gateway.mailboxes, self.mailboxes, self.store, self.metrics,
            self.clock,
        )  # fmt: skip
        self.router.arrivals.asked = self.requests.take
        self.router.arrivals.stored = self.requests.stored
        self.gossip = Gossip(self.state, self.clock, os.urandom)
        self.keys = KeyDesk(
            self.state, self.store, self.record, self.router, self.gossip.ask_about_me, self.clock
        )
        self.reporter = Reporter(self.state, self.contracts, self.sender, self.store, self.clock)
        self.chain = ChainSide(
            self.state, self.contracts, self.sender, self.account, self.accounts, self.books, self.dialer,
            self.keys, self.gossip, self.reporter, self.metrics, self.clock,
        )  # fmt: skip

    def _make_court(self, rpc: Rpc) -> None:
        home, contracts = self.home, self.contracts
        follower = Follower(rpc, home.deployment, contracts=["ReceiptCourt"])
        self.court = CourtDesk(
            me=self.account,
            reader=CourtReader(rpc, contracts, follower, self.account, self.view),
            clerk=Clerk(contracts, self.sender),
            registry=contracts.registry,
            accounts=self.accounts,
            books=self.books,
            store=self.store,
            terms=Terms.of(home.deployment.parameters),
            rules=home.config.court,
            clock=self.clock,
        )

    def _make_money(self, rpc: Rpc) -> None:
        home, deployment = self.home, self.home.deployment
        self.issuers = CampaignIssuers(home.config.issuer_urls, deployment.pool, later=home.later)
        self.state.served = self.issuers.urls
        window = deployment.parameters.claim_window
        redeemer = self._make_redeemer()
        self.state.unclaimed = redeemer.unclaimed
        treasury = TreasuryDesk(
            rpc=rpc,
            contracts=self.contracts,
            sender=self.sender,
            owner=home.config.owner_account,
            rules=home.config.treasury,
            schedule=self.view.schedule,
            claim_window=window,
            debts=lambda: debts(self.state, self.books, self.router, redeemer, self.court.judged),
        )
        self.money = MoneySide(
            self.state, self.contracts, self.books, self.desk, self.hooks, redeemer, treasury,
            self.passes, self.issuers.urls, self.clock,
        )  # fmt: skip

    def _make_redeemer(self) -> PassRedeemer:
        deployment, settings, schedule = self.home.deployment, self.home.config.passes, self.view.schedule
        domain = eip712.pool_domain(deployment.chain_id, deployment.pool)
        me = RelayIdentity(self.me, self.account, domain)
        pool = ChainPool(self.contracts, self.sender, self.view, self.me)
        window = deployment.parameters.claim_window
        rules = RedeemRules(schedule, window, settings.redeem_after, settings.redeem_at)
        desk = IssuerDesk(me, self.issuers.urls, schedule, pool)
        return PassRedeemer(rules, self.passes, self.store, desk, pool)

    def _make_operations(self) -> None:
        self.operations = RelayOperations(
            account=self.account,
            config=self.home.config,
            endpoint=str(self.endpoint),
            issuers=self.issuers.urls,
            state=self.state,
            books=self.books,
            passes=self.passes,
            store=self.store,
            money=self.money,
            court=self.court,
            prospects=self._prospects(),
            metrics_of=self.metrics,
            links_in=lambda: self.server.links,
            links_out=self._open_links_out,
            waiting=self.router.waiting,
            limits=self.router.waits,
            cut_off_since=self.cut_offs.since,
            trouble=lambda: self.chain.trouble,
            notes=lambda: [*self.chain.notes(), *self.keys.notes(), *self.reporter.notes()],
            capacity=lambda: self.capacity,
            clock=self.clock,
        )
        self.metrics.registry.register(Gauges(self._watched()))

    def _prospects(self) -> Reader:
        return Reader(
            config=self.home.config,
            issuers=self.issuers.urls,
            state=self.state,
            books=self.books,
            desk=self.desk,
            passes=self.passes,
            money=self.money,
            court=self.court,
            chain=self.chain,
            links_in=lambda: self.server.links,
            links_out=self._open_links_out,
            clock=self.clock,
        )

    def _watched(self) -> Watched:
        return Watched(
            release=self.home.release,
            config=self.home.config,
            state=self.state,
            store=self.store,
            books=self.books,
            desk=self.desk,
            router=self.router,
            mixer=self.mixer,
            tags=self.tags,
            mailboxes=self.mailboxes,
            passes=self.passes,
            workers=self.workers,
            server=self.server,
            links_out=self._open_links_out,
            gateway=self.gateway,
            chain=self.chain,
            money=self.money,
            court=self.court,
            notes=self.operations.all_notes,
            clock=self.clock,
        )

    def _open_links_out(self) -> dict[RelayId, PayerLink]:
        return {relay: link for relay, link in self.dialer.links.items() if link.is_open}

    def _link_key(self, payer: RelayId) -> bytes:
        """Of a relay in a living epoch, or of one that has tickets or vouchers with us. Raises PeerError."""
        known = self.view.last_record(payer) if payer in self.books.payees else None
        return known.link_key if known is not None else self.state.link_key(payer)

    def left_to_do(self) -> list[str]:
        """Why this relay has to go on; nothing, once it serves no more and all is settled and paid."""
        vouchers, money = self.money.redeemer.vouchers.values(), self.money.treasury.last
        ours = self.state, self.books, self.passes, self.mailboxes
        cases, back = len(self.court.last.matters), self.leaving.stake_back
        return left_to_do(*ours, vouchers, money, cases=cases, stake_back=back)


def _registered_endpoint(view: NetworkView, me: RelayId) -> Endpoint:
    """Where others reach us, which says what to listen on. Raises UserError."""
    record = view.last_record(me)
    try:
        return parse_endpoint(record.endpoint if record is not None else "")
    except EndpointError as error:
        raise UserError(f"relay {me} has no usable endpoint: {error}; run `mixpay-relay register`") from None
