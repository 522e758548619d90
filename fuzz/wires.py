"""Transports and an event loop in memory: what a stranger sends arrives without sockets.

The loop is asyncio's own. Timers that would wait are never due here; nothing sleeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, TypeVar

from fuzz.target import Broken

_T = TypeVar("_T")
_TURNS = 60
"""Turns of the loop that a task may take to come to rest; those that fetch or answer take fewer than ten."""


class Wire(asyncio.Transport):
    """A connection whose other end is the target: keeps what is written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def writelines(self, data: Any) -> None:
        self.written += b"".join(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50_000) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def is_reading(self) -> bool:
        return not self.closed

    def can_write_eof(self) -> bool:
        return False


@cache
def loop() -> asyncio.AbstractEventLoop:
    """One event loop for all inputs. An error that nobody handles is a crash."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    made.set_exception_handler(_unhandled)
    return made


_errors: list[dict[str, Any]] = []


def _unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _errors.append(context)


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run it to its end. Raises what it raises, and Broken if it left a task, or an error, behind."""
    result = loop().run_until_complete(_run(work))
    if _errors:
        found = _errors.pop()
        _errors.clear()
        raise Broken(str(found.get("message"))) from found.get("exception")
    return result


async def _run(work: Coroutine[Any, Any, _T]) -> _T:
    result = await work
    if not await until(lambda: len(asyncio.all_tasks()) == 1):
        raise Broken(f"tasks are left: {asyncio.all_tasks()}")
    return result


async def until(holds: Callable[[], bool]) -> bool:
    """Let what is ready happen until something holds; whether it came to that."""
    for _ in range(_TURNS):
        if holds():
            return True
        await asyncio.sleep(0)
    return holds()


async def settle(turns: int = 6) -> None:
    """Let what is ready happen."""
    for _ in range(turns):
        await asyncio.sleep(0)
