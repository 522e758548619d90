"""Brings a database up to date and makes sure whose it is, in one transaction under a lock.

So instances that start at once do not meet half-made tables. An `issuer.db` from before there was Alembic
says its version in `user_version`: versions 2 and 3 have those of the first migration.
"""

from __future__ import annotations

from sqlalchemy import Connection, Row, insert, inspect, select, text

from mixpay.errors import UserError
from mixpay.sponsor.store import tables
from mixpay.sponsor.store.engine import Database

_LOCK = 0x6D697870
"""Of PostgreSQL's advisory locks: one for all schemas of a database, for the moment of a start."""
_BEFORE_ALEMBIC = (2, 3)
Campaign = tuple[int, bytes, int]


def prepare(database: Database, mine: Campaign, *, paused: bool = False) -> None:
    """Make or change the tables. `mine`: chain id, pool, number. `paused`: what a new database says first.

    Raises UserError if the database is another campaign's, or of a newer release; StoreUnavailable.
    """
    place = database.place
    with database.writing() as db:
        if place.schema is not None:
            db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            db.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{place.schema}"'))
        revision = _revision(db, str(place))
        if revision != tables.REVISION:
            _upgrade(db, revision, str(place))
        row = db.execute(select(tables.campaign)).one_or_none()
        if row is None:
            chain_id, pool, number = mine
            db.execute(insert(tables.campaign).values(chain_id=chain_id, pool=pool, number=number))
            if paused:
                db.execute(insert(tables.paused).values(one=1))
        else:
            _check(row, mine, str(place))


def _check(row: Row[Campaign], mine: Campaign, shown: str) -> None:
    if (row.chain_id, row.pool, row.number) != mine:
        raise UserError(
            f"{shown} belongs to campaign {row.number} on chain {row.chain_id}, not to this one:"
            " name another data folder or database"
        )


def _revision(db: Connection, shown: str) -> str | None:
    """What the database says of itself; None if it is empty."""
    there = set(inspect(db).get_table_names())
    if "alembic_version" in there:
        return db.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if not there:
        return None
    version = db.execute(text("PRAGMA user_version")).scalar_one() if db.dialect.name == "sqlite" else 0
    if version in _BEFORE_ALEMBIC and "campaign" in there:
        return "before"
    raise UserError(f"{shown} holds tables that are not this issuer's")


def _upgrade(db: Connection, revision: str | None, shown: str) -> None:
    # Loaded when there is something to do: it takes half a second.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "mixpay.sponsor.store:migrations")
    config.attributes["connection"] = db
    if revision == "before":
        command.stamp(config, "0001")
    elif revision is not None and revision > tables.REVISION:
        raise UserError(f"{shown} was written by a newer release of mixpay: update first")
    command.upgrade(config, "head")
