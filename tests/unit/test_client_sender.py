"""The sender's state machine against a network that answers, loses, refuses and delays as it likes."""

from __future__ import annotations

import itertools
import random as stdlib_random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay.client.profile import FAST
from mixpay.client.sender import ChangeEntry, Finished, GivenUp, Sender, Transmit, Wait

ANSWERS = ("accepted", "late", "failed", "busy", "silent", "gone")


def seeded(seed: int = 1):
    return stdlib_random.Random(seed).randbytes  # noqa: S311 - a repeatable test, not a secret


def start(fragments=3, profile=FAST):
    return Sender(fragments, profile, seeded(), now=0.0)


def until_transmit(sender, now):
    """Wait as the machine asks until it sends: (the step, the time)."""
    for _ in range(10_000):
        step = sender.step(now)
        if not isinstance(step, Wait):
            return step, now
        assert step.until > now, "the machine asked to wait for the past"
        now = step.until
    raise AssertionError("the machine waits for ever")


def test_step_sendsEveryFragmentOnce_whenAllAreAccepted():
    sender, now = start(20), 0.0
    seen = []
    while sender.remaining:
        step, now = until_transmit(sender, now)
        seen.append(step.fragment)
        assert sender.accepted(step.number, now)
    assert seen == list(range(20))
    assert sender.step(now) == Finished()
    assert (sender.sent, sender.remaining) == (20, 0)


def test_step_keepsPoissonPace():
    sender, now, times = start(2_000), 0.0, []
    while sender.remaining:
        step, now = until_transmit(sender, now)
        times.append(now)
        sender.accepted(step.number, now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(FAST.interval, rel=0.1)
    # Exponential gaps deviate by their own mean; a metronome would not deviate at all.
    assert (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 == pytest.approx(mean, rel=0.1)


def test_step_neverExceedsTheWindow():
    sender, now = start(100, replace(FAST, ack_timeout=1e9, patience=1e9)), 0.0
    for _ in range(FAST.window):
        step, now = until_transmit(sender, now)
        assert isinstance(step, Transmit)
    for _ in range(1_000):
        step = sender.step(now)
        assert isinstance(step, Wait)
        now = step.until


def test_silence_sendsAgain_andALateAckStillCounts():
    sender, now = start(1), 0.0
    first, now = until_transmit(sender, now)
    second, now = until_transmit(sender, now + FAST.ack_timeout)
    assert (second.fragment, second.number) == (first.fragment, first.number + 1)
    assert sender.accepted(first.number, now)
    assert isinstance(sender.step(now), Finished)
    assert sender.accepted(second.number, now), "the copy was relayed and paid for as well"
    assert not sender.accepted(second.number, now)
    assert not sender.accepted(77, now)


def test_failed_givesUpWithTheReason_whenAttemptsAreSpent():
    sender, now = start(1, replace(FAST, in_a_row=FAST.attempts + 1)), 0.0
    for _ in range(FAST.attempts):
        step, now = until_transmit(sender, now)
        sender.failed(step.number, "mix_unreachable")
    assert sender.step(now) == GivenUp("mix_unreachable")


def test_busy_waitsLongerAndLonger_withoutSpendingAttempts():
    sender, now, waits = start(1), 0.0, []
    for _ in range(FAST.attempts):
        step, now = until_transmit(sender, now)
        waits.append(now)
        sender.busy(step.number, now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(waits)]
    assert gaps[0] >= FAST.pause
    assert max(gaps) >= FAST.longest_pause
    assert not isinstance(sender.step(now), GivenUp)


def test_busyForTooLong_changesTheEntry():
    sender, now = start(1), 0.0
    step, now = until_transmit(sender, now)
    while isinstance(step, Transmit):
        sender.busy(step.number, now)
        step, now = until_transmit(sender, now)
    assert step == ChangeEntry("stalled")
    assert FAST.patience <= now < 2 * FAST.patience


def test_failures_changeTheEntry_onceTheyAreTooMany():
    sender, now = start(100), 0.0
    for count in range(2 * FAST.tolerated + 2):
        step, now = until_transmit(sender, now)
        assert isinstance(step, Transmit), count
        if count % 2:
            sender.failed(step.number, "no_ack")
        else:
            sender.accepted(step.number, now)
    assert sender.step(now) == ChangeEntry("lossy")
    sender.entry_changed(now)
    assert isinstance(until_transmit(sender, now)[0], Transmit)


def test_failuresInARow_changeTheEntry_beforeAShortMessageFails():
    sender, now = start(1), 0.0
    for _ in range(FAST.in_a_row):
        step, now = until_transmit(sender, now)
        sender.failed(step.number, "no_ack")
    assert sender.step(now) == ChangeEntry("lossy")


def test_unusable_asksForAnotherEntry_andSendsAgainWhatWasInTheAir():
    sender, now = start(1), 0.0
    first, now = until_transmit(sender, now)
    sender.unusable("connection_lost")
    sender.unusable("later_reasons_do_not_count")
    assert sender.step(now) == ChangeEntry("connection_lost")
    sender.entry_changed(now)
    again, now = until_transmit(sender, now)
    assert again == Transmit(first.number + 1, first.fragment)
    assert not sender.accepted(first.number, now), "answers of the old entry are void"


def test_aSlowSenderIsNotStalled_beforeItSentAnything():
    sender = start(1)
    assert not isinstance(sender.step(10 * FAST.patience), ChangeEntry)


class Network:
    """Answers each packet as its script says, then accepts everything; checks what the machine may not do."""

    def __init__(self, script):
        self.script, self.flying, self.late, self.accepted = iter(script), {}, [], Counter()

    def carry(self, sender, step, now, profile):
        assert step.fragment not in self.accepted
        assert step.fragment not in [fragment for fragment, _ in self.flying.values()]
        self.flying[step.number] = (step.fragment, now + profile.ack_timeout)
        assert len(self.flying) <= profile.window
        self.answer(sender, step, next(self.script, "accepted"), now)

    def answer(self, sender, step, answer, now):
        if answer == "late":
            self.late.append(step)
        if answer in ("late", "silent"):
            return
        self.flying.pop(step.number)
        if answer == "accepted":
            for packet in [step, *self.late]:
                assert sender.accepted(packet.number, now)
                self.accepted[packet.fragment] += 1
                self.flying.pop(packet.number, None)
            self.late.clear()
        elif answer == "failed":
            sender.failed(step.number, "no_ack")
        elif answer == "busy":
            sender.busy(step.number, now)
        else:
            sender.unusable("connection_lost")

    def pass_time(self, now):
        self.flying = {number: flight for number, flight in self.flying.items() if now < flight[1]}

    def forget(self):
        self.flying.clear()
        self.late.clear()


@settings(max_examples=200, deadline=None)
@given(
    fragments=st.integers(1, 12),
    seed=st.integers(0, 2**32),
    script=st.lists(st.sampled_from(ANSWERS), max_size=60),
)
def test_step_endsWithEverythingAccepted_orSaysWhy(fragments, seed, script):
    """Whatever the network does for a while: bounds hold, nothing is in the air twice, and it ends."""
    profile = replace(FAST, window=4)
    sender, network, now = Sender(fragments, profile, seeded(seed), 0.0), Network(script), 0.0
    for _ in range(20_000):
        step = sender.step(now)
        if isinstance(step, Finished | GivenUp):
            break
        if isinstance(step, ChangeEntry):
            network.forget()
            sender.entry_changed(now)
        elif isinstance(step, Wait):
            assert step.until > now
            now = step.until
            network.pass_time(now)
        else:
            network.carry(sender, step, now, profile)
    else:
        raise AssertionError("it never ends")
    assert sender.remaining == fragments - len(network.accepted)
    assert isinstance(step, GivenUp) or sender.remaining == 0
