"""Why money is not paid yet: always a reason for each amount, and the parts add up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.amounts import moment
from mixpay.book.common import Totals
from mixpay.book.standing import BatchStanding, Stage, Standing
from mixpay.types import Amount, RelayId, Value
from relay.config import CourtRules, Settlement, TreasuryRules
from relay.court.actions import Matter
from relay.operator.dues import (
    CampaignCase,
    Due,
    PassDue,
    PayeeCase,
    PayerCase,
    Rules,
    owed_by_campaign,
    owed_by_payer,
    owed_to_payee,
    total,
)

PRICE, NOW = Amount(10**12), 1_700_000_000
RULES = Rules(PRICE, NOW, Settlement(), TreasuryRules(), CourtRules())
NOTHING = Totals(
    unsigned=0, unsettled=Value(0), opened=Value(0), settled=Value(0), receipts=0, lost=0,
    cumulative=Amount(0), upto_batch=0, deposit=Amount(0), claimed=Amount(0), room=0, refused=None,
)  # fmt: skip
EMPTY = BatchStanding(2, 0, Amount(0), Amount(0), Stage.OPEN)


def batch(tickets: int = 12, proven: int = 12, stage: Stage = Stage.OPEN, number: int = 1) -> BatchStanding:
    return BatchStanding(number, tickets, Amount(tickets * PRICE), Amount(proven * PRICE), stage)


def payer(open_: BatchStanding = EMPTY, cut: BatchStanding | None = None, **changes: object) -> PayerCase:
    standing = Standing(open=open_, cut=cut, cut_in=1_800.0, redeemed_in=10.0)
    case = PayerCase(RelayId(5), standing, NOTHING, 0, None)
    return replace(case, **changes)


def voucher(total_: int, claimed: int = 0, deposit: int = 0, refused: str | None = None) -> Totals:
    return replace(
        NOTHING,
        cumulative=Amount(total_ * PRICE),
        claimed=Amount(claimed * PRICE),
        deposit=Amount(deposit * PRICE),
        refused=refused,
    )


def only(dues: list[Due]) -> Due:
    (due,) = dues
    return due


# ---------------------------------------------------------------------- situations


def test_whatIsBelowTheThreshold_saysWhichAndWhen() -> None:
    due = only(owed_by_payer(payer(batch()), RULES))
    assert due == Due(
        Amount(12 * PRICE), "12 tickets: settled at 1,000", "it is settled then at the latest", NOW + 1_800
    )


def test_whatLacksAcks_isToldApart() -> None:
    waiting, proven = owed_by_payer(payer(batch(proven=8)), RULES)
    assert waiting.amount == 4 * PRICE and "not acknowledged" in waiting.why
    assert proven.amount == 8 * PRICE


def test_whatNeverWasAcknowledged_isNeverPaid() -> None:
    lost, _ = owed_by_payer(payer(cut=batch(proven=8, stage=Stage.SHOWN)), RULES)
    assert lost.follows == "they end with their batch, unpaid"


def test_silentPayer_isNamedWithItsTime() -> None:
    due = only(owed_by_payer(payer(cut=batch(stage=Stage.ASKED), silent_for=3_600.0), RULES))
    assert due.why == f"the payer is silent since {moment(NOW - 3_600)}: there is no link"
    assert "else the court, 6 h after the batch was closed" in due.follows


@pytest.mark.parametrize(
    ("stage", "why"),
    [
        (Stage.UNSIGNED, "has not signed the last"),
        (Stage.RESPONSES, "the last acknowledgements"),
        (Stage.ASKED, "has to choose the samples"),
        (Stage.SHOWN, "has to sign the voucher"),
    ],
)
def test_settlementUnderWay_saysWhoseTurnItIs(stage: Stage, why: str) -> None:
    due = only(owed_by_payer(payer(cut=batch(stage=stage)), RULES))
    assert "batch 1 is being settled" in due.why and why in due.why
    assert (due.at == NOW + 10) is (stage is Stage.RESPONSES)


def test_secondBatch_waitsForTheFirst() -> None:
    dues = owed_by_payer(payer(batch(number=2), batch(stage=Stage.ASKED)), RULES)
    assert dues[1].follows == "it begins when that batch is settled"


def test_caseInCourt_saysItsWindow() -> None:
    matter = Matter(RelayId(5), False, 1, 1, "seed drawn", "the receipts are proven", NOW + 99)
    due = only(owed_by_payer(payer(cut=batch(stage=Stage.COURT), matters=[matter]), RULES))
    assert due == Due(
        Amount(12 * PRICE), "batch 1 is in court: seed drawn", "the receipts are proven", NOW + 99
    )


def test_caseAgainstUs_isNoReasonForWhatWeAreOwed() -> None:
    matter = Matter(RelayId(5), True, 1, 1, "opened", "answered", NOW + 99)
    assert "court" not in only(owed_by_payer(payer(batch(), matters=[matter]), RULES)).why


def test_faultOfThePayer_isNamed() -> None:
    totals = voucher(0, refused="forged_batch")
    due = only(owed_by_payer(payer(batch(), totals=totals), RULES))
    assert "forged_batch" in due.why and "voucher mends that" in due.follows


def test_exposureThatIsUsedUp_isNamed() -> None:
    due = only(owed_by_payer(payer(batch(), limit="credit_exhausted"), RULES))
    assert due.why == (
        "12 tickets: settled at 1,000; its exposure is used up (credit_exhausted), no more is taken of it"
    )
    assert "exposure" not in only(owed_by_payer(payer(batch(), limit="link_refused"), RULES)).why


def test_restoredRelay_blamesNobody() -> None:
    """Its books are an older copy: what they say of a peer may be true of them only."""
    totals = replace(voucher(0, refused="restored"), unsettled=Value(7))
    due = only(owed_by_payer(payer(batch(), totals=totals), RULES))
    assert "older copy" in due.why and "court" in due.follows
    assert "broke" not in only(owed_to_payee(PayeeCase(RelayId(5), totals, 0, None), RULES)).why


def test_voucherBelowTheThreshold_saysHowMuchLacks() -> None:
    due = only(owed_by_payer(payer(totals=voucher(900, 100, 5_000)), RULES))
    assert due.why == "not worth a claim's gas yet: 0.0008 of 0.02 tokens"


def test_voucherWorthAClaim_isClaimed_unlessNothingCanBeSent() -> None:
    case = payer(totals=voucher(30_000, 0, 50_000))
    assert only(owed_by_payer(case, RULES)).follows == "it is claimed by the treasury's next look"
    poor = replace(RULES, hindrance="the operator's account has no ether")
    due = only(owed_by_payer(case, poor))
    assert due.why == "its voucher is worth a claim, but the operator's account has no ether"


def test_closingChannel_isClaimedWhateverItPays() -> None:
    due = only(owed_by_payer(payer(totals=voucher(1, 0, 9), closes_at=NOW + 7), RULES))
    assert (due.why, due.at) == ("the channel is closing", NOW + 7)


def test_channelThatHoldsTooLittle_isToldApart() -> None:
    covered, lacking = owed_by_payer(payer(totals=voucher(900, 100, 400)), RULES)
    assert (covered.amount, lacking.amount) == (300 * PRICE, 500 * PRICE)
    assert lacking.follows == "it is claimed when the payer tops up"
    matter = Matter(
        RelayId(5), False, 1, 1, "judged, its channel lacks 0.0005 tokens", "the stake pays", NOW + 3
    )
    _, lacking = owed_by_payer(payer(totals=voucher(900, 100, 400), matters=[matter]), RULES)
    assert (lacking.follows, lacking.at) == ("the stake pays", NOW + 3)


def test_payee_waitsForLinkVoucherClaimOrDeposit() -> None:
    totals = replace(voucher(900, 100, 400), unsettled=Value(7))
    case = PayeeCase(
        RelayId(5), totals, 0, 60.0, ["its channel lacks 0.0005 tokens, and the ledger is empty"]
    )
    tickets, claimable, uncovered = owed_to_payee(case, RULES)
    assert (tickets.amount, claimable.amount, uncovered.amount) == (7 * PRICE, 300 * PRICE, 500 * PRICE)
    assert tickets.follows == "it is settled when the link is back; we dial"
    assert "the ledger is empty" in uncovered.why
    closing = owed_to_payee(replace(case, closes_at=NOW + 5), RULES)[1]
    assert closing.at == NOW + 5


def test_payeeThatBrokeARule_isPaidInCourtOnly() -> None:
    totals = replace(voucher(0, refused="bad_sample"), unsettled=Value(7))
    due = only(owed_to_payee(PayeeCase(RelayId(5), totals, 0, None), RULES))
    assert "bad_sample" in due.why and "court" in due.follows


def test_passes_waitForTheirPeriod_thenForTheirIssuer() -> None:
    early = PassDue("epoch 4", Amount(5), NOW + 60)
    over = PassDue("epoch 3", Amount(6), NOW - 60)
    silent = PassDue("term 0", Amount(7), NOW - 60, "the issuer does not answer")
    case = CampaignCase(True, [early, over, silent], Amount(8), ["its budget and caps leave nothing"])
    dues = owed_by_campaign(case, RULES)
    assert [due.amount for due in dues] == [5, 6, 7, 8]
    assert dues[0].at == NOW + 60 and "not over" in dues[0].why
    assert dues[1].follows == "they are handed in by the next look"
    assert dues[2].why == "passes of term 0: the issuer does not answer"
    assert dues[3].why == "its budget and caps leave nothing"
    no_issuer = owed_by_campaign(replace(case, has_issuer=False, postponed=()), RULES)
    assert no_issuer[1].follows == "the pool itself is asked in time"
    assert no_issuer[3].follows == "it is claimed by the treasury's next look"
    poor = owed_by_campaign(replace(case, postponed=()), replace(RULES, hindrance="no ether"))
    assert poor[3].why == "its voucher waits: no ether"


# ---------------------------------------------------------------------- always

values = st.integers(0, 10**6)
silence = st.none() | st.floats(0, 1e7)
matter_lists = st.lists(
    st.builds(
        Matter,
        st.just(RelayId(5)), st.booleans(), st.integers(0, 3), st.integers(1, 9),
        st.sampled_from(["opened", "judged, its channel lacks 1 tokens"]), st.just("it goes on"),
        st.none() | st.integers(NOW, NOW + 10**6),
    ),
    max_size=3,
)  # fmt: skip


@st.composite
def batches(draw: st.DrawFn, number: int) -> BatchStanding:
    tickets = draw(st.integers(0, 2_000))
    proven = draw(st.integers(0, tickets))
    stages = [Stage.OPEN, Stage.COURT] if number == 2 else [s for s in Stage if s is not Stage.OPEN]
    stage = draw(st.sampled_from(stages))
    return batch(tickets, 0 if stage is Stage.GIVEN_UP else proven, stage, number)


@st.composite
def totals(draw: st.DrawFn) -> Totals:
    refused = draw(st.none() | st.sampled_from(["forged_batch", "restored", "bad_sample"]))
    return replace(voucher(draw(values), draw(values), draw(values), refused), unsettled=Value(draw(values)))


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    treasury = TreasuryRules(claim_at=draw(values))
    return replace(RULES, treasury=treasury, hindrance=draw(st.none() | st.just("no ether")))


def is_explained(due: Due) -> bool:
    whole = due.amount > 0 and bool(due.why) and bool(due.follows)
    return whole and (due.at is None or due.at >= 0)


@given(batches(2), st.none() | batches(1), totals(), st.integers(0, NOW), silence, matter_lists, rules())
def test_payer_everyUnpaidAmountHasAReason_andTheyAddUp(
    open_: BatchStanding,
    cut: BatchStanding | None,
    known: Totals,
    closes_at: int,
    silent_for: float | None,
    matters: list[Matter],
    with_: Rules,
) -> None:
    """I8 as the operator sees it: no amount that is owed is without a reason, none is told twice."""
    case = payer(open_, cut, totals=known, closes_at=closes_at, silent_for=silent_for, matters=matters)
    dues = owed_by_payer(case, with_)
    in_batches = open_.amount + (cut.amount if cut is not None else 0)
    assert total(dues) == in_batches + max(0, known.cumulative - known.claimed)
    assert all(map(is_explained, dues))


@given(totals(), st.integers(0, NOW), silence, st.lists(st.just("it waits"), max_size=1), rules())
def test_payee_everyUnpaidAmountHasAReason_andTheyAddUp(
    known: Totals, closes_at: int, silent_for: float | None, postponed: list[str], with_: Rules
) -> None:
    case = PayeeCase(RelayId(5), known, closes_at, silent_for, postponed)
    dues = owed_to_payee(case, with_)
    assert total(dues) == known.unsettled * PRICE + max(0, known.cumulative - known.claimed)
    assert all(map(is_explained, dues))


pass_dues = st.builds(
    PassDue,
    st.just("epoch 3"),
    values.map(Amount),
    st.integers(NOW - 9, NOW + 9),
    st.none() | st.just("silent"),
)


@given(st.booleans(), st.lists(pass_dues, max_size=3), values.map(Amount), st.lists(st.just("caps")), rules())
def test_campaign_everyUnpaidAmountHasAReason_andTheyAddUp(
    has_issuer: bool, passes: list[PassDue], unpaid: Amount, postponed: list[str], with_: Rules
) -> None:
    dues = owed_by_campaign(CampaignCase(has_issuer, passes, unpaid, postponed), with_)
    assert total(dues) == sum(due.amount for due in passes) + unpaid
    assert all(map(is_explained, dues))
