"""The directories that a relay serves: what it hears from whomever, and relays that signed two keys."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from mixpay.crypto import x25519
from mixpay.descriptors import Descriptor, Equivocation, sign_descriptor
from mixpay.directory import read_directory
from mixpay.snapshot import DirectoryError
from mixpay.types import Epoch, RelayId
from registry_samples import operator_key
from relay.keys.directories import MAX_DESCRIPTOR, Directories, decode_descriptor, encode_descriptor
from relay.keys.epoch_keys import PacketKeys
from relay.state import State
from relay_parts import EPOCH, RELAYS, Chain, account, packet_secret

NEXT = Epoch(EPOCH + 1)
LIAR = RelayId(2)


def directories(chain: Chain, relay: int = 1) -> Directories:
    """A relay's, with its packet keys made."""
    made = State(
        RelayId(relay), chain.view, PacketKeys({}, lambda _: packet_secret(relay)), operator_key(relay)
    )
    for epoch in made.living_epochs():
        made.keys.hold(epoch, packet_secret(relay))
    return made.directories


@pytest.fixture
def chain() -> Chain:
    return Chain().begin()


def descriptor(chain: Chain, relay: int, epoch: int = EPOCH, key: int = 0) -> Descriptor:
    """What a relay signs; `key`: another than its own."""
    public = x25519.public_key(packet_secret(key or relay))
    return sign_descriptor(
        operator_key(relay), RelayId(relay), Epoch(epoch), public, chain.view.registry_domain, capacity=relay
    )


def named(here: Directories, chain: Chain, epoch: int = EPOCH) -> list[int]:
    """Relays whose keys a directory names."""
    snapshot = chain.view.snapshot(Epoch(epoch))
    return sorted(
        read_directory(here.directory(Epoch(epoch)), snapshot, chain.view.registry_domain).descriptors
    )


# ---------------------------------------------------------------------- descriptors


def test_publish_signsOneDescriptorForEachLivingEpoch(chain: Chain) -> None:
    chain.freeze(NEXT)
    here = directories(chain)
    here.publish(NEXT)
    for epoch in (EPOCH, NEXT):
        found = decode_descriptor(here.own_descriptor(epoch))
        found.check(chain.view.snapshot(epoch).relays[0].operator, chain.view.registry_domain)
        assert (found.relay, found.epoch) == (1, epoch)
    before = here.own_descriptor(EPOCH)
    here.publish(NEXT)
    assert here.own_descriptor(EPOCH) == before


def said_capacity(here: Directories, chain: Chain, epoch: int) -> list[int]:
    """What relay 1 says it can carry, in its descriptor and in the directory."""
    own = decode_descriptor(here.own_descriptor(Epoch(epoch)))
    snapshot = chain.view.snapshot(Epoch(epoch))
    read = read_directory(here.directory(Epoch(epoch)), snapshot, chain.view.registry_domain)
    return [own.capacity, read.descriptors[RelayId(1)].capacity]


def test_publish_saysTheMeasuredCapacity_alsoWhereTheDescriptorWasMadeBefore(chain: Chain) -> None:
    here = directories(chain)
    here.publish(EPOCH)
    assert said_capacity(here, chain, EPOCH) == [0, 0]
    here.learn(descriptor(chain, 2))
    here.say_capacity(4_321)
    chain.freeze(NEXT)
    here._keys.hold(NEXT, packet_secret(1))
    here.publish(NEXT)
    for epoch in (EPOCH, NEXT):
        assert said_capacity(here, chain, epoch) == [4_321, 4_321]
    assert decode_descriptor(here.descriptor(EPOCH, RelayId(2))) == descriptor(chain, 2)


def test_publish_withoutAKey_saysNothing(chain: Chain) -> None:
    empty = State(RelayId(1), chain.view, PacketKeys({}, bytes), operator_key(1)).directories
    empty.publish(NEXT)
    with pytest.raises(DirectoryError, match="wrong_epoch"):
        empty.own_descriptor(EPOCH)


def test_learn_fillsTheDirectory(chain: Chain) -> None:
    here = directories(chain)
    here.publish(NEXT)
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


def test_descriptorOfAnotherEpoch_isRefused(chain: Chain) -> None:
    for epoch in (0, EPOCH - 1, NEXT, 2**32 - 1):
        with pytest.raises(DirectoryError, match="wrong_epoch"):
            directories(chain).learn(descriptor(chain, 2, epoch))


def test_descriptorSignedByAnother_isRefused(chain: Chain) -> None:
    forged = replace(descriptor(chain, 3), relay=RelayId(2))
    with pytest.raises(DirectoryError, match="bad_descriptor"):
        directories(chain).learn(forged)


def test_descriptorOfAStranger_isRefused(chain: Chain) -> None:
    with pytest.raises(DirectoryError, match="unknown_relay"):
        directories(chain).learn(descriptor(chain, RELAYS + 1))


@pytest.mark.parametrize("epoch", [0, EPOCH - 1, NEXT, 2**32 - 1])
def test_directoryOfAnotherEpoch_isRefused(chain: Chain, epoch: int) -> None:
    here = directories(chain)
    here.publish(NEXT)
    for document in (here.directory, here.own_descriptor):
        with pytest.raises(DirectoryError, match="wrong_epoch"):
            document(Epoch(epoch))


def test_reorganisedEpoch_startsItsDirectoryAnew(chain: Chain) -> None:
    """What was collected for other relays under another root is no use; the own key stays the same."""
    here = directories(chain)
    chain.freeze(NEXT)
    here._keys.hold(NEXT, packet_secret(1))
    here.publish(NEXT)
    here.learn(descriptor(chain, 2, NEXT))
    own, document = here.own_descriptor(NEXT), here.directory(NEXT)
    reorganised = Chain().begin()
    reorganised.leave(5)
    reorganised.freeze(NEXT)
    here._view = reorganised.view
    here.publish(NEXT)
    assert here.directory(NEXT) != document
    assert here.own_descriptor(NEXT) == own
    assert 2 in here.missing(NEXT) and 5 not in here.missing(NEXT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x93\x01\x02\x03",
        msgspec.msgpack.encode(["1", 2, b"", b"", "", 6]),
        msgspec.msgpack.encode([1, 2, b"", b"", ""]),
        msgspec.msgpack.encode([1, 2, b"", b"", "", 6, 7]),
        msgspec.msgpack.encode([1, 2, b"", b"", 7, 6]),
        msgspec.msgpack.encode([1, 2, b"", b"", "", -1]),
        msgspec.msgpack.encode([1, 2, b"", b"", "", 2**32]),
        msgspec.msgpack.encode([1, 2, b"", b"", "", "6"]),
        b"\x96\x01\x02\xc4\x00\xc4\x00\xa1\xff\x06",
    ],
)
def test_decode_refusesWhatIsNoDescriptor(data: bytes) -> None:
    with pytest.raises(DirectoryError, match="malformed"):
        decode_descriptor(data)


def test_encode_isReadAgain(chain: Chain) -> None:
    one = descriptor(chain, 2)
    largest = replace(one, relay=RelayId(2**32 - 1), software="x" * 32, capacity=2**32 - 1)
    for said in (one, largest):
        assert decode_descriptor(encode_descriptor(said)) == said
        assert len(encode_descriptor(said)) <= MAX_DESCRIPTOR


def test_otherHintsOfTheSameKey_areNoNews_andNoProof(chain: Chain) -> None:
    here = directories(chain)
    here.learn(descriptor(chain, 2))
    assert here.learn(replace(descriptor(chain, 2), software="other", capacity=9)) is False
    assert here.equivocations == {}
    assert decode_descriptor(here.descriptor(EPOCH, RelayId(2))) == descriptor(chain, 2)


# ---------------------------------------------------------------------- two keys


def learn(here: Directories, said: Descriptor) -> str:
    """The reason for which it is not taken, "" if it is."""
    try:
        here.learn(said)
    except DirectoryError as error:
        return error.reason
    return ""


def proof(chain: Chain, relay: int = LIAR, epoch: int = EPOCH) -> Equivocation:
    return Equivocation.of(descriptor(chain, relay, epoch), descriptor(chain, relay, epoch, 33))


def test_relayThatSignedTwoKeys_isFoundOut_andNamedNoMore(chain: Chain) -> None:
    chain.freeze(NEXT)
    here = directories(chain)
    here.publish(NEXT)
    for relay in (2, 3):
        for epoch in (EPOCH, NEXT):
            here.learn(descriptor(chain, relay, epoch))
    assert named(here, chain) == [1, 2, 3]
    assert learn(here, descriptor(chain, LIAR, key=33)) == "equivocation"
    assert here.equivocations == {LIAR: proof(chain)}
    for epoch in (EPOCH, NEXT):
        assert named(here, chain, epoch) == [1, 3]
        assert learn(here, descriptor(chain, LIAR, epoch)) == "equivocation"
        assert LIAR not in here.missing(epoch)  # nobody asks it any more


def test_condemnedRelay_isNamedNoMore(chain: Chain) -> None:
    here = directories(chain)
    here.learn(descriptor(chain, LIAR))
    assert named(here, chain) == [LIAR]
    chain.condemn(LIAR, account(5))
    assert named(here, chain) == []
    assert learn(here, descriptor(chain, LIAR)) == "equivocation"
    assert LIAR not in here.missing(EPOCH)


def test_proofFromAClient_isCheckedAndKept(chain: Chain) -> None:
    here = directories(chain)
    here.learn(descriptor(chain, LIAR))
    forged = replace(proof(chain), relay=RelayId(3))
    stranger = replace(proof(chain), relay=RelayId(77))
    for wrong, reason in ((forged, "bad_descriptor"), (stranger, "unknown_relay")):
        with pytest.raises(DirectoryError, match=reason):
            here.take_proof(wrong)
    assert here.equivocations == {}
    here.take_proof(proof(chain, epoch=0))  # of whatever epoch
    assert here.equivocations == {LIAR: proof(chain, epoch=0)}
    assert named(here, chain) == []
    here.take_proof(proof(chain))
    here.take_proof(replace(proof(chain), signatures=(bytes(65), bytes(65))))  # is not even looked at
    assert here.equivocations == {LIAR: proof(chain, epoch=0)}


def test_proofAgainstACondemnedRelay_isNews_toNobody(chain: Chain) -> None:
    here = directories(chain)
    chain.condemn(LIAR, account(5))
    here.take_proof(proof(chain))
    assert here.equivocations == {}


# ---------------------------------------------------------------------- oneself


def test_ownDescriptor_isSignedOnlyUpToTheRecord(chain: Chain) -> None:
    chain.freeze(NEXT)
    here = directories(chain)
    here.publish(None)
    assert named(here, chain) == []
    here.publish(EPOCH)
    assert (named(here, chain), named(here, chain, NEXT)) == ([1], [])
    here.publish(NEXT)
    assert named(here, chain, NEXT) == [1]


def test_ownDescriptorFromOthers_isNoNews(chain: Chain) -> None:
    here = directories(chain)
    for _ in range(2):
        assert here.learn(descriptor(chain, 1)) is False
        here.publish(EPOCH)
    assert here.foreign == set() and here._keys.get(EPOCH) == packet_secret(1)


def test_keyOfOurs_thatWeDoNotHave_isForgone_andNeverNamed(chain: Chain) -> None:
    """The disk was lost, and others still have what was signed."""
    lost = State(RelayId(1), chain.view, PacketKeys({}, bytes), operator_key(1)).directories
    assert lost.learn(descriptor(chain, 1)) is False
    assert lost.foreign == {EPOCH}
    assert lost._keys.draw(EPOCH) is None
    assert named(lost, chain) == []
    with pytest.raises(DirectoryError, match="wrong_epoch"):
        lost.own_descriptor(EPOCH)


def test_secondKeyOfOurs_isNotReportedByOurselves(chain: Chain) -> None:
    """Two daemons with one operator key: what is done is done, and the operator is told."""
    here = directories(chain)
    here.publish(EPOCH)
    assert here.learn(descriptor(chain, 1, key=33)) is False
    here.take_proof(proof(chain, relay=1))
    assert here.equivocations == {}
    assert here.foreign == {EPOCH}
    assert here._keys.get(EPOCH) == packet_secret(1)
    assert named(here, chain) == [1]


def test_forgedDescriptorOfOurs_takesNothingAway(chain: Chain) -> None:
    """Anybody could stop a relay that believed it."""
    lost = State(RelayId(1), chain.view, PacketKeys({}, bytes), operator_key(1)).directories
    forged = replace(descriptor(chain, 3), relay=RelayId(1))
    assert learn(lost, forged) == "bad_descriptor"
    assert lost.foreign == set() and lost._keys.draw(EPOCH) is not None


def test_epochsThatAreOver_areForgotten(chain: Chain) -> None:
    here = directories(chain)
    here.publish(EPOCH)
    here.learn(descriptor(chain, 1, key=33))
    chain.freeze(NEXT)
    chain.at(NEXT, 2_000)
    here.publish(NEXT)
    assert here.foreign == set() and list(here._known) == [NEXT]
