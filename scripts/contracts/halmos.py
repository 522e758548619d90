"""Symbolic checks: what halmos proves for all inputs."""

from __future__ import annotations

import json

from scripts.contracts.part import LOGS, ROOT, Part, run

PROGRAM = ROOT / ".venv-halmos/bin/halmos"


def parse(text: str) -> tuple[list[str], list[str]]:
    """Names proved, and failed or undecided, of halmos' JSON."""
    proved: list[str] = []
    failed: list[str] = []
    for suite, results in json.loads(text)["test_results"].items():
        for result in results:
            name = f"{suite.split(':')[-1]}.{result['name'].split('(')[0]}"
            (proved if result["exitcode"] == 0 else failed).append(name)
    return sorted(proved), sorted(failed)


def halmos_part() -> Part:
    """Every check of tests/halmos."""
    LOGS.mkdir(parents=True, exist_ok=True)
    answers = LOGS / "halmos.json"
    answers.unlink(missing_ok=True)
    command = [
        str(PROGRAM),
        "--forge-build-out",
        "build/halmos",
        "--json-output",
        str(answers),
        "--no-status",
    ]
    done = run("halmos", command, FOUNDRY_PROFILE="halmos")
    if not answers.exists():
        return Part("halmos", False, "halmos: nothing was checked", details=done.failure())
    proved, failed = parse(answers.read_text())
    line = f"{len(proved)} properties proved for all inputs, {len(failed)} not, in {done.seconds:.0f} s"
    figures = {"halmos": {"proved": len(proved), "failed": len(failed)}}
    ok = done.code == 0 and bool(proved) and not failed
    return Part("halmos", ok, line, figures, tuple(f"not proved: {name}" for name in failed))
