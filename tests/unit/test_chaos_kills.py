"""The campaign kills whom it drew, looks, starts it again, judges now and then, and ends on a finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

import chaos_evidence as evidence
from chaos import kills
from chaos.judge import RelayFacts, TrafficFacts
from chaos.kills import Campaign, Outcome
from chaos.stores import Books, LinkRows
from chaos.traffic import Traffic
from chaos.world import Claimed, World
from mixpay.demo.processes import DemoFailed
from mixpay.types import RelayId

MADE = evidence.scene()


@dataclass
class FakeWorld:
    """Six relays that come back after so many looks, and a record of what is done to them."""

    looks: int = 2
    facts_: dict[RelayId, RelayFacts] = field(default_factory=MADE.facts)
    books_: dict[RelayId, Books] = field(default_factory=dict)
    owed: int = 0
    done: list[str] = field(default_factory=list)
    down: dict[RelayId, int] = field(default_factory=dict)
    price: int = evidence.PRICE

    def __post_init__(self) -> None:
        self.places = dict.fromkeys(evidence.LAYERS)
        self.processes = self

    def check(self) -> None: ...
    def check_time(self) -> None: ...

    def wait_for(self, what: str, condition: Callable[[], bool | None], *, limit: float) -> None:
        assert condition()

    def kill(self, relay: RelayId) -> None:
        self.done.append(f"kill {relay}")

    def start(self, relay: RelayId) -> None:
        assert self.done[-1] == f"kill {relay}"
        self.down[relay] = self.looks

    def serves(self, relay: RelayId) -> bool:
        self.down[relay] -= 1
        return self.down[relay] < 0

    def books(self, relay: RelayId) -> Books:
        return self.books_.get(relay, self.facts_[relay].books)

    def settle(self) -> None:
        self.done.append("settle")
        self.down.clear()

    def facts(self) -> dict[RelayId, RelayFacts]:
        return self.facts_

    def finish(self) -> Claimed:
        self.done.append("finish")
        return Claimed(evidence.paid(self.facts_), evidence.pool(self.facts_), self.owed, ())


@dataclass
class FakeUsers:
    """Users who saw what they should have seen."""

    seen: TrafficFacts = field(default_factory=lambda: evidence.traffic(MADE))
    going: bool = True

    def __post_init__(self) -> None:
        self.ledger = self

    def facts(self) -> TrafficFacts:
        return self.seen

    def check(self) -> None: ...

    def pause(self) -> None:
        self.going = False

    def resume(self) -> None:
        self.going = True

    def collect(self) -> TrafficFacts:
        assert not self.going
        return self.seen


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "_POLL", 0.0)
    monkeypatch.setattr(kills, "MEAN_PAUSE", 1e-6)
    monkeypatch.setattr(kills, "RESTART_AFTER", 0.0)
    monkeypatch.setattr(kills, "FLOWING", 1)
    monkeypatch.setattr(kills, "CHECK_EVERY", 20)


def run(world: FakeWorld, users: FakeUsers | None = None, wanted: int = 50, seed: int = 1) -> Outcome:
    outcome = Outcome()
    users = users or FakeUsers()
    Campaign(cast(World, world), cast(Traffic, users), outcome, wanted, seed, lambda _: None).run()
    return outcome


def test_campaign_killsAndJudges_andLooksAtTheChainInTheEnd() -> None:
    world = FakeWorld()
    found = run(world)
    assert found.holds
    assert [kill.number for kill in found.kills] == list(range(1, 51))
    assert [at for at, what in enumerate(world.done) if what == "settle"] == [20, 41, 52]
    assert world.done[-1] == "finish"
    assert {kill.relay for kill in found.kills} == set(evidence.LAYERS)


def test_campaign_killsTwoAtATime_andNowAndThenWhoStarts() -> None:
    found = run(FakeWorld(looks=5), wanted=200)
    starting = sum(kill.starting for kill in found.kills)
    assert 5 < starting < 60


@pytest.mark.parametrize("seed", [1, 2])
def test_sameSeed_drawsTheSame(seed: int) -> None:
    drawn = [[kill.relay for kill in run(FakeWorld(looks=0), wanted=30, seed=seed).kills] for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_differentSeeds_drawDifferently() -> None:
    drawn = [[kill.relay for kill in run(FakeWorld(looks=0), wanted=30, seed=seed).kills] for seed in (1, 2)]
    assert drawn[0] != drawn[1]


def test_kill_notesWhatWasOpenOnTheDeadOnesDisk() -> None:
    open_link = LinkRows(issued=frozenset({4}), placed={(1, 0): 1, (1, 1): 2}, cuts=frozenset({1}))
    books = dict.fromkeys(evidence.LAYERS, Books({RelayId(9): open_link}, {RelayId(9): open_link}))
    found = run(FakeWorld(books_=books), wanted=1)
    assert (found.kills[0].under_way, found.kills[0].settling) == (3, 2)
    assert found.in_flight == 1


def test_brokenPromise_endsTheCampaign() -> None:
    """Relay 3 holds an ack of each other relay's that is on nobody's disk."""
    world = FakeWorld()
    books = world.facts_[RelayId(3)].books
    held = {payee: replace(link, placed={(9, 0): 1}) for payee, link in books.payees.items()}
    world.books_[RelayId(3)] = replace(books, payees=held)
    found = run(world, wanted=200)
    assert found.broken and "ack" in found.broken[0]
    assert found.lost and not found.holds
    assert len(found.kills) < 200


def test_whatTheJudgeFinds_endsTheCampaign_beforeTheChainIsAsked() -> None:
    world = FakeWorld(facts_=evidence.with_counts(MADE.facts(), 2, mailbox=0))
    found = run(world)
    assert len(found.kills) == 20
    assert found.judgement.lost or found.judgement.book_mismatches
    assert "finish" not in world.done


def test_chainThatOwes_isFound() -> None:
    found = run(FakeWorld(owed=3), wanted=2)
    assert (found.unclaimed, found.holds) == (3, False)


def test_relayThatDoesNotComeBack_endsTheCampaign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "_BACK_LIMIT", 0.05)
    with pytest.raises(DemoFailed, match="is not back"):
        run(FakeWorld(looks=1 << 60), wanted=50)
