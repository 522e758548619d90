"""The page of `make chaos`: what failed is named, and the exit status follows from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos import report
from chaos.__main__ import KILLS, SHORT, chosen, options, run_scenario
from chaos.judge import Judgement, TrafficFacts
from chaos.kills import Kill, Outcome, shown
from chaos.scenario import NotHeld, Scenario
from chaos.scenarios import SCENARIOS
from mixpay.errors import UserError
from mixpay.types import RelayId


def kill(number: int, under_way: int = 3, settling: int = 1, *, starting: bool = False) -> Kill:
    return Kill(number, RelayId(1 + number % 6), number / 2, starting, under_way, settling)


def outcome(kills: int = 3) -> Outcome:
    traffic = TrafficFacts(sent=9, accepted={RelayId(1): 8}, fetched={RelayId(2): 6}, again=1)
    return Outcome([kill(n + 1) for n in range(kills)], judgement=Judgement(receipts=20), traffic=traffic)


def failures(found: Outcome, wanted: int = 3, **scenarios: str) -> list[str]:
    return list(report.failures(found, wanted, scenarios))


def test_campaignThatFoundNothing_holds() -> None:
    assert failures(outcome(), fault=report.HELD) == []
    assert outcome().holds


def test_pageHasTheFiguresOfTheIssue(tmp_path: Path) -> None:
    found = outcome()
    report.write(tmp_path / "reports", found, report.as_json(found, {"fault": report.HELD}, 7, 12.34))
    page = json.loads((tmp_path / "reports/chaos.json").read_text())
    wanted = {"kills": 3, "kills_in_flight": 3, "receipts": 20, "lost": 0, "double_processed": 0}
    wanted |= {"book_mismatches": 0, "income_error": 0, "scenarios": {"fault": "held"}, "seconds": 12.3}
    assert wanted.items() <= page.items()
    assert (page["packets_delivered"], page["packets_not_delivered"]) == (6, 2)
    log = [json.loads(line) for line in (tmp_path / "reports/chaos-kills.jsonl").read_text().splitlines()]
    assert [line["number"] for line in log] == [1, 2, 3]
    assert log[0]["in_flight"] is True


def test_brokenPromise_isALostReceipt() -> None:
    found = outcome()
    found.broken = ["kill 2: an ack is not on disk"]
    assert found.lost == 1
    assert not found.holds
    assert failures(found) == found.broken


@pytest.mark.parametrize(
    "name", ["lost", "double_processed", "book_mismatches", "income_error", "user_errors"]
)
def test_whateverTheJudgeFound_fails(name: str) -> None:
    found = outcome()
    found.judgement.note(name, -2, "seen")
    assert failures(found) == [f"{name} 2: seen"]
    assert not found.holds


def test_chainThatOwes_fails() -> None:
    found = outcome()
    found.objections, found.unclaimed = ("I1: something",), 5
    assert failures(found) == ["I1: something", "5 token units were earned and not claimed"]
    assert not found.holds


def test_campaignThatEndedEarly_fails() -> None:
    assert failures(outcome(2)) == ["2 kills of 3"]


def test_campaignThatCouldNotGoOn_fails() -> None:
    found = outcome()
    found.trouble = "relay-3 ended by itself"
    assert failures(found) == ["the campaign did not come to its end: relay-3 ended by itself"]
    assert not found.holds


def test_killsThatToreNothing_failTheCampaign() -> None:
    found = outcome()
    found.kills = [kill(1), kill(2, 0, 0), kill(3, 0, 0)]
    assert found.in_flight == 1
    assert failures(found) == ["only 1 of 3 kills tore something"]


@pytest.mark.parametrize(("under_way", "settling", "torn"), [(0, 0, False), (1, 0, True), (0, 1, True)])
def test_killIsInFlight_ifSomethingWasOpen(under_way: int, settling: int, torn: bool) -> None:
    assert kill(1, under_way, settling).in_flight is torn


def test_killIsShown() -> None:
    assert shown(kill(2, starting=True)).startswith("kill   2: relay 3, while it started, 3 tickets")


# ---------------------------------------------------------------------- scenarios


def _not_held(folder: Path) -> None:
    raise NotHeld("more was lost than the limit")


def _broken(folder: Path) -> None:
    raise UserError("no chain")


def test_scenarioThatHeld_andOthers_areNamed(tmp_path: Path) -> None:
    seen: list[Path] = []
    assert run_scenario(Scenario("calm", seen.append)) == report.HELD
    assert not seen[0].exists()
    held = {
        "storm": run_scenario(Scenario("storm", _not_held)),
        "gap": run_scenario(Scenario("gap", _broken)),
    }
    assert list(report.failures(None, 0, held)) == [
        "storm: more was lost than the limit",
        "gap: did not come to its end: no chain",
    ]


def test_scenariosHaveNamesOfTheirOwn() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len({*names, "kills", "scenarios"}) == len(names) + 2


# ---------------------------------------------------------------------- command line


def test_optionsChooseWhatRuns() -> None:
    given = options([])
    assert (given.kills, given.seed, chosen(given)) == (KILLS, 1, (True, SCENARIOS))
    assert (options(["--short"]).kills, chosen(options(["--short"]))) == (SHORT, (True, ()))
    assert options(["--short", "--kills", "4"]).kills == 4
    assert chosen(options(["--only", "kills"])) == (True, ())
    assert chosen(options(["--only", "scenarios"])) == (False, SCENARIOS)


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--kills", "0"]])
def test_optionsThatMakeNoSense_areRefused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(arguments)
    assert "python -m chaos" in capsys.readouterr().err
