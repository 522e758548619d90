"""What all that ask over HTTP share."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import aiohttp
import msgspec

from mixpay.typed import typed

HTTP_ERRORS = (aiohttp.ClientError, OSError, asyncio.TimeoutError)
"""What a request raises when the other side does not answer as it should."""


_Body = TypeVar("_Body")


class NotJson(ValueError):
    """A body is not what it should be; says what is wrong with it."""


def read_json(body: bytes, kind: type[_Body]) -> _Body:
    """Read a stranger's JSON. Raises NotJson."""
    try:
        return msgspec.json.decode(body, type=typed(kind))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:  # the latter for text that is not UTF-8
        raise NotJson(str(error)) from None


class TooLong(aiohttp.ClientError):
    """The answer has more bytes than anybody honest sends."""


async def read_at_most(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body of an answer. Raises TooLong beyond `limit` bytes."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > limit:
            raise TooLong(f"more than {limit} bytes")
    return bytes(body)


def describe(error: BaseException) -> str:
    """A failed request in few words, for people."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        return "it is not the registered relay (wrong link key)"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "cannot connect"
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"HTTP status {error.status}"
    return str(error) or type(error).__name__
