"""Parts that are programs of their own: artifacts, brownie's tests, gas, some mutants drawn at random."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from scripts.contracts import run_mutants, workshop
from scripts.contracts.part import ROOT, Part, run

SAMPLE = 30
GAS = ROOT / "reports/gas.json"
COUNT = re.compile(r"(\d+) (passed|failed|errors?)\b")


def artifacts_part() -> Part:
    """The shipped artifacts are what the sources give; prints the hash of every creation code."""
    command = [sys.executable, str(ROOT / "scripts/build_artifacts.py")]
    done = run("artifacts", [*command, "--check"])
    hashes = run("hashes", [*command, "--hashes"])
    details = tuple(hashes.output.splitlines()) if done.code == 0 else done.failure()
    ok = done.code == 0 and hashes.code == 0
    return Part(
        "artifacts", ok, f"artifacts: {'as the sources give them' if ok else 'differ'}", details=details
    )


def counts(text: str) -> tuple[int, int]:
    """(passed, failed) of pytest's last line; errors count as failed."""
    lines = [line for line in text.splitlines() if COUNT.search(line) and " in " in line]
    found = {what: int(number) for number, what in COUNT.findall(lines[-1])} if lines else {}
    failed = sum(number for what, number in found.items() if what != "passed")
    return found.get("passed", 0), failed


def brownie_part() -> Part:
    """Brownie's tests on ganache."""
    done = run("brownie", [str(ROOT / "scripts/test_contracts.sh")])
    passed, failed = counts(done.output)
    ok = done.code == 0 and passed > 0 and not failed
    figures = {"tests": passed + failed, "failed": failed}
    details = () if ok else done.failure()
    return Part("brownie", ok, f"{passed + failed} brownie tests, {failed} failed", figures, details)


def gas_part() -> Part:
    """Gas of whole transactions, against the committed snapshot and the goals."""
    done = run("gas", [sys.executable, "-m", "scripts.gas"])
    if not GAS.exists():
        return Part("gas", False, "gas: not measured", details=done.failure())
    figures = json.loads(GAS.read_text())
    line = f"gas: {len(figures)} transactions, {'as in the snapshot' if done.code == 0 else 'see below'}"
    details = () if done.code == 0 else done.failure()
    return Part("gas", done.code == 0, line, {"gas": figures}, details)


def changed_since(report: dict[str, Any], now: dict[str, str]) -> list[str]:
    """Sources that are not as they were when all their mutants were tried."""
    then: dict[str, str] = report["sources"]
    return sorted(path for path in then.keys() | now.keys() if then.get(path) != now.get(path))


def mutants_part() -> Part:
    """The last full run's result with its commit, and fresh mutants drawn at random."""
    if not run_mutants.REPORT.exists():
        return Part("mutants", False, "mutants: never tried in full; `make mutants` does so")
    report = json.loads(run_mutants.REPORT.read_text())
    done = run("mutants", [sys.executable, "-m", "scripts.contracts.run_mutants", "--sample", str(SAMPLE)])
    ok = done.code == 0
    killed, total = report["killed"], report["total"]
    line = f"{killed} of {total} mutants killed ({killed / total:.1%}) at {report['commit'][:12]}"
    if report["share"] < 1:
        line += f", of a share of {report['share']:.0%}"
    details = [f"changed since: {path}" for path in changed_since(report, workshop.source_hashes())]
    if run_mutants.SAMPLE.exists() and done.code in (0, 1):
        fresh = json.loads(run_mutants.SAMPLE.read_text())
        line += f"; fresh, seed {fresh['seed']}: {fresh['killed']} of {fresh['total']} killed"
        line += f", {fresh['explained']} known" if fresh["explained"] else ""
    if not ok:
        details += done.failure()
    return Part("mutants", ok, line, {"mutants": {"killed": killed, "total": total}}, tuple(details))
