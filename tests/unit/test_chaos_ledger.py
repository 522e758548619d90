"""The users' ledger counts what comes out of mailboxes: once, twice, from nobody."""

from __future__ import annotations

import pytest

from chaos.ledger import Ledger
from mixpay.types import RelayId

HERE, THERE = RelayId(1), RelayId(2)


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    made.to = {b"a": HERE, b"b": HERE, b"c": THERE}
    made.accepted.update({RelayId(3): 3})
    made.found(HERE, 1, b"a")
    return made


def test_messagesThatWereSent_areDelivered(ledger: Ledger) -> None:
    ledger.found(HERE, 2, b"b")
    ledger.found(THERE, 1, b"c")
    facts = ledger.facts()
    assert (facts.sent, facts.delivered, facts.not_delivered) == (3, 3, 0)
    assert (facts.fetched, facts.repeated, facts.strange) == ({HERE: 2, THERE: 1}, 0, 0)


def test_messageReadAgainAtItsPlace_countsOnce(ledger: Ledger) -> None:
    """The relay died after it was read, before it was deleted."""
    ledger.found(HERE, 1, b"a")
    facts = ledger.facts()
    assert (facts.fetched, facts.repeated, facts.delivered) == ({HERE: 1}, 0, 1)


def test_messageAtTwoPlaces_wasProcessedTwice(ledger: Ledger) -> None:
    ledger.found(HERE, 2, b"a")
    facts = ledger.facts()
    assert (facts.fetched, facts.repeated, facts.delivered) == ({HERE: 2}, 1, 1)


@pytest.mark.parametrize(
    ("relay", "sequence", "message"),
    [(HERE, 2, b"nobody's"), (HERE, 2, b"c"), (HERE, 2, None), (HERE, 1, b"b")],
)
def test_messageFromNobody_orElsewhere_orInThePlaceOfAnother_isStrange(
    ledger: Ledger, relay: RelayId, sequence: int, message: bytes | None
) -> None:
    ledger.found(relay, sequence, message)
    facts = ledger.facts()
    assert (facts.strange, facts.delivered, facts.not_delivered) == (1, 1, 2)
