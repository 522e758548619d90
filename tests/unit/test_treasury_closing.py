"""A relay that serves no more: what becomes of its channels and its ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.types import Account, Amount, RelayId
from relay.config import TreasuryRules
from relay.treasury import (
    Facts,
    FinishClose,
    Fund,
    Holdings,
    PayeeFacts,
    PayerFacts,
    Plan,
    RequestClose,
    Subject,
    Sweep,
    make_plan,
)

PRICE = Amount(10**12)
RULES = TreasuryRules()
NOW, NOTICE = 1_000_000, 7_200


def payee(relay: int = 1, **values: int) -> PayeeFacts:
    """Values in hop prices."""
    amounts = {name: Amount(value * PRICE) for name, value in values.items() if name != "closes_at"}
    facts = PayeeFacts(RelayId(relay), Account(bytes([relay]) * 20), Amount(0), Amount(0))
    return replace(facts, **amounts, closes_at=values.get("closes_at", 0))


def plan(
    *payees: PayeeFacts,
    ledger: int = 0,
    winding_up: bool = True,
    payers: tuple = (),
    now: int = NOW,
    overdue: bool = False,
) -> Plan:
    holdings = Holdings(Amount(ledger * PRICE), Amount(0), ether=1)
    return make_plan(Facts(PRICE, now, holdings, payees, payers, (), winding_up, overdue), RULES)


def kinds(made: Plan) -> list[type]:
    return [type(action) for action in made.actions]


def test_channel_isClosed_onceAllIsSettled() -> None:
    settled = payee(cumulative=500, deposit=20_000, claimed=100)
    assert kinds(plan(settled)) == [RequestClose]
    assert kinds(plan(settled, winding_up=False)) == [], "who serves needs its channels"
    (waiting,) = plan(replace(settled, unsettled=PRICE)).postponed
    assert waiting.subject is Subject.PAYEE and "closed when all is settled" in waiting.why
    refused = replace(settled, unsettled=PRICE, refused=True)
    assert kinds(plan(refused)) == [RequestClose], "who broke the rules gets no voucher any more"


def test_voucher_isCovered_beforeItsChannelCloses() -> None:
    short = payee(cumulative=30_000, deposit=20_000, claimed=100)
    made = plan(short, ledger=15_000)
    assert kinds(made) == [Fund]
    assert made.actions[0].amount == 10_000 * PRICE
    assert any("closed when all is settled" in waiting.why for waiting in made.postponed)


def test_close_isFinished_whenItsNoticeIsOver() -> None:
    closing = payee(cumulative=500, deposit=20_000, claimed=500, closes_at=NOW + 1)
    (waiting,) = plan(closing).postponed
    assert "closes at" in waiting.why
    assert kinds(plan(closing, now=NOW + 1)) == [FinishClose]


def test_restOfAChannel_thatIsNotWorthATransaction_stays() -> None:
    little = payee(cumulative=500, deposit=500 + RULES.open_at - 1, claimed=500)
    assert plan(little).actions == () and plan(little).postponed == ()
    assert kinds(plan(replace(little, deposit=Amount(little.deposit + PRICE)))) == [RequestClose]


def test_noticeThatIsOver_isFinishedByARelayThatServes_unlessPacketsWait_I4() -> None:
    """Somebody gave notice with the operator's key: what is not claimed comes back to the payer."""
    over = payee(cumulative=500, deposit=90_000, claimed=100, closes_at=NOW)
    assert kinds(plan(over, winding_up=False)) == [FinishClose]
    assert kinds(plan(replace(over, closes_at=NOW + 1), winding_up=False)) == []
    assert kinds(plan(replace(over, unsettled=PRICE), winding_up=False)) == []
    waiting = plan(replace(over, waiting=1), winding_up=False)
    assert kinds(waiting) == [Fund], "which takes the notice back"


def test_payeeThatNeverSettles_keepsNoDepositForEver_I4() -> None:
    """It is dead, or withholds its part so that the money stays where it is."""
    silent = payee(cumulative=500, unsettled=3, deposit=20_000, claimed=100)
    assert kinds(plan(silent)) == []
    assert kinds(plan(silent, overdue=True)) == [RequestClose]
    noticed = replace(silent, closes_at=NOW + 1)
    assert kinds(plan(noticed, overdue=True)) == [], "in its notice it can still claim, and sue"
    assert kinds(plan(noticed, overdue=True, now=NOW + 1)) == [FinishClose]


def test_payeeThatNeverClaims_isNotCoveredAgain_onceOverdue_I4() -> None:
    """Or its channel would be filled and closed in turns, for ever."""
    closed = payee(cumulative=5_000, deposit=100, claimed=100)
    assert kinds(plan(closed, ledger=20_000)) == [Fund]
    made = plan(closed, ledger=20_000, overdue=True)
    assert kinds(made) == [Sweep] and made.actions[0].amount == 20_000 * PRICE


@pytest.mark.parametrize("ledger", [RULES.open_at + 1, RULES.float_])
def test_ledger_isSweptWhole_whenNothingNeedsItAnyMore(ledger: int) -> None:
    done = payee(cumulative=500, deposit=500, claimed=500)
    made = plan(done, ledger=ledger)
    assert kinds(made) == [Sweep] and made.actions[0].amount == ledger * PRICE
    assert kinds(plan(ledger=ledger, winding_up=False)) == []
    open_still = payee(2, cumulative=500, deposit=20_000, claimed=500, closes_at=NOW + 1)
    assert kinds(plan(done, open_still, ledger=ledger)) == []
    owing = payee(2, cumulative=500, deposit=500, claimed=500, unsettled=3)
    assert kinds(plan(done, owing, ledger=ledger)) == []


def test_claims_areMadeAsIfToldTo() -> None:
    payer = PayerFacts(RelayId(5), Account(b"\5" * 20), PRICE, 1, b"\1" * 65, Amount(9 * PRICE))
    assert len(plan(payers=(payer,)).actions) == 1
    assert plan(payers=(payer,), winding_up=False).actions == ()


@given(
    st.lists(
        st.tuples(st.integers(0, 40_000), st.integers(0, 3), st.integers(0, 60_000), st.integers(0, 40_000)),
        max_size=4,
    ),
    st.integers(0, 200_000),
)
def test_windingUp_endsWithEmptyChannelsAndLedger(rows: list[tuple[int, ...]], ledger: int) -> None:
    """Carried out again and again, from anywhere: who can be paid is paid, then all is swept."""
    payees = {
        n: payee(n, cumulative=owed, deposit=deposit, claimed=min(claimed, owed, deposit), closes_at=0)
        for n, (owed, _, deposit, claimed) in enumerate(rows, 1)
    }
    balance, now, swept = ledger * PRICE, NOW, 0
    for _ in range(12):
        made = make_plan(
            Facts(
                PRICE, now, Holdings(Amount(balance), Amount(0), 1), tuple(payees.values()), winding_up=True
            ),
            RULES,
        )
        for action in made.actions:
            match action:
                case Fund():
                    known = payees[action.relay]
                    payees[action.relay] = replace(known, deposit=Amount(known.deposit + action.amount))
                    balance -= action.amount
                case RequestClose():
                    payees[action.relay] = replace(payees[action.relay], closes_at=now + NOTICE)
                case FinishClose():
                    known = payees[action.relay]
                    balance += known.deposit - known.claimed
                    payees[action.relay] = replace(known, deposit=known.claimed, closes_at=0)
                case Sweep():
                    balance, swept = balance - action.amount, swept + action.amount
        # Payees claim within the notice.
        payees = {n: replace(p, claimed=Amount(min(p.cumulative, p.deposit))) for n, p in payees.items()}
        now += NOTICE
    short = any(p.cumulative > p.deposit for p in payees.values())
    least = RULES.open_at * PRICE
    assert balance >= 0
    assert short or balance <= least
    assert all(p.deposit - p.claimed < least for p in payees.values() if p.cumulative <= p.deposit)
