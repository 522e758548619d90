"""A copy of a database for a backup, beside a daemon that goes on writing.

It is read in one transaction, so it is the state between two commits, and never half of one; a reader does
not hold up the writer. Some rows stay out of it, because a backup is kept longer than they may be (I10):

    packet keys   who has one reads what was sent to us in its epoch: they are destroyed after it, and a copy
                  would not be
    replay tags   nothing needs them without the keys
    tickets that  they say which packet came from whom, and a restored relay takes no ack for them
    wait for acks
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from mixpay.book.rows import ISSUED
from mixpay.errors import UserError
from relay.store import files
from relay.store.tables import BOOKS, MIGRATIONS, PACKET_KEYS, TAGS

# ruff: noqa: S608 -- names come from a database of ours, and this module

_LEFT_OUT = {PACKET_KEYS.name: "0", TAGS.name: "0", BOOKS.name: f"kind <> {ISSUED}"}
"""What is copied of these tables."""


def copy(source: Path, target: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Make `target`, of mode 0600. Raises UserError if `source` is missing, damaged, too new, or not ours."""
    if not source.is_file():
        raise UserError(f"there is no database {source}")
    target.touch(0o600, exist_ok=False)
    with files.explained(source):
        database = sqlite3.connect(target.absolute().as_uri(), uri=True, isolation_level=None)
        try:
            database.execute("PRAGMA trusted_schema = OFF")
            # Nothing is written to it. But a reader that could not write would leave journals behind.
            database.execute("ATTACH ? AS source", (f"{source.absolute().as_uri()}?mode=rw",))
            database.execute("BEGIN")
            version = _checked(source, database, migrations)
            _fill(database)
            database.execute(f"PRAGMA main.application_id = {files.APPLICATION_ID}")
            database.execute(f"PRAGMA main.user_version = {version}")
            database.execute("COMMIT")
        finally:
            database.close()


def _checked(source: Path, database: sqlite3.Connection, migrations: Sequence[str]) -> int:
    files.check(source, database, "source")
    version = files.version_of(source, database, migrations, "source")
    if not version:
        raise files.damaged(source, "it is empty")
    return version


def _fill(database: sqlite3.Connection) -> None:
    tables = database.execute("SELECT name, sql FROM source.sqlite_schema WHERE type = 'table'").fetchall()
    for name, statement in tables:
        database.execute(statement)
        kept = _LEFT_OUT.get(name, "1")
        database.execute(f"INSERT INTO main.{name} SELECT * FROM source.{name} WHERE {kept}")


def require_sound(path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Raise UserError unless this is a sound database of a relay, of a version that we know.

    Nobody writes to it meanwhile. A damaged one stays as it is, journals and all.
    """
    if not path.is_file():
        raise UserError(f"there is no database {path}")
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    database = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
    try:
        with files.explained(path):
            files.check(path, database)
            if not files.version_of(path, database, migrations):
                raise files.damaged(path, "it is empty")
    finally:
        database.close()
