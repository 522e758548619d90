"""Passing mailboxes: where replies wait for a client of this entry, for as long as it stays connected.

A client draws 8 bytes when it shows its pass; whatever comes by a reply block for a mailbox id that begins
with them is its, and the other 8 say which block. Nothing is kept on disk, and nothing is said of what has no
place: who made the block asks again. What waits leaves one by one, in frames that are sent all the same
(`Down`), so that nobody who watches the client's line learns whether something came.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mixpay.errors import PeerError
from mixpay.geometry import MAILBOX_ID_SIZE

GONE = "passing_gone"
FULL = "passing_full"
"""Why a reply is dropped."""
PREFIX_SIZE = MAILBOX_ID_SIZE // 2
MOST = 128
"""Replies that wait for one client, 256 KiB. The oldest makes room: it is the first to be asked for again."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A reply: the second half of its mailbox id (8 bytes), and the payload as its packet ended here."""

    number: bytes = field(repr=False)
    payload: bytes = field(repr=False)


class PassingMailbox:
    """One client's."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self._waiting: deque[Waiting] = deque()

    def put(self, waiting: Waiting) -> bool:
        """Keep a reply. False if the oldest had to go for it."""
        is_full = len(self._waiting) == MOST
        if is_full:
            self._waiting.popleft()
        self._waiting.append(waiting)
        return not is_full

    def take(self) -> Waiting | None:
        """The oldest reply."""
        return self._waiting.popleft() if self._waiting else None


class PassingMailboxes:
    """Those of all clients that are connected."""

    def __init__(self) -> None:
        self._boxes: dict[bytes, PassingMailbox] = {}

    def open(self, prefix: bytes) -> PassingMailbox:
        """Keep replies for a client from now on. Raises PeerError `passing_taken`: draw another prefix."""
        if prefix in self._boxes:
            raise PeerError("passing_taken", "another client has drawn the same 8 bytes")
        box = self._boxes[prefix] = PassingMailbox(prefix)
        return box

    def close(self, box: PassingMailbox) -> None:
        """The client has left."""
        self._boxes.pop(box.prefix, None)

    def deliver(self, mailbox_id: bytes, payload: bytes) -> str | None:
        """A reply has come to its end; why something was dropped, if so."""
        box = self._boxes.get(mailbox_id[:PREFIX_SIZE])
        if box is None:
            return GONE
        return None if box.put(Waiting(mailbox_id[PREFIX_SIZE:], payload)) else FULL
