"""Other relays' descriptors: each from the relay that signed it, and compared with what others were given.

    ask            every relay for its own descriptor, again and again until all of an epoch are known
    compare        the directory of another relay, chosen at random, with our own: what we lack is learned,
                   and a relay that gave it another key than us is found out (`relay/keys/directories.py`)
    ask about me   others for a descriptor of ours, before we sign one (`relay/keys/key_desk.py`)

All over the relays' pinned HTTPS ports. A relay that does not answer is left alone for a while. Whoever
splits clients must give relays two keys as well, or nobody serves the second one. An honest relay that was
given the rarer key finds the other one in almost any directory. So the liar needs friends to serve it, and
what these show to clients only, clients find out (`mixpay/client/directories.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from mixpay import tls
from mixpay.crypto import uniform
from mixpay.directory import document_limit, read_descriptors
from mixpay.endpoint import EndpointError, parse_endpoint
from mixpay.http import HTTP_ERRORS, read_at_most
from mixpay.snapshot import DirectoryError, RelayRecord
from mixpay.types import Epoch, Random, RelayId
from relay.keys.directories import MAX_DESCRIPTOR, decode_descriptor
from relay.state import State

log = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=10.0, sock_connect=3.0)
_LONG_TIMEOUT = aiohttp.ClientTimeout(total=60.0, sock_connect=3.0)
_SHORT_TIMEOUT = aiohttp.ClientTimeout(total=3.0)
_AT_ONCE = 32
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_FIRST_COMPARISON = 2.0
"""Seconds after an epoch is fixed; then twice as long, and so on."""
_RAREST_COMPARISON = 3_600.0
_SLICE = 64
"""Descriptors of a directory between two looks at other work."""
_ERRORS = (*HTTP_ERRORS, EndpointError, DirectoryError)


class _NotThere(DirectoryError):
    """The relay answers that it has no such document."""


@dataclass(frozen=True, slots=True)
class Heard:
    """How many relays were asked about us, and how many said what they know."""

    asked: int
    answered: int


class Gossip:
    """The fetching edge of a relay. `clock` gives seconds of any steady clock."""

    def __init__(self, state: State, clock: Callable[[], float], random: Random) -> None:
        self._state = state
        self._clock = clock
        self._random = random
        self._pauses: dict[tuple[RelayId, Epoch], tuple[float, float]] = {}
        self._comparisons: dict[Epoch, tuple[float, float]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def run_once(self) -> int:
        """Ask for what is missing, and compare, where it is due. Returns how many descriptors are new."""
        living = self._state.living_epochs()
        self._pauses = {key: value for key, value in self._pauses.items() if key[1] in living}
        wanted = [
            (record, epoch)
            for epoch in living
            for relay in self._state.directories.missing(epoch)
            if relay != self._state.me and self._is_due(relay, epoch)
            if (record := self._state.view.snapshot(epoch).by_id(relay)) is not None
        ]
        compared = self._comparisons_due(living)
        if not wanted and not compared:
            return 0
        async with _session() as http:
            asked = [self._ask(http, record, epoch) for record, epoch in wanted]
            return sum(await asyncio.gather(*asked, *(self._compare(http, epoch) for epoch in compared)))

    # ------------------------------------------------------------------ asking

    def _is_due(self, relay: RelayId, epoch: Epoch) -> bool:
        return self._clock() >= self._pauses.get((relay, epoch), (0.0, 0.0))[0]

    async def _ask(self, http: aiohttp.ClientSession, record: RelayRecord, epoch: Epoch) -> int:
        try:
            async with self._slots:
                found = await self._fetch_descriptor(http, record, epoch, record.id, _TIMEOUT)
        except _ERRORS as error:
            log.debug("no descriptor of relay %d for epoch %d: %s", record.id, epoch, error)
            _, pause = self._pauses.get((record.id, epoch), (0.0, _FIRST_PAUSE / 2))
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._pauses[record.id, epoch] = (self._clock() + pause, pause)
            return 0
        return found

    async def _fetch_descriptor(
        self,
        http: aiohttp.ClientSession,
        at: RelayRecord,
        epoch: Epoch,
        of: RelayId,
        timeout: aiohttp.ClientTimeout,
    ) -> bool:
        """Learn one relay's descriptor from a relay; whether it is new. Raises one of `_ERRORS`."""
        path = f"/v1/descriptor?epoch={epoch}&relay={of}"
        descriptor = decode_descriptor(await _fetch(http, at, path, MAX_DESCRIPTOR, timeout))
        if (descriptor.relay, descriptor.epoch) != (of, epoch):
            raise DirectoryError("bad_descriptor", "this is not the one that was asked for")
        return self._state.directories.learn(descriptor)

    # ------------------------------------------------------------------ comparing

    def _comparisons_due(self, living: list[Epoch]) -> list[Epoch]:
        now = self._clock()
        first = now + _FIRST_COMPARISON, _FIRST_COMPARISON
        self._comparisons = {epoch: self._comparisons.get(epoch, first) for epoch in living}
        return [epoch for epoch, (due, _) in self._comparisons.items() if now >= due]

    async def _compare(self, http: aiohttp.ClientSession, epoch: Epoch) -> int:
        """Compare one epoch's directory with that of some other relay. Returns how many are new to us."""
        _, pause = self._comparisons[epoch]
        self._comparisons[epoch] = self._clock() + pause, pause
        for record in self._some(epoch, 1):
            try:
                new = await self._read_directory(http, record, epoch)
            except _ERRORS as error:
                log.debug("relay %d's directory of epoch %d is no use: %s", record.id, epoch, error)
                return 0
            pause = min(2 * pause, _RAREST_COMPARISON)
            self._comparisons[epoch] = self._clock() + pause, pause
            return new
        return 0

    async def _read_directory(self, http: aiohttp.ClientSession, at: RelayRecord, epoch: Epoch) -> int:
        count, new = self._state.view.snapshot(epoch).count, 0
        path = f"/v1/directory?epoch={epoch}"
        document = await _fetch(http, at, path, document_limit(count), _LONG_TIMEOUT)
        for number, said in enumerate(await asyncio.to_thread(read_descriptors, document, epoch, count)):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            try:
                new += self._state.directories.learn(said)
            except DirectoryError as error:
                if error.reason != "equivocation":
                    raise
        return new

    # ------------------------------------------------------------------ ourselves

    async def ask_about_me(self, epoch: Epoch, most: int) -> Heard:
        """Ask at most so many relays for a descriptor of ours, and learn what they have."""
        asked = self._some(epoch, most)
        if not asked:
            return Heard(0, 0)
        async with _session() as http:
            answers = await asyncio.gather(*(self._knows_me(http, record, epoch) for record in asked))
        return Heard(len(asked), sum(answers))

    async def _knows_me(self, http: aiohttp.ClientSession, at: RelayRecord, epoch: Epoch) -> bool:
        """Whether a relay answers, be it that it knows none."""
        try:
            async with self._slots:
                await self._fetch_descriptor(http, at, epoch, self._state.me, _SHORT_TIMEOUT)
        except _NotThere:
            return True
        except _ERRORS as error:
            log.debug("relay %d says nothing about us: %s", at.id, error)
            return False
        return True

    def _some(self, epoch: Epoch, number: int) -> list[RelayRecord]:
        """So many other relays of an epoch, drawn at random, or all there are."""
        relays = self._state.view.snapshot(epoch).relays
        others = [record for record in relays if record.id != self._state.me]
        return [others.pop(uniform.below(len(others), self._random)) for _ in range(min(number, len(others)))]


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)


async def _fetch(
    http: aiohttp.ClientSession, record: RelayRecord, path: str, limit: int, timeout: aiohttp.ClientTimeout
) -> bytes:
    """A document of a relay. Raises _NotThere, another DirectoryError, EndpointError, or of HTTP_ERRORS."""
    endpoint = parse_endpoint(record.endpoint)
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    url = f"https://{host}:{endpoint.client_port}{path}"
    pinned = tls.PinnedKey(record.link_key)
    async with http.get(url, ssl=pinned, timeout=timeout, allow_redirects=False) as answer:
        if answer.status == 404:
            raise _NotThere("wrong_epoch", f"relay {record.id} has no such document")
        if answer.status != 200:
            raise DirectoryError("wrong_epoch", f"relay {record.id} answers with status {answer.status}")
        return await read_at_most(answer, limit)
