"""The service's door for its sponsor: who may ask, what is answered; and the figures for Prometheus."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from campaign_samples import SCHEDULE, books, chain, terms
from mixpay.errors import UserError
from mixpay.local_api import ApiFile, ErrorAnswer
from mixpay.parameters import DAY, TOKEN
from mixpay.sponsor import metrics
from mixpay.sponsor.admin import AdminServer, refusals_of
from mixpay.sponsor.facts import Books
from mixpay.sponsor.report import report
from mixpay.sponsor.report_records import CampaignReport
from mixpay.sponsor.report_text import plain
from mixpay.types import Amount

MADE = report(SCHEDULE, chain(), books(), (), {})


@dataclass
class Desk:
    """A served sponsor, and a way to ask it."""

    home: Path
    report: CampaignReport | None = MADE
    refused: dict[str, int] = field(default_factory=dict)
    session: aiohttp.ClientSession | None = None

    def reports(self, release: int | None) -> CampaignReport | None:
        if release not in (None, 0):
            raise UserError("this sponsor has no campaign in that release of the network")
        return self.report

    @property
    def file(self) -> ApiFile:
        return msgspec.json.decode((self.home / "api.json").read_bytes(), type=ApiFile)

    async def ask(self, path: str, token: str | None = None, method: str = "GET") -> tuple[int, bytes]:
        assert self.session is not None
        headers = {"Authorization": f"Bearer {self.file.token if token is None else token}"}
        url = f"http://127.0.0.1:{self.file.port}{path}"
        async with self.session.request(method, url, headers=headers) as response:
            return response.status, await response.read()


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    server = AdminServer(tmp_path, desk.reports, lambda: desk.refused)
    await server.start(0)
    async with aiohttp.ClientSession() as session:
        desk.session = session
        yield desk
    await server.stop()
    assert not (tmp_path / "api.json").exists()


def label(answer: tuple[int, bytes]) -> tuple[int, str]:
    return answer[0], msgspec.json.decode(answer[1], type=ErrorAnswer).error


async def test_status_isTheReport_withWhatWasRefusedSince(desk: Desk) -> None:
    desk.refused = {"paused": 3}
    for path in ("/status", "/status?release=0"):
        status, body = await desk.ask(path)
        assert status == 200
        assert msgspec.json.decode(body) == msgspec.json.decode(
            msgspec.json.encode({**plain(MADE), "refusals": {"paused": 3}})
        )
    assert label(await desk.ask("/status?release=1")) == (500, "failed")
    assert label(await desk.ask("/status?release=x")) == (400, "malformed")
    desk.report = None
    assert label(await desk.ask("/status")) == (503, "chain_unavailable")


async def test_strangersLearnNothing_andTheMetricsTokenOpensMetricsOnly(desk: Desk) -> None:
    paths = ("/status", "/refusals", "/metrics")
    for path in paths:
        for token in ("", "x", desk.file.token[:-1]):
            assert label(await desk.ask(path, token)) == (401, "unauthorized")
    token = (desk.home / "metrics.token").read_text()
    assert [(await desk.ask(path, token))[0] for path in paths] == [401, 401, 200]
    for name in ("api.json", "metrics.token"):
        assert stat.S_IMODE((desk.home / name).stat().st_mode) == 0o600
    assert label(await desk.ask("/status", method="POST")) == (405, "malformed")


async def test_refusals_areKnownToTheCommandLine_whileAServiceRuns(desk: Desk, tmp_path: Path) -> None:
    desk.refused = {"quota_exceeded": 2}
    assert await asyncio.to_thread(refusals_of, desk.home) == {"quota_exceeded": 2}
    nobody = tmp_path / "other"
    nobody.mkdir()
    assert refusals_of(nobody) is None
    left = nobody / "api.json"
    left.write_bytes(msgspec.json.encode(ApiFile(port=desk.file.port, token="wrong")))
    left.chmod(0o600)
    assert await asyncio.to_thread(refusals_of, nobody) is None, "the port belongs to another one by now"
    left.write_bytes(b"{")
    assert refusals_of(nobody) is None
    left.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        refusals_of(nobody)


def figures(report: CampaignReport | None, refusals: dict[str, int]) -> dict[tuple[str, ...], float]:
    text = metrics.render(report, refusals).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("mixpay_")
    }


def test_metrics_areTheReports() -> None:
    found = figures(MADE, {"paused": 3})
    for name, value in {
        ("budget_tokens",): 97,
        ("paid_tokens",): 3,
        ("owed_tokens",): 3,
        ("left_tokens",): 94,
        ("share_tokens",): 2.5,
        ("period_cap_tokens",): 10,
        ("withdrawal_tokens",): 0,
        ("spent_tokens",): 3,
        ("left_seconds",): 94 * 7 * DAY // 3,
        ("user_epoch_tokens",): 0.15,
        ("passes_issued", "entry", "this"): 5,
        ("passes_issued", "entry", "last"): 25,
        ("passes_issued", "mailbox", "next"): 0,
        ("identities", "mailbox", "last"): 3,
        ("passes_redeemed", "entry"): 3,
        ("ticks_redeemed", "mailbox"): 40_000,
        ("redeemed_tokens", "entry"): 1,
        ("relay_tokens", "1"): 2,
        ("relay_shares", "1"): 2.6,
        ("suspect_relays",): 0,
        ("refusals_total", "paused"): 3,
        ("paused",): 0,
        ("keys_ahead_epochs",): 3,
        ("signer_ether",): 1,
        ("registrations_left",): 1_000,
        ("epoch",): 40,
        ("chain_timestamp_seconds",): MADE.time,
        ("info", "3"): 1,
    }.items():
        assert found[f"mixpay_sponsor_{name[0]}", *name[1:]] == value, name
    assert ("mixpay_sponsor_withdrawable_timestamp_seconds",) not in found


def test_metrics_ofWhatIsNotKnown_haveNoSample() -> None:
    assert set(figures(None, {"busy": 1})) == {("mixpay_sponsor_refusals_total", "busy")}
    young = figures(report(SCHEDULE, chain(movements=(), prices={}), Books()), {})
    assert ("mixpay_sponsor_left_seconds",) not in young
    assert young["mixpay_sponsor_keys_ahead_epochs",] == 0
    notice = terms(withdrawal=Amount(TOKEN), withdrawable_at=86_400)
    under_notice = figures(report(SCHEDULE, chain(terms=notice), books(paused=True)), {})
    assert under_notice["mixpay_sponsor_withdrawable_timestamp_seconds",] == 86_400
    assert under_notice["mixpay_sponsor_paused",] == 1


def test_everyFigure_hasASampleSomewhere() -> None:
    notice = terms(withdrawal=Amount(TOKEN), withdrawable_at=86_400)
    found = figures(report(SCHEDULE, chain(terms=notice), books()), {"busy": 1})
    assert {name for name, *_ in found} == set(metrics.TABLE)
