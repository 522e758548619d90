"""What a relay does in court now, what waits, until when and why. No I/O, no clock: facts in, a plan out.

`ours.py` has the rules for cases that we bring, `theirs.py` for cases against us. A plan is made anew from
what the chain says each time: whatever was interrupted goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.config import CourtRules
from relay.court.actions import (
    Action,
    Admit,
    Answer,
    Collect,
    Expire,
    Finish,
    Matter,
    Open,
    Record,
    Step,
)
from relay.court.facts import Facts, Moment, Terms
from relay.court.ours import against_payer
from relay.court.theirs import by_payee

_URGENCY = (Record, Finish, Answer, Admit, Expire, Open, Collect)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, the most urgent first, and how everything stands."""

    actions: tuple[Action, ...] = ()
    matters: tuple[Matter, ...] = ()
    hindrance: str | None = None
    """Why nothing at all can be sent now."""


def make_plan(facts: Facts, terms: Terms, rules: CourtRules) -> Plan:
    """Decide."""
    steps: list[Step] = []
    for payer in facts.payers:
        steps += against_payer(payer, facts.moment, terms, rules)
    for payee in facts.payees:
        steps += by_payee(payee, facts.moment, terms)
    actions = [action for _, action in steps if action is not None]
    hindrance = _hindrance(facts.moment) if actions else None
    if hindrance is not None:
        actions = [action for action in actions if isinstance(action, Admit)]
    actions.sort(key=lambda action: _URGENCY.index(type(action)))
    return Plan(tuple(actions), tuple(matter for matter, _ in steps), hindrance)


def _hindrance(moment: Moment) -> str | None:
    if moment.in_flight:
        return "an earlier transaction is in no block yet: waiting for it"
    if moment.ether == 0:
        return "the operator's account has no ether to pay for gas: send it some"
    return None
