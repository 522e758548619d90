"""One SQLite file of a client's state: opening it, its formats, its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar, Self

from mixpay.errors import UserError


class Database:
    """A file, made on first use, brought to the newest format on later ones. Raises UserError if it is none,
    or of a newer release.
    """

    STEPS: ClassVar[Sequence[str]]
    """The statements that each format added to the one before it."""

    def __init__(self, path: Path) -> None:
        try:
            path.touch(mode=0o600)
            self._connection = sqlite3.connect(path, timeout=10, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            # A tick that was sent must be spent after a power cut too.
            self._connection.execute("PRAGMA synchronous = FULL")
            # What is deleted is overwritten: old passes tell of the past, bodies are other people's words.
            self._connection.execute("PRAGMA secure_delete = ON")
            self._migrate()
        except (OSError, sqlite3.DatabaseError) as error:
            raise UserError(f"cannot use {path}: {error}; move it away to begin anew") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _migrate(self) -> None:
        with self._transaction() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > len(self.STEPS):
                raise sqlite3.DatabaseError(f"it was written by a newer release (format {version})")
            for step in self.STEPS[version:]:
                for statement in step.split(";"):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {len(self.STEPS)}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")
