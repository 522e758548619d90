"""Why money is not paid yet, amount by amount: what is owed to us, and by us. Pure.

Every unpaid amount is split into parts that each wait for one thing; the parts add up to what is unpaid:

    unpaid = tickets that no voucher covers + (newest voucher - what was claimed of it)

Each part says why it waits, and what follows: by whom, when (chain time), or on which condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mixpay.amounts import moment, shown
from mixpay.book.common import Totals
from mixpay.book.limits import LIMITS, LINK_REFUSED, RESTORED
from mixpay.book.standing import BatchStanding, Stage, Standing
from mixpay.types import Amount, RelayId
from relay.config import CourtRules, Settlement, TreasuryRules
from relay.court.actions import Matter


@dataclass(frozen=True, slots=True)
class Due:
    """A part of what is unpaid. `at`: when what follows comes (chain time); None: now, or on a condition."""

    amount: Amount
    why: str
    follows: str
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator has set. `hindrance`: why no transaction can be sent at all now, or None."""

    price: Amount
    now: int
    settlement: Settlement
    treasury: TreasuryRules
    court: CourtRules
    hindrance: str | None = None

    @property
    def claim_at(self) -> Amount:
        """From how much on a voucher is claimed."""
        return Amount(self.treasury.claim_at * self.price)


@dataclass(frozen=True, slots=True)
class PayerCase:
    """One payer: its batches, its newest voucher, its channel. `silent_for`: seconds without a link, or None.
    `matters`: what is in court between us. `limit`: why a further ticket would be refused now, or None."""

    relay: RelayId
    standing: Standing
    totals: Totals
    closes_at: int
    silent_for: float | None
    matters: Sequence[Matter] = ()
    limit: str | None = None


@dataclass(frozen=True, slots=True)
class PayeeCase:
    """One payee, likewise. `postponed`: what the treasury says of its channel."""

    relay: RelayId
    totals: Totals
    closes_at: int
    silent_for: float | None
    postponed: Sequence[str] = ()


# ---------------------------------------------------------------------- owed to us


def owed_by_payer(case: PayerCase, rules: Rules) -> list[Due]:
    """What a payer owes us, part by part."""
    cut = case.standing.cut
    parts = [*(_of_batch(case, cut, rules) if cut is not None else ())]
    parts += _of_batch(case, case.standing.open, rules)
    parts += _of_voucher(case, rules)
    return [due for due in parts if due.amount]


def _of_batch(case: PayerCase, batch: BatchStanding, rules: Rules) -> Iterator[Due]:
    unproven = Amount(batch.amount - batch.proven)
    if batch.stage is Stage.GIVEN_UP:
        why = (
            f"batch {batch.number} has no receipt under the payer's signature, and was given up for the next"
        )
        yield Due(unproven, why, "a voucher of the payer's pays for it, nothing else")
        return
    if batch.stage in (Stage.OPEN, Stage.RESPONSES):
        acks = "next relays have not acknowledged these tickets yet"
        yield Due(unproven, acks, "what is not acknowledged when the batch is redeemed is never paid")
    elif batch.stage is not Stage.UNSIGNED or unproven:
        yield Due(
            unproven, "next relays never acknowledged these tickets", "they end with their batch, unpaid"
        )
    yield _proven(case, batch, rules)


def _proven(case: PayerCase, batch: BatchStanding, rules: Rules) -> Due:
    amount, name = batch.proven, f"batch {batch.number}"
    case_in_court = next((m for m in case.matters if m.batch == batch.number and not m.against_us), None)
    if case_in_court is not None:
        why = f"{name} is in court: {case_in_court.state}"
        return Due(amount, why, case_in_court.follows, case_in_court.at)
    if batch.stage is Stage.COURT:
        return Due(amount, f"{name} was made ready for the court", "a case is opened by the next look at it")
    due = _on_link(case, batch, rules)
    if case.limit in LIMITS - {LINK_REFUSED}:
        due = replace(due, why=f"{due.why}; its exposure is used up ({case.limit}), no more is taken of it")
    return due


def _on_link(case: PayerCase, batch: BatchStanding, rules: Rules) -> Due:
    """What is to be settled with the payer itself."""
    amount, name = batch.proven, f"batch {batch.number}"
    if case.totals.refused not in (None, RESTORED):
        why = f"the payer broke a rule ({case.totals.refused}): no ticket of it is taken"
        return Due(amount, why, f"a right voucher mends that; else the court, {_patience(rules)}")
    if case.silent_for is not None:
        return _silent(case, batch, rules)
    if case.totals.refused == RESTORED:
        why = f"{name} is in an older copy of our books, and the payer may have another one"
        return Due(amount, why, f"it is settled if both agree; else the court, {_patience(rules)}")
    if batch.stage is Stage.OPEN:
        return _not_due(case, batch, rules)
    return Due(amount, f"{name} is being settled: {_WAITS[batch.stage]}", *_settling(case, batch, rules))


_WAITS = {
    Stage.UNSIGNED: "the payer has not signed the last of its tickets yet",
    Stage.RESPONSES: "the last acknowledgements are waited for",
    Stage.ASKED: "the payer has to choose the samples",
    Stage.SHOWN: "the payer has seen the samples, and has to sign the voucher",
}


def _settling(case: PayerCase, batch: BatchStanding, rules: Rules) -> tuple[str, int | None]:
    if batch.stage is Stage.RESPONSES:
        return "the payer is asked then, at the latest", _later(rules, case.standing.redeemed_in)
    return f"we repeat it every 5 s; else the court, {_patience(rules)}", None


def _silent(case: PayerCase, batch: BatchStanding, rules: Rules) -> Due:
    since = moment(rules.now - int(case.silent_for or 0))
    why = f"the payer is silent since {since}: there is no link"
    if batch.stage is Stage.OPEN:
        follows = "the batch is closed for it then; it is settled when the payer comes back"
        return Due(batch.proven, why, follows, _later(rules, case.standing.cut_in))
    return Due(
        batch.proven, why, f"it is settled when the payer comes back; else the court, {_patience(rules)}"
    )


def _not_due(case: PayerCase, batch: BatchStanding, rules: Rules) -> Due:
    why = f"{batch.tickets} tickets: settled at {rules.settlement.tickets:,}"
    if case.standing.cut is not None:
        return Due(batch.proven, f"{why}, after the batch before", "it begins when that batch is settled")
    if case.closes_at:
        why = "the channel is closing"
    return Due(batch.proven, why, "it is settled then at the latest", _later(rules, case.standing.cut_in))


def _patience(rules: Rules) -> str:
    hours = rules.court.patience / 3_600
    return f"{hours:g} h after the batch was closed, from {shown(rules.court.min_amount)} tokens on"


def _later(rules: Rules, seconds: float) -> int:
    return rules.now + int(seconds)


def _of_voucher(case: PayerCase, rules: Rules) -> Iterator[Due]:
    totals = case.totals
    unpaid = max(0, totals.cumulative - totals.claimed)
    claimable = Amount(min(unpaid, totals.claimable))
    if claimable:
        yield _claimable(case, claimable, rules)
    lacking = Amount(unpaid - claimable)
    if lacking:
        yield _lacking(case, lacking)


def _claimable(case: PayerCase, amount: Amount, rules: Rules) -> Due:
    if amount < rules.claim_at and not case.closes_at:
        why = f"not worth a claim's gas yet: {shown(amount)} of {shown(rules.claim_at)} tokens"
        return Due(amount, why, "it is claimed from there on, sooner together with others, or by `claim`")
    why = "the channel is closing" if case.closes_at else "its voucher is worth a claim"
    if rules.hindrance is not None:
        return Due(
            amount, f"{why}, but {rules.hindrance}", "it is claimed when that is over", case.closes_at or None
        )
    return Due(amount, why, "it is claimed by the treasury's next look", case.closes_at or None)


def _lacking(case: PayerCase, amount: Amount) -> Due:
    judged = next((m for m in case.matters if not m.against_us and "lacks" in m.state), None)
    if judged is not None:
        return Due(amount, f"the payer's channel holds too little: {judged.state}", judged.follows, judged.at)
    return Due(
        amount, "the payer's channel holds less than its voucher says", "it is claimed when the payer tops up"
    )


# ---------------------------------------------------------------------- owed by us


def owed_to_payee(case: PayeeCase, rules: Rules) -> list[Due]:
    """What we owe a payee, part by part."""
    totals = case.totals
    tickets = Amount(totals.unsettled * rules.price)
    unclaimed = max(0, totals.cumulative - totals.claimed)
    uncovered = Amount(min(unclaimed, max(0, totals.cumulative - totals.deposit)))
    parts = [
        _tickets(case, tickets),
        Due(Amount(unclaimed - uncovered), "it has our voucher, and the channel covers it", *_claim(case)),
        _uncovered(case, uncovered, rules),
    ]
    return [due for due in parts if due.amount]


def _tickets(case: PayeeCase, amount: Amount) -> Due:
    if case.totals.refused not in (None, RESTORED):
        why = f"the payee broke a rule ({case.totals.refused}): its tickets are not settled"
        return Due(amount, why, "it can go to court with what it can prove")
    if case.silent_for is not None:
        return Due(amount, "there is no link to it", "it is settled when the link is back; we dial")
    return Due(amount, "its tickets are in no voucher yet", "it settles when it wants, and we sign")


def _claim(case: PayeeCase) -> tuple[str, int | None]:
    if case.closes_at:
        return "the channel closes: what it has not claimed then comes back to us", case.closes_at
    return "it claims when it wants", None


def _uncovered(case: PayeeCase, amount: Amount, rules: Rules) -> Due:
    why = "its voucher says more than its channel holds"
    if rules.hindrance is not None:
        return Due(amount, f"{why}, and {rules.hindrance}", "the channel is filled when that is over")
    said = "; ".join(case.postponed)
    return Due(amount, f"{why}: {said}" if said else why, "the channel is filled by the treasury's next look")


# ---------------------------------------------------------------------- owed by campaigns


@dataclass(frozen=True, slots=True)
class PassDue:
    """Passes of one period of a campaign. `ends`: of the period; `why`: what the redeemer says of it."""

    period: str
    amount: Amount
    ends: int
    why: str | None = None


@dataclass(frozen=True, slots=True)
class CampaignCase:
    """One campaign. `unpaid`: of its newest voucher; `postponed`: what the treasury says of that."""

    has_issuer: bool
    passes: Sequence[PassDue]
    unpaid: Amount
    postponed: Sequence[str] = ()


def owed_by_campaign(case: CampaignCase, rules: Rules) -> list[Due]:
    """What a campaign owes us, part by part."""
    parts = [_passes(due, case, rules) for due in case.passes]
    if case.postponed:
        parts.append(Due(case.unpaid, "; ".join(case.postponed), "the treasury looks again all the time"))
    elif rules.hindrance is not None:
        parts.append(
            Due(case.unpaid, f"its voucher waits: {rules.hindrance}", "it is claimed when that is over")
        )
    else:
        parts.append(Due(case.unpaid, "its voucher is new", "it is claimed by the treasury's next look"))
    return [due for due in parts if due.amount]


def _passes(due: PassDue, case: CampaignCase, rules: Rules) -> Due:
    if rules.now < due.ends:
        why = f"passes of {due.period}, which is not over: the issuer must not learn when they are in use"
        return Due(due.amount, why, "they are handed in then", due.ends)
    if due.why is not None:
        return Due(due.amount, f"passes of {due.period}: {due.why}", "it is tried again all the time")
    follows = "they are handed in by the next look" if case.has_issuer else "the pool itself is asked in time"
    return Due(due.amount, f"passes of {due.period}, which is over", follows)


def total(dues: Iterable[Due]) -> Amount:
    """All parts together."""
    return Amount(sum(due.amount for due in dues))
