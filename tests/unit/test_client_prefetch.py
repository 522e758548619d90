"""When passes are fetched ahead: what the issuer sees of it says nothing of when their user sends."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.client.prefetch import SPARE_BELOW, DropSpare, Fetch, Held, Plan, WantSpare
from mixpay.epochs import Schedule
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, TICKS
from mixpay.types import Epoch

SCHEDULE = Schedule(1_000_000, 86_400, 4)
EPOCH = Epoch(9)
NOTHING, FULL = Held(0, 0), Held(1, TICKS)
SECRETS = st.binary(min_size=32, max_size=32)


def dice(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - tests repeat


def plan(secret: bytes = bytes(32), entry_passes: int = 1, seed: int = 0) -> Plan:
    return Plan(SCHEDULE, secret, dice(seed).randbytes, entry_passes)


@given(SECRETS, st.sampled_from((KIND_ENTRY, KIND_MAILBOX)), st.integers(1, 1 << 20))
def test_moments_lieInThePeriodBefore(secret: bytes, kind: int, period: int):
    length = 1 if kind == KIND_ENTRY else SCHEDULE.term_length
    closes = SCHEDULE.start(Epoch(period * length))
    moments = plan(secret, 4).moments(kind, period)
    assert len(moments) == (4 if kind == KIND_ENTRY else 1), "a mailbox is enough"
    assert all(closes - length * SCHEDULE.epoch_length <= moment < closes for moment in moments)
    assert moments == plan(secret, 4, seed=5).moments(kind, period), "from the secret alone"


def test_moments_areUniform_andEachItsOwn():
    start = SCHEDULE.start(Epoch(EPOCH - 1))
    found = [plan(bytes([n, m] * 16)).moments(KIND_ENTRY, EPOCH)[0] for n in range(50) for m in range(50)]
    quarters = Counter((moment - start) * 4 // SCHEDULE.epoch_length for moment in found)
    # 625 in each; six standard deviations are 130. The secrets are fixed, so this is no chance.
    assert all(495 < quarters[quarter] < 755 for quarter in range(4))
    places = [(KIND_ENTRY, EPOCH), (KIND_ENTRY, EPOCH + 1), (KIND_MAILBOX, 5)]
    offsets = {(plan(bytes(32), 1).moments(*place)[0] - SCHEDULE.genesis) % 86_400 for place in places}
    assert len(offsets) == 3


def test_plan_needsASecret_andFetchesSomething():
    with pytest.raises(ValueError, match="32 bytes"):
        plan(b"short")
    with pytest.raises(ValueError, match="at least one"):
        plan(entry_passes=0)
    assert bytes(32).hex() not in repr(plan())


def steps(now: int, held: dict[tuple[int, int], Held], spare: int | None = None, count: int = 1) -> list:
    return plan(entry_passes=count).steps(now, EPOCH, lambda *place: held.get(place, NOTHING), spare)


def test_steps_fetchAtTheMoment_notBefore_andOnce():
    (moment,) = plan().moments(KIND_ENTRY, EPOCH + 1)
    held = {(KIND_ENTRY, 9): FULL, (KIND_MAILBOX, 2): FULL, (KIND_MAILBOX, 3): FULL}
    assert steps(moment - 1, held) == []
    assert steps(moment, held) == [Fetch(KIND_ENTRY, 10)]
    assert steps(SCHEDULE.end(EPOCH) - 1, held) == [Fetch(KIND_ENTRY, 10)], "it was asleep"
    assert steps(moment, held | {(KIND_ENTRY, 10): FULL}) == []
    assert steps(moment, held | {(KIND_ENTRY, 10): Held(1, 0)}) == [], "whatever became of it"


def test_steps_fetchWhatIsMissingNow():
    now = SCHEDULE.start(EPOCH)
    assert steps(now, {})[:2] == [Fetch(KIND_ENTRY, 9), Fetch(KIND_MAILBOX, 2)]
    assert steps(now, {}, count=3)[:3] == [Fetch(KIND_ENTRY, 9)] * 3


@given(st.integers(0, TICKS), st.integers(0, 86_399), st.integers(1, 4))
def test_steps_forTheNextPeriods_doNotDependOnWhatIsSpent(left: int, at: int, count: int):
    now = SCHEDULE.start(EPOCH) + at

    def ahead(held: Held) -> list:
        found = steps(now, {(KIND_ENTRY, 9): held, (KIND_MAILBOX, 2): FULL}, count=count)
        return [step for step in found if isinstance(step, Fetch) and (step.kind, step.period) != (1, 9)]

    assert ahead(Held(count, left)) == ahead(Held(count, TICKS * count))


def test_spare_isWantedAtHalf_atARandomMomentInTheNextHour():
    now = SCHEDULE.start(EPOCH)
    others = dict.fromkeys(plan().periods(EPOCH), FULL)
    half = others | {(KIND_ENTRY, EPOCH): Held(1, SPARE_BELOW)}
    assert steps(now, others | {(KIND_ENTRY, EPOCH): Held(1, SPARE_BELOW + 1)}) == []
    moments = set()
    for seed in range(40):
        (wanted,) = plan(seed=seed).steps(now, EPOCH, lambda *place: half[place], None)
        assert isinstance(wanted, WantSpare)
        moments.add(wanted.at)
    assert all(now <= moment < now + 3600 for moment in moments)
    assert max(moments) - min(moments) > 2400
    late = SCHEDULE.end(EPOCH) - 5
    (wanted,) = steps(late, half)
    assert late <= wanted.at < SCHEDULE.end(EPOCH), "it is of no use in the next epoch"
    assert steps(now, half, spare=now + 1) == []
    assert steps(now, half, spare=now) == [Fetch(KIND_ENTRY, EPOCH, spare=True)]
    assert steps(now, others, spare=now) == [DropSpare(EPOCH)], "another pass was fetched in need"


# ---------------------------------------------------------------------- the issuer plays


@dataclass
class SimulatedUser:
    """A wallet whose keeper looks every ten minutes, and whose user sends so many ticks at given looks."""

    name: int
    sends: dict[int, int]
    spent: int = 0
    spare: int | None = None
    held: Counter[tuple[int, int]] = field(default_factory=Counter)
    ahead: list[tuple[int, int, int]] = field(default_factory=list)
    """(time, kind, period) of each fetch ahead, as the issuer sees it."""
    spares: list[int] = field(default_factory=list)

    def live(self, looks: int) -> SimulatedUser:
        mine = plan(dice(self.name).randbytes(32), seed=self.name + 1000)
        begin = SCHEDULE.start(EPOCH)
        for look in range(looks):
            now = begin + 600 * look
            epoch = SCHEDULE.epoch_at(now)
            if now == SCHEDULE.start(epoch):
                self.spent, self.spare = 0, None
            self.spent += self.sends.get(look, 0)
            for step in mine.steps(now, epoch, self.have, self.spare):
                self.do(step, now)
        return self

    def have(self, kind: int, period: int) -> Held:
        return Held(self.held[kind, period], max(0, self.held[kind, period] * TICKS - self.spent))

    def do(self, step: object, now: int) -> None:
        if isinstance(step, WantSpare):
            self.spare = step.at
        elif isinstance(step, DropSpare):
            self.spare = None
        elif isinstance(step, Fetch):
            self.held[step.kind, step.period] += 1
            if step.spare:
                self.spares.append(now)
                self.spare = None
            else:
                self.ahead.append((now, step.kind, step.period))


LOOKS = 3 * 144
USERS = 40


def bursts(user: int, ticks: int) -> dict[int, int]:
    """One burst a day, at an hour of the user's own."""
    draw = dice(10_000 + user)
    return {day * 144 + draw.randrange(60): ticks for day in range(3)}


def test_issuer_seesTheSameFetches_whateverAUserSends():
    silent = [SimulatedUser(user, {}).live(LOOKS) for user in range(USERS)]
    light = [SimulatedUser(user, bursts(user, 500)).live(LOOKS) for user in range(USERS)]
    heavy = [SimulatedUser(user, dict.fromkeys(range(LOOKS), 100)).live(LOOKS) for user in range(USERS)]
    assert [user.ahead for user in silent] == [user.ahead for user in light] == [u.ahead for u in heavy]
    assert all(len(user.ahead) >= 4 for user in silent)
    assert not any(user.spares for user in (*silent, *light)), "what fits into half a pass shows in nothing"


def test_issuer_cannotTellWhenABurstWas_fromTheFetches():
    """Of all users' fetches, those within an hour after their user's burst are as many as chance makes."""
    near = chance = 0
    for user in range(USERS):
        lived = SimulatedUser(user, bursts(user, 500)).live(LOOKS)
        fetched = [(now - SCHEDULE.start(EPOCH)) // 600 for now, kind, _ in lived.ahead if kind == KIND_ENTRY]
        for other in range(USERS):
            hits = sum(0 <= look - burst < 6 for look in fetched[1:] for burst in bursts(other, 1))
            if other == user:
                near += hits
            else:
                chance += hits
    # 80 moments, each with a burst in the hour before it by chance 6/144: about three, for whoever sent.
    assert near <= 8
    assert 1 < chance / (USERS - 1) < 6


def test_issuer_seesASpare_notAtTheTick_thatMadeItNeeded():
    """What heavy use shows, blurred over an hour: stated in docs/design.md §8."""
    delays = []
    for user in range(USERS):
        lived = SimulatedUser(user, {36: 10_000}).live(72)
        (spare,) = lived.spares
        delays.append((spare - SCHEDULE.start(EPOCH)) // 600 - 36)
    assert min(delays) >= 0
    assert max(delays) <= 6
    assert len(set(delays)) >= 5
