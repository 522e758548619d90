"""The state file: what is put is there after a restart, what is taken is gone, a foreign file is refused."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from mixpay.client.delivery_store import SealedDebt
from mixpay.client.store import SCHEMA, ClientStore, StoredBody
from mixpay.crypto.blind_rsa import SecretKey
from mixpay.crypto.rsa_permutation import PROOF_SIZE, ProvenKey
from mixpay.errors import UserError
from mixpay.passes import TICKS, OwnedPass, PassRequest, Scope
from mixpay.types import RelayId, Term

SCOPE = Scope(1, bytes(20), 3, 1, 7)
KEY = ProvenKey(b"\1" * 256, b"\2" * PROOF_SIZE)


def owned(period: int = 7) -> OwnedPass:
    return OwnedPass(Scope(1, bytes(20), 3, 1, period), bytes(256), b"\5" * 32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


def test_facts_stayWhatTheyWereFirst_andNumbersOnlyRise(path: Path):
    with ClientStore(path) as store:
        assert store.settle_fact("network", "a") == "a"
        assert store.settle_fact("network", "b") == "a"
        assert store.raise_fact("chain_time", 5) == 5
        assert store.raise_fact("chain_time", 3) == 5
    with ClientStore(path) as store:
        assert store.raise_fact("chain_time", 6) == 6


def test_passes_newestFirst_withoutThoseSpentOrCondemned(path: Path):
    with ClientStore(path) as store:
        for period in (7, 7, 7, 7, 8):
            store.put_key(1, period, KEY)
            store.put_pass(owned(period))
        rows = [stored.row for stored in reversed(store.passes(1, 7))]
        store.set_counter(rows[1], TICKS)
        store.condemn(rows[2], "forged_ack")
        store.set_counter(rows[3], 64)
    with ClientStore(path) as store:
        assert [(p.row, p.counter) for p in store.passes(1, 7)] == [(rows[3], 64), (rows[0], 0)]
        assert store.passes(1, 7)[0].owned == owned()
        assert store.passes(1, 7)[0].key == KEY
        store.forget_before(1, 8)
        assert store.passes(1, 7) == []
        assert len(store.passes(1, 8)) == 1


def test_request_isReplacedByItsPass(path: Path):
    key = SecretKey.generate().public
    request = PassRequest.new(SCOPE, key, lambda size: b"\2" * size)
    with ClientStore(path) as store:
        store.put_request(request)
    with ClientStore(path) as store:
        assert store.request(1, 7) == request
        assert store.request(2, 7) is None
        store.put_pass(owned())
        assert store.request(1, 7) is None
        store.put_request(request)
        store.drop_request(1, 7)
        assert store.request(1, 7) is None


def test_bodies_areThoseOfMessagesNotFinished(path: Path):
    def body(sequence: int, message: bytes) -> StoredBody:
        return StoredBody(RelayId(1), Term(2), sequence, message, 9, bytes(2048))

    with ClientStore(path) as store:
        store.take(RelayId(1), Term(2), 3, [body(1, b"a"), body(2, b"b"), body(3, b"a")])
        store.take(RelayId(1), Term(2), 3, [body(3, b"a")])
    with ClientStore(path) as store:
        assert [stored.sequence for stored in store.bodies()] == [1, 2, 3]
        store.finish_message(b"a", 9)
        assert list(store.bodies()) == [body(2, b"b")]
        assert store.is_finished(b"a")
        assert not store.is_finished(b"b")
        store.drop_message(b"b")
        assert list(store.bodies()) == []
        store.forget_finished(10)
        assert not store.is_finished(b"a")


def test_file_isForItsOwnerOnly(path: Path):
    with ClientStore(path) as store:
        store.settle_fact("a", "b")
        modes = {stat.S_IMODE(found.stat().st_mode) & 0o077 for found in path.parent.iterdir()}
    assert modes == {0}


def test_open_saysSo_whenTheFileIsNoDatabase(path: Path):
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(UserError, match=r"cannot use .*move it away"):
        ClientStore(path)


def test_open_refusesAFileOfANewerRelease(path: Path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(UserError, match="newer release"):
        ClientStore(path)


def test_transaction_leavesNothingBehind_whenItFails(path: Path):
    with ClientStore(path) as store:
        with pytest.raises(AttributeError):
            store.take(RelayId(1), Term(2), 3, [None])  # type: ignore[list-item]
        with pytest.raises(sqlite3.Error), store._transaction() as db:
            db.execute("INSERT INTO facts VALUES ('x', 'y')")
            db.execute("nonsense")
        assert store.settle_fact("x", "z") == "z"


def test_open_bringsAFileOfTheFirstFormatUpToDate(path: Path):
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.execute("INSERT INTO facts VALUES ('network', 'a')")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    for _ in range(2):
        with ClientStore(path) as store:
            assert store.settle_fact("network", "b") == "a"
            assert store.outgoing() == []


def test_mailbox_isTakenUpToASequence_untilItIsMadeAnew(path: Path):
    place = RelayId(1), Term(2)
    with ClientStore(path) as store:
        assert store.taken(*place) == 0
        store.put_mailbox(*place, None)
        store.take(*place, 7, [])
    with ClientStore(path) as store:
        assert store.taken(*place) == 7
        store.put_mailbox(*place, None)
        assert store.taken(*place) == 0


def test_outgoing_isChangedInOneTransaction(path: Path):
    with ClientStore(path) as store, ClientStore(path) as other:
        store.put_outgoing(b"m", b"letter", b"1")
        assert other.change_outgoing(b"m", lambda state: state + b"2")
        assert store.change_outgoing(b"m", lambda state: state + b"3")
        assert other.outgoing() == [(b"m", b"123")]
        assert other.letter(b"m") == b"letter"
        store.drop_outgoing(b"m")
        assert not other.change_outgoing(b"m", lambda state: state)
        assert (other.outgoing(), other.letter(b"m")) == ([], None)


def test_debts_areThoseThatAreOwed_andGoWithTheirMessage(path: Path):
    owed, paid = SealedDebt(b"a", 5, True, b"x"), SealedDebt(b"b", 6, False, b"y")
    with ClientStore(path) as store:
        store.take(RelayId(1), Term(2), 1, [], [owed])
        store.put_debt(paid)
        assert (store.debts(), store.debt(b"b"), store.debt(b"c")) == ([owed], paid, None)
        store.drop_message(b"a")
        assert store.debts() == []
        store.forget_finished(7)
        assert store.debt(b"b") is None
