"""The directory, from relays that may lie: everything is checked, and nobody's silence about a relay counts.

What the chain knows is proven by the root, so no relay can be invented. But who serves a directory could
leave out the packet keys of honest relays, and so steer paths to its friends. Hence the keys of several
relays' documents are put together. A relay that signed two keys for one epoch is not used at all, and the
proof is handed to the relays that were asked: a client has no account to report it from, and those who show
the second key to nobody but clients are found out by clients only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import aiohttp

from mixpay import eip712
from mixpay.client.errors import ClientError, RelayUnavailable
from mixpay.client.relays import fetch_directory, hand_over
from mixpay.descriptors import DescriptorBook
from mixpay.directory import Directory, DirectoryError, Frozen, document_limit, read_directory
from mixpay.snapshot import RelayRecord, Snapshot

WITNESSES = 2
"""Relays asked beside the entry."""


class ForgedDirectory(RelayUnavailable):
    """A relay's directory is not what the chain froze, or not signed by the operators."""


def merge(directories: Sequence[Directory], domain: eip712.Domain) -> Directory:
    """What checked directories of one snapshot say together; of relays that signed two keys, the proofs."""
    book = DescriptorBook(directories[0].snapshot, domain)
    for directory in directories:
        for descriptor in directory.descriptors.values():
            with suppress(DirectoryError):
                book.add(descriptor)
    return book.directory()


async def collect(
    http: aiohttp.ClientSession,
    snapshot: Snapshot,
    domain: eip712.Domain,
    first: RelayRecord,
    witnesses: Sequence[RelayRecord],
) -> Directory:
    """The directory of `snapshot`'s epoch from relay `first`, completed by what the witnesses know.

    If it holds a proof that a relay signed two keys, the others that were asked have it too, as far as they
    listen.

    Raises RelayUnavailable or RelayRefused if `first` does not answer, ForgedDirectory if its answer is
    false; what happens to witnesses does not matter.
    """
    asked = [first, *witnesses]
    answers = await asyncio.gather(
        *(_one(http, snapshot, domain, relay) for relay in asked), return_exceptions=True
    )
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, ClientError):
            raise answer
    if isinstance(answers[0], BaseException):
        raise answers[0]
    merged = merge([answer for answer in answers if isinstance(answer, Directory)], domain)
    told = [
        hand_over(http, relay, proof)
        for proof in merged.equivocations.values()
        for relay in asked
        if relay.id != proof.relay
    ]
    await asyncio.gather(*told)
    return merged


async def _one(
    http: aiohttp.ClientSession, snapshot: Snapshot, domain: eip712.Domain, relay: RelayRecord
) -> Directory:
    limit = document_limit(snapshot.count)
    document = await fetch_directory(http, relay, snapshot.epoch, limit)
    frozen = Frozen(snapshot.epoch, snapshot.root, snapshot.count, snapshot.beacon)
    try:
        return await asyncio.to_thread(read_directory, document, frozen, domain)
    except DirectoryError as error:
        raise ForgedDirectory(f"relay {relay.id} serves a false directory: {error}") from None
