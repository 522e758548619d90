"""What follows from the simulation of farms: prices, work, intervals; the program, and the page it writes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from math import comb
from pathlib import Path
from typing import Any

import pytest

from abuse import __main__ as program
from abuse import price, work
from abuse.commons import dollars
from abuse.figures import Scenario, around, at_most
from abuse.findings import claims, row
from abuse.money import NOBODY, Tally
from abuse.onebyone import Check
from abuse.page import lines, render
from mixpay.crypto import work as crypto_work
from mixpay.layers import Role
from mixpay.parameters import PRODUCTION
from mixpay.passes import TICKS
from mixpay.sponsor.policies.work import Settings

# ---------------------------------------------------------------------- prices


def test_row_countsWhatAFarmersRelaysEarnHonestly() -> None:
    """A tenth of the relays carry a tenth; of a hundred fake passes nothing is theirs."""
    tally = Tally()
    tally.add(NOBODY, 100 * TICKS)
    found = row(0.1, Scenario("half is fake", 1, 1), "c", users=100, passes=100, tally=tally)
    assert (found["share"], found["over_stake"]) == (0, 0)
    assert found["income_over_stake"] == pytest.approx(0.5)


def test_breakEven_isQuotaTimesTake_andItsInverseAllowsNoMore() -> None:
    cost = price.break_even(0.25, 4)
    assert cost == pytest.approx(4 * 0.25 * 81_920 * 1e-6)
    assert price.most_passes(cost, 0.25) in (3, 4)
    assert price.most_passes(cost / 5, 0.25) == 0
    assert price.break_even(0.25, 4, PRODUCTION.hop_price * 10) == pytest.approx(10 * cost)


def test_bestVolume_stopsWhereAnAccountBringsLessThanItCosts() -> None:
    takes = {10: 10 * 60_000, 100: 100 * 30_000}
    assert price.best_volume(takes, 0.01)[0] == 100
    assert price.best_volume(takes, 0.05)[0] == 10
    assert price.best_volume(takes, 0.1) == (0, 0.0)


def test_farmingForWork_stopsWhereAPassCostsWhatItBrings() -> None:
    machine = work.Machine("m", hour=3.6, attempts=1_000)
    assert machine.dollars(1_000) == pytest.approx(1e-3)
    assert machine.dollars(machine.stops_at(0.07)) == pytest.approx(0.07)


def test_farmingForWork_asTheDifficultyRises_takesEveryStepThatPays() -> None:
    """A pass brings 1; it costs 0.1, and twice as much after every ten: four steps pay."""
    machine = work.Machine("m", hour=3600.0, attempts=1_000)
    settings = Settings(difficulty=100, raise_after=10)
    passes, kept = work.farmed(settings, machine, 1.0)
    assert passes == 40
    assert kept == pytest.approx(10 * (0.9 + 0.8 + 0.6 + 0.2))
    assert work.doublings(settings, 100) == work.doublings(settings, 1) == 0
    assert work.doublings(settings, 801) == 4


def test_workReport_isOfThePolicysDefaults_andOfTheFarmerThatTakesMost() -> None:
    found = work.report([0.3, 0.8, 0.5], seconds=5e-4)
    core, card = found["machines"]
    assert found["worth"] == pytest.approx(0.8 * 81_920e-6)
    assert core["attempts"] == pytest.approx(2_000)
    assert card["attempts"] * work.MOVED == pytest.approx(work.CARD_BANDWIDTH)
    assert (found["difficulty"], found["raise_after"]) == (4_096, 10_000)
    assert core["core_seconds"] == pytest.approx(core["stops_at"] * 5e-4)
    assert [one["difficulty"] for one in found["steps"]] == [4_096 << n for n in range(len(found["steps"]))]
    last, before = found["steps"][-1], found["steps"][-2]
    assert last["worth_over_cost"][1] <= 1 < before["worth_over_cost"][1]
    assert before["pass"] == pytest.approx([one * 16_384 for one in before["packet"]])


@pytest.mark.parametrize(
    ("amount", "text"),
    [(1.44e-5, "$0.000014"), (0.5, "$0.50"), (1.84, "$1.8"), (34.6, "$35"), (12_345, "$12,345")],
)
def test_dollars_haveTwoDigits_andNoPowers(amount: float, text: str) -> None:
    assert dollars(amount) == text


def test_attempt_isMeasured_ofTheRealFunction(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    attempt = crypto_work.attempt
    monkeypatch.setattr(crypto_work, "attempt", lambda seed, n: asked.append(n) or attempt(seed, n))
    assert work.attempt_seconds(5) > 0
    assert asked == [0, 1, 2, 3, 4]


def test_intervals_areThoseOfTheBooks() -> None:
    assert at_most(0, 1_000) == pytest.approx(2.9957e-3, rel=1e-3)  # the rule of three
    assert at_most(3, 1_000) == pytest.approx(7.7537e-3, rel=1e-3)
    assert around(10, 100) == pytest.approx((0.0552, 0.1744), abs=2e-4)
    assert at_most(100, 1_000) == around(100, 1_000)[1]


# ---------------------------------------------------------------------- the program


@pytest.fixture(scope="module")
def about(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    report: Path = tmp_path_factory.mktemp("abuse") / "deep" / "abuse.json"
    assert program.main(["--short", "--report", str(report)]) == 0
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def test_program_orderOfTheSchemes(about: dict[str, Any]) -> None:
    rows = about["takes"]
    assert len(rows) == 2 * 2 * 4
    for stake in (0.02, 0.2):
        for scenario in {one["scenario"] for one in rows}:
            chosen, drawn, capped, mended = (
                next(
                    one["farmer"]
                    for one in rows
                    if (one["stake"], one["scenario"], one["scheme"]) == (stake, scenario, scheme)
                )
                for scheme in "abcd"
            )
            assert chosen > drawn >= capped >= mended
    assert all(one["pool"] == one["farmer"] + one["others"] for one in rows)


def test_program_honestUsersLoseNothing_andBulkIsOneByOne(about: dict[str, Any]) -> None:
    assert about["honest"]["refused"] == 0
    assert about["honest"]["at_most"] == pytest.approx(3 / about["honest"]["offered"], rel=0.01)
    assert about["checks"]
    assert all(abs(one["bulk"] - one["one_by_one"]) <= 2 * one["hops"] for one in about["checks"])


def test_program_draws_areTheStakes(about: dict[str, Any]) -> None:
    """Sixty real draws, under a key that is new each time: only the all but impossible fails."""
    own = about["draws"]["own"]["0.2"]["own"]
    chance = sum(comb(60, k) * 0.2**k * 0.8 ** (60 - k) for k in range(own, 61))
    assert 1e-9 < chance < 1 - 1e-9


def test_page_saysWhatWasFound(about: dict[str, Any]) -> None:
    page = render(about)
    broken = [one["claim"] for one in about["claims"] if not one["holds"]]
    assert broken
    assert all(f"| {claim} | **does not hold** |" in page for claim in broken)
    capped = [one for one in about["takes"] if one["scheme"] == "c"]
    assert all(f" {100 * one['share']:.1f} " in page for one in capped)


def test_page_beginsWithASummary_andEndsWithTheDetails(about: dict[str, Any]) -> None:
    page = render(about)
    summary = page.split("\n## ")[0].splitlines()[2:]
    assert len(summary) <= 12
    heads = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert heads[-1] == "In detail"
    all_heads = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in all_heads}
    assert set(re.findall(r"\(#([\w-]+)\)", page)) <= anchors


def test_page_takesOfEachFarmerItsBestTraffic(about: dict[str, Any]) -> None:
    (row,) = re.findall(r"^\| \(c\) entry drawn, flow caps \| (.*) \|$", render(about), re.MULTILINE)
    taken = [float(cell) for cell in row.split(" | ")]
    assert taken == [round(100 * part, 1) for part in about["prices"]["shares"].values()]


def test_volumes_areBesideTheMostHonestUsers(about: dict[str, Any]) -> None:
    capped = [one for one in about["takes"] if one["scheme"] == "c"]
    users = max(one["users"] for one in capped)
    sold = [one for one in about["prices"]["volumes"] if one["passes"]]
    assert sold
    for one in sold:
        fits = {"users": users, "passes": one["passes"], "stake": one["stake"]}
        (taken,) = [take["farmer"] for take in capped if fits.items() <= take.items()]
        assert one["tokens"] == price.tokens(taken)
        assert one["profit"] == pytest.approx(one["tokens"] - one["account"] * one["passes"])


def test_pageAndOutput_sayWhatWorkCosts_andWhatTimesGiveAway(about: dict[str, Any]) -> None:
    page, printed = render(about), "\n".join(lines(about))
    attempt = f"{1000 * about['prices']['work']['attempt_seconds']:.2f} ms"
    assert attempt in page and attempt in printed
    assert [one["habit"] for one in about["times"]] == ["in need", "ahead", "at start-up", "spares"]
    for one in about["times"]:
        assert f"| {100 * one['right']:.1f} % |" in page
        assert f"passes {one['habit']}: {100 * one['right']:.2f} %" in printed


def test_whatTheDesignSays_andIsNotSo_failsOnlyWithStrict(
    about: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--short", "--report", str(tmp_path / "abuse.json")]
    monkeypatch.setattr(program.Study, "run", lambda self: about)
    assert program.main([*words, "--strict"]) == 0, "what one would only expect fails nothing"
    assert "DOES NOT HOLD" in capsys.readouterr().out
    for designed in [one for one in about["claims"] if one["designed"]]:
        others = [one for one in about["claims"] if one is not designed]
        wrong = {**about, "claims": [*others, {**designed, "holds": False}]}
        monkeypatch.setattr(program.Study, "run", lambda self, wrong=wrong: wrong)
        assert (program.main(words), program.main([*words, "--strict"])) == (0, 1)


def test_claims_areNotSo_ifHonestPacketsAreRefused_orTheMetersSayOtherwise(about: dict[str, Any]) -> None:
    def broken(lost: dict[str, Any], checks: list[dict[str, Any]]) -> set[str]:
        found = claims(about["takes"], lost, about["draws"], checks)
        return {one["claim"] for one in found if one["designed"] and not one["holds"]}

    lost, checks = about["honest"], about["checks"]
    assert broken(lost, checks) == set()
    assert broken({**lost, "refused": 1}, checks) == {"uniform users never meet a cap"}
    (bulk,) = broken(lost, [*checks, {**checks[0], "holds": False}])
    assert "packet by packet" in bulk
    check = Check(Role.MIX1, packets=100, bulk=50, one_by_one=55, hops=2)
    assert not check.holds and replace(check, one_by_one=54).holds


@pytest.mark.parametrize("words", [["--write", "--short"], ["--seed", "x"]])
def test_options_thatMakeNoSense(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        program.options(words)
