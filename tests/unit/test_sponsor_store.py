"""The issuer's database, of each kind: quotas, credits with their voucher, keys, age, and whose it is."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from mixpay.errors import UserError
from mixpay.passes import RedeemedPass, Scope
from mixpay.sponsor.store import Claim, Counted, Place, Refused, Store, StoredKey, StoredVoucher, tables
from mixpay.sponsor.store.engine import Database
from mixpay.sponsor.tallies import Issued, Redeemed
from mixpay.types import Account, Amount

POOL = bytes(range(20))
RELAY = Account(b"\1" * 20)


@pytest.fixture
def opened(place: Place) -> Iterator[Callable[[], Store]]:
    """Opens the database once more: another instance, or the same one after a restart."""
    stores: list[Store] = []

    def open_one() -> Store:
        stores.append(Store(place, 31337, POOL, 1))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], Store]) -> Store:
    return opened()


def credit(number: int, ticks: int, period: int = 5) -> RedeemedPass:
    return RedeemedPass(number.to_bytes(32, "big"), Scope(31337, POOL, 1, 1, period), ticks)


def claim(who: int, what: int, quota: int = 2, kind: int = 1, period: int = 5) -> Claim:
    """Number `what` of the requests of identity `who`."""
    return Claim(bytes([who]) * 16, bytes([who, what]) * 8, kind, period, quota)


def counts(store: Store, claims: list[Claim]) -> list[int | None]:
    """The new count of each claim's identity; None if its quota is used up."""
    return [found.passes if isinstance(found, Counted) else None for found in store.count(claims)]


def test_count_stopsAtTheQuota(store: Store) -> None:
    assert [counts(store, [claim(1, what)])[0] for what in range(4)] == [1, 2, None, None]
    assert counts(store, [claim(2, 0)]) == [1]
    assert counts(store, [claim(1, 2, quota=3)]) == [3], "what was refused was not counted"
    assert counts(store, []) == []


def test_count_countsARepeatedClaimOnce_alsoAfterARestart(store: Store, opened: Callable[[], Store]) -> None:
    assert counts(store, [claim(1, 0), claim(1, 1), claim(1, 0)]) == [1, 2, 1]
    assert counts(store, [claim(1, 0), claim(1, 1), claim(1, 2)]) == [2, 2, None]
    store.close()
    assert counts(opened(), [claim(1, 1), claim(1, 2), claim(2, 1)]) == [2, None, 1]


_CLAIMS = st.builds(lambda who, what: claim(who, what, quota=who), st.integers(0, 3), st.integers(0, 5))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(_CLAIMS, max_size=8), max_size=4), period=st.integers(0, 2**32 - 1))
def test_count_isWhatCountingOneByOneWouldBe(store: Store, batches: list[list[Claim]], period: int) -> None:
    """The model: who has how many, and which number each claim got."""
    store.prune(1, 1 << 33, 0)
    passes: Counter[bytes] = Counter()
    numbers: dict[bytes, int] = {}
    for batch in batches:
        claims = [replace(one, period=period) for one in batch]
        earlier = set(numbers)
        for one in claims:
            if one.asked not in numbers and passes[one.identity] < one.quota:
                passes[one.identity] += 1
                numbers[one.asked] = passes[one.identity]
        expected = [passes[c.identity] if c.asked in earlier else numbers.get(c.asked) for c in claims]
        assert counts(store, claims) == expected


def test_count_ofShares_isEverybodys_andAllOrNothing(store: Store) -> None:
    """Both of a key's users count against it; what is refused counts nowhere."""
    key, everybody = b"k" * 16, b"e" * 16

    def shared(who: int, what: int) -> Claim:
        return replace(claim(who, what, quota=2), shares=((key, 3), (everybody, None)))

    first = [shared(1, 0), shared(1, 1), shared(1, 2), shared(2, 0)]
    assert store.count(first) == [Counted(1, (1, 1)), Counted(2, (2, 2)), Refused.QUOTA, Counted(1, (3, 3))]
    assert store.count([shared(2, 1), shared(3, 0)]) == [Refused.SHARE, Refused.SHARE]
    assert store.count([shared(2, 0)]) == [Counted(1)], "what was counted before is not told again"
    alone = replace(claim(3, 0), shares=((everybody, None),))
    assert store.count([alone]) == [Counted(1, (4,))]


def test_count_isExactWithTwoInstances_thatCountAtOnce(opened: Callable[[], Store]) -> None:
    """Both get the same requests, in batches of another order: none counts twice, nor beyond its quota."""
    stores, start = [opened(), opened()], threading.Barrier(2)
    claims = [claim(who, what, quota=5) for who in range(1, 9) for what in range(8)]

    def count(number: int) -> list[tuple[Claim, int | None]]:
        mine = random.Random(number).sample(claims, len(claims))  # noqa: S311 an order, no secret
        start.wait()
        found = []
        for first in range(0, len(mine), 8):
            batch = mine[first : first + 8]
            found += zip(batch, counts(stores[number], batch), strict=True)
        return found

    with ThreadPoolExecutor(2) as pool:
        outcomes = [outcome for found in pool.map(count, range(2)) for outcome in found]
    granted = {one.asked for one, number in outcomes if number is not None}
    by_identity = Counter(asked[0] for asked in granted)
    assert by_identity == dict.fromkeys(range(1, 9), 5)
    assert {number for _, number in outcomes} <= {None, 1, 2, 3, 4, 5}
    assert set(counts(stores[0], [c for c in claims if c.asked in granted])) == {5}


def test_settling_keepsTheFurthestWithItsVoucher(store: Store, opened: Callable[[], Store]) -> None:
    big = Amount((1 << 96) - 1)
    with store.settling() as books:
        books.put([credit(1, 10), credit(2, 20)], StoredVoucher(RELAY, 5, Amount(150), b"s" * 65))
    with store.settling() as books:
        books.put([credit(2, 30)], StoredVoucher(RELAY, 6, big, b"t" * 65))
        books.put([credit(1, 10)], StoredVoucher(RELAY, 6, big, b"t" * 65), at_pool=True)
        books.put([credit(1, 11)], StoredVoucher(RELAY, 6, big, b"t" * 65))
    reopened = opened()
    assert reopened.voucher(RELAY) == StoredVoucher(RELAY, 6, big, b"t" * 65)
    assert reopened.vouchers() == [reopened.voucher(RELAY)]
    assert reopened.voucher(Account(b"\2" * 20)) is None
    ids = [number.to_bytes(32, "big") for number in range(2000)]
    assert sorted(c.ticks for c in reopened.redeemed(ids)) == [11, 30]
    assert reopened.redeemed(ids[2:3]) == [credit(2, 30)]
    with reopened.settling() as books:
        assert books.counted_at_pool(ids) == {ids[1]}


def test_settling_writesAllOrNothing(store: Store) -> None:
    def settle(voucher: StoredVoucher) -> None:
        with store.settling() as books:
            books.put([credit(1, 10)], voucher)

    with pytest.raises(IntegrityError) as caught:
        settle(StoredVoucher(RELAY, 5, Amount(1), None))  # type: ignore[arg-type]
    assert (1).to_bytes(32, "big").hex() not in str(caught.value) and "hide_parameters" in str(caught.value)
    assert store.redeemed([(1).to_bytes(32, "big")]) == [] and store.voucher(RELAY) is None


def test_settling_isOneAfterTheOther_inAllInstances(opened: Callable[[], Store]) -> None:
    """Each adds 1 to what it reads: none reads what another is about to change."""
    stores, start = [opened(), opened()], threading.Barrier(2)

    def add(number: int) -> None:
        start.wait()
        for _ in range(25):
            with stores[number].settling() as books:
                newest = books.voucher(RELAY)
                total = Amount((newest.cumulative if newest else 0) + 1)
                books.put([], StoredVoucher(RELAY, 5, total, total.to_bytes(65, "big")))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(add, range(2)))
    voucher = stores[0].voucher(RELAY)
    assert voucher is not None and voucher.cumulative == 50


def test_keys_areKeptAsTheChainHasThem(store: Store) -> None:
    key = StoredKey(1, (1 << 32) - 1, b"n" * 256, Amount((1 << 96) - 1))
    store.put_key(StoredKey(1, (1 << 32) - 1, b"n" * 256, Amount(1)))
    store.put_key(key)
    store.put_key(StoredKey(2, 5, b"o" * 256, Amount(1)))
    assert store.key(1, (1 << 32) - 1) == key and store.key(1, 6) is None
    assert [k.kind for k in store.period_keys()] == [1, 2]
    store.drop_key(1, (1 << 32) - 1)
    assert [k.kind for k in store.period_keys()] == [2]


def test_secretKeys_theFirstOneCounts(store: Store, opened: Callable[[], Store]) -> None:
    assert store.secret_key(1, 5) is None
    assert store.agree_on_secret_key(1, 5, b"one") == b"one"
    assert opened().agree_on_secret_key(1, 5, b"another") == b"one" == store.secret_key(1, 5)
    for kind, period in [(1, 6), (1, 7), (2, 5)]:
        store.agree_on_secret_key(kind, period, b"more")
    assert store.drop_secret_keys(1, 7) == [5, 6] and store.drop_secret_keys(1, 7) == []
    assert store.secret_key(1, 7) == store.secret_key(2, 5) == b"more"


def test_prune_forgetsByKindAndPeriod(store: Store) -> None:
    for period in (3, 4, 5):
        counts(store, [claim(period, 0, quota=1, period=period)])
        store.put_key(StoredKey(1, period, b"n" * 256, Amount(1)))
        with store.settling() as books:
            books.put([credit(period, 1, period)], StoredVoucher(RELAY, 5, Amount(1), b"s" * 65))
    counts(store, [claim(9, 0, quota=1, kind=2, period=0)])
    store.prune(1, issued_before=5, redeemable_from=4)
    assert counts(store, [claim(period, 1, quota=1, period=period) for period in (3, 4, 5)]) == [1, 1, None]
    assert counts(store, [claim(3, 0, quota=1, period=3)]) == [None], "what was asked for is forgotten, too"
    assert [key.period for key in store.period_keys()] == [4, 5]
    ids = [number.to_bytes(32, "big") for number in (3, 4, 5)]
    assert sorted(c.scope.period for c in store.redeemed(ids)) == [4, 5]
    assert counts(store, [claim(9, 1, quota=1, kind=2, period=0)]) == [None]
    assert store.voucher(RELAY) is not None


@pytest.mark.parametrize(
    ("chain_id", "pool", "campaign"), [(1, POOL, 1), (31337, bytes(20), 1), (31337, POOL, 2)]
)
def test_open_failsForAnotherCampaign(
    store: Store, place: Place, chain_id: int, pool: bytes, campaign: int
) -> None:
    with pytest.raises(UserError, match="belongs to campaign 1 on chain 31337"):
        Store(place, chain_id, pool, campaign)


def test_open_failsForANewerRelease(store: Store, place: Place) -> None:
    database = Database(place)
    with database.writing() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(UserError, match="newer release"):
        Store(place, 31337, POOL, 1)


def test_open_failsForTablesOfSomebodyElse(store: Store, place: Place) -> None:
    database = Database(place)
    with database.writing() as db:
        db.execute(text("DROP TABLE alembic_version"))
    database.close()
    with pytest.raises(UserError, match="not this issuer's"):
        Store(place, 31337, POOL, 1)


def test_open_byManyAtOnce(place: Place) -> None:
    """Instances that start together make the tables once."""
    start = threading.Barrier(4)

    def open_one(_: int) -> None:
        start.wait()
        Store(place, 31337, POOL, 1).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_one, range(4)))


def test_tables_areWhatTheMigrationsMake(store: Store, place: Place) -> None:
    """And no column is a time."""
    database = Database(place)
    with database.reading() as db:
        found = {
            name: {column["name"] for column in inspect(db).get_columns(name)}
            for name in inspect(db).get_table_names()
        }
        revision = db.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    database.close()
    assert revision == tables.REVISION
    expected = {name: set(table.columns.keys()) for name, table in tables.METADATA.tables.items()}
    assert found == expected | {"alembic_version": {"version_num"}}
    assert set().union(*expected.values()) == {
        "chain_id", "pool", "number", "identity", "kind", "period", "passes", "digest", "modulus",
        "hop_price", "encrypted", "pass_id", "relay", "ticks", "at_pool", "cumulative", "signature",
        "identities", "one", "is_share",
    }  # fmt: skip


def test_sums_areTheSame_beforeAndAfterForgetting(store: Store) -> None:
    """Of what the pool has paid for, too, which is never forgotten."""
    other = Account(b"\2" * 20)

    def put(relay: Account, *credits_: RedeemedPass, at_pool: bool = False) -> None:
        with store.settling() as books:
            books.put(credits_, StoredVoucher(relay, 5, Amount(1), b"s" * 65), at_pool=at_pool)

    for period in (4, 5):
        wanted = [claim(period, what, 9, period=period) for what in (0, 1)]
        store.count([*wanted, claim(10 + period, 0, 9, period=period)])
        put(RELAY, credit(period, 10, period), credit(10 + period, 5, period))
        put(other, credit(20 + period, 7, period))
    put(RELAY, credit(34, 3, 4), at_pool=True)
    issued = [Issued(1, 4, 2, 3), Issued(1, 5, 2, 3)]
    credited = [Redeemed(RELAY, 1, 4, 3, 18), Redeemed(other, 1, 4, 1, 7)]
    credited += [Redeemed(RELAY, 1, 5, 2, 15), Redeemed(other, 1, 5, 1, 7)]
    for issued_before, redeemable_from in ((0, 0), (5, 4), (5, 5), (5, 5), (6, 6)):
        assert (store.issued(), store.credited()) == (issued, credited)
        store.prune(1, issued_before, redeemable_from)
    assert (store.issued(), store.credited()) == (issued, credited)
    assert [row.ticks for row in store.redeemed([i.to_bytes(32, "big") for i in range(40)])] == [3]


def test_sums_leaveOutWhatSharesCount(store: Store) -> None:
    """Three passes of two users are no more for counting against their dApp's key and against all as well."""
    shares = (b"k" * 16, 9), (b"e" * 16, None)
    for who, what in ((1, 0), (1, 1), (2, 0)):
        store.count([replace(claim(who, what), shares=shares)])
    assert store.issued() == [Issued(1, 5, 2, 3)]
    store.prune(1, 6, 6)
    assert store.issued() == [Issued(1, 5, 2, 3)]


def test_count_leavesNothingOfWhomItRefuses(store: Store, place: Place) -> None:
    """Else whoever is refused for a share would be an identity in the sums, and a row for each try."""
    share = ((b"k" * 16, 1),)
    store.count([replace(claim(1, 0), shares=share)])
    refused = [replace(claim(who, 0), shares=share) for who in range(2, 6)]
    assert store.count(refused) == [Refused.SHARE] * 4
    assert store.issued() == [Issued(1, 5, 1, 1)]
    database = Database(place)
    with database.reading() as db:
        assert {row.passes for row in db.execute(tables.issued.select())} == {1}
        assert len(db.execute(tables.asked.select()).all()) == 1
    database.close()


def test_pause_isForEveryServiceOnTheDatabase_andOutlivesThem(
    store: Store, opened: Callable[[], Store]
) -> None:
    other = opened()
    assert not other.is_paused
    for _ in range(2):
        store.pause(True)
        assert store.is_paused and other.is_paused
    other.close()
    again = opened()
    assert again.is_paused
    again.pause(False)
    assert not store.is_paused
