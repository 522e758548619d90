"""Since when peers are cut off, in chain time: kept on disk, so that a restart does not begin it anew.

Why one is cut off stands in its book, and what brings it back in `relay/operator/peer_notes.py`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from mixpay.types import RelayId
from relay.path.books import Side
from relay.store import RelayStore, forget_setting_op, setting_op

_SINCE = struct.Struct(">Q")


class CutOffs:
    """Of one relay. `now`: seconds of chain time."""

    def __init__(self, store: RelayStore, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self._since: dict[tuple[Side, RelayId], int | None] = {}

    def begin(self, side: Side, peer: RelayId) -> None:
        """A peer has broken the rules; nothing if it was cut off before."""
        if self.since(side, peer) is None:
            self._since[side, peer] = now = self._now()
            self._store.write([setting_op(_name(side, peer), _SINCE.pack(now))])

    def end(self, side: Side, peer: RelayId) -> None:
        """A peer has put it right; nothing if it was not cut off."""
        if self.since(side, peer) is not None:
            self._since[side, peer] = None
            self._store.write([forget_setting_op(_name(side, peer))])

    def since(self, side: Side, peer: RelayId) -> int | None:
        """Since when a peer is cut off; None if it is not, or nobody has written it down."""
        if (side, peer) not in self._since:
            found = self._store.setting(_name(side, peer))
            whole = found is not None and len(found) == _SINCE.size
            self._since[side, peer] = _SINCE.unpack(found)[0] if found is not None and whole else None
        return self._since[side, peer]


def _name(side: Side, peer: RelayId) -> str:
    return f"cut off:{side.value}:{peer}"
