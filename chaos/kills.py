"""The campaign: a relay drawn at random is killed at a random moment, looked at, and started again.

    traffic all the time   kill ▶ what is on its disk? ▶ what do others hold of it? ▶ start ▶ next kill
    now and then           no traffic ▶ all settle ▶ judge
    at the end             the same, and the epoch ends: all is redeemed and claimed, and the chain is judged

The next relay is killed while the last one still starts; one that starts may be killed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from chaos.judge import Facts, Judgement, TrafficFacts, judge, judge_chain
from chaos.promises import broken_promises
from chaos.traffic import Traffic
from chaos.world import World
from mixpay.demo.processes import DemoFailed
from mixpay.types import RelayId

MEAN_PAUSE = 0.6
"""Seconds between two kills, exponential, as long as relays are there to be killed."""
RESTART_AFTER = 0.5
"""Seconds until a dead relay is started again, as a service manager does. What it had sent reaches its
neighbours' disks meanwhile, where it is looked for.
"""
MOST_DOWN = 2
WHILE_STARTING = 0.1
"""How often a relay that starts is killed instead of one that serves."""
CHECK_EVERY = 100
"""Kills between two judgements."""
FLOWING = 100
"""Packets that have arrived before the first kill."""
_POLL = 0.05
_BACK_LIMIT = 120.0
"""Seconds: a busy machine takes a while to start a process."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill, and what was going on just then, by the dead relay's own disk."""

    number: int
    relay: RelayId
    seconds: float
    """Since the first one was possible."""
    starting: bool
    """Whether the relay had not come back from an earlier one."""
    under_way: int
    """Tickets without an answer yet, those that it took and those that it gave."""
    settling: int
    """Links on which a settlement was open."""

    @property
    def in_flight(self) -> bool:
        """Whether something was open that the kill could have torn."""
        return bool(self.under_way or self.settling)


@dataclass(slots=True)
class Outcome:
    """What the campaign found."""

    kills: list[Kill] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """What others held of a dead relay and its disk did not know."""
    judgement: Judgement = field(default_factory=Judgement)
    traffic: TrafficFacts = field(default_factory=TrafficFacts)
    objections: tuple[str, ...] = ()
    """What a verifier has against the chain's money."""
    unclaimed: int = 0
    trouble: str = ""
    """Why the campaign could not go on."""

    @property
    def in_flight(self) -> int:
        """Kills with something open."""
        return sum(kill.in_flight for kill in self.kills)

    @property
    def lost(self) -> int:
        """Receipts that were promised and not paid or counted."""
        return self.judgement.lost + len(self.broken)

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return self.judgement.holds and not (self.broken or self.objections or self.unclaimed or self.trouble)


class Campaign:
    """One campaign. `outcome`: filled as it goes; `tell`: a line for whoever watches."""

    def __init__(
        self,
        world: World,
        users: Traffic,
        outcome: Outcome,
        kills: int,
        seed: int,
        tell: Callable[[str], None],
    ) -> None:
        self._world, self._users, self._wanted, self._tell = world, users, kills, tell
        self._dice = Random(seed)  # noqa: S311 - a campaign can be repeated with the same draws
        self._starting: dict[RelayId, float] = {}
        """Relays that are not back yet, and when they must be."""
        self._began = time.monotonic()
        self.outcome = outcome

    def run(self) -> None:
        """Everything; ends early when something is found. Raises MixpayError if the network breaks down."""
        found, processes = self.outcome, self._world.processes
        processes.wait_for("packets to flow", self._flows, limit=_BACK_LIMIT)
        self._began = time.monotonic()
        while len(found.kills) < self._wanted:
            self._kill_one()
            if found.broken:
                break
            if len(found.kills) % CHECK_EVERY == 0 and len(found.kills) < self._wanted:
                self._judge()
                if not found.judgement.holds:
                    return
                self._users.resume()
        facts = self._judge()
        if found.judgement.holds:
            self._judge_chain(facts)

    def _flows(self) -> bool | None:
        self._users.check()
        return self._users.ledger.facts().delivered >= FLOWING or None

    # ------------------------------------------------------------------ kills

    def _kill_one(self) -> None:
        due = time.monotonic() + self._dice.expovariate(1 / MEAN_PAUSE)
        while time.monotonic() < due:
            self._look()
        self._world.check_time()
        early = self._dice.random() < WHILE_STARTING
        relay = self._draw(early)
        self._world.kill(relay)
        disk = self._world.books(relay)
        kill = Kill(
            len(self.outcome.kills) + 1,
            relay,
            round(time.monotonic() - self._began, 2),
            relay in self._starting,
            disk.under_way,
            disk.settling,
        )
        time.sleep(RESTART_AFTER)
        others = {other: self._world.books(other) for other in self._world.places if other != relay}
        broken = [f"kill {kill.number}: {text}" for text in broken_promises(relay, disk, others)]
        self.outcome.kills.append(kill)
        self.outcome.broken += broken
        self._world.start(relay)
        self._starting[relay] = time.monotonic() + _BACK_LIMIT
        self._tell(shown(kill))

    def _draw(self, early: bool) -> RelayId:
        """The next one to die: one that serves, or, if `early`, one that starts."""
        while True:
            self._look()
            serving = sorted(self._world.places.keys() - self._starting.keys())
            if early and self._starting:
                return self._dice.choice(sorted(self._starting))
            if serving and len(self._starting) < MOST_DOWN:
                return self._dice.choice(serving)

    def _look(self) -> None:
        """Let a moment pass, and see who is back. Raises MixpayError for who will not come back."""
        self._world.processes.check()
        self._users.check()
        time.sleep(_POLL)
        for relay, limit in list(self._starting.items()):
            if self._world.serves(relay):
                del self._starting[relay]
            elif time.monotonic() > limit:
                raise DemoFailed(f"relay {relay} is not back {_BACK_LIMIT:.0f} s after it was started again")

    # ------------------------------------------------------------------ judgements

    def _judge(self) -> Facts:
        """Let everything come to rest, and look at all that can be seen without the chain."""
        self._users.pause()
        self._world.settle()
        self._starting.clear()
        traffic, facts = self._users.collect(), self._world.facts()
        found = judge(facts, traffic, self._world.price)
        self.outcome.judgement, self.outcome.traffic = found, traffic
        kills, held = len(self.outcome.kills), "all is in order" if found.holds else "; ".join(found.notes)
        self._tell(f"after {kills} kills and {found.receipts:,} receipts: {held}")
        return facts

    def _judge_chain(self, facts: Facts) -> None:
        """End the epoch, and look at what was paid."""
        done = self._world.finish()
        found = judge_chain(facts, self._world.price, done.pool, done.paid)
        judged = self.outcome.judgement
        judged.income_error += found.income_error
        judged.notes += found.notes
        self.outcome.objections, self.outcome.unclaimed = done.objections, done.unclaimed


def shown(kill: Kill) -> str:
    """A line for whoever watches."""
    state = "while it started" if kill.starting else "serving"
    return (
        f"kill {kill.number:3}: relay {kill.relay}, {state}, {kill.under_way} tickets without an answer, "
        f"{kill.settling} settlements open"
    )
