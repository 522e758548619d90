"""What a relay knows: time, relays that may hold links, descriptors, and what passes are checked against."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from mixpay import tls
from mixpay.chain.views import Campaign
from mixpay.crypto import x25519
from mixpay.descriptors import Descriptor, sign_descriptor
from mixpay.directory import read_directory
from mixpay.errors import PeerError, UserError
from mixpay.parameters import DEMO
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX, TICK_VALUE, TICKS, PassError, Scope
from mixpay.snapshot import DirectoryError
from mixpay.types import Account, Epoch, RelayId
from registry_samples import operator_key
from relay.epoch_keys import PacketKeys
from relay.state import State, decode_descriptor, encode_descriptor
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
            made.keys.need(epoch)
    return made


@pytest.fixture
def chain() -> Chain:
    return Chain().begin()


def descriptor(chain: Chain, relay: int, epoch: int = EPOCH, key: bytes | None = None) -> Descriptor:
    """What a relay signs; `key`: instead of its own."""
    public = key or x25519.public_key(packet_secret(relay))
    return sign_descriptor(
        operator_key(relay), RelayId(relay), Epoch(epoch), public, chain.view.registry_domain
    )


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


# ---------------------------------------------------------------------- descriptors


def test_publish_signsOneDescriptorForEachLivingEpoch(chain: Chain) -> None:
    chain.freeze(NEXT)
    here = state(chain)
    here.publish()
    for epoch in (EPOCH, NEXT):
        found = decode_descriptor(here.own_descriptor(epoch))
        found.check(chain.view.snapshot(epoch).relays[0].operator, chain.view.registry_domain)
        assert (found.relay, found.epoch) == (1, epoch)
    before = here.own_descriptor(EPOCH)
    here.publish()
    assert here.own_descriptor(EPOCH) == before


def test_publish_withoutAKey_saysNothing(chain: Chain) -> None:
    empty = State(RelayId(1), chain.view, PacketKeys({}, bytes), operator_key(1))
    empty.publish()
    with pytest.raises(DirectoryError, match="wrong_epoch"):
        empty.own_descriptor(EPOCH)


def test_learn_fillsTheDirectory(chain: Chain) -> None:
    here = state(chain)
    here.publish()
    assert here.missing(EPOCH) == list(range(2, RELAYS + 1))
    alone = here.directory(EPOCH)
    for relay in range(2, RELAYS + 1):
        assert here.learn(descriptor(chain, relay))
        assert not here.learn(descriptor(chain, relay))
    assert here.missing(EPOCH) == []
    assert here.directory(EPOCH) != alone
    snapshot = chain.view.snapshot(EPOCH)
    found = read_directory(here.directory(EPOCH), snapshot, chain.view.registry_domain)
    assert sorted(found.descriptors) == list(range(1, RELAYS + 1))


def test_twoKeysOfOneRelay_areAnEquivocation_andTheFirstStays(chain: Chain) -> None:
    here = state(chain)
    first = descriptor(chain, 2)
    here.learn(first)
    with pytest.raises(DirectoryError, match="equivocation"):
        here.learn(descriptor(chain, 2, key=x25519.public_key(packet_secret(3))))
    snapshot = chain.view.snapshot(EPOCH)
    found = read_directory(here.directory(EPOCH), snapshot, chain.view.registry_domain)
    assert found.descriptors[RelayId(2)].packet_key == first.packet_key


def test_descriptorOfAnotherEpoch_isRefused(chain: Chain) -> None:
    for epoch in (0, EPOCH - 1, NEXT, 2**32 - 1):
        with pytest.raises(DirectoryError, match="wrong_epoch"):
            state(chain).learn(descriptor(chain, 2, epoch))


def test_descriptorSignedByAnother_isRefused(chain: Chain) -> None:
    forged = replace(descriptor(chain, 3), relay=RelayId(2))
    with pytest.raises(DirectoryError, match="bad_descriptor"):
        state(chain).learn(forged)


def test_descriptorOfAStranger_isRefused(chain: Chain) -> None:
    with pytest.raises(DirectoryError, match="unknown_relay"):
        state(chain).learn(descriptor(chain, RELAYS + 1))


@pytest.mark.parametrize("epoch", [0, EPOCH - 1, NEXT, 2**32 - 1])
def test_directoryOfAnotherEpoch_isRefused(chain: Chain, epoch: int) -> None:
    here = state(chain)
    here.publish()
    for document in (here.directory, here.own_descriptor):
        with pytest.raises(DirectoryError, match="wrong_epoch"):
            document(Epoch(epoch))


def test_reorganisedEpoch_startsItsDirectoryAnew(chain: Chain) -> None:
    """What was collected for other relays under another root is no use; the own key stays the same."""
    here = state(chain)
    chain.freeze(NEXT)
    here.keys.need(NEXT)
    here.publish()
    here.learn(descriptor(chain, 2, NEXT))
    own, document = here.own_descriptor(NEXT), here.directory(NEXT)
    reorganised = Chain().begin()
    reorganised.leave(5)
    reorganised.freeze(NEXT)
    here.view = reorganised.view
    here.publish()
    assert here.directory(NEXT) != document
    assert here.own_descriptor(NEXT) == own
    assert 2 in here.missing(NEXT) and 5 not in here.missing(NEXT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x93\x01\x02\x03",
        msgspec.msgpack.encode(["1", 2, b"", b"", ""]),
        msgspec.msgpack.encode([1, 2, b"", b"", "", 6]),
        msgspec.msgpack.encode([1, 2, b"", b"", 7]),
        b"\x95\x01\x02\xc4\x00\xc4\x00\xa1\xff",
    ],
)
def test_decode_refusesWhatIsNoDescriptor(data: bytes) -> None:
    with pytest.raises(DirectoryError, match="malformed"):
        decode_descriptor(data)


def test_encode_isReadAgain(chain: Chain) -> None:
    one = descriptor(chain, 2)
    assert decode_descriptor(encode_descriptor(one)) == one


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


def test_mailboxExpiry_isAQuarterTermLater(chain: Chain) -> None:
    length = DEMO.epoch_length * DEMO.term_length
    end = DEPLOYMENT.genesis + (EPOCH + 1) * length
    assert state(chain).mailbox_expiry(EPOCH) == end + length // 4
