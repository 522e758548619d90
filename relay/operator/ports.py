"""A port that cannot be had, in words that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from mixpay.errors import UserError

_WHY = {
    errno.EADDRINUSE: "another program has it, perhaps another relay: each needs ports of its own "
    "(`link_port`, `client_port`, `api_port`, `listen` in relay.toml)",
    errno.EACCES: "ports below 1024 are the system's: take higher ones",
    errno.EADDRNOTAVAIL: "this machine has no such address: see `listen` in relay.toml",
}


@contextmanager
def port_of(what: str, address: str, port: int) -> Iterator[None]:
    """Around listening for `what`. Raises UserError for whatever the system says against it."""
    try:
        yield
    except OSError as error:
        why = _WHY.get(error.errno or 0, error.strerror or str(error))
        raise UserError(f"cannot listen for {what} on {address}, port {port}: {why}") from None
