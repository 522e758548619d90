"""The issuer's database: quotas, credits with their voucher, migrations, and whose database it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixpay.errors import UserError
from mixpay.passes import RedeemedPass, Scope
from mixpay.sponsor.store import Store, StoredKey, StoredVoucher
from mixpay.sponsor.tallies import Issued, Redeemed
from mixpay.types import Account, Amount

POOL = bytes(range(20))
RELAY = Account(b"\1" * 20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "issuer.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path, 31337, POOL, 1)
    yield store
    store.close()


def credit(number: int, ticks: int, period: int = 5) -> RedeemedPass:
    return RedeemedPass(number.to_bytes(32, "big"), Scope(31337, POOL, 1, 1, period), ticks)


def test_countIssue_stopsAtTheQuota(store: Store) -> None:
    assert [store.count_issue(b"a", 1, 5, 2) for _ in range(4)] == [1, 2, None, None]
    assert store.count_issue(b"b", 1, 5, 2) == 1
    assert store.count_issue(b"a", 1, 5, 3) == 3
    assert (store.issues(b"a"), store.issues(b"c")) == (3, 0)


def test_putCredits_keepsTheFurthestWithItsVoucher(store: Store, path: Path) -> None:
    big = Amount((1 << 96) - 1)
    store.put_credits([credit(1, 10), credit(2, 20)], StoredVoucher(RELAY, 5, Amount(150), b"s" * 65))
    store.put_credits([credit(2, 30)], StoredVoucher(RELAY, 6, big, b"t" * 65))
    reopened = Store(path, 31337, POOL, 1)
    assert reopened.voucher(RELAY) == StoredVoucher(RELAY, 6, big, b"t" * 65)
    assert reopened.vouchers() == [reopened.voucher(RELAY)]
    assert reopened.voucher(Account(b"\2" * 20)) is None
    ids = [number.to_bytes(32, "big") for number in range(2000)]
    assert sorted(c.ticks for c in reopened.redeemed(ids)) == [10, 30]
    assert reopened.redeemed(ids[2:3]) == [credit(2, 30)]
    reopened.close()


def test_putCredits_writesAllOrNothing(store: Store) -> None:
    broken = StoredVoucher(RELAY, 5, Amount(1), None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        store.put_credits([credit(1, 10)], broken)
    assert store.redeemed([(1).to_bytes(32, "big")]) == [] and store.voucher(RELAY) is None


def test_keys_areKeptAsTheChainHasThem(store: Store) -> None:
    key = StoredKey(1, 5, b"n" * 256, Amount(10**12))
    store.put_key(StoredKey(1, 5, b"n" * 256, Amount(1)))
    store.put_key(key)
    store.put_key(StoredKey(2, 5, b"o" * 256, Amount(1)))
    assert store.key(1, 5) == key and store.key(1, 6) is None
    assert [(k.kind, k.period) for k in store.period_keys()] == [(1, 5), (2, 5)]


def test_prune_forgetsByKindAndPeriod(store: Store) -> None:
    for period in (3, 4, 5):
        store.count_issue(b"a%d" % period, 1, period, 9)
        store.put_key(StoredKey(1, period, b"n" * 256, Amount(1)))
        voucher = StoredVoucher(RELAY, 5, Amount(1), b"s" * 65)
        store.put_credits([credit(period, 1, period)], voucher)
    store.count_issue(b"mailbox", 2, 0, 9)
    store.prune(1, issued_before=5, redeemable_from=4)
    assert [store.issues(b"a%d" % period) for period in (3, 4, 5)] == [0, 0, 1]
    assert [key.period for key in store.period_keys()] == [4, 5]
    ids = [number.to_bytes(32, "big") for number in (3, 4, 5)]
    assert sorted(c.scope.period for c in store.redeemed(ids)) == [4, 5]
    assert store.issues(b"mailbox") == 1 and store.voucher(RELAY) is not None


@pytest.mark.parametrize(
    ("chain_id", "pool", "campaign"), [(1, POOL, 1), (31337, bytes(20), 1), (31337, POOL, 2)]
)
def test_open_failsForAnotherCampaign(
    store: Store, path: Path, chain_id: int, pool: bytes, campaign: int
) -> None:
    with pytest.raises(UserError, match="belongs to campaign 1 on chain 31337"):
        Store(path, chain_id, pool, campaign)


def test_open_failsForANewerReleaseOrAnotherFile(store: Store, path: Path, tmp_path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="newer release"):
        Store(path, 31337, POOL, 1)
    text = tmp_path / "text"
    text.write_text("this is no database, but it is long enough to be looked at as one" * 20)
    with pytest.raises(UserError, match="not a usable database"):
        Store(text, 31337, POOL, 1)


def test_file_isPrivateAndHoldsNoTimes(store: Store, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(path) as db:
        columns = {
            row[1]
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for row in db.execute(f"PRAGMA table_info({table})")
        }
    assert columns == {
        "chain_id",
        "pool",
        "number",
        "identity",
        "kind",
        "period",
        "passes",
        "identities",
        "one",
        "modulus",
        "hop_price",
        "pass_id",
        "relay",
        "ticks",
        "at_pool",
        "cumulative",
        "signature",
    }


def test_sums_areTheSame_beforeAndAfterForgetting(store: Store) -> None:
    """Of what the pool has paid for, too, which is never forgotten."""
    other = Account(b"\2" * 20)
    for period in (4, 5):
        for identity, passes in ((b"a", 2), (b"b", 1)):
            for _ in range(passes):
                store.count_issue(identity + bytes([period]), 1, period, 9)
        voucher = StoredVoucher(RELAY, 5, Amount(1), b"s" * 65)
        store.put_credits([credit(period, 10, period), credit(10 + period, 5, period)], voucher)
        store.put_credits([credit(20 + period, 7, period)], StoredVoucher(other, 5, Amount(1), b"s" * 65))
    store.put_credits([credit(34, 3, 4)], StoredVoucher(RELAY, 5, Amount(1), b"s" * 65), at_pool=True)
    issued = [Issued(1, 4, 2, 3), Issued(1, 5, 2, 3)]
    credited = [Redeemed(RELAY, 1, 4, 3, 18), Redeemed(other, 1, 4, 1, 7)]
    credited += [Redeemed(RELAY, 1, 5, 2, 15), Redeemed(other, 1, 5, 1, 7)]
    for issued_before, redeemable_from in ((0, 0), (5, 4), (5, 5), (5, 5), (6, 6)):
        assert (store.issued(), store.credited()) == (issued, credited)
        store.prune(1, issued_before, redeemable_from)
    assert (store.issued(), store.credited()) == (issued, credited)
    assert [row.ticks for row in store.redeemed([i.to_bytes(32, "big") for i in range(40)])] == [3]


def test_pause_isForEveryServiceOnTheDatabase_andOutlivesThem(store: Store, path: Path) -> None:
    other = Store(path, 31337, POOL, 1)
    assert not other.is_paused
    for _ in range(2):
        store.pause(True)
        assert store.is_paused and other.is_paused
    other.close()
    again = Store(path, 31337, POOL, 1)
    assert again.is_paused
    again.pause(False)
    assert not store.is_paused
    again.close()
