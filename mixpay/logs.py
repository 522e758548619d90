"""What programs that serve write on stderr: one line for each thing that happened, in one of three forms.

    text     2026-11-30 12:00:00 WARNING chain: no answer
    logfmt   time=2026-11-30T12:00:00Z level=warning logger=relay.chainside msg="chain: no answer"
    json     {"time":"2026-11-30T12:00:00Z","level":"warning","logger":"relay.chainside","msg":"chain: ..."}

Times are UTC. Levels: INFO is what an operator wants to have read a week later, WARNING what may need him,
ERROR what cost something, DEBUG everything else; what strangers can cause at will is DEBUG, and counted in
the metrics. What peers cause, and warnings, are left out after some times a minute, and it is said how often:
nobody must fill the disk. What was done with money is never left out. What peers say is escaped, so that
nobody writes lines of his own into a log.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TextIO

import msgspec

FORMATS = ("text", "logfmt", "json")
_BURST, _WINDOW = 10, 60.0
_MOST_KINDS = 1_000
_CHATTY = ("aiohttp", "urllib3", "web3", "asyncio")
"""Request lines and RPC addresses belong in nobody's log."""


def printable(text: str) -> str:
    """A line of text without control characters: what strangers say must command no terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class _Line(logging.Formatter):
    """Times in UTC; one record, one line, but for a traceback."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """In UTC."""
        return time.strftime(datefmt or "%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

    def message(self, record: logging.LogRecord) -> str:
        """The text without control characters."""
        return printable(record.getMessage() + getattr(record, "left_out", ""))

    def trace(self, record: logging.LogRecord) -> str | None:
        """The traceback, if there is one."""
        return self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else None


class _Text(_Line):
    def format(self, record: logging.LogRecord) -> str:
        moment = self.formatTime(record, "%Y-%m-%d %H:%M:%S")
        line = f"{moment} {record.levelname} {self.message(record)}"
        trace = self.trace(record)
        return line if trace is None else f"{line}\n{trace}"


class _Fields(_Line):
    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        """What a program reads."""
        fields = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": self.message(record),
        }
        trace = self.trace(record)
        return fields if trace is None else fields | {"trace": trace}


class _Logfmt(_Fields):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{name}={_quoted(value)}" for name, value in self.fields(record).items())


class _Json(_Fields):
    def format(self, record: logging.LogRecord) -> str:
        return msgspec.json.encode(self.fields(record)).decode()


def _quoted(value: str) -> str:
    plain = value.isascii() and value.isprintable() and not set(value) & set(' "=\\')
    return value if plain and value else msgspec.json.encode(value).decode()


class Repeats(logging.Filter):
    """Lets `burst` records of a kind pass in each window: of warnings, errors, and what peers cause."""

    def __init__(
        self,
        burst: int = _BURST,
        window: float = _WINDOW,
        clock: Callable[[], float] = time.monotonic,
        limited: tuple[str, ...] = (),
    ) -> None:
        """`limited`: loggers of what peers and clients cause."""
        super().__init__()
        self._limited = limited
        self._burst, self._window, self._clock = burst, window, clock
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written; if some before it were not, it says so."""
        limited = record.levelno >= logging.WARNING or record.name.startswith(self._limited)
        if record.levelno >= logging.CRITICAL or not limited:
            return True
        kind, now = (record.name, record.levelno, str(record.msg)), self._clock()
        began, count = self._seen.get(kind, (now, 0))
        if now - began >= self._window:
            if count > self._burst:
                record.left_out = f" [{count - self._burst} like this were left out]"
            began, count = now, 0
        if kind not in self._seen and len(self._seen) >= _MOST_KINDS:
            self._seen.clear()
        self._seen[kind] = began, count + 1
        return count < self._burst


_FORMATTERS: dict[str, type[_Line]] = {"text": _Text, "logfmt": _Logfmt, "json": _Json}


def begin(stream: TextIO, form: str, *, verbose: bool, limited: tuple[str, ...] = ()) -> None:
    """Write everything that is logged to `stream`, in one of FORMATS; `verbose`: from DEBUG on; `limited`:
    see `Repeats`.

    A program that has its own handlers keeps them alone.
    """
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(_FORMATTERS[form]())
        handler.addFilter(Repeats(limited=limited))
        root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
