"""Everything, in order, as one report of plain numbers (reports/abuse.json)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from abuse import honest, timing
from abuse.draws import Issuer, owned_share
from abuse.farm import Farm, Sent
from abuse.figures import Scale, Tell, around, at_most
from abuse.findings import CAPPED, CHOSEN, DRAWN, EACH_PASS, claims, lost_part, prices, row
from abuse.load import Load, honest_load
from abuse.market import PAYERS, Market
from abuse.money import Tally
from abuse.onebyone import Check, one_by_one
from mixpay.layers import Role
from mixpay.parameters import PRODUCTION
from mixpay.passes.terms import TICKS
from mixpay.types import HOPS, RelayId


@dataclass(frozen=True, slots=True)
class Schemes:
    """What one farm takes in one epoch, by scheme."""

    tallies: dict[str, Tally]
    capped: Sent


@dataclass(slots=True)
class Study:
    """One market, and one seed for all that is drawn in it."""

    scale: Scale
    seed: int
    tell: Tell
    dice: Random = field(init=False)
    market: Market = field(init=False)
    farms: dict[float, Farm] = field(init=False)
    issuer: Issuer = field(init=False)

    def run(self) -> dict[str, Any]:
        """The report."""
        began = time.process_time()
        self.dice = Random(f"study {self.seed}")  # noqa: S311 -- a simulation repeats
        self.market = Market(self.scale.relays, self.seed)
        self._know_next_hops()
        self.farms = {stake: Farm(self.market, self.market.owned(stake)) for stake in self.scale.stakes}
        self.tell("market: registry, layers, next hops of every relay")
        self.issuer = Issuer(self.market, self.seed)
        draws, books = self._draws(), self._books()
        takes, checks = self._takes()
        lost = self._honest()
        times = timing.over(self.scale.epochs, self.scale.timed, self.seed)
        self.tell("times: passes matched to their issue")
        return {
            "seed": self.seed,
            "scale": {**asdict(self.scale), "scenarios": [asdict(one) for one in self.scale.scenarios]},
            "hop_price": PRODUCTION.hop_price,
            "ticks": TICKS,
            "draws": draws,
            "books": books,
            "takes": takes,
            "checks": checks,
            "honest": lost,
            "times": [asdict(one) for one in times],
            "prices": prices(takes),
            "claims": claims(takes, lost, draws, checks),
            "seconds": round(time.process_time() - began, 1),
        }

    def _know_next_hops(self) -> None:
        for role in PAYERS:
            for payer in self.market.payers(role):
                self.market.next_hops(payer, role)

    # ------------------------------------------------------------------ passes

    def _draws(self) -> dict[str, Any]:
        drawn = self.issuer.signed(self.scale.signed)
        self.tell(f"passes: {len(drawn)} signed blindly, and drawn")
        found = {}
        for stake, farm in self.farms.items():
            own = owned_share(drawn, self.market, farm.own)
            low, high = around(own, len(drawn))
            found[str(stake)] = {"own": own, "share": own / len(drawn), "low": low, "high": high}
        return {"signed": len(drawn), "own": found}

    def _books(self) -> dict[str, Any]:
        worth = self.issuer.spent(self.scale.spent)
        self.tell(f"passes: {len(worth)} spent to the last tick, and redeemed")
        ticks, amount = {one.ticks for one in worth}, {one.amount for one in worth}
        if (ticks, amount) != ({TICKS}, {TICKS * HOPS * PRODUCTION.hop_price}):
            raise AssertionError("the books do not pay what a pass is worth")
        return {"passes": len(worth), "ticks": TICKS, "amount": amount.pop()}

    # ------------------------------------------------------------------ what is taken

    def _takes(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        takes: list[dict[str, Any]] = []
        checks: list[dict[str, Any]] = []
        loads: dict[float, tuple[int, Load]] = {}
        fakes: dict[float, Counter[RelayId]] = {}
        for scenario in self.scale.scenarios:
            if scenario.honest not in loads:
                passes = round(scenario.honest * self.market.size)
                drawn = self.issuer.drawn(passes)
                loads[scenario.honest] = passes, honest_load(self.market, drawn, self.dice)
            users, load = loads[scenario.honest]
            if scenario.fakes not in fakes:
                fakes[scenario.fakes] = self.issuer.drawn(round(scenario.fakes * self.market.size))
            drawn = fakes[scenario.fakes]
            for stake, farm in self.farms.items():
                found = self._schemes(farm, drawn, load)
                takes += [
                    row(stake, scenario, scheme, users, sum(drawn.values()), tally)
                    for scheme, tally in found.tallies.items()
                ]
                if scenario.fakes <= 1:
                    checks += [
                        {**asdict(check), "holds": check.holds}
                        for check in self._check(farm, load, found.capped)
                    ]
            self.tell(f"money taken: {scenario.name}")
        return takes, checks

    def _schemes(self, farm: Farm, drawn: Mapping[RelayId, int], load: Load) -> Schemes:
        capped = farm.with_caps(drawn, load)
        tallies = {
            CHOSEN: farm.chosen(sum(drawn.values())),
            DRAWN: farm.without_caps(drawn),
            CAPPED: capped.tally,
            EACH_PASS: farm.with_caps(drawn, load, each_pass=True).tally,
        }
        return Schemes(tallies, capped)

    def _check(self, farm: Farm, load: Load, capped: Sent) -> Iterator[Check]:
        for role in PAYERS:
            here = sorted(payer for at, payer in capped.at if at is role)
            for payer in self.dice.sample(here, min(self.scale.checked, len(here))):
                packets, bulk = capped.at[role, payer]
                hops, counts = self.market.next_hops(payer, role), load.of(payer, role)
                own, others = farm.split(role, payer)
                again = one_by_one(hops, counts, own, others, packets)
                yield Check(role, packets, bulk, again, len(own))

    # ------------------------------------------------------------------ what others lose

    def _honest(self) -> dict[str, Any]:
        scale, market, dice = self.scale, self.market, self.dice
        relay = dice.choice(list(market.payers(Role.ENTRY)))
        first = market.next_hops(relay, Role.ENTRY)
        mix1, mix2 = (dice.choice(list(market.payers(role))) for role in (Role.MIX1, Role.MIX2))
        busy = scale.busy * TICKS
        at_a_mix = busy * market.size // len(market.layers.members(1))
        found = {"one entry's users, paths as clients draw them": honest.paths(market, scale.paths, dice)}
        found["an entry, busy"] = honest.uniform(first, busy, dice)
        found["a mix of layer 1, busy"] = honest.uniform(market.next_hops(mix1, Role.MIX1), at_a_mix, dice)
        last = honest.LastMixes(market, mix2)
        found["a mix of layer 2, busy"] = last.offer(at_a_mix, 0.0, dice)
        self.tell("honest traffic: packet by packet")
        popular = {str(part): last.offer(at_a_mix // 4, part, dice) for part in honest.POPULAR}
        beside = {str(s): honest.beside(first, farm.own, busy // 4, dice) for s, farm in self.farms.items()}
        spite = honest.spite(first, busy // 4, dice)
        self.tell("honest traffic: a popular mailbox, a farmer beside, spite")
        offered = sum(loss.offered for loss in found.values())
        refused = sum(loss.refused for loss in found.values())
        return {
            "uniform": {name: lost_part(loss) for name, loss in found.items()},
            "offered": offered,
            "refused": refused,
            "at_most": at_most(refused, offered),
            "popular": {name: lost_part(loss) for name, loss in popular.items()},
            "mailboxes": market.size,
            "beside": {name: lost_part(loss) for name, loss in beside.items()},
            "spite": lost_part(spite),
        }
