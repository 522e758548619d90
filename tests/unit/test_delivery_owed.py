"""The receiver's side: what is owed to whom, once for each body, and never without end."""

from __future__ import annotations

from dataclasses import replace

from mixpay.address import Address
from mixpay.delivery.owed import Debt, Have, OwedLimits, came, due, told
from mixpay.envelope import Reply
from mixpay.types import RelayId

A, B = (Address(b"mark", RelayId(number), bytes(16), b"\7" * 32) for number in (1, 2))
ASKED = Reply(A, b"\1" * 16)
WHOLE = Have(None)
SOME = Have(frozenset([0, 2]), 4)


def debt(number: int, reply: Reply | None = ASKED, at: int = 100) -> Debt:
    return Debt(bytes([number]) * 16, reply, at)


def test_nothingIsOwed_toWhoDoesNotAsk() -> None:
    assert came(None, bytes(16), None, 100) is None
    assert came(None, bytes(16), ASKED, 100) == debt(0)


def test_whole_isDueAtOnce_some_onceNothingMoreComes() -> None:
    haves = {debt(1).message_id: WHOLE, debt(2).message_id: SOME}
    debts = [debt(1), debt(2)]
    (now,) = due(debts, haves, 101, last=False)
    assert [(entry.message_id, entry.have(4)) for entry in now.entries] == [(b"\1" * 16, None)]
    (later,) = due(debts, haves, 105, last=False)
    assert [entry.have(4) for entry in later.entries] == [None, {0, 2}]
    assert due(debts, haves, 101, last=True) == [later]


def test_due_isOnePerAddress_andForSoManyAddressesOnly() -> None:
    debts = [debt(1), debt(2, Reply(B, b"\2" * 16)), debt(3)]
    haves = {each.message_id: WHOLE for each in debts}
    found = due(debts, haves, 100, last=True)
    assert [(each.address, len(each.entries)) for each in found] == [(A, 2), (B, 1)]
    assert len(due(debts, haves, 100, last=True, limits=OwedLimits(addresses=1))) == 1


def test_nothingIsDue_ofWhatIsNotSafe_orWasTold() -> None:
    assert due([debt(1)], {}, 200, last=True) == []
    assert due([told(debt(1), whole=True)], {debt(1).message_id: WHOLE}, 200, last=True) == []


def test_told_forgetsWhomToTell_onceTheMessageIsWhole() -> None:
    assert told(debt(1), whole=False).reply == ASKED
    done = told(debt(1), whole=True)
    assert (done.reply, done.acks, done.owed) == (None, 1, False)
    again = came(done, done.message_id, ASKED, 300)
    assert again == replace(debt(1), at=300, acks=1)
    assert came(done, done.message_id, None, 300).reply is None, "another piece does not say whom to tell"


def test_oneMessage_isAcknowledgedSoOftenOnly_whoeverRepeatsItsBodies() -> None:
    """A mailbox relay that shows the same bodies for ever, or a sender that never has enough."""
    known, acknowledged = came(None, bytes(16), ASKED, 0), 0
    for now in range(1, 1_000):
        assert known is not None
        if due([known], {known.message_id: WHOLE}, now, last=True):
            known, acknowledged = told(known, whole=True), acknowledged + 1
        known = came(known, known.message_id, ASKED, now)
    assert acknowledged == OwedLimits().most


def test_whoAsksAgain_isToldByTwoPackets_withinWhatAMessageMayCost() -> None:
    haves = {debt(1).message_id: SOME}
    first, *_ = due([debt(1)], haves, 200, last=True)
    assert first.copies == 1
    asked_again = came(told(debt(1), whole=False), debt(1).message_id, None, 210)
    assert asked_again is not None
    again, *_ = due([asked_again], haves, 220, last=True)
    assert again.copies == 2
    assert told(asked_again, whole=False, copies=2).acks == 3
    nearly = replace(asked_again, acks=OwedLimits().most - 1)
    assert [each.copies for each in due([nearly], haves, 220, last=True)] == [1]


def test_reply_isInNoRepr() -> None:
    assert "Address" not in repr(debt(1))
