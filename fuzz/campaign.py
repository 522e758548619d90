"""Runs targets under the fuzzer, each in a process of its own, and reads what the fuzzer says of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.target import Target

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build/fuzz"
CRASHES = FOLDER / "crashes"
FUZZER = ROOT / ".venv-fuzz/bin/python"

HANG_SECONDS = 10
"""An input that takes longer is a crash."""
SLOW_SECONDS = 1
"""An input that takes longer is reported."""
MEMORY_MB = 1024
"""A process that takes more memory is a crash."""
GROWTH_MB = 128
"""What a process may grow by from its first inputs to its last; a part of it is the fuzzer's own corpus."""

_COVERAGE = re.compile(r"cov: (\d+) .*?corp: (\d+)/.*?rss: (\d+)Mb")
_FILE = re.compile(r"Test unit written to (\S+)")
_STAT = re.compile(r"stat::(\w+):\s+(\d+)")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a target. `coverage`: edges reached; `corpus`: inputs that reach something new."""

    inputs: int
    seconds: float
    coverage: int
    corpus: int
    memory_mb: int
    growth_mb: int
    slow: tuple[str, ...] = ()
    crashes: tuple[str, ...] = field(default=())
    """Paths of inputs that break the target; of its log, if there is no input to show."""

    @property
    def speed(self) -> float:
        """Inputs a second."""
        return self.inputs / self.seconds if self.seconds else 0.0


def shares(targets: list[Target], inputs: int) -> dict[str, int]:
    """How many inputs each target gets: at least `inputs` together."""
    total = sum(target.share for target in targets)
    return {target.name: -(-inputs * target.share // total) for target in targets}


def fuzz(target: Target, inputs: int, seed: int) -> Result:
    """Run a target for so many inputs. Its output goes to build/fuzz/NAME.log."""
    CRASHES.mkdir(parents=True, exist_ok=True)
    log, began = FOLDER / f"{target.name}.log", time.monotonic()
    command = [
        str(FUZZER),
        "-m",
        "fuzz.worker",
        target.name,
        str(FOLDER / target.name),
        *_options(target, inputs, seed),
    ]
    with log.open("w") as out:
        done = subprocess.run(command, cwd=ROOT, env=_environment(), stdout=out, stderr=out, check=False)
    return read_log(log, done.returncode, time.monotonic() - began)


def _options(target: Target, inputs: int, seed: int) -> list[str]:
    return [
        f"-runs={inputs}",
        f"-seed={seed}",
        f"-timeout={HANG_SECONDS}",
        f"-report_slow_units={SLOW_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={CRASHES / target.name}-",
        "-print_final_stats=1",
    ]


def _environment() -> dict[str, str]:
    """The fuzzer's environment holds nothing but the fuzzer: the rest is where this program has it from."""
    found = os.pathsep.join((str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    return {**os.environ, "PYTHONPATH": found, "PYTHONHASHSEED": "0"}


def read_log(log: Path, status: int, seconds: float) -> Result:
    """What the fuzzer says at its end, and on its way."""
    text = log.read_text(errors="replace")
    states = [tuple(map(int, match)) for match in _COVERAGE.findall(text)]
    stats = {name: int(value) for name, value in _STAT.findall(text)}
    written = _FILE.findall(text)
    slow = tuple(shown(Path(path)) for path in written if "slow-unit-" in path)
    crashes = [shown(Path(path)) for path in written if "slow-unit-" not in path]
    growth = states[-1][2] - states[0][2] if states else 0
    coverage, corpus, _ = states[-1] if states else (0, 0, 0)
    if not crashes and (status != 0 or growth > GROWTH_MB or not stats):
        crashes.append(shown(log))
    inputs, memory = stats.get("number_of_executed_units", 0), stats.get("peak_rss_mb", 0)
    return Result(inputs, round(seconds, 1), coverage, corpus, memory, growth, slow, tuple(crashes))


def shown(path: Path) -> str:
    """A path as people type it here."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def reproduce(target: Target, path: Path) -> int:
    """Run one input without the fuzzer. Raises what the target raises."""
    target.run(path.read_bytes())
    print(f"{target.name}: {path} is taken, or refused as it should be", file=sys.stderr)
    return 0
