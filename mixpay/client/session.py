"""Being at an entry: a pass whose relay takes it, the directory of the epoch, checked, and an open link.

    chain ▶ pass ▶ directory, checked ▶ entry

An entry that is no good is set aside, refused or condemned as `mixpay.client.wallet` says, and the next pass
is tried. Who uses the session says when to leave it, and what to do with its answers.
"""

from __future__ import annotations

from collections.abc import Callable

import aiohttp

from mixpay.client.directories import WITNESSES, ForgedDirectory, collect
from mixpay.client.entry import EntryLink
from mixpay.client.errors import RelayRefused, RelayUnavailable
from mixpay.client.profile import Profile
from mixpay.client.route import Paths
from mixpay.client.wallet import DrawnPass, Wallet
from mixpay.crypto import uniform
from mixpay.directory import Directory
from mixpay.layers import TermLayers
from mixpay.network import NetworkView
from mixpay.packet import KeyContext
from mixpay.passes import KIND_ENTRY, ForgedTick
from mixpay.snapshot import RelayRecord, Snapshot
from mixpay.types import Random, RelayId

PASSING_SIZE = 8
"""Bytes that a connection draws, with which its passing mailboxes begin."""


class Entered:
    """An entry that has taken our pass, and what leads on from it, all of one epoch.

    `passing`: the first bytes of our passing mailboxes there.
    """

    def __init__(
        self, link: EntryLink, passing: bytes, directory: Directory, layers: TermLayers, context: KeyContext
    ) -> None:
        self.link, self.passing = link, passing
        self._directory, self._layers, self._context = directory, layers, context

    def paths(self, profile: Profile) -> Paths:
        """Paths through the relays of this epoch."""
        return Paths(self._directory, self._layers, self._context, profile)

    @property
    def drawn(self) -> DrawnPass:
        """The pass."""
        return self.link.drawn

    @property
    def relay(self) -> RelayId:
        """The entry."""
        return self.link.drawn.relay.id


class Session:
    """Finds entries. `tell` gets lines for the user."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        view: NetworkView,
        wallet: Wallet,
        random: Random,
        tell: Callable[[str], None],
    ) -> None:
        self._http, self._view, self._wallet, self._random, self._tell = http, view, wallet, random, tell
        self._known: Directory | None = None
        self._seen_two_faced: set[RelayId] = set()
        """Relays found to have signed two keys, whoever is the entry."""

    async def enter(
        self, check: Callable[[frozenset[RelayId]], None] = lambda _: None, beat: int = 0
    ) -> Entered:
        """Find an entry that answers. `check` is told of the relays that nobody should use, before any link
        is opened, and may raise. `beat`: milliseconds, as in PRESENT_PASS.

        Raises NoPass, BudgetSpent, IssuerUnavailable, ChainError, UserError.
        """
        while True:
            drawn = await self._wallet.draw(KIND_ENTRY)
            epoch, passing = self._view.epoch, self._random(PASSING_SIZE)
            try:
                directory = await self._know(drawn.relay, check)
                link = await EntryLink.open(self._http, self._wallet, drawn, passing, beat)
            except RelayRefused as error:
                await self._wallet.refused(drawn, error.reason)
            except (ForgedDirectory, ForgedTick) as error:
                self._wallet.condemn(drawn, str(error))
            except RelayUnavailable as error:
                self._wallet.set_aside(drawn, str(error))
            else:
                layers, context = self._view.layers(epoch), self._view.key_context(epoch)
                return Entered(link, passing, directory, layers, context)

    async def _know(self, entry: RelayRecord, check: Callable[[frozenset[RelayId]], None]) -> Directory:
        """The directory of the epoch: once for all entries.

        Raises ForgedDirectory if the entry itself is a relay that nobody should use.
        """
        snapshot = self._view.snapshot(self._view.epoch)
        if self._known is None or self._known.snapshot != snapshot:
            self._known = await self._collect(entry, snapshot)
        two_faced = frozenset(self._seen_two_faced | self._view.condemned.keys())
        if entry.id in two_faced:
            raise ForgedDirectory(f"relay {entry.id} signed two packet keys for one epoch")
        check(two_faced)
        known = self._known
        trusted = {relay: said for relay, said in known.descriptors.items() if relay not in two_faced}
        return Directory(snapshot, trusted, known.equivocations)

    async def _collect(self, entry: RelayRecord, snapshot: Snapshot) -> Directory:
        others = [relay for relay in snapshot.relays if relay.id != entry.id]
        witnesses = [others.pop(uniform.below(len(others), self._random)) for _ in others[:WITNESSES]]
        found = await collect(self._http, snapshot, self._view.registry_domain, entry, witnesses)
        for relay in found.equivocations:
            self._seen_two_faced.add(relay)
            self._tell(f"relay {relay} signed two packet keys to tell users apart: it is not used")
        return found
