"""`make fuzz`: every target under the coverage-guided fuzzer, and reports/fuzz.json.

    python -m fuzz                            ten million inputs, shared out among all targets
    python -m fuzz --inputs 100000 address    so many, for one target or several
    python -m fuzz --seed 7                   other mutations; what earlier runs found is always taken up
    python -m fuzz --again FILE address       one input, without the fuzzer: a crash with its traceback

Exit status 1 after a crash, a hang, or growth: the page names the file of the input.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from fuzz import campaign
from fuzz.campaign import Result
from fuzz.target import Target
from fuzz.targets import TARGETS

INPUTS = 10_000_000
REPORT = campaign.ROOT / "reports/fuzz.json"


class Options(argparse.Namespace):
    """The command line."""

    targets: list[str]
    inputs: int
    seed: int
    jobs: int
    again: Path | None


def run_all(targets: list[Target], inputs: int, seed: int, jobs: int) -> dict[str, Result]:
    """Every target, several at a time, those with most work first; a line for each as it ends."""
    wanted = campaign.shares(targets, inputs)
    print(f"fuzz: {sum(wanted.values()):,} inputs for {len(targets)} targets, {jobs} at a time, seed {seed}")
    print(
        f"{'':17}{'inputs':>11}{'seconds':>9}{'inputs/s':>10}{'coverage':>10}{'corpus':>8}{'MB':>6}",
        flush=True,
    )

    def one(target: Target) -> Result:
        result = campaign.fuzz(target, wanted[target.name], seed)
        print(line(target.name, result), flush=True)
        return result

    # Slow targets have small shares, so that all take about the same time.
    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(wanted, pool.map(one, targets), strict=True))


def line(name: str, result: Result) -> str:
    """A target's figures, and what was found."""
    figures = f"{result.inputs:11,}{result.seconds:9.0f}{result.speed:10,.0f}{result.coverage:10,}"
    found = [f"  slow: {path}" for path in result.slow] + [f"  CRASH: {path}" for path in result.crashes]
    return "\n".join([f"  {name:15}{figures}{result.corpus:8,}{result.memory_mb:6,}", *found])


def report(results: Mapping[str, Result], seed: int) -> str:
    """reports/fuzz.json."""
    about = {
        "inputs": sum(result.inputs for result in results.values()),
        "seed": seed,
        "targets": {name: asdict(result) for name, result in results.items()},
        "crashes": [path for result in results.values() for path in result.crashes],
    }
    return json.dumps(about, indent=1) + "\n"


def options() -> Options:
    """The command line; ends the program if it makes no sense."""
    parser = argparse.ArgumentParser(description="fuzz what strangers can reach", prog="python -m fuzz")
    parser.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; all, if none")
    parser.add_argument("--inputs", type=int, default=INPUTS, help=f"for all targets together ({INPUTS:,})")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time (all cores)")
    parser.add_argument("--again", type=Path, help="run this input only, and show what it raises")
    given = parser.parse_args(namespace=Options())
    unknown = set(given.targets) - set(TARGETS)
    if unknown or given.inputs < 1 or given.jobs < 1 or (given.again and len(given.targets) != 1):
        parser.error(f"no such target: {', '.join(unknown)}" if unknown else "these numbers make no sense")
    return given


def main() -> int:
    """Exit status: 0 nothing found, 1 something, 2 there is no fuzzer."""
    given = options()
    targets = [TARGETS[name] for name in given.targets or TARGETS]
    if given.again:
        return campaign.reproduce(targets[0], given.again)
    if not campaign.FUZZER.exists():
        print("fuzz: the fuzzer is not installed: `make fuzz` does it", file=sys.stderr)
        return 2
    began = time.monotonic()
    results = run_all(targets, given.inputs, given.seed, given.jobs)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(report(results, given.seed))
    crashes = [path for result in results.values() for path in result.crashes]
    total = sum(result.inputs for result in results.values())
    print(f"fuzz: {total:,} inputs in {time.monotonic() - began:,.0f} s, {len(crashes)} crashes", flush=True)
    for name, result in results.items():
        for path in result.crashes:
            print(f"  python -m fuzz --again {path} {name}")
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
