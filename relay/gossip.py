"""Fetches other relays' descriptors, each from the relay that signed it, over its pinned HTTPS port.

Asked again and again until all of an epoch are known; a relay that does not answer is left alone for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import aiohttp

from mixpay import tls
from mixpay.endpoint import EndpointError, parse_endpoint
from mixpay.http import read_at_most
from mixpay.snapshot import DirectoryError, RelayRecord
from mixpay.types import Epoch, RelayId
from relay.state import MAX_DESCRIPTOR, State, decode_descriptor

log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=10.0, sock_connect=3.0)
_AT_ONCE = 32
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0


class Gossip:
    """The fetching edge of a relay. `clock` gives seconds of any steady clock."""

    def __init__(self, state: State, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock
        self._pauses: dict[tuple[RelayId, Epoch], tuple[float, float]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def run_once(self) -> int:
        """Ask for what is missing and due. Returns how many descriptors are new."""
        living = self._state.living_epochs()
        self._pauses = {key: value for key, value in self._pauses.items() if key[1] in living}
        wanted = [
            (record, epoch)
            for epoch in living
            for relay in self._state.missing(epoch)
            if relay != self._state.me and self._is_due(relay, epoch)
            if (record := self._state.view.snapshot(epoch).by_id(relay)) is not None
        ]
        if not wanted:
            return 0
        async with aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as http:
            return sum(await asyncio.gather(*(self._ask(http, record, epoch) for record, epoch in wanted)))

    def _is_due(self, relay: RelayId, epoch: Epoch) -> bool:
        return self._clock() >= self._pauses.get((relay, epoch), (0.0, 0.0))[0]

    async def _ask(self, http: aiohttp.ClientSession, record: RelayRecord, epoch: Epoch) -> bool:
        try:
            async with self._slots:
                descriptor = decode_descriptor(await _fetch(http, record, epoch))
            if (descriptor.relay, descriptor.epoch) != (record.id, epoch):
                raise DirectoryError("bad_descriptor", "this is not the one that was asked for")
            found = self._state.learn(descriptor)
        except (aiohttp.ClientError, TimeoutError, OSError, EndpointError, DirectoryError) as error:
            log.debug("no descriptor of relay %d for epoch %d: %s", record.id, epoch, error)
            _, pause = self._pauses.get((record.id, epoch), (0.0, _FIRST_PAUSE / 2))
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._pauses[record.id, epoch] = (self._clock() + pause, pause)
            return False
        return found


async def _fetch(http: aiohttp.ClientSession, record: RelayRecord, epoch: Epoch) -> bytes:
    endpoint = parse_endpoint(record.endpoint)
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    url = f"https://{host}:{endpoint.client_port}/v1/descriptor?epoch={epoch}"
    async with http.get(url, ssl=tls.PinnedKey(record.link_key), allow_redirects=False) as answer:
        if answer.status != 200:
            raise DirectoryError("wrong_epoch", f"relay {record.id} answers with status {answer.status}")
        return await read_at_most(answer, MAX_DESCRIPTOR)
