"""Cases that payees bring against us. Pure.

Rules (docs/design.md §4)
- A case is answered as soon as our newest voucher covers it, while there is time to answer: later only the
  payee can show it, and whether it does or proves its case is its own choice.
- A voucher up to a later batch ends no case, for it says nothing of this one: shown once, it spares us the
  costs, and the payee still has to prove what it claims.
- Until half of that time is over, the link may settle the batch, with samples. Then we admit what our own
  book says we owe: a lost case costs more. The court takes no claim of more, so what the book does not say is
  of a book that was lost, or of a judgement that is not in it yet. That is left to the samples, and all that
  is late.
- A case that is not proven in time leaves its bond to us.
- What our channel lacks of a judgement is topped up by the treasury, before our stake pays for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from mixpay.amounts import shown
from relay.court.actions import Action, Admit, Answer, Expire, Matter, Step
from relay.court.facts import CaseFacts, Moment, PayeeFacts, Terms


def by_payee(f: PayeeFacts, moment: Moment, terms: Terms) -> Iterator[Step]:
    """Everything about one payee."""
    if f.case is not None:
        yield _case(f, f.case, moment, terms)
    judged = f.judged
    if judged is not None and judged.lacking:
        state = f"judged, our channel lacks {shown(judged.lacking)} tokens"
        follows, at = "the channel is topped up; else our stake pays", judged.judged_at + terms.grace
        yield Matter(f.relay, True, judged.number, judged.total, state, follows, at), None


def _case(f: PayeeFacts, facts: CaseFacts, moment: Moment, terms: Terms) -> Step:
    case, what = facts.case, f"case of relay {f.relay} about batch {facts.case.batch.number}"
    if not facts.is_open:
        return _stands(f, facts, "it is over: its outcome is being read")
    in_time = moment.now < terms.provable_from(case)
    ends_it = f.voucher.upto_batch == case.batch.number
    if in_time and (ends_it or not facts.admitted) and f.voucher.covers(case):
        answer = Answer(f.relay, case, f.voucher, f"{what}: our voucher")
        follows = "which ends it" if ends_it else "to spare us the costs; then it has to be proven"
        return _stands(f, facts, f"our voucher is shown now, {follows}", None, answer)
    if moment.now >= terms.ends(case) or facts.is_unrecorded(moment.block):
        why = f"{what} was not proven: its bond of {shown(case.bond)} tokens is ours"
        return _stands(f, facts, "it was not proven: its bond is ours", None, Expire(f.relay, case, why))
    if facts.admitted or not in_time or not f.admits:
        return _stands(f, facts, _left_to_it(f, facts, in_time=in_time), terms.ends(case))
    admitting = case.opened_at + terms.answer_window // 2
    if moment.now < admitting:
        return _stands(f, facts, "the link may settle it; else what is claimed is admitted", admitting)
    admission = Admit(f.relay, case, f"{what}: our book owes it")
    return _stands(f, facts, "what is claimed is admitted now", None, admission)


def _left_to_it(f: PayeeFacts, facts: CaseFacts, *, in_time: bool) -> str:
    """What follows where the payee alone can do something."""
    if facts.admitted:
        return "our voucher was shown, up to a later batch: it has to be proven, without costs"
    if in_time:
        return "our book does not owe that, as far as it knows: it has to be proven"
    if f.voucher.covers(facts.case):
        return "too late for us to answer: the payee proves it, or shows our voucher"
    return "too late for us to answer: it has to be proven"


def _stands(
    f: PayeeFacts, facts: CaseFacts, follows: str, at: int | None = None, action: Action | None = None
) -> Step:
    case = facts.case
    return Matter(f.relay, True, case.batch.number, case.claimed, facts.state, follows, at), action
