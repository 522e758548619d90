"""What a link promises the relay, what it tells it, and the limits it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

from mixpay.types import RelayId
from mixpay.wire.frames import LinkFrame

# Reasons a link closes for, beside those of PeerError.
CLOSED = "closed"
"""We closed it, and nothing was wrong."""
PEER_CLOSED = "peer_closed"
REFUSED_BY_PEER = "refused_by_peer"
"""The peer said REFUSE; its own reason is in that frame, which `LinkEvents.received` got before."""
CONNECTION_LOST = "connection_lost"
UNREACHABLE = "unreachable"
HANDSHAKE_TIMEOUT = "handshake_timeout"
DEAD_PEER = "dead_peer"
REPLACED = "replaced"
UNEXPECTED_FRAME = "unexpected_frame"
TOO_MANY_LINKS = "too_many_links"
SHUTTING_DOWN = "shutting_down"

# Reasons frames are dropped for.
LINK_DOWN = "link_down"
QUEUE_FULL = "queue_full"
LINK_LOST = "link_lost"


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Limits of every link. Times in seconds, sizes in bytes."""

    max_queued_packets: int = 2048
    """PACKET frames that wait for a slow link (counted by size, other frames too); more are dropped."""
    max_queued_bytes: int = 16 << 20
    """All that waits for a slow link.

    Beyond it the link closes: control frames are never dropped one by one.
    """
    max_write: int = 64 << 10
    """About how much one write to the socket carries."""
    max_links: int = 4096
    max_handshakes: int = 256
    """Connections, in all, that have not proven who they are."""
    handshakes_of_address: int = 32
    """Of them, those of one address (of IPv6: of one /64)."""
    arrivals_per_second: float = 50.0
    """New connections from one address, in the long run."""
    handshake_timeout: float = 10.0
    """For TLS, and again for the proof of the link keys."""
    ping_after: float = 15.0
    """Silence of the peer before we ask."""
    dead_after: float = 45.0
    """Silence of the peer before we give the link up."""
    close_timeout: float = 2.0
    """For the last frames and TLS's goodbye."""
    retry_first: float = 0.25
    """Wait before the second attempt to connect; doubled with each failure, and shortened by up to a half
    at random.
    """
    retry_most: float = 30.0
    retry_wanted: float = 1.0
    """The longest wait while packets wait for the link: whoever was away for a moment only is not to lose
    those that a longer pause would outlast.
    """
    stable_after: float = 30.0
    """A link that stood so long starts again from `retry_first`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) <= 0:
                raise ValueError(f"{field.name} must be positive")
        if self.dead_after <= self.ping_after:
            raise ValueError("dead_after must be longer than ping_after")


class Link(Protocol):
    """One payer-payee link, as the relay sees it from either end."""

    @property
    def peer(self) -> RelayId:
        """The relay at the other end."""

    @property
    def is_open(self) -> bool:
        """Whether frames flow."""

    def send(self, frame: LinkFrame) -> bool:
        """Queue a frame. False when it is dropped, which `LinkEvents.dropped` is told too, with the reason.

        Raises ValueError when a field of the frame does not fit.
        """

    def refuse(self, reason: str) -> None:
        """Tell the peer why, and close the connection."""

    def pause(self) -> None:
        """Read no more until `resume`: the peer's writes back up. Keep-alive takes no offence."""

    def resume(self) -> None:
        """Read again."""


class LinkEvents(Protocol):
    """The relay's side of a link. Called from the event loop; must not block."""

    def opened(self, link: Link) -> None:
        """The peer proved its link key: frames flow from here on."""

    def received(self, link: Link, frames: Sequence[LinkFrame]) -> None:
        """Frames in the order they were sent, as many as arrived together.

        PeerError raised here closes the link, and tells the peer the reason.
        """

    def closed(self, link: Link, reason: str) -> None:
        """An open link is down. A payer's link comes back by itself."""

    def dropped(self, peer: RelayId, reason: str, frames: int) -> None:
        """So many of our frames for this peer will not arrive."""

    def failed(self, peer: RelayId | None, reason: str) -> None:
        """A connection ended before it was a link.

        `peer` is None when it did not say, or prove, who it was.
        """
