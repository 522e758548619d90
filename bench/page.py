"""docs/bench.md, made from reports/bench.json by `make bench WRITE=1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXT = """# How fast a relay is

`make bench` measures it, layer by layer, and writes `reports/bench.json`; `make bench WRITE=1` writes this page and its
picture too. `make bench LAYERS="hop book"` measures some layers only; `STRICT=1` fails where a goal is not met.

Measured on {date}: {processor}, {cores} cores, {system}, Python {python}, load average {load}. Ratios are
of one run: what is compared takes turns in short slices. Absolute figures are this machine's, and what others did on it
meanwhile is in them; compare them with the primitives below.

| | value | goal | | relative to | what it is |
|---|---:|---:|---|---|---|
{figures}

![Rate against load, and the delay that load adds](bench.png)

The relay under test is the daemon itself (`mixpay-relay run`), a mix of layer 1 between three entries and three mixes of
layer 2, over TLS on loopback, with a chain, open channels, settlements on the way and packets with a client's delays.
Entries, next mixes and what makes packets are one other process on the same two cores. {others}

- *Without incentives* is `bench/plain.py`: same links, frames, packets, replay tags on disk and delays, no checks of lock
  and hint, no books, no acks. No operator can start a relay so.
  Under the same load it idles where the relay with incentives is busy, and what a process costs that idles is in its figure: the
  less that says, the busier the machine.
- *receipts_us* is what is left of the difference after the curve operations (two base multiplications, an addition) and
  the check of one ack.
- *scaling_2_workers* is reckoned from CPU time: a process uses one core at most, all of the relay's two at most, and the
  load has cores of its own. By the clock, with the load on the same two cores: {clock}.
- *Overload* is offered to the entries, which drop what finds no ticket and no place in their queues, as relays do; what
  they dropped, what the relay dropped, and what came through add up to what was offered, or *unaccounted* says so.
- *bytes_per_receipt* grows a payee's file by a batch of {receipts:,}; {payer:.0f} more bytes are the payer's for each ticket
  it promised, {tag:.0f} a replay tag.
- *rss_mb* is without worker processes, which is how a relay comes; all batches have just been cut, so their trees are in it.
- *mixer_ks* above 1: a statistician could tell the mixer's delays from the exponential by {delays:,} of them. The daemon
  looks at its mixer every {pulse:g} ms, and a packet leaves at the look nearest to its time; woken just when a packet
  is due, the same test gives {woken:.2f}.

## A packet's way, part by part

One process, without TLS, groups of 32 packets, each a commit of its own:

| | µs |
|---|---:|
{path}

## Primitives of this machine

| | µs |
|---|---:|
{primitives}
"""


def render(about: Mapping[str, Any]) -> str:
    """The page for a report that has all layers. Raises KeyError for one that has not."""
    machine, layers = about["machine"], about["layers"]
    mixer, store = layers["mixer"], layers["store"]
    runs = layers["whole"]["picture"]["runs"]
    others = [100 * run["others"] for run in runs]
    return _TEXT.format(
        date=about["date"],
        processor=machine["processor"],
        cores=machine["cores"],
        system=machine["system"],
        python=machine["python"],
        load=machine["load_average"][0],
        figures="\n".join(_figure(name, one) for name, one in about["figures"].items()),
        others=f"Others had {min(others):.0f} to {max(others):.0f} % of the machine while the runs of the picture lasted.",
        clock=f"{layers['whole']['workers']['by the clock, load on the same cores']:.2f}",
        receipts=store["receipts"],
        payer=store["bytes_per_ticket_of_the_payer"],
        tag=store["bytes_per_tag"],
        delays=mixer["packets"],
        pulse=mixer["pulse_ms"],
        woken=mixer["D"]["woken when due"] / mixer["critical at 1 %"],
        path=_rows(layers["path"]["us"]),
        primitives=_rows(about["primitives_us"]),
    )


def _figure(name: str, one: Mapping[str, Any]) -> str:
    verdict = {True: "met", False: "**not met**", None: ""}[one["met"]]
    value = f"{one['value']:,.2f} {one['unit']}"
    return f"| {name} | {value} | {one['goal']} | {verdict} | {one['relative_to']} | {one['meaning']} |"


def _rows(us: Mapping[str, float]) -> str:
    return "\n".join(f"| {name} | {value:.1f} |" for name, value in us.items())
