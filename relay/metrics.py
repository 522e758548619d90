"""The relay's counters. Drops and refusals have reason labels; nothing here names a packet or a client.

What is counted as it happens. What can be read when it is asked for stands in
`relay/operator/gauge_table.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

MAX_REASONS = 128
"""Reasons counted one by one; further ones are "other": peers must not fill our memory."""


class Tally(Collector):
    """A counter for the data path: an addition, where prometheus_client's own takes a lock, for microseconds.

    Belongs to one thread, as all of the data path does.
    """

    __slots__ = ("_counts", "_label", "_name", "_text")

    def __init__(self, registry: CollectorRegistry, name: str, text: str, label: str | None = None) -> None:
        self._name, self._text, self._label = f"mixpay_{name}", text, label
        self._counts: dict[str, int] = {} if label else {"": 0}
        registry.register(self)

    def add(self, number: int = 1, of: str = "") -> None:
        """Count; `of`: the label's value."""
        counts = self._counts
        counts[of] = counts.get(of, 0) + number

    def collect(self) -> Iterator[Metric]:
        """For Prometheus."""
        labels = [self._label] if self._label else []
        family = CounterMetricFamily(self._name, self._text, labels=labels)
        for value, count in self._counts.items():
            family.add_metric([value] if labels else [], count)
        yield family


class Metrics:
    """Counters of one relay process, in a registry of their own so that several fit one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"mixpay_{name}", text, labels, registry=registry)

        roles = "Packets accepted, by this relay's role: entry, mix, mailbox"
        self.packets = Tally(registry, "packets", roles, "role")
        self.drops = counter("drops", "Packets dropped, by reason", "reason")
        self.refusals = counter(
            "refusals", "Tickets, passes, ticks and connections refused, by reason", "reason"
        )
        self.receipts = Tally(registry, "receipts", "Tickets proven relayed")
        self.issued = Tally(registry, "tickets_issued", "Tickets given to next hops")
        self.acks = Tally(registry, "acks_received", "Acknowledgements that next hops sent")
        self.pauses = counter("read_pauses", "Times that a payer's link was not read, for want of capacity")
        self.batches = counter(
            "batches_settled", "Batches that a voucher closed; side: payer or payee", "side"
        )
        self.value = counter("settled_value", "Hop prices in them; side: payer or payee", "side")
        self.troubles = counter("chain_failures", "Work with the chain that failed, by what it was", "what")
        self.held = Gauge("mixpay_mixer_packets", "Packets held for their delay", registry=registry)
        self.chain_height = Gauge("mixpay_chain_height", "Newest block followed", registry=registry)
        self.late_acks = counter(
            "late_acks", "Tickets owed to the next relay that earned nothing: their acks came too late"
        )
        self.capacity = Gauge(
            "mixpay_capacity_packets",
            "Packets a second that this relay can carry, estimated at its start",
            registry=registry,
        )

        self._reasons: set[str] = set()

    def carried(self, role: str) -> None:
        """Count a packet accepted."""
        self.packets.add(of=role)

    def dropped(self, reason: str, packets: int = 1) -> None:
        """Count packets that go nowhere."""
        self.drops.labels(self._label(reason)).inc(packets)

    def refused(self, reason: str) -> None:
        """Count something that a peer or client was refused, or refused us."""
        self.refusals.labels(self._label(reason)).inc()

    def settled(self, side: str, value: int) -> None:
        """Count a batch that a voucher closed, with a payer or a payee."""
        self.batches.labels(side).inc()
        self.value.labels(side).inc(value)

    def _label(self, reason: str) -> str:
        if reason not in self._reasons and len(self._reasons) >= MAX_REASONS:
            return "other"
        self._reasons.add(reason)
        return reason

    def render(self) -> bytes:
        """Prometheus text exposition."""
        return generate_latest(self.registry)
