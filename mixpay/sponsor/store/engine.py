"""Connections and transactions of SQLAlchemy, which mean the same for both databases.

    reading    sees one state of the database
    writing    all or nothing, on disk when it ends; in SQLite one at a time, from its beginning

SQLite: WAL, synced with every transaction, and what is deleted is overwritten. PostgreSQL: read committed;
what must not happen at once takes a row's lock. Its connections set the search path, so a pooler between has
to keep sessions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError

from mixpay.errors import MixpayError, UserError
from mixpay.sponsor.store.place import Place

_PATIENCE = 15
"""Seconds to wait for another's transaction, or for a server."""
_LINE = {
    "tcp_user_timeout": 1000 * _PATIENCE,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
"""For libpq, unless the address says otherwise: a server that vanished is noticed after about 20 s."""
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = ON",
)
_WRITES = "mixpay_writes"


class StoreUnavailable(MixpayError):
    """The database does not answer, or takes nothing. Nothing was changed; try again later."""


class Database:
    """Connections to one database. Thread safe."""

    def __init__(self, place: Place) -> None:
        """Makes a file that is not there. Connects when it is needed. Raises UserError for a file that cannot
        be.
        """
        self.place = place
        self.is_file = place.path is not None
        self._engine = _postgresql(place) if place.path is None else _sqlite(place, place.path)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that changes nothing. Raises StoreUnavailable."""
        with _trouble(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is on disk when it ends, or changes nothing. Raises StoreUnavailable."""
        with (
            _trouble(),
            self._engine.connect() as connection,
            connection.execution_options(**{_WRITES: True}).begin(),
        ):
            yield connection

    def forget(self) -> None:
        """Leave nothing of deleted rows in SQLite's journal; PostgreSQL has its own ways (VACUUM, its
        log).
        """
        if self.is_file:
            with _trouble():
                raw = self._engine.raw_connection()
                try:
                    raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    raw.close()


def _sqlite(place: Place, path: Path) -> Engine:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise UserError(f"cannot open {path}: {error.strerror}") from None
    engine = create_engine(place.url, hide_parameters=True, connect_args={"timeout": _PATIENCE})

    @event.listens_for(engine, "connect")
    def settings(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        for pragma in _PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # At once: a lock that is wanted only at the first write may come too late for what was read before.
        how = "BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN"
        connection.exec_driver_sql(how)

    return engine


def _postgresql(place: Place) -> Engine:
    engine = create_engine(
        place.url,
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": _PATIENCE,
            "application_name": "mixpay sponsor",
            **{name: value for name, value in _LINE.items() if name not in place.url.query},
        },
    )

    @event.listens_for(engine, "connect")
    def settings(connection: Any, _: object) -> None:
        connection.autocommit = True
        connection.execute(f'SET search_path TO "{place.schema}"')
        connection.execute(f"SET lock_timeout TO '{_PATIENCE}s'")
        connection.autocommit = False

    return engine


@contextmanager
def _trouble() -> Iterator[None]:
    """The driver's errors of operation as ours: they say where, and nothing of what was written.

    An InternalError of PostgreSQL's is about a transaction's state: it takes no writes, while another server
    takes over, say.
    """
    try:
        yield
    except (OperationalError, InterfaceError, InternalError) as error:
        raise StoreUnavailable(f"the database does not answer: {first_line(error)}") from None


def first_line(error: DBAPIError) -> str:
    """What the driver says, without the statement."""
    return str(error.orig).strip().split("\n", 1)[0]


def upserting(dialect: str, table: Table) -> postgresql.Insert:
    """An INSERT that takes ON CONFLICT: the same words in both databases, two classes in SQLAlchemy."""
    if dialect == "postgresql":
        return postgresql.insert(table)
    return cast(postgresql.Insert, sqlite.insert(table))
