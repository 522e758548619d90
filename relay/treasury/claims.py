"""Which vouchers are claimed now, and which of them by one transaction. Pure.

`claim_at` is what makes a claim worth its gas when it is alone. A further voucher in the same transaction
costs a third of that, so it is claimed along for a third; and vouchers that are too small alone are claimed
once they come to what the transaction for all of them costs, at that price of gas.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mixpay.amounts import shown
from mixpay.types import Amount, Epoch
from relay.config import TreasuryRules
from relay.treasury.actions import Action, Claim, ClaimPool, Postponed, Subject, Together
from relay.treasury.facts import Facts, PayerFacts, PoolFacts

_GAS_ALONE, _GAS_FURTHER = 41_000, 12_850
"""Of a claim by itself, and of each further voucher in its transaction (docs/gas.md)."""

_MOST = 64
"""Vouchers in one transaction: 850,000 gas. More would save next to nothing: of 13,290 gas for each of 64,
all but 440 is the voucher's own. And even the sender's last margin, four times the estimate, is then a fifth
of the 2^24 gas above which a chain may take no transaction (EIP-7825)."""


def in_transactions(actions: Iterable[Action]) -> Iterator[Action | Together]:
    """The same actions as they are sent: payers' vouchers first, together, in the order of the plan. What the
    court has judged is claimed without a voucher, by a transaction of its own."""
    todo = tuple(actions)
    vouchers = [action for action in todo if isinstance(action, Claim) and action.signature]
    for start in range(0, len(vouchers), _MOST):
        yield Together.of(*vouchers[start : start + _MOST])
    yield from (action for action in todo if not isinstance(action, Claim) or not action.signature)


def claims(facts: Facts, rules: TreasuryRules, urgent: bool) -> tuple[list[Action], list[Postponed]]:
    """Income: what is claimed now, and what waits."""
    claim_at = Amount(rules.claim_at * facts.price)
    terms = _Terms(claim_at, urgent, _claimed_along(facts.payers, claim_at))
    actions: list[Action] = []
    postponed: list[Postponed] = []
    # Closing channels first, the next to close before others; then what pays most.
    order = sorted(facts.payers, key=lambda p: (p.closes_at == 0, p.closes_at, -p.payable, p.relay))
    for payer in order:
        actions += _claim(payer, terms)
        postponed += _unclaimed(payer, terms)
    for pool in sorted(facts.pool, key=lambda pool: (pool.closes_at, pool.voucher.campaign)):
        outcome = _claim_pool(pool, facts.now, claim_at, urgent)
        if isinstance(outcome, ClaimPool):
            actions.append(outcome)
        elif outcome is not None:
            postponed.append(outcome)
    return actions, postponed


# ---------------------------------------------------------------------- payers


def _claimed_along(payers: Iterable[PayerFacts], claim_at: Amount) -> Amount | None:
    """What a voucher must pay to be claimed with others; None while all together are worth no transaction."""
    further = Amount(-(-claim_at * _GAS_FURTHER // _GAS_ALONE))
    vouchers = [payer for payer in payers if payer.signature and payer.payable]
    if any(payer.closes_at for payer in vouchers):
        return further  # there is a transaction anyway
    large = [payer.payable for payer in vouchers if payer.payable >= further]
    return further if large and sum(large) >= claim_at + (len(large) - 1) * further else None


@dataclass(frozen=True, slots=True)
class _Terms:
    """When a payer is claimed from (token units). `along`: see `_claimed_along`."""

    claim_at: Amount
    urgent: bool
    along: Amount | None

    def reason(self, payer: PayerFacts) -> str | None:
        """Why it is claimed now; None if it is not."""
        amount = payer.payable
        if not amount:
            return None
        if payer.closes_at:
            return "the channel is closing"
        if self.urgent:
            return "told to"
        if amount >= self.claim_at:
            return "worth a transaction"
        if payer.signature and self.along is not None and amount >= self.along:
            return "worth it together with others"
        return None


def _claim(payer: PayerFacts, terms: _Terms) -> Iterator[Claim]:
    reason = terms.reason(payer)
    if reason is not None:
        why = f"{shown(payer.payable)} tokens from relay {payer.relay}: {reason}"
        yield Claim(payer.relay, payer.account, payer.cumulative, payer.upto_batch, payer.signature, why)


def _unclaimed(payer: PayerFacts, terms: _Terms) -> Iterator[Postponed]:
    """Why a voucher, or a part of it, is not claimed now."""
    amount, lacking = payer.payable, payer.unpaid - payer.payable
    if amount and terms.reason(payer) is None:
        sooner = ", or sooner together with others" if payer.signature else ""
        why = f"{shown(amount)} tokens can be claimed; that is done from {shown(terms.claim_at)} on{sooner}"
        yield Postponed(Subject.PAYER, payer.relay, why)
    if lacking:
        why = f"its channel lacks {shown(lacking)} tokens of its voucher: waiting for it to top up"
        yield Postponed(Subject.PAYER, payer.relay, why)


# ---------------------------------------------------------------------- campaigns


def _claim_pool(pool: PoolFacts, now: int, claim_at: Amount, urgent: bool) -> ClaimPool | Postponed | None:
    voucher, amount = pool.voucher, pool.payable
    if not pool.unpaid:
        return None

    def wait(why: str) -> Postponed:
        return Postponed(Subject.CAMPAIGN, voucher.campaign, why)

    if pool.reserved:
        return wait("its voucher waits: passes that it may cover are redeemed at the pool first")
    if now > pool.closes_at or voucher.period < pool.latest:
        return wait(f"its voucher counts in epoch {voucher.period}, which is over: a later one is needed")
    if not amount:
        return wait(f"its budget and caps leave nothing for epoch {voucher.period}")
    lapsing = now >= pool.closes_at - pool.window // 2
    if not (urgent or lapsing or amount >= claim_at):
        return wait(f"{shown(amount)} tokens can be claimed; that is done from {shown(claim_at)} on")
    reason = "told to" if urgent else "worth a transaction" if amount >= claim_at else "its window is ending"
    why = f"{shown(amount)} tokens from campaign {voucher.campaign}: {reason}"
    return ClaimPool(voucher.campaign, Epoch(voucher.period), voucher.cumulative, voucher.signature, why)
