"""Counters: every drop and refusal has its reason, and strangers' inventions do not fill our memory."""

from __future__ import annotations

from relay.metrics import MAX_REASONS, Metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_drops_areCountedByReason() -> None:
    metrics = Metrics()
    metrics.dropped("mixer_full")
    metrics.dropped("link_lost", 5)
    metrics.dropped("link_lost", 2)
    assert value(metrics, "mixpay_drops_total", reason="mixer_full") == 1
    assert value(metrics, "mixpay_drops_total", reason="link_lost") == 7
    assert value(metrics, "mixpay_drops_total", reason="replayed") is None


def test_refusals_areCountedByReason() -> None:
    metrics = Metrics()
    metrics.refused("tick_used")
    assert value(metrics, "mixpay_refusals_total", reason="tick_used") == 1
    assert value(metrics, "mixpay_drops_total", reason="tick_used") is None


def test_inventedReasons_becomeOther() -> None:
    metrics = Metrics()
    metrics.dropped("replayed")
    for number in range(3 * MAX_REASONS):
        metrics.refused(f"invented_{number}")
    metrics.dropped("replayed")
    reasons = {
        sample.labels["reason"]
        for family in metrics.registry.collect()
        for sample in family.samples
        if "reason" in sample.labels
    }
    assert len(reasons) == MAX_REASONS + 1
    assert value(metrics, "mixpay_refusals_total", reason="other") == 2 * MAX_REASONS + 1
    assert value(metrics, "mixpay_drops_total", reason="replayed") == 2  # what was known stays known


def test_twoRelaysInOneProcess_countApart() -> None:
    one, other = Metrics(), Metrics()
    one.carried("mix")
    assert value(one, "mixpay_packets_total", role="mix") == 1
    assert value(other, "mixpay_packets_total", role="mix") is None


def test_render_isPrometheusText() -> None:
    metrics = Metrics()
    metrics.refused("bad_ack")
    metrics.held.set(3)
    text = metrics.render().decode()
    assert 'mixpay_refusals_total{reason="bad_ack"} 1.0' in text
    assert "mixpay_mixer_packets 3.0" in text
    assert text.endswith("\n")


def test_countersOfTheDataPath_addUp() -> None:
    metrics = Metrics()
    for role in ("mix", "mix", "mailbox"):
        metrics.carried(role)
    metrics.acks.add(16)
    metrics.acks.add(3)
    assert value(metrics, "mixpay_packets_total", role="mix") == 2
    assert value(metrics, "mixpay_packets_total", role="mailbox") == 1
    assert value(metrics, "mixpay_packets_total", role="entry") is None
    assert value(metrics, "mixpay_acks_received_total") == 19
    assert value(metrics, "mixpay_receipts_total") == 0
