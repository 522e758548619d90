"""The record of signed epochs: it outlives the database, never goes back, and is never half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mixpay import eip712
from mixpay.errors import UserError
from mixpay.types import Epoch
from relay.keys.signed_epochs import SignedEpochs, join, read_all

DOMAIN = eip712.registry_domain(31337, b"\x11" * 20)
OTHER = eip712.registry_domain(31337, b"\x22" * 20)


def test_record_isReadAgain_andNeverGoesBack(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signed-epochs"
    record = SignedEpochs(path, DOMAIN)
    assert record.newest is None
    assert not path.exists()
    for epoch, newest in ((3, 3), (7, 7), (5, 7), (7, 7)):
        record.add(Epoch(epoch))
        assert record.newest == SignedEpochs(path, DOMAIN).newest == newest
    assert path.stat().st_mode & 0o777 == 0o600


def test_record_isOfOneDeployment(tmp_path: Path) -> None:
    """The same operator key in another registry has signed nothing there."""
    path = tmp_path / "signed-epochs"
    SignedEpochs(path, DOMAIN).add(Epoch(7))
    other = SignedEpochs(path, OTHER)
    assert other.newest is None
    other.add(Epoch(2))
    assert SignedEpochs(path, DOMAIN).newest == 7
    assert SignedEpochs(path, OTHER).newest == 2
    assert SignedEpochs(path, eip712.registry_domain(1, b"\x11" * 20)).newest is None


def test_daemonsOfSeveralReleases_shareTheFile(tmp_path: Path) -> None:
    path = tmp_path / "signed-epochs"
    one, other, same = (SignedEpochs(path, domain) for domain in (DOMAIN, OTHER, DOMAIN))
    one.add(Epoch(7)), other.add(Epoch(2)), one.add(Epoch(8))
    assert (same.newest, same.read(), same.newest) == (None, 8, 8)
    same.add(Epoch(3)), one.add(Epoch(9)), same.add(Epoch(3))
    assert (SignedEpochs(path, DOMAIN).newest, SignedEpochs(path, OTHER).newest) == (9, 2)
    assert (one.read(), other.read(), same.newest) == (9, 2, 8)


def test_joinedRecords_haveTheNewerEpochOfEachRegistry(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "keys" / "other"
    join(one, other)
    assert not one.exists()
    SignedEpochs(one, DOMAIN).add(Epoch(7))
    join(one, other)
    assert list(read_all(one).values()) == [7]
    join(other, one)
    SignedEpochs(other, DOMAIN).add(Epoch(9)), SignedEpochs(other, OTHER).add(Epoch(2))
    SignedEpochs(one, OTHER).add(Epoch(3))
    for _ in range(2):
        join(one, other)
        assert (SignedEpochs(one, DOMAIN).newest, SignedEpochs(one, OTHER).newest) == (9, 3)
    assert (SignedEpochs(other, DOMAIN).newest, SignedEpochs(other, OTHER).newest) == (9, 2)


def test_record_isWrittenOnlyWhenItGrows(tmp_path: Path) -> None:
    path = tmp_path / "signed-epochs"
    record = SignedEpochs(path, DOMAIN)
    record.add(Epoch(7))
    before = path.stat()
    record.add(Epoch(6)), record.add(Epoch(7))
    assert path.stat().st_ino == before.st_ino


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# nothing but a comment\n",
        b"\xff\xfe",
        b"31337 0x1111 7\n",
        b"31337 0x" + b"1" * 40 + b" seven\n",
        b"31337 0x" + b"1" * 40 + b" -1\n",
        b"31337 0x" + b"1" * 40 + b" 7 8\n",
        b"\0" * 64,
    ],
)
def test_damagedRecord_isRefused_notTakenForAnEmptyOne(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "signed-epochs"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"signed-epochs is damaged: put back a copy"):
        SignedEpochs(path, DOMAIN)


def test_recordThatCannotBeRead_orWritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="cannot read"):
        SignedEpochs(tmp_path, DOMAIN)
    path = tmp_path / "signed-epochs"
    record = SignedEpochs(path, DOMAIN)
    record.add(Epoch(1))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        record.add(Epoch(2))
    assert record.newest == SignedEpochs(path, DOMAIN).newest == 1  # nothing is relied on that is not on disk
