"""The SQL of reading rows and of carrying out a group of changes.

Names come from `tables`, values are bound.
"""

from __future__ import annotations

import sqlite3

from relay.store.ops import Group, Key, Part, Table
from relay.store.tables import COUNTERS

# ruff: noqa: S608 -- no name in these statements comes from outside this package


def carry_out(database: sqlite3.Connection, group: Group) -> None:
    """Make the changes, within the caller's transaction. Raises sqlite3.Error."""
    for cut in group.ranges:
        where, values = condition(cut.table, cut.prefix, cut.low, cut.high)
        database.execute(f"DELETE FROM {cut.table.name} {where}", values)
    for table, rows in group.rows.items():
        gone = [key for key, data in rows.items() if data is None]
        kept = [(*key, data) for key, data in rows.items() if data is not None]
        if gone:
            where = " AND ".join(f"{name} = ?" for name in table.key)
            database.executemany(f"DELETE FROM {table.name} WHERE {where}", gone)
        if kept:
            marks = ", ".join("?" * (len(table.key) + 1))
            database.executemany(f"INSERT OR REPLACE INTO {table.name} VALUES ({marks})", kept)
    if group.counters:
        insert = f"INSERT INTO {COUNTERS} VALUES (?, ?)"
        raised = f"{insert} ON CONFLICT (name) DO UPDATE SET count = count + excluded.count"
        database.executemany(raised, list(group.counters.items()))


def selection(table: Table, prefix: Key, low: Part | None, high: Part | None, head: int) -> tuple[str, Key]:
    """The query for rows by key, and its values."""
    names = ", ".join(table.key)
    data = f"substr(data, 1, {head:d})" if head else "data"
    where, values = condition(table, prefix, low, high)
    return f"SELECT {names}, {data} FROM {table.name} {where} ORDER BY {names}", values


def condition(table: Table, prefix: Key, low: Part | None, high: Part | None) -> tuple[str, Key]:
    """A WHERE clause for keys that begin with `prefix` and whose next part lies in low..high."""
    terms = [f"{name} = ?" for name in table.key[: len(prefix)]]
    if low is None or high is None:
        return ("WHERE " + " AND ".join(terms) if terms else ""), prefix
    terms.append(f"{table.key[len(prefix)]} BETWEEN ? AND ?")
    return "WHERE " + " AND ".join(terms), (*prefix, low, high)
