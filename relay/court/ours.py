"""Cases that we bring against payers. Pure.

Rules (docs/design.md §4; `CourtRules` has the settings)
- A batch that is not settled `patience` after it was cut goes to court, if its receipts, with those of the
  next batch, are worth `min_amount`. When the channel is closing, at half of the notice at the latest.
  Batches go one after the other: the next builds on the judgement of the first. If the first has no receipt
  under the payer's signature, the next builds on what was settled before.
- A case whose window we missed is tried once more, not again: then something is wrong that bonds do not mend.
- A payer that has signed its voucher need not be proven anything: it has its time to show it, then we do.
  That ends the case and returns the bond; the court's costs are nothing to earn. Its time is over with the
  court's time to answer, but 128 blocks after the opening at the latest if the seed is not recorded: a payer
  that signs on the link and shows nothing would have the bond of a case without seed, 132 blocks later.
- A payer that shows a voucher up to a later batch has said all that it can: if we hold that voucher, we show
  it ourselves at once, which ends the case; else the case goes on, without costs.
- What the channel lacks of a judgement after the grace comes from the payer's stake, if it is worth it: the
  payer loses its place by that.

    our case      block, time                    what we do
    ------------  -----------------------------  ------------------------------------------------
    opened        from open + 5, to open + 260   record the seed
                  from open + 128                with a voucher: answer
    seed drawn    the time to answer is over     finish by samples; with a voucher: answer
    admitted      any                            with a voucher: answer; else as above
    either        too late                       expire, to open another; else leave it
"""

from __future__ import annotations

from collections.abc import Iterator

from mixpay.amounts import shown
from relay.config import CourtRules
from relay.court.actions import Action, Answer, Collect, Expire, Finish, Matter, Open, Record, Step
from relay.court.facts import CaseFacts, Judged, Moment, PayerFacts, Terms, Unsettled, Voucher

MAX_CASES = 2
"""About one batch."""

_QUIET = 60
"""Seconds in which a settlement that takes its time is nobody's concern."""


def against_payer(f: PayerFacts, moment: Moment, terms: Terms, rules: CourtRules) -> Iterator[Step]:
    """Everything about one payer."""
    judging = False
    if f.case is not None:
        matter, action = _case(f, f.case, moment, terms)
        judging = isinstance(action, Finish | Answer)
        yield matter, action
    elif f.unsettled is not None:
        yield from _unsettled(f, f.unsettled, moment, terms, rules)
    if f.judged is not None and f.judged.lacking >= rules.min_amount and not judging:
        yield _lacking(f, f.judged, moment, terms)  # a new judgement begins a new grace


# ---------------------------------------------------------------------- before a case


def _unsettled(
    f: PayerFacts, batch: Unsettled, moment: Moment, terms: Terms, rules: CourtRules
) -> Iterator[Step]:
    if f.judged is not None and _is_ahead(f.judged, f.voucher, batch):
        yield _waiting(f, batch, "judged", "the books follow some blocks later")
        return
    if moment.now < batch.since + _QUIET:
        return
    due = _due(f, batch, terms, rules)
    why = _why_not(batch, moment, rules)
    if why is not None:
        yield _waiting(f, batch, "expired" if batch.expired >= MAX_CASES else "unsettled", why)
    elif moment.now < due:
        yield _waiting(f, batch, "unsettled", "it is brought to court", due)
    else:
        matter, _ = _waiting(f, batch, "unsettled", "it is brought to court now")
        what = f"a case about batch {batch.number} of relay {f.relay}, {shown(batch.amount)} tokens"
        yield matter, Open(f.relay, batch.number, max(0, batch.bond - moment.ledger), what)


def _is_ahead(judged: Judged, voucher: Voucher, batch: Unsettled) -> bool:
    """Whether the book is still to be told of a judgement: of the batch, or of what its case builds on. One
    that builds on less could be proven for less than was judged, which the court does not report."""
    return judged.total > voucher.cumulative or judged.number >= batch.number


def _waiting(f: PayerFacts, batch: Unsettled, state: str, follows: str, at: int | None = None) -> Step:
    return Matter(f.relay, False, batch.number, batch.amount, state, follows, at), None


def _why_not(batch: Unsettled, moment: Moment, rules: CourtRules) -> str | None:
    """Why a batch is not brought to court, however long it waits."""
    if batch.expired >= MAX_CASES:
        return "only a voucher of the payer's can settle it now"
    if not batch.amount:
        return "there is no receipt under the payer's signature: a court would give nothing"
    if batch.in_all < rules.min_amount:
        return f"it is brought to court from {shown(rules.min_amount)} tokens on"
    if batch.bond > moment.ledger + moment.tokens:
        return f"a case needs a bond of {shown(batch.bond)} tokens: send them to the operator's account"
    return None


def _due(f: PayerFacts, batch: Unsettled, terms: Terms, rules: CourtRules) -> int:
    """When a batch goes to court."""
    due = batch.since + rules.patience
    return min(due, f.closes_at - terms.notice // 2) if f.closes_at else due


# ---------------------------------------------------------------------- a case


def _case(f: PayerFacts, facts: CaseFacts, moment: Moment, terms: Terms) -> Step:
    if not facts.is_open:
        return _stands(f, facts, "it is over: its outcome is being read")
    if f.voucher.covers(facts.case):
        return _signed_after_all(f, facts, moment, terms)
    if moment.now >= terms.ends(facts.case) or facts.is_unrecorded(moment.block):
        return _missed(f, facts)
    return _proving(f, facts, moment, terms) if facts.seed else _recording(f, facts, moment)


def _stands(
    f: PayerFacts, facts: CaseFacts, follows: str, at: int | None = None, action: Action | None = None
) -> Step:
    case = facts.case
    return Matter(f.relay, False, case.batch.number, case.claimed, facts.state, follows, at), action


def _what(f: PayerFacts, facts: CaseFacts) -> str:
    return f"case about batch {facts.case.batch.number} of relay {f.relay}"


def _signed_after_all(f: PayerFacts, facts: CaseFacts, moment: Moment, terms: Terms) -> Step:
    provable = terms.provable_from(facts.case)
    is_safe = facts.seed or moment.block < facts.answer_from
    if is_safe and moment.now < provable and not facts.admitted:
        return _stands(f, facts, "the payer has signed; if it does not show its voucher, we do", provable)
    action = Answer(f.relay, facts.case, f.voucher, f"{_what(f, facts)}: the payer has signed after all")
    return _stands(f, facts, "the payer has signed: we show its voucher now", None, action)


def _missed(f: PayerFacts, facts: CaseFacts) -> Step:
    if f.unsettled is None or f.unsettled.expired + 1 >= MAX_CASES:
        return _stands(f, facts, "it is too late to prove it: the bond is the payer's")
    action = Expire(f.relay, facts.case, f"{_what(f, facts)}: too late, it is opened again")
    return _stands(f, facts, "it is too late to prove it: it is opened again", None, action)


def _recording(f: PayerFacts, facts: CaseFacts, moment: Moment) -> Step:
    if moment.block < facts.record_from:
        return _stands(f, facts, f"its seed is recorded from block {facts.record_from} on")
    action = Record(f.relay, facts.case, f"{_what(f, facts)}: its seed")
    return _stands(f, facts, f"its seed is recorded now, until block {facts.record_until}", None, action)


def _proving(f: PayerFacts, facts: CaseFacts, moment: Moment, terms: Terms) -> Step:
    provable, ends = terms.provable_from(facts.case), terms.ends(facts.case)
    if not f.evidence:
        return _stands(f, facts, "we do not hold the receipts of this case: the bond is lost", ends)
    if moment.now < provable:
        return _stands(f, facts, "the receipts are proven", provable)
    action = Finish(f.relay, facts.case, facts.seed, f"{_what(f, facts)}: its samples")
    return _stands(f, facts, "the receipts are proven now", None, action)


# ---------------------------------------------------------------------- after a judgement


def _lacking(f: PayerFacts, judged: Judged, moment: Moment, terms: Terms) -> Step:
    collect, lacking = judged.judged_at + terms.grace, shown(judged.lacking)
    state = f"judged, its channel lacks {lacking} tokens"

    def step(follows: str, at: int | None = None, action: Action | None = None) -> Step:
        return Matter(f.relay, False, judged.number, judged.total, state, follows, at), action

    if not judged.stake:
        return step("nothing is left that judgements can take of the payer's stake")
    if moment.now < collect:
        return step("the payer's stake pays", collect)
    why = f"{lacking} tokens that relay {f.relay} owes by judgement, from its stake"
    return step("the payer's stake pays now", None, Collect(f.relay, f.account, why))
