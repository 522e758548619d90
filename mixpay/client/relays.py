"""Connections to relays' client ports: HTTPS and WebSockets, each pinned to the relay's registered link
key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from mixpay import tls
from mixpay.client.errors import RelayRefused, RelayUnavailable
from mixpay.crypto.rsa_permutation import ProvenKey
from mixpay.descriptors import Equivocation
from mixpay.endpoint import EndpointError, parse_endpoint
from mixpay.errors import PeerError
from mixpay.http import HTTP_ERRORS, describe, read_at_most
from mixpay.mailbox import sign_challenge
from mixpay.passes import Tick
from mixpay.snapshot import RelayRecord
from mixpay.types import Epoch
from mixpay.wire import client as wire

ANSWER_SECONDS = 15.0
"""How long a relay may take to answer a question, packets aside."""

_CONNECT_SECONDS = 5.0
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=_CONNECT_SECONDS, sock_read=ANSWER_SECONDS)
_SHORT_TIMEOUT = aiohttp.ClientTimeout(total=_CONNECT_SECONDS)
_HEARTBEAT = 20.0


def session() -> aiohttp.ClientSession:
    """The HTTP client of one command: no cookies, no proxies from the environment, nothing that names us."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"User-Agent": "mixpay"},
        auto_decompress=False,
    )


async def fetch_directory(http: aiohttp.ClientSession, relay: RelayRecord, epoch: Epoch, limit: int) -> bytes:
    """A relay's directory document of an epoch, unchecked, at most `limit` bytes.

    Raises RelayRefused `not_ready` if it has none of this epoch, RelayUnavailable.
    """
    url = _url(relay, "/v1/directory").with_query(epoch=str(epoch))
    try:
        async with http.get(
            url, ssl=tls.PinnedKey(relay.link_key), timeout=_TIMEOUT, allow_redirects=False
        ) as response:
            if response.status == 404:
                raise RelayRefused("not_ready")
            if response.status != 200:
                raise RelayUnavailable(f"relay {relay.id} has no directory: HTTP status {response.status}")
            return await read_at_most(response, limit)
    except HTTP_ERRORS as error:
        raise _unavailable(relay, error) from None


async def hand_over(http: aiohttp.ClientSession, relay: RelayRecord, proof: Equivocation) -> None:
    """Give a relay the proof that another signed two keys. Whether it takes it does not matter to us."""
    with suppress(RelayUnavailable, *HTTP_ERRORS):
        async with http.post(
            _url(relay, "/v1/equivocation"),
            data=proof.encode(),
            ssl=tls.PinnedKey(relay.link_key),
            timeout=_SHORT_TIMEOUT,
            allow_redirects=False,
        ):
            pass


class RelaySocket:
    """A WebSocket to a relay that speaks `mixpay.wire.client`."""

    def __init__(self, relay: RelayRecord, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.relay, self._socket = relay, socket

    @classmethod
    async def open(cls, http: aiohttp.ClientSession, relay: RelayRecord, path: str) -> Self:
        """Connect. Raises RelayUnavailable."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                socket = await http.ws_connect(
                    _url(relay, path),
                    ssl=tls.PinnedKey(relay.link_key),
                    timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
                    max_msg_size=wire.MAX_MESSAGE_BYTES + 1,  # aiohttp refuses what reaches it
                    heartbeat=_HEARTBEAT,
                )
        except HTTP_ERRORS as error:
            raise _unavailable(relay, error) from None
        return cls(relay, socket)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._socket.close()

    async def say(self, frame: wire.ClientFrame) -> None:
        """Send one frame. Raises RelayUnavailable."""
        try:
            await self._socket.send_bytes(wire.encode(frame))
        except HTTP_ERRORS as error:
            raise _unavailable(self.relay, error) from None

    async def hear(self) -> wire.ClientFrame:
        """The next frame, however long it takes. Raises RelayUnavailable."""
        message = await self._socket.receive()
        if message.type is not aiohttp.WSMsgType.BINARY:
            raise RelayUnavailable(f"relay {self.relay.id} closed the connection")
        try:
            return wire.decode(message.data)
        except PeerError as error:
            raise RelayUnavailable(f"relay {self.relay.id} does not speak our protocol: {error}") from None

    async def ask(self, frame: wire.ClientFrame) -> wire.ClientFrame:
        """Send a frame, and the answer to it. Raises RelayUnavailable, RelayRefused."""
        await self.say(frame)
        answer = await self._answer()
        if isinstance(answer, wire.PassRefused | wire.Refused):
            raise RelayRefused(answer.reason)
        return answer

    async def _answer(self) -> wire.ClientFrame:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.hear()
        except TimeoutError:
            raise RelayUnavailable(f"relay {self.relay.id} does not answer") from None

    def unexpected(self, frame: wire.ClientFrame) -> RelayUnavailable:
        """The error for a frame that has no place here."""
        return RelayUnavailable(f"relay {self.relay.id} does not speak our protocol: {type(frame).__name__}")


class MailboxSocket:
    """A direct connection to a mailbox relay, which shows it our network address."""

    def __init__(self, socket: RelaySocket, nonce: bytes) -> None:
        self._socket, self._nonce = socket, nonce

    @classmethod
    @asynccontextmanager
    async def open(cls, http: aiohttp.ClientSession, relay: RelayRecord) -> AsyncIterator[Self]:
        """Connect and take the challenge. Raises RelayUnavailable."""
        async with await RelaySocket.open(http, relay, "/v1/mailbox") as socket:
            frame = await socket._answer()
            if not isinstance(frame, wire.Challenge):
                raise socket.unexpected(frame)
            yield cls(socket, frame.nonce)

    async def create(self, key: ProvenKey, shown: bytes, fetch_key: bytes, tick: Tick) -> wire.MailboxTerms:
        """Make a mailbox, or find it made; `tick` pays for storage. Raises RelayRefused, RelayUnavailable."""
        made = wire.MailboxCreate(key.modulus, key.proof, shown, fetch_key, wire.shown_tick(tick))
        answer = await self._socket.ask(made)
        if not isinstance(answer, wire.MailboxTerms):
            raise self._socket.unexpected(answer)
        return answer

    async def fetch(self, mailbox_id: bytes, after: int, fetch_seed: bytes) -> wire.MailboxMessages:
        """The messages behind sequence `after`. Raises RelayRefused, RelayUnavailable."""
        signature = sign_challenge(fetch_seed, self._socket.relay.id, self._nonce, mailbox_id)
        answer = await self._socket.ask(wire.MailboxFetch(mailbox_id, after, signature))
        if not isinstance(answer, wire.MailboxMessages):
            raise self._socket.unexpected(answer)
        return answer

    async def delete(self, upto: int, tick: Tick | None) -> None:
        """Drop the fetched messages up to sequence `upto`, paid by `tick` where that is not free.

        Raises RelayRefused, RelayUnavailable.
        """
        paid = () if tick is None else (wire.shown_tick(tick),)
        answer = await self._socket.ask(wire.MailboxDelete(upto, paid))
        if not isinstance(answer, wire.Done):
            raise self._socket.unexpected(answer)


def _url(relay: RelayRecord, path: str) -> URL:
    try:
        endpoint = parse_endpoint(relay.endpoint)
    except EndpointError as error:
        raise RelayUnavailable(f"relay {relay.id} has registered no usable endpoint: {error}") from None
    return URL.build(scheme="https", host=endpoint.host, port=endpoint.client_port, path=path)


def _unavailable(relay: RelayRecord, error: BaseException) -> RelayUnavailable:
    return RelayUnavailable(f"relay {relay.id} at {relay.endpoint!r} does not answer: {describe(error)}")
