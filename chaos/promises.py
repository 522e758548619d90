"""What others hold of a relay that was killed, against what it has on its disk. Pure.

What was promised to a peer is on disk before it is promised (docs/design.md §12). So whatever a neighbour has
of the dead relay, be it an ack, a ticket, a signature or a voucher, must be on the dead relay's disk, or be
settled there. The dead one's disk is read first: what was still on its way to the neighbour does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chaos.stores import Books, LinkRows
from mixpay.types import RelayId

NOTHING = LinkRows()


def broken_promises(dead: RelayId, disk: Books, others: Mapping[RelayId, Books]) -> Iterator[str]:
    """What neighbours hold and the dead relay's disk does not know, one line each."""
    for other, books in others.items():
        link = f"relay {dead}, link with relay {other}"
        held = books.payees.get(dead)
        if held is not None:
            found = _of_a_payee(disk.payers.get(other, NOTHING), held)
            yield from (f"{link}, as its payee: {text}" for text in found)
        held = books.payers.get(dead)
        if held is not None:
            found = _of_a_payer(disk.payees.get(other, NOTHING), held)
            yield from (f"{link}, as its payer: {text}" for text in found)


def _of_a_payee(disk: LinkRows, held: LinkRows) -> Iterator[str]:
    """The dead relay is paid on this link: what its payer holds are acks and cuts."""
    settled = disk.state.upto_batch
    for place, seq in held.placed.items():
        if place[0] > settled and disk.placed.get(place) != seq:
            yield f"the ack of ticket {seq} at {place} is not on disk"
    for batch in held.cuts:
        if batch > settled and batch not in disk.cuts:
            yield f"the cut of batch {batch} is not on disk"


def _of_a_payer(disk: LinkRows, held: LinkRows) -> Iterator[str]:
    """The dead relay pays on this link: what its payee holds are tickets, signatures and vouchers."""
    settled = disk.state.upto_batch
    for place, seq in held.placed.items():
        if place[0] > settled and seq not in disk.issued and disk.placed.get(place) != seq:
            yield f"ticket {seq} is not on disk"
    for batch, count in held.signed.items():
        if batch > settled and disk.signed.get(batch, 0) < count:
            yield f"the signature over {count} tickets of batch {batch} is not on disk"
    ours, theirs = disk.state, held.state
    if (theirs.upto_batch, theirs.cumulative) > (ours.upto_batch, ours.cumulative):
        yield f"the voucher over {theirs.cumulative} up to batch {theirs.upto_batch} is not on disk"
