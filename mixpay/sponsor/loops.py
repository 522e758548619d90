"""The loops of a running service: how work is repeated, and what trouble of one does to the others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import TypeVar

from mixpay.errors import ChainError, MixpayError, UserError
from mixpay.sponsor.rules import IssuerError
from mixpay.sponsor.store import StoreUnavailable

TROUBLE = (ChainError, IssuerError, StoreUnavailable, UserError)
"""What passes, or is put right by somebody, while the service runs."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


async def together(*works: Coroutine[None, None, None]) -> None:
    """Do all of these at once. Raises what the first that fails raises; the others are ended before that, for
    they must not go on with what is closed next.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def each(things: Iterable[_T], work: Callable[[_T], Awaitable[None]]) -> None:
    """Do it for all of them, though one be in trouble: an old campaign's is none of the new one's.

    Raises what the first of those in trouble raised.
    """
    trouble: MixpayError | None = None
    for thing in things:
        try:
            await work(thing)
        except TROUBLE as error:
            trouble = trouble or error
    if trouble is not None:
        raise trouble


async def repeat(work: Callable[[], Awaitable[None]], pause: float, stop: asyncio.Event) -> None:
    """Do it again and again until `stop`. Trouble is logged when it begins and when it is over."""
    trouble = ""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
            return
        try:
            await work()
        except TROUBLE as error:
            if str(error) != trouble:
                _log.warning("%s", error)
            trouble = str(error)
            continue
        if trouble:
            _log.info("this is over: %s", trouble)
        trouble = ""
