"""The relay's counters. Every drop and refusal has a reason label; nothing here names a packet or a client."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """Counters of one relay process, in a registry of their own so that several fit one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.packets = Counter(
            "mixpay_packets", "Packets accepted, by this relay's role", ["role"], registry=self.registry
        )
        self.drops = Counter("mixpay_drops", "Packets dropped, by reason", ["reason"], registry=self.registry)
        self.refusals = Counter(
            "mixpay_refusals", "Tickets, passes, ticks and links refused, by reason", ["reason"],
            registry=self.registry,
        )
        self.receipts = Counter("mixpay_receipts", "Tickets proven relayed", registry=self.registry)
        self.held = Gauge("mixpay_mixer_packets", "Packets held for their delay", registry=self.registry)
        self.chain_height = Gauge("mixpay_chain_height", "Newest block followed", registry=self.registry)

    def dropped(self, reason: str) -> None:
        """Count a packet that goes nowhere."""
        self.drops.labels(reason).inc()

    def refused(self, reason: str) -> None:
        """Count something a peer or client was refused."""
        self.refusals.labels(reason).inc()

    def render(self) -> bytes:
        """Prometheus text exposition."""
        return generate_latest(self.registry)
