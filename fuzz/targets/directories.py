"""What relays and clients read of packet keys: directories, descriptors, proofs of two keys for one epoch."""

from __future__ import annotations

from functools import cache

import msgspec

from fuzz import world
from fuzz.target import Target, require
from mixpay.descriptors import DescriptorBook, Equivocation
from mixpay.directory import document_limit, read_descriptors, read_directory, write_directory
from mixpay.snapshot import DirectoryError, Frozen
from mixpay.types import RelayId
from relay.keys.directories import MAX_DESCRIPTOR, Directories, decode_descriptor, encode_descriptor


@cache
def _frozen() -> Frozen:
    snapshot = world.view().snapshot(world.EPOCH)
    return Frozen(snapshot.epoch, snapshot.root, snapshot.count, snapshot.beacon)


@cache
def _limit() -> int:
    return document_limit(world.RELAYS)


def run_directory(data: bytes) -> None:
    """A document as a client reads it, and as a relay compares it."""
    if len(data) > _limit():
        return
    try:
        said = read_descriptors(data, world.EPOCH, world.RELAYS)
    except DirectoryError:
        said = []
    for descriptor in said:
        require(len(descriptor.packet_key) in (0, 32), "keys have their size")
    domain = world.view().registry_domain
    try:
        directory = read_directory(data, _frozen(), domain)
    except DirectoryError:
        return
    require(len(said) == len(directory.descriptors), "both readers see the same")
    require(
        read_directory(write_directory(directory), _frozen(), domain) == directory, "written, it is the same"
    )


def _directory_seeds() -> list[bytes]:
    whole = world.directory()
    good = write_directory(whole)
    keyless = write_directory(type(whole)(whole.snapshot, {}))
    document = msgspec.msgpack.decode(good)
    odd = dict(document, relays=document["relays"][:2])
    deep = b"\x83\xa7version\x01\xa5epoch\x02\xa6relays" + b"\x91" * 512
    return [good, keyless, msgspec.msgpack.encode(odd), msgspec.msgpack.encode(dict(document, epoch=3)), deep]


# ------------------------------------------------------------------ descriptors


@cache
def _desk() -> Directories:
    """One relay's directories."""
    return world.state(1).directories


def run_descriptor(data: bytes) -> None:
    """A descriptor that another relay serves."""
    if len(data) > MAX_DESCRIPTOR:
        return
    try:
        descriptor = decode_descriptor(data)
    except DirectoryError:
        return
    try:
        require(decode_descriptor(encode_descriptor(descriptor)) == descriptor, "written, it is the same")
        book = DescriptorBook(world.view().snapshot(world.EPOCH), world.view().registry_domain)
        require(book.add(descriptor), "the first one is new")
        require(len(descriptor.packet_key) == 32, "only keys are kept")
        desk = _desk()
        desk.equivocations.clear()  # what an earlier input left
        desk._known.clear()
        desk.learn(descriptor)
    except DirectoryError:
        return


def _descriptor_seeds() -> list[bytes]:
    good = [encode_descriptor(world.descriptor(relay)) for relay in range(1, 4)]
    other = encode_descriptor(world.descriptor(3, world.name("another key")))
    weak = [encode_descriptor(world.descriptor(2, key)) for key in (bytes(32), b"\xff" * 32)]
    return [*good, other, *weak, msgspec.msgpack.encode([2**63, -1, b"", b"", "\u202e", 2**32 - 1])]


# ------------------------------------------------------------------ proofs


def run_equivocation(data: bytes) -> None:
    """A proof that a client hands in."""
    try:
        proof = Equivocation.decode(data)
    except DirectoryError:
        return
    require(proof.encode() == data, "a proof has one encoding")
    try:
        proof.check(world.account(proof.relay % 10 or 1), world.view().registry_domain)
    except DirectoryError:
        return
    require(RelayId(0) < proof.relay, "a proof is of a relay")


def proofs() -> list[Equivocation]:
    """Relays 1 and 2 have signed two keys."""
    other = world.name("other")
    pairs = [(world.descriptor(relay), world.descriptor(relay, other)) for relay in (1, 2)]
    return [Equivocation.of(*pair) for pair in pairs]


def _equivocation_seeds() -> list[bytes]:
    return [proof.encode() for proof in proofs()]


TARGETS = (
    Target("directory", 3, 3232, _directory_seeds, run_directory),
    Target("descriptor", 4, 256, _descriptor_seeds, run_descriptor),
    Target("equivocation", 4, 256, _equivocation_seeds, run_equivocation),
)
