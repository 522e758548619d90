"""Rows come back from their bytes, under keys that tell them apart."""

import pytest

from mixpay.book import rows
from mixpay.errors import PeerError

SAMPLES = [
    rows.IssuedTicket(2**63, b"l" * 20, b"\x04" * 65, 4, 2**96 - 1, b""),
    rows.IssuedTicket(1, b"l" * 20, b"\x04" * 65, 4, 1, b"o" * 255),
    rows.PlacedTicket(1, 2, 3, b"l" * 20, 4, b"a" * 32),
    rows.PlacedTicket(1, 3, 4, b"l" * 20, 4, b"a" * 32),
    rows.BatchPrice(1, 2**95),
    rows.Response(1, 2, b"r" * 32),
    rows.SignedBatch(1, 2, b"r" * 32, b"s" * 65),
    rows.SignedBatch(2, 2, b"r" * 32, b"s" * 65),
    rows.Cut(1, 2),
    rows.Commitment(1, b"r" * 32, 2**64 - 1),
    rows.Commitment(2, b"r" * 32, 2**64 - 1, tuple(range(16))),
    rows.LinkState(2**96 - 1, 7, b"s" * 65, 9, 8, 2**64 - 1, (5, 6), ("bad_ack",)),
    rows.Channel(2**96 - 1, 1, 2**40),
    rows.Demand(1, 2, 9, b"l" * 32, b"s" * 65, b"r" * 32, 2**64 - 1),
    rows.Settlements(2**96 - 1, 2**95),
]
OF_THE_LINK = rows.IssuedTicket | rows.LinkState | rows.Channel | rows.Settlements


@pytest.mark.parametrize("row", [*SAMPLES, rows.LinkState(), rows.Channel(), rows.Settlements()])
def test_row_comesBack(row):
    assert rows.decode(rows.encode(row)) == row


def test_keys_tellRowsApart():
    keys = [rows.key_of(row) for row in SAMPLES]
    assert len(set(keys)) == len(keys)


def test_kindsOfABatch_areThoseWithABatchNumber():
    for row in SAMPLES:
        kind = rows.key_of(row)[0]
        of_a_batch = not isinstance(row, OF_THE_LINK)
        assert (kind in rows.OF_A_BATCH) == of_a_batch
        assert (kind == rows.ISSUED) == isinstance(row, rows.IssuedTicket)


@pytest.mark.parametrize("row", SAMPLES, ids=range(len(SAMPLES)))
def test_damagedRow_isAnError(row):
    data = rows.encode(row)
    for damaged in (b"", data[:-1], data + b"\0", b"\xff" + data[1:]):
        with pytest.raises(PeerError):
            rows.decode(damaged)


def test_encode_failsIfAFieldDoesNotFit():
    with pytest.raises(ValueError, match="255"):
        rows.encode(rows.IssuedTicket(1, b"l" * 20, b"\x04" * 65, 4, 1, b"o" * 256))


def test_repr_hidesSecrets():
    for row in SAMPLES:
        assert "response=" not in repr(row)
        assert "ack=" not in repr(row)
        assert "origin=" not in repr(row)
