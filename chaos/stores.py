"""What a relay has on its disk, read from outside: of one that was killed, or beside one that runs.

The file is only read, so a killed relay finds it as it left it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from mixpay.book import rows
from mixpay.book.numbers import of_stretches
from mixpay.book.rows import (
    Cut,
    IssuedTicket,
    LateResponse,
    LinkState,
    PlacedTicket,
    Response,
    Settlements,
    ShortTickets,
    SignedBatch,
)
from mixpay.geometry import REPLAY_TAG_SIZE
from mixpay.types import RelayId
from relay.path.books import Side
from relay.store import files

Place = tuple[int, int]
"""Batch and position."""


@dataclass(frozen=True, slots=True)
class LinkRows:
    """One side's book of one link. What is of living batches is gone when they are settled."""

    state: LinkState = field(default_factory=LinkState)
    most: int = 0
    """Payer: all tickets ever acknowledged in settled batches, in token units."""
    issued: frozenset[int] = frozenset()
    """Payer: numbers of tickets promised and not acknowledged."""
    placed: Mapping[Place, int] = field(default_factory=dict)
    """Ticket numbers of acknowledged tickets."""
    responses: frozenset[Place] = frozenset()
    """Payee: where the response is there."""
    cuts: frozenset[int] = frozenset()
    """Batches that end, and are being settled."""
    signed: Mapping[int, int] = field(default_factory=dict)
    """Tickets under the payer's newest signature, by batch."""

    @property
    def unanswered(self) -> int:
        """Payee: acknowledged tickets without a response: their packets are further on, or lost."""
        return len(self.placed.keys() - self.responses)


@dataclass(frozen=True, slots=True)
class Books:
    """All books of one relay: those in which payers owe it, and those in which it owes payees."""

    payers: Mapping[RelayId, LinkRows]
    payees: Mapping[RelayId, LinkRows]

    @property
    def under_way(self) -> int:
        """Tickets without an answer yet, in and out: each is a packet in flight, or lost a moment ago."""
        incoming = sum(link.unanswered for link in self.payers.values())
        return incoming + sum(len(link.issued) for link in self.payees.values())

    @property
    def settling(self) -> int:
        """Links on which a settlement is open."""
        return sum(bool(link.cuts) for link in (*self.payers.values(), *self.payees.values()))


@dataclass(frozen=True, slots=True)
class Counts:
    """What a relay has counted on disk. `tags`: replay tags kept, `distinct` of them."""

    entry: int
    mix: int
    mailbox: int
    tags: int
    distinct: int
    ticks: Mapping[bytes, int]
    """The furthest tick by pass."""


def read_books(path: Path) -> Books:
    """The books in a relay's database. Raises UserError if it cannot be read."""
    found: dict[tuple[int, RelayId], list[rows.Row]] = defaultdict(list)
    for side, peer, data in _ask(path, "SELECT side, peer, data FROM books"):
        found[side, RelayId(peer)] += rows.decode_all(data)
    links = {key: link_rows(kept) for key, kept in found.items()}
    return Books(
        {peer: link for (side, peer), link in links.items() if side == Side.PAYER},
        {peer: link for (side, peer), link in links.items() if side == Side.PAYEE},
    )


def link_rows(kept: Iterable[rows.Row]) -> LinkRows:
    """One book of the rows that are kept of it."""
    state, most = LinkState(), 0
    issued, cuts, signed = set(), set(), {}
    placed, responses = {}, set()
    for row in kept:
        match row:
            case LinkState():
                state = row
            case Settlements():
                most = row.most
            case IssuedTicket():
                issued.add(row.seq)
            case PlacedTicket():
                placed[row.batch, row.position] = row.seq
            case ShortTickets():
                places = [(row.number, row.first + at) for at in range(len(row.values))]
                placed |= dict(zip(places, _numbers(row), strict=True))
                if row.responses:
                    bare = set(row.shown)
                    responses |= {place for at, place in enumerate(places) if at not in bare}
            case Response() | LateResponse():
                responses.add((row.batch, row.position))
            case Cut():
                cuts.add(row.number)
            case SignedBatch():
                signed[row.number] = row.count
            case _:
                pass  # prices, channels, commitments and demands are judged by what follows from them
    return LinkRows(state, most, frozenset(issued), placed, frozenset(responses), frozenset(cuts), signed)


def _numbers(row: ShortTickets) -> Iterator[int]:
    return of_stretches((stretch.first, stretch.length) for stretch in row.numbers)


def read_counts(path: Path) -> Counts:
    """What a relay's database counts. Raises UserError if it cannot be read."""
    counters = dict(_ask(path, "SELECT name, count FROM counters"))
    tags: list[tuple[int, bytes]] = []
    for epoch, head, data in _ask(path, "SELECT epoch, tag, data FROM tags"):
        joined = data or head
        starts = range(0, len(joined), REPLAY_TAG_SIZE)
        tags += [(epoch, joined[at : at + REPLAY_TAG_SIZE]) for at in starts]
    ticks = {
        key: int.from_bytes(data[:2], "big") for key, data in _ask(path, "SELECT pass_id, data FROM ticks")
    }
    entry, mix, mailbox = (counters.get(f"role:{role}", 0) for role in ("entry", "mix", "mailbox"))
    return Counts(entry, mix, mailbox, len(tags), len(set(tags)), ticks)


def _ask(path: Path, query: str) -> list[tuple]:  # type: ignore[type-arg]  # columns of many types
    with closing(files.open_reader(path)) as database, files.explained(path):
        found: list[tuple] = database.execute(query).fetchall()  # type: ignore[type-arg]
        return found
