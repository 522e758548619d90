"""`make abuse`: what a farmer can take, and what the caps cost others; and reports/abuse.json.

    python -m abuse              everything, about seven minutes
    python -m abuse --short      a small registry: to see that it runs
    python -m abuse --seed 7     another market, other draws
    python -m abuse --write      everything, and docs/abuse.md with its picture

What one would expect and is not so is printed as such; with --strict the exit status is 1 if docs/design.md
says it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from abuse.figures import REPORT, ROOT, SHORT, Scale
from abuse.page import lines, render
from abuse.study import Study

PAGE = ROOT / "docs/abuse.md"
PICTURE = ROOT / "docs/abuse.png"
PAINTER = ROOT / ".venv-bench/bin/python"


class Options(argparse.Namespace):
    """The command line."""

    seed: int
    short: bool
    strict: bool
    write: bool
    report: Path


def options(words: list[str] | None = None) -> Options:
    """The command line; ends the program if it makes no sense."""
    parser = argparse.ArgumentParser(description="what farming passes brings", prog="python -m abuse")
    parser.add_argument("--seed", type=int, default=1, help="of the market and of what is drawn (1)")
    parser.add_argument("--short", action="store_true", help="a small registry, to see that it runs")
    parser.add_argument("--strict", action="store_true", help="status 1 if the design says what is not so")
    parser.add_argument("--write", action="store_true", help="write docs/abuse.md and its picture")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the figures are written")
    given = parser.parse_args(words, namespace=Options())
    if given.write and given.short:
        parser.error("--write is for the full size")
    if given.write and not PAINTER.exists():
        parser.error("there is nothing to draw the picture with: `make abuse WRITE=1` installs it")
    return given


def write(about: dict[str, Any], report: Path) -> None:
    """docs/abuse.md and docs/abuse.png."""
    PAGE.write_text(render(about), encoding="utf-8")
    subprocess.run([str(PAINTER), str(ROOT / "abuse/plot.py"), str(report), str(PICTURE)], check=True)


def main(words: list[str] | None = None) -> int:
    """Exit status: 0 simulated; 1 with --strict if what the design says is not so."""
    given = options(words)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"abuse: {text} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)

    about = Study(SHORT if given.short else Scale(), given.seed, tell).run()
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n".join(lines(about)))
    if given.write:
        write(about, given.report)
    missed = any(one["designed"] and not one["holds"] for one in about["claims"])
    return 1 if missed and given.strict else 0


if __name__ == "__main__":
    sys.exit(main())
