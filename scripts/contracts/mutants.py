"""Mutants, verdicts on them, and the report: values and rules only, nothing is started here.

A mutant is one small fault put into one contract. It is *killed* when a test fails on it. It does not count
when it does not compile, nor when the shipped compiler settings make the very same bytecode of it as of the
original (`SAME`): then there is no fault to find. All others survive, and each survivor needs an
explanation in docs/audit/mutants-survivors.toml.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

ALWAYS = ("setUp", "does not end")
"""Ways of a mutant's end that no single test stands for."""
GOAL = 0.95
"""Least share of the mutants that must be killed."""


class Verdict(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    SAME = "same"
    """Its bytecode is the original's."""
    INVALID = "invalid"
    """It does not compile."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """Bytes `start` to `end` of `path` become `new`. `place` is Contract.function; `old` is what stood
    there.
    """

    path: str
    place: str
    mutator: str
    line: int
    start: int
    end: int
    old: str
    new: str

    @property
    def contract(self) -> str:
        """Name of the contract or library."""
        return self.place.split(".")[0]

    @property
    def identity(self) -> str:
        """The same in every run on the same source: 16 hex digits."""
        text = json.dumps([self.path, self.mutator, self.start, self.end, self.new])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def within(self, share: float) -> bool:
        """Whether it is in that share of all mutants: the same in every run, and again in larger shares."""
        return int(self.identity, 16) < share * 2**64

    @property
    def key(self) -> Key:
        """By what its explanation is found; lines may shift meanwhile."""
        return Key(self.place, self.mutator, squeeze(self.old), squeeze(self.new))

    def apply(self, source: bytes) -> bytes:
        """The mutated source. Raises ValueError if `source` is not what the mutant was made from."""
        if source[self.start : self.end] != self.old.encode():
            raise ValueError(f"{self.path}:{self.line} is not what the mutant was made from")
        return source[: self.start] + self.new.encode() + source[self.end :]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Where and what, without positions; white space is squeezed."""

    where: str
    mutator: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict, and which test killed, or nothing."""

    mutant: Mutant
    verdict: Verdict
    by: str = ""


def squeeze(text: str) -> str:
    """One line, single spaces."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Rule:
    """Why mutants of one kind change nothing that can be seen; `pattern` matches all of "old → new"."""

    mutators: frozenset[str]
    pattern: re.Pattern[str]
    why: str

    def holds(self, key: Key) -> bool:
        """Whether it is of this kind."""
        return key.mutator in self.mutators and bool(self.pattern.fullmatch(f"{key.old} → {key.new}"))


@dataclass(frozen=True, slots=True)
class Explanations:
    """Why mutants may survive: one by one, and kinds that cannot be told from the original."""

    single: Mapping[Key, str]
    rules: tuple[Rule, ...] = ()

    def why(self, key: Key) -> str:
        """The reason; empty if there is none."""
        return self.single.get(key) or next((rule.why for rule in self.rules if rule.holds(key)), "")

    def idle(self, survivors: Collection[Key]) -> list[str]:
        """Names of what explains none of the survivors."""
        found = [str(key) for key in self.single if key not in survivors]
        return found + [r.pattern.pattern for r in self.rules if not any(r.holds(key) for key in survivors)]


NO_REASONS = Explanations({})


def read_explanations(text: str) -> Explanations:
    """Of the TOML tables `[[survivor]]` (where, mutator, old, new, why) and `[[rule]]` (mutator, pattern,
    why).

    A `mutator` may name several, with spaces between, and `new` may be a list: the same reason for all of
    them. Raises ValueError for a repeated entry, or one without a reason.
    """
    content = tomllib.loads(text)
    single: dict[Key, str] = {}
    for entry in content.get("survivor", []):
        news = entry["new"] if isinstance(entry["new"], list) else [entry["new"]]
        for mutator in entry["mutator"].split():
            for new in news:
                key = Key(entry["where"], mutator, squeeze(entry["old"]), squeeze(new))
                if key in single:
                    raise ValueError(f"explained twice: {key}")
                single[key] = _reason(entry)
    rules = [
        Rule(frozenset(entry["mutator"].split()), re.compile(entry["pattern"]), _reason(entry))
        for entry in content.get("rule", [])
    ]
    return Explanations(single, tuple(rules))


def _reason(entry: Mapping[str, Any]) -> str:
    why = squeeze(entry["why"])
    if not why:
        raise ValueError(f"no reason is given for {entry}")
    return why


def share(outcomes: Iterable[Outcome]) -> tuple[int, int]:
    """(killed, total); a mutant that is invalid, or no mutant at all, is not in the total."""
    count = Counter(outcome.verdict for outcome in outcomes)
    return count[Verdict.KILLED], count[Verdict.KILLED] + count[Verdict.SURVIVED]


def objections(outcomes: Iterable[Outcome], explained: Explanations) -> list[str]:
    """What a full run must not leave behind: unexplained survivors, idle explanations, too few killed."""
    outcomes = list(outcomes)
    survivors = {o.mutant.key: o.mutant for o in outcomes if o.verdict is Verdict.SURVIVED}
    found = unexplained(survivors.values(), explained)
    found += [f"explains no survivor: {name}" for name in explained.idle(survivors.keys())]
    killed, total = share(outcomes)
    if not total or killed / total < GOAL:
        found.append(f"{killed} of {total} mutants killed, fewer than {GOAL:.0%}")
    return found


def unexplained(survivors: Iterable[Mutant], explained: Explanations) -> list[str]:
    """One line for each survivor that may not survive."""
    return [
        f"unexplained survivor {mutant.path}:{mutant.line} {describe(mutant)}"
        for mutant in survivors
        if not explained.why(mutant.key)
    ]


def describe(mutant: Mutant) -> str:
    """One line for people."""
    return f"{mutant.place} {mutant.mutator}: {squeeze(mutant.old)} → {squeeze(mutant.new)}"


def report(outcomes: Iterable[Outcome], explained: Explanations, head: Mapping[str, Any]) -> str:
    """Text of docs/audit/mutants.json: `head` (commit, seconds, hashes of the sources), then figures and
    survivors.
    """
    outcomes = list(outcomes)
    killed, total = share(outcomes)
    survivors = [o.mutant for o in outcomes if o.verdict is Verdict.SURVIVED]
    content = {
        **head,
        "killed": killed,
        "total": total,
        "contracts": _by(outcomes, lambda mutant: mutant.contract),
        "mutators": _by(outcomes, lambda mutant: mutant.mutator),
        "survivors": [
            {**asdict(m.key), "line": m.line, "why": explained.why(m.key)}
            for m in sorted(survivors, key=lambda m: (m.path, m.start, m.mutator, m.new))
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _by(outcomes: Iterable[Outcome], name: Any) -> dict[str, dict[str, int]]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(name(outcome.mutant), []).append(outcome)
    return {
        group: {
            "killed": share(of)[0],
            "total": share(of)[1],
            "same": sum(o.verdict is Verdict.SAME for o in of),
            "invalid": sum(o.verdict is Verdict.INVALID for o in of),
        }
        for group, of in sorted(groups.items())
    }


@dataclass(frozen=True, slots=True)
class Bases:
    """What verdicts rest on: hashes of the sources by path, one hash of all tests, the names of the tests."""

    sources: Mapping[str, str]
    tests: str
    names: Container[str]


def to_line(outcome: Outcome, bases: Bases) -> str:
    """One line of the state file, by which a later run goes on."""
    entry = {
        "id": outcome.mutant.identity,
        "source": bases.sources[outcome.mutant.path],
        "tests": bases.tests,
        "verdict": outcome.verdict,
        "by": outcome.by,
    }
    return json.dumps(entry)


def read_lines(
    text: str, mutants: Iterable[Mutant], bases: Bases, explained: Explanations = NO_REASONS
) -> list[Outcome]:
    """The outcomes of a state file that still hold; a last line that was cut off is left out.

    A killed mutant stays killed as long as its source is unchanged and the test that killed it is there. A
    survivor is tried again when any test has changed, unless it is explained: trying that again could only
    make the result better.
    """
    known = {mutant.identity: mutant for mutant in mutants}
    found: dict[str, Outcome] = {}
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            continue
        entry = json.loads(line)
        mutant = known.get(entry["id"])
        if mutant and _holds(entry, bases, mutant.path, explained=bool(explained.why(mutant.key))):
            found[entry["id"]] = Outcome(mutant, Verdict(entry["verdict"]), entry["by"])
    return list(found.values())


def _holds(entry: Mapping[str, str], bases: Bases, path: str, *, explained: bool) -> bool:
    if entry["source"] != bases.sources[path]:
        return False
    if entry["verdict"] == Verdict.KILLED:
        return entry["by"] in (*ALWAYS, "") or entry["by"] in bases.names
    return entry["verdict"] != Verdict.SURVIVED or explained or entry.get("tests") == bases.tests
