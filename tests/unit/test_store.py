"""The store: what was promised is on disk, in its order, and only then follows the rest. Real files."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.store import Add, Append, Delete, DeleteRange, Put, Store, StoreFailed, StoreLimits, StoreOp
from relay.store.ops import Group
from relay.store.sql import carry_out
from relay.store.tables import BOOKS, MESSAGES, MIGRATIONS, SETTINGS, TAGS
from store_ends import names, setting, store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.db"


async def test_written_rows_are_there_and_stay(path: Path) -> None:
    async with store(path) as opened:
        await opened.written(
            [setting("a", b"1"), Put(TAGS, (7, b"t" * 16)), Add("role:mix", 2), Add("role:mix")]
        )
        assert opened.rows(SETTINGS) == [(("a",), b"1")]
    async with store(path) as again:
        assert again.rows(SETTINGS) == [(("a",), b"1")]
        assert again.rows(TAGS) == [((7, b"t" * 16), b"")]
        assert again.counters() == {"role:mix": 3}


async def test_what_follows_runs_in_order_and_after_the_commit(path: Path) -> None:
    seen: list[tuple[int, bool]] = []

    def follow(number: int, opened: Store) -> Callable[[], None]:
        return lambda: seen.append((number, f"n{number}" in names(opened)))

    async with store(path) as opened:
        for number in range(20):
            opened.write([setting(f"n{number}")], follow(number, opened))
        assert seen == []
        await opened.written(())  # nothing to write: it only keeps its place in the order
        assert seen == [(number, True) for number in range(20)]


async def test_writes_that_come_together_share_a_commit(path: Path) -> None:
    async with store(path) as opened:
        await asyncio.gather(*(opened.written([setting(f"n{number}")]) for number in range(500)))
        assert opened.stats.changes == 500
        assert opened.stats.commits < 100


async def test_first_change_waits_for_company_and_all_share_a_commit(path: Path) -> None:
    async with store(path, limits=StoreLimits(gather=0.5)) as opened:
        first = asyncio.ensure_future(opened.written([setting("first")]))
        await asyncio.sleep(0.05)  # without gathering, the writer would have committed by now
        await opened.written([setting("second")])
        await first
        assert opened.stats.commits == 1


async def test_group_has_a_largest_size(path: Path) -> None:
    async with store(path, limits=StoreLimits(max_group=10)) as opened:
        await asyncio.gather(*(opened.written([setting(f"n{number}")]) for number in range(100)))
        assert opened.stats.commits >= 10


async def test_error_in_one_follower_leaves_the_others_alone(path: Path) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    def fail() -> None:
        raise RuntimeError("mine")

    async with store(path) as opened:
        opened.write([setting("a")], fail)
        await opened.written([setting("b")])
        assert names(opened) == ["a", "b"]
    assert [str(context["exception"]) for context in reported] == ["mine"]


async def test_cancelled_waiter_does_not_stop_its_write(path: Path) -> None:
    async with store(path) as opened:
        opened.written([setting("a")]).cancel()
        await opened.written(())
        assert names(opened) == ["a"]


async def test_close_writes_what_waits(path: Path) -> None:
    opened = Store(path)
    for number in range(50):
        opened.write([setting(f"n{number}")])
    await opened.close()
    with pytest.raises(StoreFailed, match="closed"):
        opened.write([setting("late")])
    async with store(path) as again:
        assert len(names(again)) == 50


async def test_close_writes_what_follows_from_what_waits(path: Path) -> None:
    opened = Store(path)
    opened.write([setting("a")], lambda: opened.write([setting("b")], lambda: opened.write([setting("c")])))
    await opened.close()
    await opened.close()
    async with store(path) as again:
        assert names(again) == ["a", "b", "c"]


async def test_congestion_is_told(path: Path) -> None:
    async with store(path, limits=StoreLimits(max_backlog=5)) as opened:
        assert not opened.congested
        opened.write([setting(f"n{number}") for number in range(6)])
        assert opened.congested
        await opened.written(())
        assert not opened.congested


async def test_ranges_are_read_and_deleted_by_key(path: Path) -> None:
    box, other = b"a" * 16, b"b" * 16
    async with store(path) as opened:
        await opened.written(
            [Put(MESSAGES, (who, n), bytes([n]) * 9) for who in (box, other) for n in range(1, 6)]
        )
        assert [key[1] for key, _ in opened.rows(MESSAGES, (box,), 2, 4)] == [2, 3, 4]
        assert opened.rows(MESSAGES, (box,), 3, 3, head=2) == [((box, 3), b"\x03\x03")]
        await opened.written([DeleteRange(MESSAGES, (box,), 0, 3), Delete(MESSAGES, (other, 5))])
        assert [key for key, _ in opened.rows(MESSAGES)] == [
            (box, 4),
            (box, 5),
            (other, 1),
            (other, 2),
            (other, 3),
            (other, 4),
        ]
        await opened.written([DeleteRange(MESSAGES, (box,))])
        assert {key[0] for key, _ in opened.rows(MESSAGES)} == {other}


parts = st.integers(0, 2)
keys = st.tuples(*(parts for _ in BOOKS.key))
operations = st.one_of(
    st.builds(Put, st.just(BOOKS), keys, st.binary(max_size=2)),
    st.builds(Delete, st.just(BOOKS), keys),
    st.builds(
        DeleteRange, st.just(BOOKS), keys.map(lambda key: key[:3]), st.integers(0, 2), st.integers(0, 2)
    ),
    st.builds(DeleteRange, st.just(BOOKS), keys.map(lambda key: key[:2])),
    st.builds(Add, st.sampled_from("ab"), st.integers(1, 3)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(operations, max_size=30), st.integers(1, 30))
def test_group_does_what_its_changes_do_one_by_one(ops: list[StoreOp], size: int) -> None:
    def outcome(groups: list[list[StoreOp]]) -> list[Any]:
        database = sqlite3.connect(":memory:")
        database.executescript(MIGRATIONS[0])
        for some in groups:
            group = Group()
            group.extend(some)
            carry_out(database, group)
        return database.execute("SELECT * FROM books").fetchall(), database.execute(
            "SELECT * FROM counters"
        ).fetchall()

    together = [ops[start : start + size] for start in range(0, len(ops), size)]
    assert outcome(together) == outcome([[op] for op in ops])


additions = st.tuples(st.integers(0, 1), st.integers(0, 1))
steps = st.one_of(additions, st.builds(DeleteRange, st.just(BOOKS), st.tuples(st.integers(0, 1))))


@given(st.lists(steps, max_size=40), st.integers(1, 40))
def test_what_is_appended_is_kept_in_one_row_of_a_commit(
    changes: list[tuple[int, int] | DeleteRange], size: int
) -> None:
    """The last part of a key counts up, as places of a batch do; a range removes what came before it only."""
    ops: list[StoreOp] = []
    expected: dict[tuple[int, ...], bytes] = {}
    for place, change in enumerate(changes):
        if isinstance(change, DeleteRange):
            ops.append(change)
            expected = {key: data for key, data in expected.items() if key[0] != change.prefix[0]}
            continue
        key, data = (change[0], 7, change[1], 0), bytes([place])
        ops.append(Append(BOOKS, (*key, place), data))
        expected[key] = expected.get(key, b"") + data
    database = sqlite3.connect(":memory:")
    database.executescript(MIGRATIONS[0])
    commits = [ops[start : start + size] for start in range(0, len(ops), size)]
    for some in commits:
        group = Group()
        group.extend(some)
        carry_out(database, group)
    rows = database.execute("SELECT * FROM books ORDER BY side, kind, place").fetchall()
    found: dict[tuple[int, ...], bytes] = {}
    for *key_, _, data in rows:
        found[tuple(key_)] = found.get(tuple(key_), b"") + data
    assert found == expected
    assert len(rows) <= len(expected) * len(commits)
    assert all(place == data[0] for *_, place, data in rows)


def test_changes_do_not_show_their_data() -> None:
    assert "secret" not in repr(setting("a", b"secret"))
    assert "secret" not in repr(Append(BOOKS, (0, 1, 2, 3, 4), b"secret"))
