"""One worker's bench: its copies of the repository, its warm compiler, and the way of a mutant through the
tests.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from scripts.contracts import bytecode
from scripts.contracts.mutants import Mutant, Outcome, Verdict
from scripts.contracts.workshop import (
    LONGEST_BROWNIE,
    ROOT,
    Compiler,
    Fate,
    Run,
    WorkshopError,
    imports,
    keep_tests,
    near_tests,
    run_forge,
    run_limited,
)

PREPARING = 900
"""Seconds in which a fresh copy must compile and pass."""
PATIENCE = 5
"""As many times longer than without a mutant, and a minute, a run may take; then the mutant is killed."""
MANY = 256
"""Inputs of a fuzz test for what survived a few: as many as `make test` tries."""
BROWNIE = Path("tests/contracts")


def must_pass(project: Path, environment: dict[str, str]) -> float:
    """Seconds that compiling and testing takes without a mutant. Raises WorkshopError if the tests fail."""
    began = time.monotonic()
    run = run_forge(project, environment, PREPARING)
    if run.fate is not Fate.PASSED:
        raise WorkshopError(f"without any mutant, the tests do not pass: {run.fate.value}, {run.by}")
    return time.monotonic() - began


def prepare(base: Path) -> float:
    """Compiles and tests the copy from which all others are made, once; seconds that takes."""
    with Compiler() as compiler:
        return must_pass(base, compiler.environment)


def patience(seconds: float) -> float:
    """How long a mutant may take where the original took so long."""
    return 60 + PATIENCE * seconds


class Bench:
    """Judges one mutant after the other. A context manager; not for two threads at a time.

    `base` is an untouched copy of the repository, compiled and tested in `seconds`, `folder` where this
    worker may write, `thorough` whether brownie's tests judge what all forge tests let live.
    """

    def __init__(self, base: Path, seconds: float, folder: Path, thorough: bool) -> None:
        self._base = base
        self._seconds = seconds
        self._folder = folder
        self._thorough = thorough
        folder.mkdir(parents=True, exist_ok=True)
        self._compiler = Compiler()
        self._near_of: frozenset[str] = frozenset()
        self._longest: dict[Path, float] = {}
        self._originals: dict[str, dict[str, str] | None] = {}

    def __enter__(self) -> Bench:
        self._compiler.__enter__()
        self._fresh(self._far)
        self._longest[self._far] = patience(self._seconds)
        return self

    def __exit__(self, *_: object) -> None:
        self._compiler.__exit__()

    @property
    def _far(self) -> Path:
        return self._folder / "far"

    @property
    def _near(self) -> Path:
        return self._folder / "near"

    def judge(self, mutant: Mutant, near: bool) -> Outcome:
        """The verdict; `near` tries the tests of the mutant's contract alone first, worth it when more of
        the same come.
        """
        rest: tuple[str, ...] = ()
        if near and self._prepare_near(mutant.path):
            run = self._forge(self._near, mutant)
            if run.fate is not Fate.PASSED:
                return _outcome(mutant, run)
            rest = ("--no-match-path", f"tests/forge/{{{','.join(sorted(self._near_of))}}}")
            if self._same(mutant):
                return Outcome(mutant, Verdict.SAME)
        run = self._forge(self._far, mutant, rest)
        if run.fate is not Fate.PASSED:
            return _outcome(mutant, run)
        if not rest and self._same(mutant):
            return Outcome(mutant, Verdict.SAME)
        run = self._forge(self._near if rest else self._far, mutant, ("--fuzz-runs", str(MANY)))
        if run.fate is Fate.PASSED and self._thorough:
            run = self._brownie(mutant)
        return _outcome(mutant, run)

    def _forge(self, project: Path, mutant: Mutant, arguments: tuple[str, ...] = ()) -> Run:
        with _Mutated(project, self._base, mutant):
            return run_forge(project, self._environment, self._patience(project, arguments), arguments)

    def _patience(self, project: Path, arguments: tuple[str, ...]) -> float:
        return PREPARING if "--fuzz-runs" in arguments else self._longest[project]

    @property
    def _environment(self) -> dict[str, str]:
        return self._compiler.environment

    def _prepare_near(self, path: str) -> bool:
        """Whether there are tests near that source; they stand ready then."""
        names = near_tests(path, self._base)
        if names and names != self._near_of:
            self._near_of = names
            self._fresh(self._near)
            keep_tests(self._near, names)
            self._longest[self._near] = patience(must_pass(self._near, self._environment))
        return bool(names)

    def _fresh(self, project: Path) -> None:
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(self._base, project, symlinks=True)

    def _same(self, mutant: Mutant) -> bool:
        concerned = {mutant.path} | imports(self._base)[mutant.path]
        if mutant.path not in self._originals:
            self._originals[mutant.path] = bytecode.compiled(self._far, concerned, self._environment)
        with _Mutated(self._far, self._base, mutant):
            found = bytecode.compiled(self._far, concerned, self._environment)
        return bool(found) and found == self._originals[mutant.path]

    def _brownie(self, mutant: Mutant) -> Run:
        """Brownie's tests, those of the mutant's contract first."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FOUNDRY")}
        command = [str(self._far / "scripts/test_contracts.sh"), *self._ordered(mutant), "-x", "-q"]
        with _Mutated(self._far, self._base, mutant):
            code, output = run_limited(command, self._far, environment, LONGEST_BROWNIE)
        if code is None:
            return Run(Fate.FAILED, "brownie: does not end")
        if code == 0 and " passed" in output:
            return Run(Fate.PASSED)
        failed = [line for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        if not failed:
            raise WorkshopError(f"brownie ended with {code}:\n{output[-2000:]}")
        return Run(Fate.FAILED, "brownie: " + failed[0].split("::")[-1].split(" ")[0])

    def _ordered(self, mutant: Mutant) -> list[str]:
        about = [Path(name).stem.lower() for name in {mutant.path} | imports(self._base)[mutant.path]]
        files = sorted((self._base / BROWNIE).glob("test_*.py"))
        near = [f for f in files if any(f.stem.split("_")[1] in stem for stem in about)]
        return [str(BROWNIE / f.name) for f in near + [f for f in files if f not in near]]


class _Mutated:
    """While it lasts, the project's source is the mutant's."""

    def __init__(self, project: Path, base: Path, mutant: Mutant) -> None:
        self._path = project / mutant.path
        self._source = (base / mutant.path).read_bytes()
        self._mutated = mutant.apply(self._source)

    def __enter__(self) -> None:
        if not self._path.is_file() or self._path.resolve().is_relative_to(ROOT / "contracts"):
            raise WorkshopError(f"{self._path} is not in a copy")
        self._path.write_bytes(self._mutated)

    def __exit__(self, *_: object) -> None:
        self._path.write_bytes(self._source)


def _outcome(mutant: Mutant, run: Run) -> Outcome:
    verdict = {
        Fate.PASSED: Verdict.SURVIVED,
        Fate.FAILED: Verdict.KILLED,
        Fate.NOT_COMPILED: Verdict.INVALID,
    }[run.fate]
    return Outcome(mutant, verdict, run.by)
