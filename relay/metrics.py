"""The relay's counters. Drops and refusals have reason labels; nothing here names a packet or a client."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

MAX_REASONS = 128
"""Reasons counted one by one; further ones are "other": peers must not fill our memory."""


class Metrics:
    """Counters of one relay process, in a registry of their own so that several fit one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.packets = Counter(
            "mixpay_packets", "Packets accepted, by this relay's role", ["role"], registry=self.registry
        )
        self.drops = Counter("mixpay_drops", "Packets dropped, by reason", ["reason"], registry=self.registry)
        self.refusals = Counter(
            "mixpay_refusals",
            "Tickets, passes, ticks and links refused, by reason",
            ["reason"],
            registry=self.registry,
        )
        self.receipts = Counter("mixpay_receipts", "Tickets proven relayed", registry=self.registry)
        self.held = Gauge("mixpay_mixer_packets", "Packets held for their delay", registry=self.registry)
        self.capacity = Gauge(
            "mixpay_capacity_packets",
            "Packets a second that this relay can carry, estimated at its start",
            registry=self.registry,
        )
        self.chain_height = Gauge("mixpay_chain_height", "Newest block followed", registry=self.registry)

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

    def _label(self, reason: str) -> str:
        if reason not in self._reasons and len(self._reasons) >= MAX_REASONS:
            return "other"
        self._reasons.add(reason)
        return reason

    def render(self) -> bytes:
        """Prometheus text exposition."""
        return generate_latest(self.registry)
