"""`make chaos`: relays are killed at random, then every scenario; and reports/chaos.json.

    python -m chaos                      300 kills, then all scenarios
    python -m chaos --short              8 kills, no scenarios: what CI runs
    python -m chaos --kills 50 --seed 7  so many, with other draws
    python -m chaos --only kills         nothing else; `scenarios`, or a scenario's name, likewise
    python -m chaos --keep               folders and logs stay, as they do when something did not hold

Exit status 1 if something did not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from chaos import report
from chaos.kills import Campaign, Outcome
from chaos.scenario import NotHeld, Scenario
from chaos.scenarios import SCENARIOS
from chaos.traffic import Traffic
from chaos.world import RELAYS, World
from mixpay.demo.ground import Ground, ground
from mixpay.demo.processes import Interrupted
from mixpay.demo.stage import Stage
from mixpay.errors import MixpayError

KILLS, SHORT = 300, 8
INTERRUPTED = 130
RATE = 60.0
"""Packets a second, all users together."""
REPORTS = Path(__file__).resolve().parents[1] / "reports"
CAMPAIGN, ALL = "kills", "scenarios"


class Options(argparse.Namespace):
    """The command line."""

    kills: int
    seed: int
    only: str | None
    short: bool
    keep: bool
    reports: Path


def campaign(stage: Stage, kills: int, seed: int, *, keep: bool) -> Outcome:
    """The kills, in a network of their own. Raises Interrupted."""
    outcome = Outcome()
    try:
        with ground(stage, "chaos", "anvil") as place:
            _campaign(stage, place, outcome, kills, seed)
            place.keep = keep or not outcome.holds
    except Interrupted:
        raise
    except MixpayError as error:
        outcome.trouble = str(error)
    return outcome


def _campaign(stage: Stage, place: Ground, outcome: Outcome, kills: int, seed: int) -> None:
    world = World(place.folder, stage, place.processes, place.chain)
    world.begin()
    users = Traffic(place.folder / "users", RELAYS, RATE, seed)
    try:
        world.user("users")
        users.start()
        Campaign(world, users, outcome, kills, seed, stage.say).run()
    finally:
        users.stop()


def run_scenario(scenario: Scenario) -> str:
    """Whether it held, or what did not."""
    with tempfile.TemporaryDirectory(prefix=f"mixpay-chaos-{scenario.name}-") as folder:
        try:
            scenario.run(Path(folder))
        except NotHeld as error:
            return str(error)
        except Interrupted:
            raise
        except MixpayError as error:
            return f"did not come to its end: {error}"
    return report.HELD


def run_scenarios(chosen: tuple[Scenario, ...], tell: Callable[[str], None]) -> dict[str, str]:
    """All of them, one after the other."""
    found = {}
    for scenario in chosen:
        began = time.monotonic()
        found[scenario.name] = run_scenario(scenario)
        tell(f"scenario {scenario.name}: {found[scenario.name]} ({time.monotonic() - began:.0f} s)")
    return found


def options(arguments: list[str] | None = None) -> Options:
    """The command line; ends the program if it makes no sense."""
    parser = argparse.ArgumentParser(
        description="hurt a network, and see what it loses", prog="python -m chaos"
    )
    parser.add_argument("--kills", type=int, help=f"SIGKILLs ({KILLS}; {SHORT} with --short)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn (1)")
    parser.add_argument("--only", help=f"{CAMPAIGN}, {ALL}, or a scenario's name")
    parser.add_argument("--short", action="store_true", help="the short form: few kills, no scenarios")
    parser.add_argument("--keep", action="store_true", help="keep the folders when all is done")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report is written")
    given = parser.parse_args(arguments, namespace=Options())
    names = {CAMPAIGN, ALL, *(scenario.name for scenario in SCENARIOS)}
    if given.only is not None and given.only not in names:
        parser.error(f"there is no {given.only}: {', '.join(sorted(names))}")
    if given.kills is None:
        given.kills = SHORT if given.short else KILLS
    if given.kills < 1:
        parser.error("a campaign has one kill at least")
    return given


def chosen(given: Options) -> tuple[bool, tuple[Scenario, ...]]:
    """Whether there is a campaign, and which scenarios there are."""
    if given.only is not None:
        named = tuple(scenario for scenario in SCENARIOS if given.only in (ALL, scenario.name))
        return given.only == CAMPAIGN, named
    return True, () if given.short else SCENARIOS


def main() -> int:
    """Exit status: 0 all held, 1 something did not, or could not be seen, 130 interrupted."""
    given = options()
    stage = Stage(Console(stderr=True))
    with_kills, scenarios = chosen(given)
    try:
        kills = campaign(stage, given.kills, given.seed, keep=given.keep) if with_kills else None
        held = run_scenarios(scenarios, stage.say)
    except Interrupted as error:
        print(f"chaos: {error}", file=sys.stderr)
        return INTERRUPTED
    about = report.as_json(kills, held, given.seed, stage.seconds)
    report.write(given.reports, kills, about)
    wrong = list(report.failures(kills, given.kills, held))
    for text in wrong:
        print(f"chaos: {text}", file=sys.stderr)
    print(f"chaos: {'; '.join(f'{k} {v}' for k, v in about.items() if isinstance(v, int | float))}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
