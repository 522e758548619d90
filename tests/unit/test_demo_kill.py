"""Which relay the demo kills, and when: a mix behind the first one, with receipts, and packets under way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mixpay.demo import kill
from mixpay.demo.kill import KillStory
from mixpay.demo.parcel import Parcel
from mixpay.demo.processes import DemoFailed
from mixpay.demo.status import NoStatus
from mixpay.types import RelayId

LAYERS = {RelayId(relay): (relay - 1) % 3 + 1 for relay in range(1, 7)}
Kill = Callable[..., tuple[Any, list[int]]]


def status(relay: int, *, unproven: int = 6, proven: int = 60, entry: int = 0, mailbox: int = 0) -> Any:
    roles = SimpleNamespace(entry=entry, mix=9, mailbox=mailbox)
    return SimpleNamespace(id=RelayId(relay), unproven=unproven, proven=proven, roles=roles)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Kill:
    def choose(*statuses: Any, spared: frozenset[int] = frozenset()) -> tuple[Any, list[int]]:
        found, killed = {Path(str(each.id)): each for each in statuses}, []

        def read(home: Path) -> Any:
            if home not in found:
                raise NoStatus(str(home))
            return found[home]

        monkeypatch.setattr(kill, "read_status", read)
        places = [SimpleNamespace(home=Path(str(relay)), name=f"relay-{relay}") for relay in LAYERS]
        relays = SimpleNamespace(places=places, kill=lambda place: killed.append(int(place.home.name)))
        network: Any = SimpleNamespace(relays=relays, processes=None)
        story = KillStory(Parcel("a", b"", 50), Path(), SimpleNamespace(), network)  # type: ignore[arg-type]
        return story._kill(LAYERS, set(map(RelayId, spared))), killed

    return choose


def test_kill_takesAMixWithReceiptsAndPacketsUnderWay(chosen: Kill) -> None:
    victim, killed = chosen(status(1), status(2), status(3))
    assert killed == [2]
    assert (victim.status.id, victim.in_flight) == (2, 2), "two tickets of three hop prices each"
    victim, killed = chosen(status(2, unproven=0), status(3))
    assert (killed, victim.in_flight) == ([3], 3)


@pytest.mark.parametrize(
    "spoilt",
    [{"unproven": 0}, {"proven": 8}, {"entry": 1}],
    ids=["nothing_under_way", "few_receipts", "entry"],
)
def test_kill_waits_whileThereIsNoneToChoose(chosen: Kill, spoilt: dict[str, int]) -> None:
    assert chosen(status(1), status(2, **spoilt)) == (None, [])


def test_kill_sparesMailboxes_andTheFirstMix(chosen: Kill) -> None:
    assert chosen(status(1), status(2), status(3), spared=frozenset((2, 3))) == (None, [])


def test_kill_sparesTheOnlyMixOfALayer_thatUsersHave(chosen: Kill) -> None:
    """For paths avoid the user's entry and the mailbox: without it nothing would ever arrive."""
    assert chosen(status(2), status(5, entry=1)) == (None, [])
    assert chosen(status(2), spared=frozenset((5,))) == (None, [])
    assert chosen(status(2), status(3), status(5, entry=1))[1] == [3]


def test_kill_failsIfTheFileHasArrived(chosen: Kill) -> None:
    with pytest.raises(DemoFailed, match="name a larger one with --file"):
        chosen(status(1, mailbox=50), status(2, unproven=0))
