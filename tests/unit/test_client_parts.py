"""A user among releases: which one an address is of, and what the folder has in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from client_world import DEPLOYMENT, EPOCH, PLACE, PRICE, View
from mixpay.address import Address, mark_of
from mixpay.chain import events
from mixpay.chain.follower import Batch
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import Release
from mixpay.client.home import Home
from mixpay.client.parts import Part, Parts
from mixpay.client.store import ClientStore
from mixpay.errors import UserError
from mixpay.network import NetworkView
from mixpay.releases import CannotFollow, Releases
from mixpay.types import Account, Epoch, RelayId

CHAIN = DEPLOYMENT.chain_id
OTHER = replace(
    DEPLOYMENT, registry=Account(b"\x13" * 20), channels=Account(b"\x14" * 20), pool=Account(b"\x15" * 20)
)


def published(number: int, registry: Account, activation: int) -> events.ReleasePublished:
    contracts = (
        (DEPLOYMENT.registry, DEPLOYMENT.channels, DEPLOYMENT.pool)
        if registry == DEPLOYMENT.registry
        else (registry, OTHER.channels, OTHER.pool)
    )
    release = Release(*contracts, 1, PRICE, Epoch(activation))
    return events.ReleasePublished(*PLACE, number, release.activation_epoch, release)


class Known(Releases):
    """Releases whose views need no chain: those in `views_of` can be followed, others cannot."""

    views_of: dict[bytes, NetworkView]

    def view(self, span):  # type: ignore[no-untyped-def]
        known = self.known_view(span)
        if known is not None:
            return known
        if span.release.registry not in self.views_of:
            raise CannotFollow(f"cannot follow release {span.number}")
        self._views.append(self.views_of[span.release.registry])
        return self._views[-1]


class Folder:
    """A user's folder, in a network with a first release, and with others as told."""

    def __init__(self, folder: Path) -> None:
        self.home, self.view, self.told = Home(folder), View(), list[str]()
        self.view.feed([published(0, DEPLOYMENT.registry, 0)], EPOCH)
        self.store = ClientStore(folder / "state.sqlite")
        self.releases = Known(Rpc("http://127.0.0.1:1"), self.view)
        self.releases.views_of = {}
        self.parts = Parts(self.home, self.releases, Part(self.view, self.store), self.told.append)

    def publish(self, number: int, registry: Account, activation: int) -> None:
        self.view.feed([published(number, registry, activation)], EPOCH)

    def can_follow(self) -> NetworkView:
        made = NetworkView(Rpc("http://127.0.0.1:1"), OTHER)
        made.take(Batch((), None, 1, 1, self.view.chain_time), 0)
        self.releases.views_of[OTHER.registry] = made
        return made


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    made.parts.close()
    made.store.close()


def address(registry: Account, chain: int = CHAIN) -> Address:
    return Address(mark_of(chain, registry), RelayId(3), bytes(16), bytes(32))


def test_address_mustBeOfTheReleaseInForce(folder: Folder) -> None:
    folder.parts.check(address(DEPLOYMENT.registry))
    for stranger in (address(OTHER.registry), address(DEPLOYMENT.registry, CHAIN + 1)):
        with pytest.raises(UserError, match="of another network than yours"):
            folder.parts.check(stranger)
    folder.publish(4, OTHER.registry, EPOCH + 3)
    with pytest.raises(UserError, match=f"release 4 of the network, which begins with epoch {EPOCH + 3}"):
        folder.parts.check(address(OTHER.registry))
    folder.view.feed([], Epoch(EPOCH + 3))
    folder.parts.check(address(OTHER.registry))
    with pytest.raises(UserError, match="release 0 of the network, which is over: ask the receiver"):
        folder.parts.check(address(DEPLOYMENT.registry))


async def test_partOfTheReleaseInForce_isMadeWhenItIsNeeded(folder: Folder) -> None:
    assert (await folder.parts.in_force()).view is folder.view
    folder.publish(1, OTHER.registry, EPOCH + 1)
    other = folder.can_follow()
    assert [part.view for part in await folder.parts.there()] == [folder.view]
    folder.view.feed([], Epoch(EPOCH + 1))
    assert folder.parts.view_in_force() is None, "nobody has asked the chain for it yet"
    assert not folder.home.later_state_file(1).exists()
    part = await folder.parts.in_force()
    assert part.view is other and part.store is not folder.store
    assert folder.home.later_state_file(1).exists()
    assert folder.parts.view_in_force() is other
    assert [part.view for part in await folder.parts.there()] == [folder.view, other]
    assert (await folder.parts.in_force()) is part


async def test_releaseThatIsNotKnown_isToldOnce_andTheOthersAreThere(folder: Folder) -> None:
    folder.publish(1, OTHER.registry, EPOCH + 1)
    folder.home.later_state_file(1).touch()  # of a newer program
    for _ in range(2):
        assert [part.view for part in await folder.parts.there()] == [folder.view]
    assert folder.told == ["cannot follow release 1"]
    folder.view.feed([], Epoch(EPOCH + 1))
    with pytest.raises(CannotFollow):
        await folder.parts.in_force()


async def test_newPrices_makeNoNewPart(folder: Folder) -> None:
    folder.publish(1, DEPLOYMENT.registry, EPOCH + 1)
    folder.view.feed([], Epoch(EPOCH + 1))
    assert (await folder.parts.in_force()).view is folder.view
    folder.parts.check(address(DEPLOYMENT.registry))
