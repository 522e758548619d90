"""Backups of real folders, beside a running store and without one."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from home_samples import ORIGIN, PASSWORD, SECRET, TAG, Sample, damage, fill, make_home
from mixpay.accounts import show_account
from mixpay.errors import UserError
from mixpay.types import Epoch
from relay.backup import archive
from relay.backup.making import back_up
from relay.keys.restored import Restored
from relay.store import RelayStore, setting_op

NOW = 1_700_000_000


@pytest.fixture
def home(tmp_path: Path) -> Sample:
    return make_home(tmp_path / "relay")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "relay.backup"


def names(target: Path) -> list[str]:
    with tarfile.open(target) as tar:
        return tar.getnames()[1:-1]


async def test_backup_hasEverythingThatMatters_andNothingElse(home: Sample, target: Path) -> None:
    await fill(home.database)
    await fill(home.folder / "relay-12.sqlite")
    home.record.add(Epoch(4))
    for name in ("api.json", "notes.txt", "relay-0.sqlite", "relay.sqlite.damaged-1"):
        (home.folder / name).write_text("not this")
    before = home.files()
    made = back_up(home.folder, target, NOW)
    assert home.files() == before
    assert names(target) == [entry.name for entry in made.files]
    assert set(names(target)) == {
        "relay.toml",
        "deployment.json",
        "relay.sqlite",
        "relay-12.sqlite",
        "keys/operator.json",
        "keys/link.json",
        "keys/signed-epochs",
    }
    assert (made.made_at, made.operator) == (NOW, show_account(home.operator))
    assert target.stat().st_mode & 0o777 == 0o600
    content = target.read_bytes()
    assert [part in content for part in (SECRET, TAG, ORIGIN, PASSWORD.encode())] == [False] * 4
    assert list(target.parent.iterdir()) == [target]  # no draft is left


async def test_backup_besideARunningDaemon(home: Sample, target: Path, tmp_path: Path) -> None:
    running = RelayStore(home.database)
    await running.written([setting_op("kept", b"in the journal only")])
    back_up(home.folder, target, NOW)
    await running.written([setting_op("later", b"x")])
    await running.close()
    (tmp_path / "out").mkdir()
    archive.read(target, tmp_path / "out")
    copied = RelayStore(tmp_path / "out" / "relay.sqlite")
    assert (copied.setting("kept"), copied.setting("later")) == (b"in the journal only", None)
    await copied.close()


async def test_backupOfARestoredRelay_saysSo(home: Sample, target: Path) -> None:
    Restored(7).write(home.folder / "keys" / "restored")
    back_up(home.folder, target, NOW)
    assert "keys/restored" in names(target)


async def test_backup_replacesAFileOnlyIfTold(home: Sample, target: Path) -> None:
    target.write_bytes(b"precious")
    with pytest.raises(UserError, match=r"is there already: name another file, or let --replace"):
        back_up(home.folder, target, NOW)
    assert target.read_bytes() == b"precious"
    back_up(home.folder, target, NOW, replace=True)
    assert "relay.toml" in names(target)
    assert target.stat().st_mode & 0o777 == 0o600


async def test_damagedDatabase_isNotBackedUp_andNoOlderBackupIsLost(home: Sample, target: Path) -> None:
    await fill(home.database, *(setting_op(f"n{number}", bytes(500)) for number in range(200)))
    back_up(home.folder, target, NOW)
    good = target.read_bytes()
    damage(home.database)
    with pytest.raises(UserError, match=r"(?s)damaged.*`mixpay-relay restore`"):
        back_up(home.folder, target, NOW + 1, replace=True)
    with pytest.raises(UserError, match="damaged"):
        back_up(home.folder, target.with_name("another"), NOW + 1)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert target.read_bytes() == good


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("keys/operator.json", "there is no key"),
        ("keys/link.json", "there is no key"),
        ("relay.toml", "no configuration"),
    ],
)
def test_folderThatLacksSomething_isNoRelay(home: Sample, target: Path, name: str, why: str) -> None:
    (home.folder / name).unlink()
    with pytest.raises(UserError, match=why):
        back_up(home.folder, target, NOW)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["signed-epochs", "restored"])
def test_damagedRecord_isNotBackedUp(home: Sample, target: Path, name: str) -> None:
    (home.folder / "keys" / name).write_bytes(b"\0" * 20)
    with pytest.raises(UserError, match="is damaged: put back a copy"):
        back_up(home.folder, target, NOW)
    assert list(target.parent.iterdir()) == []


def test_placeThatCannotBeWritten_isTold(home: Sample, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*: No such file or directory"):
        back_up(home.folder, tmp_path / "none" / "relay.backup", NOW)
