"""Flow caps: honest uniform traffic never meets them, a farmer does, and gains little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from math import exp, isqrt, lgamma, log
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mixpay import flow
from mixpay.errors import MixpayError
from mixpay.flow import FEW, MOST_GRACE, FlowMeter
from mixpay.layers import Path, TermLayers
from mixpay.snapshot import Snapshot
from mixpay.types import RelayId
from registry_samples import record, snapshot

HOPS = [RelayId(n) for n in range(1, 5)]


def after(packets: int, usable: int) -> FlowMeter:
    """A meter that has seen so many packets, with as many next hops all the time, without grace."""
    one = FlowMeter(usable)
    one.add(HOPS[0])
    share, var, *_ = one.state()
    meter = FlowMeter.restored([share * packets, var * packets, 0])
    meter.use(usable)
    return meter


# ---------------------------------------------------------------------- the formula


@pytest.mark.parametrize(
    ("packets", "usable", "cap"),
    [
        (100, 1, 126 + FEW),  # the whole, and a quarter of it; nothing varies. One more packet is on its way
        (899, 3, 375 + isqrt(64 * 200) + FEW),
        (99_999, 100, 1_250 + isqrt(64 * 990) + FEW),
    ],
)
def test_cap_isShareAndAQuarterAndEightDeviations(packets: int, usable: int, cap: int) -> None:
    assert after(packets, usable).cap == cap


def test_usableFewer_raisesTheShareOfTheNextPacketsAtOnce() -> None:
    meter = after(30_000, 3)
    before = meter.cap
    meter.use(2)
    for _ in range(1_000):
        meter.add(HOPS[0])
    at_two = meter.cap - before
    meter.use(3)
    for _ in range(1_000):
        meter.add(HOPS[0])
    at_three = meter.cap - before - at_two
    assert at_two - 1_000 > 600  # 5/4 of a half, and what the deviations grow by; the rest is the grace
    assert 400 < at_three - 1_000 < 430


def test_usableNone_isAsOne() -> None:
    meter = FlowMeter(0)
    assert meter.usable == 1
    for _ in range(1_000):
        assert meter.allows(HOPS[0])
        meter.add(HOPS[0])


def test_grace_isWhatOnePassPaysForAndOnlyInSmallNetworks() -> None:
    small, large = FlowMeter(flow.SMALL - 1), FlowMeter(flow.SMALL)
    for meter in (small, large):
        while meter.allows(HOPS[0]):
            meter.add(HOPS[0])
    assert MOST_GRACE < small.count(HOPS[0]) < 1.3 * MOST_GRACE
    assert large.count(HOPS[0]) < 100


# ---------------------------------------------------------------------- honest traffic


def tail(packets: int, share: Fraction, count: int) -> float:
    """Probability that a binomial variable is `count` or more, summed term by term."""
    p, total = float(share), 0.0
    fixed = lgamma(packets + 1)
    for k in range(count, packets + 1):
        exponent = fixed - lgamma(k + 1) - lgamma(packets - k + 1) + k * log(p) + (packets - k) * log(1 - p)
        term = exp(exponent) if exponent > -700 else 0.0
        total += term
        if term <= total * 1e-12:
            break
    return total


def moments() -> Iterator[int]:
    """Numbers of packets up to ten million: all small ones, then in steps of a tenth."""
    packets = 1
    while packets <= 10_000_000:
        yield packets
        packets = max(packets + 1, packets * 11 // 10)


@pytest.mark.parametrize("usable", [2, 3, 9, 10, 33, 256])
def test_uniformTraffic_isWithinTheCapAtEveryMoment(usable: int) -> None:
    """Without any grace. 10^7 moments of 256 next hops, each above its cap with 10^-13 at most, are 3 in
    10,000 epochs of the largest relay; and where millions of packets make most moments, it is far less.
    """
    for packets in moments():
        cap = after(packets - 1, usable).cap
        chance = tail(packets, Fraction(1, usable), cap + 1) if cap < packets else 0.0
        assert chance < 1e-13, (packets, cap)
        if packets > 100_000 * usable:
            assert chance < 1e-40, (packets, cap)


@pytest.mark.parametrize("usable", [2, 33, 256])
def test_uniformTraffic_drawnAtRandom_isNeverRefused(usable: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "MOST_GRACE", 0)
    dice, meter = Random(usable), FlowMeter(usable)  # noqa: S311 - tests repeat
    for _ in range(100_000):
        hop = RelayId(dice.randrange(usable))
        assert meter.allows(hop)
        meter.add(hop)


# ---------------------------------------------------------------------- a network of nine


class Nine:
    """Nine relays in three layers of three, and what each forwards as entry, mix 1 and mix 2."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)  # noqa: S311 - tests repeat
        drawn: Snapshot = snapshot([record(relay, relay - 1) for relay in range(1, 10)])
        self.layers = TermLayers(drawn, drawn)
        self.relays = [found.id for found in drawn.relays]
        self.meters = {
            (relay, role): FlowMeter(self._next_hops(relay, role, frozenset()))
            for relay in self.relays
            for role in (0, self.layers.layer(relay))
            if role < 3
        }
        self.forwarded: Counter[RelayId] = Counter()
        self.refused = 0
        self.down: frozenset[RelayId] = frozenset()
        self.lawless: Path | tuple[()] = ()
        """Relays that ask no cap when they pay."""

    def _next_hops(self, relay: RelayId, role: int, down: frozenset[RelayId]) -> int:
        return len(set(self.layers.successors(relay, role)) - down)  # type: ignore[arg-type]

    def fall(self, *down: RelayId) -> None:
        """From now on these relays are down, and everybody knows it."""
        self.down = frozenset(down)
        for (relay, role), meter in self.meters.items():
            meter.use(self._next_hops(relay, role, self.down))

    def alive(self, relay: RelayId) -> bool:
        return relay not in self.down

    def honest(self) -> Path:
        """Who sends draws entry, mailbox and path uniformly."""
        alive = [relay for relay in self.relays if self.alive(relay)]
        self.entry, mailbox = self.dice.choice(alive), self.dice.choice(alive)
        return self.layers.draw_path(self.entry, mailbox, self.alive, self.dice.randbytes)

    def send(self, path: Path) -> None:
        """A packet goes on until a payer refuses it."""
        for role, (payer, next_hop) in enumerate(zip((self.entry, *path), path)):  # noqa: B905
            meter = self.meters[payer, role]
            if payer not in self.lawless and not meter.allows(next_hop):
                self.refused += 1
                return
            meter.add(next_hop)
            self.forwarded[next_hop] += 1


@pytest.fixture
def nine(monkeypatch: pytest.MonkeyPatch) -> Nine:
    """Without grace, which would hide for a long time what the caps do."""
    monkeypatch.setattr(flow, "MOST_GRACE", 0)
    return Nine(9)


def test_networkOfNine_honestTraffic_neverMeetsACap(nine: Nine) -> None:
    for _ in range(15_000):
        nine.send(nine.honest())
    assert nine.refused == 0
    assert sum(nine.forwarded.values()) == 45_000


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_networkOfNine_withARelayDeadForAWhile_honestTrafficNeverMeetsACap(nine: Nine, layer: int) -> None:
    dead = nine.layers.members(layer)[1]
    for down in ((), (dead,), (), (dead,)):
        nine.fall(*down)
        before = nine.forwarded[dead]
        for _ in range(5_000):
            nine.send(nine.honest())
        assert (nine.forwarded[dead] == before) == bool(down)
    assert nine.refused == 0


def farm(nine: Nine) -> Path:
    """One relay in each layer belongs to a farmer, who makes users that send through them."""
    first, second, third = (nine.layers.members(layer)[0] for layer in (1, 2, 3))
    nine.lawless = first, second, third
    return nine.lawless


def others(nine: Nine, own: Path) -> list[RelayId]:
    """Entries that are not the farmer's: which one a pass is for, nobody chooses."""
    return [relay for relay in nine.relays if relay not in own]


def test_networkOfNine_farmerThatSendsThroughItsOwnRelaysOnly_isStopped(nine: Nine) -> None:
    own = farm(nine)
    for _ in range(20_000):
        nine.entry = nine.dice.choice(others(nine, own))
        nine.send(own)
    assert nine.refused > 18_000
    assert max(nine.forwarded.values()) < 2_000


def test_networkOfNine_farmerThatFillsUpWithOthers_getsLittleMoreThanItsShare(nine: Nine) -> None:
    """The best it can do: as much as is allowed goes to its own first mix, the rest to others."""
    own = farm(nine)
    first_mixes = nine.layers.members(1)
    entries = [relay for relay in others(nine, own) if relay not in first_mixes]  # which serve all three
    for _ in range(60_000):
        _, *further = nine.honest()
        nine.entry = nine.dice.choice(entries)
        allowed = nine.meters[nine.entry, 0].allows(own[0])
        first = own[0] if allowed else nine.dice.choice(first_mixes[1:])
        nine.send((first, further[0], further[1]))
    counts = [nine.forwarded[relay] for relay in first_mixes]
    assert 1 / 3 * 1.25 < counts[0] / sum(counts) < 1 / 3 * 1.25 + 0.05
    for entry in entries:
        meter = nine.meters[entry, 0]
        assert meter.count(own[0]) <= meter.cap


def test_largeNetwork_farmer_getsAQuarterMoreThanItsShareAtMost() -> None:
    """One in ten of 100 next hops is a farmer's, and all traffic is its own."""
    meter, dice = FlowMeter(100), Random(1)  # noqa: S311 - tests repeat
    own = 0
    for _ in range(200_000):
        hop = RelayId(dice.randrange(10))
        if not meter.allows(hop):
            hop = RelayId(dice.randrange(10, 100))
        if meter.allows(hop):
            meter.add(hop)
            own += hop < 10
    assert meter.forwarded > 199_000
    deviations = 10 * (8 * (200_000 * 0.01 * 0.99) ** 0.5 + FEW)
    assert 0.12 < own / meter.forwarded < 0.125 + deviations / meter.forwarded


# ---------------------------------------------------------------------- the state machine


class Meters(RuleBasedStateMachine):
    """A meter beside exact fractions of the same rule."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.usable = 3
        self.meter = FlowMeter(self.usable)
        self.share = self.var = Fraction(0)
        self.grace = 0
        self.counts: Counter[RelayId] = Counter()
        self.last_cap = 0

    @rule(usable=st.integers(0, 256))
    def use(self, usable: int) -> None:
        self.usable = max(1, usable)
        self.meter.use(usable)
        self.last_cap = 0  # the packet that the cap counts ahead has another share now

    @rule(hop=st.sampled_from(HOPS), packets=st.integers(1, 60))
    def forward(self, hop: RelayId, packets: int) -> None:
        """What is forwarded counts, even if it was allowed before others went ahead of it."""
        share = Fraction(1, self.usable)
        for _ in range(packets):
            self.meter.add(hop)
            self.counts[hop] += 1
            self.share += share
            self.var += share * (1 - share)
            self.grace = min(MOST_GRACE, self.grace + (self.usable < flow.SMALL))

    @precondition(lambda self: self.counts)
    @rule()
    def restart(self) -> None:
        (self.meter,) = flow.decode(flow.encode({(7, 1): self.meter})).values()
        assert self.meter.usable == 1  # links are down
        self.meter.use(self.usable)

    @invariant()
    def capIsExact(self) -> None:
        share = self.share + Fraction(1, self.usable)
        var = self.var + Fraction(self.usable - 1, self.usable**2)
        exact = share * Fraction(5, 4) + self.grace + FEW
        deviations = isqrt(int(64 * var * 10**12))  # in millionths
        assert abs(self.meter.cap - (exact + Fraction(deviations, 10**6))) < 2

    @invariant()
    def capNeverFalls(self) -> None:
        assert self.meter.cap >= self.last_cap
        self.last_cap = self.meter.cap

    @invariant()
    def allowed_isWhoseCountIsBelowTheCap(self) -> None:
        for hop in HOPS:
            assert self.meter.count(hop) == self.counts[hop]
            assert self.meter.allows(hop) == (self.counts[hop] + 1 <= self.meter.cap)
        assert self.meter.forwarded == sum(self.counts.values())


TestMeters = Meters.TestCase
TestMeters.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


# ---------------------------------------------------------------------- memory


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91\x93\x01\x01\x90", b"\x91\x93\x01\x01\x93\x01\x01\xff"])
def test_decode_refusesWhatNobodyWrote(data: bytes) -> None:
    with pytest.raises(MixpayError, match="flow"):
        flow.decode(data)
