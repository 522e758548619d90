"""The money of a network, recomputed from the events of its contracts alone. Pure.

`replay` takes the events in the chain's order and keeps the books that the contracts should have kept: the
ledger, the channels, the budgets, the stakes, and the token balance of every account. What an event says that
these books cannot explain is an objection; the verifier compares the rest with what the contracts answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mixpay.accounts import show_account as shown
from mixpay.chain import events
from mixpay.chain.events import Event
from mixpay.chain.views import NOBODY
from mixpay.deployment import Deployment
from mixpay.passes import KIND_ENTRY
from mixpay.types import Account, Epoch, RelayId


@dataclass(frozen=True, slots=True)
class Transferred(Event):
    """Tokens moved (ERC-20 `Transfer`); from NOBODY when they were made."""

    sender: Account
    to: Account
    amount: int


@dataclass(frozen=True, slots=True)
class Objection:
    """What does not hold: the invariant (docs/design.md §14, or "users"), and how it was seen."""

    invariant: str
    text: str


@dataclass(slots=True)
class ChannelMoney:
    """All-time totals of a channel, token units."""

    deposit: int = 0
    claimed: int = 0

    @property
    def free(self) -> int:
        """What can still be claimed."""
        return self.deposit - self.claimed


@dataclass(frozen=True, slots=True)
class Operator:
    """A relay as the registry's events show it."""

    id: RelayId
    owner: Account
    operator: Account


@dataclass(frozen=True, slots=True)
class Caps:
    """The most a campaign pays for one period, in all and to one relay."""

    period: int
    relay: int


@dataclass(slots=True)
class Money:
    """Everybody's money after some events. Amounts are the token's smallest unit."""

    ledger: dict[Account, int] = field(default_factory=lambda: defaultdict(int))
    channels: dict[tuple[Account, Account], ChannelMoney] = field(
        default_factory=lambda: defaultdict(ChannelMoney)
    )
    """By payer and payee."""
    budgets: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """By campaign."""
    pool_claims: dict[tuple[int, Account], int] = field(default_factory=lambda: defaultdict(int))
    """All-time total by campaign and relay's operator."""
    paid_for_passes: dict[tuple[int, Account], int] = field(default_factory=lambda: defaultdict(int))
    """The part of it that was paid for passes, not for vouchers."""
    caps: dict[int, Caps] = field(default_factory=dict)
    paid_for: dict[tuple[int, Epoch], int] = field(default_factory=lambda: defaultdict(int))
    """By campaign and period."""
    paid_to: dict[tuple[int, Epoch, Account], int] = field(default_factory=lambda: defaultdict(int))
    """By campaign, period and relay's operator."""
    stakes: dict[RelayId, int] = field(default_factory=dict)
    """Of relays that live or unbond."""
    tokens: dict[Account, int] = field(default_factory=lambda: defaultdict(int))
    """What the token contract holds for each account, contracts included."""
    relays: dict[RelayId, Operator] = field(default_factory=dict)
    signers: dict[int, Account] = field(default_factory=dict)
    """Who signs pool vouchers now, by campaign."""
    parties: set[Account] = field(default_factory=set)
    """Everybody who takes part in the network: deployer, contracts, owners, operators, sponsors, signers."""
    spent_by: dict[Account, int] = field(default_factory=lambda: defaultdict(int))
    """Tokens that left an account's wallet, all time."""
    objections: list[Objection] = field(default_factory=list)

    def paid_by_campaign(self) -> dict[int, int]:
        """What each campaign has paid, in all."""
        paid = dict.fromkeys(sorted(self.caps), 0)
        for (campaign, _), amount in self.pool_claims.items():
            paid[campaign] = paid.get(campaign, 0) + amount
        return paid
    """Events that contradict the events before them."""

    def object(self, invariant: str, text: str) -> None:
        """Note what does not hold."""
        self.objections.append(Objection(invariant, text))

    def holdings(self, relay: RelayId) -> int:
        """All that a relay has: wallets and ledger of owner and operator, unspent deposits, stake.

        Counts an owner of several relays with each of them. Raises KeyError for an unknown relay.
        """
        known = self.relays[relay]
        accounts = {known.owner, known.operator}
        total = sum(self.tokens[account] + self.ledger[account] for account in accounts)
        deposits = sum(c.free for (payer, _), c in self.channels.items() if payer in accounts)
        return total + deposits + self.stakes.get(relay, 0)


def replay(deployment: Deployment, found: Iterable[Event]) -> Money:
    """Everybody's money after the events, which come in the chain's order."""
    money = Money()
    contracts = (deployment.network, deployment.registry, deployment.channels, deployment.pool)
    money.parties.update(contracts)
    for event in found:
        _apply(money, event, deployment)
    return money


def _apply(money: Money, event: Event, deployment: Deployment) -> None:
    match event:
        case Transferred():
            _transferred(money, event)
        case events.Deposited() | events.Withdrawn() | events.Moved():
            _moved(money, event)
        case events.Funded() | events.Claimed() | events.Closed() | events.Released():
            _in_channel(money, event)
        case events.Registered():
            money.relays[event.id] = Operator(event.id, event.owner, event.operator)
            money.stakes[event.id] = deployment.parameters.stake
            money.parties.update((event.owner, event.operator))
        case events.OwnershipTransferred():
            money.parties.add(event.new_owner)
            if event.id in money.relays:
                money.relays[event.id] = replace(money.relays[event.id], owner=event.new_owner)
        case events.StakeWithdrawn():
            stake = money.stakes.pop(event.id, 0)
            if stake != event.amount:
                money.object("I1", f"relay {event.id} took {event.amount} of a stake of {stake}")
        case _:
            _in_pool(money, event, deployment.term_length)


def _transferred(money: Money, event: Transferred) -> None:
    if event.sender == NOBODY:
        money.parties.add(event.to)  # the deployer, who gets the supply
    else:
        money.tokens[event.sender] -= event.amount
        money.spent_by[event.sender] += event.amount
        if money.tokens[event.sender] < 0:
            money.object("I1", f"{shown(event.sender)} sent tokens that it did not have")
    money.tokens[event.to] += event.amount


def _moved(money: Money, event: events.Deposited | events.Withdrawn | events.Moved) -> None:
    match event:
        case events.Deposited():
            money.ledger[event.account] += event.amount
        case events.Withdrawn():
            _debit(money, event.account, event.amount)
        case events.Moved():
            _debit(money, event.sender, event.amount)
            money.ledger[event.to] += event.amount


def _in_channel(
    money: Money, event: events.Funded | events.Claimed | events.Closed | events.Released
) -> None:
    channel = money.channels[event.payer, event.payee]
    where = f"channel {shown(event.payer)} to {shown(event.payee)}"
    match event:
        case events.Funded():
            _debit(money, event.payer, event.amount)
            channel.deposit += event.amount
            if channel.deposit != event.deposit:
                money.object("I1", f"{where}: deposit {event.deposit}, but {channel.deposit} was paid in")
        case events.Claimed():
            money.ledger[event.payee] += event.amount
            channel.claimed += event.amount
            if channel.claimed != event.claimed:
                money.object("I1", f"{where}: claimed {event.claimed}, but {channel.claimed} was paid out")
            if channel.claimed > channel.deposit:
                money.object("I2", f"{where}: more claimed than was paid in")
        case events.Closed() | events.Released():
            if event.refund != channel.free:
                money.object("I1", f"{where}: {event.refund} of {channel.free} was returned")
            money.ledger[event.payer] += event.refund
            channel.deposit -= event.refund


def _in_pool(money: Money, event: Event, term_length: int) -> None:
    match event:
        case events.CampaignCreated():
            money.signers[event.campaign] = event.signer
            money.caps[event.campaign] = Caps(event.period_cap, event.relay_cap)
            money.budgets[event.campaign] += 0
            money.parties.update((event.sponsor, event.signer))
        case events.SignerChanged():
            money.signers[event.campaign] = event.signer
            money.parties.add(event.signer)
        case events.CampaignFunded():
            money.budgets[event.campaign] += event.amount
        case events.PoolClaimed():
            _paid_by_pool(money, event, event.period)
        case events.PassesRedeemed():
            money.paid_for_passes[event.campaign, event.relay] += event.amount
            _paid_by_pool(money, event, _last_epoch(event, term_length))
        case events.WithdrawalFinished():
            _spend(money, event.campaign, event.amount)


def _last_epoch(event: events.PassesRedeemed, term_length: int) -> Epoch:
    """The epoch in which passes count."""
    return Epoch(event.period if event.kind == KIND_ENTRY else (event.period + 1) * term_length - 1)


def _paid_by_pool(money: Money, event: events.PoolClaimed | events.PassesRedeemed, epoch: Epoch) -> None:
    where = f"campaign {event.campaign}, {shown(event.relay)}"
    pair, period = (event.campaign, event.relay), (event.campaign, epoch)
    money.pool_claims[pair] += event.amount
    if money.pool_claims[pair] != event.claimed:
        total = money.pool_claims[pair]
        money.object("I1", f"{where}: claimed {event.claimed}, but {total} was paid out")
    money.paid_for[period] += event.amount
    money.paid_to[*period, event.relay] += event.amount
    caps = money.caps.get(event.campaign, Caps(0, 0))
    if money.paid_for[period] > caps.period or money.paid_to[*period, event.relay] > caps.relay:
        money.object("I5", f"{where}: more was paid for period {epoch} than a cap allows")
    _spend(money, event.campaign, event.amount)


def _spend(money: Money, campaign: int, amount: int) -> None:
    money.budgets[campaign] -= amount
    if money.budgets[campaign] < 0:
        money.object("I5", f"campaign {campaign} paid more than its budget")


def _debit(money: Money, account: Account, amount: int) -> None:
    money.ledger[account] -= amount
    if money.ledger[account] < 0:
        money.object("I1", f"{shown(account)} moved more than its ledger balance")
