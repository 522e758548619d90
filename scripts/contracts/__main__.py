"""What an auditor runs: `python -m scripts.contracts all`, or one part by its name.

`all` runs every part, two at a time, prints one page and writes reports/contracts.json. `--write` renews
what a part keeps in docs/audit (slither, access, storage). Exit status 1 if anything is not as it must be.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from scripts.contracts import summary
from scripts.contracts.access import access_part
from scripts.contracts.coverage import coverage_part
from scripts.contracts.forge_tests import campaign_part, forge_part
from scripts.contracts.halmos import halmos_part
from scripts.contracts.part import ROOT, Part
from scripts.contracts.programs import artifacts_part, brownie_part, gas_part, mutants_part
from scripts.contracts.slither_check import slither_part
from scripts.contracts.storage import storage_part

REPORT = ROOT / "reports/contracts.json"

PARTS: Mapping[str, Callable[[], Part]] = {
    "artifacts": artifacts_part,
    "forge": forge_part,
    "brownie": brownie_part,
    "coverage": coverage_part,
    "mutants": mutants_part,
    "halmos": halmos_part,
    "slither": slither_part,
    "access": access_part,
    "storage": storage_part,
    "gas": gas_part,
}
WRITTEN: Mapping[str, Callable[[bool], Part]] = {
    "slither": slither_part,
    "access": access_part,
    "storage": storage_part,
}
LANES = (
    ("brownie", "gas", "halmos"),
    ("artifacts", "storage", "forge", "coverage", "slither", "access", "mutants"),
)
"""What runs after one another; the lanes at the same time. The long ones are shared out."""


def guarded(name: str, part: Callable[[], Part]) -> Part:
    """A part that breaks has failed; the others go on."""
    began = time.monotonic()
    try:
        result = part()
    except Exception:
        result = Part(name, False, f"{name}: broken", details=tuple(traceback.format_exc().splitlines()))
    print(f"  {name:10}{time.monotonic() - began:6.0f} s  {'ok' if result.ok else 'FAILED'}", flush=True)
    return result


def run_all() -> int:
    """Every part."""
    began = time.monotonic()
    print("== the contracts: every proof (each part's output goes to build/proof)", flush=True)

    def lane(names: tuple[str, ...]) -> list[Part]:
        return [guarded(name, PARTS[name]) for name in names]

    with ThreadPoolExecutor(len(LANES)) as pool:
        found = {part.name: part for parts in pool.map(lane, LANES) for part in parts}
    parts = summary.ordered(found, PARTS)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(summary.report(parts))
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    print(summary.page(parts, time.monotonic() - began, commit or "no commit"))
    return 0 if all(part.ok for part in parts) else 1


def run_one(name: str, write: bool) -> int:
    """One part, with its details."""
    part = partial(WRITTEN[name], True) if write else {**PARTS, "campaign": campaign_part}[name]
    result = part()
    for detail in result.details:
        print(f"  {detail}")
    print(f"{'ok' if result.ok else 'FAILED'}: {result.line}")
    return 0 if result.ok else 1


def main() -> int:
    """Exit status: 0 or 1."""
    parser = argparse.ArgumentParser(
        description="every proof of the contracts", prog="python -m scripts.contracts"
    )
    parser.add_argument("part", choices=["all", *PARTS, "campaign"])
    parser.add_argument("--write", action="store_true", help="renew docs/audit (slither, access, storage)")
    options = parser.parse_args()
    if options.write and options.part not in WRITTEN:
        parser.error(f"--write is for {', '.join(WRITTEN)}")
    return run_all() if options.part == "all" else run_one(options.part, options.write)


if __name__ == "__main__":
    sys.exit(main())
