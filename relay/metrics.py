"""The relay's counters. Drops and refusals have reason labels; nothing here names a packet or a client.

What is counted as it happens. What can be read when it is asked for stands in
`relay/operator/gauge_table.py`.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

MAX_REASONS = 128
"""Reasons counted one by one; further ones are "other": peers must not fill our memory."""


class Metrics:
    """Counters of one relay process, in a registry of their own so that several fit one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"mixpay_{name}", text, labels, registry=registry)

        self.packets = counter(
            "packets", "Packets accepted, by this relay's role: entry, mix, mailbox", "role"
        )
        self.drops = counter("drops", "Packets dropped, by reason", "reason")
        self.refusals = counter(
            "refusals", "Tickets, passes, ticks and connections refused, by reason", "reason"
        )
        self.receipts = counter("receipts", "Tickets proven relayed")
        self.issued = counter("tickets_issued", "Tickets given to next hops")
        self.acks = counter("acks_received", "Acknowledgements that next hops sent")
        self.pauses = counter("read_pauses", "Times that a payer's link was not read, for want of capacity")
        self.batches = counter(
            "batches_settled", "Batches that a voucher closed; side: payer or payee", "side"
        )
        self.value = counter("settled_value", "Hop prices in them; side: payer or payee", "side")
        self.troubles = counter("chain_failures", "Work with the chain that failed, by what it was", "what")
        self.held = Gauge("mixpay_mixer_packets", "Packets held for their delay", registry=registry)
        self.chain_height = Gauge("mixpay_chain_height", "Newest block followed", registry=registry)

        self._reasons: set[str] = set()
        self._roles: dict[str, Counter] = {}

    def carried(self, role: str) -> None:
        """Count a packet accepted. Called for each one, so the counter is looked up once."""
        counter = self._roles.get(role)
        if counter is None:
            counter = self._roles[role] = self.packets.labels(role)
        counter.inc()

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
