"""What the daemon does next by itself, and when: in order of time, then what waits for something. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixpay.amounts import shown
from mixpay.types import Amount, Epoch
from relay.court.actions import Matter
from relay.operator.dues import CampaignCase, PayeeCase, PayerCase, Rules


@dataclass(frozen=True, slots=True)
class Item:
    """Something that will be done. `at`: in chain time; None: when `when` says."""

    what: str
    when: str
    at: int | None = None


@dataclass(frozen=True, slots=True)
class EpochFacts:
    """Epochs and keys. `turn_at`: when it is our turn to fix the next epoch, None if it is fixed."""

    epoch: Epoch
    ends: int
    next_fixed: bool
    next_key: bool
    member: bool
    """Whether we belong to the next epoch, if that is fixed."""
    turn_at: int | None = None
    serves: bool = True
    """Whether this relay makes keys at all: not once it was restored, or is over."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """All that the agenda follows from. `ledger`: None before the chain was asked."""

    rules: Rules
    payers: Sequence[PayerCase]
    payees: Sequence[PayeeCase]
    campaigns: Sequence[tuple[int, CampaignCase]]
    matters: Sequence[Matter]
    epochs: EpochFacts
    ledger: Amount | None


def agenda(p: Prospect) -> list[Item]:
    """Everything that is known to come."""
    items = [*_settlement(p), *_redeeming(p), *_claims(p), *_sweep(p), *_closings(p), *_court(p), *_epochs(p)]
    return sorted(items, key=lambda item: (item.at is None, item.at or 0, item.what))


def _settlement(p: Prospect) -> Iterator[Item]:
    """The next one by time; any payer's may come sooner, at the number of tickets."""
    due = [
        (case.standing.cut_in, case)
        for case in p.payers
        if case.standing.open.tickets and case.standing.cut is None and case.totals.refused is None
    ]
    if not due:
        return
    seconds, case = min(due, key=lambda pair: (pair[0], pair[1].relay))
    count, most = case.standing.open.tickets, p.rules.settlement.tickets
    what = f"settle {count} tickets with relay {case.relay}"
    yield Item(what, f"or at {most:,} tickets; {len(due)} payers have some", p.rules.now + int(seconds))


def _redeeming(p: Prospect) -> Iterator[Item]:
    for number, case in p.campaigns:
        for due in case.passes:
            if due.amount and p.rules.now < due.ends:
                what = f"redeem passes of campaign {number}, {due.period}, {shown(due.amount)} tokens so far"
                yield Item(what, "when that is over", due.ends)


def _claims(p: Prospect) -> Iterator[Item]:
    waiting = [case.totals.claimable for case in p.payers if 0 < case.totals.claimable < p.rules.claim_at]
    if waiting:
        most, claim_at = shown(max(waiting)), shown(p.rules.claim_at)
        what = f"claim {shown(sum(waiting))} tokens from {len(waiting)} payers"
        yield Item(what, f"when one voucher is worth {claim_at} tokens (now {most}), sooner several together")


def _sweep(p: Prospect) -> Iterator[Item]:
    rules = p.rules.treasury
    kept, least = rules.float_ * p.rules.price, (rules.float_ + rules.sweep_at) * p.rules.price
    if p.ledger is not None:
        what = f"send what the ledger holds beyond {shown(kept)} tokens to the owner"
        yield Item(
            what, f"when it holds more than {shown(least)} (now {shown(p.ledger)}) and no channel lacks any"
        )


def _closings(p: Prospect) -> Iterator[Item]:
    for payer in p.payers:
        if payer.closes_at:
            yield Item(f"claim all from relay {payer.relay}", "before its channel closes", payer.closes_at)
    for payee in p.payees:
        if payee.closes_at:
            yield Item(
                f"take back the rest of the channel to relay {payee.relay}", "if it closes", payee.closes_at
            )


def _court(p: Prospect) -> Iterator[Item]:
    for matter in p.matters:
        against = "against us, " if matter.against_us else ""
        what = f"court: {against}relay {matter.relay}, batch {matter.batch}: {matter.follows}"
        yield Item(what, matter.state, matter.at)


def _epochs(p: Prospect) -> Iterator[Item]:
    e, following = p.epochs, p.epochs.epoch + 1
    if not e.next_fixed and e.turn_at is not None:
        yield Item(f"fix the relays of epoch {following}", "unless another relay is faster", e.turn_at)
    if not e.serves:
        return
    if not e.next_fixed:
        yield Item(f"make and sign the packet key of epoch {following}", "when its relays are fixed")
    elif e.member and not e.next_key:
        yield Item(f"make and sign the packet key of epoch {following}", "now, unless a note says why not")
    elif not e.member:
        yield Item(
            "begin to serve", f"in the first epoch that is fixed with us; epoch {following} is without"
        )
    if e.next_fixed:
        what = f"epoch {following} begins: its packet key and its links are used"
        yield Item(what, "fixed, and our key is made" if e.next_key else "fixed", e.ends)
