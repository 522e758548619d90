"""The simulation of farms: its money to the hop price, its bulk against the meters, what others lose."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abuse import honest
from abuse.caps import cap_after, loaded
from abuse.draws import Issuer
from abuse.farm import Farm
from abuse.load import Load, honest_load
from abuse.market import PAYERS, Market
from abuse.money import ENTRY, MAILBOX, MIX1, NOBODY, Tally, incomes
from abuse.onebyone import one_by_one
from mixpay.flow import SMALL, FlowMeter
from mixpay.layers import Role
from mixpay.parameters import PRODUCTION
from mixpay.passes import TICKS
from mixpay.types import HOPS, RelayId

STAKE = 0.2


def dice(seed: int = 1) -> Random:
    return Random(seed)  # noqa: S311 - tests repeat


def all_entries(market: Market, passes: int = 1) -> Counter[RelayId]:
    return Counter({record.id: passes for record in market.snapshot.relays})


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(150, seed=1)


@pytest.fixture(scope="module")
def farm(market: Market) -> Farm:
    return Farm(market, market.owned(STAKE))


@pytest.fixture(scope="module")
def load(market: Market) -> Load:
    return honest_load(market, all_entries(market, 2), dice())


@pytest.fixture(scope="module")
def large() -> Market:
    """Layers of more than 256 mixes: each serves some mailboxes, and sends to some of the next layer."""
    return Market(1_800, seed=2)


# ---------------------------------------------------------------------- money


@pytest.mark.parametrize("first", range(HOPS + 1))
def test_incomes_addUpToTheTick_andAreWhatTheChainOfPaymentsLeaves(first: int) -> None:
    """Each relay before the farmer's keeps one hop price; the farmer's first keeps what it was handed."""
    kept = incomes(first)
    assert sum(kept) == HOPS
    assert kept == (1,) * first + ((HOPS - first,) if first < HOPS else ()) + (0,) * (HOPS - first - 1)


@given(ticks=st.lists(st.integers(0, 10**12), min_size=HOPS + 1, max_size=HOPS + 1))
def test_tally_whatLeftThePoolIsWhatAllRelaysHave(ticks: list[int]) -> None:
    tally = Tally()
    for first, number in enumerate(ticks):
        tally.add(first, number)
    assert tally.pool == tally.farmer + tally.others == HOPS * sum(ticks)
    assert sum(tally.by_place().values()) == tally.farmer


def test_tally_shareWithoutMailbox_isOfFourHops() -> None:
    tally = Tally()
    tally.add(MIX1, 3)
    tally.add(MAILBOX, 7)
    assert tally.share == (3 * 4 + 7) / 50
    assert tally.share_without_mailbox == 9 / 40


def test_tally_takesNothingBack() -> None:
    with pytest.raises(ValueError, match="taken back"):
        Tally().add(ENTRY, -1)


def test_aPassInTheBooks_isWorthWhatTheTallySays(market: Market) -> None:
    (worth,) = Issuer(market, 1).spent(1)
    tally = Tally()
    tally.add(NOBODY, TICKS)
    assert (worth.ticks, worth.amount) == (TICKS, tally.pool * PRODUCTION.hop_price)


# ---------------------------------------------------------------------- meters in bulk


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(0, 60), min_size=SMALL, max_size=40))
def test_loaded_isTheMeterThatForwardedAllThat(counts: list[int]) -> None:
    hops = [RelayId(n + 1) for n in range(len(counts))]
    meter = FlowMeter(len(hops))
    for hop, count in zip(hops, counts, strict=True):
        for _ in range(count):
            meter.add(hop)
    again = loaded(hops, counts)
    assert (again.cap, again.forwarded) == (meter.cap, meter.forwarded)
    assert [again.count(hop) for hop in hops] == counts
    assert cap_after(len(hops), sum(counts) + 1) == meter.cap


def test_tooFewNextHops_areRefused_forTheirGraceIsNotInTheBulk() -> None:
    with pytest.raises(ValueError, match="grace"):
        cap_after(SMALL - 1, 100)
    with pytest.raises(ValueError, match="free of the caps"):
        Market(3 * SMALL, seed=1)


def test_oneByOne_stopsAtTheCap() -> None:
    hops = [RelayId(n) for n in range(1, 41)]
    taken = one_by_one(hops, [0] * 40, {hops[0]}, hops[1:], 5_000)
    assert abs(taken - cap_after(40, 5_000)) <= 2


# ---------------------------------------------------------------------- the farm


def test_farm_pool_isWhatAllItsPassesPull_inEveryScheme(market: Market, farm: Farm, load: Load) -> None:
    drawn = all_entries(market)
    tallies = (farm.chosen(150), farm.without_caps(drawn), farm.with_caps(drawn, load).tally)
    assert [tally.pool for tally in tallies] == [150 * TICKS * HOPS] * 3
    chosen, free, capped = (tally.farmer for tally in tallies)
    assert chosen > free > capped
    assert chosen == tallies[0].pool


def test_farm_withoutCaps_hasItsOwnEntriesWhole_andFourFifthsOfTheRest(market: Market, farm: Farm) -> None:
    tally = farm.without_caps(all_entries(market))
    own = len(farm.own)
    assert tally.ticks[ENTRY] == own * TICKS
    assert tally.ticks[MIX1] == (150 - own) * TICKS


def test_farm_nowhereGetsMoreThanTheCapsOfItsNextHops(market: Market, farm: Farm, load: Load) -> None:
    sent = farm.with_caps(all_entries(market, 3), load)
    assert {role for role, _ in sent.at} == set(PAYERS)
    for (role, payer), (packets, taken) in sent.at.items():
        assert payer not in farm.own
        hops, counts = market.next_hops(payer, role), load.of(payer, role)
        cap = cap_after(len(hops), sum(counts) + packets)
        carried = sum(count for hop, count in zip(hops, counts, strict=True) if hop in farm.own)
        assert taken + carried <= cap * len(farm.own.intersection(hops))


def test_farm_packetsArriveWhereTheyWereSent(market: Market, farm: Farm, load: Load) -> None:
    """What others' relays were brought in one role is what those before them sent on."""
    sent = farm.with_caps(all_entries(market), load)
    for role in (Role.ENTRY, Role.MIX1):
        left = sum(packets - taken for (at, _), (packets, taken) in sent.at.items() if at is role)
        assert left == sum(packets for (at, _), (packets, _) in sent.at.items() if at == role + 1)


@pytest.mark.parametrize("role", PAYERS)
def test_farm_bulkIsWhatTheMetersLetThrough(market: Market, farm: Farm, load: Load, role: Role) -> None:
    sent = farm.with_caps(all_entries(market, 3), load)
    payer = min(relay for at, relay in sent.at if at is role)
    packets, taken = sent.at[role, payer]
    hops = market.next_hops(payer, role)
    own, others = farm.split(role, payer)
    again = one_by_one(hops, load.of(payer, role), own, others, packets)
    assert 0 < taken < packets
    assert abs(again - taken) <= 2 * len(own)


def test_farm_ofOneRelay_hasTheMailboxOfEveryPacket(market: Market, load: Load) -> None:
    """The finding: the mailbox is nobody's draw, so a fifth of the price needs no stake."""
    lone = Farm(market, market.owned(1 / 150))
    drawn = all_entries(market)
    tally = lone.with_caps(drawn, load).tally
    assert len(lone.own) == 1
    assert tally.ticks[NOBODY] == 0
    assert tally.ticks[MAILBOX] > 0.9 * 150 * TICKS
    assert tally.farmer / tally.pool > 0.19


def first_place(market: Market, own: frozenset[RelayId], entry: RelayId) -> int:
    """The earliest place of a farmer's relay on any path from an entry, by looking at all of them."""
    reached = {entry}
    for place in (ENTRY, *PAYERS[1:], Role.MIX3):
        if reached & own:
            return int(place)
        if place < Role.MIX3:
            reached = {hop for relay in reached for hop in market.next_hops(relay, Role(place))}
    return MAILBOX if reached & market.before_mailboxes(own) else NOBODY


def test_farm_withoutCaps_meetsItsFirstRelayAsEarlyAsThePathsAllow(large: Market) -> None:
    places = Counter[int]()
    for layer in (1, 2, 3):
        lone = Farm(large, frozenset({large.layers.members(layer)[0]}))
        for entry in [record.id for record in large.snapshot.relays[:12]]:
            (place,) = [n for n, ticks in enumerate(lone.without_caps({entry: 1}).ticks) if ticks]
            assert place == first_place(large, lone.own, entry)
            places[place] += 1
    assert len(places) >= 3


def test_farm_ofOneRelay_ofALargeNetwork_hasFewMixesBeforeItsMailbox_andGoesThere(large: Market) -> None:
    lone = Farm(large, large.owned(1 / 1_800))
    nothing = honest_load(large, {}, dice())
    tally = lone.with_caps(all_entries(large), nothing).tally
    even = len(large.before_mailboxes(lone.own)) / len(large.layers.members(3))
    assert even < 0.5
    assert 1.2 * even < tally.ticks[MAILBOX] / (1_800 * TICKS) < 1
    assert tally.ticks[NOBODY] > 0, "caps bound what goes to those few"


def test_farm_takesTheBetterOfItsWays(large: Market, market: Market, farm: Farm, load: Load) -> None:
    better = set()
    lone, nothing = Farm(large, large.owned(1 / 1_800)), honest_load(large, {}, dice())
    for who, drawn, beside in ((farm, all_entries(market), load), (lone, all_entries(large), nothing)):
        tries = (who._with_caps(drawn, beside, even=even, each_pass=False) for even in (False, True))
        ways = [sent.tally.farmer for sent in tries]
        assert who.with_caps(drawn, beside).tally.farmer == max(ways)
        better.add(ways.index(max(ways)))
    assert 0 in better


@pytest.mark.parametrize("even", [False, True])
def test_farm_sendsToOthersWithinTheirCaps_too(market: Market, farm: Farm, load: Load, even: bool) -> None:
    payer = next(relay for relay in market.payers(Role.MIX1) if relay not in farm.own)
    hops, counts = market.next_hops(payer, Role.MIX1), load.of(payer, Role.MIX1)
    packets, onward = 5 * TICKS, Counter[RelayId]()
    taken = farm._share_out(Role.MIX1, payer, counts, packets, packets, onward, even=even)
    assert taken + onward.total() == packets
    assert not farm.own & set(onward)
    cap = cap_after(len(hops), sum(counts) + packets)
    assert all(count + onward[hop] <= cap for hop, count in zip(hops, counts, strict=True) if onward[hop])


def test_honestLoad_isSentOnByWhoeverGotIt(market: Market, load: Load) -> None:
    sent = [sum(sum(load.of(payer, role)) for payer in market.payers(role)) for role in PAYERS]
    assert sent == pytest.approx([300 * TICKS] * 3, rel=0.01)


def test_farm_isALargerPartOfALargerFarm(market: Market, farm: Farm) -> None:
    assert market.owned(0.05) < farm.own
    assert len(farm.own) == 30


# ---------------------------------------------------------------------- honest traffic


def test_uniformTraffic_losesNothing_andAFarmersDoes() -> None:
    hops = [RelayId(n) for n in range(1, 101)]
    assert honest.uniform(hops, 50_000, dice()) == honest.Loss(50_000, 0)
    meter = FlowMeter(100)
    assert honest.offer(meter, lambda: hops[0], 1_000).refused > 900


def test_beside_whoKeepsMixesFull_turnsThoseDrawsAway_andNoOthers(market: Market) -> None:
    hops = market.next_hops(RelayId(1), Role.ENTRY)
    full = frozenset(hops[:5])
    loss = honest.beside(hops, full, 20_000, dice())
    assert 0.7 * 5 / len(hops) < loss.refused / loss.offered < 1.05 * 5 / len(hops)
    assert honest.beside(hops, frozenset(), 20_000, dice()).refused == 0
    spited = honest.spite(hops, 20_000, dice()).refused
    assert spited > 0.15 * 20_000
    for part in (0.2, 0.9):
        attacked = frozenset(hops[: int(part * len(hops))])
        assert honest.beside(hops, attacked, 20_000, dice()).refused <= 1.01 * spited, "the worst is told"


def test_farm_eachPassCapped_hasNoMoreThanItsCapFromAnEntry(market: Market, farm: Farm, load: Load) -> None:
    drawn = all_entries(market)
    free, bound = (farm.with_caps(drawn, load, each_pass=each) for each in (False, True))
    assert bound.tally.farmer < free.tally.farmer
    for (role, payer), (_, taken) in bound.at.items():
        if role is Role.ENTRY:
            own, others = farm.split(role, payer)
            assert taken <= len(own) * cap_after(len(own) + len(others), TICKS)


def test_popularMailbox_isRefused_whereFewMixesServeIt(large: Market) -> None:
    last = honest.LastMixes(large, large.layers.members(2)[0])
    assert last.offer(100_000, 0.0, dice()).refused == 0
    assert last.offer(100_000, 1.0, dice()).refused > 10_000
