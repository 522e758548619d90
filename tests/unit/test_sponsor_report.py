"""A campaign's figures: what is left, how long it lasts, who gets it; and what is said about them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign_samples import (
    EPOCH,
    ONE,
    PRICE,
    SCHEDULE,
    SIGNER,
    THREE,
    TICK,
    TWO,
    books,
    chain,
    movement,
    terms,
)
from mixpay.accounts import show_account
from mixpay.parameters import DAY, PRODUCTION, TOKEN
from mixpay.passes import TICKS
from mixpay.sponsor.facts import Books, ChainFacts, PolicyRule
from mixpay.sponsor.keys import Period
from mixpay.sponsor.movements import What
from mixpay.sponsor.report import cover_cost, report
from mixpay.sponsor.report_records import CampaignReport
from mixpay.sponsor.report_text import plain, span, status_text, warnings
from mixpay.sponsor.tallies import Issued, Redeemed
from mixpay.types import Account, Amount


def made(facts: ChainFacts | None = None, known: Books | None = None, **more: object) -> CampaignReport:
    return report(SCHEDULE, facts or chain(), books() if known is None else known, **more)


# ---------------------------------------------------------------------- money


def test_money_isWhatTheChainSays_lessWhatIsPromised() -> None:
    money = made().money
    assert (money.budget, money.funded, money.paid, money.withdrawn) == (
        97 * TOKEN, 100 * TOKEN, 3 * TOKEN, 0,
    )  # fmt: skip
    assert money.owed == 3 * TOKEN, "of the voucher of 5 the pool has paid 2; the other one is paid"
    assert (money.guaranteed, money.left) == (97 * TOKEN, 94 * TOKEN)
    assert money.share == 10 * TOKEN // 4, "the period cap, shared by four"


def test_aWithdrawalUnderNotice_isNoBudgetThatRelaysCountOn() -> None:
    money = made(chain(terms=terms(withdrawal=Amount(95 * TOKEN), withdrawable_at=9))).money
    assert (money.guaranteed, money.share, money.left) == (2 * TOKEN, TOKEN // 2, 0)
    assert (money.withdrawal, money.withdrawable_at) == (95 * TOKEN, 9)


@given(
    budget=st.integers(0, 2**96 - 1),
    withdrawal=st.integers(0, 2**96 - 1),
    owed=st.dictionaries(st.sampled_from([ONE, TWO, THREE]), st.integers(0, 2**96 - 1)),
    caps=st.tuples(st.integers(0, 2**96 - 1), st.integers(0, 2**96 - 1)),
    relays=st.integers(0, 10**4),
)
def test_money_isNeverLessThanNothing_andSharesFitIt(
    budget: int, withdrawal: int, owed: dict[Account, int], caps: tuple[int, int], relays: int
) -> None:
    changed = terms(budget=budget, withdrawal=withdrawal, relay_cap=caps[0], period_cap=caps[1])
    found = made(chain(terms=changed, relays=relays), books(owed=owed)).money
    assert 0 <= found.left <= found.guaranteed <= budget
    assert found.share * max(1, relays) <= min(found.guaranteed, caps[1])
    assert found.share <= caps[0]


# ---------------------------------------------------------------------- periods


def test_periods_tellWhatIsRedeemed_ofThoseThatAreOver() -> None:
    entry38, entry39, entry40, mailbox9 = made().periods
    assert (entry38.issued, entry38.identities, entry38.redeemed, entry38.ticks) == (20, 10, 12, 100_000)
    assert entry38.value == 100_000 * TICK and entry38.over
    assert (entry39.redeemed, entry39.value, entry39.over) == (3, 200_000 * TICK, True)
    assert (entry40.issued, entry40.redeemed, entry40.over) == (5, 0, False)
    assert (mailbox9.kind, mailbox9.period, mailbox9.value, mailbox9.over) == (2, 9, 40_000 * TICK, True)


def test_value_isByTheHopPriceOfThePeriod() -> None:
    prices = {**chain().prices, Period(1, 38): Amount(7 * PRICE)}
    assert made(chain(prices=prices)).periods[0].value == 7 * 100_000 * TICK


def test_periods_areTheNewestOfEachKind() -> None:
    issued = tuple(Issued(1, number, 1, 1) for number in range(20, 41))
    found = made(known=books(issued=issued, credited=()))
    assert [figures.period for figures in found.periods] == list(range(33, 41))


# ---------------------------------------------------------------------- pace


def test_pace_isOfTheLastSevenEpochs() -> None:
    pace = made().pace
    assert pace.epochs == 7
    assert pace.spent == max((100_000 + 200_000) * TICK + 40_000 * TICK * 7 // 4, 3 * TOKEN)
    assert pace.seconds_left == 94 * TOKEN * 7 * DAY // pace.spent
    assert pace.worst_epochs_left == 9
    assert pace.user_epoch == pace.spent // 20, "ten identities in each of two epochs"
    assert pace.pass_ticks == 300_000 // 15
    assert pace.most == TICKS * TICK


def test_pace_ofAYoungCampaign_isOfTheEpochsThatItHas() -> None:
    prices = {Period(1, number): PRICE for number in range(38, 42)}
    pace = made(chain(prices=prices, movements=chain().movements[:1])).pace
    assert pace.epochs == 2
    assert pace.spent == 300_000 * TICK + 40_000 * TICK * 2 // 4
    young = made(chain(prices={Period(1, 41): PRICE}, movements=()), Books()).pace
    assert (young.epochs, young.spent, young.seconds_left, young.user_epoch) == (0, 0, None, None)


def test_pace_countsWhatWasPaid_whenNoDatabaseKnowsOfIt() -> None:
    pace = made(known=Books()).pace
    assert pace.spent == 3 * TOKEN
    assert pace.seconds_left == 97 * TOKEN * 7 * DAY // (3 * TOKEN)
    old = (movement(What.FUNDED, ONE, 100 * TOKEN), movement(What.CLAIMED, ONE, TOKEN, epoch=EPOCH - 8))
    assert made(chain(movements=old), Books()).pace.seconds_left is None


def test_coverCost_isAsThePriceOfADaySays() -> None:
    p = PRODUCTION.hop_price
    assert cover_cost(1_000, p) == TICKS * 5 * p, "more than a pass has is not spent of one"
    assert cover_cost(1_000, p, passes=6) == 86_400 * 5 * p
    assert cover_cost(10_000, p) == 8_640 * 5 * p
    assert made(chain(hop_price=p)).pace.most == cover_cost(1, p)


# ---------------------------------------------------------------------- relays and keys


def test_top_isByWhatPassesBrought_orTheChainPaid() -> None:
    one, two = made().top
    worth_one, worth_two = 2 * TOKEN, TOKEN
    assert (one.relay, one.passes, one.ticks, one.value, one.paid) == (1, 14, 140_000, worth_one, 2 * TOKEN)
    assert (two.relay, two.value, two.paid) == (2, worth_two, TOKEN)
    assert one.share + two.share == 999
    assert one.times == worth_one * 4 * 10 // (worth_one + worth_two)


def test_aRelayWithUsersOfItsOwn_stands_out() -> None:
    credited = [Redeemed(Account(bytes([n]) * 20), 1, 39, 20, 10_000) for n in range(1, 21)]
    even = chain(relays=20, movements=chain().movements[:1])
    assert made(even, books(credited=tuple(credited))).suspects == ()
    credited[4] = replace(credited[4], passes=90, ticks=90 * TICKS)
    (found,) = made(even, books(credited=tuple(credited))).suspects
    assert found.account == credited[4].relay and found.times > 30
    few = replace(credited[4], passes=9)
    assert made(even, books(credited=(*credited[:4], few, *credited[5:]))).suspects == ()


@pytest.mark.parametrize(("keys", "until"), [([41, 42, 43], 43), ([41, 43], 41), ([42], None), ([], None)])
def test_keys_areCountedUpToTheFirstGap(keys: list[int], until: int | None) -> None:
    prices = {Period(1, number): PRICE for number in [38, 39, 40, *keys]}
    assert made(chain(prices=prices)).keys.until_epoch == until
    assert made(chain(prices=prices)).keys.until_term is None


def test_signersEther_isEnoughForSoManyKeys() -> None:
    assert made().keys.registrations == 1_000
    assert made(chain(registration_wei=0)).keys.registrations is None


# ---------------------------------------------------------------------- text


def test_warnings_areNone_whenAllIsWell() -> None:
    assert warnings(made()) == []
    assert "to do" not in status_text(made())


@pytest.mark.parametrize(
    ("facts", "known", "says"),
    [
        (chain(terms=terms(budget=Amount(0))), books(), "no relay can count on a budget"),
        (chain(terms=terms(budget=Amount(3 * TOKEN))), books(), "vouchers promise all that there is"),
        (chain(terms=terms(budget=Amount(4 * TOKEN))), books(), "the budget lasts 2 days at this rate"),
        (chain(prices={}), books(), "no key is registered for epoch 41"),
        (chain(signer_wei=29 * 10**15), books(), "the signer has 0.029 ether, enough for 29 keys"),
        (chain(terms=terms(withdrawal=Amount(1))), books(), "withdraw --cancel"),
        (chain(), books(paused=True), "issuing is paused: `mixpay sponsor resume`"),
        (
            chain(relays=20, ids={ONE: 1}),
            books(credited=(Redeemed(ONE, 1, 39, 30, 30 * TICKS),)),
            "relay 1 got 14.2 times an even share",
        ),
    ],
)
def test_warnings_sayWhatToDo(facts: ChainFacts, known: Books, says: str) -> None:
    found = made(facts, known)
    assert [line for line in warnings(found) if says in line], warnings(found)
    assert f"  {warnings(found)[0]}" in status_text(found).split("to do:\n")[1]
    assert plain(found)["warnings"] == warnings(found)


def test_status_readsWell() -> None:
    rules = [PolicyRule("open", "open", 4, 2), PolicyRule("friends", "invitation", 9, 9)]
    changed = terms(withdrawal=Amount(TOKEN), withdrawable_at=86_400)
    text = status_text(made(chain(terms=changed), policies=rules, refusals={"a": 1, "quota_exceeded": 7}))
    for line in (
        "campaign 3, epoch 40, term 10, 4 relays, block 700\npasses are issued\n",
        "budget 97 tokens: 100 paid in, 3 paid to relays, 0 taken back\n",
        "withdrawal of 1 tokens: it can be paid out from 1970-01-02 00:00:00 UTC on; until then relays claim",
        "owed 3 tokens: in vouchers that relays have not claimed yet\n",
        "left 93 tokens; each relay can count on 2.5 in an epoch\n",
        "lasts 217 days at the rate of 3 tokens in the last 7 epochs\n",
        "an epoch costs 10 tokens at the worst (the period cap): then it lasts 9 days\n",
        "an active user cost 0.15 tokens an epoch; with cover, an entry pass used to its end, 0.08192 at",
        "keys: entry passes, up to epoch 43; mailbox passes, up to term 12\n",
        "signer: 1 ether, enough for 1000 more keys\n",
        "  entry, epoch 39: 25 issued to 10; 3 redeemed, 200000 ticks, 1 tokens\n",
        "  entry, epoch 40: 5 issued to 5; not over yet\n",
        "  mailbox, term 9: 3 issued to 3; 2 redeemed, 40000 ticks, 0.2 tokens\n",
        "  relay 1: 2 tokens (66.6 %, 2.6 times an even share) for 140000 ticks of 14 passes; 2 paid\n",
        "refused since the service started:\n  7 quota_exceeded\n  1 a\n",
        "  open: 4 entry passes, 2 mailbox passes\n",
        "  friends (invitation): 9 entry passes, 9 mailbox passes\n",
    ):
        assert line in text, line
    alone = status_text(made())
    assert "no service of this folder answers" in alone and "refused since" not in alone
    assert "lasts: no payments yet" in status_text(made(chain(movements=()), Books()))
    assert "paused: no passes are issued" in status_text(made(known=books(paused=True)))


def test_json_isExact_forThoseWhoCountInFloats() -> None:
    found = json.loads(json.dumps(plain(made(refusals={"paused": 2}))))
    assert found["money"]["budget"] == str(97 * TOKEN) and found["money"]["withdrawable_at"] == 0
    assert found["pace"]["spent"] == str(3 * TOKEN) and found["pace"]["epochs"] == 7
    assert found["keys"]["signer_wei"] == str(10**18)
    assert found["periods"][0]["value"] == str(100_000 * TICK)
    assert found["top"][0]["account"] == show_account(ONE)
    assert found["refusals"] == {"paused": 2} and found["serving"] is True
    assert plain(made())["refusals"] is None
    assert show_account(SIGNER) not in json.dumps(found)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 minutes"), (7_199, "119 minutes"), (7_200, "2 hours"), (172_800, "2 days"), (10**8, "1157 days")],
)
def test_span(seconds: int, text: str) -> None:
    assert span(seconds) == text
