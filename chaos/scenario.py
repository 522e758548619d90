"""A fault scenario: real daemons, a fault, and the property that must hold all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from mixpay.errors import MixpayError


class NotHeld(MixpayError):
    """The property did not hold; the text says what was seen instead."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`run` gets an empty folder of its own; it returns when the property held, else raises NotHeld."""

    name: str
    run: Callable[[Path], None]


def require(holds: object, reason: str) -> None:
    """Raise NotHeld with the reason unless something holds."""
    if not holds:
        raise NotHeld(reason)


def scenario(name: str, story: Callable[[Path], Awaitable[None]]) -> Scenario:
    """A scenario told as a coroutine. What was waited for in vain did not hold."""

    def run(folder: Path) -> None:
        async def tell() -> None:
            await story(folder)

        try:
            asyncio.run(tell())
        except TimeoutError as error:
            raise NotHeld(str(error)) from error

    return Scenario(name, run)
