"""Packets opened many at a time: each gets its own verdict, in its place."""

from __future__ import annotations

from dataclasses import replace

from mixpay.crypto import secp256k1
from mixpay.packet import Forward
from mixpay.types import Epoch
from opening_samples import DICE, EPOCH, KEY, SECRET, job
from relay.path.opening import InlineOpener, Opened, open_all

KEYS = {EPOCH: KEY}


def test_eachVerdictIsInItsPlace() -> None:
    jobs = [job() for _ in range(20)]
    jobs[2] = replace(jobs[2], lock=bytes(20))
    jobs[5] = replace(jobs[5], hint=jobs[6].hint)
    jobs[8] = replace(jobs[8], packet=bytes(len(jobs[8].packet)))
    jobs[11] = replace(jobs[11], epoch=Epoch(9))
    jobs[14] = replace(jobs[14], layer=2)
    jobs[17] = replace(jobs[17], hint=b"\x05" * 65)
    verdicts = open_all(KEYS, jobs, DICE.randbytes)
    faults = {place: verdict for place, verdict in enumerate(verdicts) if isinstance(verdict, str)}
    assert faults == {
        2: "wrong_lock",
        5: "wrong_hint",
        8: "low_order",
        11: "wrong_epoch",
        14: "malformed",
        17: "wrong_hint",
    }
    for place, verdict in enumerate(verdicts):
        if isinstance(verdict, Opened):
            assert isinstance(verdict.peeled, Forward)
            assert secp256k1.base_mult(verdict.peeled.ack, secp256k1.LONG_POINT_SIZE) == jobs[place].hint
            assert len(verdict.next_hint) == secp256k1.LONG_POINT_SIZE


def test_nothingToOpen() -> None:
    assert open_all(KEYS, [], DICE.randbytes) == []


def test_inline_tellsAtOnce_andAsksForReplays() -> None:
    asked: list[tuple[Epoch, bytes]] = []

    def is_replay(epoch: Epoch, tag: bytes) -> bool:
        asked.append((epoch, tag))
        return len(asked) == 2

    opener = InlineOpener(DICE.randbytes, is_replay)
    opener.use(KEYS)
    told: list[object] = []
    opener.open([job(), job()], told.extend)
    assert isinstance(told[0], Opened)
    assert told[1] == "replayed"
    assert asked[0] == (EPOCH, told[0].peeled.tag)


def test_secretsAreNotShown() -> None:
    assert SECRET.hex() not in repr(KEY)
    assert repr(SECRET) not in repr(KEY)
    opened = open_all(KEYS, [job()], DICE.randbytes)[0]
    assert isinstance(opened, Opened)
    assert repr(opened.peeled.own) not in repr(opened)
