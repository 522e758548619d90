"""What `pip install .` gives a user: both commands and the contracts, and it needs no more than it declares.

The wheel is built from a copy of the sources and installed into an environment that sees, of all that the
tests' own environment has, only what the wheel's metadata asks for. No Node and no compiler are on its PATH.
Nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from email.message import Message
from email.parser import BytesParser
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from mixpay.chain.abi import CONTRACTS

ROOT = Path(__file__).parents[2]
COMMANDS = {"mixpay": "mixpay.cli.main:main", "mixpay-relay": "relay.cli:main"}
DEVELOPMENT = {"eth-brownie", "py-solc-x", "vyper", "pytest", "hypothesis", "slither-analyzer", "ruff"}

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not module.name.endswith(("__main__", "migrations.env")):  # one is run, by Alembic
            importlib.import_module(module.name)
print(*sorted(sys.modules), sep="\\n")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the environment's own setuptools."""
    folder = tmp_path_factory.mktemp("build")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("mixpay", "relay"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder / "dist"), str(folder))
    (built,) = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of an environment with the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python3.*/site-packages")
    for found in needed(wheel):
        for part in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (site / part).exists():
                (site / part).symlink_to(Path(str(found.locate_file(part))))
    python = str(folder / "bin" / "python")
    pip("--python", python, "install", "--no-deps", "--no-compile", str(wheel))
    return folder / "bin"


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(
        command, env=os.environ | {"PIP_NO_INDEX": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return BytesParser().parsebytes(archive.read(name))


def needed(wheel: Path) -> list[Distribution]:
    """The distributions that the wheel asks for, and what those ask for."""
    waiting = [Requirement(text) for text in metadata(wheel).get_all("Requires-Dist") or []]
    found: dict[tuple[str, frozenset[str]], Distribution] = {}
    while waiting:
        wanted = waiting.pop()
        key = wanted.name.lower(), frozenset(wanted.extras)
        if key in found:
            continue
        found[key] = distribution(wanted.name)
        assert wanted.specifier.contains(found[key].version, prereleases=True), wanted
        for text in found[key].requires or []:
            further = Requirement(text)
            extras = wanted.extras or {""}
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(further)
    return list(found.values())


def run(installed: Path, *command: str) -> str:
    """Run a program of the environment far from the checkout; its output."""
    environ = {"PATH": str(installed), "HOME": str(installed.parent), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [str(installed / command[0]), *command[1:]],
        env=environ,
        cwd=installed.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_holdsBothPackagesWhole_andNothingElse(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = {
        str(path.relative_to(ROOT)) for name in ("mixpay", "relay") for path in (ROOT / name).rglob("*.py")
    }
    artifacts = {f"mixpay/artifacts/{contract}.json" for contract in CONTRACTS}
    assert names == sources | artifacts | {"mixpay/py.typed"}


def test_wheel_namesItsCommandsAndDependencies(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/entry_points.txt")]
        lines = archive.read(name).decode().split("\n")
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    assert {line.replace(" ", "") for line in lines if "=" in line} == {
        f"{command}={place}" for command, place in COMMANDS.items()
    }
    about = metadata(wheel)
    assert about["Name"] == "mixpay" and about["Requires-Python"] == ">=3.11"
    assert {found.name.lower() for found in needed(wheel)}.isdisjoint(DEVELOPMENT)


@pytest.mark.parametrize(
    "command",
    [
        ("mixpay",),
        ("mixpay", "send"),
        ("mixpay", "sponsor"),
        ("mixpay", "sponsor", "serve"),
        ("mixpay", "demo"),
        ("mixpay-relay",),
        ("mixpay-relay", "run"),
        ("python", "-m", "relay.cli"),
    ],
    ids=" ".join,
)
def test_command_explainsItself(installed: Path, command: tuple[str, ...]) -> None:
    assert run(installed, *command, "--help").startswith("Usage: ")


def test_contracts_areInThePackage(installed: Path) -> None:
    code = "from mixpay.chain import abi; print(abi.__file__, len(abi.artifact('Channels').bytecode))"
    place, size = run(installed, "python", "-c", code).split()
    assert Path(place).is_relative_to(installed.parent) and int(size) > 1000


def test_imports_needNoDevelopmentTools_andMixpayNoRelay(installed: Path) -> None:
    alone = set(run(installed, "python", "-c", IMPORT_ALL, "mixpay").split())
    assert "mixpay.sponsor.app" in alone
    assert not [name for name in alone if name.partition(".")[0] == "relay"]
    both = set(run(installed, "python", "-c", IMPORT_ALL, "mixpay", "relay").split())
    assert "relay.daemon" in both
    assert both.isdisjoint({"brownie", "solcx", "vyper", "pytest", "setuptools", "pkg_resources"})
