"""Makes a campaign's report from the chain and the issuer's database. Blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mixpay.chain.rpc import Rpc
from mixpay.deployment import Deployment
from mixpay.sponsor.campaign_reader import CampaignReader
from mixpay.sponsor.config import SponsorConfig
from mixpay.sponsor.facts import Books, PolicyRule
from mixpay.sponsor.policies import read_settings
from mixpay.sponsor.report import report
from mixpay.sponsor.report_records import CampaignReport
from mixpay.sponsor.store import Store


class Accountant:
    """Of one campaign. `store`: its database, None if there is none yet; `release` is told in reports."""

    def __init__(
        self,
        rpc: Rpc,
        deployment: Deployment,
        campaign: int,
        store: Store | None,
        rules: Sequence[PolicyRule],
        release: int | None = None,
    ) -> None:
        self._reader = CampaignReader(rpc, deployment, campaign)
        self._store, self._rules, self._release = store, rules, release
        self.newest: CampaignReport | None = None
        """The report that was made last."""

    def account(self, refusals: Mapping[str, int] | None) -> CampaignReport:
        """A new report. `refusals`: by the service that runs; None: none does.

        Raises ChainError, and UserError if there is no such campaign.
        """
        chain = self._reader.read()
        books = Books() if self._store is None else books_of(self._store)
        made = report(self._reader.schedule, chain, books, self._rules, refusals, self._release)
        self.newest = made
        return made


def books_of(store: Store) -> Books:
    """What a database says."""
    return Books(
        issued=tuple(store.issued()),
        credited=tuple(store.credited()),
        owed={voucher.relay: voucher.cumulative for voucher in store.vouchers()},
        paused=store.is_paused,
    )


def rules_of(config: SponsorConfig) -> list[PolicyRule]:
    """The policies of a sponsor's settings."""
    read = read_settings(config.policy)
    return [PolicyRule(one.name, one.kind, one.quotas.entry, one.quotas.mailbox) for one in read]
