"""docs/operating: its figures are the parameters', its metrics the registry's, its unit systemd's."""

from __future__ import annotations

import configparser
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from mixpay.amounts import shown
from mixpay.parameters import DAY, HOUR, PRODUCTION
from mixpay.types import HOPS
from relay.config import Limits, TreasuryRules
from relay.draining import LONGEST
from relay.metrics import Metrics, Tally
from relay.operator.gauge_table import TABLE, described

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/operating"
INSTALL, METRICS = (FOLDER / "install.md").read_text(), (FOLDER / "metrics.md").read_text()
UNIT = FOLDER / "mixpay-relay.service"
GAS = json.loads((ROOT / "docs/gas-snapshot.json").read_text())
SIDES = re.compile(r"; side: payer( \(it owes us\))? or payee( \(we owe it\))?")


# ---------------------------------------------------------------------- metrics


def registered() -> dict[str, tuple[str, str, str]]:
    """Kind, labels and meaning of every figure that the daemon has, by its name."""
    metrics, found = Metrics(), {}
    own = {c._name: c._labelnames for c in metrics.registry._collector_to_names if hasattr(c, "_labelnames")}
    tallies = [c for c in metrics.registry._collector_to_names if isinstance(c, Tally)]
    own |= {tally._name: [tally._label] if tally._label else [] for tally in tallies}
    for family in (*metrics.registry.collect(), *described()):
        if not family.name.startswith("mixpay_"):
            continue
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = TABLE[name].labels if name in TABLE else own[family.name]
        found[name] = family.type, ", ".join(labels), SIDES.sub("", family.documentation)
    return found


def test_tableOfMetrics_isTheRegistry() -> None:
    rows = re.findall(r"^\| `(mixpay_\w+)` \| (\w+) \|(.*?)\| (.*?) \|$", METRICS, re.MULTILINE)
    documented = {name: (kind, labels.strip(), text) for name, kind, labels, text in rows}
    assert len(rows) == len(documented)
    assert documented == registered()


def alarms() -> list[dict[str, object]]:
    groups = yaml.safe_load((FOLDER / "alarms.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", alarms(), ids=lambda rule: rule["alert"])
def test_alarm_isAboutFiguresThatThereAre(rule: dict) -> None:
    known, expr = registered(), rule["expr"]
    process = {family.name for family in Metrics().registry.collect() if family.name.startswith("process_")}
    names = re.findall(r"\b(?:mixpay|process)_\w+", expr)
    assert names or expr.startswith("up{")
    for name in names:
        assert name in known or name in process, name
    for name, selector in re.findall(r"(mixpay_\w+)\{([^}]*)\}", expr):
        used = set(re.findall(r"(\w+)=~?\"", selector))
        assert used and used <= set(known[name][1].split(", ")), name
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]
    assert expr.count("(") == expr.count(")")
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert all(any(label in known.get(name, ("", "", ""))[1] for name in names) for label in named)


def test_alarmsThatDocumentsName_areThere() -> None:
    said = {name for path in FOLDER.glob("*.md") for name in re.findall(r"`(Mixpay\w+)`", path.read_text())}
    assert said and said <= {rule["alert"] for rule in alarms()}


# ---------------------------------------------------------------------- capital


def cell(begin: str) -> str:
    """The last cell of the row of the table of capital that begins so."""
    (row,) = [line for line in INSTALL.splitlines() if line.startswith(f"| {begin}")]
    return row.strip("|").split("|")[-1].strip()


def test_capital_isComputedFromTheParameters() -> None:
    p, rules = PRODUCTION.hop_price, TreasuryRules()
    assert Limits().max_unsettled == PRODUCTION.max_unsettled  # what an operator has who sets nothing
    hops, users = 16, 100
    channels = hops * rules.fund * p
    advanced = users * PRODUCTION.ticks * (HOPS - 1) * p
    unclaimed = hops * rules.claim_at * p
    bonds = hops // 4 * PRODUCTION.max_unsettled * p // 2
    assert cell("stake") == shown(PRODUCTION.stake)
    assert cell("channels") == shown(channels)
    assert cell("a day of its users") == shown(advanced)
    assert cell("vouchers that are not") == shown(unclaimed)
    assert cell("bonds") == shown(bonds)
    assert cell("**beside the stake") == f"**{shown(channels + advanced + unclaimed + bonds)}**"
    assert f"each {PRODUCTION.ticks:,} packets" in INSTALL
    assert f"back {PRODUCTION.unbonding // DAY} days after leaving" in INSTALL
    assert f"back in {PRODUCTION.hold // HOUR} h" in INSTALL
    assert f"({shown(rules.float_ * p)} token, unless set)" in INSTALL
    assert f"costs of {shown(PRODUCTION.court_cost)} token" in INSTALL
    assert PRODUCTION.answer_window == DAY  # "within a day"


def test_capitalOfTheExample_isNotSweptToTheOwner() -> None:
    (kept,) = re.findall(r"--set treasury\.float=(\w+)", INSTALL)
    (capital,) = re.findall(r"--capital (\d+)", INSTALL)
    assert int(kept) * PRODUCTION.hop_price == int(capital) * 10**18


def test_gas_isThatOfTheSnapshot() -> None:
    begin = GAS["register"] + GAS["deposit"] + 16 * GAS["fund_open"]
    case = sum(GAS[name] for name in ("court_open", "court_record", "court_finish", "claim_judgement"))
    said = " ".join(INSTALL.split())
    assert f"S channels) is {begin:,}: {shown(begin * 20 * 10**9)} ether at 20 gwei" in said
    claim = GAS["claim_next"] + 15 * GAS["claim_many10_each"]
    assert (
        f"costs {GAS['pool_claim']:,} for a campaign's claim and {claim:,} for a claim from S payers" in said
    )
    assert f"({GAS['freeze']:,})" in said
    assert f"A case costs {case:,}," in said


# ---------------------------------------------------------------------- the unit


def unit() -> dict[str, list[str]]:
    """Settings of the service's section; a name may stand there several times."""
    parser = configparser.RawConfigParser(strict=False, dict_type=dict)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    assert set(parser.sections()) == {"Unit", "Service", "Install"}
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^([A-Z]\w+)=(.*)$", UNIT.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def test_unit_runsACommandThatThereIs_inTheFolderOfTheDocument() -> None:
    (command,) = unit()["ExecStart"]
    words = command.split()
    assert words[:2] == ["/usr/local/lib/mixpay/bin/mixpay-relay", "run"]
    (home,) = unit()["Environment"]
    assert home == "MIXPAY_RELAY_HOME=/var/lib/mixpay/relay"
    assert "/var/lib/mixpay/relay" in INSTALL and words[0].rsplit("/", 1)[0] in INSTALL
    from relay.cli.service import run

    options = {option for parameter in run.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_unit_restartsAfterWhatMayPass_only() -> None:
    assert unit()["Restart"] == ["on-failure"]
    assert unit()["RestartPreventExitStatus"] == ["2"]  # `mixpay.cli.common.MISTAKE`


def test_unit_givesTheTimeThatDrainingTakes() -> None:
    (seconds,) = unit()["TimeoutStopSec"]
    assert int(seconds) >= LONGEST + 20.0
    operating = (ROOT / "docs/operating.md").read_text()
    assert f"`TimeoutStopSec={seconds}`" in operating
    assert f"for {math.ceil(LONGEST)} seconds at most" in operating


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_unit_isSystemds_andWellHardened(tmp_path: Path) -> None:
    program, copy = tmp_path / "mixpay-relay", tmp_path / "mixpay-relay.service"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy.write_text(UNIT.read_text().replace("/usr/local/lib/mixpay/bin/mixpay-relay", str(program)))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    security = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(copy)]
    rated = subprocess.run(security, capture_output=True, text=True, check=False, timeout=60)
    assert rated.returncode == 0, rated.stdout[-200:]
