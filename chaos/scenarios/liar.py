"""Relays that are real but for what they say: every frame of one side passes somebody's mouth first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from mixpay.types import RelayId
from mixpay.wire.frames import LinkFrame
from relay.daemon import Daemon
from relay.links import Link
from relay.path.books import Side

Change: TypeAlias = Callable[[RelayId, LinkFrame], Iterable[LinkFrame]]
"""What is said to a peer in a frame's place."""


class _Mouth:
    """A link whose frames are others."""

    def __init__(self, link: Link, change: Change) -> None:
        self._link, self._change = link, change

    @property
    def peer(self) -> RelayId:
        return self._link.peer

    @property
    def is_open(self) -> bool:
        return self._link.is_open

    def send(self, frame: LinkFrame) -> bool:
        took = [self._link.send(said) for said in self._change(self._link.peer, frame)]
        return all(took)

    def refuse(self, reason: str) -> None:
        self._link.refuse(reason)

    def pause(self) -> None:
        self._link.pause()

    def resume(self) -> None:
        self._link.resume()


def speaks(daemon: Daemon, side: Side, change: Change) -> None:
    """From now on `change` decides what a relay says to its peers of that side."""
    find = daemon.hooks.links[side]

    def links(peer: RelayId) -> Link | None:
        link = find(peer)
        return None if link is None else _Mouth(link, change)

    daemon.hooks.links = {**daemon.hooks.links, side: links}


def silent(*kinds: type[LinkFrame]) -> Change:
    """Never says these."""
    return lambda peer, frame: () if isinstance(frame, kinds) else (frame,)
