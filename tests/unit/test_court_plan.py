"""What a relay does in court, under any facts; and played through against a model of the contract."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from court_facts import (
    BLOCK,
    ME,
    NOW,
    OTHER,
    RELAY,
    RULES,
    SEED,
    TERMS,
    case,
    moment,
    unsettled,
    voucher,
)  # fmt: skip
from mixpay.chain.views import Case
from mixpay.types import Amount
from relay.court.actions import Admit, Answer, Collect, Expire, Finish, Open, Record
from relay.court.facts import CaseFacts, Facts, Judged, Moment, PayeeFacts, PayerFacts, Unsettled, Voucher
from relay.court.ours import MAX_CASES
from relay.court.plan import Plan, make_plan

PAYER = PayerFacts(RELAY, OTHER)
PAYEE = PayeeFacts(RELAY, OTHER)
CASE, AGAINST = case(), case(ME, OTHER)
PROVABLE, ENDS = NOW + 1_000, NOW + 1_500


def plan(facts: PayerFacts | PayeeFacts, at: Moment | None = None) -> Plan:
    at = at or moment()
    if isinstance(facts, PayerFacts):
        return make_plan(Facts(at, payers=(facts,)), TERMS, RULES)
    return make_plan(Facts(at, payees=(facts,)), TERMS, RULES)


def does(facts: PayerFacts | PayeeFacts, at: Moment | None = None) -> object:
    """The one action, or None."""
    actions = plan(facts, at).actions
    assert len(actions) <= 1
    return actions[0] if actions else None


def says(facts: PayerFacts | PayeeFacts, at: Moment | None = None) -> tuple[str, str, int | None]:
    (matter,) = plan(facts, at).matters
    return matter.state, matter.follows, matter.at


# ---------------------------------------------------------------------- before a case


def test_batch_goesToCourt_whenItsTimeIsOver() -> None:
    facts = replace(PAYER, unsettled=unsettled())
    assert plan(facts, moment(NOW + 59)) == Plan()
    assert does(facts, moment(NOW + 599)) is None
    assert says(facts, moment(NOW + 599)) == ("unsettled", "it is brought to court", NOW + 600)
    found = does(facts, moment(NOW + 600))
    assert isinstance(found, Open)
    assert (found.relay, found.number, found.deposit) == (RELAY, 1, 0)


def test_bond_isDepositedAsFarAsTheLedgerLacksIt() -> None:
    facts = replace(PAYER, unsettled=unsettled(401))
    late = NOW + 600
    assert does(facts, moment(late, ledger=150, tokens=51)).deposit == 51
    assert does(facts, moment(late, ledger=150, tokens=50)) is None
    assert "needs a bond" in says(facts, moment(late, ledger=150, tokens=50))[1]


@pytest.mark.parametrize(
    ("batch", "state", "why"),
    [
        (unsettled(99), "unsettled", "from 0.0000000000000001 tokens on"),
        (unsettled(0, 500), "unsettled", "no receipt under the payer's signature"),
        (unsettled(expired=MAX_CASES), "expired", "only a voucher"),
    ],
)
def test_batch_thatIsNotBroughtToCourt_saysWhy(batch: Unsettled, state: str, why: str) -> None:
    facts = replace(PAYER, unsettled=batch)
    assert does(facts, moment(NOW + 10**6)) is None
    found = says(facts, moment(NOW + 10**6))
    assert found[0] == state
    assert why in found[1]


def test_smallBatch_goesToCourt_forTheSakeOfTheNext() -> None:
    assert isinstance(does(replace(PAYER, unsettled=unsettled(1, 100)), moment(NOW + 600)), Open)


def test_closingChannel_isNotWaitedFor() -> None:
    facts = replace(PAYER, unsettled=unsettled(), closes_at=NOW + 1_200)
    assert says(facts, moment(NOW + 199))[2] == NOW + 200
    assert isinstance(does(facts, moment(NOW + 200)), Open)
    assert does(facts, moment(NOW + 59)) is None
    soon = replace(facts, closes_at=NOW + 100)
    assert does(soon, moment(NOW + 59)) is None  # an honest payer settles within a minute
    assert isinstance(does(soon, moment(NOW + 60)), Open)


def test_batchThatIsJudged_isNotBroughtToCourtAgain() -> None:
    facts = replace(PAYER, unsettled=unsettled(), judged=Judged(Amount(500), 1, deposit=Amount(500)))
    assert plan(facts, moment(NOW + 600)).actions == ()
    assert says(facts, moment(NOW + 600))[0] == "judged"


@pytest.mark.parametrize(
    ("held", "brought"),
    [
        (Voucher(Amount(500), 1), True),
        (voucher(499), False),  # the book will be told, and the case builds on it
        (voucher(499, 2), False),  # it is of a later batch, but less
        (voucher(500, 2), True),
        (Voucher(), False),
    ],
)
def test_caseBuildsOnTheJudgementBefore_onceTheBookKnowsIt(held: Voucher, brought: bool) -> None:
    judged = Judged(Amount(500), 1, deposit=Amount(500))
    facts = replace(PAYER, unsettled=replace(unsettled(), number=3), judged=judged, voucher=held)
    assert isinstance(does(facts, moment(NOW + 600)), Open) is brought
    assert brought or says(facts, moment(NOW + 600))[0] == "judged"


# ---------------------------------------------------------------------- our case


def ours(seed: bytes = b"", held: Voucher = Voucher(), evidence: bool = True, **more: object) -> PayerFacts:  # noqa: B008
    facts = replace(PAYER, case=CaseFacts(CASE, seed), voucher=held, evidence=evidence)
    return replace(facts, **more)  # type: ignore[arg-type]


def test_seed_isRecordedWhileItCanBe() -> None:
    assert does(ours(), moment(block=BLOCK + 4)) is None
    for block in (BLOCK + 5, BLOCK + 259):
        assert isinstance(does(ours(), moment(block=block)), Record)
    assert does(ours(), moment(block=BLOCK + 260)) is None
    assert "the bond is the payer's" in says(ours(), moment(block=BLOCK + 260))[1]


def test_case_isProvenWhenThePayersTimeIsOver() -> None:
    assert says(ours(SEED), moment(PROVABLE - 1)) == ("seed drawn", "the receipts are proven", PROVABLE)
    for now in (PROVABLE, ENDS - 1):
        found = does(ours(SEED), moment(now))
        assert isinstance(found, Finish)
        assert (found.case, found.seed) == (CASE, SEED)
    assert does(ours(SEED), moment(ENDS)) is None


def test_case_isNotProvenWithoutItsReceipts() -> None:
    assert does(ours(SEED, evidence=False), moment(PROVABLE)) is None
    assert "we do not hold the receipts" in says(ours(SEED, evidence=False), moment(PROVABLE))[1]


@pytest.mark.parametrize("seed", [b"", SEED])
def test_payerThatHasSigned_isAnsweredFor_notSued(seed: bytes) -> None:
    facts = ours(seed, voucher(400))
    assert does(facts, moment(PROVABLE - 1, BLOCK + 5)) is None
    for now in (PROVABLE, ENDS):
        found = does(facts, moment(now))
        assert isinstance(found, Answer)
        assert found.voucher == voucher(400)


def test_payerThatSignsOnTheLinkOnly_getsNoBond() -> None:
    """Of a case without seed, whose bond anybody can give it from block 261 on."""
    facts = ours(held=voucher(400))
    assert does(facts, moment(block=BLOCK + 127)) is None
    for block in (BLOCK + 128, BLOCK + 260):
        assert isinstance(does(facts, moment(block=block)), Answer)
    assert does(ours(SEED, voucher(400)), moment(block=BLOCK + 500)) is None
    assert isinstance(does(ours(), moment(block=BLOCK + 128)), Record)


def test_admittedCase_goesOn_unlessWeHoldTheVoucher() -> None:
    facts = replace(ours(SEED), case=CaseFacts(CASE, SEED, admitted=True))
    assert says(facts) == ("seed drawn, admitted", "the receipts are proven", PROVABLE)
    assert isinstance(does(facts, moment(PROVABLE)), Finish)
    assert isinstance(does(replace(facts, voucher=voucher(400, 2))), Answer)


@pytest.mark.parametrize("held", [voucher(399), voucher(400, 0), Voucher(Amount(400), 1)])
def test_voucherForLess_isNoAnswer(held: Voucher) -> None:
    assert isinstance(does(ours(SEED, held), moment(PROVABLE)), Finish)


def test_missedCase_isOpenedOnceMore() -> None:
    facts = ours(SEED, unsettled=unsettled())
    assert isinstance(does(facts, moment(ENDS)), Expire)
    assert isinstance(does(ours(unsettled=unsettled()), moment(block=BLOCK + 260)), Expire)
    assert does(ours(SEED, unsettled=unsettled(expired=1)), moment(ENDS)) is None
    assert isinstance(does(replace(PAYER, unsettled=unsettled(expired=1)), moment(ENDS)), Open)


def test_caseThatTheChainHasEnded_isLeftAlone() -> None:
    facts = replace(PAYER, case=CaseFacts(CASE, SEED, is_open=False), evidence=True, voucher=voucher(400))
    assert does(facts, moment(PROVABLE)) is None
    against = replace(PAYEE, case=CaseFacts(AGAINST, is_open=False), voucher=voucher(400), admits=True)
    assert does(against, moment(PROVABLE)) is None


# ---------------------------------------------------------------------- after a judgement


def lacking(stake: int, deposit: int = 300) -> PayerFacts:
    return replace(PAYER, judged=Judged(Amount(500), 1, NOW, Amount(deposit), Amount(stake)))


def test_stakePays_afterTheGrace() -> None:
    state, follows, at = says(lacking(1), moment(NOW + 299))
    assert ("lacks 0.0000000000000002 tokens" in state, follows, at) == (
        True,
        "the payer's stake pays",
        NOW + 300,
    )
    assert does(lacking(1), moment(NOW + 299)) is None
    found = does(lacking(1), moment(NOW + 300))
    assert isinstance(found, Collect)
    assert found.payer == OTHER


def test_stake_isNotTouched_ifNothingIsLeft_orItIsNotWorthAPlace() -> None:
    assert does(lacking(0), moment(NOW + 300)) is None
    assert plan(lacking(1, deposit=401), moment(NOW + 300)) == Plan()


def test_judgementAndNextBatch_goOnBesideEachOther() -> None:
    facts = replace(lacking(1), unsettled=replace(unsettled(), number=2), voucher=Voucher(Amount(500), 1))
    found = plan(facts, moment(NOW + 600)).actions
    assert [type(action) for action in found] == [Open, Collect]


def test_newJudgement_beginsANewGrace() -> None:
    """So the stake is left alone while one is about to be made."""
    facts = replace(lacking(1), case=CaseFacts(case(number=2), SEED), evidence=True)
    assert [type(action) for action in plan(facts, moment(NOW + 400)).actions] == [Collect]
    assert [type(action) for action in plan(facts, moment(PROVABLE)).actions] == [Finish]


# ---------------------------------------------------------------------- against us


def theirs(held: Voucher = Voucher(), admits: bool = True, seed: bytes = b"") -> PayeeFacts:  # noqa: B008
    return replace(PAYEE, case=CaseFacts(AGAINST, seed), voucher=held, admits=admits)


def admitted() -> PayeeFacts:
    """At `PROVABLE`, half of the time to answer is over."""
    return replace(theirs(), case=CaseFacts(replace(AGAINST, opened_at=PROVABLE - TERMS.answer_window // 2)))


def test_caseAgainstUs_isAnsweredAtOnce_withOurVoucher() -> None:
    for now in (NOW, PROVABLE - 1):
        assert isinstance(does(theirs(voucher(400)), moment(now)), Answer)


def test_voucherUpToALaterBatch_isShownOnce() -> None:
    """It ends nothing: the payee may claim in this case what that voucher is for."""
    facts = theirs(voucher(900, 3))
    assert isinstance(does(facts), Answer)
    assert "to spare us the costs" in says(facts)[1]
    shown = replace(facts, case=CaseFacts(AGAINST, admitted=True))
    for now in (NOW, NOW + 500, PROVABLE, ENDS - 1):
        assert does(shown, moment(now)) is None
        state, follows, _ = says(shown, moment(now))
        assert state == "opened, admitted" and follows.endswith("it has to be proven, without costs")
    assert isinstance(does(shown, moment(ENDS)), Expire)
    assert isinstance(does(replace(shown, voucher=voucher(900, 1))), Answer)


@pytest.mark.parametrize(
    ("held", "follows"),
    [(voucher(400), "the payee proves it, or shows our voucher"), (Voucher(), "it has to be proven")],
)
def test_caseAgainstUs_isNeitherAnsweredNorAdmitted_whenOurTimeIsOver(held: Voucher, follows: str) -> None:
    for now in (PROVABLE, ENDS - 1):
        assert does(theirs(held), moment(now)) is None
        assert says(theirs(held), moment(now)) == (
            "opened", f"too late for us to answer: {follows}", ENDS,
        )  # fmt: skip
    assert isinstance(does(theirs(held), moment(ENDS)), Expire)


def test_caseAgainstUs_isAdmitted_whenTheLinkHadItsTime() -> None:
    assert says(theirs(), moment(NOW + 499))[2] == NOW + 500
    assert does(theirs(), moment(NOW + 499)) is None
    for now in (NOW + 500, PROVABLE - 1):
        assert isinstance(does(theirs(), moment(now)), Admit)


def test_caseThatOurBookDoesNotOwe_isLeftToTheSamples_andItsBondIsOurs() -> None:
    for now in (NOW, ENDS - 1):
        assert does(theirs(admits=False), moment(now)) is None
    assert isinstance(does(theirs(admits=False), moment(ENDS)), Expire)
    assert isinstance(does(theirs(admits=False), moment(block=BLOCK + 260)), Expire)
    assert does(theirs(admits=False, seed=SEED), moment(block=BLOCK + 260)) is None


def test_judgementAgainstUs_isSaid_untilTheChannelHasIt() -> None:
    facts = replace(PAYEE, judged=Judged(Amount(500), 1, NOW, Amount(300)))
    assert says(facts)[2] == NOW + 300
    assert plan(replace(facts, judged=Judged(Amount(500), 1, NOW, Amount(500)))) == Plan()


# ---------------------------------------------------------------------- all


def test_mostUrgent_comesFirst() -> None:
    facts = Facts(
        moment(PROVABLE, BLOCK + 6),
        payers=(
            replace(PAYER, unsettled=unsettled()),
            lacking(1),
            ours(),
            ours(SEED),
        ),
        payees=(admitted(),),
    )
    order = [type(action) for action in make_plan(facts, TERMS, RULES).actions]
    assert order == [Record, Finish, Admit, Open, Collect]


@pytest.mark.parametrize(
    ("hindrance", "why"), [({"ether": 0}, "no ether"), ({"in_flight": 1}, "in no block")]
)
def test_withoutMeans_nothingIsSent_butSigned(hindrance: dict[str, int], why: str) -> None:
    facts = Facts(moment(PROVABLE, **hindrance), payers=(ours(SEED),), payees=(admitted(),))
    found = make_plan(facts, TERMS, RULES)
    assert [type(action) for action in found.actions] == [Admit]
    assert found.hindrance is not None and why in found.hindrance
    assert len(found.matters) == 2
    assert make_plan(Facts(moment(**hindrance)), TERMS, RULES) == Plan()


class Court:
    """The contract, as far as one payer, one payee and one batch are concerned: it refuses as that does."""

    def __init__(self, dice: Random, signs_at: int | None) -> None:
        self.dice = dice
        self.now, self.block = NOW, BLOCK
        self.case: Case | None = None
        self.seed = b""
        self.expired = 0
        self.total = 0
        self.signs_at = signs_at
        """When the payer signs its voucher, and the payee gets it."""

    @property
    def voucher(self) -> Voucher:
        return voucher(400) if self.signs_at is not None and self.now >= self.signs_at else Voucher()

    def facts(self) -> PayerFacts:
        settled = self.total or self.voucher.signature
        return PayerFacts(
            RELAY, OTHER, self.voucher,
            None if settled else unsettled(expired=self.expired),
            CaseFacts(self.case, self.seed) if self.case is not None else None, True,
        )  # fmt: skip

    def act(self, action: object) -> None:
        match action:
            case Open():
                assert self.case is None and not self.total
                self.case, self.seed = replace(CASE, opened_at=self.now, open_block=self.block), b""
            case Record():
                assert self.case is not None and not self.seed
                assert self.case.open_block + 4 < self.block + 1 <= self.case.open_block + 260
                self.seed = SEED
            case Finish():
                assert self.case is not None and self.seed
                since = self.now - self.case.opened_at
                assert TERMS.answer_window <= since < TERMS.answer_window + TERMS.finish_window
                self.case, self.total = None, 500
            case Answer():
                assert self.case is not None and action.voucher.covers(self.case)
                self.case, self.total = None, 400
            case Expire():
                assert self.case is not None
                unrecorded = not self.seed and self.block + 1 > self.case.open_block + 260
                assert unrecorded or self.now >= TERMS.ends(self.case)
                self.case, self.expired = None, self.expired + 1

    def look(self) -> None:
        for action in make_plan(Facts(moment(self.now, self.block), (self.facts(),)), TERMS, RULES).actions:
            self.act(action)

    def live(self, longest: int, looks: int) -> None:
        for _ in range(looks):
            seconds = self.dice.randint(1, longest)
            self.now, self.block = self.now + seconds, self.block + max(1, seconds // 12)
            self.look()


@given(st.integers(0, 2**32), st.none() | st.integers(NOW, NOW + 4_000))
@settings(max_examples=200, derandomize=True)
def test_payeeThatLooksOften_isPaid_byJudgementOnlyIfThePayerDoesNotSign(seed: int, at: int | None) -> None:
    court = Court(Random(seed), at)  # noqa: S311 - tests repeat
    court.live(60, 120)
    assert court.expired == 0
    assert court.case is None
    # It opens its case within a minute of its time, and proves it within a minute of the payer's.
    if at is None or at > NOW + 1_720:
        assert court.total == 500
    elif NOW + 660 < at < NOW + 1_600:
        assert court.total == 400
    elif at < NOW + 600:
        assert court.total == 0


@given(st.integers(0, 2**32), st.none() | st.integers(NOW, NOW + 9_000))
@settings(max_examples=200, derandomize=True)
def test_payeeThatLooksRarely_isNeverRefused_andLosesTwoBondsAtMost(seed: int, at: int | None) -> None:
    court = Court(Random(seed), at)  # noqa: S311 - tests repeat
    court.live(1_500, 40)
    assert court.expired <= MAX_CASES
    assert court.case is None or court.expired == MAX_CASES - 1
