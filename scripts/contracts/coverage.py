"""Coverage of the contracts by forge's tests: all that can be reached, and by name what cannot."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.contracts.part import AUDIT, FORGE, ROOT, Part, run

UNREACHABLE = AUDIT / "unreachable.toml"
KINDS = {"Line": "lines", "Statement": "statements", "Branch": "branches", "Function": "functions"}
FILE = re.compile(r"^(\S+\.sol):$")
ITEM = re.compile(
    r"^- (Line|Statement|Branch|Function)\b.*?"
    r"\(location: \(source ID: \d+, lines: (\d+)\.\.\d+, bytes: \d+\.\.\d+\), hits: (\d+)\)"
)


@dataclass(frozen=True, slots=True)
class Item:
    """Something that tests can reach; `kind` is a value of KINDS."""

    path: str
    kind: str
    line: int
    hits: int


@dataclass(frozen=True, slots=True, order=True)
class Missed:
    """What no test reaches: the source's line by its text, for lines shift."""

    path: str
    kind: str
    text: str


def parse(report: str) -> list[Item]:
    """Items of our contracts, of the output of `forge coverage --report debug`."""
    found, path = [], ""
    for line in report.splitlines():
        if start := FILE.match(line):
            path = start.group(1)
        elif line.startswith("Anchors for"):
            path = ""
        elif path.startswith("contracts/") and (item := ITEM.match(line)):
            found.append(Item(path, KINDS[item.group(1)], int(item.group(2)), int(item.group(3))))
    return found


def missed(items: Iterable[Item], sources: Mapping[str, list[str]]) -> dict[Missed, int]:
    """What was never reached, with a line number; `sources` are the lines by path."""
    return {
        Missed(item.path, item.kind, sources[item.path][item.line - 1].strip()): item.line
        for item in items
        if item.hits == 0
    }


def read_unreachable(text: str) -> dict[Missed, str]:
    """Of the TOML tables `[[unreachable]]`: path, kinds (words), text of the line, why. Raises ValueError
    without a why.
    """
    found = {}
    for entry in tomllib.loads(text).get("unreachable", []):
        if not entry["why"].strip():
            raise ValueError(f"no reason is given for {entry['text']}")
        for kind in entry["kinds"].split():
            found[Missed(entry["path"], kind, entry["text"].strip())] = entry["why"]
    return found


def percentages(
    items: Iterable[Item], named: Mapping[Missed, str], gone: Mapping[Missed, int]
) -> dict[str, float]:
    """Share of what can be reached that is, in percent, by kind. `gone` is what `missed` found."""
    items = list(items)
    shares = {}
    for kind in KINDS.values():
        hit = sum(item.kind == kind and item.hits > 0 for item in items)
        open_ = sum(miss.kind == kind and miss not in named for miss in gone)
        shares[kind] = round(100 * hit / (hit + open_), 2) if hit + open_ else 100.0
    return shares


def judge(items: list[Item], sources: Mapping[str, list[str]], named: Mapping[Missed, str]) -> Part:
    """Full coverage of the reachable, and no entry of the list that is out of date."""
    gone = missed(items, sources)
    details = [
        f"{miss.path}:{line} {miss.kind} never reached: {miss.text}"
        for miss, line in gone.items()
        if miss not in named
    ]
    details += [f"{m.path}: {m.kind} is reached, or gone: {m.text}" for m in named if m not in gone]
    shares = percentages(items, named, gone)
    said = ", ".join(f"{share:g} % of {kind}" for kind, share in shares.items())
    line = f"{said}; {sum(m in gone for m in named)} named as unreachable"
    return Part("coverage", bool(items) and not details, line, {"coverage": shares}, tuple(details))


def coverage_part() -> Part:
    """Runs forge's tests once more, on code that counts."""
    done = run("coverage", [FORGE, "coverage", "--report", "debug", "--exclude-tests"])
    if done.code != 0:
        return Part("coverage", False, "coverage: forge failed", details=done.failure())
    items = parse(done.output)
    sources = {item.path: (ROOT / item.path).read_text().splitlines() for item in items}
    return judge(items, sources, read_unreachable(Path(UNREACHABLE).read_text()))
