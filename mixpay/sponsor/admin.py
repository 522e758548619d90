"""The service's HTTP interface for its sponsor, on loopback: see `mixpay/local_api.py` for who may ask.

    GET  /status[?release=N]    → the report of its campaign (`report_text.plain`), some seconds old at most
    GET  /refusals              → {"reason": number, ...} since the start of the service
    GET  /metrics[?release=N]   → Prometheus text
    any error  4xx, 5xx         → ErrorAnswer

Without a release, they are of the one in force. Nothing is changed here: `mixpay sponsor pause` writes to the
database, which all services on it read.
"""

from __future__ import annotations

import http.client
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from aiohttp import web

from mixpay.errors import ChainUnavailable
from mixpay.keystore import check_private
from mixpay.local_api import (
    API_FILE,
    HOST,
    METRICS_PATH,
    ApiFile,
    LocalServer,
    answer,
    asked_release,
    metrics_answer,
)
from mixpay.sponsor import metrics
from mixpay.sponsor.report_records import CampaignReport
from mixpay.sponsor.report_text import plain
from mixpay.typed import typed

STATUS_PATH, REFUSALS_PATH = "/status", "/refusals"
_SECONDS = 5.0

Reports = Callable[[int | None], CampaignReport | None]
"""The newest report of the campaign in a release (None: of that in force), None before there is one.

Raises UserError if this sponsor has no campaign there.
"""
_log = logging.getLogger(__name__)


class AdminServer(LocalServer):
    """Serves a service's figures. `reports`: see `Reports`; `refusals`: how many so far, by reason."""

    def __init__(self, home: Path, reports: Reports, refusals: Callable[[], Mapping[str, int]]) -> None:
        self._reports, self._refusals = reports, refusals
        routes = [
            web.get(STATUS_PATH, self._status),
            web.get(REFUSALS_PATH, self._refused),
            web.get(METRICS_PATH, self._metrics),
        ]
        super().__init__(home, routes, program="service", log=_log)

    async def _status(self, request: web.Request) -> web.Response:
        report = self._reports(asked_release(request))
        if report is None:
            raise ChainUnavailable("the service has not read all of the chain yet; ask again in a moment")
        return answer(200, {**plain(report), "refusals": dict(self._refusals())})

    async def _refused(self, _: web.Request) -> web.Response:
        return answer(200, dict(self._refusals()))

    async def _metrics(self, request: web.Request) -> web.Response:
        return metrics_answer(metrics.render(self._reports(asked_release(request)), self._refusals()))


def refusals_of(home: Path) -> dict[str, int] | None:
    """What the service that runs in this folder has refused, by reason; None if none answers there. Blocks.

    Raises UserError if others could read its token.
    """
    path = home / API_FILE
    connection = None
    try:
        check_private(path, 0o600)
        file = msgspec.json.decode(path.read_bytes(), type=typed(ApiFile))
        connection = http.client.HTTPConnection(HOST, file.port, timeout=_SECONDS)
        connection.request("GET", REFUSALS_PATH, headers={"Authorization": f"Bearer {file.token}"})
        response = connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            return None
        return msgspec.json.decode(body, type=dict[str, int])
    except (OSError, http.client.HTTPException, msgspec.MsgspecError):
        # A file that a killed service left behind, or another program at its port by now; or the service has
        # just ended, and its file with it.
        return None
    finally:
        if connection is not None:
            connection.close()
