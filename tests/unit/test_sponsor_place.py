"""Which database: files and their age, servers that do not answer, and passwords, which never show."""

from __future__ import annotations

import sqlite3
import traceback
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from mixpay.errors import UserError
from mixpay.passes import RedeemedPass, Scope
from mixpay.sponsor.config import Home, SponsorConfig
from mixpay.sponsor.store import Claim, Counted, Place, Store, StoredVoucher, StoreUnavailable, engine
from mixpay.types import Account, Amount

POOL = bytes(range(20))
PASSWORD = "opensesame"

VERSION_2 = """
CREATE TABLE campaign (chain_id INTEGER NOT NULL, pool BLOB NOT NULL, number INTEGER NOT NULL);
CREATE TABLE issued (
    identity BLOB PRIMARY KEY, kind INTEGER NOT NULL, period INTEGER NOT NULL, passes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE period_keys (
    kind INTEGER NOT NULL, period INTEGER NOT NULL, modulus BLOB NOT NULL, hop_price TEXT NOT NULL,
    PRIMARY KEY (kind, period)
) WITHOUT ROWID;
CREATE TABLE redeemed (
    pass_id BLOB PRIMARY KEY, kind INTEGER NOT NULL, period INTEGER NOT NULL, relay BLOB NOT NULL,
    ticks INTEGER NOT NULL, at_pool INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE vouchers (
    relay BLOB PRIMARY KEY, period INTEGER NOT NULL, cumulative TEXT NOT NULL, signature BLOB NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = 2;
"""
VERSION_3 = """
CREATE TABLE past_issued (
    kind INTEGER NOT NULL, period INTEGER NOT NULL, identities INTEGER NOT NULL, passes INTEGER NOT NULL,
    PRIMARY KEY (kind, period)
) WITHOUT ROWID;
CREATE TABLE past_redeemed (
    relay BLOB NOT NULL, kind INTEGER NOT NULL, period INTEGER NOT NULL, passes INTEGER NOT NULL,
    ticks INTEGER NOT NULL, PRIMARY KEY (relay, kind, period)
) WITHOUT ROWID;
CREATE TABLE paused (one INTEGER PRIMARY KEY CHECK (one = 1)) WITHOUT ROWID;
PRAGMA user_version = 3;
"""


def test_file_isPrivate(tmp_path: Path) -> None:
    path = tmp_path / "issuer.db"
    store = Store(path, 31337, POOL, 1)
    assert {found.stat().st_mode & 0o777 for found in tmp_path.iterdir()} == {0o600}
    store.close()


def test_file_ofAnotherKindOrPlace_isRefused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("this is no database, but it is long enough to be looked at as one" * 20)
    with pytest.raises(UserError, match=f"{text} is not a usable database"):
        Store(text, 31337, POOL, 1)
    with pytest.raises(UserError, match="cannot open"):
        Store(tmp_path / "nowhere" / "issuer.db", 31337, POOL, 1)


@pytest.mark.parametrize("script", [VERSION_2, VERSION_2 + VERSION_3])
def test_file_fromBeforeMigrations_isTakenOver(tmp_path: Path, script: str) -> None:
    path, relay = tmp_path / "issuer.db", Account(b"\1" * 20)
    with sqlite3.connect(path) as db:
        db.executescript(script)
        db.execute("INSERT INTO campaign VALUES (31337, ?, 1)", (POOL,))
        db.execute("INSERT INTO redeemed VALUES (?, 1, 5, ?, 30, 0)", (b"\2" * 32, relay))
        db.execute("INSERT INTO vouchers VALUES (?, 5, '150', ?)", (relay, b"s" * 65))
    for _ in range(2):
        store = Store(path, 31337, POOL, 1)
        assert store.voucher(relay) == StoredVoucher(relay, 5, Amount(150), b"s" * 65)
        assert store.redeemed([b"\2" * 32]) == [RedeemedPass(b"\2" * 32, Scope(31337, POOL, 1, 1, 5), 30)]
        store.agree_on_secret_key(1, 5, b"key")
        store.pause(True)
        store.close()
    with pytest.raises(UserError, match="belongs to campaign 1"):
        Store(path, 31337, POOL, 2)


def test_server_isNamedWithoutItsPassword() -> None:
    place = Place.server(f"postgresql://user:{PASSWORD}@db.example:5433/mixpay?sslmode=require")
    assert place.url.password == PASSWORD
    for shown in (str(place), repr(place), f"{[place]}", repr(place.url)):
        assert PASSWORD not in shown and "db.example" in shown
    assert place.schema != Place.server("postgresql://db.example/mixpay", 1).schema
    assert place.address == "postgresql://user@db.example:5433/mixpay?sslmode=require"
    assert place.address == Place.server(f"postgres://{place.address[13:]}").address


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://db.example/mixpay?password={PASSWORD}",
        f"postgresql://db.example/mixpay?sslkey=client.key&sslpassword={PASSWORD}",
        f"mysql://user:{PASSWORD}@db.example/mixpay",
        f"postgresql+asyncpg://user:{PASSWORD}@db.example/mixpay",
        f"postgresql://user:{PASSWORD}@db.example:port/mixpay",
        PASSWORD,
    ],
)
def test_server_refusesWhatIsNoAddress_withoutQuotingIt(text: str) -> None:
    with pytest.raises(UserError) as caught:
        Place.server(text)
    assert PASSWORD not in str(caught.value) and "postgresql://" in str(caught.value)
    assert all(PASSWORD not in line for line in traceback.format_exception(caught.value))


def test_server_thatDoesNotAnswer_isNamedWithoutThePassword(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place.server(f"postgresql://user:{PASSWORD}@/mixpay?host={tmp_path}")
    with caplog.at_level("DEBUG"), pytest.raises(UserError, match="does not answer") as caught:
        Store(place, 31337, POOL, 1)
    assert str(tmp_path) in str(caught.value)
    assert PASSWORD not in str(caught.value) + caplog.text


def test_password_mayComeFromTheEnvironment(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The private server asks for none, so what counts here is that libpq reads its own variables."""
    monkeypatch.setenv("PGUSER", "nobody-of-that-name")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    address = postgres.replace("mixpay@", "")
    with pytest.raises(UserError, match="nobody-of-that-name") as caught:
        Store(Place.server(address), 31337, POOL, 1)
    assert PASSWORD not in str(caught.value)


def test_settings_sayWhichDatabase_andDoNotShowIt(tmp_path: Path) -> None:
    home = Home(tmp_path)
    address = f"postgresql://user:{PASSWORD}@db.example/mixpay"
    config = SponsorConfig(rpc_url="http://127.0.0.1:1", deployment="x", database=address)
    assert PASSWORD not in repr(config)
    assert home.database(config.database).url.host == "db.example"
    assert home.database("").path == tmp_path / "issuer.db"
    assert home.database("", 3).path == tmp_path / "issuer-3.db"


def test_sessionsThatTheServerEnds_areOpenedAgain(schema: Place, postgres: str) -> None:
    store = Store(schema, 31337, POOL, 1)
    assert store.agree_on_secret_key(1, 5, b"key") == b"key"
    with psycopg.connect(postgres, autocommit=True) as server:
        ended = server.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE application_name = 'mixpay sponsor'"
        ).fetchall()
    assert ended and all(row[0] for row in ended)
    assert store.secret_key(1, 5) == b"key"
    store.close()


def test_aServerThatIsGone_isNotWaitedForLong_unlessTheAddressSaysSo(schema: Place) -> None:
    """A cable that is pulled says nothing: without these, signatures wait for a quarter of an hour."""
    mine = replace(schema, url=schema.url.update_query_dict({"keepalives_idle": "77"}))
    for place, idle in ((schema, "10"), (mine, "77")):
        database = engine.Database(place)
        with database.reading() as db:
            said = db.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
        database.close()
        assert (said["tcp_user_timeout"], said["keepalives_idle"]) == ("15000", idle)


def test_aServerThatOnlyReads_isUnavailable(schema: Place) -> None:
    """As the one is that another one takes over from."""
    store = Store(schema, 31337, POOL, 1)
    standby = schema.url.update_query_dict({"options": "-c default_transaction_read_only=on"})
    database = engine.Database(replace(schema, url=standby))
    with pytest.raises(StoreUnavailable, match="read-only"), database.writing() as db:
        db.execute(text("DELETE FROM paused"))
    database.close()
    store.close()


def test_aDatabaseThatTakesNothing_isUnavailable_andChangesNothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_PATIENCE", 0.05)
    path = tmp_path / "issuer.db"
    store = Store(path, 31337, POOL, 1)
    claim = Claim(b"i" * 16, b"a" * 16, 1, 5, 9)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="does not answer: database is locked"):
        store.count([claim])
    other.execute("ROLLBACK")
    other.close()
    assert store.count([claim]) == [Counted(1)]
    store.close()
