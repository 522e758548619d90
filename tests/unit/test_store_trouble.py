"""The store in trouble: kills, thieves, damage, strangers' files, a disk that says no. Real files."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mixpay.errors import UserError
from relay.store import Delete, DeleteRange, Put, Store, StoreFailed, StoreLimits
from relay.store.tables import BOOKS, MESSAGES, MIGRATIONS, SETTINGS, TABLES, TAGS
from store_ends import names, setting, store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.db"


# ---------------------------------------------------------------------- crashes

CRASH = """
import asyncio, sys
from pathlib import Path
from relay.store import Add, Put, Store
from relay.store.tables import BOOKS, SETTINGS

async def main():
    store = Store(Path(sys.argv[1]))
    number = 0
    while True:
        waits = []
        for _ in range(20):
            one = Put(SETTINGS, (f"n{number}",), b"x" * 500)
            two = Put(BOOKS, (0, 1, 2, 3, number), b"y")
            waits.append(store.written([one, two, Add("pairs")]))
            number += 1
        await asyncio.gather(*waits)
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 7, 40])
async def test_killed_daemon_loses_nothing_it_promised(path: Path, lines: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", CRASH, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    promised = 0
    for _ in range(lines):
        promised = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    rest = child.stdout.read().splitlines()
    child.wait()
    child.stdout.close()
    # The last line may be cut by the kill; all before it were promised.
    promised = max([promised, *map(int, rest[:-1])])
    async with store(path) as opened:
        kept = {key[0] for key, _ in opened.rows(SETTINGS)}
        assert {f"n{number}" for number in range(promised)} <= kept
        # A write is there whole or not at all.
        assert {f"n{key[4]}" for key, _ in opened.rows(BOOKS)} == kept
        assert opened.counters()["pairs"] == len(kept)


# ---------------------------------------------------------------------- traces


def traces(path: Path, needle: bytes) -> list[str]:
    """Files of the database that still hold some bytes."""
    return [file.name for file in sorted(path.parent.iterdir()) if needle in file.read_bytes()]


async def test_deleted_rows_leave_no_trace_in_any_file(path: Path) -> None:
    needle = b"who sent what to whom"
    async with store(path, limits=StoreLimits(scrub_after=0.01)) as opened:
        await opened.written([Put(BOOKS, (0, 1, 2, 3, place), needle) for place in range(50)])
        await opened.written([Put(MESSAGES, (b"a" * 16, n), needle * 100) for n in range(50)])
        assert traces(path, needle) != []
        await opened.written([DeleteRange(BOOKS, (0,)), DeleteRange(MESSAGES, (b"a" * 16,))])
        async with asyncio.timeout(10):
            while traces(path, needle):  # the scrub comes by itself
                await asyncio.sleep(0.01)
        await opened.written([setting("a")])


async def test_replaced_and_deleted_rows_leave_no_trace_after_close(path: Path) -> None:
    async with store(path) as opened:
        await opened.written([setting("a", b"the first secret"), setting("b", b"the second secret")])
        await opened.written([setting("a", b"another"), Delete(SETTINGS, ("b",))])
    assert traces(path, b"secret") == []
    assert traces(path, b"another") == ["relay.db"]


async def test_files_are_readable_by_the_owner_only(path: Path) -> None:
    async with store(path) as opened:
        await opened.written([setting("a")])
        files = list(path.parent.iterdir())
        assert len(files) >= 3
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


# ---------------------------------------------------------------------- trouble


async def test_second_daemon_is_refused_by_name(path: Path) -> None:
    async with store(path):
        with pytest.raises(UserError, match=rf"in use by another relay daemon \(process {os.getpid()}\)"):
            Store(path)
    async with store(path):
        pass


async def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write in"):
        Store(tmp_path / "nowhere" / "relay.db")


async def test_file_that_is_no_database_is_told(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(UserError, match="damaged or not a relay's database"):
        Store(path)
    assert path.read_bytes().startswith(b"this is not")  # and left as it was


async def test_database_of_another_program_is_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.executescript("CREATE TABLE sponsors (name TEXT);")
    other.close()
    with pytest.raises(UserError, match="another program"):
        Store(path)


async def test_damage_is_found_at_the_start(path: Path) -> None:
    async with store(path) as opened:
        await opened.written([setting(f"n{number}", os.urandom(500)) for number in range(200)])
    content = bytearray(path.read_bytes())
    for page in range(len(content) // 4096 // 2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        Store(path)


async def test_newer_file_is_refused(path: Path) -> None:
    async with store(path, migrations=(*MIGRATIONS, "CREATE TABLE future (x)")):
        pass
    with pytest.raises(UserError, match="newer release"):
        Store(path)


async def test_older_file_is_brought_up_to_date(path: Path) -> None:
    async with store(path) as opened:
        await opened.written([setting("a")])
    step = "ALTER TABLE counters ADD COLUMN note TEXT"
    async with store(path, migrations=(*MIGRATIONS, step)) as newer:
        assert names(newer) == ["a"]
    async with store(path, migrations=(*MIGRATIONS, step)) as newer:
        assert names(newer) == ["a"]


async def test_failed_step_changes_nothing(path: Path) -> None:
    async with store(path):
        pass
    with pytest.raises(UserError, match="cannot use"):
        Store(path, migrations=(*MIGRATIONS, "CREATE TABLE half (x); SELECT no_such_function()"))
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)
    assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    database.close()


async def test_failed_commit_fails_the_store_for_good(path: Path) -> None:
    told: list[StoreFailed] = []
    ran: list[str] = []
    opened = Store(path, on_failure=told.append)
    await opened.written([setting("a")])
    # SQLite has no such integer: as good as a disk that says no.
    bad = opened.written([setting("b"), Put(TAGS, (2**64, b"t"))])
    opened.write([setting("c")], lambda: ran.append("c"))
    with pytest.raises(StoreFailed, match="cannot write"):
        await bad
    assert len(told) == 1
    with pytest.raises(StoreFailed):
        opened.write([setting("d")])
    await opened.close()
    assert ran == []
    async with store(path) as again:
        assert names(again) == ["a"]


async def test_full_disk_is_a_failure(path: Path) -> None:
    told: list[StoreFailed] = []
    opened = Store(path, on_failure=told.append)
    await opened.written([setting("a")])
    opened._database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreFailed, match=r"full\. So the relay ends: .* start the relay again"):
        await opened.written([setting("b", bytes(100_000))])
    await opened.close()
    assert len(told) == 1


async def test_no_thread_is_left(path: Path) -> None:
    async with store(path) as opened:
        await opened.written([setting("a")])
        assert any(thread.name == "store" for thread in threading.enumerate())
    assert not any(thread.name == "store" for thread in threading.enumerate())


def test_tables_are_those_of_the_last_step() -> None:
    database = sqlite3.connect(":memory:")
    for step in MIGRATIONS:
        database.executescript(step)
    for table in TABLES:
        columns = database.execute(f"PRAGMA table_info({table.name})").fetchall()
        assert tuple(name for _, name, *_ in columns) == (*table.key, "data")
        assert [name for _, name, *_, place in sorted(columns, key=lambda c: c[5]) if place] == list(
            table.key
        )
