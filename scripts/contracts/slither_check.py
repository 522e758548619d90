"""Slither with every detector on: none at medium or high, and an answer to each finding below.

Answers stand in docs/audit/slither.toml, by detector and element; docs/audit/slither.md is made from them
and from what the sources silence themselves, each with its reason. An answer whose finding is gone is an
objection too.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.contracts.part import AUDIT, LOGS, ROOT, Part, run

ANSWERS = AUDIT / "slither.toml"
PAGE = AUDIT / "slither.md"
HEADING = """# What slither says, and our answers

Made by `python -m scripts.contracts slither --write` from slither's findings, with every detector on, and the
answers in `slither.toml`; `make contracts` compares. Nothing of medium or high impact is left."""
GRAVE = ("High", "Medium")
SILENCED = re.compile(r"//\s*slither-disable-(?:next-line|start)\s+([\w,-]+)\s*(?:\((.*)\))?\s*$")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """`element` is Contract.function, or the file for findings about none; `impact` is slither's word."""

    detector: str
    element: str
    impact: str
    path: str = ""
    line: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """By what its answer is found."""
        return self.detector, self.element


@dataclass(frozen=True, slots=True)
class Silenced:
    """A comment in a source that keeps detectors from a line, and its reason."""

    path: str
    line: int
    detectors: str
    reason: str


def parse(text: str) -> list[Finding]:
    """Findings of slither's JSON, each detector and element once. Raises ValueError if slither failed."""
    report = json.loads(text)
    if not report["success"]:
        raise ValueError(str(report["error"]))
    found: dict[tuple[str, str], Finding] = {}
    for entry in report["results"].get("detectors", []):
        first = entry["elements"][0] if entry["elements"] else {}
        mapping = first.get("source_mapping", {})
        path, lines = mapping.get("filename_relative", ""), mapping.get("lines") or [0]
        finding = Finding(entry["check"], _element(first, path), entry["impact"], path, lines[0])
        found.setdefault(finding.key, finding)
    return sorted(found.values())


def _element(element: dict[str, object], path: str) -> str:
    """Contract.function of an element; of a statement, of the function around it."""
    names: list[str] = []
    current: dict[str, object] | None = element
    while current and current.get("type") not in (None, "pragma"):
        if current["type"] in ("function", "contract", "variable", "struct", "event", "enum"):
            names.insert(0, str(current["name"]).split("(")[0])
        fields = current.get("type_specific_fields")
        parent = fields.get("parent") if isinstance(fields, dict) else None
        current = parent if isinstance(parent, dict) else None
    return ".".join(names) or path


def silenced(sources: Mapping[str, str]) -> list[Silenced]:
    """What the sources silence; `sources` are texts by path."""
    return [
        Silenced(path, number, match.group(1), match.group(2) or "")
        for path, text in sorted(sources.items())
        for number, line in enumerate(text.splitlines(), 1)
        if (match := SILENCED.search(line))
    ]


def read_answers(text: str) -> dict[tuple[str, str], str]:
    """Of the TOML tables `[[answer]]`: detector, elements (a list), why. Raises ValueError without a why."""
    found: dict[tuple[str, str], str] = {}
    for entry in tomllib.loads(text).get("answer", []):
        if not entry["why"].strip():
            raise ValueError(f"no reason is given for {entry['detector']}")
        for element in entry["elements"]:
            found[(entry["detector"], element)] = " ".join(entry["why"].split())
    return found


def answer_to(finding: Finding, answers: Mapping[tuple[str, str], str]) -> str | None:
    """The answer to this finding, or to its detector everywhere (`*`)."""
    return answers.get(finding.key) or answers.get((finding.detector, "*"))


def page(
    findings: Iterable[Finding], silences: Iterable[Silenced], answers: Mapping[tuple[str, str], str]
) -> str:
    """Text of docs/audit/slither.md."""
    rows = [
        f"| `{f.detector}` | {f.impact} | `{f.element}` | {answer_to(f, answers) or '**not answered**'} |"
        for f in findings
    ]
    silent = [f"| `{s.detectors}` | `{s.path}` | {s.reason or '**no reason**'} |" for s in silences]
    return "\n".join(
        [
            HEADING,
            "",
            "| detector | impact | where | answer |",
            "|---|---|---|---|",
            *rows,
            "",
            "Silenced in the sources, where the reason stands beside the line:",
            "",
            "| detector | file | reason |",
            "|---|---|---|",
            *silent,
            "",
        ]
    )


def judge(
    findings: list[Finding], silences: list[Silenced], answers: Mapping[tuple[str, str], str], written: str
) -> Part:
    """`written` is docs/audit/slither.md as it stands."""
    grave = [finding for finding in findings if finding.impact in GRAVE]
    details = [f"{f.impact}: {f.detector} in {f.element}, {f.path}:{f.line}" for f in grave]
    details += [
        f"not answered: {f.impact} {f.detector} in {f.element}, {f.path}:{f.line}"
        for f in findings
        if f not in grave and not answer_to(f, answers)
    ]
    details += [f"silenced without a reason: {s.path}:{s.line}" for s in silences if not s.reason]
    known = {finding.key for finding in findings} | {(finding.detector, "*") for finding in findings}
    details += [f"answered, but not found: {' '.join(key)}" for key in answers if key not in known]
    if not details and written != page(findings, silences, answers):
        details.append("docs/audit/slither.md is not up to date: python -m scripts.contracts slither --write")
    figures = {impact.lower(): sum(f.impact == impact for f in findings) for impact in GRAVE}
    lower = len(findings) - len(grave)
    line = f"slither: {figures['high']} high, {figures['medium']} medium, {lower} lower, all answered"
    if details:
        line = line.replace(", all answered", "")
    return Part("slither", not details, line, {"slither": figures}, tuple(details))


def slither_part(write: bool = False) -> Part:
    """Runs slither; `write` renews docs/audit/slither.md."""
    LOGS.mkdir(parents=True, exist_ok=True)
    answer = LOGS / "slither.json"
    answer.unlink(missing_ok=True)
    command = ["slither", ".", "--json", str(answer), "--compile-force-framework", "foundry"]
    done = run("slither", command, FOUNDRY_OUT="build/slither", FOUNDRY_CACHE_PATH="build/slither-cache")
    if not answer.exists():
        return Part("slither", False, "slither failed", details=done.failure())
    sources = {str(p.relative_to(ROOT)): p.read_text() for p in (ROOT / "contracts").rglob("*.sol")}
    findings, silences = parse(answer.read_text()), silenced(sources)
    answers = read_answers(ANSWERS.read_text())
    if write:
        PAGE.write_text(page(findings, silences, answers))
    return judge(findings, silences, answers, PAGE.read_text())
