"""The receiver's side: which messages are to be acknowledged, and to whom.

    a fragment came                   owed: yes, if the message's first fragment is or was there
    (a copy of one, or one of a message that is whole and safe, as well: its sender did not hear us)
    an acknowledgement went out       owed: no, until another fragment comes

Rules
  * An acknowledgement is the answer to a body that was in the mailbox, never to time that passes: whoever
    sends nothing is told nothing, and no acknowledgement asks for another one.
  * Whoever asks again has missed the last one, perhaps in a relay that is dead still: the next is two
    packets, by different mixes. So less than two packets leave for each body that came.
  * For one message there are `most` packets, so that a mailbox relay that shows us the same bodies again and
    again, or a sender that never has enough, gets no packets out of us for ever. Both are not told why.
  * While fragments come in, there is no hurry: what is not whole is acknowledged `quiet` seconds after the
    last one, or when the program ends.
  * All that is owed to one address goes out together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mixpay.address import Address
from mixpay.delivery.acks import Entry
from mixpay.envelope import Reply


@dataclass(frozen=True, slots=True)
class OwedLimits:
    """`most`: packets that acknowledge one message; `quiet`: seconds; `addresses`: told at once."""

    most: int = 64
    quiet: int = 5
    addresses: int = 16


@dataclass(frozen=True, slots=True)
class Debt:
    """One message: whom to tell (None: not known yet), when its newest fragment came, whether that was told.

    `acks`: packets it took so far.
    """

    message_id: bytes
    reply: Reply | None = field(repr=False)
    at: int
    acks: int = 0
    owed: bool = True


@dataclass(frozen=True, slots=True)
class Have:
    """What we have of a message: all of it, safe (`fragments` None), or these of `total` fragments."""

    fragments: frozenset[int] | None
    total: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """What to tell one address now. `again`: it may have missed what it was told before."""

    address: Address
    entries: tuple[Entry, ...]
    again: bool = False

    @property
    def copies(self) -> int:
        """Packets of each acknowledgement."""
        return 2 if self.again else 1


def came(
    old: Debt | None, message_id: bytes, reply: Reply | None, now: int, limits: OwedLimits | None = None
) -> Debt | None:
    """What is owed once a fragment came that was not fetched before; None: nothing, as far as is known.

    `reply`: of the fragment, if it is the one that has it.
    """
    if old is None:
        return None if reply is None else Debt(message_id, reply, now)
    owed = old.acks < (limits or OwedLimits()).most
    return replace(old, reply=old.reply or reply, at=now, owed=owed)


def due(
    debts: Iterable[Debt],
    haves: Mapping[bytes, Have],
    now: int,
    *,
    last: bool,
    limits: OwedLimits | None = None,
) -> list[Due]:
    """What to tell now. `haves`: of the messages that are safe, or wait for fragments; of others there is
    nothing to tell yet. `last`: nobody will ask again for long.
    """
    limits = limits or OwedLimits()
    by_address: dict[Address, list[Entry]] = {}
    missed: set[Address] = set()
    for debt in debts:
        have = haves.get(debt.message_id)
        if debt.reply is None or not debt.owed or have is None:
            continue
        if last or have.fragments is None or now >= debt.at + limits.quiet:
            entry = Entry.of(debt.message_id, debt.reply, have.fragments, have.total)
            by_address.setdefault(debt.reply.address, []).append(entry)
            if 0 < debt.acks < limits.most - 1:
                missed.add(debt.reply.address)
    found = [Due(address, tuple(entries), address in missed) for address, entries in by_address.items()]
    return found[: limits.addresses]


def told(debt: Debt, *, whole: bool, copies: int = 1) -> Debt:
    """It was told, by so many packets. Whom to tell of a message that is whole is forgotten: who asks again
    says it again.
    """
    return replace(debt, reply=None if whole else debt.reply, acks=debt.acks + copies, owed=False)
