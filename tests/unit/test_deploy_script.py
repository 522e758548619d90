"""`scripts/deploy.py`, as it is typed: what it says, and its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mixpay import deployment as deployments

if TYPE_CHECKING:
    from chain_world import World

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "deploy.py"


def typed(*words: object, python: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    environ = {name: value for name, value in os.environ.items() if name != "MIXPAY_DEPLOYER_KEY"}
    command = [sys.executable, *python, str(SCRIPT), *map(str, words)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_aPythonWithoutMixpay_getsOneLine() -> None:
    status, _, err = typed("--help", python=("-I", "-S"))
    assert (status, err.count("\n")) == (2, 1)
    assert "run `make setup` first, then .venv/bin/python scripts/deploy.py" in err


def test_aDeadNode_isTheChainsFault(tmp_path: Path) -> None:
    status, _, err = typed("--rpc", "http://127.0.0.1:9", "--out", tmp_path / "network.json")
    assert status == 3
    assert "127.0.0.1:9" in err


def test_aMissingKey_isAskedFor(world: World, tmp_path: Path) -> None:
    status, _, err = typed("--rpc", world.rpc.shown, "--out", tmp_path / "network.json")
    assert status == 2
    assert "in MIXPAY_DEPLOYER_KEY: set it, or name a file with --key-file" in err


def test_anExistingFile_isVerified_andIgnoredOptionsAreNamed(world: World, tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    deployments.save(path, world.deployment)
    status, out, err = typed("--rpc", world.rpc.shown, "--out", path)
    assert (status, err) == (0, "")
    assert "verified" in out
    status, _, err = typed("--rpc", world.rpc.shown, "--out", path, "--parameters", "demo", "--genesis", 0)
    assert status == 0
    assert "nothing is deployed; ignored: --parameters, --genesis" in err
