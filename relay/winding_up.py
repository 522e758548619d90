"""When a relay that serves no more may end: what it still owes and is owed. Pure."""

from __future__ import annotations

from mixpay.mailbox import Mailboxes
from mixpay.passes import EntryPassBook
from mixpay.types import Amount
from relay.books import Books
from relay.state import State
from relay.treasury import Subject, TreasuryReport


def left_to_do(
    state: State,
    books: Books,
    passes: EntryPassBook,
    mailboxes: Mailboxes,
    treasury: TreasuryReport,
    cases: int = 0,
) -> list[str]:
    """Why the relay has to go on, for its operator. Nothing: it serves no more, and all is settled and paid.

    `cases`: how many the court's desk follows. What others owe counts no more once their stakes can have been
    paid out: nothing would come of waiting.
    """
    if not state.is_over:
        return ["it serves"]
    hopeless = _stakes_are_gone(state)
    reasons = [] if hopeless else _unsettled(books)
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


def _unsettled(books: Books) -> list[str]:
    owed = {relay: book.totals(Amount(1)).unsettled for relay, book in books.payees.items()}
    owing = {relay: book.totals(Amount(1)) for relay, book in books.payers.items()}
    return [
        *(f"relay {relay} has not settled {value} hop prices" for relay, value in owed.items() if value),
        *(
            f"{totals.unsettled} hop prices are not settled with relay {relay}"
            for relay, totals in owing.items()
            if totals.unsettled and not totals.refused
        ),
    ]


def _stakes_are_gone(state: State) -> bool:
    end = state.view.ends
    if end is None:
        return False
    return state.chain_time > state.view.schedule.start(end) + state.view.deployment.parameters.unbonding
