"""A relay's memory in its own words: what its cores want kept, as changes, and what they are rebuilt from."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from mixpay import flow, mailbox
from mixpay.book import rows as book
from mixpay.descriptors import Equivocation
from mixpay.errors import MixpayError
from mixpay.geometry import REPLAY_TAG_SIZE
from mixpay.passes import Pass, PassRecord, Scope, TickTaken
from mixpay.passes.terms import HASH_SIZE
from mixpay.types import Amount, Epoch, RelayId
from relay.store import files
from relay.store.engine import Store
from relay.store.ops import Add, Delete, DeleteRange, Put, StoreOp
from relay.store.tables import (
    BOOKS,
    EQUIVOCATIONS,
    MAILBOXES,
    MESSAGES,
    PACKET_KEYS,
    PASSES,
    POOL_VOUCHERS,
    SETTINGS,
    TAGS,
    TICKS,
)

_TICK = struct.Struct(">H32s")
_MAILBOX = struct.Struct(">32sQQ")
_DROP_AT = struct.Struct(">Q")
_VOUCHER = struct.Struct(">I12s65s")
_ROLE = "role:"
_FLOWS = "flows"

LAST_U32 = 2**32 - 1
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class StoredPoolVoucher:
    """The newest voucher of a campaign for this relay. `cumulative` in token units, signature 65 bytes."""

    campaign: int
    period: int
    cumulative: Amount
    signature: bytes


# ---------------------------------------------------------------------- changes


def key_op(epoch: Epoch, secret: bytes) -> StoreOp:
    """Keep a packet key, 32 bytes."""
    return Put(PACKET_KEYS, (epoch,), bytes(secret))


def forget_epoch_ops(epoch: Epoch) -> list[StoreOp]:
    """Destroy an epoch's packet key, and drop its replay tags, which nothing needs without the key."""
    return [Delete(PACKET_KEYS, (epoch,)), DeleteRange(TAGS, (epoch,))]


def pass_op(pass_id: bytes, record: PassRecord) -> StoreOp:
    """Keep a pass that was shown for the first time."""
    return Put(PASSES, (pass_id,), record.shown.encode())


def tick_op(taken: TickTaken) -> StoreOp:
    """Keep the furthest tick of a pass."""
    return Put(TICKS, (taken.pass_id,), _TICK.pack(taken.number, taken.link))


def forget_pass_ops(pass_ids: Iterable[bytes]) -> list[StoreOp]:
    """Drop passes that were redeemed."""
    return [Delete(table, (pass_id,)) for pass_id in pass_ids for table in (PASSES, TICKS)]


def pass_key_op(scope: Scope, modulus: bytes) -> StoreOp:
    """Keep the modulus (256 bytes) of the key that signs a scope's passes: the pool wants to see it."""
    return setting_op(_pass_key(scope), modulus)


def forget_pass_key_op(scope: Scope) -> StoreOp:
    """Drop a scope's key."""
    return Delete(SETTINGS, (_pass_key(scope),))


def _pass_key(scope: Scope) -> str:
    return f"pass key:{scope.campaign}:{scope.kind}:{scope.period}"


def mailbox_ops(effects: Iterable[mailbox.Store]) -> list[StoreOp]:
    """What the mailboxes want of the disk."""
    ops: list[StoreOp] = []
    for effect in effects:
        match effect:
            case mailbox.PutMailbox(mailbox_id, fetch_key, expires, first, payer):
                ops.append(Put(MAILBOXES, (mailbox_id,), _MAILBOX.pack(fetch_key, expires, first) + payer))
            case mailbox.PutMessage(mailbox_id, sequence, drop_at, body):
                ops.append(Put(MESSAGES, (mailbox_id, sequence), _DROP_AT.pack(drop_at) + body))
            case mailbox.DropMessages(mailbox_id, upto):
                ops.append(DeleteRange(MESSAGES, (mailbox_id,), 0, upto))
            case mailbox.DropMailbox(mailbox_id):
                ops += [Delete(MAILBOXES, (mailbox_id,)), DeleteRange(MESSAGES, (mailbox_id,))]
    return ops


def role_op(role: str, packets: int = 1) -> StoreOp:
    """Count packets that this relay carried as entry, mix or mailbox."""
    return Add(_ROLE + role, packets)


def pool_voucher_op(voucher: StoredPoolVoucher) -> StoreOp:
    """Keep a campaign's newest voucher."""
    data = _VOUCHER.pack(voucher.period, voucher.cumulative.to_bytes(12, "big"), voucher.signature)
    return Put(POOL_VOUCHERS, (voucher.campaign,), data)


def proof_op(proof: Equivocation) -> StoreOp:
    """Keep a proof of equivocation until it is on the chain."""
    return Put(EQUIVOCATIONS, (proof.relay,), proof.encode())


def forget_proof_op(relay: RelayId) -> StoreOp:
    """Drop a proof."""
    return Delete(EQUIVOCATIONS, (relay,))


def setting_op(name: str, value: bytes) -> StoreOp:
    """Keep something else under a name."""
    return Put(SETTINGS, (name,), value)


def forget_setting_op(name: str) -> StoreOp:
    """Drop what was kept under a name."""
    return Delete(SETTINGS, (name,))


def flows_op(meters: flow.Meters) -> StoreOp:
    """Keep how much went to each next hop, in the place of what was kept before."""
    return setting_op(_FLOWS, flow.encode(meters))


def _mailbox(data: bytes) -> tuple[bytes, int, int, bytes]:
    """Fetch key, expires, first, payer. Raises ValueError for a row of another length."""
    size, payer = _MAILBOX.size, data[_MAILBOX.size :]
    if len(payer) not in (0, HASH_SIZE):
        raise ValueError("a mailbox is paid by a pass, whose id has 32 bytes")
    return *_MAILBOX.unpack(data[:size]), payer


# ---------------------------------------------------------------------- memories


class RelayStore(Store):
    """The store of one relay. All reads raise UserError when what they find is damaged."""

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Around what is made of rows: raises UserError when they contradict each other."""
        try:
            yield
        except (ValueError, LookupError, TypeError) as error:
            raise files.damaged(self.path, f"rows that do not fit together: {error}") from error

    def books(self) -> list[tuple[int, RelayId]]:
        """Side and peer of every channel book."""
        return sorted({(side, RelayId(peer)) for (side, peer, *_), _ in self.rows(BOOKS, head=1)})

    def book_rows(self) -> Iterator[tuple[tuple[int, RelayId], list[book.Row]]]:
        """The rows of every channel book, after its side and peer, in the order of their keys. One book at a
        time: all together may be as large as everything else that a relay has in memory.
        """
        for side, peer in self.books():
            found = (self._read(book.decode_all, data) for _, data in self.rows(BOOKS, (side, peer)))
            yield (side, peer), list(chain.from_iterable(found))

    def issued_tickets(self, side: int, peer: RelayId) -> list[tuple[int, list[book.IssuedTicket]]]:
        """Tickets without an ack, by the number under which they stand together."""
        found = self.rows(BOOKS, (side, peer, book.ISSUED))
        rows = [(number, self._read(book.decode_all, data)) for (_, _, _, number, _), data in found]
        return [(number, [t for t in row if isinstance(t, book.IssuedTicket)]) for number, row in rows]

    def tags(self, floor: Epoch) -> Iterator[tuple[Epoch, bytes]]:
        """Replay tags of all epochs from `floor`."""
        found = self.rows(TAGS, low=floor, high=LAST_U32)
        while found:
            (epoch, head), data = found.pop()  # a million tags in memory twice are worth avoiding
            tags = data or head  # written one by one by earlier versions
            if len(tags) % REPLAY_TAG_SIZE:
                raise files.damaged(self.path, "tags of another size")
            for at in range(0, len(tags), REPLAY_TAG_SIZE):
                yield Epoch(epoch), tags[at : at + REPLAY_TAG_SIZE]

    def packet_keys(self) -> dict[Epoch, bytes]:
        """Secret packet keys by epoch."""
        return {Epoch(epoch): data for (epoch,), data in self.rows(PACKET_KEYS)}

    def equivocations(self) -> list[Equivocation]:
        """Proofs that the chain did not have yet."""
        return [self._read(Equivocation.decode, data) for _, data in self.rows(EQUIVOCATIONS)]

    def passes(self, chain_id: int, pool: bytes) -> list[PassRecord]:
        """All passes with their furthest ticks. `pool`: the SubsidyPool's address, 20 bytes."""
        ticks = {key: self._read(_TICK.unpack, data) for key, data in self.rows(TICKS)}

        def decode(data: bytes) -> Pass:
            return Pass.decode(data, chain_id, pool)

        shown = ((key, self._read(decode, data)) for key, data in self.rows(PASSES))
        return [PassRecord(owned, *ticks.get(key, (0, b""))) for key, owned in shown]

    def pass_key(self, scope: Scope) -> bytes | None:
        """The modulus of a scope's key; None for passes that were shown before it was kept."""
        return self.setting(_pass_key(scope))

    def mailboxes(self) -> list[mailbox.PutMailbox]:
        """All mailboxes."""
        found = ((mailbox_id, self._read(_mailbox, data)) for (mailbox_id,), data in self.rows(MAILBOXES))
        return [mailbox.PutMailbox(mailbox_id, *columns) for mailbox_id, columns in found]

    def message_index(self) -> list[tuple[bytes, int, int]]:
        """(mailbox id, sequence, drop_at) of all messages, by mailbox and sequence."""
        return [
            (mailbox_id, sequence, self._read(_DROP_AT.unpack, head)[0])
            for (mailbox_id, sequence), head in self.rows(MESSAGES, head=_DROP_AT.size)
        ]

    def messages(self, mailbox_id: bytes, first: int, last: int) -> list[tuple[int, bytes]]:
        """(sequence, body) of a mailbox's messages in first..last. Short: read in the event loop."""
        found = self.rows(MESSAGES, (mailbox_id,), first, last)
        return [(sequence, data[_DROP_AT.size :]) for (_, sequence), data in found]

    def roles(self) -> dict[str, int]:
        """Packets ever carried, by role."""
        counters = self.counters()
        return {name.removeprefix(_ROLE): n for name, n in counters.items() if name.startswith(_ROLE)}

    def pool_vouchers(self) -> dict[int, StoredPoolVoucher]:
        """The newest voucher of each campaign."""
        found = {}
        for (campaign,), data in self.rows(POOL_VOUCHERS):
            period, cumulative, signature = self._read(_VOUCHER.unpack, data)
            total = Amount(int.from_bytes(cumulative, "big"))
            found[campaign] = StoredPoolVoucher(campaign, period, total, signature)
        return found

    def flows(self) -> flow.Meters:
        """How much went to each next hop when that was kept last."""
        data = self.setting(_FLOWS)
        return {} if data is None else self._read(flow.decode, data)

    def _read(self, decode: Callable[[bytes], Row], data: bytes) -> Row:
        try:
            return decode(data)
        except (MixpayError, struct.error, ValueError) as error:
            raise files.damaged(self.path, f"an unreadable row: {error}") from None

    def setting(self, name: str) -> bytes | None:
        """What was kept under a name."""
        found = self.rows(SETTINGS, (name,))
        return found[0][1] if found else None
