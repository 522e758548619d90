"""Which vouchers are claimed, and which by one transaction: the price of gas decides, for any payers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.types import Account, Amount, Epoch, RelayId
from relay.config import TreasuryRules
from relay.treasury import Claim, ClaimPool, Facts, Fund, Holdings, PayerFacts, Subject, Sweep, make_plan
from relay.treasury.actions import Action, Together
from relay.treasury.claims import _GAS_ALONE, _GAS_FURTHER, _MOST, in_transactions

PRICE = Amount(10**12)
RULES = TreasuryRules()
NOW = 1_000_000
SIGNATURE = b"\1" * 65
SNAPSHOT = Path(__file__).parents[2] / "docs" / "gas-snapshot.json"


def payer(relay: int, payable: int, *, closing: bool = False, judged: bool = False) -> PayerFacts:
    """Who owes so many hop prices, all of them covered."""
    total = Amount(payable * PRICE)
    closes_at = NOW + 60 if closing else 0
    signature = b"" if judged else SIGNATURE
    account = Account(relay.to_bytes(20, "big"))
    return PayerFacts(RelayId(relay), account, total, 1, signature, total, closes_at=closes_at)


def facts(payers: tuple[PayerFacts, ...]) -> Facts:
    return Facts(PRICE, NOW, Holdings(Amount(0), Amount(0), ether=1), payers=payers)


def claimed(*payers: PayerFacts) -> set[int]:
    """The relays from whom a plan claims."""
    actions = make_plan(facts(payers), RULES).actions
    return {action.relay for action in actions if isinstance(action, Claim)}


# ------------------------------------------------------------------ what is worth its gas


def test_small_vouchers_are_claimed_together_once_they_pay_for_it() -> None:
    assert claimed(payer(1, 13_134), payer(2, 13_134)) == set()
    assert claimed(payer(1, 13_135), payer(2, 13_135)) == {1, 2}  # 20,000 and a third of it
    assert claimed(*(payer(n, 8_000) for n in range(1, 8))) == set()
    assert claimed(*(payer(n, 8_000) for n in range(1, 9))) == set(range(1, 9))


def test_small_voucher_is_claimed_along_from_a_third_on() -> None:
    assert claimed(payer(1, 20_000), payer(2, 6_269), payer(3, 6_268)) == {1, 2}
    assert claimed(payer(1, 1, closing=True), payer(2, 6_269), payer(3, 6_268)) == {1, 2}
    assert claimed(payer(1, 0, closing=True), payer(2, 6_269)) == set(), "no transaction to go along with"


def test_judgements_neither_go_along_nor_take_others_along() -> None:
    assert claimed(payer(1, 20_000), payer(2, 19_999, judged=True)) == {1}
    assert claimed(payer(1, 20_000, judged=True), payer(2, 19_999)) == {1}
    assert claimed(payer(1, 1, closing=True, judged=True), payer(2, 19_999)) == {1}
    (waiting,) = make_plan(facts((payer(2, 19_999, judged=True),)), RULES).postponed
    assert waiting.subject is Subject.PAYER
    assert waiting.why.endswith("that is done from 0.02 on")


def test_says_why() -> None:
    made = make_plan(facts((payer(1, 20_000), payer(2, 7_000))), RULES)
    assert [action.why for action in made.actions] == [
        "0.02 tokens from relay 1: worth a transaction",
        "0.007 tokens from relay 2: worth it together with others",
    ]


def test_gas_is_what_was_measured() -> None:
    figures = json.loads(SNAPSHOT.read_text())
    assert pytest.approx(figures["claim_next"], rel=0.01) == _GAS_ALONE
    further = (10 * figures["claim_many10_each"] - figures["claim_next"]) / 9
    assert pytest.approx(further, rel=0.01) == _GAS_FURTHER


@st.composite
def any_payers(draw: st.DrawFn) -> tuple[PayerFacts, ...]:
    worth, flag = st.integers(0, 30_000), st.sampled_from((False, False, False, True))
    count = draw(st.integers(0, 12))
    return tuple(payer(n, draw(worth), closing=draw(flag), judged=draw(flag)) for n in range(1, count + 1))


@given(any_payers())
def test_vouchers_pay_for_their_gas(payers: tuple[PayerFacts, ...]) -> None:
    """And none is left that would have paid for its part."""
    chosen = claimed(*payers)
    vouchers = [p for p in payers if p.signature and p.payable]
    taken = [p for p in vouchers if p.relay in chosen]
    free = [p for p in taken if not p.closes_at]
    gas = len(free) * _GAS_FURTHER + (_GAS_ALONE - _GAS_FURTHER if len(free) == len(taken) else 0)
    assert not free or sum(p.payable for p in free) * _GAS_ALONE >= RULES.claim_at * PRICE * gas
    assert all(p.payable * _GAS_ALONE >= RULES.claim_at * PRICE * _GAS_FURTHER for p in free)
    left = [p.payable for p in vouchers if p.relay not in chosen]
    if taken:
        assert all(payable * _GAS_ALONE < RULES.claim_at * PRICE * _GAS_FURTHER for payable in left)
    else:
        assert all(payable < RULES.claim_at * PRICE for payable in left)


# ------------------------------------------------------------------ what is sent together


def claim(relay: int, signature: bytes = SIGNATURE) -> Claim:
    account = Account(relay.to_bytes(20, "big"))
    return Claim(RelayId(relay), account, Amount(relay), 1, signature, "it is time")


def single(sent: Action | Together) -> tuple[Action, ...]:
    return sent.claims if isinstance(sent, Together) else (sent,)


def test_one_voucher_alone_is_a_plain_claim() -> None:
    judged, sweep = claim(2, b""), Sweep(Amount(1), "enough")
    assert list(in_transactions([judged, claim(1), sweep])) == [claim(1), judged, sweep]
    assert list(in_transactions([])) == []


def test_halves_come_to_the_same() -> None:
    claims = tuple(claim(n) for n in range(1, 4))
    assert Together(claims).halves() == (claims[0], Together(claims[1:]))
    assert Together(claims[:2]).halves() == claims[:2]


any_action = st.one_of(
    st.integers(1, 2**32 - 1).map(claim),
    st.integers(1, 2**32 - 1).map(lambda relay: claim(relay, b"")),
    st.integers(1, 9).map(lambda n: ClaimPool(n, Epoch(1), Amount(n), SIGNATURE, "it is time")),
    st.integers(1, 9).map(lambda n: Fund(RelayId(n), Account(bytes(20)), Amount(n), "needed")),
)


@given(st.lists(any_action, max_size=200))
def test_every_action_is_sent_once_and_in_its_order(actions: list[Action]) -> None:
    sent = list(in_transactions(actions))
    flat = [action for one in sent for action in single(one)]

    def is_voucher(action: Action) -> bool:
        return isinstance(action, Claim) and bool(action.signature)

    vouchers = [action for action in actions if is_voucher(action)]
    assert flat == vouchers + [action for action in actions if not is_voucher(action)]
    together = [one for one in sent if isinstance(one, Together)]
    assert all(1 < len(one.claims) <= _MOST for one in together)
    assert len(sent) == -(-len(vouchers) // _MOST) + len(actions) - len(vouchers)
