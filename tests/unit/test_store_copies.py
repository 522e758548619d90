"""Copies of a database for backups: consistent beside a writer, checked, without what no copy may keep."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from home_samples import ORIGIN, SECRET, TAG, damage, fill
from mixpay.errors import UserError
from relay.store import Add, Put, RelayStore, Store
from relay.store.copies import copy, require_sound
from relay.store.tables import BOOKS, MIGRATIONS, SETTINGS
from store_ends import store
from test_store_trouble import CRASH


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.sqlite"


async def test_copyOfAStoppedRelay_hasEverythingButSecretsThatEnd(path: Path, tmp_path: Path) -> None:
    await fill(path)
    before = path.read_bytes()
    target = tmp_path / "copy.sqlite"
    copy(path, target)
    assert path.read_bytes() == before
    assert target.stat().st_mode & 0o777 == 0o600
    content = target.read_bytes()
    assert [part in content for part in (SECRET, TAG, ORIGIN)] == [False] * 3
    copied = RelayStore(target)
    assert copied.packet_keys() == {}
    assert list(copied.tags(0)) == []
    assert [type(row).__name__ for row in dict(copied.book_rows())[1, 5]] == ["PlacedTicket"]
    assert copied.setting("kept") == b"yes"
    await copied.close()


async def test_copyBesideARunningStore_hasWhatIsOnlyInItsJournal(path: Path, tmp_path: Path) -> None:
    running = RelayStore(path)
    await running.written([Put(SETTINGS, ("kept",), b"in the journal")])
    copy(path, tmp_path / "copy.sqlite")
    await running.written([Put(SETTINGS, ("later",), b"x")])
    await running.close()
    async with store(tmp_path / "copy.sqlite") as copied:
        assert [key for key, _ in copied.rows(SETTINGS)] == [("kept",)]


async def test_copiesDuringWrites_areStatesBetweenCommits(path: Path, tmp_path: Path) -> None:
    """Another process writes pairs all the time, and must not be held up."""
    child = subprocess.Popen([sys.executable, "-c", CRASH, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    last = 0
    for number in range(4):
        promised = int(child.stdout.readline())
        target = tmp_path / f"copy-{number}.sqlite"
        await asyncio.to_thread(copy, path, target)
        async with store(target) as copied:
            kept = {key[0] for key, _ in copied.rows(SETTINGS)}
            assert {f"n{key[4]}" for key, _ in copied.rows(BOOKS)} == kept
            assert copied.counters()["pairs"] == len(kept) >= max(promised, last)
            last = len(kept)
    os.kill(child.pid, signal.SIGKILL)
    child.stdout.close()
    child.wait()
    copy(path, tmp_path / "after.sqlite")  # what a killed daemon left in its journal is there, too
    async with store(tmp_path / "after.sqlite") as copied:
        assert copied.counters()["pairs"] >= last


async def test_copyOfAnEarlierVersion_isOfThatVersion(path: Path, tmp_path: Path) -> None:
    async with store(path, migrations=MIGRATIONS[:1]) as opened:
        await opened.written([Put(SETTINGS, ("a",), b"x"), Add("n")])
    target = tmp_path / "copy.sqlite"
    copy(path, target)
    with sqlite3.connect(target) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    async with store(target) as copied:  # brought up to date
        assert copied.counters() == {"n": 1}


@pytest.mark.parametrize("act", [lambda path: copy(path, path.with_name("copy")), require_sound])
async def test_whatIsNoSoundDatabase_isRefused(path: Path, act) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="there is no database"):
        act(path)
    path.touch()
    refused(act, path, "it is empty")
    path.write_bytes(b"not a database at all" * 1000)
    refused(act, path, "damaged or not a relay's database")
    path.unlink()
    async with store(path, migrations=(*MIGRATIONS, "CREATE TABLE future (x)")):
        pass
    refused(act, path, "newer release")
    path.unlink()
    other = sqlite3.connect(path)
    other.executescript("CREATE TABLE sponsors (name TEXT)")
    other.close()
    refused(act, path, "another program")
    path.unlink()
    opened = Store(path)
    await opened.written([Put(SETTINGS, (f"n{number}",), os.urandom(500)) for number in range(200)])
    await opened.close()
    act(path)
    damage(path)
    refused(act, path, r"(?s)damaged.*`mixpay-relay restore`")


def refused(act, path: Path, why: str) -> None:  # type: ignore[no-untyped-def]
    path.with_name("copy").unlink(missing_ok=True)
    with pytest.raises(UserError, match=why):
        act(path)
    path.with_name("copy").unlink(missing_ok=True)


async def test_copy_replacesNothing(path: Path, tmp_path: Path) -> None:
    await fill(path)
    (tmp_path / "copy").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        copy(path, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"mine"
