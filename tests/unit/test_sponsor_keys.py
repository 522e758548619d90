"""Blind-signing keys on disk, and which periods need one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixpay.epochs import Schedule
from mixpay.errors import UserError
from mixpay.sponsor.keys import KeyFolder, Period, current_periods, periods_ahead
from mixpay.types import Epoch

DEMO = Schedule(0, 3600, 1)
PRODUCTION = Schedule(0, 86_400, 28)


def test_make_keepsTheKeyEncryptedAndOnce(tmp_path: Path) -> None:
    keys, period = KeyFolder(tmp_path / "keys", b"\1" * 32), Period(1, 7)
    assert keys.get(period) is None
    public = keys.make(period)
    assert public.bits == 2048 and keys.make(period) == public
    again = KeyFolder(tmp_path / "keys", b"\1" * 32).get(period)
    assert again is not None and again.public == public
    (path,) = (tmp_path / "keys").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    with pytest.raises(UserError, match="another key store"):
        KeyFolder(tmp_path / "keys", b"\2" * 32).get(period)
    (tmp_path / "keys").chmod(0o755)
    with pytest.raises(UserError, match="chmod 700"):
        KeyFolder(tmp_path / "keys", b"\1" * 32)


def test_deleteBefore_removesPastPeriodsOfEachKind(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys = KeyFolder(folder, b"\1" * 32)
    keys.make(Period(1, 9))
    pem = next(folder.iterdir()).read_bytes()
    for kind, number in [(1, 10), (1, 11), (2, 9), (2, 10)]:
        path = folder / f"kind-{kind}-period-{number}.pem"
        path.write_bytes(pem)
    (folder / "notes.txt").write_text("not a key")
    assert keys.delete_before((Period(1, 10), Period(2, 10))) == [Period(1, 9), Period(2, 9)]
    assert keys.get(Period(1, 9)) is None and keys.get(Period(1, 10)) is not None
    assert (folder / "notes.txt").exists()


def test_periods_ofTheDemo() -> None:
    assert current_periods(DEMO, Epoch(4)) == (Period(1, 4), Period(2, 4))
    ahead = periods_ahead(DEMO, Epoch(4), 3)
    assert ahead == [Period(kind, number) for kind in (1, 2) for number in (5, 6, 7)]


def test_periods_ofLongTerms() -> None:
    assert current_periods(PRODUCTION, Epoch(57)) == (Period(1, 57), Period(2, 2))
    ahead = periods_ahead(PRODUCTION, Epoch(57), 2)
    assert ahead == [Period(1, 58), Period(1, 59), Period(2, 3), Period(2, 4)]
    assert Period(2, 3).first_epoch(PRODUCTION) == 84 and Period(2, 3).last_epoch(PRODUCTION) == 111
    assert Period(1, 3).first_epoch(PRODUCTION) == Period(1, 3).last_epoch(PRODUCTION) == 3
