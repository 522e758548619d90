"""How deliveries look in JSON."""

from __future__ import annotations

from typing import Any

from mixpay.client.courier import SentMessage
from mixpay.client.report import Report


def shown_report(report: Report) -> dict[str, Any]:
    """What sending took, for JSON."""
    duties = {
        str(relay): {"entry": d.entry, "mix": d.mix, "mailbox": d.mailbox}
        for relay, d in sorted(report.hops.items())
    }
    return {
        "message_id": report.message_id.hex(),
        "packets_sent": report.packets_sent,
        "packets_accepted": report.packets_accepted,
        "ticks": report.ticks,
        "hops": duties,
    }


def shown_sent(sent: SentMessage) -> dict[str, Any]:
    """How a message to be acknowledged stands, for JSON."""
    outgoing = sent.outgoing
    return {
        "message_id": sent.message_id.hex(),
        "state": sent.state.value,
        "pieces": outgoing.total,
        "unconfirmed": outgoing.unconfirmed,
        "repeated": outgoing.repeated,
    }


def shown_acks(report: Report) -> dict[str, Any]:
    """What acknowledging others' messages took, for JSON."""
    paths = [{"relays": path, "packets": 1, "arrived": 0} for _, path in report.carried]
    return shown_report(report) | {"paths": paths}
