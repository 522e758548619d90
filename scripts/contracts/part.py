"""A part of the proof: what one tool says about the contracts."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "build/proof"
AUDIT = ROOT / "docs/audit"
FORGE = str(ROOT / "scripts/forge")


@dataclass(frozen=True, slots=True)
class Part:
    """`line` says it in one line, `details` in more, `figures` in numbers for reports/contracts.json."""

    name: str
    ok: bool
    line: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended; `output` is what it wrote on stdout."""

    code: int
    output: str
    seconds: float
    log: Path

    def failure(self) -> tuple[str, ...]:
        """The end of all that it wrote, for people."""
        text = self.log.read_text(errors="replace").splitlines()
        return (f"exit status {self.code}; all of it in {self.log.relative_to(ROOT)}", *text[-15:])


def run(name: str, command: list[str], **environment: str) -> Done:
    """Runs a program in the repository; both its streams are kept in build/proof/<name>.log."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    began = time.monotonic()
    with log.open("w") as errors:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
            check=False,
        )
        errors.write(done.stdout)
    return Done(done.returncode, done.stdout, time.monotonic() - began, log)
