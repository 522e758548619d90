"""`make bench`: all layers, or those that are named, and reports/bench.json.

    python -m bench                        everything
    python -m bench hop book               some layers
    python -m bench whole --no-incentives  the relay without incentives alone
    python -m bench --write                everything, and docs/bench.md with its picture

A goal that is not met is printed as such; the exit status is 1 for it only with --strict.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bench import book, hop, link, mixer, packet, path, proof, store, whole
from bench.figures import REPORT, ROOT, SHORT, Found, Scale, lines, report
from bench.page import render
from bench.running import BenchFailed

LAYERS: Mapping[str, Callable[[Scale], Found]] = {
    "packet": packet.measure,
    "proof": proof.measure,
    "hop": hop.measure,
    "path": path.measure,
    "book": book.measure,
    "store": store.measure,
    "link": link.measure,
    "mixer": mixer.measure,
    "whole": whole.measure,
}
PAGE = ROOT / "docs/bench.md"
PICTURE = ROOT / "docs/bench.png"
PAINTER = ROOT / ".venv-bench/bin/python"


class Options(argparse.Namespace):
    """The command line."""

    layers: list[str]
    short: bool
    strict: bool
    write: bool
    incentives: bool


def options(words: list[str] | None = None) -> Options:
    """The command line; ends the program if it makes no sense."""
    parser = argparse.ArgumentParser(description="what a packet costs a relay", prog="python -m bench")
    parser.add_argument("layers", nargs="*", metavar="layer", help=f"of {', '.join(LAYERS)}; all, if none")
    parser.add_argument("--short", action="store_true", help="tiny sizes: to see that it runs, not how fast")
    parser.add_argument("--strict", action="store_true", help="exit status 1 if a goal is not met")
    parser.add_argument("--write", action="store_true", help="write docs/bench.md and its picture")
    parser.add_argument(
        "--no-incentives", dest="incentives", action="store_false", help="whole: only the relay without them"
    )
    given = parser.parse_args(words, namespace=Options())
    unknown = set(given.layers) - set(LAYERS)
    if unknown:
        parser.error(f"no such layer: {', '.join(sorted(unknown))}")
    if given.write and (given.layers or given.short or not given.incentives):
        parser.error("--write is for everything at its full size")
    if given.write and not PAINTER.exists():
        parser.error("there is nothing to draw the picture with: `make bench WRITE=1` installs it")
    return given


def measure(layers: list[str], scale: Scale) -> dict[str, Any]:
    """The report of these layers, each told of on standard error as it ends."""
    primitives = packet.measure_primitives(scale)
    found: dict[str, Found] = {}
    for name in layers:
        began = time.monotonic()
        found[name] = LAYERS[name](scale)
        print(f"bench: {name} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return report(found, primitives, scale)


def show(about: Mapping[str, Any]) -> None:
    """What was measured, to be read."""
    machine = about["machine"]
    print(f"{machine['processor']}, {machine['cores']} cores, load average {machine['load_average']}")
    for name, value in about["primitives_us"].items():
        print(f"  {name:<36}{value:>9.2f} µs")
    for layer, detail in about["layers"].items():
        for name, value in detail.get("us", {}).items():
            print(f"  {layer + ': ' + name:<60}{value:>9.2f} µs")
    print("\n".join(lines(about)))


def write(about: Mapping[str, Any]) -> None:
    """docs/bench.md and docs/bench.png."""
    PAGE.write_text(render(about), encoding="utf-8")
    subprocess.run([str(PAINTER), str(ROOT / "bench/plot.py"), str(REPORT), str(PICTURE)], check=True)


def main() -> int:
    """Exit status: 0 measured, 1 a goal is not met and --strict, 2 it could not be measured."""
    given = options()
    scale = replace(SHORT if given.short else Scale(), incentives=given.incentives)
    try:
        about = measure(given.layers or list(LAYERS), scale)
    except BenchFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    show(about)
    if given.write:
        write(about)
    missed = [name for name, one in about["figures"].items() if one["met"] is False]
    return 1 if missed and given.strict else 0


if __name__ == "__main__":
    sys.exit(main())
