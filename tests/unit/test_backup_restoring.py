"""Restoring real folders: all or nothing, nothing that is sound replaced, no record ever going back."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from home_samples import PASSWORD, REGISTRY, Sample, damage, fill, make_home
from mixpay.errors import UserError
from mixpay.types import Epoch
from relay.backup import restoring
from relay.backup.making import back_up
from relay.backup.restoring import restore
from relay.home import Home, database_name
from relay.keys.restored import Restored
from relay.keys.signed_epochs import SignedEpochs
from relay.store import RelayStore, setting_op

NOW = 1_700_000_000
ROWS = [setting_op(f"n{number}", bytes(500)) for number in range(200)]


@pytest.fixture
def home(tmp_path: Path) -> Sample:
    return make_home(tmp_path / "relay")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "relay.backup"


async def backed_up(home: Sample, source: Path, epoch: int = 4) -> None:
    """A relay with a database for each of two releases, and its backup."""
    for release in (0, 1):
        await fill(home.folder / database_name(release), *ROWS)
    home.record.add(Epoch(epoch))
    back_up(home.folder, source, NOW)


def is_restored(folder: Path, release: int) -> bool:
    return replace(Home.open(folder, PASSWORD), release=release).restored


# ---------------------------------------------------------------------- no folder there


async def test_lostFolder_comesBackWhole(home: Sample, source: Path) -> None:
    await backed_up(home, source)
    shutil.rmtree(home.folder)
    done = restore(source, home.folder)
    assert (done.whole, done.aside, done.deployment_missing) == ([], [], False)
    assert {"relay.sqlite", "relay-1.sqlite", "relay.toml", "keys/operator.json"} <= set(done.put)
    opened = Home.open(home.folder, PASSWORD)
    assert opened.operator == home.operator
    assert SignedEpochs(opened.signed_epochs, REGISTRY).newest == 4
    store = RelayStore(opened.database)
    assert (store.setting("kept"), store.packet_keys()) == (b"yes", {})
    await store.close()
    # The releases in the backup, and any other: its database may have been lost, too.
    assert [is_restored(home.folder, release) for release in (0, 1, 2)] == [True] * 3
    assert {path.stat().st_mode & 0o077 for path in [home.folder, *home.folder.rglob("*")]} == {0}
    assert not list(home.folder.parent.glob(".restore*"))


async def test_otherFolder_andItsParents_areMade(home: Sample, source: Path, tmp_path: Path) -> None:
    await backed_up(home, source)
    folder = tmp_path / "new" / "machine" / "relay"
    (tmp_path / "network.json").unlink()
    assert restore(source, folder).deployment_missing
    text = (folder / "relay.toml").read_text()
    text = text.replace(f'"{tmp_path / "network.json"}"', '"deployment.json"')
    (folder / "relay.toml").write_text(text)
    assert Home.open(folder, PASSWORD).operator == home.operator


async def test_folderWithOtherFiles_keepsThem(home: Sample, source: Path, tmp_path: Path) -> None:
    await backed_up(home, source)
    folder = tmp_path / "mounted"
    folder.mkdir(0o700)
    (folder / "password").write_text("mine")
    restore(source, folder)
    assert (folder / "password").read_text() == "mine"
    assert Home.open(folder, PASSWORD).operator == home.operator
    assert is_restored(folder, 0)


# ---------------------------------------------------------------------- a relay there


async def test_damagedDatabase_isPutAside_andTheSoundOneStays(home: Sample, source: Path) -> None:
    await backed_up(home, source)
    await fill(home.folder / "relay-1.sqlite", setting_op("newer", b"than the backup"))
    home.record.add(Epoch(9))
    damage(home.database)
    home.database.with_name("relay.sqlite-wal").write_bytes(b"an old journal would ruin it")
    before = home.files()
    done = restore(source, home.folder)
    assert (done.put, done.whole) == (["deployment.json", "relay.sqlite"], ["relay-1.sqlite"])
    assert done.aside[:2] == ["relay.sqlite.damaged-1", "relay.sqlite.damaged-1-wal"]
    after = home.files()
    assert after["relay.sqlite.damaged-1"] == before["relay.sqlite"]
    assert after["relay-1.sqlite"] == before["relay-1.sqlite"]
    assert home.record.newest == 9  # never back
    assert [is_restored(home.folder, release) for release in (0, 1, 2)] == [True, False, True]
    store = RelayStore(home.database)
    assert store.setting("kept") == b"yes"
    await store.close()


async def test_missingDatabase_isRestored_andTheNewerRecordOfEachRegistryCounts(
    home: Sample, source: Path
) -> None:
    await backed_up(home, source, epoch=9)
    home.database.unlink()
    (home.folder / "keys" / "signed-epochs").unlink()
    home.record.add(Epoch(4))
    assert restore(source, home.folder).aside == []
    assert home.record.newest == 9
    assert is_restored(home.folder, 0)


async def test_restoredAgain_itIsNeverTakenForWhole(home: Sample, source: Path) -> None:
    await backed_up(home, source)
    home.database.unlink()
    restore(source, home.folder)
    (home.folder / "relay-1.sqlite").unlink()
    done = restore(source, home.folder)
    assert (done.put, done.whole) == (["relay-1.sqlite"], [])
    assert [is_restored(home.folder, release) for release in (0, 1)] == [True, True]


async def test_backupOfARestoredRelay_neverMakesItWhole(home: Sample, source: Path) -> None:
    await backed_up(home, source)
    Restored(7, frozenset({"relay-1.sqlite"})).write(home.folder / "keys" / "restored")
    back_up(home.folder, source, NOW, replace=True)
    (home.folder / "keys" / "restored").unlink()  # whoever does that
    (home.folder / "relay-1.sqlite").unlink()
    restore(source, home.folder)
    assert [is_restored(home.folder, release) for release in (0, 1)] == [True, True]


async def test_soundRelay_isLeftAlone(home: Sample, source: Path) -> None:
    await backed_up(home, source)
    before = home.files()
    with pytest.raises(UserError, match="its databases are sound: nothing is to be restored"):
        restore(source, home.folder)
    assert home.files() == before


async def test_anotherRelay_isLeftAlone(home: Sample, source: Path, tmp_path: Path) -> None:
    await backed_up(home, source)
    other = make_home(tmp_path / "other")
    before = other.files()
    with pytest.raises(UserError, match=r"has the operator 0x.* choose another folder with --home"):
        restore(source, other.folder)
    assert other.files() == before


async def test_runningDaemon_isLeftAlone(home: Sample, source: Path) -> None:
    await backed_up(home, source)
    (home.folder / "relay-1.sqlite").unlink()
    running = RelayStore(home.database)
    before = home.files()
    with pytest.raises(
        UserError, match=rf"in use by another relay daemon \(process {os.getpid()}\): stop it"
    ):
        restore(source, home.folder)
    await running.close()
    assert (home.folder / "relay-1.sqlite").exists() is False
    assert before.keys() >= home.files().keys()


# ---------------------------------------------------------------------- all or nothing


async def test_badBackup_changesNothing(home: Sample, source: Path, tmp_path: Path) -> None:
    await backed_up(home, source)
    home.database.unlink()
    before = home.files()
    good = source.read_bytes()
    for bad in (good[: len(good) // 2], b"", good.replace(b"mixpay-relay backup", b"mixpay-relay backap")):
        source.write_bytes(bad)
        for folder in (home.folder, tmp_path / "fresh"):
            with pytest.raises(UserError, match="is not a backup"):
                restore(source, folder)
    assert home.files() == before
    assert not (tmp_path / "fresh").exists()
    assert not list(tmp_path.glob(".restore*"))


async def test_backupWithARelaysPartsOnly_isRefused(
    home: Sample, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made by a program with a mistake, say: its checksums are right."""
    await backed_up(home, source)
    monkeypatch.setattr(restoring, "_NEEDED", {"keys/none.json"})
    with pytest.raises(UserError, match=r"is not a whole backup: keys/none\.json is not in it"):
        restore(source, tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize("fails_at", range(1, 8))
async def test_failureInTheMiddle_isUndone(
    home: Sample, source: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    await backed_up(home, source)
    damage(home.database)
    (home.folder / "relay-1.sqlite").unlink()
    (home.folder / "relay.toml").unlink()
    Restored(7, frozenset({"relay.sqlite"})).write(home.folder / "keys" / "restored")
    before = home.files()
    move, calls = shutil.move, 0

    def failing(*places: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(28, "No space left on device")
        move(*places)

    monkeypatch.setattr(shutil, "move", failing)
    if fails_at > 5:  # there are five: two files, one aside, two databases
        restore(source, home.folder)
        assert calls == 5
        return
    with pytest.raises(UserError, match=r"cannot write in .*: No space left on device"):
        restore(source, home.folder)
    assert home.files() == before
    monkeypatch.setattr(shutil, "move", move)
    assert sorted(restore(source, home.folder).put) == [
        "deployment.json", "relay-1.sqlite", "relay.sqlite", "relay.toml"
    ]  # fmt: skip


async def test_crashInTheMiddle_isRepaired_andNothingTakenForWholeMeanwhile(
    home: Sample, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the first database: what is there is marked, and repeating it does the rest."""
    await backed_up(home, source)
    home.database.unlink()
    (home.folder / "relay-1.sqlite").unlink()
    copy = home.folder.parent / "crashed"
    move = shutil.move

    def watching(source: Path, target: Path) -> None:
        move(source, target)
        if Path(target).name == "relay-1.sqlite":  # the first of the two
            shutil.copytree(home.folder, copy)

    monkeypatch.setattr(shutil, "move", watching)
    restore(source, home.folder)
    monkeypatch.setattr(shutil, "move", move)
    assert [is_restored(copy, release) for release in (0, 1, 2)] == [True] * 3
    assert not (copy / "relay.sqlite").exists()
    assert restore(source, copy).put == ["relay.sqlite"]
    assert [is_restored(copy, release) for release in (0, 1, 2)] == [True] * 3
