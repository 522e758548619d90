"""Every figure of a sponsor's service, for Prometheus: from the newest report of its campaign. Pure.

docs/sponsors.md lists them. No figure is about a user or a pass; relays are told by id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from mixpay.figures import Figure, Sheet
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX
from mixpay.sponsor.report_records import CampaignReport

_P = "mixpay_sponsor"
_PERIODS = (
    Figure(f"{_P}_passes_issued", "Passes issued of a kind, by period: this, next, last", ("kind", "period")),
    Figure(f"{_P}_identities", "Identities that passes were issued to, likewise", ("kind", "period")),
    Figure(f"{_P}_passes_redeemed", "Passes of the last period that relays redeemed", ("kind",)),
    Figure(f"{_P}_ticks_redeemed", "Their ticks", ("kind",)),
    Figure(f"{_P}_redeemed_tokens", "What those are worth", ("kind",)),
)
_MONEY = (
    Figure(f"{_P}_budget_tokens", "What the pool holds for the campaign"),
    Figure(f"{_P}_paid_tokens", "What relays were paid, in all"),
    Figure(f"{_P}_owed_tokens", "In vouchers that are not claimed yet"),
    Figure(f"{_P}_left_tokens", "Budget, less a withdrawal under notice, less what is owed"),
    Figure(f"{_P}_share_tokens", "What one relay can count on in an epoch"),
    Figure(f"{_P}_period_cap_tokens", "Most that an epoch can cost"),
    Figure(f"{_P}_withdrawal_tokens", "Under notice to be taken back"),
    Figure(f"{_P}_withdrawable_timestamp_seconds", "When that can be paid out"),
    Figure(f"{_P}_spent_tokens", "Cost of the last epochs, at most seven"),
    Figure(f"{_P}_left_seconds", "How long the money lasts at their rate; nothing before the first payment"),
    Figure(f"{_P}_user_epoch_tokens", "What an active user cost in one of them"),
    Figure(f"{_P}_relay_tokens", "What a relay's passes brought it, of the ten that got most", ("relay",)),
    Figure(f"{_P}_relay_shares", "The same as a multiple of an even share", ("relay",)),
    Figure(f"{_P}_suspect_relays", "Relays with more than three times an even share"),
)
_SERVICE = (
    Figure(f"{_P}_refusals_total", "Requests and bundles refused, by reason", ("reason",), grows=True),
    Figure(f"{_P}_paused", "1: the sponsor has paused issuing"),
    Figure(f"{_P}_keys_ahead_epochs", "Epochs to come that have their entry key without a gap"),
    Figure(f"{_P}_signer_ether", "What the signer has for its transactions"),
    Figure(f"{_P}_registrations_left", "Keys that this is enough for at today's gas price"),
    Figure(f"{_P}_epoch", "Epoch of the network"),
    Figure(f"{_P}_chain_timestamp_seconds", "Time of the block that these figures are of"),
    Figure(f"{_P}_info", "1; which campaign this is", ("campaign",)),
)
TABLE: Mapping[str, Figure] = {figure.name: figure for figure in (*_PERIODS, *_MONEY, *_SERVICE)}


class _Figures(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def render(report: CampaignReport | None, refusals: Mapping[str, int]) -> bytes:
    """Prometheus text exposition. Without a report (the chain was not read yet): what else there is."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Figures(list(sheet(report, refusals).families())))
    return generate_latest(registry)


def sheet(report: CampaignReport | None, refusals: Mapping[str, int]) -> Sheet:
    """All samples."""
    found = Sheet(TABLE)
    for reason, number in refusals.items():
        found.put(f"{_P}_refusals_total", number, reason)
    if report is not None:
        _periods(report, found)
        _money(report, found)
        _relays(report, found)
        _service(report, found)
    return found


def _periods(r: CampaignReport, found: Sheet) -> None:
    presents = (KIND_ENTRY, "entry", int(r.epoch)), (KIND_MAILBOX, "mailbox", int(r.term))
    for kind, name, present in presents:
        known = {figures.period: figures for figures in r.periods if figures.kind == kind}
        for word, number in (("last", present - 1), ("this", present), ("next", present + 1)):
            figures = known.get(number)
            found.put(f"{_P}_passes_issued", figures.issued if figures else 0, name, word)
            found.put(f"{_P}_identities", figures.identities if figures else 0, name, word)
        if last := known.get(present - 1):
            found.put(f"{_P}_passes_redeemed", last.redeemed, name)
            found.put(f"{_P}_ticks_redeemed", last.ticks, name)
            found.tokens(f"{_P}_redeemed_tokens", last.value, name)


def _money(r: CampaignReport, found: Sheet) -> None:
    for name in ("budget", "paid", "owed", "left", "share", "period_cap", "withdrawal"):
        found.tokens(f"{_P}_{name}_tokens", getattr(r.money, name))
    if r.money.withdrawable_at:
        found.put(f"{_P}_withdrawable_timestamp_seconds", r.money.withdrawable_at)
    found.tokens(f"{_P}_spent_tokens", r.pace.spent)
    if r.pace.seconds_left is not None:
        found.put(f"{_P}_left_seconds", r.pace.seconds_left)
    if r.pace.user_epoch is not None:
        found.tokens(f"{_P}_user_epoch_tokens", r.pace.user_epoch)


def _relays(r: CampaignReport, found: Sheet) -> None:
    for relay in r.top:
        found.tokens(f"{_P}_relay_tokens", relay.value, relay.relay)
        found.put(f"{_P}_relay_shares", relay.times / 10, relay.relay)
    found.put(f"{_P}_suspect_relays", len(r.suspects))


def _service(r: CampaignReport, found: Sheet) -> None:
    found.put(f"{_P}_paused", r.paused)
    until = r.keys.until_epoch
    found.put(f"{_P}_keys_ahead_epochs", 0 if until is None else until - r.epoch)
    found.tokens(f"{_P}_signer_ether", r.keys.signer_wei)
    if r.keys.registrations is not None:
        found.put(f"{_P}_registrations_left", r.keys.registrations)
    found.put(f"{_P}_epoch", r.epoch)
    found.put(f"{_P}_chain_timestamp_seconds", r.time)
    found.put(f"{_P}_info", 1, r.campaign)
