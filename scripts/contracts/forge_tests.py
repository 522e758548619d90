"""Forge's tests: how many, how many inputs were tried, how often the actions of the invariants' handlers
succeed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.contracts.part import FORGE, ROOT, Part, run

LEAST_SUCCESS = 0.6
"""Share of an action's calls that must do something: a handler that only reverts proves nothing."""
CAMPAIGN = 1_000_000
"""Calls of a campaign, at least."""
DEPTH = 500
"""Calls after one another in a campaign."""


@dataclass(frozen=True, slots=True)
class Action:
    """How often a handler's action was called, and failed or gave up (`vm.assume`)."""

    calls: int
    failed: int

    @property
    def success(self) -> float:
        """Share that did something."""
        return (self.calls - self.failed) / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Tests:
    """`fuzz_calls`: inputs of fuzz tests and calls of invariants, `invariant_calls` those of the latter
    alone.
    """

    total: int
    failed: tuple[str, ...]
    fuzz_calls: int
    invariant_calls: int
    actions: Mapping[str, Action]

    def weak(self) -> list[str]:
        """Actions that succeed too rarely."""
        return sorted(name for name, action in self.actions.items() if action.success < LEAST_SUCCESS)


def parse(text: str) -> Tests:
    """Of the output of `forge test --json`. Raises ValueError if it is none."""
    suites = json.loads(text)
    tests = {
        f"{suite.split(':')[-1]}.{name.split('(')[0]}": test
        for suite, content in suites.items()
        for name, test in content["test_results"].items()
    }
    kinds = [kind for test in tests.values() for kind in test["kind"].items()]
    fuzz = sum(content["runs"] for kind, content in kinds if kind == "Fuzz")
    invariant = [content for kind, content in kinds if kind == "Invariant"]
    calls = sum(content["calls"] for content in invariant)
    return Tests(
        len(tests),
        tuple(f"{name}: {test.get('reason')}" for name, test in tests.items() if test["status"] != "Success"),
        fuzz + calls,
        calls,
        _actions(invariant),
    )


def _actions(invariants: list[dict[str, Any]]) -> dict[str, Action]:
    calls, failed = Counter[str](), Counter[str]()
    for invariant in invariants:
        for place, metric in invariant["metrics"].items():
            name = place.split(":")[-1]
            calls[name] += metric["calls"]
            failed[name] += metric["reverts"] + metric["discards"]
    return {name: Action(calls[name], failed[name]) for name in sorted(calls)}


def table(tests: Tests) -> tuple[str, ...]:
    """One line an action."""
    return tuple(
        f"{name:44}{action.calls:>10,} calls{action.success:>8.1%}" for name, action in tests.actions.items()
    )


def forge_part() -> Part:
    """Every forge test."""
    done = run("forge", [FORGE, "test", "--json"])
    try:
        tests = parse(done.output)
    except ValueError:
        return Part("forge", False, "forge: nothing was tested", details=done.failure())
    ok = done.code == 0 and tests.total > 0 and not tests.failed
    line = f"{tests.total} forge tests, {len(tests.failed)} failed, {tests.fuzz_calls:,} inputs and calls"
    figures = {"tests": tests.total, "failed": len(tests.failed), "fuzz_calls": tests.fuzz_calls}
    return Part("forge", ok, line, figures, tests.failed)


def runs_for(invariants: int, depth: int) -> int:
    """Runs of `depth` calls that make a campaign; each invariant has its own. Raises ValueError for none."""
    if invariants < 1:
        raise ValueError("there are no invariants")
    return -(-CAMPAIGN // (invariants * depth))


def count_invariants() -> int:
    """In the sources of the tests."""
    files = (ROOT / "tests/forge").rglob("*.t.sol")
    return sum(len(re.findall(r"function invariant_\w+\(", path.read_text())) for path in files)


def campaign_part() -> Part:
    """The invariants alone, for at least a million calls."""
    command = [FORGE, "test", "--json", "--match-test", "^invariant_"]
    runs = str(runs_for(count_invariants(), DEPTH))
    done = run(
        "campaign",
        command,
        FOUNDRY_PROFILE="campaign",
        FOUNDRY_INVARIANT_RUNS=runs,
        FOUNDRY_INVARIANT_DEPTH=str(DEPTH),
    )
    try:
        tests = parse(done.output)
    except ValueError:
        return Part("campaign", False, "campaign: nothing was tested", details=done.failure())
    weak = tests.weak()
    ok = done.code == 0 and not tests.failed and not weak and tests.invariant_calls >= CAMPAIGN
    line = (
        f"{tests.invariant_calls:,} calls of {len(tests.actions)} actions under {tests.total} invariants,"
        f" {len(tests.failed)} failed, in {done.seconds:.0f} s"
    )
    details = [*table(tests), *tests.failed]
    details += [f"{name} succeeds in less than {LEAST_SUCCESS:.0%} of its calls" for name in weak]
    if tests.invariant_calls < CAMPAIGN:
        details.append(f"fewer than {CAMPAIGN:,} calls")
    figures = {"calls": tests.invariant_calls, "failed": len(tests.failed), "seconds": round(done.seconds)}
    return Part("campaign", ok, line, figures, tuple(details))
