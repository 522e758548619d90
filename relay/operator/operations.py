"""The daemon's answers to its operator: the `Operations` of `api.py`, made from the daemon's parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mixpay.accounts import show_account
from mixpay.endpoint import parse_endpoint
from mixpay.passes import EntryPassBook
from mixpay.types import Account, RelayId
from relay.capacity import Capacity
from relay.config import RelayConfig
from relay.court import CourtDesk
from relay.keys.directories import SOFTWARE
from relay.metrics import Metrics
from relay.moneyside import MoneySide
from relay.operator import dues, report
from relay.operator.agenda import agenda
from relay.operator.answers import CapacityAnswer, Roles, SettleAnswer, StatusAnswer
from relay.operator.prospects import Reader
from relay.path.books import Books, Side
from relay.state import State
from relay.store import RelayStore


@dataclass(frozen=True, slots=True)
class RelayOperations:
    """One relay's `Operations`. `links_in`, `links_out`: open links by payer and by payee."""

    account: Account
    config: RelayConfig
    endpoint: str
    issuers: Mapping[int, str]
    """URLs by campaign."""
    state: State
    books: Books
    passes: EntryPassBook
    store: RelayStore
    money: MoneySide
    court: CourtDesk
    prospects: Reader
    metrics_of: Metrics
    links_in: Callable[[], Mapping[RelayId, object]]
    links_out: Callable[[], Mapping[RelayId, object]]
    waiting: Callable[[RelayId], int]
    """Packets that wait for a next hop."""
    limits: Mapping[RelayId, str]
    """Which limit they wait for."""
    cut_off_since: Callable[[Side, RelayId], int | None]
    """In chain time."""
    trouble: Callable[[], str | None]
    """Why the last look at the chain failed."""
    notes: Callable[[], list[str]]
    """What else the operator should know."""
    capacity: Callable[[], Capacity | None]
    """What the relay can carry, once it was measured."""
    clock: Callable[[], float]

    def status(self) -> StatusAnswer:
        """See `Operations`."""
        state, config, view = self.state, self.config, self.state.view
        links_in, links_out = self.links_in(), self.links_out()
        money = self._money()
        prospect = self.prospects.prospect()
        rules = prospect.rules
        owed = {case.relay: dues.owed_by_payer(case, rules) for case in prospect.payers}
        owing = {case.relay: dues.owed_to_payee(case, rules) for case in prospect.payees}
        by_campaign = {number: dues.owed_by_campaign(case, rules) for number, case in prospect.campaigns}
        payers = [
            report.payer_answer(
                relay, book, money, owed[relay],
                linked=relay in links_in, since=self.cut_off_since(Side.PAYER, relay),
            )
            for relay, book in sorted(self.books.payees.items())
        ]  # fmt: skip
        payees = [
            report.payee_answer(
                relay, book, money, owing[relay],
                linked=relay in links_out, waiting=self.waiting(relay), limit=self.limits.get(relay),
                now=self.clock(), since=self.cut_off_since(Side.PAYEE, relay),
            )
            for relay, book in sorted(self.books.payers.items())
        ]  # fmt: skip
        vouchers = self.money.redeemer.vouchers
        at_pool = self.money.redeemer.paid_at_pool()
        campaigns = report.campaign_answers(
            self.account, self.issuers, self.passes, vouchers, at_pool, money, by_campaign
        )
        return StatusAnswer(
            relay=state.me,
            operator=show_account(self.account),
            owner=show_account(config.owner_account),
            endpoint=self.endpoint,
            software=SOFTWARE,
            chain_time=state.chain_time,
            epoch=state.epoch,
            term=view.term,
            layer=self._layer(),
            hop_price=str(money.price),
            links_in=sorted(links_in),
            links_out=sorted(links_out),
            roles=self._roles(),
            capacity=self._capacity(),
            income=report.income(payers, payees, campaigns),
            balances=report.balances(money.treasury.holdings),
            payers=payers,
            payees=payees,
            campaigns=campaigns,
            cases=report.case_answers(self.court.last),
            drops=report.reasons(self.metrics_of.drops),
            refusals=report.reasons(self.metrics_of.refusals),
            notes=self.all_notes(),
            agenda=report.agenda_answers(agenda(prospect)),
        )

    def _capacity(self) -> CapacityAnswer | None:
        found = self.capacity()
        return None if found is None else CapacityAnswer(found.packets, round(found.open_us, 1))

    def all_notes(self) -> list[str]:
        """What concerns the operator."""
        told = report.account_notes(self._money(), self.trouble(), self.court.last)
        return [*self._place_notes(), *self.notes(), *told]

    def _money(self) -> report.Money:
        return report.Money(self.state.hop_price, self.money.treasury.last, self.money.redeemer.last)

    def _place_notes(self) -> list[str]:
        """Others go by the registry, whatever the settings say."""
        host = parse_endpoint(self.endpoint).host
        if host == self.config.host:
            return []
        return [
            f"others look for this relay at {host}, which is registered, not at {self.config.host} of the "
            "settings: `mixpay-relay register` brings them in line"
        ]

    def _layer(self) -> int | None:
        state = self.state
        if not state.view.works_in(state.epoch) or not state.is_member(state.epoch):
            return None
        return state.view.layers(state.epoch).layer(state.me)

    def _roles(self) -> Roles:
        carried = self.store.roles()
        return Roles(
            entry=carried.get("entry", 0), mix=carried.get("mix", 0), mailbox=carried.get("mailbox", 0)
        )

    def metrics(self) -> bytes:
        """See `Operations`."""
        return self.metrics_of.render()

    async def settle(self) -> SettleAnswer:
        """See `Operations`."""
        began = self.clock()
        settled = await self.money.settle()
        return report.settle_answer(
            settled.unsettled, settled.redeemed, settled.treasury, self.clock() - began
        )
