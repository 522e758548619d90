"""What msgspec notes about a type, made by one thread at a time.

It makes these notes at the first use of a type, and keeps them on the type while they are still incomplete.
A second thread that decodes the same type meanwhile reads beyond them, and the process dies (msgspec 0.22.0:
six threads that convert to a new type at once crash within seconds).
"""

from __future__ import annotations

from threading import Lock
from typing import TypeVar

import msgspec

Kind = TypeVar("Kind")

_lock = Lock()
_known: set[object] = set()


def typed(kind: type[Kind]) -> type[Kind]:
    """Return the type, about which msgspec knows all from now on: `decode(data, type=typed(T))`."""
    if kind not in _known:
        with _lock:
            msgspec.json.Decoder(kind)
            _known.add(kind)
    return kind
