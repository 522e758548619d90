"""The whole layer: `mixpay-relay run` as it is, a mix of layer 1, between real links under load.

    peak       as many packets as it takes, in turns with the relay without incentives (`bench/plain.py`),
               under the same load, and as busy as it can be
    sustained  70 % of that: the delay that load adds
    sweep      from light load to twice the peak, for the picture
    overload   three times the peak, twice
    workers    the peak again, with two worker processes
    memory     its database full of receipts and replay tags (`bench/memory.py`)

CPU is what /proc says of all its processes; the floor is measured meanwhile, in this process, so that what
else runs on the machine strikes both. Rates and delays are of the clock: beside them stands what share of the
machine others had.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import memory
from bench.figures import Found, Scale
from bench.meter import curve, floor, slice_us
from bench.proof import measure as measure_proof
from bench.running import BenchFailed, Daemon, LoadProcess, Process
from bench.world import World
from mixpay.chain.devchain import DevChain
from mixpay.demo.ports import free_ports
from mixpay.demo.relays import write_secret

SUSTAINED = 0.7
OVERLOAD = 3.0
_GUESS = 4_000
"""Packets a second to have ready before the peak is known."""
_WAITING = 6_000
"""Packets that may wait at all entries together."""
_FLOOR_CALLS = 20
_PAUSE = 0.08
"""Seconds between two slices of the floor: it takes a fiftieth of a core."""

Run = dict[str, Any]


class Stand:
    """A relay under test, whatever it is, and the load on it."""

    def __init__(self, load: LoadProcess, relay: Process) -> None:
        self.load, self.relay = load, relay
        self._floor, self._curve = floor(), curve()

    def run(self, rate: float | None, seconds: float, warm: float) -> Run:
        """One run, with the floor of its time."""
        floors: list[float] = []
        curves: list[float] = []

        def meanwhile() -> None:
            floors.append(slice_us(self._floor, _FLOOR_CALLS))
            curves.append(slice_us(self._curve, _FLOOR_CALLS))
            time.sleep(_PAUSE)

        self.load.prepare(int((rate or _GUESS) * (seconds + warm)) + 100)
        self.relay.check()
        found = self.load.run(self.relay.pid, rate, seconds, warm, meanwhile)
        found["load"] = rate
        found["rate"] = found["packets"] / found["seconds"]
        found["us_per_packet"] = sum(found["cpu"].values()) / max(1, found["packets"]) * 1e6
        found["floor_us"], found["curve_us"] = statistics.median(floors), statistics.median(curves)
        return found


def measure(scale: Scale) -> Found:
    """All of it, in a network of its own."""
    found = Found()
    with (
        DevChain() as chain,
        tempfile.TemporaryDirectory(prefix="mixpay-bench-") as name,
        ExitStack() as ending,
    ):
        world = World(chain, Path(name))
        stand = ending.enter_context(_daemon(world, "daemon", 0))
        plain = ending.enter_context(_plain(world))
        peaks = _peaks(found, stand if scale.incentives else None, plain, scale)
        if not peaks:
            return found
        rate = _median(peaks, "rate")
        if not rate:
            raise BenchFailed("no packet came through: the machine is too busy to measure anything")
        sustained = _sustained(found, stand, SUSTAINED * rate, scale)
        curve_ = [stand.run(load * rate, scale.seconds, scale.warm) for load in scale.sweep]
        overloads = _overload(found, stand, scale)
        found.detail["picture"] = _picture(rate, [*curve_, *sustained, *overloads])
        stand.relay.stop()
        _workers(found, world, stand, peaks, scale)
        memory.measure(found, world, scale)
    return found


@contextmanager
def _daemon(world: World, name: str, workers: int) -> Iterator[Stand]:
    world.set("workers", str(workers))
    script = world.folder / "script.json"
    write_secret(script, json.dumps(world.script()))
    relay, load = Daemon(world, name), LoadProcess(world.folder, "load", script)
    stand = Stand(load, relay)
    try:
        relay.wait()
        load.ready()
        yield stand
    finally:
        load.stop()
        stand.relay.stop()


@contextmanager
def _plain(world: World) -> Iterator[Stand]:
    """The same neighbours at other ports, and a relay that books nothing."""
    script = world.script()
    places = [script["me"], *script["payees"]]
    for place, port in zip(places, free_ports(len(places)), strict=True):
        place["port"] = port
    path = world.folder / "plain.json"
    write_secret(path, json.dumps(script))
    relay = Process(world.folder, "plain", "bench.plain", str(path))
    load = LoadProcess(world.folder, "plain-load", path, "--plain")
    try:
        load.ready()
        yield Stand(load, relay)
    finally:
        load.stop()
        relay.stop()


# ---------------------------------------------------------------------- parts


def _peaks(found: Found, stand: Stand | None, plain: Stand, scale: Scale) -> list[Run]:
    """By turns: the relay as busy as it can be, the one without incentives under the same load, and that as
    busy as it can be, too.
    """
    with_, alike, without, acks = [], [], [], []
    for _ in range(scale.turns):
        if stand is not None:
            with_.append(stand.run(None, scale.seconds, scale.warm))
            alike.append(plain.run(max(1.0, with_[-1]["rate"]), scale.seconds, scale.warm))
        without.append(plain.run(None, scale.seconds, scale.warm))
        acks.append(measure_proof(Scale(slices=max(3, scale.slices // 15))).figures["ack_check_us"])
    off = _median(without, "us_per_packet")
    found.figures["relay_us_no_incentives"] = off
    found.detail["without incentives"] = {
        "under the same load": [_short(run) for run in alike],
        "as busy as it can be": [_short(run) for run in without],
    }
    if with_:
        on, curve_us, ack = (
            _median(with_, "us_per_packet"),
            _median(with_, "curve_us"),
            statistics.median(acks),
        )
        found.figures |= {
            "relay_us_per_packet": on,
            "relay_over_floor": statistics.median(run["us_per_packet"] / run["floor_us"] for run in with_),
            "incentives_ratio": _ratio(with_, without),
            "incentives_ratio_same_load": _ratio(with_, alike),
            "receipts_us": on - off - curve_us - ack,
        }
        floors = {"floor_us": _median(with_, "floor_us"), "curve_us": curve_us, "ack_check_us": ack}
        found.detail["peak"] = {**floors, "runs": [_short(run) for run in with_]}
    return with_


def _ratio(some: Sequence[Run], others: Sequence[Run]) -> float:
    """Of their costs, turn by turn."""
    pairs = zip(some, others, strict=True)
    found: float = statistics.median(one["us_per_packet"] / other["us_per_packet"] for one, other in pairs)
    return found


def _sustained(found: Found, stand: Stand, rate: float, scale: Scale) -> list[Run]:
    """What load adds to delays."""
    runs = [stand.run(rate, scale.seconds, scale.warm) for _ in range(scale.turns)]
    found.figures["added_delay_p99_ms"] = statistics.median(run["whole_ms"]["p99"] for run in runs)
    found.detail["sustained"] = [_short(run) for run in runs]
    return runs


def _overload(found: Found, stand: Stand, scale: Scale) -> list[Run]:
    """Peak and overload by turns; the second overload must find the memory that the first one left."""
    peaks, overs, missing = [], [], []
    for _ in range(2):
        peaks.append(stand.run(None, scale.seconds, scale.warm))
        before = _drops(stand)
        overs.append(stand.run(OVERLOAD * peaks[-1]["rate"], scale.seconds, scale.warm))
        dropped = {reason: n - before.get(reason, 0) for reason, n in _drops(stand).items()}
        overs[-1]["dropped_by_relay"] = {reason: n for reason, n in dropped.items() if n}
        missing.append(unaccounted(overs[-1]))
    found.figures |= {
        "overload_kept": statistics.mean(o["rate"] / p["rate"] for o, p in zip(overs, peaks, strict=True)),
        "overload_unaccounted": max(map(abs, missing)),
        "overload_growth_mb": overs[1]["rss_mb"][1] - overs[0]["rss_mb"][1],
        "overload_p99_ms": statistics.median(run["late_ms"].get("p99", 0.0) for run in overs),
    }
    found.detail["overload"] = [
        _short(run) | {k: run[k] for k in ("offered", "arrived", "lost", "dropped_by_relay", "rss_mb")}
        for run in overs
    ]
    return overs


def _drops(stand: Stand) -> dict[str, int]:
    return stand.relay.drops() if isinstance(stand.relay, Daemon) else {}


def unaccounted(run: Run) -> int:
    """Packets offered that neither came through nor were dropped for a reason.

    What the relay refused, or the next one, the relay has counted itself; what never left an entry, the load.
    """
    at_entry = sum(n for reason, n in run["lost"].items() if reason.startswith("entry_"))
    by_relay = sum(run["dropped_by_relay"].values())
    missing: int = run["offered"] - run["arrived"] - at_entry - by_relay
    return missing


def _workers(found: Found, world: World, stand: Stand, alone: list[Run], scale: Scale) -> None:
    """The daemon again with two workers, under the same load process."""
    world.set("workers", "2")
    stand.relay = Daemon(world, "daemon-workers")
    stand.relay.wait()
    runs = [stand.run(None, scale.seconds, scale.warm) for _ in range(scale.turns)]
    reckoned, clock = ([statistics.median(map(rate, some)) for some in (runs, alone)] for rate in _RATES)
    found.figures["scaling_2_workers"] = reckoned[0] / reckoned[1]
    found.detail["workers"] = {
        "runs": [_short(run) for run in runs],
        "by the clock, load on the same cores": clock[0] / clock[1],
    }
    stand.relay.stop()


def two_core_rate(run: Run) -> float:
    """Packets in the time of one floor that two cores can carry, by the CPU each process takes: none can use
    more than one core, all together no more than two. The load has cores of its own in this reckoning.
    """
    each = [seconds / max(1, run["packets"]) * 1e6 for seconds in run["cpu"].values()]
    floor_us: float = run["floor_us"]
    busiest: float = max([*each, sum(each) / 2])
    return floor_us / busiest


_RATES: tuple[Callable[[Run], float], ...] = (two_core_rate, lambda run: float(run["rate"]))

# ---------------------------------------------------------------------- reading runs


def _median(runs: Sequence[Run], name: str) -> float:
    found: float = statistics.median(run[name] for run in runs)
    return found


_KEPT: Callable[[Run], Run] = lambda run: {  # noqa: E731
    name: run[name] for name in ("load", "rate", "us_per_packet", "floor_us", "others", "late_ms", "whole_ms")
}


def _short(run: Run) -> Run:
    return _KEPT(run) | {"cpu_by_process": sorted(run["cpu"].values(), reverse=True)}


def _picture(peak: float, runs: Sequence[Run]) -> Run:
    """Points by load."""
    rows = sorted(
        ({"offered": run["load"], **_KEPT(run), "waited_ms": run["waited_ms"]} for run in runs),
        key=lambda row: float(row["offered"]),
    )
    return {"peak": peak, "runs": rows}
