"""A network in memory, for targets that need one: relays of a frozen epoch, their keys, a campaign's pass.

Everything follows from small numbers: an input does the same in every run.
"""

from __future__ import annotations

from functools import cache
from random import Random

import gmpy2

from mixpay import eip712, tls
from mixpay.chain import events
from mixpay.chain.follower import Batch
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import Campaign, Release
from mixpay.crypto import blind_rsa, x25519
from mixpay.crypto.blind_rsa import SecretKey
from mixpay.crypto.hashing import keccak256
from mixpay.crypto.rsa_permutation import ProvenKey
from mixpay.deployment import Deployment
from mixpay.descriptors import Descriptor, Directory, sign_descriptor
from mixpay.network import NetworkView
from mixpay.parameters import DEMO
from mixpay.passes import OwnedPass, PassRequest, Scope, drawn_position
from mixpay.registry_replica import RegistryReplica
from mixpay.types import Account, Amount, Epoch, Position, RelayId
from mixpay.wire import WIRE_VERSION
from relay.keys.epoch_keys import PacketKeys
from relay.state import State

RELAYS = 9
EPOCH = Epoch(2)
CAMPAIGN = 1


def name(text: str, number: int = 0) -> bytes:
    """32 bytes for each pair."""
    return keccak256(f"fuzz {text} {number}".encode())


def dice(number: int) -> Random:
    """Numbers that repeat."""
    return Random(number)  # noqa: S311 - inputs must do the same in every run


DEPLOYMENT = Deployment(
    chain_id=31337,
    block=0,
    token=Account(name("token")[:20]),
    network=Account(name("network")[:20]),
    registry=Account(name("registry")[:20]),
    channels=Account(name("channels")[:20]),
    court=Account(name("court")[:20]),
    pool=Account(name("pool")[:20]),
    genesis=1_700_000_000,
    parameters=DEMO,
    artifacts={},
)


@cache
def view() -> NetworkView:
    """The network as its chain has it, shortly after the beginning of EPOCH."""
    made, replica = NetworkView(Rpc("http://127.0.0.1:9"), DEPLOYMENT), RegistryReplica()
    contracts = DEPLOYMENT.registry, DEPLOYMENT.channels, DEPLOYMENT.pool
    release = Release(*contracts, WIRE_VERSION, Amount(DEMO.hop_price), Epoch(0))
    place = 1, 0, bytes(32)
    told: list[events.Event] = [events.ReleasePublished(*place, 0, Epoch(0), release)]
    for number in range(1, RELAYS + 1):
        relay, where, key = RelayId(number), Position(number - 1), tls.link_key_of(link_seed(number))
        owner, endpoint = account(number), f"relay{number}.example:7000:7001"
        replica.registered(relay, where, owner, key, endpoint)
        told.append(events.Registered(*place, relay, where, owner, owner, key, endpoint))
    told.append(events.Frozen(*place, EPOCH, replica.root, replica.count, name("beacon")))
    key_hash = signing_key().public.key_hash()
    for kind in (1, 2):
        told.append(events.KeySet(*place, CAMPAIGN, kind, EPOCH, key_hash, Amount(DEMO.hop_price)))
    made.take(Batch(tuple(told), None, 1, 1, made.schedule.start(EPOCH) + DEMO.key_grace + 1), 0)
    return made


def operator_key(relay: int) -> bytes:
    """A relay operator's private key."""
    return name("operator", relay)


def account(relay: int) -> Account:
    """A relay's operator."""
    return eip712.account_of(operator_key(relay))


def link_seed(relay: int) -> bytes:
    """Seed of a relay's link key."""
    return name("link", relay)


def packet_secret(relay: int) -> bytes:
    """A relay's packet key."""
    return name("packet", relay)


def descriptor(relay: int, key: bytes = b"") -> Descriptor:
    """A relay's packet key, or another one, signed."""
    key = key or x25519.public_key(packet_secret(relay))
    domain = view().registry_domain
    return sign_descriptor(
        operator_key(relay), RelayId(relay), EPOCH, key, domain, software="mixpay", capacity=2_000
    )


@cache
def directory() -> Directory:
    """The epoch's directory; the last relay has published no key."""
    keys = {RelayId(relay): descriptor(relay) for relay in range(1, RELAYS)}
    return Directory(view().snapshot(EPOCH), keys)


@cache
def signing_key() -> SecretKey:
    """The campaign's key."""
    numbers = dice(1)
    p, q = (int(gmpy2.next_prime(numbers.getrandbits(1022) | 3 << 1022)) for _ in range(2))
    return SecretKey(p, q)


@cache
def proven_key() -> ProvenKey:
    """The same with its proof, as a client shows it."""
    return ProvenKey.of(signing_key())


@cache
def issued(kind: int) -> OwnedPass:
    """A pass as wallet and issuer make it. The relay that it draws is `me(kind)`."""
    scope = Scope(DEPLOYMENT.chain_id, DEPLOYMENT.pool, CAMPAIGN, kind, EPOCH)
    secret, random = signing_key(), dice(kind).randbytes
    request = PassRequest.new(scope, secret.public, random)
    return request.finish(blind_rsa.blind_sign(secret, request.blinded, random))


def me(kind: int) -> RelayId:
    """The relay that the pass of a kind draws."""
    snapshot = view().snapshot(EPOCH)
    record = snapshot.at(drawn_position(issued(kind).shown().signature, snapshot.beacon, snapshot.count))
    if record is None:
        raise RuntimeError("every position has a relay")
    return record.id


def state(kind: int) -> State:
    """What the relay that a pass draws knows: it has published its key, and takes the campaign's passes."""
    relay = me(kind)
    keys = PacketKeys({EPOCH: packet_secret(relay)}, dice(2).randbytes)
    made = State(relay, view(), keys, operator_key(relay))
    made.directories.publish(EPOCH)
    nobody, much = Account(bytes(20)), Amount(10**24)
    made.campaigns[CAMPAIGN] = Campaign(nobody, much, much, much, 0, nobody, Amount(0))
    return made
