"""The relay's money on the chain: channels it opens and tops up, vouchers it claims, earnings it sweeps.

facts.py   what the planner is told: books, vouchers, balances
plan.py    what is to be done now, what has to wait, and why: pure
desk.py    reads the chain, carries the plan out, one transaction at a time
"""

from relay.treasury.desk import Result, TreasuryDesk, TreasuryReport
from relay.treasury.facts import Debts, Facts, Holdings, PayeeFacts, PayerFacts, PoolFacts
from relay.treasury.plan import (
    Action,
    Claim,
    ClaimPool,
    Deposit,
    Fund,
    Plan,
    Postponed,
    Subject,
    Sweep,
    make_plan,
)

__all__ = [
    "Action",
    "Claim",
    "ClaimPool",
    "Debts",
    "Deposit",
    "Facts",
    "Fund",
    "Holdings",
    "PayeeFacts",
    "PayerFacts",
    "Plan",
    "PoolFacts",
    "Postponed",
    "Result",
    "Subject",
    "Sweep",
    "TreasuryDesk",
    "TreasuryReport",
    "make_plan",
]
