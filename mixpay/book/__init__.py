"""The channel book of one link: what a payer owes a payee, and how they settle it (docs/design.md §7).

    limits     how far a payee trusts a payer; the labels of all refusals
    events     effects: what a book asks its relay to store, send and do
    rows       what is stored, and its encoding
    payer      rules and transitions of the payer's side        (promises: its unacknowledged tickets,
    payee      rules and transitions of the payee's side         sampling: its check of the receipts)
    payer_settling, payee_settling     what closes a batch: vouchers, and what a court says
    run        one batch in memory                              (common: what both sides keep alike)
    standing   how far a payee is with them, for people

How a relay uses it: every call returns effects; those for the disk of all calls of one turn go into one
transaction; when it is committed, the rest is carried out in order. A book is rebuilt from its rows.
"""

from mixpay.book.limits import Limits
from mixpay.book.payee import PayeeBook
from mixpay.book.payer import PayerBook

__all__ = ["Limits", "PayeeBook", "PayerBook"]
