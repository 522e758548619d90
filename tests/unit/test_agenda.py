"""What the daemon does next: in order of time, with the condition where there is no time."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mixpay.parameters import TOKEN
from mixpay.types import Amount, Epoch, RelayId
from relay.court.actions import Matter
from relay.operator.agenda import EpochFacts, Item, Prospect, agenda
from relay.operator.dues import CampaignCase, PassDue, PayeeCase
from test_dues import EMPTY, NOW, PRICE, RULES, batch, payer, voucher

QUIET = EpochFacts(Epoch(7), NOW + 3_600, next_fixed=True, next_key=True, member=True)
NOTHING = Prospect(RULES, (), (), (), (), QUIET, None)


def named(items: list[Item], word: str) -> list[Item]:
    return [item for item in items if word in item.what]


def test_quietRelay_waitsForTheNextEpoch() -> None:
    (item,) = agenda(NOTHING)
    assert item == Item(
        "epoch 8 begins: its packet key and its links are used", "fixed, and our key is made", NOW + 3_600
    )


def test_nextSettlement_isTheEarliest() -> None:
    late, soon = payer(batch(30)), payer(batch(12))
    soon = replace(soon, relay=RelayId(3), standing=replace(soon.standing, cut_in=60.0))
    empty, settling = payer(EMPTY), payer(batch(5), batch())
    (item,) = named(agenda(replace(NOTHING, payers=[late, empty, settling, soon])), "settle")
    assert item == Item("settle 12 tickets with relay 3", "or at 1,000 tickets; 2 payers have some", NOW + 60)


def test_nextClaim_saysOnWhatItDepends() -> None:
    small = payer(totals=voucher(900, 0, 5_000))
    (item,) = named(agenda(replace(NOTHING, payers=[small, small])), "claim")
    assert item.what == "claim 0.0018 tokens from 2 payers"
    assert item.when == "when one voucher is worth 0.02 tokens (now 0.0009), sooner several together"
    assert item.at is None


def test_sweep_saysWhatTheLedgerHolds() -> None:
    (item,) = named(agenda(replace(NOTHING, ledger=Amount(TOKEN // 20))), "owner")
    assert "more than 0.2 (now 0.05)" in item.when


def test_passes_areRedeemedAfterTheirPeriod() -> None:
    due = PassDue("epoch 7", Amount(5 * PRICE), NOW + 50)
    over = PassDue("epoch 6", Amount(5 * PRICE), NOW - 50)
    (item,) = named(
        agenda(replace(NOTHING, campaigns=[(2, CampaignCase(True, [due, over], Amount(0)))])), "passes"
    )
    assert (item.what, item.at) == ("redeem passes of campaign 2, epoch 7, 0.000005 tokens so far", NOW + 50)


def test_closingChannels_haveTheirDate() -> None:
    items = agenda(
        replace(
            NOTHING,
            payers=[payer(closes_at=NOW + 9)],
            payees=[PayeeCase(RelayId(4), voucher(0), NOW + 5, None)],
        )
    )
    assert [(i.what, i.at) for i in items[:2]] == [
        ("take back the rest of the channel to relay 4", NOW + 5),
        ("claim all from relay 5", NOW + 9),
    ]


def test_court_hasItsWindow() -> None:
    matter = Matter(RelayId(6), True, 3, 1, "opened", "what is claimed is admitted", NOW + 2)
    item = agenda(replace(NOTHING, matters=[matter]))[0]
    assert item == Item("court: against us, relay 6, batch 3: what is claimed is admitted", "opened", NOW + 2)


def test_epochThatIsNotFixed_hasATurn_andTheKeyComesAfter() -> None:
    facts = replace(QUIET, next_fixed=False, next_key=False, member=False, turn_at=NOW + 6)
    turn, key = agenda(replace(NOTHING, epochs=facts))
    assert turn == Item("fix the relays of epoch 8", "unless another relay is faster", NOW + 6)
    assert key == Item("make and sign the packet key of epoch 8", "when its relays are fixed")


def test_keyThatLacks_isMadeNow_andARelayOutsideWaits() -> None:
    lacks = agenda(replace(NOTHING, epochs=replace(QUIET, next_key=False)))
    assert named(lacks, "packet key of epoch 8")[0].when == "now, unless a note says why not"
    outside = agenda(replace(NOTHING, epochs=replace(QUIET, next_key=False, member=False)))
    assert named(outside, "begin to serve")


def test_relayThatServesNoMore_makesNoKeys() -> None:
    assert agenda(replace(NOTHING, epochs=replace(QUIET, serves=False, next_key=False))) == []


@given(
    st.lists(st.builds(lambda n, s: payer(batch(n), closes_at=s), st.integers(0, 9), st.integers(0, NOW))),
    st.lists(st.builds(Matter, st.just(RelayId(1)), st.booleans(), st.just(1), st.just(1), st.just("s"),
                       st.just("f"), st.none() | st.integers(0, 2 * NOW)), max_size=3),
    st.booleans(), st.booleans(), st.booleans(), st.none() | st.integers(0, 2 * NOW), st.booleans(),
)  # fmt: skip
def test_agenda_isInOrderOfTime_andSaysAlwaysWhen(
    payers: list, matters: list, fixed: bool, key: bool, member: bool, turn: int | None, serves: bool
) -> None:
    epochs = EpochFacts(Epoch(7), NOW, fixed, key, member, turn, serves)
    items = agenda(Prospect(RULES, payers, (), (), matters, epochs, Amount(1)))
    times = [item.at for item in items]
    known = [at for at in times if at is not None]
    assert times[: len(known)] == sorted(known)
    assert all(item.what and item.when for item in items)
