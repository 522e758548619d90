"""docs/sponsors.md: its figures are the program's, its costs the parameters', what it cites is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from mixpay.client.profile import FAST
from mixpay.client.wallet import MOST_FULL, MOST_NEW_PASSES, Wallet
from mixpay.parameters import DAY, PRODUCTION, TOKEN
from mixpay.passes import TICK_VALUE, TICKS
from mixpay.sponsor.metrics import TABLE
from mixpay.sponsor.report import RATE_EPOCHS, cover_cost
from mixpay.sponsor.report_records import FARMED_PASSES, FARMED_TENTHS
from mixpay.types import HOPS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/sponsors.md").read_text()
POOL = (ROOT / "contracts/SubsidyPool.sol").read_text()
POOL_INTERFACE = (ROOT / "contracts/interfaces/ISubsidyPool.sol").read_text()
ISSUES = (ROOT / "docs/audit/known-issues.md").read_text()
GAS = json.loads((ROOT / "docs/gas-snapshot.json").read_text())


def words(text: str) -> str:
    """Without line breaks and quotation marks."""
    return " ".join(text.replace("\n>", "\n").split())


def test_tableOfMetrics_isTheServices() -> None:
    rows = re.findall(r"^\| `(mixpay_\w+)` \| (\w+) \|(.*?)\| (.*?) \|$", TEXT, re.MULTILINE)
    documented = {name: (kind, labels.strip(), text) for name, kind, labels, text in rows}
    assert len(rows) == len(documented)
    assert documented == {
        figure.name: ("counter" if figure.grows else "gauge", ", ".join(figure.labels), figure.text)
        for figure in TABLE.values()
    }


def test_alarms_areAboutFiguresThatThereAre() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    rules = [rule for group in yaml.safe_load(block)["groups"] for rule in group["rules"]]
    assert len(rules) >= 5
    for rule in rules:
        names = re.findall(r"\bmixpay_\w+", rule["expr"])
        assert names and set(names) <= set(TABLE), rule["expr"]
        assert rule["labels"]["severity"] in ("warning", "critical") and rule["annotations"]["summary"]


def test_costs_areComputedFromTheParameters() -> None:
    price = PRODUCTION.hop_price
    rows = re.findall(r"^\| ([\d.]+) s[^|]*\| ([\d,]+) \| ([\d,]+)[^|]*\| ([\d.]+) \|$", TEXT, re.MULTILINE)
    assert len(rows) == 5
    for seconds, packets, ticks, tokens in rows:
        interval = round(float(seconds) * 1_000)
        sent = DAY * 1_000 // interval
        assert int(packets.replace(",", "")) == sent
        assert int(ticks.replace(",", "")) == min(sent, TICKS)
        assert round(float(tokens) * TOKEN) == pytest.approx(cover_cost(interval, price), rel=1e-12)
    assert float(rows[-1][0]) == FAST.interval
    assert round(TICKS * FAST.interval / 60) == 22 and "after 22 minutes" in TEXT
    four = cover_cost(1, price, passes=4)
    assert f"four passes a day are {four / TOKEN:.5f} token at most" in TEXT
    assert f"costs {TICK_VALUE} hop prices" in TEXT and f"a pass has {TICKS:,}" in TEXT
    assert f"one pass ({cover_cost(1, price) / TOKEN:.5f} token)" in TEXT


def test_numbersInTheText_areTheCodes() -> None:
    said = words(TEXT)
    assert RATE_EPOCHS == 7 and "of the last seven epochs" in said
    assert (FARMED_TENTHS, FARMED_PASSES) == (30, 10)
    assert "more than three times that, from ten passes or more" in said
    assert (MOST_FULL, MOST_NEW_PASSES) == (3, 5) and "when three relays say so" in said
    assert PRODUCTION.withdrawal_notice == 7 * DAY and "(7 days in production)" in said
    assert f"{GAS['redeem_pass']:,} a pass instead of {GAS['pool_claim']:,} a claim" in said
    window = PRODUCTION.claim_window // PRODUCTION.epoch_length
    assert window == 3 and "the present one and three before in production" in said
    assert HOPS == TICK_VALUE == 5 and "four fifths" in said


def test_whatTheBudgetsEndSays_isWhatUsersRead() -> None:
    (quoted,) = re.findall(r"^> the sponsor's campaign.*?(?=\n\n)", TEXT, re.MULTILINE | re.DOTALL)
    source = (ROOT / "mixpay/client/wallet.py").read_text()
    assert "BudgetSpent" in source and hasattr(Wallet, "full")
    literal = "".join(re.findall(r'f?"([^"]*)"', source.split("return BudgetSpent(")[1].split(")\n\n")[0]))
    pattern = re.sub(r"\\\{.*?\\\}(\)\)\\\})?", ".+?", re.escape(literal))
    assert re.fullmatch(pattern, words(quoted).removeprefix("> "))


def test_whatTheTableOfTrustCites_isThere() -> None:
    section = TEXT.split("## What a sponsor's signer could do")[1]
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| the s")]
    assert len(rows) == 15
    state = (ROOT / "relay/state.py").read_text()
    for row in rows:
        cited = re.findall(r"`([\w.]+)`", row.strip("|").split("|")[-1])
        assert cited, row
        for name in cited:
            last = name.rsplit(".", 1)[-1]
            assert last in POOL or last in POOL_INTERFACE or f"def {last}(" in state, name
    for number in re.findall(r"\bK\d+\b", section):
        assert f"**{number} " in ISSUES, number
