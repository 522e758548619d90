"""Where mutants are tried: copies of the repository below build/mutants, one for each worker, and a warm
compiler for each.

A mutant is written into the copy, never into the repository. It meets the tests named like its contract
first, then all forge tests, then, if it still lives, the shipped compiler settings (is there any fault in
the bytecode?) and brownie's tests.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("contracts", "tests/forge", "tests/contracts", "mixpay", "scripts")
COPIED_FILES = ("foundry.toml", "brownie-config.yaml", "networks.yaml")
LINKED = ("node_modules", ".venv")
JUDGES = ("contracts", "tests/forge", "foundry.toml")
"""What a verdict depends on."""
LONGEST_BROWNIE = 900


class Fate(Enum):
    """How a run of tests ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_COMPILED = "not compiled"


@dataclass(frozen=True, slots=True)
class Run:
    """A run's end; `by` names the first test that failed."""

    fate: Fate
    by: str = ""


class WorkshopError(Exception):
    """The machinery broke: a run ended in a way that says nothing about the mutant."""


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else works in the folder meanwhile. Raises WorkshopError if somebody does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WorkshopError(f"another run works in {folder}") from error
        yield


def tests_hash(root: Path) -> str:
    """SHA-256 of all forge tests below `root`."""
    digest = hashlib.sha256()
    for path in sorted((root / "tests/forge").rglob("*.sol")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def test_names(root: Path) -> set[str]:
    """Of every forge test and invariant below `root`."""
    files = (root / "tests/forge").rglob("*.sol")
    return {
        name for path in files for name in re.findall(r"function ((?:test|invariant)\w*)\(", path.read_text())
    }


def source_hashes(root: Path = ROOT) -> dict[str, str]:
    """SHA-256 of every source below contracts/ but the interfaces."""
    paths = sorted(p for p in (root / "contracts").rglob("*.sol") if "interfaces" not in p.parts)
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def copy_repository(to: Path, root: Path = ROOT) -> None:
    """What compiling and testing the contracts takes, in `to`; nothing in it leads back to the sources."""
    shutil.rmtree(to, ignore_errors=True)
    for name in COPIED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / name, to / name, symlinks=True, ignore=ignored)
    for name in COPIED_FILES:
        shutil.copy(root / name, to / name)
    for name in LINKED:
        (to / name).symlink_to((root / name).resolve())


def keep_tests(project: Path, names: frozenset[str]) -> None:
    """Leaves of the forge test files those in `names`, and all helpers."""
    for path in (project / "tests/forge").rglob("*.t.sol"):
        if path.name not in names:
            path.unlink()


def imports(root: Path) -> dict[str, set[str]]:
    """File below contracts/ → files there that import it, through others too."""
    texts = {str(path.relative_to(root)): path.read_text() for path in (root / "contracts").rglob("*.sol")}
    direct: dict[str, set[str]] = {name: set() for name in texts}
    for name, text in texts.items():
        for target in re.findall(r'from "(\.[^"]+)"', text):
            imported = os.path.normpath(Path(name).parent / target)
            direct.setdefault(imported, set()).add(name)
    found = {name: set(users) for name, users in direct.items()}
    for _ in found:
        for users in found.values():
            users |= {more for user in tuple(users) for more in found.get(user, ())}
    return found


def near_tests(path: str, root: Path) -> frozenset[str]:
    """Names of the test files that are about the source `path`, or about the contracts that use it."""
    about = {Path(name).stem for name in {path} | imports(root)[path] if "interfaces/" not in name}
    files = (root / "tests/forge").rglob("*.t.sol")
    named = (f.name for f in files if any(f.name.startswith(stem) for stem in about))
    return frozenset(name for name in named if "Invariant" not in name)


class Compiler:
    """A warm compiler; a context manager. `environment` is what forge needs to use it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="solc-")  # a socket's path must be short
        self._socket = Path(self._folder.name) / "socket"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Compiler:
        self._process = subprocess.Popen(
            [str(ROOT / "scripts/contracts/solc"), "--serve", str(self._socket)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        if not self._process.stdout or self._process.stdout.readline() != "ready\n":
            raise WorkshopError("the compiler does not start")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SOLC_SERVER": str(self._socket), "FOUNDRY_PROFILE": "mutants"}


def run_forge(
    project: Path,
    environment: dict[str, str],
    longest: float,
    arguments: tuple[str, ...] = (),
    forge: str = str(ROOT / "scripts/forge"),
) -> Run:
    """All tests of the project, until one fails. Raises WorkshopError for an end that has nothing to do
    with tests.
    """
    code, output = run_limited([forge, "test", "--fail-fast", *arguments], project, environment, longest)
    if code is None:
        return Run(Fate.FAILED, "does not end")
    if code == 0:
        if not re.search(r"[1-9]\d* tests? passed", output):
            raise WorkshopError(f"no test ran:\n{output[-2000:]}")
        return Run(Fate.PASSED)
    if "Compiler run failed" in output:
        return Run(Fate.NOT_COMPILED)
    failed = re.search(r"^\[FAIL[^\]]*(?:\].*?)?\]\s*([\w]+)", output, re.MULTILINE)
    if "[FAIL" not in output:
        raise WorkshopError(f"forge ended with {code}:\n{output[-2000:]}")
    return Run(Fate.FAILED, failed.group(1) if failed else "a test")


def run_limited(
    command: list[str], folder: Path, environment: dict[str, str], longest: float
) -> tuple[int | None, str]:
    """Exit status and output; None if it had to be ended, with all that it had started."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=longest)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
