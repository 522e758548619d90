"""Mailboxes: numbering, quota, age, ownership, and that a restart from the effects changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey, VerifyKey

from mixpay import mailbox
from mixpay.mailbox import (
    Created,
    Deleted,
    Delivered,
    DropMailbox,
    DropMessages,
    Mailboxes,
    MailboxLimits,
    PutMailbox,
    PutMessage,
    Refused,
    Span,
    Store,
    mailbox_id_of,
    sign_challenge,
    verify_challenge,
)
from mixpay.types import RelayId

NOW = 1_700_000_000
DAY = 86_400
SEED = b"\7" * 32
KEY = bytes(SigningKey(SEED).verify_key)
BOX = mailbox_id_of(KEY)
BODY = bytes(2048)
RELAY = RelayId(5)


def opened(limits: MailboxLimits | None = None) -> Mailboxes:
    mailboxes = Mailboxes(RELAY, limits)
    assert isinstance(mailboxes.create(BOX, KEY, NOW + 30 * DAY, NOW), Created)
    return mailboxes


def span(mailboxes: Mailboxes, after: int = 0, limit: int = 10, now: int = NOW) -> Span:
    found = mailboxes.fetch(BOX, after, limit, now)
    assert isinstance(found, Span)
    return found


class Disk:
    """What a host would have stored."""

    def __init__(self) -> None:
        self.boxes: dict[bytes, PutMailbox] = {}
        self.messages: dict[tuple[bytes, int], PutMessage] = {}

    def apply(self, effects: tuple[Store, ...]) -> None:
        for effect in effects:
            if isinstance(effect, PutMailbox):
                self.boxes[effect.mailbox_id] = effect
            elif isinstance(effect, PutMessage):
                self.messages[effect.mailbox_id, effect.sequence] = effect
            elif isinstance(effect, DropMessages):
                self._keep(lambda key, e=effect: key[0] != e.mailbox_id or key[1] > e.upto)
            elif isinstance(effect, DropMailbox):
                del self.boxes[effect.mailbox_id]
                self._keep(lambda key, e=effect: key[0] != e.mailbox_id)

    def _keep(self, wanted) -> None:
        self.messages = {key: row for key, row in self.messages.items() if wanted(key)}

    def reopen(self, limits: MailboxLimits) -> Mailboxes:
        mailboxes = Mailboxes(RELAY, limits)
        rows = sorted((m.mailbox_id, m.sequence, m.drop_at) for m in self.messages.values())
        mailboxes.restore(self.boxes.values(), rows)
        return mailboxes


def test_deliver_thenFetch_thenDelete() -> None:
    mailboxes = opened()
    for number in (1, 2, 3):
        outcome = mailboxes.deliver(BOX, BODY, NOW)
        assert isinstance(outcome, Delivered) and outcome.sequence == number
        assert outcome.effects == (PutMessage(BOX, number, outcome.effects[0].drop_at, BODY),)
    assert (span(mailboxes).first, span(mailboxes).last, span(mailboxes).more) == (1, 3, False)
    assert (span(mailboxes, 0, 2).last, span(mailboxes, 0, 2).more) == (2, True)
    assert (span(mailboxes, 2).first, span(mailboxes, 2).last) == (3, 3)
    assert span(mailboxes, 3).last < span(mailboxes, 3).first
    dropped = mailboxes.delete(BOX, 2)
    assert isinstance(dropped, Deleted) and dropped.count == 2
    assert dropped.effects[0] == DropMessages(BOX, 2)
    assert span(mailboxes).first == 3
    assert mailboxes.delete(BOX, 2) == Deleted(0, ())
    assert mailboxes.delete(BOX, 10**9).count == 1
    assert mailboxes.deliver(BOX, BODY, NOW).sequence == 4
    assert mailboxes.counts == (1, 1)


def test_deliver_refusesWithAReason() -> None:
    mailboxes = opened(MailboxLimits(quota_messages=2))
    assert mailboxes.deliver(bytes(16), BODY, NOW) == Refused("unknown_mailbox")
    assert mailboxes.deliver(BOX, BODY[:-1], NOW) == Refused("size")
    mailboxes.deliver(BOX, BODY, NOW)
    mailboxes.deliver(BOX, BODY, NOW)
    assert mailboxes.deliver(BOX, BODY, NOW) == Refused("quota")
    mailboxes.delete(BOX, 1)
    assert isinstance(mailboxes.deliver(BOX, BODY, NOW), Delivered)
    assert mailboxes.deliver(BOX, BODY, NOW + 30 * DAY) == Refused("unknown_mailbox")
    assert isinstance(mailboxes.fetch(BOX, 0, 1, NOW + 30 * DAY), Refused)


def test_relayWideLimits() -> None:
    mailboxes = opened(MailboxLimits(max_mailboxes=1, max_messages=1))
    other = bytes(SigningKey(b"\1" * 32).verify_key)
    assert mailboxes.create(mailbox_id_of(other), other, NOW + 1, NOW) == Refused("full")
    mailboxes.deliver(BOX, BODY, NOW)
    assert mailboxes.deliver(BOX, BODY, NOW) == Refused("full")


def test_create_announcesLimitsAndOnlyExtends() -> None:
    mailboxes = Mailboxes(RELAY)
    first = mailboxes.create(BOX, KEY, NOW + 100, NOW)
    assert isinstance(first, Created)
    assert (first.announcement.quota_messages, first.announcement.ttl_seconds) == (4096, 7 * DAY)
    again = mailboxes.create(BOX, KEY, NOW + 50, NOW)
    assert isinstance(again, Created) and again.announcement.expires == NOW + 100
    later = mailboxes.create(BOX, KEY, NOW + 200, NOW)
    assert isinstance(later, Created) and later.effects == (PutMailbox(BOX, KEY, NOW + 200, 1),)
    assert mailboxes.create(BOX, bytes(32), NOW + 100, NOW) == Refused("wrong_key")
    assert mailboxes.create(BOX, KEY, NOW, NOW) == Refused("expired")


def test_payer_isThePassOfTheLastCreation_andKept() -> None:
    mailboxes, disk = Mailboxes(RELAY), Disk()
    assert (mailboxes.payer(BOX), mailboxes.announcement(BOX)) == (b"", None)
    for payer in (b"\1" * 32, b"\2" * 32):
        made = mailboxes.create(BOX, KEY, NOW + 100, NOW, payer)
        assert isinstance(made, Created)
        disk.apply(made.effects)
        assert disk.reopen(MailboxLimits()).payer(BOX) == mailboxes.payer(BOX) == payer
    assert mailboxes.announcement(BOX) == made.announcement


def test_refusal_isWhatCreateSays_andMakesNothing() -> None:
    mailboxes = Mailboxes(RELAY, MailboxLimits(max_mailboxes=1))
    assert mailboxes.refusal(BOX, KEY, NOW + 1, NOW) is None
    assert mailboxes.counts == (0, 0)
    mailboxes.create(BOX, KEY, NOW + 1, NOW)
    assert mailboxes.refusal(BOX, KEY, NOW + 1, NOW) is None, "it is there"
    other = bytes(32)
    for box, key, expires in ((BOX, other, NOW + 1), (BOX, KEY, NOW), (mailbox_id_of(other), other, NOW + 1)):
        refusal = mailboxes.refusal(box, key, expires, NOW)
        assert refusal is not None
        assert mailboxes.create(box, key, expires, NOW) == refusal


def test_confirmed_countsWhatTheOwnerCanStillFetch() -> None:
    mailboxes = opened(MailboxLimits(ttl_seconds=DAY))
    for now in (NOW, NOW, NOW + DAY):
        mailboxes.deliver(BOX, BODY, now)
    assert [mailboxes.confirmed(BOX, upto, NOW) for upto in (0, 1, 3, 2**64 - 1)] == [0, 1, 3, 3]
    assert [mailboxes.confirmed(BOX, upto, NOW + DAY + 3600) for upto in (1, 2, 3)] == [0, 0, 1]
    assert mailboxes.confirmed(bytes(16), 5, NOW) == 0


def test_expire_dropsOldMessagesThenTheMailbox() -> None:
    mailboxes = opened()
    mailboxes.deliver(BOX, BODY, NOW)
    mailboxes.deliver(BOX, BODY, NOW + 2 * DAY)
    assert mailboxes.expire(NOW + 7 * DAY - 1).messages == 0
    late = NOW + 7 * DAY + 3600
    assert span(mailboxes, now=late).first == 2
    gone = mailboxes.expire(late)
    assert (gone.messages, gone.mailboxes) == (1, 0)
    assert gone.effects[0] == DropMessages(BOX, 1)
    gone = mailboxes.expire(NOW + 30 * DAY)
    assert (gone.messages, gone.mailboxes, gone.effects) == (1, 1, (DropMailbox(BOX),))
    assert mailboxes.counts == (0, 0)


@given(st.integers(NOW, NOW + DAY))
def test_storedTimes_areFullHours(now: int) -> None:
    outcome = opened().deliver(BOX, BODY, now)
    drop_at = outcome.effects[0].drop_at
    assert drop_at % 3600 == 0 and 0 <= drop_at - now - 7 * DAY < 3600


def test_challenge_isAnsweredByTheOwnerOnly() -> None:
    nonce = bytes(range(32))
    signature = sign_challenge(SEED, RELAY, nonce, BOX)
    mailboxes = opened()
    assert mailboxes.authenticate(BOX, nonce, signature)
    assert not mailboxes.authenticate(bytes(16), nonce, signature)
    assert not mailboxes.authenticate(BOX, bytes(32), signature)
    assert not mailboxes.authenticate(BOX, nonce, sign_challenge(b"\1" * 32, RELAY, nonce, BOX))
    assert not mailboxes.authenticate(BOX, nonce, sign_challenge(SEED, RelayId(6), nonce, BOX))
    assert not mailboxes.authenticate(BOX, nonce, b"")
    stranger = bytes(SigningKey(b"\1" * 32).verify_key)
    theirs = sign_challenge(b"\1" * 32, RELAY, nonce, BOX)
    assert not verify_challenge(stranger, RELAY, nonce, BOX, theirs)


def test_authenticate_checksASignature_whetherOrNotThereIsAMailbox(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[bytes] = []

    class Watched(VerifyKey):
        def verify(self, message: bytes, signature: bytes) -> bytes:
            checked.append(bytes(self))
            return super().verify(message, signature)

    monkeypatch.setattr(mailbox, "VerifyKey", Watched)
    nonce, mailboxes = bytes(32), opened()
    signature = sign_challenge(b"\1" * 32, RELAY, nonce, BOX)
    assert not mailboxes.authenticate(BOX, nonce, signature)
    assert not mailboxes.authenticate(bytes(16), nonce, signature)
    assert len(checked) == 2


def test_keyOfNobody_opensNoMailboxThatDoesNotExist() -> None:
    seed, nonce = bytes(32), bytes(32)
    theirs = mailbox_id_of(bytes(SigningKey(seed).verify_key))
    assert not opened().authenticate(theirs, nonce, sign_challenge(seed, RELAY, nonce, theirs))


@pytest.mark.parametrize("messages", [[(BOX, 2, NOW)], [(bytes(16), 1, NOW)], [(BOX, 1, NOW), (BOX, 3, NOW)]])
def test_restore_failsIfAMessageIsOutOfPlace(messages: list[tuple[bytes, int, int]]) -> None:
    with pytest.raises(ValueError, match="inconsistent"):
        Mailboxes(RELAY).restore([PutMailbox(BOX, KEY, NOW + 1, 1)], messages)


calls = st.one_of(
    st.just(("deliver", 0)),
    st.just(("deliver", 0)),
    st.tuples(st.just("delete"), st.integers(0, 30)),
    st.tuples(st.just("wait"), st.integers(0, 3 * DAY)),
    st.tuples(st.just("create"), st.integers(1, 10 * DAY)),
    st.just(("restart", 0)),
)


@given(st.lists(calls, max_size=40))
@settings(max_examples=100, deadline=None)
def test_restart_changesNothing(script: list[tuple[str, int]]) -> None:
    limits = replace(MailboxLimits(), quota_messages=5)
    disk, mailboxes, now, highest = Disk(), Mailboxes(RELAY, limits), NOW, 0
    for name, amount in script:
        if name == "deliver":
            outcome = mailboxes.deliver(BOX, BODY, now)
            if isinstance(outcome, Delivered):
                assert outcome.sequence == highest + 1
                highest += 1
        elif name == "delete":
            outcome = mailboxes.delete(BOX, amount)
        elif name == "create":
            outcome = mailboxes.create(BOX, KEY, now + amount, now)
        elif name == "wait":
            now += amount
            outcome = mailboxes.expire(now)
            if DropMailbox(BOX) in outcome.effects:
                highest = 0
        else:
            before = mailboxes.fetch(BOX, 0, 99, now), mailboxes.counts
            mailboxes = disk.reopen(limits)
            assert (mailboxes.fetch(BOX, 0, 99, now), mailboxes.counts) == before
            continue
        disk.apply(getattr(outcome, "effects", ()))
        assert mailboxes.counts == (len(disk.boxes), len(disk.messages))
