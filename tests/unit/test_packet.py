import hashlib
import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay import proof
from mixpay.crypto import lioness, secp256k1, x25519
from mixpay.errors import PeerError
from mixpay.packet import (
    GEOMETRY,
    KIND_REPLY,
    Built,
    Deliver,
    Forward,
    Geometry,
    Hop,
    KeyContext,
    LowOrder,
    Malformed,
    PacketError,
    Replayed,
    build,
    peel,
)
from mixpay.replay import TagStore
from mixpay.types import Epoch, RelayId
from tickets import check_ticket, long_form

P = 2**255 - 19
CONTEXT = KeyContext(31337, b"\xaa" * 20, b"\xbb" * 32)
SECRETS = [hashlib.sha256(b"relay %d" % layer).digest() for layer in range(1, 5)]
KEYS = [x25519.SecretKey(secret) for secret in SECRETS]
PUBLICS = [x25519.public_key(secret) for secret in SECRETS]
MIXES = [Hop(RelayId(10 + layer), PUBLICS[layer - 1], 100 * layer) for layer in (1, 2, 3)]
MAILBOX = Hop(RelayId(14), PUBLICS[3], 0)
MAILBOX_ID = b"m" * 16
USER_DATA = bytes(i % 251 for i in range(2048))


def seeded(seed: bytes) -> Callable[[int], bytes]:
    """A source of bytes that is the same in every run."""
    count = 0

    def random(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(seed + count.to_bytes(8, "big")).digest(size)

    return random


def built(seed: bytes = b"seed", user_data: bytes = USER_DATA, kind: int = 7) -> Built:
    return build(CONTEXT, MIXES, MAILBOX, MAILBOX_ID, kind, user_data, seeded(seed))


def never(tag: bytes) -> bool:
    return False


def peel_at(layer: int, packet: bytes, is_replay: Callable[[bytes], bool] = never) -> Forward | Deliver:
    return peel(CONTEXT, KEYS[layer - 1], PUBLICS[layer - 1], layer, packet, is_replay)


def forward(layer: int, packet: bytes) -> Forward:
    peeled = peel_at(layer, packet)
    assert isinstance(peeled, Forward)
    return peeled


def arrive(packet: bytes, layer: int = 1) -> Deliver:
    """Carry a packet from `layer` to its end."""
    while layer < 4:
        packet = forward(layer, packet).packet
        layer += 1
    delivered = peel_at(4, packet)
    assert isinstance(delivered, Deliver)
    return delivered


def packets_on_the_way() -> list[bytes]:
    """One packet as each of the four layers receives it."""
    packets = [built().packet]
    for layer in (1, 2, 3):
        packets.append(forward(layer, packets[-1]).packet)
    return packets


ON_THE_WAY = packets_on_the_way()


# --- round trip -------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=2048),
    st.lists(st.integers(0, 2**16 - 1), min_size=3, max_size=3),
    st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4),
    st.integers(0, 255).filter(lambda kind: kind != KIND_REPLY),
)
def test_every_layer_finds_its_part(
    seed: bytes, data: bytes, delays: list[int], relays: list[int], kind: int
) -> None:
    mixes = [Hop(RelayId(relays[i]), PUBLICS[i], delays[i]) for i in range(3)]
    mailbox = Hop(RelayId(relays[3]), PUBLICS[3], 0)
    user_data = data.ljust(2048, b"\x01")
    made = build(CONTEXT, mixes, mailbox, MAILBOX_ID, kind, user_data, seeded(seed))
    assert made.first_relay == relays[0]
    packet, lock, hint, acks = made.packet, made.lock, made.hint, [made.first_ack]
    owns, locks = [], []
    for layer in (1, 2, 3):
        assert len(packet) == GEOMETRY.packet_size
        peeled = forward(layer, packet)
        assert (peeled.next_relay, peeled.delay_ms) == (relays[layer], delays[layer - 1])
        check_ticket(peeled, lock, hint)
        owns.append(peeled.own)
        locks.append(lock)
        acks.append(peeled.ack)
        packet, lock, hint = peeled.packet, peeled.next_lock, peeled.next_hint
    end = peel_at(4, packet)
    assert isinstance(end, Deliver)
    assert (end.mailbox_id, end.kind, end.user_data) == (MAILBOX_ID, kind, user_data)
    check_ticket(end, lock, hint)

    # acks[0] is what the entry brings back to the client; acks[i] what mix i gives its payer
    assert acks[0] == acks[1]
    next_acks = [*acks[2:], end.ack, None]
    for own, next_ack, paid in zip([*owns, end.own], next_acks, [*locks, lock], strict=True):
        assert proof.opens(proof.response(own, next_ack), paid)


def test_geometry_is_that_of_the_design() -> None:
    assert GEOMETRY.header_sizes == (386, 279, 172, 65)
    assert (GEOMETRY.payload_size, GEOMETRY.packet_size, GEOMETRY.layers) == (2064, 2450, 4)


def test_another_geometry_makes_working_packets() -> None:
    small = Geometry(user_size=48, mixes=1)
    made = build(CONTEXT, MIXES[:1], MAILBOX, MAILBOX_ID, 0, bytes(range(48)), seeded(b""), small)
    first = peel(CONTEXT, KEYS[0], PUBLICS[0], 1, made.packet, never, small)
    assert isinstance(first, Forward)
    end = peel(CONTEXT, KEYS[3], PUBLICS[3], 2, first.packet, never, small)
    assert isinstance(end, Deliver)
    assert end.user_data == bytes(range(48))


@pytest.mark.parametrize("sizes", [{"mixes": 0}, {"user_size": 47}, {"check_size": 15}])
def test_geometry_refuses_what_makes_no_packet(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"packet|forgeries"):
        Geometry(**sizes)


def test_packets_of_one_message_share_nothing() -> None:
    one, other = built(b"1").packet, built(b"2").packet
    same = sum(a == b for a, b in zip(one, other, strict=True))
    assert same < 50  # 2450 / 256 is about 10


def test_secrets_stay_out_of_reprs() -> None:
    peeled = forward(1, ON_THE_WAY[0])
    assert repr(peeled) == "Forward(next_relay=12, delay_ms=100)"
    assert repr(arrive(ON_THE_WAY[3], 4)) == "Deliver(kind=7)"
    assert "ack" not in repr(built())
    assert "packet" not in repr(built())


# --- the format, written down a second time ---------------------------------------------------------------


def expected_keys(context: KeyContext, secret: bytes, ephemeral: bytes, public: bytes) -> bytes:
    shared = X25519PrivateKey.from_private_bytes(secret).exchange(
        X25519PublicKey.from_public_bytes(ephemeral)
    )
    chain = context.chain_id.to_bytes(8, "big")
    binding = b"mixpay-packet-v1" + chain + context.registry + context.root
    return hashlib.shake_256(binding + shared + ephemeral + public).digest(16 + 32 + 128 + 48 + 48)


@pytest.mark.parametrize("layer", [1, 2, 3, 4])
def test_a_layer_is_as_the_design_says(layer: int) -> None:
    packet = ON_THE_WAY[layer - 1]
    header_size = (386, 279, 172, 65)[layer - 1]
    keys = expected_keys(CONTEXT, SECRETS[layer - 1], packet[:32], PUBLICS[layer - 1])
    opened = ChaCha20Poly1305(keys[16:48]).decrypt(bytes(12), packet[32:header_size], None)
    payload = lioness.decrypt(keys[48:176], packet[386:])
    own = int.from_bytes(keys[176:224], "big") % (secp256k1.N - 1) + 1
    ack = int.from_bytes(keys[224:272], "big") % (secp256k1.N - 1) + 1
    peeled = peel_at(layer, packet)
    assert peeled.tag == keys[:16]
    assert (peeled.own, peeled.ack) == (own.to_bytes(32, "big"), ack.to_bytes(32, "big"))
    if isinstance(peeled, Deliver):
        assert opened == peeled.mailbox_id + bytes([peeled.kind])
        assert payload == bytes(16) + peeled.user_data
        return
    routing = peeled.next_relay.to_bytes(4, "big") + peeled.delay_ms.to_bytes(2, "big")
    assert opened[:59] == routing + peeled.next_lock + peeled.next_hint
    assert peeled.packet == opened[59:].ljust(386, b"\x00") + payload


def test_known_answer() -> None:
    """Guards the format: a change here is a new packet version, never a new constant alone."""
    made = built(b"known answer")
    assert made.lock.hex() == "595825ede736c74a144c9f20fb7ed48d99a48114"
    assert made.hint == long_form(
        bytes.fromhex("03af15b9aa12ab57e8c9d9f29e5a986e7afd7a3797efbd6096fb694aafd7f3c08c")
    )
    assert made.first_ack.hex() == "894f5fb73551e09a7fb5bbb15dcd72d71e1b3525286a4a53b1247d00dae0c64d"
    digest = "07c24c6bda73d1b69a4cb258a9283b3d8a9a9f468bff0762936f9f76f8eac25d"
    assert hashlib.sha256(made.packet).hexdigest() == digest
    tags, packet = [], made.packet
    for layer in (1, 2, 3):
        peeled = forward(layer, packet)
        tags.append(peeled.tag.hex())
        packet = peeled.packet
    assert [*tags, peel_at(4, packet).tag.hex()] == [
        "b1c3ba50ab2b2c573055c39d807df992",
        "a7f25b9fb12073d2ebf7a3b71aab9551",
        "64a7cb09788e7164668081e05e6df90c",
        "4e45103b8ab3afc1bff927ababb17eff",
    ]


# --- what is refused --------------------------------------------------------------------------------------


def test_any_changed_header_byte_is_malformed_at_once() -> None:
    for layer, packet in enumerate(ON_THE_WAY, 1):
        for index in range(386):
            changed = bytearray(packet)
            changed[index] ^= 1 << index % 8
            with pytest.raises((Malformed, LowOrder)):
                peel_at(layer, bytes(changed))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(386, 2449), st.integers(1, 255))
def test_any_changed_payload_byte_destroys_the_message(layer: int, index: int, mask: int) -> None:
    changed = bytearray(ON_THE_WAY[layer - 1])
    changed[index] ^= mask
    with pytest.raises(Malformed, match="payload"):
        arrive(bytes(changed), layer)


@pytest.mark.parametrize("layer", [2, 3, 4])
def test_padding_other_than_zero_is_malformed(layer: int) -> None:
    changed = bytearray(ON_THE_WAY[layer - 1])
    changed[385] = 1
    with pytest.raises(Malformed, match="padding"):
        peel_at(layer, bytes(changed))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(0, 3000))
def test_another_size_is_malformed(layer: int, size: int) -> None:
    packet = ON_THE_WAY[layer - 1].ljust(3000, b"\x00")[:size]
    if size == GEOMETRY.packet_size:
        assert peel_at(layer, packet)
        return
    with pytest.raises(Malformed, match="size"):
        peel_at(layer, packet)


@pytest.mark.parametrize(
    "forged",
    [
        replace(CONTEXT, root=b"\xbc" * 32),
        replace(CONTEXT, chain_id=31338),
        replace(CONTEXT, registry=b"\xab" * 20),
    ],
)
def test_a_packet_for_another_directory_or_chain_fails_at_the_first_honest_relay(forged: KeyContext) -> None:
    made = build(forged, MIXES, MAILBOX, MAILBOX_ID, 7, USER_DATA, seeded(b""))
    for layer, packet in ((1, made.packet), *honest_layers_after_forged_ones(forged, made.packet)):
        with pytest.raises(Malformed, match="header"):
            peel_at(layer, packet)


def honest_layers_after_forged_ones(forged: KeyContext, packet: bytes) -> list[tuple[int, bytes]]:
    """What later relays get if those before them took part in the forgery."""
    result = []
    for layer in (1, 2, 3):
        peeled = peel(forged, KEYS[layer - 1], PUBLICS[layer - 1], layer, packet, never)
        assert isinstance(peeled, Forward)
        packet = peeled.packet
        result.append((layer + 1, packet))
    return result


@pytest.mark.parametrize("layer", [1, 2, 3, 4])
def test_another_key_or_layer_is_malformed(layer: int) -> None:
    packet = ON_THE_WAY[layer - 1]
    for other in {1, 2, 3, 4} - {layer}:
        with pytest.raises(Malformed, match="header"):
            peel(CONTEXT, KEYS[other - 1], PUBLICS[other - 1], layer, packet, never)
        with pytest.raises(Malformed, match=r"header|padding"):
            peel(CONTEXT, KEYS[layer - 1], PUBLICS[layer - 1], other, packet, never)
    with pytest.raises(Malformed, match="header"):  # the secret of this relay, another's name
        peel(CONTEXT, KEYS[layer - 1], PUBLICS[layer % 4], layer, packet, never)


LOW_ORDER = [
    0,
    1,
    P - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]
WEAK = [*LOW_ORDER, P, P + 1, P + 9, 2**255 - 1, 2**256 - 1, *(2**255 + value for value in (*LOW_ORDER, 9))]


@pytest.mark.parametrize("value", WEAK)
def test_weak_public_keys_are_refused_by_both_sides(value: int) -> None:
    weak = value.to_bytes(32, "little")
    with pytest.raises(LowOrder) as caught:
        peel_at(1, weak + ON_THE_WAY[0][32:])
    assert caught.value.reason == "low_order"
    with pytest.raises(LowOrder):
        build(
            CONTEXT,
            [MIXES[0], replace(MIXES[1], packet_key=weak), MIXES[2]],
            MAILBOX,
            MAILBOX_ID,
            7,
            USER_DATA,
            seeded(b""),
        )


def test_a_second_encoding_of_the_ephemeral_key_is_refused() -> None:
    # RFC 7748 ignores the top bit; with it set, this would be the same packet under another tag
    packet = bytearray(ON_THE_WAY[0])
    packet[31] |= 0x80
    with pytest.raises(LowOrder):
        peel_at(1, bytes(packet))


def test_build_refuses_other_sizes() -> None:
    good = (CONTEXT, MIXES, MAILBOX, MAILBOX_ID, 7, USER_DATA)
    bad: list[tuple[int, object]] = [
        (1, MIXES[:2]),
        (1, [*MIXES, MIXES[0]]),
        (2, replace(MAILBOX, delay_ms=1)),
        (3, MAILBOX_ID + b"m"),
        (4, 256),
        (4, -1),
        (5, USER_DATA[:-1]),
        (5, USER_DATA + b"\x00"),
    ]
    for place, value in bad:
        arguments = [*good[:place], value, *good[place + 1 :]]
        with pytest.raises(ValueError, match=r"packet|mailbox"):
            build(*arguments, seeded(b""))  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Hop(RelayId(2**32), bytes(32), 0),
        lambda: Hop(RelayId(-1), bytes(32), 0),
        lambda: Hop(RelayId(1), bytes(31), 0),
        lambda: Hop(RelayId(1), bytes(32), 2**16),
        lambda: KeyContext(2**64, bytes(20), bytes(32)),
        lambda: KeyContext(1, bytes(19), bytes(32)),
        lambda: KeyContext(1, bytes(20), bytes(33)),
        lambda: peel_at(0, ON_THE_WAY[0]),
        lambda: peel(CONTEXT, KEYS[0], PUBLICS[0], 5, ON_THE_WAY[0], never),
    ],
)
def test_our_own_mistakes_are_value_errors(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"bytes|bits|layers"):
        make()


# --- replays ----------------------------------------------------------------------------------------------


def test_the_tag_is_asked_for_before_anything_is_deciphered() -> None:
    asked = []

    def yes(tag: bytes) -> bool:
        asked.append(tag)
        return True

    broken = ON_THE_WAY[0][:32] + bytes(2418)
    with pytest.raises(Replayed) as caught:
        peel_at(1, broken, yes)
    assert caught.value.reason == "replayed"
    assert asked == [peel_at(1, ON_THE_WAY[0]).tag]


def test_tags_differ_by_packet_layer_and_context() -> None:
    tags = {peel_at(layer, packet).tag for layer, packet in enumerate(ON_THE_WAY, 1)}
    tags |= {peel_at(1, built(b"%d" % i).packet).tag for i in range(20)}
    assert len(tags) == 24
    assert {len(tag) for tag in tags} == {16}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["once", "restart"])), max_size=30))
def test_i9_a_relay_takes_each_packet_once(arrivals: list[tuple[int, str]]) -> None:
    """Packets repeated and reordered, over restarts that keep only what was written."""
    epoch = Epoch(1)
    disk: list[tuple[Epoch, bytes]] = []
    store = TagStore(epoch, 1000)
    taken = []
    for number, what in arrivals:
        if what == "restart":
            store = TagStore(epoch, 1000, disk)
        current = store
        try:
            peeled = peel_at(1, SOME_PACKETS[number], lambda tag, s=current: s.seen(epoch, tag))  # type: ignore[misc]
        except Replayed:
            continue
        assert store.add(epoch, peeled.tag)
        disk.append((epoch, peeled.tag))
        taken.append(number)
    assert sorted(taken) == sorted({number for number, _ in arrivals})


SOME_PACKETS = [built(b"%d" % number).packet for number in range(5)]


# --- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Malformed("size"), Replayed(), LowOrder("zero"), Malformed()])
def test_errors_keep_their_reason_on_the_way_out_of_a_worker_process(error: PacketError) -> None:
    assert isinstance(error, PeerError)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
    assert (type(copy), copy.reason, str(copy)) == (type(error), error.reason, str(error))
    assert error.reason in {"malformed", "replayed", "low_order"}
