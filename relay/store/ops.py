"""Changes of the database as values, and the net effect of a group of them.

All but `Add` say what a row *is* afterwards, so carrying a group out again changes only counters. A group is
committed whole or not at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from mixpay.records import record

Part: TypeAlias = int | str | bytes
Key: TypeAlias = tuple[Part, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of bytes by key. `key` names the columns of the primary key; the bytes are in column `data`.

    There is one object for each table, so two are equal only if they are one.
    """

    name: str
    key: tuple[str, ...]


@record
class Put:
    """Store `data` under `key`, in the place of what is there."""

    table: Table
    key: Key
    data: bytes = field(default=b"", repr=False)


@record
class Delete:
    """Remove the row under `key`, if there is one."""

    table: Table
    key: Key


@record
class DeleteRange:
    """Remove the rows whose key begins with `prefix`; with `low` and `high`, those whose next part lies
    within.
    """

    table: Table
    prefix: Key
    low: Part | None = None
    high: Part | None = None

    def covers(self, key: Key) -> bool:
        """Whether the row under `key` is one of them."""
        if key[: len(self.prefix)] != self.prefix:
            return False
        if self.low is None or self.high is None:
            return True
        part = key[len(self.prefix)]
        return bool(self.low <= part <= self.high)  # type: ignore[operator]  # one column holds one type


@record
class Append:
    """Store `data` in one row with what the same group appends under keys that differ in the last part only.

    The row stands under the first of these keys. So records that are written, read and removed together cost
    the disk one row. No key may come twice.
    """

    table: Table
    key: Key
    data: bytes = field(repr=False)


@record
class Add:
    """Raise a counter; the only change that counts each time."""

    counter: str
    amount: int = 1


StoreOp: TypeAlias = Put | Append | Delete | DeleteRange | Add


class Group:
    """The net effect of changes, in the order they came.

    For each table the ranges are removed first; what was put before a range and lies in it is dropped here.
    So the rows that remain hold whatever the order in which they are carried out.
    """

    def __init__(self) -> None:
        self.ranges: list[DeleteRange] = []
        self.rows: defaultdict[Table, dict[Key, bytes | bytearray | None]] = defaultdict(dict)
        """What rows hold afterwards; None: the row is gone."""
        self.counters: dict[str, int] = {}
        self.size = 0
        self._heads: dict[tuple[Table, Key], Key] = {}
        """Under which key a row stands that is appended to, by all but the last part."""

    def extend(self, ops: Iterable[StoreOp]) -> None:
        """Add changes that come after those before."""
        for op in ops:
            self.size += 1
            match op:
                case Put():
                    self.rows[op.table][op.key] = op.data
                case Append():
                    self._append(op)
                case Delete():
                    self.rows[op.table][op.key] = None
                case DeleteRange():
                    self._cut(op)
                case Add():
                    self.counters[op.counter] = self.counters.get(op.counter, 0) + op.amount

    def _append(self, op: Append) -> None:
        rows, group = self.rows[op.table], (op.table, op.key[:-1])
        head = self._heads.get(group)
        row = rows.get(head) if head is not None else None
        if isinstance(row, bytearray):
            row += op.data
        else:
            self._heads[group], rows[op.key] = op.key, bytearray(op.data)

    @property
    def forgets(self) -> bool:
        """Whether it removes anything."""
        return bool(self.ranges) or any(None in rows.values() for rows in self.rows.values())

    def _cut(self, op: DeleteRange) -> None:
        rows = self.rows[op.table]
        for key in [key for key in rows if op.covers(key)]:
            del rows[key]
        self.ranges.append(op)
