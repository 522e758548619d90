"""What `mixpay-relay income` tells: every movement of a relay's money on a real chain, booked once."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chain_world import World
from court_scene import PRICE, Scene
from earnings_scene import Relay, payer_of
from mixpay.accounts import show_account
from mixpay.cli.common import CHAIN_FAILED, MISTAKE
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Amount
from odd_nodes import Message, narrow, odd
from relay import cli
from relay.operator.earnings import MONEY
from relay.operator.earnings_reader import Earnings
from relay.operator.earnings_text import COLUMNS

TAKEN = Amount(TOKEN // 4)


@pytest.fixture
def relay(world: World, tmp_path: Path) -> Relay:
    return Relay(world, tmp_path / "relay")


def names(earnings: Earnings) -> list[str]:
    return [entry.booking.name for entry in earnings.entries]


def total(earnings: Earnings, field: str) -> int:
    return sum(getattr(entry.booking, field) for entry in earnings.entries)


# ---------------------------------------------------------------------- work


def test_work_isEarned_spent_andMoved(world: World, relay: Relay) -> None:
    relay.equip(TOKEN)
    payer, payee = payer_of(relay, 500), world.user()
    relay.me.send(payer.voucher(relay.me.account, 300))
    relay.me.send(relay.ledger.fund(payee.account, Amount(200)))
    payee.send(relay.me.voucher(payee.account, 150))
    relay.me.send(relay.ledger.request_close(payee.account))
    world.chain.advance_time(DEMO.notice)
    relay.me.send(relay.ledger.finish_close(payee.account))
    relay.me.send(relay.ledger.withdraw(relay.owner.account, TAKEN))
    relay.me.send(relay.ledger.move(payer.account, Amount(7)))

    found = relay.read()
    begin, work = ["staked", "moved_in"], ["claimed", "funded", "paid", "close_requested", "refunded"]
    assert names(found) == [*begin, *work, "withdrawn", "moved_out"]
    assert (total(found, "earned"), total(found, "spent")) == (300, 150)
    assert total(found, "capital") == DEMO.stake + TOKEN - TAKEN - 7
    assert (total(found, "locked"), total(found, "stake")) == (0, DEMO.stake)
    assert total(found, "ledger") == relay.ledger.balance_of(relay.me.account)
    parties = {entry.booking.name: entry.booking.party for entry in found.entries}
    assert parties["claimed"] == show_account(payer.account)
    assert parties["paid"] == show_account(payee.account)
    assert parties["withdrawn"] == show_account(relay.owner.account)


def test_gas_isToldOfTheOperatorsTransactions_onceEach(world: World, relay: Relay) -> None:
    before = world.rpc.balance(relay.me.account)
    relay.equip(TOKEN)
    payers = [payer_of(relay, 100) for _ in range(2)]
    payers[0].send(payers[0].voucher(relay.me.account, 60))  # who pays for the gas is not who is paid
    relay.me.send(relay.ledger.fund_many([(payer.account, Amount(10)) for payer in payers]))
    world.next_epoch()
    relay.me.send(world.contracts.registry.freeze())
    relay.me.transfer_ether(world.user().account, 5)  # leaves no event

    found = relay.read()
    gas = {entry.booking.name: entry.gas for entry in found.entries}
    assert gas["claimed"] is None and gas["frozen"]
    assert [name for name in names(found) if name == "funded"] == ["funded"] * 2
    assert sum(entry.gas is not None for entry in found.entries) == 2
    assert found.transactions == (3, 2)
    told = sum(entry.gas or 0 for entry in found.entries)
    assert 0 < told < before - world.rpc.balance(relay.me.account) - 5


def test_pool_paysByCampaign_andOthersMoneyIsNotOurs(world: World, relay: Relay, tmp_path: Path) -> None:
    other, sponsor = Relay(world, tmp_path / "other"), world.user(tokens=5)
    pool = world.contracts.pool
    sponsor.send(pool.create_campaign(sponsor.account, Amount(TOKEN), Amount(TOKEN)))
    campaign = pool.campaign_count()
    sponsor.send(pool.fund(campaign, Amount(TOKEN)))
    period = world.epoch()
    world.next_epoch()
    for of, amount in ((relay, 700), (other, 900)):
        of.me.send(sponsor.pool_voucher(campaign, of.me.account, period, amount))
    found = relay.read()
    assert names(found) == ["staked", "pool_claimed"]
    assert found.entries[-1].booking.party == f"campaign {campaign}"
    assert total(found, "earned") == total(found, "ledger") == 700
    assert found.entries[-1].epoch == period + 1


# ---------------------------------------------------------------------- court


def scene_of(world: World, *, payer: Relay | None = None, payee: Relay | None = None) -> Scene:
    scene = Scene(world, payer=None if payer is None else payer.me)
    if payee is not None:
        payee.equip(TOKEN)
        scene.payee = payee.me
    return scene


def test_bond_isReturned_toWhoIsAnswered(world: World, relay: Relay) -> None:
    scene = scene_of(world, payee=relay)
    case = scene.open(scene.suit(10))
    assert total(relay.read(), "locked") == case.bond
    scene.payer.send(scene.court.answer(case, *scene.voucher(case.total, 1)))
    found = relay.read()
    assert names(found)[2:] == ["bond_given", "bond_returned"]
    assert (total(found, "locked"), total(found, "spent"), total(found, "earned")) == (0, 0, 0)


def test_bond_isLost_andWon_whenACaseExpires(world: World, relay: Relay, tmp_path: Path) -> None:
    other = Relay(world, tmp_path / "other")
    scene = scene_of(world, payer=other, payee=relay)
    case = scene.open(scene.suit(10))
    world.chain.advance_time(DEMO.answer_window + DEMO.finish_window)
    scene.payer.send(scene.court.expire(case))
    lost, won = relay.read(), other.read()
    assert names(lost)[2:] == ["bond_given", "bond_lost"]
    assert (total(lost, "spent"), total(lost, "locked")) == (case.bond, 0)
    assert names(won) == ["staked", "bond_won"]
    assert total(won, "earned") == total(won, "ledger") == case.bond


def test_stake_paysADebt_throughTheChannel(world: World, relay: Relay, tmp_path: Path) -> None:
    payee = Relay(world, tmp_path / "payee")
    scene = scene_of(world, payer=relay, payee=payee)
    case = scene.open(scene.suit(10))
    scene.payer.send(scene.court.answer(case, *scene.voucher(case.total, 1)))
    world.chain.advance_time(DEMO.grace)
    scene.payee.send(scene.court.collect_stake(relay.me.account, payee.me.account))
    paid, got = relay.read(), payee.read()
    assert names(paid) == ["staked", "case_answered", "stake_collected", "paid"]
    assert (total(paid, "spent"), total(paid, "stake")) == (case.total, DEMO.stake - case.total)
    assert total(paid, "locked") == total(paid, "ledger") == 0
    assert total(got, "earned") == case.total == 40 * PRICE


def test_penalty_isOnesLoss_andAnothersBounty(world: World, relay: Relay, tmp_path: Path) -> None:
    reporter = Relay(world, tmp_path / "reporter")
    world.court_says("condemn", relay.id, reporter.me.account)
    reporter.me.send(world.contracts.registry.settle_penalty(relay.id))
    world.chain.advance_time(DEMO.unbonding)
    relay.owner.send(world.contracts.registry.withdraw_stake(relay.id, relay.owner.account))
    loser, winner = relay.read(), reporter.read()
    assert names(loser) == ["staked", "penalty", "stake_withdrawn"]
    assert (total(loser, "spent"), total(loser, "stake")) == (DEMO.penalty, 0)
    assert names(winner) == ["staked", "bounty"]
    assert 0 < total(winner, "earned") == total(winner, "ledger") < DEMO.penalty


# ---------------------------------------------------------------------- nodes


def test_earnings_areTheSame_fromANodeThatGivesLittleAtOnce(relay: Relay) -> None:
    relay.equip(TOKEN)
    whole = relay.read()
    with odd(relay.world.chain.url, narrow(3)) as url:
        relay.at(url)
        assert relay.read().entries == whole.entries


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Types a command: exit status, stdout, stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main(["income", *map(str, words)])
        return status, *capsys.readouterr()

    return run


Typed = Callable[..., tuple[int, str, str]]


def forgetful(request: Message, answer: Message) -> Message:
    """It has no events."""
    return {**answer, "result": []} if request["method"] == "eth_getLogs" else answer


def test_nodeThatLostEvents_isFoundOut(relay: Relay, typed: Typed) -> None:
    with odd(relay.world.chain.url, forgetful) as url:
        relay.at(url)
        status, out, err = typed("--home", relay.folder, "--csv")
    assert (status, out) == (CHAIN_FAILED, "")
    assert "has not kept all of them; use an endpoint that has" in err


def test_noChain_isAnError(relay: Relay, typed: Typed) -> None:
    relay.at("http://127.0.0.1:9")
    status, out, err = typed("--home", relay.folder)
    assert (status, out) == (CHAIN_FAILED, "")
    assert "is the node running" in err


# ---------------------------------------------------------------------- the command


def rows(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_hasEveryBooking_inSmallestUnits(relay: Relay, typed: Typed) -> None:
    relay.equip(TOKEN)
    relay.me.send(payer_of(relay, 10).voucher(relay.me.account, 10))
    status, out, _ = typed("--home", relay.folder, "--csv")
    assert status == 0
    assert out.splitlines()[0] == ",".join(COLUMNS)
    found = rows(out)
    assert [row["event"] for row in found] == ["staked", "moved_in", "claimed"]
    assert found[1]["ledger_smallest_unit"] == str(TOKEN)
    claimed = found[2]
    assert (claimed["earned_smallest_unit"], claimed["spent_smallest_unit"]) == ("10", "0")
    assert int(claimed["gas_wei"]) > 0 and found[0]["gas_wei"] == ""
    assert claimed["time_utc"].endswith("Z") and len(claimed["transaction"]) == 66


def test_csv_goesIntoAFile_andReplacesIt(relay: Relay, typed: Typed, tmp_path: Path) -> None:
    path = tmp_path / "income.csv"
    path.write_text("old")
    status, out, err = typed("--csv", path, "--home", relay.folder)
    assert (status, out) == (0, "")
    assert f"1 events in {path}" in err
    assert [row["event"] for row in rows(path.read_text())] == ["staked"]


def test_text_hasTheSums(relay: Relay, typed: Typed) -> None:
    relay.me.send(payer_of(relay, TOKEN).voucher(relay.me.account, TOKEN))
    relay.me.transfer_ether(relay.owner.account, 5)
    status, out, err = typed("--home", relay.folder)
    assert status == 0
    assert "earned 1 tokens, spent 0, and 0.0" in out
    assert "now there: ledger 1, locked 0, stake 100" in out
    assert "1 claimed: earned 1, ledger 1" in out
    assert "gas is told of 1 of the operator's 2 transactions" in err


def test_mistakes_areNamed(relay: Relay, typed: Typed, tmp_path: Path) -> None:
    for words, complaint in (
        (("--home", tmp_path / "nowhere"), "run `mixpay-relay init` first"),
        (("--home", relay.folder, "--release", 7), "release 7"),
        (("--home", relay.folder, "--csv", tmp_path / "no" / "folder.csv"), "cannot write"),
    ):
        status, out, err = typed(*words)
        assert (status, out) == (MISTAKE, ""), err
        assert complaint in err


def test_everyAmount_isAColumn() -> None:
    assert [column.removesuffix("_smallest_unit") for column in COLUMNS[7:-1]] == list(MONEY)
    assert not [name for name, times in Counter(COLUMNS).items() if times > 1]
