"""A user in a network that moves on: one part for each release with contracts of its own.

Passes, mailboxes and fetched messages belong to one release: its pool sells the passes, its relays keep the
mailboxes. So each release has a state file of its own in the user's folder, and nothing is ever mixed up. New
things are made in the release in force; what lies in mailboxes of an earlier one is fetched while its relays
still serve.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from mixpay.address import Address, UnusableAddress, mark_of
from mixpay.client.home import Home
from mixpay.client.store import ClientStore
from mixpay.network import NetworkView
from mixpay.releases import CannotFollow, Releases, Span


@dataclass(frozen=True, slots=True)
class Part:
    """A release as the chain shows it, and what the user has in it."""

    view: NetworkView
    store: ClientStore


class Parts:
    """The parts of one folder.

    `first` is that of the deployment file, its view already read; `tell` gets lines for the user.
    """

    def __init__(self, home: Home, releases: Releases, first: Part, tell: Callable[[str], None]) -> None:
        self._home, self._releases, self._tell = home, releases, tell
        self._first = first
        self._open: dict[int, Part] = {}
        self._told: set[int] = set()

    async def in_force(self) -> Part:
        """The part of the release in force, made if there is none. Raises UserError, ChainError."""
        return await self._part(self._releases.in_force())

    def view_in_force(self) -> NetworkView | None:
        """The view of the release in force, None if it was not needed yet. Raises UserError, ChainError."""
        return self._releases.known_view(self._releases.in_force())

    async def there(self) -> list[Part]:
        """All parts that the folder has, and this program knows the contracts of. Raises ChainError."""
        found = [self._first]
        for span in self._releases.spans():
            if self._releases.known_view(span) is self._first.view:
                continue
            if span.number in self._open or self._home.later_state_file(span.number).exists():
                try:
                    found.append(await self._part(span))
                except CannotFollow as error:
                    self._tell_once(span, str(error))
        return found

    async def refresh(self) -> None:
        """Read what is new on the chain. Raises ChainError."""
        for view in self._releases.views:
            await asyncio.to_thread(view.refresh)

    def check(self, receiver: Address) -> None:
        """Raise UnusableAddress, saying why, unless an address is of the release in force."""
        now = self._releases.in_force()
        chain_id = self._first.view.deployment.chain_id
        for span in self._releases.spans():
            if mark_of(chain_id, span.release.registry) != receiver.mark:
                continue
            if span == now:
                return
            if span.begins > now.begins:
                when = f"release {span.number} of the network, which begins with epoch {span.begins}"
                raise UnusableAddress(f"the address is of {when}: send it then")
            raise UnusableAddress(
                f"the address is of release {span.number} of the network, which is over: "
                "ask the receiver for a new one"
            )
        raise UnusableAddress(
            "the address is of another network than yours, or of one that was deployed anew"
        )

    def close(self) -> None:
        """Close the state files."""
        for part in self._open.values():
            part.store.close()

    async def _part(self, span: Span) -> Part:
        view = await asyncio.to_thread(self._releases.view, span)
        if view is self._first.view:
            return self._first
        if span.number not in self._open:
            # Here, for the database is used in this thread.
            self._open[span.number] = Part(view, ClientStore(self._home.later_state_file(span.number)))
        return self._open[span.number]

    def _tell_once(self, span: Span, text: str) -> None:
        if span.number not in self._told:
            self._told.add(span.number)
            self._tell(text)
