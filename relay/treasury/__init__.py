"""The relay's money on the chain: channels it opens and tops up, vouchers it claims, earnings it sweeps.

facts.py   what the planner is told: books, vouchers, balances
actions.py what a plan is made of
plan.py    what is to be done now, what has to wait, and why: pure
claims.py  which vouchers are claimed, and which of them together: pure
closing.py the channels of a relay that serves no more: pure
desk.py    reads the chain, carries the plan out, one transaction at a time
"""

from relay.treasury.actions import Action, Claim, ClaimPool, Deposit, Fund, Postponed, Subject, Sweep
from relay.treasury.closing import FinishClose, RequestClose
from relay.treasury.desk import Result, TreasuryDesk, TreasuryReport
from relay.treasury.facts import Debts, Facts, Holdings, PayeeFacts, PayerFacts, PoolFacts
from relay.treasury.plan import Plan, make_plan

__all__ = [
    "Action",
    "Claim",
    "ClaimPool",
    "Debts",
    "Deposit",
    "Facts",
    "FinishClose",
    "Fund",
    "Holdings",
    "PayeeFacts",
    "PayerFacts",
    "Plan",
    "PoolFacts",
    "Postponed",
    "RequestClose",
    "Result",
    "Subject",
    "Sweep",
    "TreasuryDesk",
    "TreasuryReport",
    "make_plan",
]
