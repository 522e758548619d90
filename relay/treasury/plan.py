"""What a relay does with its money now, what has to wait, and why. No I/O, no clock: facts in, a plan out.

Rules (thresholds of `TreasuryRules` in hop prices; docs/design.md §7)
- A voucher is claimed when that pays at least `claim_at`, less when others are claimed with it (`claims.py`),
  and whatever it pays when the channel is closing or when told (urgent). A pool voucher also when half of its
  claim window is over, for then it lapses; none while passes that it may cover are to be redeemed at the pool
  (`relay/redeem/chain.py`).
- What our vouchers promise is covered first, for every payee, small gaps first, so that most are whole.
- A channel is opened when a voucher has been signed to the payee, or `open_at` is owed. It is topped up when
  it holds less than `top_up_below` beyond what is owed. Both fill it to `fund` beyond what is owed. Told to
  settle (urgent), only vouchers are covered.
- A closing channel is left alone, unless packets wait for its payee (funding takes the close back). What
  vouchers promise is covered all the same. A payee that broke the rules gets that and no more.
- What the ledger lacks comes from the operator's tokens, as far as needed. What both lack waits, by name.
- Above `float + sweep_at` the ledger is swept down to `float`, to the owner; never while something is short.
- A relay that serves in no epoch any more claims as if told to, closes its channels (`closing.py`), and when
  nothing needs the ledger any more sweeps all of it. Once its stake is free (overdue) it covers nothing more.
- Nothing is planned without ether for gas, nor while an earlier transaction may still be mined: what it
  changed is not in the facts yet.

A plan counts on nothing that its own claims will bring: facts are read again after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mixpay.amounts import shown
from mixpay.types import Amount
from relay.config import TreasuryRules
from relay.treasury.actions import Action, Claim, ClaimPool, Deposit, Fund, Postponed, Subject, Sweep
from relay.treasury.claims import claims
from relay.treasury.closing import ClosesLater, FinishClose, RequestClose, closings, nothing_left
from relay.treasury.facts import Facts, PayeeFacts


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in this order, and what waits."""

    actions: tuple[Action, ...]
    postponed: tuple[Postponed, ...]


def make_plan(facts: Facts, rules: TreasuryRules, *, urgent: bool = False) -> Plan:
    """Decide. `urgent` (a phase ends, the operator asks): claim all, fund only what vouchers need."""
    urgent = urgent or facts.winding_up
    income, waiting = claims(facts, rules, urgent)
    spending, short = _spending(facts, rules, urgent)
    actions = (*income, *spending)
    postponed = (*waiting, *short)
    hindrance = _hindrance(facts)
    if actions and hindrance is not None:
        return Plan((), (*postponed, *map(_held_back, actions), hindrance))
    return Plan(actions, postponed)


def _hindrance(facts: Facts) -> Postponed | None:
    """Why nothing at all can be sent now."""
    if facts.holdings.in_flight:
        return Postponed(
            Subject.ACCOUNT,
            0,
            "an earlier transaction is in no block yet: waiting for it, or replacing it after a minute",
        )
    if facts.holdings.ether == 0:
        why = "the operator's account has no ether to pay for gas: send it some"
        return Postponed(Subject.ACCOUNT, 0, why)
    return None


def _held_back(action: Action) -> Postponed:
    why = f"held back: {action.why}"
    match action:
        case Fund() | RequestClose() | FinishClose():
            return Postponed(Subject.PAYEE, action.relay, why)
        case Claim():
            return Postponed(Subject.PAYER, action.relay, why)
        case ClaimPool():
            return Postponed(Subject.CAMPAIGN, action.campaign, why)
        case _:
            return Postponed(Subject.ACCOUNT, 0, why)


# ---------------------------------------------------------------------- spending


@dataclass(slots=True)
class _Want:
    """What a channel should get, for vouchers (`must`) and for traffic (`extra`), and what it is granted."""

    payee: PayeeFacts
    must: int
    extra: int
    reopen: bool
    why: str
    granted: int = 0

    @property
    def missing(self) -> int:
        return self.must + self.extra - self.granted


def _spending(facts: Facts, rules: TreasuryRules, urgent: bool) -> tuple[list[Action], list[Postponed]]:
    holdings, price = facts.holdings, facts.price
    payees = () if facts.overdue else facts.payees
    wants = [want for payee in payees if (want := _want(payee, rules, price, urgent)) is not None]
    needed = sum(want.must + want.extra for want in wants)
    deposit = min(holdings.tokens, max(0, needed - holdings.ledger))
    left = _grant(wants, holdings.ledger + deposit, rules.open_at * price)
    actions: list[Action] = []
    if deposit:
        actions.append(Deposit(Amount(deposit), "channels need more than the ledger holds"))
    actions += [_fund(want) for want in wants if want.granted or want.reopen]
    short = list(_short(wants))
    for closing in closings(facts, Amount(rules.open_at * price)):
        if isinstance(closing, ClosesLater):
            short.append(Postponed(Subject.PAYEE, closing.relay, closing.why))
        else:
            actions.append(closing)
    if not short:
        actions += _sweep(facts, left, rules)
    return actions, [*short, *_unopened(facts, rules, wants, urgent)]


def _want(payee: PayeeFacts, rules: TreasuryRules, price: Amount, urgent: bool) -> _Want | None:
    must, room = payee.uncovered, payee.deposit - payee.owed
    reopen = bool(payee.closes_at and payee.waiting and not payee.refused)
    if payee.refused or urgent or (payee.closes_at and not reopen):
        wanted, why = False, "its voucher promises that"
    elif payee.deposit or payee.closes_at:
        wanted, why = reopen or room < rules.top_up_below * price, "top-up"
    else:
        wanted, why = bool(payee.cumulative) or payee.owed >= rules.open_at * price, "a channel is opened"
    if reopen and not urgent:
        why = "packets wait for it: its closing is taken back"
    extra = max(0, rules.fund * price - room - must) if wanted else 0
    if not must and not extra and not (wanted and reopen):
        return None
    return _Want(payee, must, extra, wanted and reopen, why)


def _grant(wants: Iterable[_Want], available: int, least: int) -> int:
    """Divide what there is: vouchers first, then room for traffic, small gaps first. Returns what is left.

    Room for traffic is given in full, or at least `least`: less is not worth a transaction.
    """
    for want in sorted(wants, key=lambda want: (want.must, want.payee.relay)):
        want.granted = min(want.must, available)
        available -= want.granted
    for want in sorted(wants, key=lambda want: (want.extra, want.payee.relay)):
        extra = min(want.extra, available)
        if extra == want.extra or extra >= least:
            want.granted += extra
            available -= extra
    return available


def _fund(want: _Want) -> Fund:
    payee, amount = want.payee, Amount(want.granted)
    why = f"{shown(amount)} tokens to relay {payee.relay}: {want.why}"
    return Fund(payee.relay, payee.account, amount, why)


def _short(wants: Iterable[_Want]) -> Iterator[Postponed]:
    """What cannot be funded, and what the operator has to do about it."""
    missing = [want for want in wants if want.missing]
    for want in missing:
        uncovered = max(0, want.must - want.granted)
        part = f", {shown(uncovered)} of them promised by a voucher" if uncovered else ""
        why = f"its channel lacks {shown(want.missing)} tokens{part}, and the ledger is empty"
        yield Postponed(Subject.PAYEE, want.payee.relay, why)
    if missing:
        total = shown(sum(want.missing for want in missing))
        why = f"the operator must deposit {total} tokens: send them to the operator's account"
        yield Postponed(Subject.ACCOUNT, 0, why)


def _unopened(
    facts: Facts, rules: TreasuryRules, wants: Iterable[_Want], urgent: bool
) -> Iterator[Postponed]:
    """Payees that we owe something and open no channel to yet."""
    wanted = {want.payee.relay for want in wants}
    for payee in facts.payees:
        if payee.relay in wanted or payee.deposit or not payee.owed:
            continue
        owed, threshold = shown(payee.owed), shown(rules.open_at * facts.price)
        when = "once a voucher is signed" if urgent else f"from {threshold} on, or once a voucher is signed"
        yield Postponed(Subject.PAYEE, payee.relay, f"{owed} tokens owed; a channel is opened {when}")


def _sweep(facts: Facts, left: int, rules: TreasuryRules) -> Iterator[Sweep]:
    least = rules.open_at * facts.price
    kept, above = rules.float_ * facts.price, rules.sweep_at * facts.price
    if nothing_left(facts, Amount(least)):
        kept, above = 0, least
    if left > kept + above:
        amount = Amount(left - kept)
        yield Sweep(amount, f"{shown(amount)} tokens to the owner: the ledger keeps {shown(kept)}")
