"""The passes that the contracts' tests verify are those that this library makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import PASS_SUITE
from mixpay.passes import drawn_position
from scripts import known_passes

ROOT = Path(__file__).resolve().parents[2]


def test_theyAreWhatTheScriptMakes() -> None:
    script = [sys.executable, "scripts/known_passes.py", "--check"]
    assert subprocess.run(script, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False).returncode == 0


def test_theyAreGood() -> None:
    key = known_passes.make_key()
    for tick in known_passes.TICKS:
        made = known_passes.redeemed(key, tick)
        message = known_passes.SCOPE.message(made.anchor)
        assert blind_rsa.verify(PASS_SUITE, key.public, message, made.signature)
        assert made.tick.number == tick
        made.check_link()
        assert 0 <= drawn_position(made.signature, known_passes.BEACON, known_passes.COUNT) < 1_000
