"""Opening the database file: one daemon only, sound, ours, of a version we know.

Every way it can fail is a UserError that says what to do.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mixpay.errors import UserError

APPLICATION_ID = 0x4D495850  # "MIXP"

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # a commit is on disk when it returns
    "secure_delete = ON",  # what is deleted is overwritten: settled tickets leave no trace (I10)
    "foreign_keys = OFF",
    "trusted_schema = OFF",
)


class FileLock:
    """Held by one process at a time; the kernel lets it go when the process dies, however it dies."""

    def __init__(self, database: Path, shown: str = "") -> None:
        """`shown`: what is locked, for people.

        Raises UserError when another process holds the lock, or the folder cannot be written.
        """
        path = database.with_name(database.name + ".lock")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UserError(f"cannot write in {database.parent}: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise UserError(
                f"{shown or database} is in use by another relay daemon (process {holder}): stop it first"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let others in."""
        os.close(self._file)


def open_writer(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """The connection that writes, for one thread at a time; makes the file, or brings it up to date.

    Raises UserError. The caller holds the lock.
    """
    with explained(path):
        path.touch(0o600)
        path.chmod(0o600)  # a copy that was put back may be open to others, and there are keys in it
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            for pragma in _PRAGMAS:
                database.execute(f"PRAGMA {pragma}").fetchall()
            check(path, database)
            _migrate(path, database, migrations)
        except BaseException:
            database.close()
            raise
    return database


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, beside the one that writes. Raises UserError."""
    with explained(path):
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


class explained:
    """Turns errors of the disk and of SQLite into words for the operator."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        match error:
            case OSError():
                raise UserError(f"cannot open {self._path}: {error.strerror}") from None
            case sqlite3.OperationalError():
                raise UserError(f"cannot use the database {self._path}: {error}") from None
            case sqlite3.DatabaseError():
                raise damaged(self._path, str(error)) from None


def damaged(path: Path, detail: str) -> UserError:
    """The error for a file that is not, or no longer, a relay's database."""
    return UserError(
        f"{path} is damaged or not a relay's database ({detail}): put back a backup with `mixpay-relay "
        "restore`. Without one, move the file away; tickets and passes that are not settled are then lost, "
        "the stake and the ledger are not"
    )


def _number(database: sqlite3.Connection, pragma: str) -> int:
    value: int = database.execute(f"PRAGMA {pragma}").fetchone()[0]
    return value


def check(path: Path, database: sqlite3.Connection, schema: str = "main") -> None:
    """Raise UserError if it is damaged, or another program's. An empty one is neither."""
    tables = database.execute(f"SELECT count(*) FROM {schema}.sqlite_schema").fetchone()[0]  # noqa: S608 -- ours
    if tables and _number(database, f"{schema}.application_id") != APPLICATION_ID:
        raise damaged(path, "it belongs to another program")
    verdict = database.execute(f"PRAGMA {schema}.quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise damaged(path, verdict)


def version_of(
    path: Path, database: sqlite3.Connection, migrations: Sequence[str], schema: str = "main"
) -> int:
    """Which steps were taken. Raises UserError if there are some that we do not know."""
    version = _number(database, f"{schema}.user_version")
    if version > len(migrations):
        raise UserError(f"{path} was written by a newer release of the relay: install that one")
    return version


def _migrate(path: Path, database: sqlite3.Connection, migrations: Sequence[str]) -> None:
    version = version_of(path, database, migrations)
    for step in range(version, len(migrations)):
        script = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {step + 1};"
        try:
            database.executescript(f"BEGIN IMMEDIATE; {migrations[step]}; {script} COMMIT;")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise
