"""Recomputes the demo's money from chain, signed vouchers and clients' counts, and judges it. Pure.

    I1     the ledger, channels, budgets and stakes that the events make are those that the contracts show,
           and are covered by the tokens that the contracts hold
    I2     no channel has paid out more than was paid in, nor ever less than before
    I3     nobody got more than the largest voucher that its payer signed
    I5     no campaign paid more than its budget and its caps allow
    I8     every relay's income, less what it signed to the next relays, is the hop price times the packets
           that the clients say it carried; what it has gained is what it claimed. Where packets were lost
           (losses.py), what was signed on every link is the sum of the values of its opened tickets
    users  who only sends and receives has paid nothing, owns no ether, and sent no transaction

What the relays' daemons believe to have earned plays no part: a voucher counts by its signature alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mixpay import eip712
from mixpay.accounts import show_account as shown
from mixpay.demo.evidence import Counts, Evidence, SignedPoolVoucher, SignedVoucher
from mixpay.demo.losses import Signed, i8_with_losses
from mixpay.demo.money import Money, Objection, replay
from mixpay.types import HOPS, MIX_LAYERS, Account, Amount, RelayId

Pair = tuple[Account, Account]
INVARIANTS = ("I1", "I2", "I3", "I5", "I8", "users")


@dataclass(frozen=True, slots=True)
class RelayResult:
    """One relay's period. Amounts are the token's smallest unit."""

    id: RelayId
    counts: Counts
    earned: int
    """Signed to it, less what it signed to the next relays."""
    claimed: int
    """Paid to it on chain, less what the next relays were paid from its channels."""
    unclaimed: int
    """Signed to it, and not paid yet."""
    gained: int
    """Change of everything it has: wallets, ledger, unspent deposits, stake."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found."""

    relays: tuple[RelayResult, ...]
    paid: Mapping[int, int]
    """What each campaign paid, in all."""
    user_paid: int
    users_native: int
    """Wei that the users' accounts hold."""
    packets_carried: int
    packets_delivered: int
    transactions: int
    objections: tuple[Objection, ...]

    def holds(self, invariant: str) -> bool:
        """Whether nothing was found against an invariant."""
        return all(objection.invariant != invariant for objection in self.objections)

    @property
    def sponsor_paid(self) -> int:
        """By all campaigns."""
        return sum(self.paid.values())

    @property
    def unclaimed(self) -> int:
        """Of all relays."""
        return sum(relay.unclaimed for relay in self.relays)


@dataclass(slots=True)
class _Case:
    """The evidence, and what follows from it at once."""

    evidence: Evidence
    money: Money
    before: Money
    signed: dict[Pair, int] = field(default_factory=dict)
    """Largest total by payer and payee, from vouchers whose signatures are right."""
    pool_signed: dict[tuple[int, Account], int] = field(default_factory=dict)
    objections: list[Objection] = field(default_factory=list)


def verify(evidence: Evidence) -> Verdict:
    """Judge the evidence. Never raises for what it finds: that is in the verdict."""
    deployment, since = evidence.deployment, evidence.since
    money = replay(deployment, evidence.events)
    before = replay(deployment, (event for event in evidence.events if event.block <= since))
    case = _Case(evidence, money, before)
    _take_vouchers(case)
    relays = tuple(_relay(case, relay) for relay in sorted(money.relays))
    carried = sum((counts.entry for counts in evidence.counts.values()), 0)
    user_paid = sum(spent for account, spent in money.spent_by.items() if account not in money.parties)
    found = [*money.objections, *case.objections, *_i1(case), *_i3(case), *_i8(case, relays), *_users(case)]
    return Verdict(
        relays=relays,
        paid=money.paid_by_campaign(),
        user_paid=user_paid,
        users_native=sum(evidence.answers.native.values()),
        packets_carried=carried,
        packets_delivered=evidence.packets_delivered,
        transactions=sum(evidence.senders.values()),
        objections=tuple(found),
    )


# ---------------------------------------------------------------------- vouchers


def _take_vouchers(case: _Case) -> None:
    deployment = case.evidence.deployment
    domain = eip712.channels_domain(deployment.chain_id, deployment.channels)
    for voucher in case.evidence.vouchers:
        _take(case, voucher, domain)
    domain = eip712.pool_domain(deployment.chain_id, deployment.pool)
    for pool_voucher in case.evidence.pool_vouchers:
        _take_pool(case, pool_voucher, domain)


def _take(case: _Case, voucher: SignedVoucher, domain: eip712.Domain) -> None:
    message = voucher.message
    operators = {relay.operator for relay in case.money.relays.values()}
    if not eip712.signed_by(message.payer, message, domain, voucher.signature):
        text = f"{shown(message.payee)} presents a voucher that {shown(message.payer)} did not sign"
    elif {message.payer, message.payee} - operators:
        text = f"a voucher from {shown(message.payer)} to {shown(message.payee)} is not between relays"
    else:
        pair = message.payer, message.payee
        case.signed[pair] = max(message.cumulative, case.signed.get(pair, 0))
        return
    case.objections.append(Objection("I8", text))


def _take_pool(case: _Case, voucher: SignedPoolVoucher, domain: eip712.Domain) -> None:
    message = voucher.message
    signer = case.money.signers.get(message.campaign, Account(b""))
    if not eip712.signed_by(signer, message, domain, voucher.signature):
        text = f"{shown(message.relay)} presents a voucher that campaign {message.campaign} did not sign"
        case.objections.append(Objection("I8", text))
        return
    key = message.campaign, message.relay
    case.pool_signed[key] = max(message.cumulative, case.pool_signed.get(key, 0))


# ---------------------------------------------------------------------- what each relay has


def _relay(case: _Case, relay: RelayId) -> RelayResult:
    operator = case.money.relays[relay].operator
    pool_claimed = _of_relay(case.money.pool_claims, operator)
    claimed = {pair: channel.claimed for pair, channel in case.money.channels.items()}
    paid_in, paid_out = _to(claimed, operator) + pool_claimed, _from(claimed, operator)
    signed_in = _to(case.signed, operator) + _of_relay(case.pool_signed, operator)
    before = case.before.holdings(relay) if relay in case.before.relays else 0
    return RelayResult(
        id=relay,
        counts=case.evidence.counts.get(relay, Counts()),
        earned=signed_in - _from(case.signed, operator),
        claimed=paid_in - paid_out,
        unclaimed=signed_in - paid_in,
        gained=case.money.holdings(relay) - before,
    )


def _to(amounts: Mapping[Pair, int], payee: Account) -> int:
    return sum(amount for pair, amount in amounts.items() if pair[1] == payee)


def _from(amounts: Mapping[Pair, int], payer: Account) -> int:
    return sum(amount for pair, amount in amounts.items() if pair[0] == payer)


def _of_relay(amounts: Mapping[tuple[int, Account], int], relay: Account) -> int:
    return sum(amount for key, amount in amounts.items() if key[1] == relay)


# ---------------------------------------------------------------------- the invariants


def _i1(case: _Case) -> Iterator[Objection]:
    money, answers, deployment = case.money, case.evidence.answers, case.evidence.deployment

    def differ(what: str, recomputed: int, answer: int | None) -> Iterator[Objection]:
        if recomputed != answer:
            yield Objection("I1", f"{what}: {recomputed} by the events, but {answer} is there")

    free = sum(channel.free for channel in money.channels.values())
    in_channels = sum(money.ledger.values()) + free
    yield from differ("the tokens of Channels", in_channels, answers.tokens.get(deployment.channels))
    yield from differ("the stakes", sum(money.stakes.values()), answers.tokens.get(deployment.registry))
    budgets = sum(money.budgets.values())
    yield from differ("the pool's ledger account", budgets, answers.ledger.get(deployment.pool))
    for account, amount in money.tokens.items():
        yield from differ(f"the tokens of {shown(account)}", amount, answers.tokens.get(account, 0))
    for account, amount in money.ledger.items():
        yield from differ(f"the ledger balance of {shown(account)}", amount, answers.ledger.get(account, 0))
    for campaign, amount in money.budgets.items():
        yield from differ(f"the budget of campaign {campaign}", amount, answers.budgets.get(campaign))
    for pair, channel in money.channels.items():
        where = f"channel {shown(pair[0])} to {shown(pair[1])}"
        deposit, claimed = answers.channels.get(pair, (0, 0))
        yield from differ(f"{where}, deposit", channel.deposit, deposit)
        yield from differ(f"{where}, claimed", channel.claimed, claimed)


def _i3(case: _Case) -> Iterator[Objection]:
    for (payer, payee), channel in case.money.channels.items():
        known = case.signed.get((payer, payee), 0)
        if channel.claimed > known:
            text = f"{shown(payee)} got {channel.claimed} from {shown(payer)}, whose vouchers say {known}"
            yield Objection("I3", text)
    for key, claimed in case.money.pool_claims.items():
        known = case.pool_signed.get(key, 0) + case.money.paid_for_passes[key]
        if claimed > known:
            text = f"{shown(key[1])} got {claimed} from campaign {key[0]}, whose vouchers say {known}"
            yield Objection("I3", text)


def _i8(case: _Case, relays: Iterable[RelayResult]) -> Iterator[Objection]:
    price: Amount = case.evidence.deployment.parameters.hop_price
    losses = case.evidence.losses
    for relay in relays:
        due = price * relay.counts.worth
        if losses is None and relay.earned != due:
            work = f"{relay.counts.packets} packets and {relay.counts.tolls} ticks of mailboxes"
            text = f"relay {relay.id} earned {relay.earned}, but its {work} are worth {due}"
            yield Objection("I8", text)
        if relay.gained != relay.claimed:
            text = f"relay {relay.id} has {relay.gained} more than before, but claimed {relay.claimed}"
            yield Objection("I8", text)
    yield from _paths(case)
    if losses is not None:
        operators = {relay: found.operator for relay, found in case.money.relays.items()}
        signed = Signed(price, operators, case.signed, case.pool_signed)
        tolls = {relay: counts.tolls for relay, counts in case.evidence.counts.items()}
        yield from i8_with_losses(losses, signed, case.evidence.packets_delivered, tolls)


def _paths(case: _Case) -> Iterator[Objection]:
    """The clients' counts must be those of whole paths through relays that exist."""
    counts = case.evidence.counts
    for relay in counts.keys() - case.money.relays.keys():
        yield Objection("I8", f"the clients counted packets of relay {relay}, which does not exist")
    total = sum(counts.values(), Counts())
    if total.mix != MIX_LAYERS * total.entry or total.packets != HOPS * total.entry:
        yield Objection("I8", f"the clients counted no whole paths: {total}")


def _users(case: _Case) -> Iterator[Objection]:
    evidence, money = case.evidence, case.money
    for account in evidence.users:
        if account in money.parties:
            yield Objection("users", f"the user {shown(account)} takes part in the contracts")
        if evidence.answers.native.get(account):
            yield Objection("users", f"the user {shown(account)} owns ether")
    for account in evidence.senders:
        if account not in money.parties:
            yield Objection("users", f"{shown(account)}, who runs nothing here, sent a transaction")
    for account in {*money.tokens, *money.ledger, *money.spent_by}:
        if account not in money.parties and account != evidence.deployment.token:
            yield Objection("users", f"{shown(account)}, who runs nothing here, had tokens")
