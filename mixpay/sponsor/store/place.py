"""Which database: a file of our own, or a schema on a PostgreSQL server. A password in it never shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from mixpay.errors import UserError

_SCHEMA = "mixpay_issuer"
_HOW = "a database is named as postgresql://user@host:port/name"


@dataclass(frozen=True, slots=True)
class Place:
    """A database. `path` is None on a server; `schema` is None in a file."""

    url: URL
    path: Path | None = None
    schema: str | None = None

    @classmethod
    def file(cls, path: Path) -> Place:
        """A file of SQLite."""
        return cls(URL.create("sqlite+pysqlite", database=str(path)), path=path)

    @classmethod
    def server(cls, text: str, later: int | None = None) -> Place:
        """`postgresql://...`, as libpq reads it; the campaign of a later release has a schema of its own
        there.

        A password may stand before the `@`, in PGPASSWORD or in a password file of libpq's. Raises UserError.
        """
        try:
            url = make_url(text)
            # Its text would show this one.
            if url.drivername not in ("postgresql", "postgres") or "password" in url.query:
                raise UserError(f"{_HOW}; a password stands before the @, or in PGPASSWORD")
        except (ArgumentError, ValueError):
            raise UserError(_HOW) from None
        schema = _SCHEMA if later is None else f"{_SCHEMA}_{later}"
        return cls(url.set(drivername="postgresql+psycopg"), schema=schema)

    @property
    def may_exist(self) -> bool:
        """False for a file that is not there."""
        return self.path is None or self.path.exists()

    @property
    def address(self) -> str:
        """A server's, the same whether its password stands in it or elsewhere; "" of a file."""
        if self.path is not None:
            return ""
        url = self.url
        bare = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
        return bare.render_as_string()

    def __str__(self) -> str:
        """To be read: the file, or the address without its password."""
        if self.path is not None:
            return str(self.path)
        return self.url.set(drivername="postgresql").render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"Place({self})"
