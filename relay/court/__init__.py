"""The relay in court, on both sides: batches that payers do not settle, cases that payees bring against us.

docket.py    what the court has reported about us: pure
facts.py     what the planner is told: books, cases, judgements, balances
plan.py      what is to be done now, what waits, until when and why: pure (ours.py, theirs.py: the rules)
noticed.py   since when batches wait, on disk
reader.py    what the chain is asked        clerk.py   what is sent
desk.py      looks, tells the books, carries the plan out
"""

from relay.court.clerk import Clerk
from relay.court.desk import CourtDesk, CourtReport
from relay.court.facts import Terms
from relay.court.reader import Reader

__all__ = ["Clerk", "CourtDesk", "CourtReport", "Reader", "Terms"]
