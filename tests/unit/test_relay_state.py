"""What a relay knows: time, relays that may hold links, descriptors, and what passes are checked against."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mixpay import tls
from mixpay.chain.views import Campaign
from mixpay.errors import PeerError, UserError
from mixpay.parameters import DEMO
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, TICK_VALUE, TICKS, PassError, Scope
from mixpay.types import Account, Epoch, RelayId
from registry_samples import operator_key
from relay.keys.epoch_keys import PacketKeys
from relay.state import State
from relay_parts import (
    CAMPAIGN,
    DEPLOYMENT,
    EPOCH,
    PRICE,
    RELAYS,
    Chain,
    campaign,
    issued,
    link_seed,
    packet_secret,
    signing_key,
)

NEXT = Epoch(EPOCH + 1)


def state(chain: Chain, relay: int = 1) -> State:
    """A relay's, with its packet keys made."""
    made = State(
        RelayId(relay), chain.view, PacketKeys({}, lambda _: packet_secret(relay)), operator_key(relay)
    )
    for epoch in made.living_epochs():
        if made.is_member(epoch):
            made.keys.hold(epoch, packet_secret(relay))
    return made


@pytest.fixture
def chain() -> Chain:
    return Chain().begin()


# ---------------------------------------------------------------------- time


def test_floor_isTheLastEpochOnlyForAGrace(chain: Chain) -> None:
    here = state(chain)
    chain.freeze(NEXT)
    chain.at(NEXT, DEMO.key_grace - 1)
    assert here.floor == EPOCH
    assert here.living_epochs() == [EPOCH, NEXT]
    chain.at(NEXT, DEMO.key_grace)
    assert here.floor == NEXT
    assert here.living_epochs() == [NEXT]


def test_nextEpoch_livesOnceItIsFixed(chain: Chain) -> None:
    here = state(chain)
    assert here.living_epochs() == [EPOCH]
    chain.freeze(NEXT)
    assert here.living_epochs() == [EPOCH, NEXT]


def test_clockThatGoesBack_isNotBelieved(chain: Chain) -> None:
    here = state(chain)
    before = here.chain_time
    chain.at(0, 5)
    assert (here.chain_time, here.epoch) == (before, EPOCH)


# ---------------------------------------------------------------------- releases


def test_hopPrice_isThatOfTheKeysEpoch(chain: Chain) -> None:
    chain.publish(NEXT, price=2 * PRICE)
    chain.freeze(NEXT)
    here = state(chain)
    assert {epoch: keys.hop_price for epoch, keys in here.epoch_keys().items()} == {
        EPOCH: PRICE,
        NEXT: 2 * PRICE,
    }
    here.check_releases()


def test_networkThatMovesTomorrow_isServedToday(chain: Chain) -> None:
    """The present epoch goes on; the next one is another daemon's, of the new contracts."""
    chain.publish(NEXT, registry=Account(bytes(20)), price=2 * PRICE)
    chain.freeze(NEXT)
    here = state(chain)
    here.check_releases()
    assert list(here.epoch_keys()) == here.living_epochs() == [EPOCH]
    assert not here.is_over
    chain.at(NEXT, DEMO.key_grace - 1)
    assert list(here.epoch_keys()) == [EPOCH] and not here.is_over, "packets on their way arrive"
    chain.at(NEXT, DEMO.key_grace)
    assert here.epoch_keys() == {} and here.is_over
    assert here.hop_price == PRICE, "what is owed is counted in it"
    here.check_releases()


def test_networkThatComesBack_isServedAgain(chain: Chain) -> None:
    chain.publish(NEXT, registry=Account(bytes(20)))
    chain.publish(NEXT + 1)
    chain.freeze(NEXT)
    chain.freeze(NEXT + 1)
    here = state(chain)
    chain.at(NEXT, DEMO.key_grace)
    assert here.living_epochs() == [NEXT + 1]
    assert not here.is_over


def test_contractsWhoseTimeIsToCome_arePreparedFor() -> None:
    """A registry that was deployed before its release is in force: keys are made for its first epoch."""
    chain = Chain(0)
    chain.view._state.releases.clear()
    chain.publish(NEXT)
    for relay in range(1, RELAYS + 1):
        chain.register(relay)
    chain.freeze(EPOCH)
    chain.at(EPOCH)
    here = state(chain)
    assert here.living_epochs() == [] and here.epoch_keys() == {}
    assert not here.is_over and here.hop_price == PRICE
    here.check_releases()
    chain.freeze(NEXT)
    here = state(chain)
    assert list(here.epoch_keys()) == [NEXT]


def test_relayThatLeft_isOverWithItsLastEpoch(chain: Chain) -> None:
    here = state(chain)
    chain.leave(1)
    assert not here.is_over
    chain.freeze(NEXT)
    chain.at(NEXT, DEMO.key_grace)
    assert here.is_over
    assert chain.view.last_record(RelayId(1)) is not None


def test_hopPrice_withoutARelease(chain: Chain) -> None:
    nowhere = Chain(0)
    nowhere.view._state.releases.clear()
    here = State(RelayId(1), nowhere.view, PacketKeys({}, bytes), operator_key(1))
    with pytest.raises(UserError, match="no release"):
        _ = here.hop_price


# ---------------------------------------------------------------------- links


def test_linkKey_isTheRegisteredOne(chain: Chain) -> None:
    assert state(chain).link_key(RelayId(4)) == tls.link_key_of(link_seed(4))


@pytest.mark.parametrize("relay", [0, RELAYS + 1, 2**32 - 1])
def test_linkKey_ofAStranger(chain: Chain, relay: int) -> None:
    with pytest.raises(PeerError, match="unknown_relay"):
        state(chain).link_key(RelayId(relay))


def test_linkKey_ofOneWhoseEpochIsNotFixedYet(chain: Chain) -> None:
    chain.register(RELAYS + 1)
    with pytest.raises(PeerError, match="unknown_relay"):
        state(chain).link_key(RelayId(RELAYS + 1))
    chain.freeze(NEXT)
    assert state(chain).link_key(RelayId(RELAYS + 1)) == tls.link_key_of(link_seed(RELAYS + 1))


def test_linkKey_ofOneThatLeft_countsUntilItsLastEpochIsOver(chain: Chain) -> None:
    """Until then packets go through it, and it has debts: without a link nobody could be paid."""
    here = state(chain)
    chain.leave(4)
    assert here.link_key(RelayId(4)) == tls.link_key_of(link_seed(4))
    assert here.record(RelayId(4)) is not None
    chain.freeze(NEXT)
    chain.at(NEXT, DEMO.key_grace - 1)
    assert here.link_key(RelayId(4)) == tls.link_key_of(link_seed(4))
    chain.at(NEXT, DEMO.key_grace)
    with pytest.raises(PeerError, match="unknown_relay"):
        here.link_key(RelayId(4))


def test_record_isWhereTheRelayIsNow(chain: Chain) -> None:
    chain.update(4, "moved.example:1:2")
    found = state(chain).record(RelayId(4))
    assert found is not None and found.endpoint == "moved.example:1:2"


# ---------------------------------------------------------------------- passes


def scope(kind: int = KIND_ENTRY, period: int = EPOCH, campaign: int = CAMPAIGN) -> Scope:
    return Scope(DEPLOYMENT.chain_id, DEPLOYMENT.pool, campaign, kind, period)


@pytest.fixture
def serving(chain: Chain) -> State:
    """A relay that serves one campaign, whose keys are registered."""
    here = state(chain)
    here.campaigns[CAMPAIGN] = campaign()
    chain.set_key(signing_key(1), KIND_ENTRY, EPOCH)
    chain.set_key(signing_key(1), KIND_MAILBOX, EPOCH // DEMO.term_length)
    return here


@pytest.mark.parametrize("kind", [KIND_ENTRY, KIND_MAILBOX])
def test_passRules_areThoseOfThePeriod(serving: State, chain: Chain, kind: int) -> None:
    rules = serving.pass_rules(scope(kind), signing_key(1).public)
    snapshot = chain.view.snapshot(EPOCH)
    assert rules.scope == scope(kind)
    assert (rules.hop_price, rules.beacon, rules.count) == (PRICE, snapshot.beacon, snapshot.count)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (scope(campaign=2), "wrong_campaign"),
        (scope(period=EPOCH - 1), "wrong_period"),
        (scope(period=EPOCH + 1), "wrong_period"),
        (scope(KIND_MAILBOX, 2**32 - 1), "wrong_period"),
        (replace(scope(), chain_id=1), "wrong_chain"),
        (replace(scope(), pool=bytes(20)), "wrong_chain"),
    ],
)
def test_passOfAnotherScope_isRefused(serving: State, wrong: Scope, reason: str) -> None:
    with pytest.raises(PassError) as caught:
        serving.pass_rules(wrong, signing_key(1).public)
    assert caught.value.reason == reason


def test_keyThatThePoolDoesNotHold_isWrongKey(serving: State, chain: Chain) -> None:
    with pytest.raises(PassError, match="wrong_key"):
        serving.pass_rules(scope(), signing_key(2).public)
    serving.campaigns[2] = campaign()
    with pytest.raises(PassError, match="wrong_key"):  # none is registered for this one
        serving.pass_rules(scope(campaign=2), signing_key(1).public)


def test_beforeAnythingIsFixed_isNotReady() -> None:
    chain = Chain()
    chain.at(0)
    here = State(RelayId(1), chain.view, PacketKeys({}, bytes), operator_key(1))
    here.campaigns[CAMPAIGN] = campaign()
    with pytest.raises(PassError, match="not_ready"):
        here.pass_rules(scope(period=0), signing_key(1).public)


def test_epochWithoutRelays_isNotReady() -> None:
    chain = Chain(relays=0)
    chain.freeze(1)
    chain.at(1)
    chain.set_key(signing_key(1), KIND_ENTRY, 1)
    here = State(RelayId(1), chain.view, PacketKeys({}, bytes), operator_key(1))
    here.campaigns[CAMPAIGN] = campaign()
    with pytest.raises(PassError, match="not_ready"):
        here.pass_rules(scope(period=1), signing_key(1).public)


def test_passThatDrawsAnother_isWrongRelay(serving: State, chain: Chain) -> None:
    owned = issued(KIND_ENTRY, EPOCH)
    rules = serving.pass_rules(owned.scope, signing_key(1).public)
    shown = owned.shown()
    taken = []
    for relay in range(1, RELAYS + 1):
        try:
            rules.check(shown.anchor, shown.signature, state(chain, relay).my_position(KIND_ENTRY))
            taken.append(relay)
        except PassError as error:
            assert error.reason == "wrong_relay"
    assert len(taken) == 1


def test_myPosition_isNoneOutsideTheEpoch(chain: Chain) -> None:
    chain.register(RELAYS + 1)
    assert state(chain, RELAYS + 1).my_position(KIND_ENTRY) is None


@pytest.mark.parametrize(
    ("budget", "period_cap", "relay_cap", "ticks"),
    [
        (9 * 5 * PRICE * TICKS, 10**30, 10**30, TICKS),
        (10**30, 9 * 5 * PRICE * 7, 10**30, 7),
        (10**30, 10**30, 5 * PRICE * 3 + 1, 3),
        (0, 10**30, 10**30, 0),
    ],
)
def test_passLimit_isWhatTheBudgetGuarantees(
    serving: State, budget: int, period_cap: int, relay_cap: int, ticks: int
) -> None:
    found: Campaign = replace(campaign(), budget=budget, period_cap=period_cap, relay_cap=relay_cap)
    serving.campaigns[CAMPAIGN] = found
    assert serving.pass_limit(scope()) == ticks
    assert TICK_VALUE == 5


def test_passLimit_leavesOutWhatAVoucherPromisesAlready(serving: State) -> None:
    """The budget holds it until it is claimed: twice as many passes as it pays for would be taken."""
    budget = 9 * 5 * PRICE * 100
    serving.campaigns[CAMPAIGN] = replace(campaign(), budget=budget, period_cap=10**30, relay_cap=10**30)
    for promised, ticks in ((0, 100), (40, 60), (100, 0), (1_000, 0)):
        serving.unclaimed = lambda number, promised=promised: 5 * PRICE * promised * (number == CAMPAIGN)
        assert serving.pass_limit(scope()) == ticks


def test_mailboxExpiry_isAQuarterTermLater(chain: Chain) -> None:
    length = DEMO.epoch_length * DEMO.term_length
    end = DEPLOYMENT.genesis + (EPOCH + 1) * length
    assert state(chain).mailbox_expiry(EPOCH) == end + length // 4
