"""When a relay that serves no more may end: what it still owes and is owed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mixpay.mailbox import Mailboxes
from mixpay.passes import EntryPassBook
from mixpay.types import Amount
from relay.path.books import Books
from relay.state import State
from relay.store import StoredPoolVoucher
from relay.treasury import Subject, TreasuryReport


def left_to_do(
    state: State,
    books: Books,
    passes: EntryPassBook,
    mailboxes: Mailboxes,
    vouchers: Iterable[StoredPoolVoucher],
    treasury: TreasuryReport,
    cases: int = 0,
    stake_back: int | None = None,
) -> list[str]:
    """Why the relay has to go on, for its operator. Nothing: it serves no more, and all is settled and paid.

    Books are asked too, not the treasury's last report alone: what was settled after it is not in it yet.
    What others owe counts no more once their stakes can have been paid out: nothing would come of waiting.
    What we owe counts no more once ours can: who has not settled or claimed by then is gone itself. Nor does
    what we are owed, if we have left: what was worth a case has been in court by then.
    `vouchers`: the newest of each campaign; `cases`: how many the court's desk follows; `stake_back`: when
    the stake of a relay that has left is free.
    """
    if not state.is_over:
        return ["it serves"]
    waited = stake_back is not None and state.chain_time >= stake_back and not cases
    hopeless = waited or state.stakes_are_gone
    reasons = [] if hopeless else [*_owed_to_us(books), *_unpaid(vouchers, treasury)]
    reasons += [] if state.is_overdue else _owed_by_us(books)
    if cases and not hopeless:
        reasons.append(f"{cases} batches or judgements are a matter of the court")
    if passes.scopes():
        reasons.append("there are passes that are not redeemed yet")
    if mailboxes.counts[1]:
        reasons.append(f"{mailboxes.counts[1]} messages wait in mailboxes for their owners")
    if not treasury.winding_up or treasury.results:
        reasons.append("vouchers and channels are being looked after")
    others = (Subject.PAYER, Subject.CAMPAIGN) if hopeless else ()
    reasons += [postponed.why for postponed in treasury.postponed if postponed.subject not in others]
    return [*reasons, treasury.trouble] if treasury.trouble else reasons


def _owed_to_us(books: Books) -> Iterator[str]:
    for relay, book in books.payees.items():
        totals = book.totals(Amount(1))
        if totals.unsettled:
            yield f"relay {relay} has not settled {totals.unsettled} hop prices"
        elif totals.claimed < totals.cumulative:
            yield f"the voucher of relay {relay} is not claimed in full"


def _owed_by_us(books: Books) -> Iterator[str]:
    for relay, book in books.payers.items():
        totals = book.totals(Amount(1))
        if totals.refused:
            continue
        if totals.unsettled:
            yield f"{totals.unsettled} hop prices are not settled with relay {relay}"
        elif totals.deposit < totals.cumulative:
            yield f"our voucher to relay {relay} is not covered"


def _unpaid(vouchers: Iterable[StoredPoolVoucher], treasury: TreasuryReport) -> Iterator[str]:
    known = {facts.voucher: facts for facts in treasury.pool}
    for voucher in vouchers:
        if voucher not in known or known[voucher].unpaid:
            yield f"the voucher of campaign {voucher.campaign} is not claimed in full"
