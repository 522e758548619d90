"""Reads from a daemon's parts what `dues.py` and `agenda.py` need. No I/O: what the parts know already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mixpay.errors import ChainError
from mixpay.passes import KIND_ENTRY, TICK_VALUE, EntryPassBook, Scope
from mixpay.types import Amount, Epoch, RelayId, Value
from relay.chainside import ChainSide
from relay.config import RelayConfig
from relay.court import CourtDesk
from relay.court.actions import Matter
from relay.moneyside import MoneySide
from relay.operator.agenda import EpochFacts, Prospect
from relay.operator.dues import CampaignCase, PassDue, PayeeCase, PayerCase, Rules
from relay.path.books import Books, Side
from relay.path.desk import Desk
from relay.state import State
from relay.treasury import TreasuryReport
from relay.treasury.actions import Subject

_NEW = 1 << 62
"""The number of a ticket that was never seen."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Where everything stands. `links_in`, `links_out`: open links by payer and by payee."""

    config: RelayConfig
    issuers: Mapping[int, str]
    state: State
    books: Books
    desk: Desk
    passes: EntryPassBook
    money: MoneySide
    court: CourtDesk
    chain: ChainSide
    links_in: Callable[[], Mapping[RelayId, object]]
    links_out: Callable[[], Mapping[RelayId, object]]
    clock: Callable[[], float]

    def prospect(self) -> Prospect:
        """All of it. Raises ChainUnavailable before the chain was read."""
        holdings = self.money.treasury.last.holdings
        return Prospect(
            rules=self._rules(),
            payers=[self._payer(relay) for relay in sorted(self.books.payees)],
            payees=[self._payee(relay) for relay in sorted(self.books.payers)],
            campaigns=[(number, self._campaign(number)) for number in self.campaigns()],
            matters=self.court.last.matters,
            epochs=self._epochs(),
            ledger=None if holdings is None else holdings.ledger,
        )

    def campaigns(self) -> list[int]:
        """All that are configured, or have given this relay passes, a voucher, or money for passes."""
        redeemer = self.money.redeemer
        scopes = (scope.campaign for scope in self.passes.scopes())
        return sorted({*self.issuers, *redeemer.vouchers, *redeemer.paid_at_pool(), *scopes})

    def _rules(self) -> Rules:
        state, config = self.state, self.config
        held_up = hindrance(self.money.treasury.last)
        return Rules(
            state.hop_price, state.chain_time, config.settlement, config.treasury, config.court, held_up
        )

    def _payer(self, relay: RelayId) -> PayerCase:
        book = self.books.payees[relay]
        return PayerCase(
            relay,
            book.standing(self.clock()),
            book.totals(self.state.hop_price),
            book.channel.closes_at,
            None if relay in self.links_in() else self.desk.silent_for(Side.PAYER, relay),
            self._matters(relay),
            book.refusal(_NEW, Value(1), self.state.hop_price),
        )

    def _payee(self, relay: RelayId) -> PayeeCase:
        book = self.books.payers[relay]
        return PayeeCase(
            relay,
            book.totals(self.state.hop_price),
            book.channel.closes_at,
            None if relay in self.links_out() else self.desk.silent_for(Side.PAYEE, relay),
            self.money.treasury.last.why_postponed(Subject.PAYEE, relay),
        )

    def _matters(self, relay: RelayId) -> list[Matter]:
        return [matter for matter in self.court.last.matters if matter.relay == relay]

    # ------------------------------------------------------------------ campaigns

    def _campaign(self, number: int) -> CampaignCase:
        redeemer = self.money.redeemer
        voucher = redeemer.vouchers.get(number)
        claimed = {f.voucher.campaign: f.claimed for f in self.money.treasury.last.pool}.get(number, 0)
        unpaid = 0 if voucher is None else max(0, voucher.cumulative - claimed)
        scopes = [scope for scope in self.passes.scopes() if scope.campaign == number]
        passes = [self._passes(scope) for scope in sorted(scopes, key=lambda s: (s.period, s.kind))]
        postponed = self.money.treasury.last.why_postponed(Subject.CAMPAIGN, number)
        return CampaignCase(number in self.issuers, passes, Amount(unpaid), postponed)

    def _passes(self, scope: Scope) -> PassDue:
        view, redeemer = self.state.view, self.money.redeemer
        key = view.pool_key(scope.campaign, scope.kind, scope.period)
        price = key.hop_price if key is not None else self.state.hop_price
        ends = redeemer.ends(scope)
        period = f"{'epoch' if scope.kind == KIND_ENTRY else 'term'} {scope.period}"
        waiting = [
            w.why for w in redeemer.last.waiting if (w.campaign, w.period) == (scope.campaign, scope.period)
        ]
        amount = Amount(self.passes.ticks(scope) * TICK_VALUE * price)
        return PassDue(period, amount, ends, "; ".join(waiting) or None)

    # ------------------------------------------------------------------ epochs

    def _epochs(self) -> EpochFacts:
        state, view, epoch = self.state, self.state.view, self.state.epoch
        following = Epoch(epoch + 1)
        works, fixed = view.works_in(following), view.is_frozen(following)
        turn = self.chain.freeze_in()
        try:
            member = fixed and state.is_member(following)
        except ChainError:
            member = False
        return EpochFacts(
            epoch=epoch,
            ends=view.schedule.end(epoch),
            next_fixed=fixed,
            next_key=state.keys.get(following) is not None,
            member=member,
            turn_at=None if turn is None or not works else state.chain_time + int(turn),
            serves=works and not state.restored and not state.is_over,
        )


def hindrance(report: TreasuryReport) -> str | None:
    """Why nothing can be sent to the chain now, as the treasury found it."""
    held = report.holdings
    if report.trouble is not None:
        return report.trouble
    if held is not None and held.in_flight:
        return "an earlier transaction is in no block yet"
    if held is not None and held.ether == 0:
        return "the operator's account has no ether to pay for gas: send it some"
    return None
