"""How peers stand with us, in the operator's words: why no ticket passes, since when, and what ends it. Pure.

A label says what was seen (`mixpay/book/limits.py`); here stands what it means and who can do something.
"""

from __future__ import annotations

from mixpay.amounts import moment
from mixpay.book import PayeeBook, PayerBook
from mixpay.book import limits as labels
from mixpay.types import Amount
from relay.path.books import Side

_RESTORED = "for good: this relay was restored from a backup, and carries no packets any more"
_REMEDIES = {
    Side.PAYER: "until it signs the voucher that is due, or the court has judged it",
    Side.PAYEE: "for good: the court pays what it can prove; its operator can serve with another relay",
}
_PAYERS_LIMITS = {
    labels.UNSIGNED_WINDOW: "until it signs the batch",
    labels.MAX_UNSETTLED: "until it settles what it owes",
    labels.CHANNEL_EXHAUSTED: "until it tops its channel up",
    labels.CREDIT_EXHAUSTED: "until it opens a channel to us",
    labels.CHANNEL_CLOSING: "until it takes the closing of its channel back, by funding it",
    labels.LINK_REFUSED: "until the batch that is in court is judged or settled",
    labels.DRAINING: "until this relay takes packets again: `mixpay-relay drain --resume`",
}
_OUR_LIMITS = {
    labels.UNSIGNED_WINDOW: "until it acknowledges what is under way",
    labels.MAX_UNSETTLED: "until we have settled what we owe",
    labels.CHANNEL_EXHAUSTED: "until our channel to it is topped up",
    labels.CREDIT_EXHAUSTED: "until we open a channel to it",
    labels.CHANNEL_CLOSING: "until the closing of our channel is taken back, as it is when packets wait",
    labels.DRAINING: "until it takes packets again",
    labels.PAYEE_REFUSES: "it has reached a limit of its own: tried again within seconds",
    labels.TOO_MANY_LOST: "until it acknowledges in time: one ticket a minute finds out",
    labels.TOO_MANY_LATE: "until it acknowledges while we still earn by it: one ticket a minute finds out",
}


def remedy(side: Side, reason: str) -> str:
    """What brings a peer back that is cut off for a reason."""
    return _RESTORED if reason == labels.RESTORED else _REMEDIES[side]


def _cut_off(side: Side, reason: str, since: int | None) -> str:
    when = "" if since is None else f", since {moment(since)}"
    return f"{reason}{when}, {remedy(side, reason)}"


def payer_notes(book: PayeeBook, price: Amount, since: int | None) -> list[str]:
    """Why a payer's next ticket would be refused. `price` of a hop."""
    if book.no_tickets is not None:
        return [f"takes no more of its tickets: {_cut_off(Side.PAYER, book.no_tickets, since)}"]
    reason = book.at_limit(price)
    return [] if reason is None else [f"refuses its tickets: {reason}, {_PAYERS_LIMITS[reason]}"]


def payee_notes(book: PayerBook, price: Amount, now: float, since: int | None) -> list[str]:
    """Why a payee would not be given another ticket. `now`: of the books' clock."""
    if book.no_tickets is not None:
        return [f"gets no more tickets: {_cut_off(Side.PAYEE, book.no_tickets, since)}"]
    reason = book.at_limit(price, now)
    return [] if reason is None else [f"waits with its tickets: {reason}, {_OUR_LIMITS[reason]}"]
