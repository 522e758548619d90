"""Mutation testing of the contracts: `make mutants` for all of them, `make mutants N=30` for some drawn at
random.

    python -m scripts.contracts.run_mutants                    all; goes on where an interrupted run ended
    python -m scripts.contracts.run_mutants --sample 30        30 that compile, drawn anew; --seed draws the
    same again python -m scripts.contracts.run_mutants --quick --contract Channels    forge tests only,
    nothing written

A full run writes docs/audit/mutants.json. Exit status 1: too few killed, a survivor without an explanation,
or an explanation without its survivor.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from scripts.contracts import workshop
from scripts.contracts.bench import Bench, prepare
from scripts.contracts.mutants import (
    Bases,
    Mutant,
    Outcome,
    Verdict,
    describe,
    objections,
    read_explanations,
    read_lines,
    report,
    share,
    to_line,
    unexplained,
)
from scripts.contracts.mutators import all_mutants

ROOT = workshop.ROOT
AUDIT = ROOT / "docs/audit"
REPORT = AUDIT / "mutants.json"
EXPLANATIONS = AUDIT / "mutants-survivors.toml"
FOLDER = ROOT / "build/mutants"
STATE = FOLDER / "state.jsonl"
SAMPLE = ROOT / "reports/mutants_sample.json"


class Options(argparse.Namespace):
    """The command line."""

    sample: int | None
    seed: int | None
    quick: bool
    fresh: bool
    brownie: bool
    contract: str | None
    share: float
    workers: int


class Line:
    """Progress, printed: each survivor at once, a line of figures now and then."""

    def __init__(self, total: int, every: float = 30) -> None:
        self._total, self._every = total, every
        self._began = self._said = time.monotonic()
        self.seen: list[Outcome] = []

    def add(self, outcome: Outcome) -> None:
        self.seen.append(outcome)
        mutant = outcome.mutant
        if outcome.verdict is Verdict.SURVIVED:
            print(f"  survived {mutant.path}:{mutant.line} {describe(mutant)}", flush=True)
        now = time.monotonic()
        if now - self._said >= self._every:
            self._said = now
            each = (now - self._began) / len(self.seen)
            killed, total = share(self.seen)
            left = each * (self._total - len(self.seen)) / 60
            print(
                f"  {len(self.seen)} of {self._total}: {killed} of {total} killed, {each:.2f} s each,"
                f" {left:.0f} min left",
                flush=True,
            )


def try_all(
    mutants: Sequence[Mutant],
    benches: Callable[[int], Bench],
    workers: int,
    near: bool,
    done: Callable[[Outcome], bool],
) -> None:
    """Judges the mutants in order, several at a time; stops when `done` says so. Raises what a worker
    raised.
    """
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in mutants:
        waiting.put(mutant)
    lock, stop, broken = threading.Lock(), threading.Event(), list[BaseException]()

    def work(number: int) -> None:
        try:
            with benches(number) as bench:
                while not stop.is_set():
                    outcome = bench.judge(waiting.get_nowait(), near)
                    with lock:
                        if not stop.is_set() and done(outcome):
                            stop.set()
        except queue.Empty:
            pass
        except BaseException as error:
            broken.append(error)
            stop.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]


def head(carried: int, part: float) -> dict[str, object]:
    """What the report says of the run: commit, whether the tree was clean, the share of all mutants, how
    many verdicts of earlier runs still held, hashes of the sources.
    """
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", *workshop.JUDGES], capture_output=True, text=True, check=True
    ).stdout
    return {
        "commit": commit.strip() + (" with changes" if changed.strip() else ""),
        "share": part,
        "seconds": 0,
        "carried": carried,
        "sources": workshop.source_hashes(),
    }


def full(base: Path, mutants: list[Mutant], options: Options) -> int:
    """Every mutant, or a share of them; what an earlier run found and still holds is taken over."""
    mutants = [mutant for mutant in mutants if mutant.within(options.share)]
    bases = Bases(workshop.source_hashes(base), workshop.tests_hash(base), workshop.test_names(base))
    text = STATE.read_text() if STATE.exists() and not options.fresh else ""
    explained = read_explanations(EXPLANATIONS.read_text())
    outcomes = read_lines(text, mutants, bases, explained)
    known = {outcome.mutant.identity for outcome in outcomes}
    pending = [mutant for mutant in mutants if mutant.identity not in known]
    print(f"mutants: {len(mutants)}, of which {len(outcomes)} are done", flush=True)
    about, line, began = head(len(outcomes), options.share), Line(len(pending)), time.monotonic()
    with STATE.open("w" if options.fresh else "a") as file:

        def done(outcome: Outcome) -> bool:
            line.add(outcome)
            outcomes.append(outcome)
            file.write(to_line(outcome, bases) + "\n")
            file.flush()
            return False

        try_all(pending, benches(base, options.brownie), options.workers, True, done)
    about["seconds"] = round(time.monotonic() - began)
    explained = read_explanations(EXPLANATIONS.read_text())  # it may say more by now
    REPORT.write_text(report(outcomes, explained, about))
    return conclude(outcomes, objections(outcomes, explained))


def benches(base: Path, thorough: bool) -> Callable[[int], Bench]:
    """Makes the benches of the workers, by number."""
    seconds = prepare(base)
    return lambda number: Bench(base, seconds, FOLDER / f"w{number}", thorough)


def sample(base: Path, mutants: list[Mutant], wanted: int, seed: int, options: Options) -> int:
    """`wanted` mutants that count, drawn at random."""
    drawn = random.Random(seed).sample(mutants, len(mutants))  # noqa: S311 - repeatable by its seed
    explained = read_explanations(EXPLANATIONS.read_text())
    outcomes: list[Outcome] = []
    line = Line(wanted)

    def done(outcome: Outcome) -> bool:
        line.add(outcome)
        outcomes.append(outcome)
        return share(outcomes)[1] >= wanted

    print(f"mutants: {wanted} of {len(mutants)}, drawn with --seed {seed}", flush=True)
    try_all(drawn, benches(base, options.brownie), options.workers, False, done)
    killed, total = share(outcomes)
    survivors = [o.mutant for o in outcomes if o.verdict is Verdict.SURVIVED]
    unknown = unexplained(survivors, explained)
    SAMPLE.parent.mkdir(exist_ok=True)
    summary = {"killed": killed, "total": total, "seed": seed, "explained": len(survivors) - len(unknown)}
    SAMPLE.write_text(json.dumps(summary, indent=1) + "\n")
    return conclude(outcomes, unknown)


def quick(base: Path, mutants: list[Mutant], options: Options) -> int:
    """For who writes tests."""
    outcomes: list[Outcome] = []
    line = Line(len(mutants))

    def done(outcome: Outcome) -> bool:
        line.add(outcome)
        outcomes.append(outcome)
        return False

    try_all(mutants, benches(base, options.brownie), options.workers, True, done)
    return conclude(outcomes, [])


def conclude(outcomes: Iterable[Outcome], problems: Sequence[str]) -> int:
    """Prints the end of a run; exit status."""
    outcomes = list(outcomes)
    killed, total = share(outcomes)
    none = sum(o.verdict in (Verdict.SAME, Verdict.INVALID) for o in outcomes)
    for problem in problems:
        print(f"  {problem}")
    print(f"mutants: {killed} of {total} killed ({none} more do not compile or change nothing)", flush=True)
    return 1 if problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 as it must be, 1 not, 2 the machinery broke."""
    parser = argparse.ArgumentParser(description="mutation testing of the contracts")
    parser.add_argument("--sample", type=int, help="that many mutants, drawn at random")
    parser.add_argument("--seed", type=int, help="draw as an earlier run did")
    parser.add_argument("--quick", action="store_true", help="write nothing, take nothing over")
    parser.add_argument("--contract", help="only this contract or library; needs --quick")
    parser.add_argument("--fresh", action="store_true", help="take nothing over from earlier runs")
    parser.add_argument("--share", type=float, default=1.0, help="only that share of all mutants (1.0)")
    parser.add_argument(
        "--brownie", action="store_true", help="survivors meet brownie's tests too (minutes each)"
    )
    parser.add_argument("--workers", type=int, default=2, help="as many at a time (2)")
    options = parser.parse_args(arguments, namespace=Options())
    if options.contract and not options.quick:
        parser.error("--contract needs --quick")
    base = FOLDER / "base"
    try:
        with workshop.alone(FOLDER):
            return tried(base, options)
    except workshop.WorkshopError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2


def tried(base: Path, options: Options) -> int:
    """The run that was asked for; exit status."""
    workshop.copy_repository(base)
    mutants = all_mutants(base)
    if options.sample:
        seed = options.seed if options.seed is not None else secrets.randbelow(10**6)
        return sample(base, mutants, options.sample, seed, options)
    if options.quick:
        return quick(base, [m for m in mutants if options.contract in (None, m.contract)], options)
    return full(base, mutants, options)


if __name__ == "__main__":
    sys.exit(main())
