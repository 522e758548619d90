"""Blind-signing keys in the database, and which periods need one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mixpay.crypto.blind_rsa import SecretKey
from mixpay.epochs import Schedule
from mixpay.errors import UserError
from mixpay.sponsor.keys import PassKeys, Period, current_periods, periods_ahead
from mixpay.sponsor.store import Store
from mixpay.types import Epoch

DEMO = Schedule(0, 3600, 1)
PRODUCTION = Schedule(0, 86_400, 28)
SECRET = b"\1" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "issuer.db", 31337, bytes(20), 1)
    yield store
    store.close()


def test_make_keepsTheKeyEncryptedAndOnce(store: Store) -> None:
    keys, period = PassKeys(store, SECRET), Period(1, 7)
    assert keys.get(period) is None
    public = keys.make(period)
    assert public.bits == 2048 and keys.make(period) == public
    again = PassKeys(store, SECRET).get(period)
    assert again is not None and again.public == public
    kept = store.secret_key(1, 7)
    assert kept is not None and kept.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    with pytest.raises(UserError, match=r"kind 1, period 7.* another key store"):
        PassKeys(store, b"\2" * 32).get(period)


def test_make_agreesWithAnInstanceThatMadeOneMeanwhile(store: Store) -> None:
    """Both found none, and made one: the first that is written is everybody's."""
    period, first = Period(1, 7), PassKeys(store, SECRET)

    class Late:
        """The database as it was before the other instance wrote its key, until this one writes its own."""

        def secret_key(self, kind: int, number: int) -> None:
            first.make(period)

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

    second = PassKeys(Late(), SECRET)  # type: ignore[arg-type]
    public = second.make(period)
    found = first.get(period)
    assert found is not None and found.public == public
    mine = second.get(period)
    assert mine is not None and mine.public == public


def test_deleteBefore_removesPastPeriodsOfEachKind(store: Store, tmp_path: Path) -> None:
    keys = PassKeys(store, SECRET)
    keys.make(Period(1, 9))
    encrypted = store.secret_key(1, 9)
    assert encrypted is not None
    for kind, number in [(1, 10), (1, 11), (2, 9), (2, 10)]:
        store.agree_on_secret_key(kind, number, encrypted)
    in_pieces = [encrypted[start : start + 48] for start in range(60, len(encrypted) - 100, 50)]
    assert any(piece in on_disk(tmp_path) for piece in in_pieces)  # it lies on more than one page
    assert keys.delete_before((Period(1, 10), Period(2, 10))) == [Period(1, 9), Period(2, 9)]
    assert keys.get(Period(1, 9)) is None and keys.get(Period(1, 10)) is not None
    assert keys.delete_before((Period(1, 12), Period(2, 12))) == [Period(1, 10), Period(1, 11), Period(2, 10)]
    assert not any(piece in on_disk(tmp_path) for piece in in_pieces), "overwritten, also in the journal"


def test_adopt_takesOverTheFolderOfAnEarlierRelease(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "pass-keys"
    made = SecretKey.generate(2048)
    folder.mkdir()
    (folder / "kind-2-period-9.pem").write_bytes(made.to_pem(SECRET.hex().encode()))
    (folder / "notes.txt").write_text("not a key")
    keys = PassKeys(store, SECRET)
    with pytest.raises(UserError, match="another key store"):
        PassKeys(store, b"\2" * 32).adopt(folder)
    keys.adopt(folder)
    found = keys.get(Period(2, 9))
    assert found is not None and found.public == made.public
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    keys.adopt(folder)
    assert not folder.exists()
    keys.adopt(folder)


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("issuer.db*"))


def test_periods_ofTheDemo() -> None:
    assert current_periods(DEMO, Epoch(4)) == (Period(1, 4), Period(2, 4))
    ahead = periods_ahead(DEMO, Epoch(4), 3)
    assert ahead == [Period(kind, number) for kind in (1, 2) for number in (5, 6, 7)]


def test_periods_ofLongTerms() -> None:
    assert current_periods(PRODUCTION, Epoch(57)) == (Period(1, 57), Period(2, 2))
    ahead = periods_ahead(PRODUCTION, Epoch(57), 2)
    assert ahead == [Period(1, 58), Period(1, 59), Period(2, 3), Period(2, 4)]
    assert Period(2, 3).first_epoch(PRODUCTION) == 84 and Period(2, 3).last_epoch(PRODUCTION) == 111
    assert Period(1, 3).first_epoch(PRODUCTION) == Period(1, 3).last_epoch(PRODUCTION) == 3
