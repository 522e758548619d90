"""The command line's side of the operator's HTTP interface (`relay/operator/api.py`)."""

from __future__ import annotations

import http.client
import time
from pathlib import Path
from typing import TypeVar

import msgspec

from mixpay.errors import MixpayError, UserError
from mixpay.keystore import check_private
from mixpay.local_api import API_FILE, HOST, ApiFile, ErrorAnswer
from mixpay.typed import typed
from relay.operator.answers import DrainAnswer, SettleAnswer, StatusAnswer

_SILENCE = 15.0
"""Seconds that an answer may take longer than it was asked to wait."""
_WAIT = 30.0

Kind = TypeVar("Kind", bound=msgspec.Struct)


class DaemonTrouble(MixpayError):
    """The daemon answers with an error, or not in time."""


class ApiClient:
    """Talks to the daemon that uses this folder. Raises UserError when none runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / API_FILE
        try:
            check_private(path, 0o600)
            self._file = msgspec.json.decode(path.read_bytes(), type=typed(ApiFile))
        except FileNotFoundError:
            raise self._not_running() from None
        except (OSError, msgspec.MsgspecError) as error:
            raise UserError(f"cannot read {path}: {error}") from None

    def status(self, release: int | None = None) -> StatusAnswer:
        """Of a release, None standing for the one in force. Raises UserError, DaemonTrouble."""
        query = "" if release is None else f"?release={release}"
        return _read(self.ask("GET", f"/status{query}")[1], StatusAnswer)

    def settle(self, limit: float) -> SettleAnswer:
        """Settle, and wait for it up to `limit` seconds. Raises UserError, DaemonTrouble."""
        deadline = time.monotonic() + limit
        while True:
            wait = max(0.0, min(_WAIT, deadline - time.monotonic()))
            status, body = self.ask("POST", f"/settle?wait={wait:.1f}", wait)
            if status == http.client.OK:
                return _read(body, SettleAnswer)
            if time.monotonic() >= deadline:
                raise DaemonTrouble(f"the settlement takes longer than {limit:g} s; it goes on in the daemon")

    def drain(self, limit: float) -> DrainAnswer:
        """Take no new packets, and wait up to `limit` seconds for those that are in the relay.

        Raises UserError, DaemonTrouble.
        """
        deadline = time.monotonic() + limit
        while True:
            wait = max(0.0, min(_WAIT, deadline - time.monotonic()))
            answer = _read(self.ask("POST", f"/drain?wait={wait:.1f}", wait)[1], DrainAnswer)
            if answer.complete or time.monotonic() >= deadline:
                return answer

    def resume(self) -> DrainAnswer:
        """Take packets again. Raises UserError, DaemonTrouble."""
        return _read(self.ask("POST", "/resume")[1], DrainAnswer)

    def ask(self, method: str, path: str, wait: float = 0.0) -> tuple[int, bytes]:
        """One request. Raises UserError, DaemonTrouble for any status but 200 and 202."""
        connection = http.client.HTTPConnection(HOST, self._file.port, timeout=wait + _SILENCE)
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {self._file.token}"})
            response = connection.getresponse()
            status, body = response.status, response.read()
        except ConnectionRefusedError:
            raise self._not_running() from None
        except TimeoutError:
            raise DaemonTrouble("the daemon does not answer in time; its log may say why") from None
        except (OSError, http.client.HTTPException) as error:
            raise DaemonTrouble(f"the daemon does not answer: {error}") from None
        finally:
            connection.close()
        if status in (http.client.OK, http.client.ACCEPTED):
            return status, body
        if status == http.client.UNAUTHORIZED:
            raise UserError(f"port {self._file.port} belongs to another program: restart the daemon")
        raise DaemonTrouble(_read(body, ErrorAnswer).detail)

    def _not_running(self) -> UserError:
        return UserError(f"no daemon runs in {self._folder}: start it with `mixpay-relay run`")


def _read(body: bytes, kind: type[Kind]) -> Kind:
    try:
        return msgspec.json.decode(body, type=typed(kind))
    except msgspec.MsgspecError as error:
        raise DaemonTrouble(f"the daemon's answer is not understood: {error}") from None
