"""Measure what one packet costs in a relay process, by part: thread CPU time, medians, microseconds.

Prints a table and writes reports/bench_packet.json. Run `python scripts/bench_packet.py` on a quiet machine:
the figures are of one core, and only their ratios carry over to another.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mixpay import packet, proof
from mixpay.crypto import lioness, secp256k1, x25519
from mixpay.crypto.hashing import keccak256
from mixpay.geometry import GEOMETRY
from mixpay.replay import TagStore
from mixpay.types import Epoch, RelayId

ROOT = Path(__file__).resolve().parent.parent
BATCH = 256
CONTEXT = packet.KeyContext(31337, bytes(20), bytes(32))


def mean_us(function: Callable[[], object], calls: int) -> float:
    """Return the mean CPU time of `calls` calls, in µs."""
    start = time.thread_time_ns()
    for _ in range(calls):
        function()
    return (time.thread_time_ns() - start) / calls / 1000


def primitives() -> dict[str, Callable[[], object]]:
    """The primitives of one hop, on inputs of the sizes that a hop gives them."""
    scalar, other = os.urandom(32), x25519.public_key(os.urandom(32))
    header = ChaCha20Poly1305(scalar).encrypt(bytes(12), bytes(GEOMETRY.header_sizes[0] - 48), None)
    payload, wide_key = os.urandom(GEOMETRY.payload_size), os.urandom(lioness.KEY_SIZE)
    binding = bytes(172)
    seed = os.urandom(48)
    point = secp256k1.multiply_base(scalar)
    encoded = secp256k1.encode(point)
    return {
        "X25519": lambda: x25519.exchange(scalar, other),
        "KDF (SHAKE-256, two scalars)": lambda: (
            hashlib.shake_256(binding).digest(272),
            secp256k1.scalar_from(seed),
            secp256k1.scalar_from(seed),
        ),
        "AEAD of the first header": lambda: ChaCha20Poly1305(scalar).decrypt(bytes(12), header, None),
        "LIONESS of the payload": lambda: lioness.decrypt(wide_key, payload),
        "secp256k1 base multiplication": lambda: secp256k1.multiply_base(scalar),
        "secp256k1 parse a hint": lambda: secp256k1.parse(encoded),
        "secp256k1 add two points": lambda: secp256k1.sum_points([point, point]),
        "secp256k1 address of a point": lambda: secp256k1.point_address(point),
        "Keccak-256 of 64 bytes": lambda: keccak256(payload[:64]),
    }


def one_hop() -> dict[str, Callable[[], object]]:
    """Whole operations of a client and of the first mix."""
    secret = os.urandom(32)
    public = x25519.public_key(secret)
    mixes = [packet.Hop(RelayId(number), public, 100) for number in (1, 2, 3)]
    mailbox = packet.Hop(RelayId(4), public, 0)
    user_data = os.urandom(GEOMETRY.user_size)

    def build() -> packet.Built:
        return packet.build(CONTEXT, mixes, mailbox, bytes(16), 1, user_data, os.urandom)

    made = build()
    tags = TagStore(Epoch(0), 10**9)

    def peel() -> packet.Forward | packet.Deliver:
        return packet.peel(CONTEXT, secret, public, 1, made.packet, lambda tag: tags.seen(Epoch(0), tag))

    peeled = peel()
    assert isinstance(peeled, packet.Forward)  # noqa: S101 -- layer 1 is a mix's
    ticket = peeled

    def check() -> None:
        proof.check_lock(ticket.own, made.lock, ticket.next_hint)
        proof.bad_acks([(ticket.ack, made.hint)], os.urandom)

    def hop() -> None:
        peel()
        check()

    return {
        "peel, one layer": peel,
        "check_lock": lambda: proof.check_lock(ticket.own, made.lock, ticket.next_hint),
        "check_lock and hint": check,
        "hop: peel, check_lock and hint": hop,
        "response": lambda: proof.response(ticket.own, ticket.ack),
        "build, four layers": build,
    }


def batched_acks() -> dict[str, Callable[[], object]]:
    """Checks of BATCH acks at once, with hints of 33 and 65 bytes."""
    acks = [secp256k1.scalar_from(os.urandom(48)) for _ in range(BATCH)]
    points = [secp256k1.multiply_base(ack) for ack in acks]
    result: dict[str, Callable[[], object]] = {}
    for size in (secp256k1.POINT_SIZE, secp256k1.LONG_POINT_SIZE):
        pairs = [(ack, secp256k1.encode(point, size)) for ack, point in zip(acks, points, strict=True)]
        result[f"bad_acks, each of {BATCH}, hints of {size} bytes"] = (
            lambda pairs=pairs: proof.bad_acks(pairs, os.urandom)  # type: ignore[misc]
        )
    return result


def measure(rounds: int) -> dict[str, float]:
    """Return µs by part. The parts take turns, so that a slow minute of the machine strikes all alike."""
    parts = {**primitives(), **one_hop()}
    batches = batched_acks()
    samples: dict[str, list[float]] = {name: [] for name in (*parts, *batches)}
    for _ in range(rounds):
        for name, part in parts.items():
            samples[name].append(mean_us(part, 50))
        for name, part in batches.items():
            samples[name].append(mean_us(part, 1) / BATCH)
    figures = {name: round(statistics.median(values), 2) for name, values in samples.items()}
    last = list(batches)[-1]
    whole = figures["hop: peel, check_lock and hint"] + figures[last]
    figures["whole packet in a relay: hop and the next relay's ack"] = round(whole, 2)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40, help="rounds of which the median is taken")
    arguments = parser.parse_args()
    figures = measure(arguments.rounds)
    for name, figure in figures.items():
        print(f"{name:58}{figure:9.2f} µs")
    target = ROOT / "reports" / "bench_packet.json"
    target.parent.mkdir(exist_ok=True)
    report = {"unit": "µs of thread CPU time, median", "rounds": arguments.rounds, "figures": figures}
    target.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written to {target.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
