"""The short form of `make chaos`: relays are killed while they carry and settle, and nobody loses money."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_relaysThatAreKilled_loseNoReceipt(tmp_path: Path) -> None:
    """I7, I8, I9, and what was promised to a peer is on disk before it is promised (docs/design.md §12)."""
    command = [sys.executable, "-m", "chaos", "--short", "--reports", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    page = json.loads((tmp_path / "chaos.json").read_text())
    assert page["kills"] == len((tmp_path / "chaos-kills.jsonl").read_text().splitlines()) == 8
    assert page["kills_in_flight"] >= 4
    assert page["receipts"] > 200
    wrong = ("lost", "double_processed", "book_mismatches", "income_error", "user_errors")
    assert {name: page[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert page["packets_delivered"] > page["packets_not_delivered"]
    assert page["packets_sent_again"] > 0
