"""Packets from one entry to one mailbox: their paths, and the directory they are drawn from."""

from __future__ import annotations

import random as seeded
from dataclasses import replace

import pytest

from mixpay import envelope, packet
from mixpay.address import Address
from mixpay.client.directories import merge
from mixpay.client.profile import FAST
from mixpay.client.route import NoPath, Packer, Paths
from mixpay.crypto import x25519
from mixpay.descriptors import sign_descriptor
from mixpay.directory import Directory, Equivocation
from mixpay.envelope import text_message
from mixpay.errors import UserError
from mixpay.layers import TermLayers
from mixpay.packet import KIND_MESSAGE, KeyContext
from mixpay.types import Epoch, RelayId
from registry_samples import DOMAIN, descriptor, operator_key, packet_key, record, snapshot
from tickets import check_ticket

RANDOM = seeded.Random(7).randbytes  # noqa: S311 tests repeat themselves exactly
SNAPSHOT = snapshot([record(n, n - 1) for n in range(1, 10)])
LAYERS = TermLayers(SNAPSHOT, SNAPSHOT)
CONTEXT = KeyContext(31337, b"\x77" * 20, SNAPSHOT.root)
SECRET = b"\5" * 32
ENTRY, MAILBOX = RelayId(1), RelayId(2)
RECEIVER = Address(bytes(4), MAILBOX, b"\3" * 16, x25519.public_key(SECRET))


def public(relay: int) -> bytes:
    return x25519.public_key(packet_key(relay, 0))


def directory(*left_out: int) -> Directory:
    found = {}
    for relay in SNAPSHOT.relays:
        if relay.id not in left_out:
            key = operator_key(relay.id)
            found[relay.id] = sign_descriptor(key, relay.id, Epoch(0), public(relay.id), DOMAIN)
    return Directory(SNAPSHOT, found)


def packer(*left_out: int, receiver: Address = RECEIVER) -> Packer:
    return Packer(Paths(directory(*left_out), LAYERS, CONTEXT, FAST), ENTRY, receiver)


def piece() -> envelope.Fragment:
    return envelope.fragments(text_message("hello"), RANDOM)[0]


def test_pack_makesAPacketThatOpensAlongItsPath():
    fragment = piece()
    packed = packer().pack(fragment, RANDOM)
    built, path = packed.built, (*packed.mixes, packed.mailbox)
    assert built.first_relay == path[0]
    lock, hint, moving = built.lock, built.hint, built.packet
    for layer, relay in enumerate(path, 1):
        secret = x25519.SecretKey(packet_key(relay, 0))
        opened = packet.peel(CONTEXT, secret, public(relay), layer, moving, lambda _: False)
        check_ticket(opened, lock, hint)
        if isinstance(opened, packet.Deliver):
            break
        assert opened.next_relay == path[layer]
        assert LAYERS.layer(relay) == layer
        lock, hint, moving = opened.next_lock, opened.next_hint, opened.packet
    assert isinstance(opened, packet.Deliver)
    assert (opened.mailbox_id, opened.kind) == (RECEIVER.mailbox_id, KIND_MESSAGE)
    assert envelope.open_fragment(SECRET, RECEIVER, opened.user_data) == fragment


def test_pack_drawsEveryPathAnew_withoutEntryAndMailbox():
    packing = packer()
    paths = {packing.pack(piece(), RANDOM).mixes for _ in range(60)}
    assert len(paths) > 5
    assert not any(end in path for path in paths for end in (ENTRY, MAILBOX))


def test_pack_drawsTheSamePaths_whateverRelaysSayOfTheirCapacity() -> None:
    """The hint is unsigned: who could draw paths to a relay by it would see who writes to whom."""
    plain = directory()
    tempting = {
        number: replace(found, capacity=10**6 * (number == LAYERS.members(2)[0]))
        for number, found in plain.descriptors.items()
    }
    paths = []
    for offered in (plain, Directory(SNAPSHOT, tempting)):
        draws = seeded.Random(11)  # noqa: S311
        packing = Packer(Paths(offered, LAYERS, CONTEXT, FAST), ENTRY, RECEIVER)
        paths.append([packing.pack(piece(), draws.randbytes).mixes for _ in range(60)])
    assert paths[0] == paths[1]


def test_pack_leavesOutRelaysWithoutAKey_andThoseToAvoid():
    silent = next(mix for mix in LAYERS.members(2) if mix != MAILBOX)
    avoided = LAYERS.members(1)[-1]
    packing = packer(silent)
    packing.avoid(avoided)
    paths = [packing.pack(piece(), RANDOM).mixes for _ in range(60)]
    assert not any(silent in path or avoided in path for path in paths)


def test_pack_usesThoseToAvoid_whenNobodyElseIsLeft():
    packing = packer()
    for mix in LAYERS.members(1):
        packing.avoid(mix)
    assert packing.pack(piece(), RANDOM).mixes[0] in LAYERS.members(1)


def test_pack_raisesNoPath_whenALayerIsSilent():
    receiver = Address(bytes(4), LAYERS.members(1)[0], bytes(16), RECEIVER.identity)
    with pytest.raises(NoPath, match="layer 3 has no usable relay"):
        packer(*LAYERS.members(3), receiver=receiver).pack(piece(), RANDOM)


def test_packer_refusesAMailboxThatIsNotThere_orIsDown():
    with pytest.raises(UserError, match="not in the network any more"):
        packer(receiver=Address(bytes(4), RelayId(44), bytes(16), bytes(32)))
    with pytest.raises(NoPath, match="is down: try again later"):
        packer(MAILBOX)


def test_pack_refusesAnAddressNothingCanBeSealedTo():
    with pytest.raises(UserError, match="identity key is not a valid key"):
        packer(receiver=Address(bytes(4), MAILBOX, bytes(16), bytes(32))).pack(piece(), RANDOM)


def test_merge_putsTogetherWhatEachKnows():
    merged = merge([directory(3, 4, 5), directory(4, 5, 6)], DOMAIN)
    assert sorted(merged.descriptors) == [1, 2, 3, 6, 7, 8, 9]


def test_merge_leavesOutARelayThatSignedTwoKeys():
    two_faced = {**directory().descriptors, RelayId(5): descriptor(5)}
    merged = merge([directory(), Directory(SNAPSHOT, two_faced), directory()], DOMAIN)
    assert sorted(merged.descriptors) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert merged.equivocations == {5: Equivocation.of(descriptor(5), directory().descriptors[RelayId(5)])}
