"""`make bench-issuer`: passes an issuer signs a second, beside raw blind signatures; reports/issuer.json.

    python -m bench.issuer [--short]

    raw       `blind_sign` in a loop, in this process
    issued    `mixpay sponsor serve` as it is: HTTP on loopback, a database on disk, a load that keeps it busy
    p99       the same at 70 % of that rate, from the moment a request was due
    two       two processes on one PostgreSQL, and one alone on it
    first     from an empty home to the first paid packet, on a devnet (`bench/first_packet.py`)

Raw and issued take turns, and medians count, for what else runs on the machine strikes both. The load needs a
part of the machine, so rates are also given for a second of the issuer's CPU: what it could do on cores of
its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from bench import first_packet, proc
from bench.figures import ROOT, machine
from bench.issuer_world import POLICY, IssuerProcess, Sponsors
from bench.postgres import NoPostgres, private_postgres
from bench.running import BenchFailed, Ordered
from mixpay.chain.devchain import DevChain
from mixpay.crypto.blind_rsa import SecretKey, blind_sign
from mixpay.errors import MixpayError

REPORT = ROOT / "reports/issuer.json"
SUSTAINED = 0.7
CONNECTIONS = 64
"""Of one issuer: so many ask again at once when they are answered."""
_POOL = 128
"""Of the load at 70 %: enough that a request is sent when it is due."""
_WARM = 100
_GUESS = 800
"""Requests a second, before a rate is known."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How long: turns of raw and issued, seconds of a slice of each, and of the run at 70 %; newcomers."""

    turns: int = 10
    seconds: float = 2.0
    sustained: float = 15.0
    newcomers: int = 5


SHORT = Scale(1, 0.3, 0.3, 1)


@dataclass(frozen=True, slots=True)
class Rate:
    """Signatures for a second of the clock, and of CPU of those who sign; how busy all cores were."""

    per_second: float
    per_cpu: float
    busy: float

    @classmethod
    def median(cls, rates: Sequence[Rate]) -> Rate:
        """Of each figure by itself."""
        return cls(*map(statistics.median, zip(*map(astuple, rates), strict=True)))


def raw(seconds: float) -> Rate:
    """`blind_sign`, one after the other."""
    key = SecretKey.generate()
    message = bytes(1) + os.urandom(255)
    number, began, cpu, machine_before = 0, time.perf_counter(), time.process_time(), proc.machine_busy()
    while time.perf_counter() - began < seconds:
        blind_sign(key, message, os.urandom)
        number += 1
    took, used = time.perf_counter() - began, time.process_time() - cpu
    return Rate(number / took, number / used, busy_since(machine_before))


def busy_since(before: tuple[float, float]) -> float:
    """Share of all cores' time, since `proc.machine_busy` said this."""
    busy, there = (now - then for now, then in zip(proc.machine_busy(), before, strict=True))
    return busy / there if there else 0.0


class Stand:
    """Issuers under test, and the load on them."""

    def __init__(self, load: Ordered, issuers: Sequence[IssuerProcess]) -> None:
        self._load, self._issuers = load, issuers

    def run(self, number: int, rate: float | None = None) -> dict[str, Any]:
        """So many requests. Raises BenchFailed if one is refused."""
        key = self._issuers[0].key
        order = {
            "urls": [issuer.url for issuer in self._issuers],
            "pool": self._issuers[0].pool,
            "kind": key.kind,
            "period": key.period,
            "requests": number + _WARM,
            "connections": _POOL if rate else CONNECTIONS * len(self._issuers),
            "rate": rate,
            "warm": _WARM,
        }
        before, machine_before = self._cpu(), proc.machine_busy()
        done = self._load.order(order)
        used, busy = self._cpu() - before, busy_since(machine_before)
        if done["failed"]:
            raise BenchFailed(f"{done['failed']} of {number} requests were refused")
        return {**done, "busy": busy, "cpu_ms": used / (number + _WARM) * 1e3}

    def _cpu(self) -> float:
        """Seconds that the issuers and their signers have used."""
        return sum(sum(proc.cpu_by_process(issuer.pid).values()) for issuer in self._issuers)

    def closed(self, seconds: float) -> Rate:
        """As many as they take."""
        done = self.run(max(int(_GUESS * len(self._issuers) * seconds), 2 * _WARM))
        return Rate(done["answered"] / done["seconds"], 1e3 / done["cpu_ms"], done["busy"])


Slice = Callable[[], Rate]


def take_turns(scale: Scale, **slices: Slice) -> dict[str, Rate]:
    """The medians of slices that take turns."""
    found: dict[str, list[Rate]] = {name: [] for name in slices}
    for _ in range(scale.turns):
        for name, run in slices.items():
            found[name].append(run())
    return {name: Rate.median(rates) for name, rates in found.items()}


def measure_one(sponsors: Sponsors, load: Ordered, scale: Scale) -> dict[str, Any]:
    """One process, on SQLite."""
    issuer = sponsors.serve(sponsors.open("alone"))
    try:
        stand = Stand(load, [issuer])
        found = take_turns(
            scale, raw=lambda: raw(scale.seconds / 2), issued=lambda: stand.closed(scale.seconds)
        )
        rate = SUSTAINED * found["issued"].per_second
        sustained = stand.run(max(int(rate * scale.sustained), 2 * _WARM), rate)
    finally:
        issuer.stop()
    return {
        "raw_signs_per_s": found["raw"].per_second,
        "issued_per_s": found["issued"].per_second,
        "issued_over_raw": found["issued"].per_second / found["raw"].per_second,
        "issued_over_raw_per_cpu": found["issued"].per_cpu / found["raw"].per_cpu,
        "cpu_us_per_issue": 1e6 / found["issued"].per_cpu,
        "cpu_us_beyond_signature": 1e6 / found["issued"].per_cpu - 1e6 / found["raw"].per_cpu,
        "p50_ms": sustained["p50_ms"],
        "p99_ms": sustained["p99_ms"],
        "p99_at_per_s": rate,
    }


def measure_two(sponsors: Sponsors, load: Ordered, scale: Scale, database: str) -> dict[str, Any]:
    """One process and two, on one PostgreSQL."""
    home = sponsors.open("first")
    first = sponsors.serve(home, database)
    try:
        second = sponsors.serve(sponsors.copy(home, "second"), database)
        try:
            one, two = Stand(load, [first]), Stand(load, [first, second])
            found = take_turns(
                scale,
                raw=lambda: raw(scale.seconds / 2),
                one=lambda: one.closed(scale.seconds),
                two=lambda: two.closed(scale.seconds),
            )
        finally:
            second.stop()
    finally:
        first.stop()
    return {
        "issued_per_s_postgres": found["one"].per_second,
        "issued_per_s_two": found["two"].per_second,
        "two_over_one": found["two"].per_second / found["one"].per_second,
        "two_machine_busy": found["two"].busy,
        "two_over_one_per_cpu": 2 * found["two"].per_cpu / found["one"].per_cpu,
        "postgres_over_raw_per_cpu": found["one"].per_cpu / found["raw"].per_cpu,
    }


def measure(scale: Scale) -> dict[str, Any]:
    """The report. Raises BenchFailed, NoPostgres, MixpayError."""
    with tempfile.TemporaryDirectory(prefix="mixpay-bench-") as name, DevChain() as chain:
        folder = Path(name)
        sponsors = Sponsors(chain, folder)
        load = Ordered(folder, "load", "bench.issuer_load")
        try:
            found = measure_one(sponsors, load, scale)
            with private_postgres(fast=False) as database:
                found |= measure_two(sponsors, load, scale, database)
        finally:
            load.stop()
    with tempfile.TemporaryDirectory(prefix="mixpay-bench-") as name:
        found |= first_packet.measure(Path(name), scale.newcomers)
    return {"policy": POLICY, "machine": machine(), **{name: shown(value) for name, value in found.items()}}


def shown(value: Any) -> Any:
    """A figure with as many digits as mean something."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> int:
    """Exit status: 0 measured, 2 it could not be measured."""
    parser = argparse.ArgumentParser(description="what an issuer signs", prog="python -m bench.issuer")
    parser.add_argument("--short", action="store_true", help="tiny sizes: to see that it runs, not how fast")
    try:
        found = measure(SHORT if parser.parse_args().short else Scale())
    except (BenchFailed, NoPostgres, MixpayError) as error:
        print(f"bench-issuer: {error}", file=sys.stderr)
        return 2
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
